//! Proof that the simulator finds bugs: each planted fault, how often it is found, after how many
//! worlds, and how short its story gets.

use crate::plans::Setting;
use crate::shrink::shrink;
use crate::swarm::{self, Kind};
use crate::{clusters, plans, pools, workload};
use proconsul_core::types::Fault;

/// Every planted fault, with its name.
pub const FAULTS: &[Fault] = &[
    Fault::VoteNotPersisted,
    Fault::AckBeforeSync,
    Fault::VoteWithoutLogCheck,
    Fault::LogComparedByLength,
    Fault::CommitOldTerm,
    Fault::NoPreviousTermCheck,
    Fault::TruncateAlways,
    Fault::QuorumOffByOne,
    Fault::VotesCountedTwice,
    Fault::PreVoteClearsVote,
    Fault::CommitBeyondMatched,
    Fault::LeaderNeverStepsDown,
    Fault::BeatIgnoresPatience,
    Fault::OwnMatchBeforeSync,
    Fault::MembershipBeforeOwnCommit,
    Fault::MembershipOnApply,
    Fault::ReadBeforeOwnCommit,
    Fault::ReadWithoutQuorum,
    Fault::LeaseFromReceipt,
    Fault::LeaseDuringTransfer,
    Fault::TransferFlagStuck,
    Fault::ChunkIgnoresSnapshotId,
    Fault::SnapshotKeepsLog,
    Fault::VoteAtOnceAfterRestart,
    Fault::TornTailAccepted,
    Fault::HoleSkipped,
    Fault::TruncationNotLogged,
    Fault::SnapshotBeforeDirSync,
    Fault::FailedSyncIgnored,
    Fault::CompactBeforeSnapshot,
    Fault::OldTransferBlocksSnapshots,
    Fault::DeleteKeepsPrefixIndex,
    Fault::CasIgnoresIndex,
    Fault::TxnPartial,
    Fault::CascadeForgetsChecks,
    Fault::CheckKeepsServiceIndex,
    Fault::SnapshotWithoutSessions,
    Fault::RestoreLeftHalfDone,
    Fault::ApplyDependsOnNode,
    Fault::AcquireIgnoresHolder,
    Fault::DestroyKeepsLocks,
    Fault::NoLockDelay,
    Fault::SessionTimersNotRearmed,
    Fault::RenewalKeepsDeadline,
    Fault::RenewalWithoutLease,
    Fault::LockDelayEndsWithLeader,
    Fault::LostWakeup,
    Fault::FollowerServesDefault,
    Fault::LeaseIgnored,
    Fault::IndexNewerThanBody,
    Fault::AckBeforeCommit,
    Fault::UnknownReportedAsFailed,
];

/// Planted faults of gossip: hunted in worlds of pools.
pub const GOSSIP: &[Fault] = &[
    Fault::RefuteWithoutHigherIncarnation,
    Fault::SuspicionNeverConfirmed,
    Fault::SuspicionCountsNamesTwice,
    Fault::DeadBeatsNewerAlive,
    Fault::PushPullTrustsRemoteDeath,
    Fault::NackNotCounted,
    Fault::BroadcastNotInvalidated,
    Fault::ReclaimIgnoresTime,
    Fault::ProbeSkipsSuspect,
    Fault::LeaveIntentIgnoresClock,
    Fault::EventRingForgetsTime,
    Fault::RejoinReusesClock,
    Fault::ReapForgetsFailedAtOnce,
    Fault::KeyUsedBeforeInstalled,
    Fault::PushPullForgetsLeft,
    Fault::GuardLetsOtherPoolIn,
    Fault::DeadKeepTheirId,
    Fault::AnswersCountedTwice,
];

