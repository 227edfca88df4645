//! Bytes between agents: the greeting and the frames of our own RPC.
//!
//! A connection to the server port (8300) begins with one byte that chooses the protocol. Consul
//! uses 0 to 8 and TLS 0x16; ours is [`FIRST_BYTE`], so that Consul's own can be served beside it
//! later. Then each side sends one greeting ([`Hello`]) and any number of frames:
//!
//! ```text
//! dialer:   50 | frame(Hello) | frame | frame | ...
//! answerer:      frame(Hello) | frame | frame | ...
//!
//! frame:    length u32 LE | version u8 | body (bincode 2, standard configuration)
//!           length counts version and body: 1 ..= limits::PEER_MESSAGE_BYTES_MAX
//! ```
//!
//! [`encode`] and [`decode`] are the one place that knows the body's form; [`FrameReader`] cuts a
//! stream into frames without trusting a length. Messages themselves are typed values that other
//! crates own: what is a promise is the form, held by golden vectors in the tests.
//!
//! Invariant: wire knows bytes, not meaning; no hostile byte makes it panic or reserve more than
//! a small multiple of what was received.
//!
//! The room for gossip: memberlist's and Serf's packets (message numbers, compound, compression,
//! checksum, labels, encryption, the msgpack dialect) will be encoded and decoded here when
//! `proconsul-gossip` is built. Nothing of it exists yet.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod codec;
pub mod crypto;
mod frame;
mod hello;
pub mod memberlist;
pub mod packet;
pub mod serf;
pub mod stream;

pub use codec::{DecodeError, EncodeError, VERSION, decode, encode, frame};
pub use frame::{FrameError, FrameReader};
pub use hello::{FIRST_BYTE, Hello};
