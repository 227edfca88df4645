//! The disk of a simulated machine: it outlives the process, and forgets what was not synced.

use super::{Completed, Storage};
use bytes::Bytes;
use proconsul_core::disk::{FileOp, IoError, IoToken, Lane};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Files {
    /// What a reader sees now.
    current: BTreeMap<Arc<str>, Vec<u8>>,
    /// What is left after a loss of power.
    durable: BTreeMap<Arc<str>, Vec<u8>>,
}

/// The disk itself: keep a clone, give one to each life of the agent.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    files: Arc<Mutex<Files>>,
    sync_time: Duration,
}

impl MemoryDisk {
    /// An empty disk on which a sync takes this long.
    #[must_use]
    pub fn new(sync_time: Duration) -> Self {
        Self { files: Arc::default(), sync_time }
    }

    /// The power fails: what was not synced is gone.
    pub fn power_loss(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.current = files.durable.clone();
    }

    /// Bytes on it now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.current.values().map(Vec::len).sum()
    }

    /// The part an agent is given.
    #[must_use]
    pub fn storage(&self) -> Box<dyn Storage> {
        Box::new(MemoryStorage { disk: self.clone(), lanes: BTreeMap::new() })
    }

    /// Does one operation; `Some` is the completion it promises.
    fn perform(&self, op: FileOp) -> Option<IoToken> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match op {
            FileOp::Create { file, size, .. } => {
                let zeros = vec![0; usize::try_from(size).unwrap_or(0)];
                files.current.insert(file, zeros);
                None
            }
            FileOp::Write { file, offset, bytes, .. } => {
                let content = files.current.entry(file).or_default();
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(bytes.len());
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[start..end].copy_from_slice(&bytes);
                None
            }
            FileOp::Rename { from, to, .. } => {
                if let Some(content) = files.current.remove(&from) {
                    files.current.insert(to, content);
                }
                None
            }
            FileOp::Unlink { file, .. } => {
                files.current.remove(&file);
                None
            }
            FileOp::Sync { file, token, .. } => {
                if let Some(content) = files.current.get(&file).cloned() {
                    files.durable.insert(file, content);
                }
                Some(token)
            }
            FileOp::SyncDir { dir, token, .. } => {
                files.sync_dir(&dir);
                Some(token)
            }
        }
    }
}

impl Files {
    /// Names in `dir` become durable as they are; the content of a new name is what was synced
    /// under its old one, or what is there (renames follow a sync).
    fn sync_dir(&mut self, dir: &str) {
        let inside = |path: &str| path.rsplit_once('/').map_or("", |(parent, _)| parent) == dir;
        let current = &self.current;
        self.durable.retain(|path, _| !inside(path) || current.contains_key(path));
        for (path, content) in &self.current {
            if inside(path) && !self.durable.contains_key(path) {
                self.durable.insert(Arc::clone(path), content.clone());
            }
        }
    }
}

struct MemoryStorage {
    disk: MemoryDisk,
    lanes: BTreeMap<Lane, mpsc::UnboundedSender<FileOp>>,
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").finish_non_exhaustive()
    }
}

impl Storage for MemoryStorage {
    fn files(&mut self) -> Result<BTreeMap<Arc<str>, Bytes>, IoError> {
        let files = self.disk.files.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = |(path, content): (&Arc<str>, &Vec<u8>)| {
            (Arc::clone(path), Bytes::copy_from_slice(content))
        };
        Ok(files.current.iter().map(copy).collect())
    }

    fn start(&mut self, completed: Completed) -> std::io::Result<()> {
        for lane in [Lane::Log, Lane::Snapshot, Lane::Local] {
            let (sender, mut ops) = mpsc::unbounded_channel();
            self.lanes.insert(lane, sender);
            let (disk, completed) = (self.disk.clone(), Arc::clone(&completed));
            tokio::spawn(async move {
                while let Some(op) = ops.recv().await {
                    if super::token(&op).is_some() {
                        tokio::time::sleep(disk.sync_time).await;
                    }
                    if let Some(token) = disk.perform(op) {
                        completed(token, Ok(()));
                    }
                }
            });
        }
        Ok(())
    }

    fn submit(&mut self, op: FileOp) {
        let lane = match &op {
            FileOp::Create { lane, .. }
            | FileOp::Write { lane, .. }
            | FileOp::Sync { lane, .. }
            | FileOp::Rename { lane, .. }
            | FileOp::Unlink { lane, .. }
            | FileOp::SyncDir { lane, .. } => *lane,
        };
        if let Some(sender) = self.lanes.get(&lane) {
            drop(sender.send(op));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_loss_takes_what_was_not_synced() {
        let disk = MemoryDisk::new(Duration::ZERO);
        let (lane, file): (Lane, Arc<str>) = (Lane::Log, "raft/a".into());
        disk.perform(FileOp::Create { lane, file: file.clone(), size: 0 });
        let write = |offset, text: &'static [u8]| FileOp::Write {
            lane,
            file: file.clone(),
            offset,
            bytes: Bytes::from_static(text),
        };
        disk.perform(write(0, b"kept"));
        disk.perform(FileOp::Sync { lane, file: file.clone(), token: IoToken(1) });
        disk.perform(FileOp::SyncDir { lane, dir: "raft".into(), token: IoToken(2) });
        disk.perform(write(4, b"lost"));
        disk.power_loss();
        assert_eq!(&disk.storage().files().unwrap()["raft/a"][..], b"kept");
    }
}
