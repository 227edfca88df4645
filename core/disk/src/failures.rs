//! What a host remembers of operations that failed, until a completion tells of it.

use crate::names::directory;
use crate::{FileOp, IoError};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// The failures of one lane: by file, so that no file's failure is taken for another's.
///
/// A file that an operation failed on is worth nothing until it is made anew or removed: nothing
/// more is written to it, it gets no other name, and each of its syncs fails. What went wrong with
/// names is told by the next sync of their directory.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    files: BTreeMap<Arc<str>, IoError>,
    directories: BTreeMap<Arc<str>, IoError>,
}

impl Failures {
    /// Whether `op`, which comes next, must not be performed, because what it builds on failed.
    pub fn forbid(&mut self, op: &FileOp) -> bool {
        match op {
            FileOp::Create { file, .. } | FileOp::Unlink { file, .. } => {
                self.files.remove(file);
                false
            }
            FileOp::Write { file, .. } | FileOp::Sync { file, .. } => self.files.contains_key(file),
            FileOp::Rename { from, to, .. } => match self.files.get(from) {
                Some(error) => {
                    self.directories.insert(directory(to).into(), error.clone());
                    true
                }
                None => {
                    self.files.remove(to);
                    false
                }
            },
            FileOp::SyncDir { dir, .. } => self.directories.contains_key(dir),
        }
    }

    /// `op` was performed and failed.
    pub fn note(&mut self, op: &FileOp, error: IoError) {
        match op {
            FileOp::Create { file, .. }
            | FileOp::Write { file, .. }
            | FileOp::Sync { file, .. } => {
                self.files.insert(Arc::clone(file), error);
            }
            FileOp::Rename { to: file, .. } | FileOp::Unlink { file, .. } => {
                self.directories.insert(directory(file).into(), error);
            }
            FileOp::SyncDir { dir, .. } => {
                self.directories.insert(Arc::clone(dir), error);
            }
        }
    }

    /// What the completion of `op`, a sync, says.
    ///
    /// # Errors
    /// What failed before it, or in it.
    pub fn told(&mut self, op: &FileOp) -> Result<(), IoError> {
        let failed = match op {
            FileOp::Sync { file, .. } => self.files.get(file).cloned(),
            FileOp::SyncDir { dir, .. } => self.directories.remove(dir),
            FileOp::Create { .. }
            | FileOp::Write { .. }
            | FileOp::Rename { .. }
            | FileOp::Unlink { .. } => None,
        };
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IoToken, Lane};
    use bytes::Bytes;

    const LANE: Lane = Lane::Snapshot;

    fn write(file: &str) -> FileOp {
        FileOp::Write { lane: LANE, file: file.into(), offset: 0, bytes: Bytes::new() }
    }

    fn sync(file: &str) -> FileOp {
        FileOp::Sync { lane: LANE, file: file.into(), token: IoToken(1) }
    }

    fn rename(from: &str, to: &str) -> FileOp {
        FileOp::Rename { lane: LANE, from: from.into(), to: to.into() }
    }

    fn full(file: &str) -> IoError {
        IoError { file: file.into(), reason: "no space left on device".into() }
    }

    #[test]
    fn no_file_tells_of_anothers_failure() {
        let mut failures = Failures::default();
        failures.note(&write("d/a"), full("d/a"));
        assert!(!failures.forbid(&write("d/b")) && !failures.forbid(&sync("d/b")));
        assert_eq!(failures.told(&sync("d/b")), Ok(()));
        assert!(failures.forbid(&write("d/a")), "nothing is written behind a hole");
        for _ in 0..2 {
            assert_eq!(failures.told(&sync("d/a")), Err(full("d/a")), "and no sync mends it");
        }
        let file = "d/a".into();
        assert!(!failures.forbid(&FileOp::Create { lane: LANE, file, size: 0 }));
        assert!(!failures.forbid(&write("d/a")) && failures.told(&sync("d/a")).is_ok());
    }

    #[test]
    fn a_broken_file_takes_nobodys_place() {
        let mut failures = Failures::default();
        failures.note(&sync("d/a.tmp"), full("d/a.tmp"));
        assert!(failures.forbid(&rename("d/a.tmp", "d/a")));
        let listed = FileOp::SyncDir { lane: LANE, dir: "d".into(), token: IoToken(2) };
        assert!(failures.forbid(&listed));
        assert_eq!(failures.told(&listed), Err(full("d/a.tmp")));
        assert!(!failures.forbid(&listed) && failures.told(&listed).is_ok(), "told once");
        assert!(!failures.forbid(&rename("d/b.tmp", "d/a")));
    }
}
