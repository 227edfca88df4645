//! Log segments, hard state and snapshot files: format, ordering and recovery as pure functions.
//!
//! Nothing here touches a file: [`FileOp`] says what to do, completions come back by token.
//! [`Store`] is the log of one server, [`recover()`] reads back what it wrote, [`LocalFiles`]
//! replaces small files, [`Failures`] is what a host remembers. The bytes are drawn in this crate's
//! README.
//!
//! Invariants: disk sees ids and bytes, never what they mean; a batch is reported durable only when
//! its bytes and the name of its file are; at most one log write and sync are under way; recovery
//! cuts only what was never reported, and refuses everything else.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod batch;
mod failures;
mod file_op;
mod format;
mod local;
mod names;
mod recover;
mod snapshot;
mod store;

pub use batch::{Batch, Entry, HardState, Progress, SnapshotProgress};
pub use failures::Failures;
pub use file_op::{FileOp, IoError, IoToken, Lane};
pub use local::{LocalDone, LocalFiles};
pub use names::DIRECTORY;
pub use recover::{RecoverError, Recovered, TailCut, recover};
pub use snapshot::SnapshotFile;
pub use store::{Config, Store};
