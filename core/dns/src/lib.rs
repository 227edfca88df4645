//! The DNS API as a function: a question and a catalog go in, an answer comes out.
#![warn(clippy::alloc_instead_of_core)]

/// `dns_config` and friends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {}
