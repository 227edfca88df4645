//! One node: the parts wired together behind one way in and one way out.
//!
//! A host calls [`Node::step`] with what happened and performs the [`Effect`]s in order; it wakes
//! the node at [`Node::next_wakeup`]. That is all a host knows.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod addresses;
mod agent;
mod apply;
mod blocking;
mod boot;
mod calls;
mod config;
mod durable;
mod effect;
mod event;
mod input;
mod invariants;
mod node;
mod open;
mod peer;
mod proposals;
mod publish;
mod reads;
mod run;
mod sessions;
mod snapshots;
mod status;
mod timers;

pub use config::{Boot, BootError, Config, PeerEntry};
pub use effect::{Effect, ExitReason, Wakeup};
pub use event::Event;
pub use input::{Admin, DnsTransport, Input, RequestId};
pub use node::Node;
pub use peer::{Call, CallAnswer, CallId, PeerMessage};
pub use status::Status;

// What hosts need of the parts, so that they depend on this crate alone.
pub use proconsul_catalog as catalog;
pub use proconsul_checks as checks;
pub use proconsul_disk as disk;
pub use proconsul_dns as dns;
pub use proconsul_http as http;
pub use proconsul_raft as raft;
pub use proconsul_syntax as syntax;
pub use proconsul_types as types;
pub use proconsul_wire as wire;
