//! A leader: how its term begins, its rounds, and every way its term ends.

use crate::progress::Progress;
use crate::role::{Leading, RoleState, Round};
use crate::{Effect, Entry, Event, Payload, Raft, Refusal, Timer};
use alloc::boxed::Box;
use alloc::vec::Vec;
use proconsul_types::{Duration, EntryId, Fault, Instant, ServerId};

/// How much faster than configured a leader beats at most.
const BEATS_MAX: u32 = 8;

impl Raft {
    /// Begins to lead the current term with an entry of its own (6.4: only that tells it what is
    /// committed). A membership that stands in no entry yet is recorded by it.
    pub(crate) fn become_leader(&mut self) {
        assert!(matches!(self.role, RoleState::Candidate(_)), "only a candidate is elected");
        assert!(self.hard.vote == Some(self.config.id), "a leader voted for itself");
        let term = self.hard.term;
        self.leader = Some(self.config.id);
        self.heard_at = None;
        self.status_changed = true;
        self.timers.clear(Timer::Election);
        let first = self.log.last().index.next();
        let beat = self.config.heartbeat_interval;
        self.role = RoleState::Leader(Box::new(Leading::new(Vec::new(), first, beat)));
        self.event(Event::Leader(term));
        self.on_leader_known();
        let payload = if self.memberships.is_unrecorded() {
            Payload::Membership(self.memberships.current().clone())
        } else {
            Payload::Noop
        };
        self.append(Entry { id: EntryId::new(term, first), payload });
        self.sync_peers();
        self.begin_round();
        self.broadcast();
        self.arm_heartbeat();
        self.update_commit_target();
    }

    /// Makes the list of followers agree with the membership in force. What is known of those who
    /// stay is kept (etcd-io/raft#149).
    pub(crate) fn sync_peers(&mut self) {
        let RoleState::Leader(leading) = &mut self.role else {
            return;
        };
        let own = self.config.id;
        let current = self.memberships.current();
        leading.peers.retain(|peer| current.contains(peer.id));
        for (id, member) in current.members.iter().filter(|(id, _)| **id != own) {
            match leading.peers.binary_search_by_key(id, |peer| peer.id) {
                Ok(found) => leading.peers[found].voter = member.voter,
                Err(place) => {
                    let peer = Progress::new(*id, member.voter, leading.first, self.now);
                    leading.peers.insert(place, peer);
                }
            }
        }
        self.fit_beat();
    }

    /// A leader with followers beats.
    pub(crate) fn arm_heartbeat(&mut self) {
        match self.role.leader() {
            Some(leading) if !leading.peers.is_empty() => {
                self.timers.set(Timer::Heartbeat, self.now.after(leading.beat));
            }
            Some(_) | None => self.timers.clear(Timer::Heartbeat),
        }
    }

    /// Beats as often as the voter of the least patience needs: twice in its shortest election
    /// timeout, which servers of another configuration tell in their answers.
    pub(crate) fn fit_beat(&mut self) {
        let own = self.config.heartbeat_interval;
        let is_planted = self.config.planted.is(Fault::BeatIgnoresPatience);
        let now = self.now;
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let before = leading.beat;
        leading.beat = match leading.shortest_patience() {
            // No answer makes this server beat without pause.
            Some(patience) if !is_planted => own.min((patience / 2).max(own / BEATS_MAX)),
            Some(_) | None => own,
        };
        let soon = now.after(leading.beat);
        if leading.beat < before && self.timers.get(Timer::Heartbeat).is_some_and(|at| at > soon) {
            self.timers.set(Timer::Heartbeat, soon);
        }
    }

    /// Between two beats: what is configured, or less.
    fn beat(&self) -> Duration {
        self.role.leader().map_or(self.config.heartbeat_interval, |leading| leading.beat)
    }

    /// Begins a round: answers to messages sent from now on prove that leadership held now.
    pub(crate) fn begin_round(&mut self) {
        let now = self.now;
        if let Some(leading) = self.role.leader_mut() {
            leading.round += 1;
            leading.rounds.push_back(Round { number: leading.round, begun_at: now });
        }
    }

    /// The round a message sent now belongs to. Under load a new one begins four times in each
    /// heartbeat interval, so that the lease lives from the traffic there is.
    pub(crate) fn current_round(&mut self) -> u64 {
        let age = self.beat() / 4;
        let newest = self.role.leader().and_then(|leading| leading.rounds.back());
        if newest.is_none_or(|newest| newest.begun_at.after(age) <= self.now) {
            self.begin_round();
        }
        self.role.leader().map_or(0, |leading| leading.round)
    }

