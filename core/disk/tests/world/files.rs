//! A file system that forgets: what was not synced survives a crash in part, in any order.

use bytes::Bytes;
use proconsul_disk::{Failures, FileOp, IoError, IoToken};
use proconsul_types::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
struct Inode {
    synced: Vec<u8>,
    /// Sectors written since: (offset, bytes), in order.
    writes: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum NameOp {
    Link(Arc<str>, u64),
    Unlink(Arc<str>),
    Rename(Arc<str>, Arc<str>),
}

/// One directory tree and what of it would survive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<Arc<str>, u64>,
    synced_names: BTreeMap<Arc<str>, u64>,
    name_ops: Vec<NameOp>,
    next: u64,
    /// Whether the next sync fails and forgets what it should have written.
    pub(crate) fail_next_sync: bool,
    /// Whether the next write finds room for half of its bytes.
    pub(crate) fail_next_write: bool,
    failures: Failures,
}

/// Which of the things not yet durable survive a crash.
pub(crate) trait Fate {
    fn survives(&mut self) -> bool;
}

impl Fate for Rng {
    fn survives(&mut self) -> bool {
        self.chance(1, 2)
    }
}

/// The bits of a number, one for each thing.
pub(crate) struct Bits(pub(crate) u64);

impl Fate for Bits {
    fn survives(&mut self) -> bool {
        let bit = self.0 & 1 == 1;
        self.0 >>= 1;
        bit
    }
}

fn name_op(names: &mut BTreeMap<Arc<str>, u64>, op: &NameOp) {
    match op {
        NameOp::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        NameOp::Unlink(name) => {
            names.remove(name);
        }
        NameOp::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl Files {
    /// Performs one operation; a sync gives the token and how it went.
    pub(crate) fn perform(&mut self, op: &FileOp) -> Option<(IoToken, Result<(), IoError>)> {
        if self.failures.forbid(op) {
            return match op {
                FileOp::Sync { token, .. } | FileOp::SyncDir { token, .. } => {
                    Some((*token, self.failures.told(op)))
                }
                FileOp::Create { .. }
                | FileOp::Write { .. }
                | FileOp::Rename { .. }
                | FileOp::Unlink { .. } => None,
            };
        }
        match op {
            FileOp::Create { file, size, .. } => {
                self.next += 1;
                let size = usize::try_from(*size).unwrap();
                let mut inode = Inode::default();
                if size > 0 {
                    inode.writes.push((0, vec![0; size]));
                }
                self.inodes.insert(self.next, inode);
                self.names.insert(file.clone(), self.next);
                self.name_ops.push(NameOp::Link(file.clone(), self.next));
                None
            }
            FileOp::Write { file, offset, bytes, .. } => {
                let inode = self.names.get(file).expect("a file is created before it is written");
                let inode = self.inodes.get_mut(inode).unwrap();
                let mut at = usize::try_from(*offset).unwrap();
                let mut rest = &bytes[..];
                if std::mem::take(&mut self.fail_next_write) {
                    rest = &rest[..rest.len() / 2];
                    let reason = "no space left on device".into();
                    self.failures.note(op, IoError { file: file.clone(), reason });
                }
                while !rest.is_empty() {
                    let room = SECTOR - at % SECTOR;
                    let (now, later) = rest.split_at(room.min(rest.len()));
                    inode.writes.push((at, now.to_vec()));
                    at += now.len();
                    rest = later;
                }
                None
            }
            FileOp::Sync { file, token, .. } => {
                let inode = self.names.get(file).copied();
                let inode = inode.and_then(|inode| self.inodes.get_mut(&inode));
                let Some(inode) = inode else {
                    let reason = "no such file".into();
                    return Some((*token, Err(IoError { file: file.clone(), reason })));
                };
                let writes = std::mem::take(&mut inode.writes);
                if std::mem::take(&mut self.fail_next_sync) {
                    // What Linux does: the pages are clean from now on, and gone.
                    let reason = "input/output error".into();
                    return Some((*token, Err(IoError { file: file.clone(), reason })));
                }
                for (offset, bytes) in writes {
                    put(&mut inode.synced, offset, &bytes);
                }
                Some((*token, Ok(())))
            }
            FileOp::Rename { from, to, .. } => {
                let op = NameOp::Rename(from.clone(), to.clone());
                name_op(&mut self.names, &op);
                self.name_ops.push(op);
                None
            }
            FileOp::Unlink { file, .. } => {
                let op = NameOp::Unlink(file.clone());
                if self.names.contains_key(file) {
                    name_op(&mut self.names, &op);
                    self.name_ops.push(op);
                }
                None
            }
            FileOp::SyncDir { dir, token, .. } => {
                let of_dir = |op: &NameOp| {
                    let (NameOp::Link(file, _) | NameOp::Unlink(file) | NameOp::Rename(file, _)) =
                        op;
                    file.rsplit_once('/').map_or("", |(dir, _)| dir) == &**dir
                };
                let (now, later) = self.name_ops.drain(..).partition::<Vec<_>, _>(of_dir);
                for op in now {
                    name_op(&mut self.synced_names, &op);
                }
                self.name_ops = later;
                Some((*token, Ok(())))
            }
        }
    }

    /// What failed is known to the process alone.
    pub(crate) fn process_ends(&mut self) {
        self.failures = Failures::default();
    }

    /// What a process sees that starts without a crash in between.
    pub(crate) fn view(&self) -> BTreeMap<Arc<str>, Bytes> {
        let read = |inode: &u64| {
            let inode = &self.inodes[inode];
            let mut bytes = inode.synced.clone();
            for (offset, sector) in &inode.writes {
                put(&mut bytes, *offset, sector);
            }
            Bytes::from(bytes)
        };
        self.names.iter().map(|(name, inode)| (name.clone(), read(inode))).collect()
    }

    /// How many things hang in the balance.
    pub(crate) fn unsynced(&self) -> usize {
        let writes: usize = self.inodes.values().map(|inode| inode.writes.len()).sum();
        writes + self.name_ops.len()
    }

    /// The file system after the power went, with those unsynced things that fate lets survive.
    pub(crate) fn crash(&self, fate: &mut dyn Fate) -> Self {
        let mut names = self.synced_names.clone();
        for op in &self.name_ops {
            if fate.survives() {
                name_op(&mut names, op);
            }
        }
        let mut inodes = BTreeMap::new();
        for (number, inode) in &self.inodes {
            let mut synced = inode.synced.clone();
            for (offset, sector) in &inode.writes {
                if fate.survives() {
                    put(&mut synced, *offset, sector);
                }
            }
            inodes.insert(*number, Inode { synced, writes: Vec::new() });
        }
        Self {
            inodes,
            synced_names: names.clone(),
            names,
            name_ops: Vec::new(),
            next: self.next,
            fail_next_sync: false,
            fail_next_write: false,
            failures: Failures::default(),
        }
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> usize {
        self.view().values().map(Bytes::len).sum()
    }
}
