//! The bytes of gossip, held against what real agents sent and against what they accept.
//!
//! `fixtures/` holds one JSON object per capture: the bytes, what they mean, and for encrypted
//! ones the keys, the nonce and the plaintext.

#![expect(clippy::unwrap_used, reason = "a fixture that is not as told fails the test")]

#[path = "../../fuzz/exercise.rs"]
mod exercise;
mod expected;
mod fixture;
mod golden;
mod hostile;
mod round_trip;
mod tolerance;