    /// A heartbeat interval passed: check that a quorum is there, begin a round, tell everyone who
    /// was not spoken to, and try again what got lost.
    pub(crate) fn on_heartbeat(&mut self) {
        if !self.is_leader() {
            return;
        }
        if !self.has_quorum_contact() || self.is_disk_stalled() {
            let term = self.hard.term;
            self.become_follower(term, None);
            return;
        }
        self.begin_round();
        self.attach_reads();
        let beat = self.beat();
        let quiet = beat / 2;
        let mut position = 0;
        while let Some(leading) = self.role.leader() {
            let Some(peer) = leading.peers.get(position) else {
                break;
            };
            let is_due = peer.sent_at.after(quiet) <= self.now || !leading.reads.is_empty();
            // Entries are answered when they are durable, heartbeats at once: under load a follower
            // with a slow disk would else look like one that is gone (etcd-io/etcd#7617).
            let is_silent = peer.heard_at.after(beat) <= self.now;
            if is_due || is_silent {
                self.send_heartbeat(position);
            }
            self.retry_snapshot(position);
            position += 1;
        }
        self.confirm_rounds();
        self.remind_target();
        self.compact();
        self.arm_heartbeat();
    }

    /// Whether a majority answered within the last election timeout (6.2).
    fn has_quorum_contact(&mut self) -> bool {
        if self.config.planted.is(Fault::LeaderNeverStepsDown) {
            return true;
        }
        let (quorum, own) = (self.quorum(), self.own_value(self.now.0));
        let Some(leading) = self.role.leader_mut() else {
            return false;
        };
        let heard = Instant(leading.quorum_value(quorum, own, |peer| peer.heard_at.0));
        self.now.since(heard) <= self.config.election_timeout_max
    }

    /// `value`, if this server has a vote.
    pub(crate) fn own_value(&self, value: u64) -> Option<u64> {
        self.is_voter().then_some(value)
    }

    /// The end of a leadership. First of all the lease ends; everything that waited is answered.
    pub(crate) fn step_down(&mut self) {
        let role = core::mem::replace(&mut self.role, RoleState::Follower);
        let RoleState::Leader(leading) = role else {
            unreachable!("only a leader steps down");
        };
        self.end_lease();
        self.status_changed = true;
        self.leader = None;
        self.event(Event::SteppedDown(self.hard.term));
        self.timers.clear(Timer::Heartbeat);
        self.timers.clear(Timer::Notice);
        for read in &leading.reads {
            self.out.push(Effect::Refused(read.ticket, Refusal::NotLeader(None)));
        }
        for proposal in &leading.tickets {
            self.out.push(Effect::Refused(proposal.ticket, Refusal::LeadershipLost));
        }
        self.leave_handover(leading.handover);
    }

    /// A new commit index: reads, lease and membership may have waited for it.
    pub(crate) fn on_committed(&mut self) {
        let (committed, beat) = (self.committed, self.beat());
        let RoleState::Leader(leading) = &mut self.role else {
            return;
        };
        while let Some(front) = leading.tickets.front()
            && front.index <= committed
        {
            leading.tickets.pop_front();
        }
        if !leading.peers.is_empty() && self.timers.get(Timer::Notice).is_none() {
            let soon = self.now.after(beat / 5);
            self.timers.set(Timer::Notice, soon);
        }
        self.answer_reads();
        if self.memberships.newest_index() <= committed && !self.is_voter() {
            self.leave_group();
        }
    }

    /// The membership without this leader is committed: say so, let a successor stand, and stop
    /// (4.2.2).
    fn leave_group(&mut self) {
        self.end_lease();
        self.broadcast_heartbeat();
        self.nominate_successor();
        let term = self.hard.term;
        self.become_follower(term, None);
    }

    /// The membership in force changed: followers, quorum and lease follow.
    pub(crate) fn on_membership_changed(&mut self) {
        self.membership_changed = true;
        self.event(Event::MembershipChanged(self.memberships.current_index()));
        if self.is_leader() {
            self.restart_lease();
            self.sync_peers();
            self.update_commit_target();
            self.arm_heartbeat();
            self.confirm_rounds();
        } else if !self.is_voter() || self.timers.get(Timer::Election).is_none() {
            self.arm_election();
        }
    }

    /// The connection to a follower broke: what was on its way is lost.
    pub(crate) fn on_follower_lost(&mut self, id: ServerId) {
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        if let Some(position) = leading.position(id) {
            leading.peers[position].lost();
        }
    }
}
