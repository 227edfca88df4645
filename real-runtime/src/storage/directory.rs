//! A data directory on a real disk: one thread for each lane, positioned writes, `fdatasync`.

use super::{Completed, Storage};
use bytes::Bytes;
use proconsul_core::disk::{Failures, FileOp, IoError, Lane};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Folders whose files belong to lanes.
const FOLDERS: [&str; 4] = ["raft", "services", "checks", "serf"];
/// Files in them that do not: the operator's.
const NOT_OURS: [&str; 2] = ["raft/peers.json", "raft/peers.info"];
/// Zeros are written in pieces of this size.
const ZEROS: &[u8; 256 * 1024] = &[0; 256 * 1024];
/// Files of one lane that stay open between operations.
const OPEN_FILES_MAX: usize = 16;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made or its lock file cannot be opened.
    #[error("cannot use data directory {}: {source}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another agent runs with it.
    #[error("data directory {} is in use by another agent", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
}

/// A data directory, locked for this process.
pub struct Directory {
    root: PathBuf,
    lanes: BTreeMap<Lane, Sender<FileOp>>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Held for its lock only.
    _lock: File,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Directory {
    /// Makes the directory if need be and locks it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("agent.lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: root.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let root = root.to_owned();
        Ok(Self { root, lanes: BTreeMap::new(), threads: Vec::new(), _lock: lock })
    }
}

