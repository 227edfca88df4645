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
//! Gossip speaks the bytes of memberlist and Serf, so that real agents can be members:
//! [`memberlist`] and [`serf`] hold the messages as values, [`packet`] and [`stream`] the layers
//! around them (label, encryption, checksum, compression), [`crypto`] the keys, [`consul_event`]
//! the payload of user events. The dialect of msgpack and the LZW are written here: no library
//! has the first's forms and tolerance, and none clears its table where the second's original does.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod codec;
pub mod consul_event;
pub mod crypto;
mod frame;
mod hello;
mod lzw;
pub mod memberlist;
mod msgpack;
pub mod packet;
pub mod serf;
pub mod shared;
pub mod stream;

pub use codec::{DecodeError, EncodeError, LENGTH_BYTES, VERSION, decode, encode, frame};
pub use frame::{FrameError, FrameReader};
pub use hello::{FIRST_BYTE, GREETING_VERSION, Hello};
