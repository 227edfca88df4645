//! proconsul on real machines: sockets, files, clocks, processes around the node of
//! `proconsul-core`.
//!
//! Everything below [`agent`] is written against the tokio shim, so that the same code runs inside
//! the simulator madsim; the command line is for real machines only.
//!
//! Invariant: nothing here decides. What is answered, written or sent was said by core.

pub mod agent;
pub mod archive;
pub mod clock;
mod dns;
mod dns_line;
mod driver;
mod events;
#[cfg(not(madsim))]
mod files;
mod http;
mod indented;
mod limit;
pub mod log;
mod machine;
mod net;
mod peers;
pub mod pool;
mod probe;
mod recurse;
mod refusal;
pub mod reload;
mod script;
mod shared;
pub mod storage;
pub mod witness;

#[cfg(not(madsim))]
pub mod cli;
#[cfg(not(madsim))]
pub mod config;
