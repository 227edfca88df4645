//! One node: the parts wired together behind one way in and one way out.
//!
//! A host calls [`Node::step`] with what happened and performs the [`Effect`]s in order; it wakes
//! the node at [`Node::next_wakeup`]. That is all a host knows.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod addresses;
mod agent;
mod agreement;
mod apply;
mod blocking;
mod boot;
mod calls;
mod clients;
mod cluster;
mod config;
mod departure;
mod durable;
mod effect;
mod entry;
mod event;
mod events;
mod expect;
mod input;
mod invariants;
mod joining;
mod keys;
mod leader;
mod members;
mod node;
mod open;
mod peer;
mod places;
mod pools;
mod proposals;
mod publish;
mod reads;
mod rejoin;
mod restoring;
mod run;
mod servers;
mod sessions;
mod snapshots;
mod status;
mod timers;

pub use cluster::{Cluster, Coordinates, Joining};
pub use config::{Boot, BootError, Config, PeerEntry};
pub use effect::{Effect, ExitReason, Wakeup};
pub use event::Event;
pub use input::{Admin, Configured, DnsTransport, Input, Lookup, RequestId};
pub use node::Node;
pub use peer::{Call, CallAnswer, CallId, PeerMessage};
pub use status::Status;

// What hosts need of the parts, so that they depend on this crate alone.
pub use proconsul_catalog as catalog;
pub use proconsul_checks as checks;
pub use proconsul_disk as disk;
pub use proconsul_dns as dns;
pub use proconsul_gossip as gossip;
pub use proconsul_http as http;
pub use proconsul_raft as raft;
pub use proconsul_syntax as syntax;
pub use proconsul_types as types;
pub use proconsul_wire as wire;
