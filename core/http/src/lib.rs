//! The HTTP API as a function: a request and a view go in, a decision comes out. No sockets.
//!
//! Invariant: this crate does not know whether it runs in the simulator, in the event loop of an
//! agent or on one of its worker threads.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod cache;
mod content_hash;
mod decide;
mod endpoint;
pub mod error;
mod json;
mod message;
mod near;
mod params;
mod path;
mod plan;
mod pools;
mod render;
mod respond;
mod route;
mod view;
mod wan;

pub use cache::BodyCache;
pub use decide::{PlanContext, plan, read, wait_asked};
pub use message::{Method, Request, Response};
pub use plan::{Consistency, HostOp, LocalOp, OperatorOp, Plan, Reply, Wait};
pub use pools::{
    AutopilotHealth, KeyAction, KeyringAnswer, KeyringOp, PoolMembers, PoolView, ServerHealth,
    UserEvent,
};
pub use render::{
    done, event_fired, forward, keys_answered, local_refused, machine, render, snapshot,
};
pub use route::is_snapshot;
pub use view::{
    AgentFacts, HostFacts, Leadership, LogPosition, QueryTimes, Server, StateCheck, View,
};
