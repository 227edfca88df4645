//! The sockets of a pool: datagrams and streams, carried between a network and whoever holds the
//! pool's state machine (the agent's loop, or a [`bare`] member).
//!
//! Invariant: nothing here decides and nothing here waits for the loop's sake. What came is handed
//! over by a queue with an end: datagrams that find it full are lost, as in any network; streams
//! are read more slowly.

pub mod bare;
mod sockets;
mod stream;

pub(crate) use sockets::PoolInput;
pub use sockets::{Bound, Heard, Sockets};