impl Drop for Directory {
    /// Waits until everything queued is done, so that the lock is not given up before.
    fn drop(&mut self) {
        self.lanes.clear();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Storage for Directory {
    fn files(&mut self) -> Result<BTreeMap<Arc<str>, Bytes>, IoError> {
        let mut files = BTreeMap::new();
        for folder in FOLDERS {
            read_folder(&self.root, folder, &mut files)?;
        }
        Ok(files)
    }

    fn start(&mut self, completed: Completed) -> io::Result<()> {
        for (lane, name) in
            [(Lane::Log, "log"), (Lane::Snapshot, "snapshot"), (Lane::Local, "local")]
        {
            let (sender, ops) = channel();
            let worker = LaneThread {
                root: self.root.clone(),
                open: BTreeMap::new(),
                failures: Failures::default(),
                completed: Arc::clone(&completed),
            };
            self.lanes.insert(lane, sender);
            self.threads.push(
                thread::Builder::new()
                    .name(format!("disk-{name}"))
                    .stack_size(256 * 1024)
                    .spawn(move || worker.run(&ops))?,
            );
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

fn read_folder(
    root: &Path,
    folder: &str,
    files: &mut BTreeMap<Arc<str>, Bytes>,
) -> Result<(), IoError> {
    let failed = |path: &str, error: &io::Error| io_error(path, error);
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(folder, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(|error| failed(&path, &error))?;
        if kind.is_dir() {
            read_folder(root, &path, files)?;
        } else if !NOT_OURS.contains(&path.as_str()) {
            let content = fs::read(entry.path()).map_err(|error| failed(&path, &error))?;
            files.insert(path.into(), Bytes::from(content));
        }
    }
    Ok(())
}

fn io_error(file: &str, error: &io::Error) -> IoError {
    IoError { file: file.into(), reason: error.to_string().into() }
}

/// The thread of one lane.
struct LaneThread {
    root: PathBuf,
    open: BTreeMap<Arc<str>, File>,
    failures: Failures,
    completed: Completed,
}

impl LaneThread {
    fn run(mut self, ops: &Receiver<FileOp>) {
        while let Ok(op) = ops.recv() {
            if !self.failures.forbid(&op)
                && let Err(error) = self.perform(&op)
            {
                self.failures.note(&op, error);
            }
            if let Some(token) = super::token(&op) {
                (self.completed)(token, self.failures.told(&op));
            }
        }
    }

    fn perform(&mut self, op: &FileOp) -> Result<(), IoError> {
        match op {
            FileOp::Create { file, size, .. } => {
                self.create(file, *size).map_err(|error| io_error(file, &error))
            }
            FileOp::Write { file, offset, bytes, .. } => self
                .opened(file)
                .and_then(|open| open.write_all_at(bytes, *offset))
                .map_err(|error| io_error(file, &error)),
            FileOp::Sync { file, .. } => self
                .opened(file)
                .and_then(|open| open.sync_data())
                .map_err(|error| io_error(file, &error)),
            FileOp::Rename { from, to, .. } => {
                if let Some(open) = self.open.remove(from) {
                    self.open.insert(Arc::clone(to), open);
                }
                fs::rename(self.root.join(&**from), self.root.join(&**to))
                    .map_err(|error| io_error(from, &error))
            }
            FileOp::Unlink { file, .. } => {
                self.open.remove(file);
                match fs::remove_file(self.root.join(&**file)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(io_error(file, &error))
                    }
                    Ok(()) | Err(_) => Ok(()),
                }
            }
            FileOp::SyncDir { dir, .. } => {
                let path = self.root.join(&**dir);
                fs::create_dir_all(&path)
                    .and_then(|()| File::open(&path))
                    .and_then(|open| open.sync_all())
                    .map_err(|error| io_error(dir, &error))
            }
        }
    }

    fn create(&mut self, file: &Arc<str>, size: u64) -> io::Result<()> {
        let path = self.root.join(&**file);
        if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
            fs::create_dir_all(parent)?;
            // The new folder's own name must be durable too.
            if let Some(above) = parent.parent() {
                File::open(above)?.sync_all()?;
            }
        }
        let open = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let mut written = 0;
        while written < size {
            let piece = usize::try_from(size - written).unwrap_or(ZEROS.len()).min(ZEROS.len());
            open.write_all_at(&ZEROS[..piece], written)?;
            written += u64::try_from(piece).unwrap_or(size);
        }
        self.keep(file, open);
        Ok(())
    }

    fn opened(&mut self, file: &Arc<str>) -> io::Result<&File> {
        if !self.open.contains_key(file) {
            let open = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(self.root.join(&**file))?;
            self.keep(file, open);
        }
        self.open.get(file).ok_or_else(|| io::Error::other("file was closed"))
    }

    fn keep(&mut self, file: &Arc<str>, open: File) {
        if self.open.len() >= OPEN_FILES_MAX {
            self.open.pop_first();
        }
        self.open.insert(Arc::clone(file), open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::disk::IoToken;

    fn scratch(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("proconsul-storage-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        path
    }

    #[test]
    fn what_was_written_is_read_back() {
        let root = scratch("write");
        let mut disk = Directory::open(&root).unwrap();
        let (sender, done) = channel();
        disk.start(Arc::new(move |token, result| sender.send((token, result)).unwrap())).unwrap();
        let (lane, file): (Lane, Arc<str>) = (Lane::Log, "raft/log/1".into());
        disk.submit(FileOp::Create { lane, file: file.clone(), size: 8 });
        let bytes = Bytes::from_static(b"abc");
        disk.submit(FileOp::Write { lane, file: file.clone(), offset: 2, bytes });
        disk.submit(FileOp::Sync { lane, file: file.clone(), token: IoToken(7) });
        assert_eq!(done.recv().unwrap(), (IoToken(7), Ok(())));
        disk.submit(FileOp::Rename { lane, from: file, to: "raft/log/2".into() });
        disk.submit(FileOp::SyncDir { lane, dir: "raft/log".into(), token: IoToken(8) });
        assert_eq!(done.recv().unwrap(), (IoToken(8), Ok(())));
        let files = disk.files().unwrap();
        assert_eq!(&files["raft/log/2"][..], b"\0\0abc\0\0\0");
        assert_eq!(files.len(), 1);
        drop(disk);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn one_agent_at_a_time() {
        let root = scratch("lock");
        let first = Directory::open(&root).unwrap();
        assert!(matches!(Directory::open(&root), Err(OpenError::InUse { .. })));
        drop(first);
        drop(Directory::open(&root).unwrap());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_failure_is_told_by_its_own_files_syncs() {
        let root = scratch("fail");
        let mut disk = Directory::open(&root).unwrap();
        let (sender, done) = channel();
        disk.start(Arc::new(move |token, result| sender.send((token, result)).unwrap())).unwrap();
        let lane = Lane::Snapshot;
        let write = |file: &str| {
            let bytes = Bytes::from_static(b"x");
            FileOp::Write { lane, file: file.into(), offset: 0, bytes }
        };
        let sync =
            |file: &str, token| FileOp::Sync { lane, file: file.into(), token: IoToken(token) };
        // A folder where a file is to be: it cannot be written.
        fs::create_dir_all(root.join("raft/bad")).unwrap();
        for op in [write("raft/bad"), write("raft/good"), sync("raft/good", 1)] {
            disk.submit(op);
        }
        assert_eq!(done.recv().unwrap(), (IoToken(1), Ok(())));
        disk.submit(FileOp::Rename { lane, from: "raft/bad".into(), to: "raft/where".into() });
        disk.submit(FileOp::SyncDir { lane, dir: "raft".into(), token: IoToken(2) });
        assert!(done.recv().unwrap().1.is_err(), "it gets no other name");
        disk.submit(sync("raft/bad", 3));
        assert!(done.recv().unwrap().1.is_err());
        drop(disk);
        assert!(root.join("raft/bad").is_dir() && root.join("raft/good").is_file());
        fs::remove_dir_all(root).unwrap();
    }
}
