//! One order of entries: Raft as a state machine without clock, entropy, disk or network.
//!
//! Payloads are opaque bytes; `raft` does not know what a key is.
//! Source: D. Ongaro, *Consensus: Bridging Theory and Practice* (2014), cited by section.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod boot;
mod config;
mod durable;
mod effect;
mod election;
mod follower;
mod input;
mod install;
mod invariants;
mod leader;
mod lease;
mod log;
mod machine;
mod membership;
mod message;
mod progress;
mod proposal;
mod read;
mod replication;
mod role;
mod snapshot;
mod status;
mod timers;
mod transfer;

pub use config::{Boot, Config, HardState, Member, Membership, SnapshotMeta};
pub use effect::{Effect, Event, Persist, Refusal};
pub use input::{Input, MembershipChange, Ticket};
pub use machine::Raft;
pub use message::{Entry, Message, Payload, SnapshotChunk};
pub use status::{FollowerStatus, ReplicationMode, Role, Status};
pub use timers::Timer;
