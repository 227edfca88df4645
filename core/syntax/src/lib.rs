//! Text that people write: filter expressions, Go durations, names, configuration files.
//!
//! - [`filter`]: the `filter=` language of the HTTP API, with its error texts.
//! - [`duration`]: durations as Go reads and prints them (`1m30s`).
//! - [`name`]: what may be a DNS label.
//! - [`pattern`]: regular expressions as Go reads them.
//! - [`document`]: HCL and JSON configuration text as one kind of value.
//!
//! Invariant: pure functions of their text; hostile text is an error, never a panic, and costs no
//! more than a small multiple of its length.
//!
//! This crate itself is `no_std`; `regex` below it links the standard library.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

pub mod document;
pub mod duration;
pub mod filter;
mod hcl;
pub mod name;
pub mod pattern;
