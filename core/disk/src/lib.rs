//! Log segments, hard state and snapshot files: format, ordering and recovery as pure functions.
//!
//! Nothing here touches a file: [`FileOp`] says what to do, completions come back by token.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod file_op;

pub use file_op::{FileOp, IoError, IoToken, Lane};
