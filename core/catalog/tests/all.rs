//! All tests of the catalog from outside, in one binary.

mod codec;
mod indexes;
mod model;
mod planted;
mod registration;
mod sessions;
mod support;
mod txn;
