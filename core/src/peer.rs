//! What agents say to one another.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::{Command, Outcome, Place, Register};
use proconsul_http::{KeyringAnswer, KeyringOp, Request, Response};
use proconsul_types::{LogIndex, NodeId};
use serde::{Deserialize, Serialize};

/// The caller's name for a call; it comes back in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// Everything one agent can say to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Raft.
    Raft(proconsul_raft::Message),
    /// Please do this and reply.
    Call {
        /// The caller's name for it.
        id: CallId,
        /// How often it was forwarded already; a call that went round too often is refused.
        hops: u8,
        /// What.
        call: Box<Call>,
    },
    /// The answer to a call.
    Reply {
        /// The caller's name for it.
        id: CallId,
        /// The answer.
        answer: Box<CallAnswer>,
    },
    /// The caller no longer wants an answer.
    Abandon(CallId),
    /// The leader's state after the entry at this index.
    StateHash {
        /// Which entry.
        index: LogIndex,
        /// The hash of the state.
        hash: u64,
    },
}

impl PeerMessage {
    /// The call that this message asks for.
    #[must_use]
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::Call { id, .. } => Some(*id),
            Self::Raft(_) | Self::Reply { .. } | Self::Abandon(_) | Self::StateHash { .. } => None,
        }
    }
}

/// What one agent can ask of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Answer this HTTP request as the leader (blocking ones park there).
    Http(Request),
    /// Propose this command.
    Apply(Command),
    /// Answer this HTTP request as any server would: from the catalog, through the leader, or
    /// through another datacenter. Client agents ask so, and other datacenters.
    Serve(Request),
    /// Have this command proposed, by the leader if this is another server.
    Submit(Command),
    /// What does the catalog say of this node? Answered by [`CallAnswer::Node`].
    Node(Arc<str>),
    /// An agent's place in the network.
    Place(Box<Place>),
    /// Who belongs to the group of servers? Answered by [`CallAnswer::Peers`], at once.
    Peers,
    /// Answer this DNS question (over a stream: `true`) as the agent that was asked is configured.
    Dns(bool, Bytes, Arc<proconsul_dns::Config>),
    /// Change or list the keys of this datacenter's LAN.
    Keys(KeyringOp),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallAnswer {
    /// The response to an HTTP request.
    Http(Response),
    /// The outcome of a command.
    Applied(Outcome),
    /// The called server does not lead: try the one it names, or wait. Nothing was done.
    NotLeader(Option<NodeId>),
    /// It failed with this text; whether it was done is unknown.
    Failed(String),
    /// Done.
    Done,
    /// A node with everything on it, as a registration; `None` if the catalog has no such node.
    Node(Option<Box<Register>>),
    /// The group of servers; empty if this server has none.
    Peers(Vec<NodeId>),
    /// An answer of DNS; empty: none was due.
    Dns(Bytes),
    /// What each pool said.
    Keys(Vec<KeyringAnswer>),
}
