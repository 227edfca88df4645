//! A disk that lies within the rules: what was not synced may be gone, torn, or there after all.
//!
//! A file is what was synced plus the writes since. A directory is the names that were synced plus
//! the changes since. A crash keeps what it likes of the rest: nothing, everything, a beginning, or
//! any subset of 512-byte sectors.

use crate::draw::{between, draw, stream};
use bytes::Bytes;
use proconsul_core::disk::{Failures, FileOp, IoError, IoToken, Lane};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const SECTOR: usize = 512;
/// So many synced writes of a file wait at most until they are put in their places.
const WRITTEN_MAX: usize = 256;

/// One host's data directory. It outlives the process.
#[derive(Debug, Default)]
pub struct Disk {
    seed: u64,
    bodies: BTreeMap<u32, Body>,
    next_body: u32,
    live: BTreeMap<Arc<str>, u32>,
    durable: BTreeMap<Arc<str>, u32>,
    changes: Vec<Change>,
    lanes: [LaneState; 3],
    crashes: u64,
    full: bool,
    fail_next: bool,
}

/// What a sync will complete with.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    /// Which.
    pub token: IoToken,
    /// How.
    pub result: Result<(), IoError>,
}

/// A file: what a crash leaves of it, and what it may take.
#[derive(Debug, Default)]
struct Body {
    /// What was synced, up to `written`.
    synced: Vec<u8>,
    /// What was synced after it, in order: most files are never read, so it is put in its place
    /// only when someone looks.
    written: Vec<(usize, Bytes)>,
    /// How long what was synced is.
    synced_len: usize,
    pending: Vec<(usize, Bytes)>,
    len: usize,
}

#[derive(Debug)]
enum Change {
    Link(Arc<str>, u32),
    Unlink(Arc<str>),
    Rename(Arc<str>, Arc<str>, u32),
}

#[derive(Debug, Default)]
struct LaneState {
    queue: VecDeque<FileOp>,
    running: Option<FileOp>,
    failures: Failures,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Takes an operation. Returns the lane if a sync has now begun there, to be ended by
    /// [`Self::complete`] when its time has come.
    pub fn submit(&mut self, op: FileOp) -> Option<usize> {
        let lane = lane_of(&op);
        if self.lanes[lane].running.is_some() {
            self.lanes[lane].queue.push_back(op);
            return None;
        }
        self.perform(lane, op)
    }

    /// Ends the sync running in `lane`. The second value is whether the next one has begun.
    pub fn complete(&mut self, lane: usize) -> (Option<Completion>, bool) {
        let Some(op) = self.lanes[lane].running.take() else {
            return (None, false);
        };
        if !self.lanes[lane].failures.forbid(&op) {
            if std::mem::take(&mut self.fail_next) {
                self.failed(lane, &op, "input/output error");
            } else if let FileOp::Sync { file, .. } = &op {
                self.sync_file(file);
            } else if let FileOp::SyncDir { dir, .. } = &op {
                self.sync_dir(dir);
            }
        }
        let result = self.lanes[lane].failures.told(&op);
        let completion = match op {
            FileOp::Sync { token, .. } | FileOp::SyncDir { token, .. } => {
                Some(Completion { token, result })
            }
            FileOp::Create { .. }
            | FileOp::Write { .. }
            | FileOp::Rename { .. }
            | FileOp::Unlink { .. } => None,
        };
        while let Some(next) = self.lanes[lane].queue.pop_front() {
            if self.perform(lane, next).is_some() {
                return (completion, true);
            }
        }
        (completion, false)
    }

    /// The process is gone. Writes asked for but not performed never happen; with `power` lost,
    /// too, the disk keeps what it likes of what was not synced.
    pub fn crash(&mut self, power: bool) {
        self.crashes += 1;
        self.lanes = <[LaneState; 3]>::default();
        if power {
            self.tear_directories();
            self.tear_files();
        } else {
            for body in self.bodies.values_mut() {
                body.flush();
            }
        }
        self.live = self.durable.clone();
        if !power {
            self.settle_directories();
        }
        self.changes.clear();
        let kept: Vec<u32> = self.live.values().copied().collect();
        self.bodies.retain(|id, _| kept.contains(id));
    }

