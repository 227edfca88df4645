//! The machine: its state, its one way in, and what every step ends with.

use crate::durable::Durable;
use crate::install::Incoming;
use crate::log::Log;
use crate::membership::Memberships;
use crate::role::{Handover, RoleState};
use crate::timers::Timers;
use crate::{Config, Effect, Event, HardState, Input, Message, Timer};
use alloc::vec::Vec;
use proconsul_types::{EntryId, Fault, Instant, LogIndex, Rng, ServerId, Term};

/// One server of a Raft group.
///
/// The host tells it what happens ([`Raft::step`]), performs the effects in order, and wakes it at
/// [`Raft::next_wakeup`].
#[derive(Clone, Debug)]
pub struct Raft {
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    /// The moment of the current step; never goes back.
    pub(crate) now: Instant,
    pub(crate) hard: HardState,
    pub(crate) leader: Option<ServerId>,
    /// When the leader of this term was last heard.
    pub(crate) heard_at: Option<Instant>,
    /// No vote is granted before this moment, not even to itself: a leader may hold a lease.
    pub(crate) promise_until: Instant,
    pub(crate) role: RoleState,
    pub(crate) log: Log,
    pub(crate) durable: Durable,
    pub(crate) memberships: Memberships,
    /// What the newest snapshot covers.
    pub(crate) snapshot: EntryId,
    /// Bytes of entries that are held although the snapshot covers them.
    pub(crate) covered_bytes: usize,
    /// Known to be committed by the group.
    pub(crate) commit_target: LogIndex,
    /// The part of it that is durable here too.
    pub(crate) committed: LogIndex,
    /// The part of that which was handed to the host.
    pub(crate) delivered: LogIndex,
    pub(crate) applied: LogIndex,
    pub(crate) uncommitted_bytes: usize,
    pub(crate) incoming: Option<Incoming>,
    /// The log may be dropped up to this index once this batch is durable: what a snapshot
    /// contradicts must be gone first.
    pub(crate) compacting: Option<(u64, LogIndex)>,
    /// A transfer whose leader stepped down after it told the target to stand.
    pub(crate) handed: Option<Handover>,
    /// Only a planted fault sets this.
    pub(crate) transfer_stuck: bool,
    pub(crate) lease_until: Instant,
    pub(crate) timers: Timers,
    pub(crate) status_changed: bool,
    pub(crate) membership_changed: bool,
    pub(crate) out: Vec<Effect>,
}

