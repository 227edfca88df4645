//! Leadership transfer (3.10): stop taking writes, bring the target up to date, tell it to stand.
//!
//! Once the target was told, the message may arrive at any time later, also after the deadline, and
//! voters will not resist it. So the lease stays void until the term ends.

use crate::role::Handover;
use crate::{Effect, Message, Raft, Refusal, Ticket, Timer};
use proconsul_types::{Fault, ServerId, Term};

impl Raft {
    pub(crate) fn on_transfer(&mut self, ticket: Ticket, target: Option<ServerId>) {
        let target = match self.transfer_target(target) {
            Ok(target) => target,
            Err(refusal) => {
                self.push_refused(ticket, refusal);
                return;
            }
        };
        if let Some(leading) = self.role.leader_mut() {
            leading.handover = Some(Handover { ticket, target, told: false });
        }
        if !self.config.planted.is(Fault::LeaseDuringTransfer) {
            self.end_lease();
        }
        self.status_changed = true;
        self.timers.set(Timer::Transfer, self.now.after(self.config.transfer_timeout));
        self.check_handover();
    }

    /// Who shall lead: the voter named, or the one with the longest log.
    fn transfer_target(&self, wanted: Option<ServerId>) -> Result<ServerId, Refusal> {
        let leading = self.role.leader().ok_or(Refusal::NotLeader(self.leader))?;
        if leading.handover.is_some() || self.transfer_stuck {
            return Err(Refusal::Transferring);
        }
        let mut voters = leading.peers.iter().filter(|peer| peer.voter);
        let found = match wanted {
            Some(wanted) => voters.find(|peer| peer.id == wanted),
            None => voters.max_by_key(|peer| (peer.matched, peer.heard_at)),
        };
        found.map(|peer| peer.id).ok_or(Refusal::Invalid)
    }

    /// Tells the target to stand as soon as it holds our whole log.
    pub(crate) fn check_handover(&mut self) {
        let last = self.log.last().index;
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let Some(handover) = &mut leading.handover else {
            return;
        };
        let target = handover.target;
        let is_ready = leading.peers.iter().any(|peer| peer.id == target && peer.matched == last);
        if handover.told || !is_ready {
            return;
        }
        handover.told = true;
        leading.lease_barred = true;
        let term = self.hard.term;
        self.out.push(Effect::Event(crate::Event::TransferStarted(target)));
        self.send(target, Message::TimeoutNow { term });
    }

    /// The message may have got lost.
    pub(crate) fn remind_target(&mut self) {
        let handover = self.role.leader().and_then(|leading| leading.handover);
        if let Some(Handover { target, told: true, .. }) = handover {
            let term = self.hard.term;
            self.send(target, Message::TimeoutNow { term });
        }
    }

    /// This server leaves the group: let the most advanced voter stand at once.
    pub(crate) fn nominate_successor(&mut self) {
        let term = self.hard.term;
        let best = self.role.leader().and_then(|leading| {
            let voters = leading.peers.iter().filter(|peer| peer.voter);
            voters.max_by_key(|peer| (peer.matched, peer.heard_at)).map(|peer| peer.id)
        });
        if let Some(best) = best {
            self.send(best, Message::TimeoutNow { term });
        }
    }

    pub(crate) fn on_timeout_now(&mut self, from: ServerId, term: Term) {
        let is_ours = term == self.hard.term && self.leader == Some(from) && !self.is_leader();
        if is_ours && self.is_voter() {
            self.start_election(true);
        }
    }

    /// The leader steps down with a transfer under way: whether it succeeded is known when the
    /// next leader is.
    pub(crate) fn leave_handover(&mut self, handover: Option<Handover>) {
        let Some(handover) = handover else {
            return;
        };
        if self.config.planted.is(Fault::TransferFlagStuck) {
            self.transfer_stuck = true;
        }
        if handover.told {
            self.handed = Some(handover); // its deadline stays set
            return;
        }
        self.timers.clear(Timer::Transfer);
        self.push_refused(handover.ticket, Refusal::NotLeader(None));
    }

    /// A leader is known: that settles a transfer which this server began.
    pub(crate) fn on_leader_known(&mut self) {
        let (Some(leader), Some(handed)) = (self.leader, self.handed) else {
            return;
        };
        self.handed = None;
        self.timers.clear(Timer::Transfer);
        if leader == handed.target {
            self.out.push(Effect::Transferred(handed.ticket, leader));
        } else {
            self.push_refused(handed.ticket, Refusal::NotLeader(Some(leader)));
        }
    }

    pub(crate) fn on_transfer_timeout(&mut self) {
        let handover = match self.role.leader_mut() {
            Some(leading) => leading.handover.take(),
            None => self.handed.take(),
        };
        if let Some(handover) = handover {
            self.status_changed = true;
            self.push_refused(handover.ticket, Refusal::TimedOut);
            self.update_lease();
        }
    }
}