    /// What a starting process finds.
    #[must_use]
    pub fn files(&self) -> BTreeMap<Arc<str>, Bytes> {
        let content = |id: &u32| {
            let body = &self.bodies[id];
            let mut bytes = Vec::with_capacity(body.len.max(body.synced_len));
            bytes.extend_from_slice(&body.synced);
            for (offset, written) in body.written.iter().chain(&body.pending) {
                put(&mut bytes, *offset, written);
            }
            bytes.resize(body.len.max(body.synced_len), 0);
            Bytes::from(bytes)
        };
        self.live.iter().map(|(name, id)| (name.clone(), content(id))).collect()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.live.values().map(|id| self.bodies[id].len).sum()
    }

    /// From now on files find no room to grow, or find it again. What is there may be overwritten.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// The next sync fails.
    pub fn fail_next(&mut self) {
        self.fail_next = true;
    }

    /// All is well again.
    pub fn heal(&mut self) {
        self.full = false;
        self.fail_next = false;
    }

    /// Flips a bit in a file. Says which, if there is one. The newest of a log is left alone:
    /// damage at its end cannot be told from a torn write.
    pub fn rot(&mut self, number: u64) -> Option<Arc<str>> {
        for body in self.bodies.values_mut() {
            body.settle();
        }
        // A spare of the log is all zeros: what was written last is in the file before it.
        let written = |name: &&Arc<str>| {
            self.bodies[&self.durable[*name]].synced.iter().any(|byte| *byte != 0)
        };
        let names: Vec<&Arc<str>> = self.durable.keys().filter(written).collect();
        let old: Vec<Arc<str>> = names
            .iter()
            .enumerate()
            .filter(|(place, name)| {
                let next = names.get(place + 1).map(|next| family(next));
                !family(name).ends_with("log") || next == Some(family(name))
            })
            .map(|(_, name)| Arc::clone(name))
            .collect();
        let drawn = draw(self.seed, stream::ROT, 0, number);
        let last = u64::try_from(old.len().checked_sub(1)?).ok()?;
        let name = old[usize::try_from(between(drawn, 0, last)).ok()?].clone();
        let body = self.bodies.get_mut(&self.durable[&name]).expect("a named file has a body");
        let drawn = draw(self.seed, stream::ROT, 1, number);
        let end = u64::try_from(body.synced.len() - 1).ok()?;
        let place = usize::try_from(between(drawn, 0, end)).ok()?;
        body.synced[place] ^= 1 << (drawn % 8);
        Some(name)
    }

    fn failed(&mut self, lane: usize, op: &FileOp, reason: &str) {
        let file = match op {
            FileOp::Rename { from, .. } => from,
            FileOp::Create { .. }
            | FileOp::Write { .. }
            | FileOp::Sync { .. }
            | FileOp::Unlink { .. }
            | FileOp::SyncDir { .. } => name_of(op),
        };
        self.lanes[lane].failures.note(op, error_of(file, reason));
    }

    /// Performs an operation; returns the lane if it is a sync that now runs.
    fn perform(&mut self, lane: usize, mut op: FileOp) -> Option<usize> {
        if matches!(op, FileOp::Sync { .. } | FileOp::SyncDir { .. }) {
            self.lanes[lane].running = Some(op);
            return Some(lane);
        }
        if !self.lanes[lane].failures.forbid(&op)
            && let Err(reason) = self.change(&mut op)
        {
            self.failed(lane, &op, reason);
        }
        None
    }

