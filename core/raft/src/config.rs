//! What a Raft server is told before it starts, and what its disk remembered.

use crate::Entry;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use proconsul_types::{Duration, EntryId, LogIndex, Planted, ServerId, Term};
use serde::{Deserialize, Serialize};

/// Timing and bounds. Servers of one cluster may run with different values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who this server is.
    pub id: ServerId,
    /// Between two rounds of heartbeats when nothing else is sent.
    pub heartbeat_interval: Duration,
    /// A follower stands for election after a random time in `min..=max` without a leader, and
    /// refuses votes for `min` after hearing one.
    pub election_timeout_min: Duration,
    /// See `election_timeout_min`.
    pub election_timeout_max: Duration,
    /// The lease is the shortest election timeout of the group less this share of it, in percent.
    /// It covers the fastest clock against the slowest: 20 holds for rates up to 1.25 apart.
    pub lease_margin_percent: u32,
    /// Bytes of entries in one append message.
    pub append_bytes_max: usize,
    /// Entries in one append message.
    pub append_entries_max: usize,
    /// Bytes of entries on the way to one follower.
    pub inflight_bytes_max: usize,
    /// Append messages on the way to one follower.
    pub inflight_messages_max: usize,
    /// Bytes of entries appended but not committed; beyond it proposals are refused.
    pub uncommitted_bytes_max: usize,
    /// Bytes of applied log that are kept for slow followers after a snapshot.
    pub trailing_bytes_max: usize,
    /// How long a leadership transfer may take.
    pub transfer_timeout: Duration,
    /// The bug this server carries, if any (test builds only).
    pub planted: Planted,
}

/// What one record of the log holds: term and vote together (hashicorp/raft#661 is what happens
/// when they are apart).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The newest term this server has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<ServerId>,
}

/// One server of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Whether its vote counts. Non-voters only receive the log.
    pub voter: bool,
}

/// Who belongs to the group. Identities only: addresses are looked up at each dial (design D15).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Voters and non-voters.
    pub members: BTreeMap<ServerId, Member>,
}

/// What a snapshot stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry the snapshot contains. It is the snapshot's identity too: states are
    /// deterministic, so equal ids mean equal bytes.
    pub last: EntryId,
    /// The membership in force at that entry.
    pub membership: Membership,
    /// The index of the entry that brought this membership.
    pub membership_index: LogIndex,
}

/// The only way state crosses a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Term and vote.
    pub hard_state: HardState,
    /// The newest complete snapshot.
    pub snapshot: Option<SnapshotMeta>,
    /// Entries after the snapshot, without a hole (some may be covered by it).
    pub entries: Vec<Entry>,
    /// A commit index known to be safe (0 if none is recorded).
    pub committed: LogIndex,
    /// The membership to start from if the disk knows none: `-bootstrap`, `-dev`, or `peers.json`.
    /// With `peers.json` it replaces whatever the disk knew.
    pub bootstrap: Option<Membership>,
    /// Whether `bootstrap` replaces the recorded membership (recovery by hand).
    pub force_bootstrap: bool,
    /// Whether this server ever ran with this disk: then it must not vote at once, because it may
    /// have promised a lease just before it stopped.
    pub restarted: bool,
}
