//! What agents say to one another.

use alloc::string::String;
use proconsul_catalog::{Command, Outcome};
use proconsul_http::{Request, Response};
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
        call: Call,
    },
    /// The answer to a call.
    Reply {
        /// The caller's name for it.
        id: CallId,
        /// The answer.
        answer: CallAnswer,
    },
    /// The caller no longer wants an answer.
    Abandon(CallId),
}

/// What one agent can ask of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Answer this HTTP request as the leader (blocking ones park there).
    Http(Request),
    /// Propose this command.
    Apply(Command),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallAnswer {
    /// The response to an HTTP request.
    Http(Response),
    /// The outcome of a command.
    Applied(Outcome),
    /// The called server does not lead: try the one it names, or wait. Nothing was done.
    NotLeader(Option<proconsul_types::NodeId>),
    /// It failed with this text; whether it was done is unknown.
    Failed(String),
}