    /// Performs an operation without a completion. What is written is taken out of it.
    fn change(&mut self, op: &mut FileOp) -> Result<(), &'static str> {
        const NO_ROOM: &str = "no space left on device";
        const NO_FILE: &str = "no such file or directory";
        match op {
            FileOp::Create { file, size, .. } => {
                let no_room = self.full && *size > 0;
                let len = if no_room { 0 } else { usize::try_from(*size).unwrap_or(0) };
                let id = self.next_body;
                self.next_body += 1;
                self.bodies.insert(id, Body { len, ..Body::default() });
                self.live.insert(file.clone(), id);
                self.changes.push(Change::Link(file.clone(), id));
                if no_room { Err(NO_ROOM) } else { Ok(()) }
            }
            FileOp::Write { file, offset, bytes, .. } => {
                let id = self.live.get(&**file).ok_or(NO_FILE)?;
                let body = self.bodies.get_mut(id).expect("a named file has a body");
                let offset = usize::try_from(*offset).unwrap_or(usize::MAX);
                let end = offset.saturating_add(bytes.len());
                if self.full && end > body.len {
                    return Err(NO_ROOM);
                }
                body.len = body.len.max(end);
                body.pending.push((offset, std::mem::take(bytes)));
                Ok(())
            }
            FileOp::Rename { from, to, .. } => {
                let id = self.live.remove(&**from).ok_or(NO_FILE)?;
                self.live.insert(to.clone(), id);
                self.changes.push(Change::Rename(from.clone(), to.clone(), id));
                Ok(())
            }
            FileOp::Unlink { file, .. } => {
                if self.live.remove(&**file).is_some() {
                    self.changes.push(Change::Unlink(file.clone()));
                }
                Ok(())
            }
            FileOp::Sync { .. } | FileOp::SyncDir { .. } => Ok(()),
        }
    }

    fn sync_file(&mut self, file: &Arc<str>) {
        if let Some(id) = self.live.get(file) {
            self.bodies.get_mut(id).expect("a named file has a body").flush();
        }
    }

    fn sync_dir(&mut self, dir: &str) {
        let durable = &mut self.durable;
        self.changes.retain(|change| {
            let here = parent(change.name()) == dir;
            if here {
                change.apply(durable);
            }
            !here
        });
        self.collect();
    }

    /// Drops bodies that no name leads to any more.
    fn collect(&mut self) {
        if self.bodies.len() > self.live.len() + 8 {
            let (live, durable) = (&self.live, &self.durable);
            let changes = &self.changes;
            self.bodies.retain(|id, _| {
                live.values().any(|kept| kept == id)
                    || durable.values().any(|kept| kept == id)
                    || changes.iter().any(|change| change.body() == Some(*id))
            });
        }
    }

    fn settle_directories(&mut self) {
        for change in &self.changes {
            change.apply(&mut self.durable);
        }
        self.live = self.durable.clone();
    }

    /// Of the changes of each directory a beginning is kept.
    fn tear_directories(&mut self) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for change in &self.changes {
            *counts.entry(parent(change.name()).to_owned()).or_default() += 1;
        }
        for (number, count) in counts.values_mut().enumerate() {
            let number = u64::try_from(number).unwrap_or(0);
            let drawn = draw(self.seed, stream::TEAR, self.crashes, number);
            *count = between(drawn, 0, *count);
        }
        for change in &self.changes {
            let left = counts.get_mut(parent(change.name())).expect("counted above");
            if *left > 0 {
                *left -= 1;
                change.apply(&mut self.durable);
            }
        }
    }

    fn tear_files(&mut self) {
        for (id, body) in &mut self.bodies {
            if !body.pending.is_empty() || body.len != body.synced_len {
                body.tear(draw(self.seed, stream::TEAR, self.crashes, 1_000 + u64::from(*id)));
            }
        }
    }
}

impl Change {
    fn name(&self) -> &str {
        match self {
            Self::Link(name, _) | Self::Unlink(name) | Self::Rename(_, name, _) => name,
        }
    }

    fn body(&self) -> Option<u32> {
        match self {
            Self::Link(_, id) | Self::Rename(_, _, id) => Some(*id),
            Self::Unlink(_) => None,
        }
    }

    fn apply(&self, names: &mut BTreeMap<Arc<str>, u32>) {
        match self {
            Self::Link(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
        }
    }
}

impl Body {
    fn flush(&mut self) {
        self.written.append(&mut self.pending);
        self.synced_len = self.synced_len.max(self.len);
        if self.written.len() > WRITTEN_MAX {
            self.settle();
        }
    }

    /// Puts everything synced in its place.
    fn settle(&mut self) {
        for (offset, bytes) in self.written.drain(..) {
            put(&mut self.synced, offset, &bytes);
        }
        self.synced.resize(self.synced_len, 0);
    }

