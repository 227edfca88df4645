//! Everything worth telling: the one source of logs, metrics and the trace.

use alloc::string::String;
use alloc::sync::Arc;
use proconsul_types::{CatalogIndex, MemberStatus, NodeId, Pool};

/// Something happened inside the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Raft's own events.
    Raft(proconsul_raft::Event),
    /// A command was applied.
    Applied(CatalogIndex),
    /// A snapshot is complete and durable.
    SnapshotTaken(CatalogIndex, u64),
    /// Recovery cut a torn tail.
    TailCut {
        /// Which file.
        file: String,
        /// Bytes that stay.
        offset: u64,
    },
    /// The group that `peers.json` names is written down and committed: from here on the log says
    /// who belongs to it, and the file is not needed any more.
    GroupKept,
    /// A session ended because its TTL ran out.
    SessionExpired(proconsul_types::SessionId),
    /// A request was forwarded.
    Forwarded(NodeId),
    /// A check changed its status.
    CheckChanged(String, proconsul_types::CheckStatus),
    /// Anti-entropy could not write; it will try again.
    SyncFailed(String),
    /// A run of a check ended badly.
    CheckFailed(Arc<str>, proconsul_types::CheckStatus),
    /// Nobody spoke for a TTL check in time.
    TtlMissed(Arc<str>),
    /// The catalog was told what this agent offers.
    Synced(proconsul_checks::Synced),
    /// The server of this name says that it leads.
    NewLeader(String),
    /// For operators, in words.
    Notice(String),
    /// The same of what is odd.
    Warning(String),
    /// A member of a pool is now this.
    Member(Pool, String, MemberStatus),
    /// A member of a pool does not answer; it may still refute.
    Suspected(Pool, String),
    /// This agent refuted what was said of it.
    Refuted(Pool),
}
