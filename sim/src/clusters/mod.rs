//! Worlds of whole agents: servers and clients of several datacenters, each one a
//! [`proconsul_core::Node`] with its pools, its disk and its clock, over links that cut, delay and
//! lose; machines that crash, move, forget, leave, and come for the first time.
//!
//! Everything that happens is an item of a [`Plan`]: faults, what people ask of agents, and what
//! must hold at a moment. A story is a function from a seed to a plan, so that one that fails
//! shrinks like a world that the swarm drew ([`drawn`]).
//!
//! - [`plan`]: the text. `world`: the event loop. `machines`: who runs, and on what. `config`: what
//!   an agent is told. `wires`: connections between agents, datagrams and streams of their pools.
//! - `acts`: what acts do. `asks`: requests and their answers.
//! - `judge`: what must hold at any time. `told`: what the catalog says of agents. `reads`: what
//!   keys may say. `watches`: who is woken, and by what. `rest`: how a cluster stands when
//!   everything was healed: the catalog is what live agents offer, in every datacenter.

mod acts;
mod asks;
mod config;
pub mod drawn;
mod judge;
mod machines;
pub mod plan;
mod reads;
mod rest;
mod told;
mod watches;
mod wires;
mod world;

pub use plan::{Carrier, Fact, Options, Plan, What, Who};
pub use world::World;

/// A story of agents with a name.
pub type ClusterStory = crate::plans::PlannedStory<Options>;