    /// Keeps nothing, everything, a beginning, or any sectors of what was written and not synced.
    fn tear(&mut self, drawn: u64) {
        self.settle();
        let pending = std::mem::take(&mut self.pending);
        let sectors: usize = pending.iter().map(|(_, bytes)| bytes.len() / SECTOR + 1).sum();
        let keep = match drawn % 4 {
            0 => 0,
            1 => sectors,
            2 => {
                let all = u64::try_from(sectors).unwrap_or(0);
                usize::try_from(between(draw(drawn, 1, 1, 1), 0, all)).unwrap_or(0)
            }
            _ => usize::MAX,
        };
        let mut number = 0_usize;
        for (offset, bytes) in &pending {
            let mut from = 0;
            while from < bytes.len() {
                let at = offset + from;
                let to = bytes.len().min(from + SECTOR - at % SECTOR);
                let random = keep == usize::MAX;
                let coin = draw(drawn, 2, 0, u64::try_from(number).unwrap_or(0));
                let lucky = coin.is_multiple_of(2);
                if (random && lucky) || (!random && number < keep) {
                    put(&mut self.synced, at, &bytes[from..to]);
                }
                number += 1;
                from = to;
            }
        }
        if keep >= sectors && !drawn.is_multiple_of(4) && self.synced.len() < self.len {
            self.synced.resize(self.len, 0);
        }
        self.synced_len = self.synced.len();
        self.len = self.synced_len;
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, piece: &[u8]) {
    if bytes.len() < offset {
        bytes.resize(offset, 0);
    }
    let (over, new) = piece.split_at(piece.len().min(bytes.len() - offset));
    bytes[offset..offset + over.len()].copy_from_slice(over);
    bytes.extend_from_slice(new);
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// What files that follow one another have in common: the name up to its number, or else the
/// directory.
fn family(name: &str) -> &str {
    let directory = parent(name);
    let number = name[directory.len()..].find('-');
    number.map_or(directory, |at| &name[..directory.len() + at])
}

fn error_of(file: &Arc<str>, reason: &str) -> IoError {
    IoError { file: file.clone(), reason: reason.into() }
}

fn name_of(op: &FileOp) -> &Arc<str> {
    match op {
        FileOp::Create { file, .. }
        | FileOp::Write { file, .. }
        | FileOp::Sync { file, .. }
        | FileOp::Unlink { file, .. } => file,
        FileOp::Rename { to, .. } => to,
        FileOp::SyncDir { dir, .. } => dir,
    }
}

fn lane_of(op: &FileOp) -> usize {
    let lane = match op {
        FileOp::Create { lane, .. }
        | FileOp::Write { lane, .. }
        | FileOp::Sync { lane, .. }
        | FileOp::Rename { lane, .. }
        | FileOp::Unlink { lane, .. }
        | FileOp::SyncDir { lane, .. } => *lane,
    };
    match lane {
        Lane::Log => 0,
        Lane::Snapshot => 1,
        Lane::Local => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::disk::LocalFiles;

    fn write(disk: &mut Disk, file: &str, offset: u64, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        let op = FileOp::Write { lane: Lane::Log, file: file.into(), offset, bytes };
        assert_eq!(disk.submit(op), None);
    }

    fn create(disk: &mut Disk, file: &str) {
        disk.submit(FileOp::Create { lane: Lane::Log, file: file.into(), size: 0 });
    }

    fn sync(disk: &mut Disk, file: &str, token: u64) -> Result<(), IoError> {
        let token = IoToken(token);
        assert_eq!(
            disk.submit(FileOp::Sync { lane: Lane::Log, file: file.into(), token }),
            Some(0)
        );
        disk.complete(0).0.unwrap().result
    }

    fn sync_dir(disk: &mut Disk, dir: &str) {
        let op = FileOp::SyncDir { lane: Lane::Log, dir: dir.into(), token: IoToken(9) };
        assert_eq!(disk.submit(op), Some(0));
        disk.complete(0);
    }

    #[test]
    fn synced_bytes_survive_and_others_may_tear() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut disk = Disk::new(seed);
            create(&mut disk, "log/1");
            write(&mut disk, "log/1", 0, &[1; 700]);
            sync(&mut disk, "log/1", 1).unwrap();
            sync_dir(&mut disk, "log");
            write(&mut disk, "log/1", 700, &[2; 1_200]);
            disk.crash(true);
            let files = disk.files();
            let bytes = &files["log/1"];
            assert_eq!(&bytes[..700], &[1; 700]);
            outcomes.insert((bytes.len(), bytes.iter().filter(|byte| **byte == 2).count()));
        }
        assert!(outcomes.contains(&(700, 0)) && outcomes.contains(&(1_900, 1_200)));
        assert!(outcomes.len() > 3, "torn in between, too: {outcomes:?}");
    }

    #[test]
    fn a_name_may_be_lost_until_its_directory_is_synced() {
        let mut lost = 0;
        for seed in 0..50 {
            let mut disk = Disk::new(seed);
            create(&mut disk, "snap/a.tmp");
            write(&mut disk, "snap/a.tmp", 0, b"x");
            sync(&mut disk, "snap/a.tmp", 1).unwrap();
            disk.submit(FileOp::Rename {
                lane: Lane::Log,
                from: "snap/a.tmp".into(),
                to: "snap/a".into(),
            });
            disk.crash(true);
            lost += u32::from(!disk.files().contains_key("snap/a"));
        }
        assert!((1..50).contains(&lost));
    }

    #[test]
    fn operations_behind_a_sync_wait_and_die_with_the_process() {
        let mut disk = Disk::new(1);
        create(&mut disk, "a");
        let op = FileOp::Sync { lane: Lane::Log, file: "a".into(), token: IoToken(1) };
        assert_eq!(disk.submit(op), Some(0));
        write(&mut disk, "a", 0, b"late");
        assert_eq!(disk.files()["a"].len(), 0);
        let (done, next) = disk.complete(0);
        assert!(done.is_some() && !next);
        assert_eq!(&disk.files()["a"][..], b"late");
        disk.crash(false);
        assert_eq!(&disk.files()["a"][..], b"late");
    }

    #[test]
    fn a_full_disk_and_a_failing_sync_are_told() {
        let mut disk = Disk::new(1);
        create(&mut disk, "a");
        disk.set_full(true);
        write(&mut disk, "a", 0, b"x");
        assert!(sync(&mut disk, "a", 1).unwrap_err().to_string().contains("space"));
        let (lane, file): (Lane, Arc<str>) = (Lane::Log, "log/1".into());
        disk.submit(FileOp::Create { lane, file, size: 8 });
        assert!(sync(&mut disk, "log/1", 1).is_err(), "there is no room for a segment");
        assert_eq!(disk.files()["log/1"].len(), 0);
        disk.heal();
        write(&mut disk, "a", 0, b"x");
        assert!(sync(&mut disk, "a", 1).is_err(), "there is a hole in it");
        create(&mut disk, "a");
        write(&mut disk, "a", 0, b"x");
        disk.set_full(true);
        write(&mut disk, "a", 0, b"y");
        sync(&mut disk, "a", 1).unwrap();
        disk.fail_next();
        assert!(sync(&mut disk, "a", 2).is_err());
    }

    #[test]
    fn a_full_disk_costs_no_file_that_is_replaced() {
        let (file, mut disk, mut local) = (Arc::from("serf/k"), Disk::new(1), LocalFiles::new(0));
        let mut replace = |disk: &mut Disk, bytes: &'static [u8]| {
            let mut ops = Vec::new();
            local.replace(&file, Bytes::from_static(bytes), &mut ops);
            let mut result = None;
            while !ops.is_empty() {
                for op in std::mem::take(&mut ops) {
                    if let Some(lane) = disk.submit(op) {
                        let done = disk.complete(lane).0.unwrap();
                        let told = local.on_io(done.token, done.result, &mut ops);
                        result = told.map(|done| done.result).or(result);
                    }
                }
            }
            result.unwrap()
        };
        replace(&mut disk, b"old").unwrap();
        disk.set_full(true);
        assert!(replace(&mut disk, b"new").unwrap_err().to_string().contains("space"));
        assert_eq!(&disk.files()["serf/k"][..], b"old");
        assert_eq!(disk.files().len(), 1, "and leaves nothing behind");
        disk.heal();
        replace(&mut disk, b"new").unwrap();
        assert_eq!(&disk.files()["serf/k"][..], b"new");
    }

