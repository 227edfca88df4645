//! Everything a node can ask of its host.

use crate::{Event, PeerMessage, RequestId};
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_checks::{CheckRun, ProbeSpec};
use proconsul_disk::FileOp;
use proconsul_http::{Response, View};
use proconsul_types::NodeId;

/// What the host must do, in this order. Only core builds these.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Send to an agent: dial `address` if no connection to `to` is open. It may get lost; then say
    /// `PeerLost`.
    SendPeer {
        /// Identity.
        to: NodeId,
        /// Where it was last known.
        address: SocketAddr,
        /// What.
        message: PeerMessage,
    },
    /// Answer an HTTP request.
    Respond(RequestId, Response),
    /// Answer a DNS question.
    Reply(RequestId, Bytes),
    /// Work on a file.
    Io(FileOp),
    /// Run a probe and say `CheckDone`.
    RunCheck(CheckRun, ProbeSpec),
    /// Stop caring about a probe.
    StopCheck(CheckRun),
    /// Let every thread read this from now on, before any later effect is performed.
    Publish(Arc<View>),
    /// Re-read configuration and say `Admin::Reload`; for this request, if one asked.
    Reload(Option<RequestId>),
    /// For logs, metrics, trace.
    Event(Event),
    /// Stop: nothing more will be said.
    Exit(ExitReason),
}

/// Why a node stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Asked to.
    Stopped,
    /// The disk failed: going on could break promises. The text names the file.
    Disk(String),
    /// Left the group for good.
    Left,
    /// The log cannot be applied by this version. The text says which entry and what to do.
    Log(String),
}

/// Why a node wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wakeup {
    /// Raft: heartbeat, election, lease, transfer.
    Raft,
    /// A held or forwarded request's deadline.
    Call,
    /// A blocking query's wait is over.
    Blocking,
    /// A session's TTL or a key's lock-delay.
    Session,
    /// A check is due.
    Check,
    /// Anti-entropy.
    Sync,
    /// The next piece of a snapshot: the loop goes on in between.
    Snapshot,
}
