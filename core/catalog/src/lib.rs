//! What the cluster knows: nodes, services, checks, keys, sessions; apply, read, watch.
//!
//! Invariant: the catalog never sees time, chance, or which node it runs on. Same log, same bytes.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod autopilot;
mod catalog;
mod checks;
pub mod codec;
mod command;
mod digest;
mod invariants;
mod kv;
mod nodes;
mod outcome;
mod places;
mod quoted;
mod register;
mod restore;
mod services;
mod sessions;
mod snapshot;
mod table;
mod ttl;
mod txn;
mod txn_records;
mod waiters;
mod watch;

pub use autopilot::{Autopilot, AutopilotChange, AutopilotConfig};
pub use catalog::Catalog;
pub use codec::{DecodeError, RestoreError};
pub use command::{
    CheckRegistration, Command, Deregister, KvOp, KvVerb, NodeRegistration, RecordVerb, Register,
    RestorePart, SessionCreate, TxnOp,
};
pub use outcome::{Applied, Fact, Outcome, Rejected, TxnError, TxnResult};
pub use places::Place;
pub use proconsul_types::{ServiceRegistration, radix};
pub use snapshot::{Restore, SnapshotReader};
pub use waiters::Waiters;
pub use watch::{Topic, Topics};