    #[test]
    fn rot_leaves_the_newest_alone() {
        let mut disk = Disk::new(3);
        for (name, byte) in [("log/1", 7), ("log/2", 7), ("log/3", 0)] {
            create(&mut disk, name);
            write(&mut disk, name, 0, &[byte; 64]);
            sync(&mut disk, name, 1).unwrap();
        }
        assert_eq!(disk.rot(1), None, "no name is durable yet");
        sync_dir(&mut disk, "log");
        assert_eq!(disk.rot(1).as_deref(), Some("log/1"), "the third is a spare");
        assert_eq!(disk.files()["log/1"].iter().filter(|byte| **byte != 7).count(), 1);
    }

    #[test]
    fn only_the_newest_of_a_log_is_spared() {
        let names = ["raft/log-1", "raft/log-2", "raft/snapshot-7", "raft/snapshot-8"];
        let mut disk = Disk::new(5);
        for name in names {
            create(&mut disk, name);
            write(&mut disk, name, 0, &[1; 64]);
            sync(&mut disk, name, 1).unwrap();
        }
        sync_dir(&mut disk, "raft");
        let rotten: std::collections::BTreeSet<Arc<str>> =
            (0..50).filter_map(|number| disk.rot(number)).collect();
        let rotten: Vec<&str> = rotten.iter().map(|name| &**name).collect();
        assert_eq!(rotten, [names[0], names[2], names[3]]);
    }
}
