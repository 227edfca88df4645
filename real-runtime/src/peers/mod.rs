//! Connections between servers: one TCP connection for each direction, opened by the one who
//! speaks. Both greet; after that the one who was dialled is silent.
//!
//! Invariant: messages of one peer leave in the order they were given; when any is dropped, the
//! loop hears `PeerLost`.

mod dial;
mod greet;
mod listen;

pub(crate) use dial::Peers;
pub(crate) use listen::serve;
