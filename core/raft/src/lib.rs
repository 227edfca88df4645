//! One order of entries: Raft as a state machine without clock, entropy, disk or network.
//!
//! Payloads are opaque bytes; `raft` does not know what a key is.
//! Source: D. Ongaro, *Consensus: Bridging Theory and Practice* (2014), cited by section.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod config;
mod effect;
mod input;
mod message;

pub use config::{Boot, Config, HardState, Member, Membership, SnapshotMeta};
pub use effect::{Effect, Event, Persist, Refusal};
pub use input::{Input, MembershipChange, Ticket};
pub use message::{Entry, Message, Payload, SnapshotChunk};
