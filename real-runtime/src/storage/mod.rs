//! Where files live: a data directory, the memory of a simulated machine, or nowhere (`-dev`).

mod directory;
mod memory;

pub use directory::{Directory, OpenError};
pub use memory::MemoryDisk;

use bytes::Bytes;
use proconsul_core::disk::{FileOp, IoError, IoToken};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Takes the completions of file operations, on any thread.
pub type Completed = Arc<dyn Fn(IoToken, Result<(), IoError>) + Send + Sync>;

/// Performs file operations: those of one lane in order, lanes side by side.
pub trait Storage: Send + fmt::Debug {
    /// Every file that belongs to a lane, by path below the root.
    ///
    /// # Errors
    /// The file that cannot be read and why.
    fn files(&mut self) -> Result<BTreeMap<Arc<str>, Bytes>, IoError>;

    /// Starts the lanes; completions go to `completed`.
    ///
    /// # Errors
    /// What the operating system says.
    fn start(&mut self, completed: Completed) -> std::io::Result<()>;

    /// Queues an operation and returns at once.
    fn submit(&mut self, op: FileOp);
}

/// No storage: nothing is asked of it, and should anything be, it is done at once and forgotten.
#[derive(Default)]
pub struct Nowhere {
    completed: Option<Completed>,
}

impl fmt::Debug for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nowhere")
    }
}

impl Storage for Nowhere {
    fn files(&mut self) -> Result<BTreeMap<Arc<str>, Bytes>, IoError> {
        Ok(BTreeMap::new())
    }

    fn start(&mut self, completed: Completed) -> std::io::Result<()> {
        self.completed = Some(completed);
        Ok(())
    }

    fn submit(&mut self, op: FileOp) {
        if let (Some(token), Some(completed)) = (token(&op), &self.completed) {
            completed(token, Ok(()));
        }
    }
}

/// The completion an operation promises, if it promises one.
fn token(op: &FileOp) -> Option<IoToken> {
    match op {
        FileOp::Sync { token, .. } | FileOp::SyncDir { token, .. } => Some(*token),
        FileOp::Create { .. }
        | FileOp::Write { .. }
        | FileOp::Rename { .. }
        | FileOp::Unlink { .. } => None,
    }
}
