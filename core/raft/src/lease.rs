//! The lease: until when no other leader can exist, so that reads need no round (6.4.1).
//!
//! A voter that hears the leader votes for nobody, not even for itself, for its own shortest
//! election timeout. So when a quorum answered a round, no one else is elected before the beginning
//! of that round plus the shortest of those timeouts. A margin covers clocks of different speed.

use crate::{Effect, Raft};
use proconsul_types::{Duration, Fault, Instant};

impl Raft {
    /// Extends the lease as far as the answered rounds allow.
    pub(crate) fn update_lease(&mut self) {
        let planted = self.config.planted;
        let quorum = self.quorum();
        let own = self.own_value(self.now.0);
        let only_voter = self.is_only_voter();
        // What is committed but not handed over (a snapshot is being installed) is not readable.
        let (delivered, own_timeout) = (self.delivered, self.config.election_timeout_min);
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let handing_over = leading.handover.is_some() || leading.lease_barred;
        if delivered < leading.first || (handing_over && !planted.is(Fault::LeaseDuringTransfer)) {
            return;
        }
        if only_voter {
            self.extend_lease(Instant::NEVER);
            return;
        }
        let from = leading.lease_from;
        let begun_at = leading.quorum_value(quorum, own, |peer| {
            if peer.acked_round >= from { peer.acked_at.0 } else { 0 }
        });
        if begun_at == 0 {
            return;
        }
        let shortest =
            leading.shortest_patience().map_or(own_timeout, |told| own_timeout.min(told));
        let margin = if planted.is(Fault::LeaseFromReceipt) {
            Duration::ZERO
        } else {
            shortest * self.config.lease_margin_percent / 100
        };
        self.extend_lease(Instant(begun_at).after(shortest.saturating_sub(margin)));
    }

    fn extend_lease(&mut self, until: Instant) {
        if until > self.lease_until {
            self.lease_until = until;
            self.out.push(Effect::Lease(until));
        }
    }

    /// The lease ends now.
    pub(crate) fn end_lease(&mut self) {
        if self.lease_until > Instant::START {
            self.lease_until = Instant::START;
            self.out.push(Effect::Lease(Instant::START));
        }
    }

    /// The lease ends, and only rounds begun from now on bring a new one: the quorum is another.
    pub(crate) fn restart_lease(&mut self) {
        self.end_lease();
        self.begin_round();
        if let Some(leading) = self.role.leader_mut() {
            leading.lease_from = leading.round;
        }
        self.update_lease();
    }
}
