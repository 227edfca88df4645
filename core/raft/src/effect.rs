//! What comes out of Raft.

use crate::{Entry, HardState, Membership, Message, SnapshotChunk, SnapshotMeta, Ticket};
use alloc::vec::Vec;
use proconsul_types::{EntryId, Instant, LogIndex, ServerId, Term};

/// One batch for the log: performed in the order of the fields, made durable by one sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persist {
    /// Number of this batch; they complete in order.
    pub number: u64,
    /// Drop all entries from here on, before appending.
    pub truncate_from: Option<LogIndex>,
    /// Append these, contiguous.
    pub entries: Vec<Entry>,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// Commit index to record; a hint that speeds up recovery.
    pub committed: LogIndex,
    /// Whether anyone waits for this batch: if not, it may ride with the next one.
    pub urgent: bool,
}

/// Why something asked was not done. It certainly was not and will not be, except where said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This server is not the leader; here is who is, if known.
    NotLeader(Option<ServerId>),
    /// Leadership ended while it was under way. **It may still happen**: outcome unknown.
    LeadershipLost,
    /// Too much is under way; ask again later.
    Overloaded,
    /// Leadership is being handed over; ask again later.
    Transferring,
    /// A membership change is under way, or no entry of this term is committed yet.
    ChangeInProgress,
    /// The change makes no sense (unknown server, last voter, unknown target).
    Invalid,
    /// The transfer's deadline passed.
    TimedOut,
}

/// Protocol events: the source of logs, metrics and the trace, and what faults can be tied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Stands for pre-vote.
    PreCandidate(Term),
    /// Stands for election.
    Candidate(Term),
    /// Won an election.
    Leader(Term),
    /// Follows; the leader if known.
    Follower(Term, Option<ServerId>),
    /// A leader gave up (no quorum, newer term, transfer, removal).
    SteppedDown(Term),
    /// A vote was granted (and made durable before it was sent).
    VoteGranted(Term, ServerId),
    /// A follower acknowledged entries up to here.
    AppendAcked(LogIndex),
    /// A leader sent entries.
    AppendSent(ServerId, LogIndex),
    /// The commit index moved.
    Committed(LogIndex),
    /// A conflicting tail was cut.
    Truncated(LogIndex),
    /// A membership took effect.
    MembershipChanged(LogIndex),
    /// A chunk was sent.
    ChunkSent(ServerId, u64),
    /// A whole snapshot was installed.
    SnapshotInstalled(EntryId),
    /// Transfer began.
    TransferStarted(ServerId),
    /// The log up to here was dropped.
    Compacted(LogIndex),
}

/// Everything Raft can ask of its host. Perform in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send; it may get lost. Whatever it promises is durable already.
    Send(ServerId, Message),
    /// Write and sync, then say `Persisted`.
    Persist(Persist),
    /// These entries are committed: apply them in order. Every entry comes exactly once.
    Commit(Vec<Entry>),
    /// The proposal or change became this entry; it is done when that entry commits.
    Proposed(Ticket, EntryId),
    /// The ticket ends without a result.
    Refused(Ticket, Refusal),
    /// A read may be served once this index is applied.
    ReadReady(Ticket, LogIndex),
    /// Leadership went to this server.
    Transferred(Ticket, ServerId),
    /// Role, term, leader or membership changed: publish a new view. The lease ends at once if
    /// this server no longer leads.
    StatusChanged,
    /// Default reads may be served until this moment (of this server's clock).
    Lease(Instant),
    /// Read bytes of the host's current snapshot for `to` and answer with `Input::Chunk`.
    NeedChunk {
        /// For whom.
        to: ServerId,
        /// Which snapshot: `None` means the newest the host has.
        snapshot: Option<SnapshotMeta>,
        /// From where.
        offset: u64,
    },
    /// Keep a received chunk and answer with `Input::ChunkStored`. Offset 0 starts anew.
    StoreChunk(SnapshotChunk),
    /// Entries up to here are no longer needed in the log (a snapshot covers them).
    Compact(LogIndex),
    /// The membership in force, when it changes.
    Membership(Membership),
    /// For logs, metrics, trace.
    Event(Event),
}