/// Planted faults of the cluster: hunted in worlds of whole agents.
pub const CLUSTER: &[Fault] = &[
    Fault::SyncForgetsDeregister,
    Fault::SyncTrustsMarks,
    Fault::SyncTrustsOldServer,
    Fault::ReconcileForgetsLeft,
    Fault::ReconcileOnlyEvents,
    Fault::ReconcileKeepsOldId,
    Fault::AutopilotBelowQuorum,
    Fault::AutopilotCountsFailedOnly,
    Fault::OldNameTakesSeat,
    Fault::AutopilotPromotesAtOnce,
    Fault::BootstrapExpectIgnoresPeers,
    Fault::ForwardRetriesWrite,
    Fault::GreetingBeatsGossip,
    Fault::ForwardDropsIndex,
    Fault::LostServerKeepsWatches,
    Fault::FailureTakesWrites,
    Fault::WaitBeginsAnew,
    Fault::UnreachedIsForgotten,
    Fault::ListMetOnce,
    Fault::LeaveToldBefore,
    Fault::ReturnKeepsLeft,
    Fault::OneIncarnationTwice,
];

/// Faults that need a story told by hand, and why. The scenario or test named finds them.
pub const BY_HAND: &[(Fault, &str)] = &[
    (
        Fault::BeatIgnoresPatience,
        "timings of two servers that hardly fit; regressions/beat_of_its_own",
    ),
    (
        Fault::ChunkIgnoresSnapshotId,
        "a snapshot of a small world is mostly one chunk; regressions/chunk_of_another_snapshot",
    ),
    (
        Fault::OwnMatchBeforeSync,
        "a leader that dies before its own disk is done; scenario crash_mid_replication",
    ),
    (
        Fault::MembershipOnApply,
        "a change made before the last one is known to all; core/raft/tests/all/planted.rs",
    ),
    (
        Fault::VoteAtOnceAfterRestart,
        "a restart within a lease, beside a candidate; regressions/vote_after_restart",
    ),
    (
        Fault::DeadKeepTheirId,
        "a machine set up anew, and then everyone but one who forgot all; \
         regressions/set_up_anew",
    ),
    (
        Fault::AutopilotCountsFailedOnly,
        "a death, a restart of all, another death; regressions/given_up_beside_the_unmet",
    ),
    (
        Fault::OldNameTakesSeat,
        "all servers lost, and an agent that heard nothing of it; regressions/old_name_takes_seat",
    ),
    (
        Fault::ListMetOnce,
        "an agent that met one server, which died for good; regressions/met_only_the_dead",
    ),
    (
        Fault::LeaveToldBefore,
        "an intent that goes to the dead, its death to the living; regressions/intent_unheard",
    ),
    (
        Fault::ReturnKeepsLeft,
        "two agents that speak of one who came back; regressions/back_before_it_was_met",
    ),
    (
        Fault::OneIncarnationTwice,
        "all servers lost, as old as before, and no exchange with an agent that missed it; \
         regressions/one_incarnation_twice",
    ),
    (
        Fault::RenewalWithoutLease,
        "a renewal at a leader cut off after it handed over; regressions/renewal_by_the_deposed",
    ),
    (
        Fault::OldTransferBlocksSnapshots,
        "a transfer that stops, and a log that outruns it; core/tests/node/disk.rs",
    ),
    (
        Fault::RestoreLeftHalfDone,
        "a restore that a crash breaks off; scenario restore_crash, core/tests/node/restore.rs",
    ),
    (
        Fault::SyncTrustsOldServer,
        "a server cut off from its group, not from its client; \
         regressions/synced_with_a_server_cut_off",
    ),
    (
        Fault::GreetingBeatsGossip,
        "a server with two addresses, of which worlds give it one; core/tests/node/faults.rs",
    ),
    (
        Fault::FailureTakesWrites,
        "a server held for failed that answers after all; \
         regressions/write_at_one_held_for_failed",
    ),
    (
        Fault::WaitBeginsAnew,
        "servers that die late in a wait in which nobody writes; \
         regressions/wait_goes_on_elsewhere",
    ),
    (
        Fault::UnreachedIsForgotten,
        "a watcher that comes back elsewhere; regressions/asked_from_a_new_address",
    ),
];

/// Budgets below this are smoke tests: there only [`SOON`] must be found.
pub const WHOLE: u64 = 2_000;

