//! What servers say to one another.

use crate::{Membership, SnapshotMeta};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{EntryId, LogIndex, Term};
use serde::{Deserialize, Serialize};

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: the first entry of a term.
    Noop,
    /// A command, opaque here.
    Command(Bytes),
    /// A membership, in force from the moment it is appended.
    Membership(Membership),
}

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which.
    pub id: EntryId,
    /// What.
    pub payload: Payload,
}

/// A piece of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotChunk {
    /// Which snapshot.
    pub snapshot: SnapshotMeta,
    /// Where the piece begins.
    pub offset: u64,
    /// The piece.
    pub bytes: Bytes,
    /// Whether it is the last.
    pub last: bool,
}

/// Everything one server can say to another. The sender's term is in every message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// "Would you vote for me in `term`?" (pre-vote, section 9.6), or "vote for me".
    RequestVote {
        /// The term stood for.
        term: Term,
        /// The candidate's last entry.
        last: EntryId,
        /// Whether this is only a pre-vote.
        pre: bool,
        /// Whether a transfer asks for it: then a live leader is no reason to refuse.
        transfer: bool,
    },
    /// Answer to `RequestVote`.
    Vote {
        /// The voter's term.
        term: Term,
        /// The term stood for.
        stood: Term,
        /// Yes or no.
        granted: bool,
        /// Whether it answers a pre-vote.
        pre: bool,
    },
    /// Entries, or a heartbeat when there are none.
    Append {
        /// The leader's term.
        term: Term,
        /// The entry before the first.
        previous: EntryId,
        /// Contiguous entries.
        entries: Vec<Entry>,
        /// The leader's commit index.
        committed: LogIndex,
        /// Round number, echoed in the answer: confirms leadership for reads and the lease.
        round: u64,
    },
    /// Answer to `Append`.
    Appended {
        /// The follower's term.
        term: Term,
        /// The round answered.
        round: u64,
        /// `Ok(matched)`: the log agrees up to here and is durable. `Err(hint)`: it does not agree
        /// at `previous`; try from the hint.
        outcome: Result<LogIndex, EntryId>,
        /// Shortest election timeout of this follower, in nanoseconds of its clock: leases of
        /// leaders are no longer than the shortest of their voters.
        election_timeout_min: u64,
    },
    /// A piece of a snapshot.
    Snapshot {
        /// The leader's term.
        term: Term,
        /// Round number, as in `Append`.
        round: u64,
        /// The piece.
        chunk: Box<SnapshotChunk>,
    },
    /// Answer to `Snapshot`.
    SnapshotStored {
        /// The follower's term.
        term: Term,
        /// The round answered.
        round: u64,
        /// Which snapshot (its last entry).
        snapshot: EntryId,
        /// Bytes the follower has of it; the next chunk begins there.
        offset: u64,
        /// Whether it is installed and durable.
        installed: bool,
    },
    /// "Stand for election now" (transfer, section 3.10).
    TimeoutNow {
        /// The leader's term.
        term: Term,
    },
}
