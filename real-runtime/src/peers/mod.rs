//! Connections between agents: one TCP connection for each direction, opened by the one who
//! speaks. Both greet; after that the one who was dialled is silent.
//!
//! A client agent cannot be dialled (it says port 0): what is for it goes back on its own
//! connection.
//!
//! Invariant: messages of one peer leave in the order they were given; when any is dropped, the
//! loop hears `PeerLost`, and so does the peer's if it waits for what was dropped: its own
//! connection is closed. What is too large to be sent is answered in words. `PeerLost` is said of a
//! peer before anything that its next connection brings.

mod dial;
mod framed;
mod greet;
mod lines;
mod listen;

pub(crate) use dial::Peers;
pub(crate) use lines::Lines;
pub(crate) use listen::serve;
