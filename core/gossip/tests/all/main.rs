//! What a pool promises, seen from outside: members of one crate in a small simulated network.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant among many")]

mod detection;
mod exchanges;
mod net;
#[cfg(feature = "planted")]
mod planted;
mod random;
mod rules;
mod serf;
mod solo;
