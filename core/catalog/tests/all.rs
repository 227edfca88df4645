//! All tests of the catalog from outside, in one binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod codec;
mod indexes;
mod model;
mod places;
mod planted;
mod registration;
mod sessions;
mod support;
mod txn;
