//! What the cluster knows: nodes, services, checks, keys, sessions; apply, read, watch.
//!
//! Invariant: the catalog never sees time, chance, or which node it runs on. Same log, same bytes.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod command;
mod outcome;
mod watch;

pub use command::{
    CheckRegistration, Command, Deregister, KvOp, KvVerb, NodeRegistration, Register,
    ServiceRegistration, SessionCreate, TxnOp,
};
pub use outcome::{Applied, Fact, Outcome, Rejected, TxnError, TxnResult};
pub use watch::{Topic, Topics};

/// Placeholder until the tree is in: replaced by the catalog's author.
#[derive(Clone, Debug, Default)]
pub struct Catalog {}
