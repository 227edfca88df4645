//! What one agent offers: its own services and checks, and how they reach the catalog.
//!
//! Invariant: this crate runs no probe itself; it says what to run and takes the outcome.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod config;
mod definition;
mod effect;
mod local;
mod output;
pub mod parse;
mod persist;
mod probe;
mod sync;
mod view;

pub use config::LocalConfig;
pub use definition::{CheckDefinition, CheckKind, ServiceDefinition};
pub use effect::{LocalEffect, LocalError, Synced, Ticket};
pub use local::{Local, LocalWakeup, NODE_MAINTENANCE, SERVICE_MAINTENANCE_PREFIX};
pub use output::Tail;
pub use probe::{CheckOutcome, CheckRun, ProbeSpec};
pub use sync::SyncId;
pub use view::{LocalCheck, LocalService, LocalView};
