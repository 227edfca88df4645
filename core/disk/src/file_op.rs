//! What the host is asked to do with files.

use alloc::sync::Arc;
use bytes::Bytes;
use core::fmt;

/// Names a completion. Tokens grow and are never used twice in one life of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoToken(pub u64);

/// Operations of one lane are performed in the order given; lanes do not wait for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The Raft log: small, urgent.
    Log,
    /// Snapshots: large, patient.
    Snapshot,
    /// This agent's own registrations, node id, and other small files.
    Local,
}

/// One operation on a file. If one without a token fails, the syncs that promise what it did
/// complete with its error: those of its file, or the next one of the directory of its name (see
/// [`crate::Failures`]). Paths are relative to the data directory, with `/` between parts.
/// Parent directories are made by the host when a file is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOp {
    /// Make an empty file, or empty an existing one; reserve `size` bytes of zeros (0: none).
    Create {
        /// Lane.
        lane: Lane,
        /// Path.
        file: Arc<str>,
        /// Bytes to fill with zeros.
        size: u64,
    },
    /// Write `bytes` at `offset`, growing the file if needed.
    Write {
        /// Lane.
        lane: Lane,
        /// Path.
        file: Arc<str>,
        /// Where.
        offset: u64,
        /// What. Several pieces are written one after another, as one write.
        bytes: Bytes,
    },
    /// Make all earlier writes to `file` durable, then complete `token`.
    Sync {
        /// Lane.
        lane: Lane,
        /// Path.
        file: Arc<str>,
        /// Completion.
        token: IoToken,
    },
    /// Give `from` the name `to`, replacing it.
    Rename {
        /// Lane.
        lane: Lane,
        /// Old path.
        from: Arc<str>,
        /// New path.
        to: Arc<str>,
    },
    /// Remove a file; it is no error if it is not there.
    Unlink {
        /// Lane.
        lane: Lane,
        /// Path.
        file: Arc<str>,
    },
    /// Make creations, renames and removals in the directory `dir` (`""`: the data directory)
    /// durable, then complete `token`.
    SyncDir {
        /// Lane.
        lane: Lane,
        /// Path.
        dir: Arc<str>,
        /// Completion.
        token: IoToken,
    },
}

/// Why a file operation failed. A failed operation of the log lane is final: the node stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// Which file.
    pub file: Arc<str>,
    /// What the operating system said.
    pub reason: Arc<str>,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}
