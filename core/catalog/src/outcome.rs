//! What a write did: the answer to its author, and what others must be told.

use crate::Topics;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{Check, Duration, KvPair, Node, Service, SessionId};
use serde::{Deserialize, Serialize};

/// The whole result of applying one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer to whoever proposed it.
    pub outcome: Outcome,
    /// What changed, for the watchers.
    pub topics: Topics,
    /// What the leader's timers must know.
    pub facts: Vec<Fact>,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, or not: the `true` and `false` of compare-and-set, acquire and release.
    Answer(bool),
    /// The session exists.
    Session(SessionId),
    /// The transaction's results in order.
    Txn(Vec<TxnResult>),
    /// The transaction changed nothing, for these reasons.
    TxnFailed(Vec<TxnError>),
    /// Nothing changed; the text is the one Consul's server would send.
    Rejected(Rejected),
}

impl Outcome {
    /// Why a transaction changed nothing; empty if that is not what happened.
    #[must_use]
    pub fn into_txn_errors(self) -> Vec<TxnError> {
        match self {
            Self::TxnFailed(errors) => errors,
            Self::Done | Self::Answer(_) | Self::Session(_) | Self::Txn(_) | Self::Rejected(_) => {
                Vec::new()
            }
        }
    }
}

/// A refusal by the catalog, with the text clients match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The exact text.
    pub text: String,
}

/// One result of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TxnResult {
    /// The pair read or written.
    Pair {
        /// The pair. Writes show it without its value.
        pair: KvPair,
        /// Whether the value is to be shown.
        with_value: bool,
    },
    /// The node read or written.
    Node(Box<Node>),
    /// The instance read or written.
    Service(Box<Service>),
    /// The check read or written.
    Check(Box<Check>),
}

/// Why a transaction failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnError {
    /// Which operation, from 0.
    pub op: u32,
    /// The exact text.
    pub text: String,
}

/// What the leader's timers must know of an applied command. Every server sees the same facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A session began; with a TTL (of its text, parsed) it needs a timer.
    SessionCreated(SessionId, Option<Duration>),
    /// A session ended.
    SessionDestroyed(SessionId),
    /// A key may not be acquired until its delay has passed.
    LockDelayed(Arc<str>, Duration),
    /// Its delay is over.
    LockDelayOver(Arc<str>),
    /// Everything was replaced: rebuild every timer from the catalog.
    Restored,
}
