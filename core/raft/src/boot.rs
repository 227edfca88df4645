//! From what the disk remembered to a running server.

use crate::durable::Durable;
use crate::log::Log;
use crate::membership::Memberships;
use crate::role::RoleState;
use crate::timers::Timers;
use crate::{Boot, Config, Entry, HardState, Membership, Payload, Raft, SnapshotMeta, Timer};
use alloc::vec::Vec;
use proconsul_types::{EntryId, Fault, Instant, LogIndex, Rng, Term};

impl Raft {
    /// A server that starts at `now` with what its disk remembered. The first step (due at once)
    /// says what is known to be committed and who belongs to the group.
    #[must_use]
    pub fn new(config: Config, rng: Rng, boot: Boot, now: Instant) -> Self {
        assert!(
            config.election_timeout_min <= config.election_timeout_max
                && config.heartbeat_interval < config.election_timeout_min,
            "heartbeats are more frequent than elections"
        );
        assert!(config.lease_margin_percent <= 100, "a margin is a share");
        assert!(
            config.append_entries_max > 0 && config.inflight_messages_max > 0,
            "something may be on its way"
        );
        let snapshot = boot.snapshot.unwrap_or_default();
        let first = boot.entries.first().map(|entry| entry.id.index);
        let (log, replaced) = recover_log(snapshot.last, boot.entries);
        let memberships =
            recover_memberships(&log, &snapshot, boot.bootstrap, boot.force_bootstrap);
        let last = log.last().index;
        let committed = boot.committed.clamp(snapshot.last.index, last);
        let mut durable = Durable::new(last);
        if let Some(first) = first.filter(|_| replaced) {
            durable.truncate(first);
            durable.covered(snapshot.last.index);
        }
        let guarded = boot.restarted && !config.planted.is(Fault::VoteAtOnceAfterRestart);
        let promise_until =
            if guarded { now.after(config.election_timeout_min) } else { Instant::START };
        let mut raft = Self {
            covered_bytes: log.bytes_between(LogIndex(0), snapshot.last.index),
            uncommitted_bytes: log.bytes_between(committed, last),
            config,
            rng,
            now,
            hard: recover_hard_state(boot.hard_state, log.last().term),
            leader: None,
            heard_at: None,
            promise_until,
            role: RoleState::Follower,
            log,
            durable,
            memberships,
            snapshot: snapshot.last,
            commit_target: committed,
            committed,
            delivered: snapshot.last.index,
            applied: snapshot.last.index,
            incoming: None,
            compacting: None,
            handed: None,
            transfer_stuck: false,
            lease_until: Instant::START,
            timers: Timers::default(),
            status_changed: false,
            membership_changed: false,
            out: Vec::new(),
        };
        if raft.config.planted.is(Fault::MembershipOnApply) {
            raft.memberships.take_back(raft.applied);
        }
        if replaced {
            let index = raft.snapshot.index;
            raft.compact_when_durable(raft.durable.newest(), index);
        }
        raft.timers.set(Timer::Boot, now);
        raft.arm_election();
        if raft.is_only_voter() && !raft.may_be_led() {
            raft.promise_until = Instant::START;
            raft.timers.set(Timer::Election, now);
        }
        raft
    }

    /// The group this server is to start with. One that has a group, or a log that another group
    /// wrote, keeps what it has.
    pub(crate) fn on_bootstrap(&mut self, membership: Membership) {
        let is_new = self.log.last() == EntryId::default()
            && self.memberships.newest_index() == LogIndex(0)
            && self.memberships.current().members.is_empty();
        if !is_new || membership.voter_count() == 0 {
            return;
        }
        self.memberships = Memberships::new(membership, LogIndex(0), true);
        self.on_membership_changed();
        if self.is_only_voter() && !self.may_be_led() {
            self.promise_until = Instant::START;
            self.timers.set(Timer::Election, self.now);
        }
    }

    /// Whether another server may hold a lease that this only voter promised before it stopped: a
    /// leader that gave up its own vote leads until that is committed.
    fn may_be_led(&self) -> bool {
        let is_settled = self.memberships.current_index() <= self.committed;
        let is_guarded = self.now < self.promise_until;
        is_guarded && !is_settled && !self.memberships.is_alone(self.config.id)
    }
}

/// The term and the vote. Snapshots have a lane of their own, so one of a newer term may be durable
/// before that term is. Nothing was promised in it then: promises wait for their record.
fn recover_hard_state(recorded: HardState, newest: Term) -> HardState {
    if recorded.term < newest { HardState { term: newest, vote: None } } else { recorded }
}

/// The log behind what the snapshot covers, and whether entries were dropped because they conflict
/// with it (a crash came between installing the snapshot and cutting the log).
fn recover_log(snapshot: EntryId, entries: Vec<Entry>) -> (Log, bool) {
    let Some((first, last)) = entries.first().zip(entries.last()).map(|(a, b)| (a.id, b.id)) else {
        return (Log::new(snapshot), false);
    };
    assert!(first.index <= snapshot.index.next(), "no entry is missing behind the snapshot");
    if first.index == snapshot.index.next() && first.term < snapshot.term {
        return (Log::new(snapshot), true); // the tail of a log that the snapshot replaced
    }
    if first.index == snapshot.index.next() {
        let mut log = Log::new(snapshot);
        entries.into_iter().for_each(|entry| log.push(entry));
        return (log, false);
    }
    // Some entries are covered. If the one the snapshot ends with is among them and is another
    // than the snapshot says, none can be trusted; if it is missing, all of them are covered.
    let agrees = entries.iter().any(|entry| entry.id == snapshot);
    if !agrees {
        return (Log::new(snapshot), last.index >= snapshot.index);
    }
    let mut entries = entries.into_iter();
    let before = entries.next().map_or(snapshot, |entry| entry.id);
    let mut log = Log::new(before);
    entries.for_each(|entry| log.push(entry));
    (log, false)
}

fn recover_memberships(
    log: &Log,
    snapshot: &SnapshotMeta,
    bootstrap: Option<Membership>,
    force: bool,
) -> Memberships {
    let known = Memberships::new(snapshot.membership.clone(), snapshot.membership_index, false);
    match bootstrap {
        Some(base) if force => {
            let recorded = recorded_behind(known, log, snapshot);
            // The group that is forced may have been written down before an earlier start ended.
            let is_kept = recorded.current_index() > LogIndex(0) && *recorded.current() == base;
            if is_kept { recorded } else { Memberships::new(base, LogIndex(0), true) }
        }
        Some(base) if snapshot.membership.members.is_empty() => {
            recorded_behind(Memberships::new(base, LogIndex(0), true), log, snapshot)
        }
        Some(_) | None => recorded_behind(known, log, snapshot),
    }
}

/// With what the log says behind the snapshot.
fn recorded_behind(
    mut memberships: Memberships,
    log: &Log,
    snapshot: &SnapshotMeta,
) -> Memberships {
    let mut index = snapshot.last.index.next();
    while let Some(entry) = log.get(index) {
        if let Payload::Membership(membership) = &entry.payload {
            memberships.push(index, membership.clone(), proconsul_types::Planted::none());
        }
        index = index.next();
    }
    memberships
}
