//! Who is here: one pool of gossip (the LAN of a datacenter, or the WAN between them).
//!
//! One state machine per pool, of the same shape as the other parts: inputs, a clock and a stream
//! of random numbers in; effects out.
//!
//! - SWIM: probe rounds with indirect probes, suspicion with a deadline that confirmations shorten,
//!   incarnations and refutation, dissemination by piggyback (Das, Gupta, Motivala, DSN 2002).
//! - Lifeguard: local health that slows an agent down before it accuses others (Dadgar, Phillips,
//!   Currey, 2017).
//! - Serf on top: member statuses, leave and join intents under Lamport clocks, user events and
//!   queries, network coordinates, the rejoin file, the keyring.
//!
//! It speaks memberlist's and Serf's bytes, so that a real agent can join and judge it. Those bytes
//! are encoded in `proconsul-wire`, never here.
//!
//! Invariant: gossip knows members, never services, and it never sees Raft or the catalog.
#![no_std]

extern crate alloc;

mod config;
mod coordinate;
mod digest;
mod face;
mod founding;
mod gossip;
mod network;
mod recent;
mod serf;
mod server;
mod swim;

pub use config::{Admission, Config, Timing};
pub use coordinate::distance;
pub use face::{
    Asked, Effect, Event, Input, KeyOp, KeyReport, Member, Placed, QueryId, QueryParams,
    StreamEvent, StreamId,
};
pub use founding::Founding;
pub use gossip::{Gossip, Status};
pub use network::{Network, NoNetwork};
pub use serf::{Clocks, QueueLengths};
pub use server::{Build, Server, server_of};