impl Raft {
    /// One thing happened. What is to be done is appended to `out`.
    ///
    /// Nothing that comes from outside makes this panic; only a broken invariant does.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Effect>) {
        core::mem::swap(&mut self.out, out);
        self.now = self.now.max(now);
        match input {
            Input::Wake => {}
            Input::Message { from, message } => self.on_message(from, message),
            Input::PeerLost(peer) => self.on_peer_lost(peer),
            Input::Propose(ticket, payload) => self.on_propose(ticket, payload),
            Input::Change(ticket, change) => self.on_change(ticket, change),
            Input::Bootstrap(membership) => self.on_bootstrap(membership),
            Input::Read(ticket) => self.on_read(ticket),
            Input::Transfer(ticket, target) => self.on_transfer(ticket, target),
            Input::Persisted(number) => self.on_persisted(number),
            Input::Applied(index) => self.on_applied(index),
            Input::SnapshotTaken(meta) => self.on_snapshot_taken(&meta),
            Input::Chunk { to, chunk } => self.on_chunk(to, chunk),
            Input::ChunkStored { snapshot, offset, installed } => {
                self.on_chunk_stored(&snapshot, offset, installed);
            }
            Input::PeerTimeouts(timeouts) => self.on_peer_timeouts(&timeouts),
        }
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.on_timer(timer);
        }
        self.settle();
        core::mem::swap(&mut self.out, out);
    }

    /// When to call [`Raft::step`] with [`Input::Wake`] if nothing happens before, and why.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<(Instant, Timer)> {
        self.timers.next()
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Boot => {
                self.status_changed = true;
                self.membership_changed = true;
            }
            Timer::Election => self.on_election_timeout(),
            Timer::Heartbeat => self.on_heartbeat(),
            Timer::Notice => self.on_notice(),
            Timer::Transfer => self.on_transfer_timeout(),
        }
    }

    fn on_message(&mut self, from: ServerId, message: Message) {
        if from == self.config.id {
            return;
        }
        match message {
            Message::RequestVote { term, last, pre: true, transfer: _ } => {
                self.on_request_pre_vote(from, term, last);
            }
            Message::RequestVote { term, last, pre: false, transfer } => {
                self.on_request_vote(from, term, last, transfer);
            }
            Message::Vote { term, stood, granted, pre } => {
                self.on_vote(from, term, stood, granted, pre);
            }
            Message::Append { term, previous, entries, committed, round } => {
                self.on_append(from, term, previous, entries, committed, round);
            }
            Message::Appended { term, round, outcome, election_timeout_min } => {
                self.on_appended(from, term, round, outcome, election_timeout_min);
            }
            Message::Snapshot { term, round, chunk } => self.on_snapshot(from, term, round, *chunk),
            Message::SnapshotStored { term, round, snapshot, offset, installed } => {
                self.on_snapshot_stored(from, term, round, snapshot, offset, installed);
            }
            Message::TimeoutNow { term } => self.on_timeout_now(from, term),
        }
    }

    fn on_persisted(&mut self, number: u64) {
        if !self.durable.persisted_to(number) {
            return;
        }
        while let Some((to, message)) = self.durable.release() {
            if let Message::Appended { outcome: Ok(matched), .. } = &message {
                self.out.push(Effect::Event(Event::AppendAcked(*matched)));
            }
            self.send(to, message);
        }
        self.on_own_vote_durable();
        self.update_commit_target();
    }

    pub(crate) fn on_applied(&mut self, index: LogIndex) {
        self.applied = self.applied.max(index.min(self.delivered));
        if self.config.planted.is(Fault::MembershipOnApply)
            && self.memberships.applied(self.applied)
        {
            self.on_membership_changed();
        }
    }

    /// Sends a message which promises nothing, or whose promise is durable.
    pub(crate) fn send(&mut self, to: ServerId, message: Message) {
        self.out.push(Effect::Send(to, message));
    }

    /// Sends a message once batch `number` is durable.
    pub(crate) fn send_when_durable(&mut self, number: u64, to: ServerId, message: Message) {
        if number > self.durable.persisted() {
            self.durable.hold(number, to, message);
            return;
        }
        if let Message::Appended { outcome: Ok(matched), .. } = &message {
            self.out.push(Effect::Event(Event::AppendAcked(*matched)));
        }
        self.send(to, message);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(Effect::Event(event));
    }

    /// Adopts a newer term, in which nothing was voted yet.
    pub(crate) fn adopt_term(&mut self, term: Term) {
        assert!(term > self.hard.term, "terms only grow");
        self.hard = HardState { term, vote: None };
        self.durable.write_hard_state(self.hard);
        self.durable.forget_held();
        self.leader = None;
        self.heard_at = None;
        self.status_changed = true;
    }

    /// What every step ends with: commit, hand over, one batch for the disk, one notice of change.
    fn settle(&mut self) {
        self.advance_commit();
        self.deliver();
        if self.membership_changed {
            self.membership_changed = false;
            self.status_changed = true;
            self.out.push(Effect::Membership(self.memberships.current().clone()));
        }
        if self.status_changed {
            self.status_changed = false;
            self.out.push(Effect::StatusChanged);
        }
        let last = self.log.last().index;
        if let Some(batch) = self.durable.flush(self.now, last, self.committed) {
            self.out.push(Effect::Persist(batch));
        }
        if let Some((needed, index)) = self.compacting
            && needed <= self.durable.persisted()
        {
            self.compacting = None;
            self.out.push(Effect::Compact(index));
            self.out.push(Effect::Event(Event::Compacted(index)));
        }
    }

    /// Lets the host drop the log up to `index` once batch `needed` is durable.
    pub(crate) fn compact_when_durable(&mut self, needed: u64, index: LogIndex) {
        let (earlier, lower) = self.compacting.unwrap_or_default();
        self.compacting = Some((needed.max(earlier), index.max(lower)));
    }

    /// Moves the commit index to what the group has committed and this server has on its disk.
    fn advance_commit(&mut self) {
        let cap = if self.config.planted.is(Fault::OwnMatchBeforeSync) {
            self.log.last().index
        } else {
            self.durable.last()
        };
        let committed = self.commit_target.min(cap);
        if committed <= self.committed {
            return;
        }
        self.uncommitted_bytes -= self.log.bytes_between(self.committed, committed);
        self.committed = committed;
        self.event(Event::Committed(committed));
        self.on_committed();
    }

    /// Hands committed entries to the host, unless a snapshot that will replace them is being
    /// installed: its state and theirs must not mix.
    fn deliver(&mut self) {
        let installing = self.incoming.as_ref().is_some_and(|incoming| incoming.complete);
        if self.delivered >= self.committed || installing {
            return;
        }
        let entries = self.log.copy(self.delivered.next(), self.committed);
        self.delivered = self.committed;
        self.out.push(Effect::Commit(entries));
        self.update_lease(); // after the entries, so that the lease covers a state that has them
    }
}
