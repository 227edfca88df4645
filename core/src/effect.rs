//! Everything a node can ask of its host.

use crate::{Event, Lookup, PeerMessage, RequestId};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_checks::{CheckRun, ProbeSpec};
use proconsul_disk::FileOp;
use proconsul_gossip::StreamId;
use proconsul_http::{Response, View};
use proconsul_types::{NodeId, Pool};
use proconsul_wire::packet::Datagram;
use proconsul_wire::stream::Sealed;

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
    /// Send a datagram of a pool from that pool's socket; it may get lost.
    Send {
        /// Which pool.
        pool: Pool,
        /// To whom.
        to: SocketAddr,
        /// What.
        datagram: Datagram,
    },
    /// Open a stream of a pool, then say `Connected` or `Closed`. Its number is even.
    Dial {
        /// Which pool.
        pool: Pool,
        /// The stream's name in all that follows.
        stream: StreamId,
        /// To whom.
        to: SocketAddr,
    },
    /// Write a message to a stream of a pool.
    Write {
        /// Which pool.
        pool: Pool,
        /// Which stream.
        stream: StreamId,
        /// What.
        message: Box<Sealed>,
    },
    /// Close a stream of a pool after what was written to it is sent. Nothing more is said of it.
    Close {
        /// Which pool.
        pool: Pool,
        /// Which stream.
        stream: StreamId,
    },
    /// Look a host name up and say `Resolved`.
    Resolve(Lookup, Arc<str>),
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
    /// Nobody of the list to begin with could be met. The text says why.
    Join(String),
    /// Nobody of the list to try again was met, as often as configured.
    JoinRetried(Pool),
    /// Another agent has this one's name, and the others side with it.
    LostName,
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
    /// A pool's own deadline.
    Gossip,
    /// A duty towards the cluster: joining, reconcile, autopilot, places.
    Duty,
}
