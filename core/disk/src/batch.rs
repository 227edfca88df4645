//! What a caller asks to be kept, and what it is told back.

use crate::IoError;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{EntryId, LogIndex, ServerId, Term};
use serde::{Deserialize, Serialize};

/// Term and vote, always in one record: apart, a crash between them makes a server vote twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The newest term this server has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<ServerId>,
}

/// A record of the log, opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub id: EntryId,
    /// What kind of payload; the caller's own numbering.
    pub kind: u8,
    /// The payload.
    pub payload: Bytes,
}

/// One batch: performed in the order of the fields, durable as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Number of this batch. They grow, and complete in order.
    pub number: u64,
    /// Drop all entries from here on, before appending.
    pub truncate_from: Option<LogIndex>,
    /// Append these, contiguous.
    pub entries: Vec<Entry>,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// Commit index to record; a hint that speeds up recovery.
    pub committed: LogIndex,
    /// Whether anyone waits for this batch: if not, it rides along with the next one.
    pub urgent: bool,
}

/// What a completion brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Batches up to this number are durable.
    pub durable: Option<u64>,
    /// What recovery returned is durable from now on; see [`crate::Store::is_open`].
    pub opened: bool,
    /// News of the snapshot that is being written.
    pub snapshot: Option<SnapshotProgress>,
}

/// News of the snapshot that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotProgress {
    /// More may be written without piling up in memory.
    Room,
    /// It is complete and durable; older ones are being removed. The log up to it may be compacted.
    Done(EntryId),
    /// It could not be written and its file is being removed. The node may go on without it.
    Failed(IoError),
}
