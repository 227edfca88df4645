//! What a request needs: the decision of the API about one request.

use crate::{KeyringOp, Response, UserEvent};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::{Command, Topic};
use proconsul_types::{CatalogIndex, CheckStatus, Duration, LogLevel, NodeId, SessionId};

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Answered by the leader under its lease.
    Default,
    /// Answered by the leader after a quorum round.
    Consistent,
    /// Answered by anyone.
    Stale,
}

/// What a blocking read waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Any change to one of these may change the answer.
    pub topics: Vec<Topic>,
    /// Answer when the governing index is above this.
    pub min_index: CatalogIndex,
    /// Give up after this long (jitter included) and answer what is.
    pub at_most: Duration,
    /// Two waiting requests with equal keys have equal answers: one evaluation serves both.
    /// It is path and query without `index`, `wait` and the token.
    pub key: String,
}

/// What a request needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Nothing: here is the answer.
    Answer(Response),
    /// Something only the event loop of this agent can do; a worker thread hands the request over.
    /// The event loop itself never gets this.
    Enter,
    /// The leader: this server does not lead (or its lease is over). The loop forwards it, holds it
    /// until there is a leader, or answers `No cluster leader`.
    Leader,
    /// A quorum round first (`?consistent`), then plan again with `confirmed`.
    Confirm,
    /// Wait, then plan again.
    Park(Wait),
    /// Propose this command (this server leads), then render its outcome.
    Write(Command, Reply),
    /// Restart a session's TTL clock (the leader's memory, no log entry), then answer with this if
    /// the session is alive.
    Renew(SessionId, Response),
    /// Change what this agent offers.
    Local(LocalOp),
    /// Save a snapshot of the whole catalog (this server leads, or `?stale`). The node answers with
    /// the bare state as body; the host makes the archive of it.
    SnapshotSave,
    /// Restore this state: the host took it out of the archive before the request entered.
    SnapshotRestore(Bytes),
    /// Operate on the group.
    Operator(OperatorOp),
    /// A server of this other datacenter: the loop forwards it there.
    Elsewhere(Arc<str>),
    /// Only the host knows this. A worker gets it and answers by itself; in the event loop there is
    /// no such endpoint.
    Host(HostOp),
}

/// What only the host can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostOp {
    /// The machine: memory, processors, disk. Answered by [`machine`](crate::machine).
    Machine {
        /// Whether the answer is indented.
        pretty: bool,
    },
    /// The state of the view that was read, as an archive. This is the head of the answer.
    Snapshot {
        /// Status and headers.
        head: Response,
    },
    /// The log as it is written from now on, until the client goes away. This is the head of the
    /// answer; lines follow as they come.
    Log {
        /// How much of it.
        level: LogLevel,
        /// Each line as a JSON object.
        json: bool,
        /// Status and headers.
        head: Response,
    },
}

/// How the outcome of a command becomes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `true`, whatever happened without a rejection.
    True,
    /// `true` or `false` from `Outcome::Answer`; `Done` is `true`.
    Answer,
    /// `{"ID": ..}` of a new session.
    SessionId,
    /// Results and errors of a transaction.
    Txn,
    /// 200 with an empty body.
    Empty,
}

/// Changes to what this agent offers (`/v1/agent/service/..`, `/v1/agent/check/..`).
#[derive(Clone, Debug, PartialEq)]
pub enum LocalOp {
    /// Register a service with its checks.
    RegisterService(alloc::boxed::Box<proconsul_checks::ServiceDefinition>, bool),
    /// Deregister it; the answer for an unknown one is a 404-less 500 as Consul gives it.
    DeregisterService(Arc<str>),
    /// Register a check.
    RegisterCheck(alloc::boxed::Box<proconsul_checks::CheckDefinition>),
    /// Deregister it.
    DeregisterCheck(Arc<str>),
    /// A TTL check speaks: status and output.
    UpdateTtl(Arc<str>, CheckStatus, Arc<str>),
    /// Put a service under maintenance, or take it out.
    ServiceMaintenance(Arc<str>, bool, Arc<str>),
    /// Put the node under maintenance, or take it out.
    NodeMaintenance(bool, Arc<str>),
    /// Re-read configuration files.
    Reload,
    /// Leave and stop.
    Leave,
    /// Meet the agent at this address (a host with or without a port). Answered by
    /// [`done`](crate::done), or refused.
    Join {
        /// Where, as the client wrote it.
        address: Arc<str>,
        /// Through the WAN pool.
        wan: bool,
    },
    /// Tell everyone that a failed member has left. Answered by [`done`](crate::done), or refused.
    ForceLeave {
        /// Its name.
        node: Arc<str>,
        /// Forget it at once.
        prune: bool,
        /// In the WAN pool alone.
        wan: bool,
    },
    /// Tell everyone of an event. `id` and `time` are filled in. Answered by
    /// [`event_fired`](crate::event_fired), or refused.
    FireEvent(alloc::boxed::Box<UserEvent>),
    /// Change or list keys. Answered by [`keys_answered`](crate::keys_answered), or refused. Client
    /// agents have it done by a server.
    Keys(KeyringOp),
}

/// Operations on the group of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorOp {
    /// Remove a server by id.
    RemovePeer(NodeId),
    /// Hand leadership over, to this server if named.
    TransferLeader(Option<NodeId>),
}