/// Faults that a few hundred worlds show: nearly all of them within 60 in each of three trials.
pub const SOON: &[Fault] = &[
    Fault::VoteNotPersisted,
    Fault::AckBeforeSync,
    Fault::VoteWithoutLogCheck,
    Fault::CommitOldTerm,
    Fault::NoPreviousTermCheck,
    Fault::TruncateAlways,
    Fault::QuorumOffByOne,
    Fault::VotesCountedTwice,
    Fault::PreVoteClearsVote,
    Fault::CommitBeyondMatched,
    Fault::LeaderNeverStepsDown,
    Fault::ReadBeforeOwnCommit,
    Fault::ReadWithoutQuorum,
    Fault::LeaseDuringTransfer,
    Fault::TransferFlagStuck,
    Fault::FailedSyncIgnored,
    Fault::CompactBeforeSnapshot,
    Fault::DeleteKeepsPrefixIndex,
    Fault::CasIgnoresIndex,
    Fault::TxnPartial,
    Fault::CascadeForgetsChecks,
    Fault::SnapshotWithoutSessions,
    Fault::ApplyDependsOnNode,
    Fault::AcquireIgnoresHolder,
    Fault::DestroyKeepsLocks,
    Fault::NoLockDelay,
    Fault::SessionTimersNotRearmed,
    Fault::LostWakeup,
    Fault::FollowerServesDefault,
    Fault::LeaseIgnored,
    Fault::IndexNewerThanBody,
    Fault::AckBeforeCommit,
    Fault::UnknownReportedAsFailed,
    Fault::RefuteWithoutHigherIncarnation,
    Fault::SuspicionNeverConfirmed,
    Fault::SuspicionCountsNamesTwice,
    Fault::DeadBeatsNewerAlive,
    Fault::PushPullTrustsRemoteDeath,
    Fault::BroadcastNotInvalidated,
    Fault::ReclaimIgnoresTime,
    Fault::ProbeSkipsSuspect,
    Fault::LeaveIntentIgnoresClock,
    Fault::RejoinReusesClock,
    Fault::ReapForgetsFailedAtOnce,
    Fault::KeyUsedBeforeInstalled,
    Fault::AnswersCountedTwice,
    Fault::SyncForgetsDeregister,
    Fault::SyncTrustsMarks,
    Fault::ReconcileForgetsLeft,
    Fault::ReconcileOnlyEvents,
    Fault::AutopilotBelowQuorum,
    Fault::AutopilotPromotesAtOnce,
    Fault::BootstrapExpectIgnoresPeers,
    Fault::ForwardRetriesWrite,
];

/// Whether so many worlds in a trial must show `fault`.
#[must_use]
pub fn must_find(fault: Fault, seeds: u64) -> bool {
    if seeds >= WHOLE {
        BY_HAND.iter().all(|(other, _)| *other != fault)
    } else {
        seeds >= 300 && SOON.contains(&fault)
    }
}

/// Why the search is not expected to find `fault`, and what finds it instead.
#[must_use]
pub fn by_hand(fault: Fault) -> Option<&'static str> {
    BY_HAND.iter().find(|(other, _)| *other == fault).map(|(_, reason)| *reason)
}

/// Every fault that is hunted.
pub fn all() -> impl Iterator<Item = Fault> {
    FAULTS.iter().chain(GOSSIP).chain(CLUSTER).copied()
}

/// In which kind of world a fault is hunted.
fn kind_of(name: &str) -> Kind {
    let among = |faults: &[Fault]| faults.iter().any(|fault| format!("{fault:?}") == name);
    if among(GOSSIP) {
        Kind::Pools
    } else if among(CLUSTER) {
        Kind::Clusters
    } else {
        Kind::Servers
    }
}

/// The fault of this name.
#[must_use]
pub fn fault_named(name: &str) -> Option<Fault> {
    all().find(|fault| format!("{fault:?}") == name)
}

/// How well one fault is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Worlds until it was found, for each trial that found it, in ascending order.
    pub after: Vec<u64>,
    /// How many trials there were.
    pub trials: u32,
    /// Faults and operations before shrinking, and after.
    pub lengths: Option<[(usize, usize); 2]>,
    /// Rules it broke.
    pub rules: Vec<String>,
    /// Runs the shrinking took.
    pub runs: u32,
    /// Worlds that break a rule without any planted fault: they prove nothing here.
    pub unsound: Vec<u64>,
}

