//! Small files of this agent, replaced as a whole: old bytes or new bytes, never a mix.

use crate::names::{directory, temporary};
use crate::{FileOp, IoError, IoToken, Lane};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// A file that has reached the state asked for, durably, or could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDone {
    /// Which.
    pub file: Arc<str>,
    /// How it went. After an error the file holds its old bytes or its new ones.
    pub result: Result<(), IoError>,
}

#[derive(Clone, Debug)]
enum Change {
    Replace(Bytes),
    Remove,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The new bytes are being synced under the temporary name.
    Bytes,
    /// The directory is being synced.
    Directory,
}

/// Replaces and removes small files, in order per file: write under another name, sync, rename,
/// sync the directory.
#[derive(Clone, Debug)]
pub struct LocalFiles {
    next_token: u64,
    waiting: BTreeMap<IoToken, (Arc<str>, Stage)>,
    /// Files being changed, each with what comes after (only the newest wish is kept).
    busy: BTreeMap<Arc<str>, Option<Change>>,
}

impl LocalFiles {
    /// Nothing under way. Completions are named from `token` on: a host of several parts tells by
    /// that whose completion came.
    #[must_use]
    pub fn new(token: u64) -> Self {
        Self { next_token: token, waiting: BTreeMap::new(), busy: BTreeMap::new() }
    }

    /// Gives `file` these bytes. A replacement that has not begun yet gives way to a newer wish.
    pub fn replace(&mut self, file: &Arc<str>, bytes: Bytes, out: &mut Vec<FileOp>) {
        self.change(file, Change::Replace(bytes), out);
    }

    /// Removes `file`.
    pub fn remove(&mut self, file: &Arc<str>, out: &mut Vec<FileOp>) {
        self.change(file, Change::Remove, out);
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.busy.is_empty()
    }

    /// Takes a completion. Completions that are unknown or come twice change nothing.
    pub fn on_io(
        &mut self,
        token: IoToken,
        result: Result<(), IoError>,
        out: &mut Vec<FileOp>,
    ) -> Option<LocalDone> {
        let (file, stage) = self.waiting.remove(&token)?;
        match (stage, result) {
            (Stage::Bytes, Ok(())) => {
                let lane = Lane::Local;
                out.push(FileOp::Rename { lane, from: temporary(&file), to: file.clone() });
                self.sync_directory(file, out);
                None
            }
            (Stage::Directory, Ok(())) => Some(self.finish(file, Ok(()), out)),
            (Stage::Bytes | Stage::Directory, Err(error)) => {
                out.push(FileOp::Unlink { lane: Lane::Local, file: temporary(&file) });
                Some(self.finish(file, Err(error), out))
            }
        }
    }

    fn change(&mut self, file: &Arc<str>, change: Change, out: &mut Vec<FileOp>) {
        if let Some(next) = self.busy.get_mut(file) {
            *next = Some(change);
            return;
        }
        self.busy.insert(file.clone(), None);
        self.begin(file.clone(), change, out);
    }

    fn begin(&mut self, file: Arc<str>, change: Change, out: &mut Vec<FileOp>) {
        let lane = Lane::Local;
        match change {
            Change::Replace(bytes) => {
                let name = temporary(&file);
                out.push(FileOp::Create { lane, file: name.clone(), size: 0 });
                out.push(FileOp::Write { lane, file: name.clone(), offset: 0, bytes });
                let token = self.token(file, Stage::Bytes);
                out.push(FileOp::Sync { lane, file: name, token });
            }
            Change::Remove => {
                out.push(FileOp::Unlink { lane, file: file.clone() });
                self.sync_directory(file, out);
            }
        }
    }

    fn sync_directory(&mut self, file: Arc<str>, out: &mut Vec<FileOp>) {
        let dir = Arc::from(directory(&file));
        let token = self.token(file, Stage::Directory);
        out.push(FileOp::SyncDir { lane: Lane::Local, dir, token });
    }

    fn finish(
        &mut self,
        file: Arc<str>,
        result: Result<(), IoError>,
        out: &mut Vec<FileOp>,
    ) -> LocalDone {
        match self.busy.get_mut(&file).and_then(Option::take) {
            Some(change) => self.begin(file.clone(), change, out),
            None => {
                self.busy.remove(&file);
            }
        }
        LocalDone { file, result }
    }

    fn token(&mut self, file: Arc<str>, stage: Stage) -> IoToken {
        self.next_token += 1;
        let token = IoToken(self.next_token);
        self.waiting.insert(token, (file, stage));
        token
    }
}
