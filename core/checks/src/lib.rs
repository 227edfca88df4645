//! What one agent offers: its own services and checks, and how they reach the catalog.
//!
//! Invariant: this crate runs no probe itself; it says what to run and takes the outcome.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod definition;
mod probe;
mod view;

pub use definition::{CheckDefinition, CheckKind, ServiceDefinition};
pub use probe::{CheckOutcome, CheckRun, ProbeSpec};
pub use view::{LocalCheck, LocalService, LocalView};