impl Found {
    /// Worlds until it is found in this share of the trials that find it (hundredths).
    #[must_use]
    pub fn percentile(&self, share: usize) -> Option<u64> {
        let last = self.after.len().checked_sub(1)?;
        self.after.get((last * share).div_ceil(100)).copied()
    }

    /// A row of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let number = |value: Option<u64>| value.map_or_else(|| "-".into(), |it| it.to_string());
        let lengths = self.lengths.map_or_else(
            || "-".into(),
            |[(faults, ops), (fewer, less)]| format!("{faults}+{ops} -> {fewer}+{less}"),
        );
        format!(
            "| {:<26} | {}/{} | {:>6} | {:>6} | {:<18} | {:>4} | {} |",
            self.name,
            self.after.len(),
            self.trials,
            number(self.percentile(50)),
            number(self.percentile(95)),
            lengths,
            self.runs,
            self.rules.join(", ")
        )
    }
}

/// The head of the table.
pub const HEAD: &str = "| fault                      | found | p50 | p95 | faults+ops shrunk  | runs | rules |\n\
|---|---|---|---|---|---|---|";

/// How far apart the first seeds of two trials are.
pub const APART: u64 = 1_000_000;

/// Hunts one fault: `trials` times, up to `seeds` worlds each, the first from seed 0 on.
#[must_use]
pub fn hunt(name: &str, seeds: u64, trials: u32, jobs: usize) -> Found {
    hunt_from(0, name, seeds, trials, jobs)
}

/// The same, the first trial from seed `first` on.
#[must_use]
pub fn hunt_from(first: u64, name: &str, seeds: u64, trials: u32, jobs: usize) -> Found {
    let mut found = Found {
        name: name.into(),
        after: Vec::new(),
        trials,
        lengths: None,
        rules: Vec::new(),
        runs: 0,
        unsound: Vec::new(),
    };
    let kind = kind_of(name);
    for trial in 0..trials {
        let from = first.saturating_add(u64::from(trial) * APART);
        let (mut at, end) = (from, from.saturating_add(seeds));
        let hit = loop {
            let Some((seed, outcome)) = swarm::together(kind, at, end - at, name, jobs).failed
            else {
                break None;
            };
            if swarm::alone(kind, seed, 1, "").failed.is_none() {
                break Some((seed, outcome));
            }
            found.unsound.push(seed);
            at = seed + 1;
        };
        let Some((seed, outcome)) = hit else { continue };
        found.after.push(seed - from + 1);
        let Some(violation) = outcome.violation else { continue };
        if !found.rules.contains(&violation.rule) {
            found.rules.push(violation.rule.clone());
        }
        if found.lengths.is_some() {
            continue;
        }
        let runs_max = if seeds < WHOLE { 60 } else { 300 };
        let shrunk = match kind {
            Kind::Servers => {
                let mut schedule = workload::schedule(seed);
                name.clone_into(&mut schedule.options.planted);
                let shrunk = shrink(&schedule, &violation.rule, runs_max);
                let before = (schedule.faults.len(), schedule.ops.len());
                let after = (shrunk.schedule.faults.len(), shrunk.schedule.ops.len());
                ([before, after], shrunk.runs)
            }
            Kind::Pools => shorten::<pools::Options>(name, seed, &violation.rule, runs_max),
            Kind::Clusters => shorten::<clusters::Options>(name, seed, &violation.rule, runs_max),
        };
        (found.lengths, found.runs) = (Some(shrunk.0), shrunk.1);
    }
    found.after.sort_unstable();
    found
}

/// How many acts a drawn plan has before shrinking and after it, and how many runs that took.
fn shorten<S: Setting>(name: &str, seed: u64, rule: &str, runs: u32) -> ([(usize, usize); 2], u32) {
    let mut plan = S::drawn(seed);
    name.clone_into(plan.options.planted());
    let shrunk = plans::shrink(&plan, rule, runs);
    ([(plan.acts.len(), 0), (shrunk.plan.acts.len(), 0)], shrunk.runs)
}
