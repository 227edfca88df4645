//! One server's disk under a random workload, with crashes, and the model that judges it.

mod files;

pub(crate) use files::{Bits, Files};

use bytes::Bytes;
use proconsul_disk::{
    Batch, Config, Entry, FileOp, HardState, Lane, Recovered, SnapshotProgress, Store, recover,
};
use proconsul_types::{EntryId, LogIndex, NodeId, Planted, Rng, Seed, Term};
use std::collections::{BTreeMap, VecDeque};

/// What the log says, as the model has it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Log {
    start: EntryId,
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Log {
    fn last(&self) -> EntryId {
        self.entries.last().map_or(self.start, |entry| entry.id)
    }

    fn id_at(&self, index: LogIndex) -> Option<EntryId> {
        if index == self.start.index {
            return Some(self.start);
        }
        self.entries.iter().map(|entry| entry.id).find(|id| id.index == index)
    }

    /// What remains of it after a snapshot.
    fn after(&self, snapshot: EntryId) -> Self {
        let mut log = self.clone();
        if log.id_at(snapshot.index) != Some(snapshot) {
            log.entries.clear();
        }
        log.entries.retain(|entry| entry.id.index > snapshot.index);
        log.start = snapshot;
        log
    }
}

/// A disk, the store on it, and everything that may be found on it after a crash.
pub(crate) struct World {
    pub(crate) files: Files,
    store: Store,
    rng: Rng,
    planted: Planted,
    config: Config,
    lanes: BTreeMap<Lane, VecDeque<FileOp>>,
    done: VecDeque<(proconsul_disk::IoToken, Result<(), proconsul_disk::IoError>)>,
    number: u64,
    boots: u64,
    /// States after each batch, from the oldest that may still be found.
    states: Vec<(u64, Log)>,
    /// The snapshot that must be found, or a newer one.
    snapshot: EntryId,
    writing: Option<(EntryId, usize)>,
    /// Entries from here on may still be dropped.
    committed: LogIndex,
    pub(crate) max_bytes: usize,
    pub(crate) checked: u64,
}

fn payload(id: EntryId, bytes: usize) -> Bytes {
    let mut rng = Rng::new(Seed(id.index.0 ^ (id.term.0 << 32)));
    Bytes::from((0..bytes).map(|_| rng.next_u64().to_le_bytes()[0]).collect::<Vec<_>>())
}

fn snapshot_payload(id: EntryId) -> Bytes {
    payload(id, 100 + usize::try_from(id.index.0 % 7).unwrap() * 300)
}

fn meta(id: EntryId) -> Bytes {
    Bytes::from(format!("members at {id}"))
}

impl World {
    pub(crate) fn new(seed: u64, planted: Planted) -> Self {
        let mut rng = Rng::new(Seed(seed));
        let config = Config { segment_bytes: 1024 * rng.between(1, 6) };
        let recovered = recover(&BTreeMap::new(), planted).unwrap();
        let store = Store::new(config, &recovered, rng.split("store"), planted);
        Self {
            files: Files::default(),
            store,
            rng,
            planted,
            config,
            lanes: BTreeMap::new(),
            done: VecDeque::new(),
            number: 0,
            boots: 0,
            states: vec![(0, Log::default())],
            snapshot: EntryId::default(),
            writing: None,
            committed: LogIndex(0),
            max_bytes: 0,
            checked: 0,
        }
    }

    fn log(&self) -> &Log {
        &self.states.last().unwrap().1
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Store, &mut Vec<FileOp>) -> T) -> T {
        let mut out = Vec::new();
        let result = work(&mut self.store, &mut out);
        for op in out {
            let lane = match &op {
                FileOp::Create { lane, .. }
                | FileOp::Write { lane, .. }
                | FileOp::Sync { lane, .. }
                | FileOp::Rename { lane, .. }
                | FileOp::Unlink { lane, .. }
                | FileOp::SyncDir { lane, .. } => *lane,
            };
            self.lanes.entry(lane).or_default().push_back(op);
        }
        result
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        match self.rng.below(100) {
            0..30 => self.append(),
            30..60 => self.perform(),
            60..85 => self.complete()?,
            85..93 => self.snapshot_step(),
            93..96 => self.compact(),
            96 => self.restart(false)?,
            97 => self.restart(true)?,
            98 if self.rng.chance(1, 4) => self.files.fail_next_sync = true,
            98 if self.rng.chance(1, 3) => self.files.fail_next_write = true,
            _ => self.with(Store::flush),
        }
        self.max_bytes = self.max_bytes.max(self.files.bytes());
        Ok(())
    }

    fn append(&mut self) {
        if !self.store.is_open() || self.store.snapshot().unwrap_or_default() > self.log().last() {
            // Raft goes on after an installed snapshot only when it is told.
            self.with(|store, out| store.open(out));
            return;
        }
        self.number += 1;
        let mut log = self.log().clone();
        let mut batch = Batch { number: self.number, urgent: true, ..Batch::default() };
        let mut term = log.last().term.max(log.hard_state.term).max(Term(1));
        if self.rng.chance(1, 6) && log.last().index > self.committed {
            let from = self.rng.between(self.committed.0 + 1, log.last().index.0);
            batch.truncate_from = Some(LogIndex(from));
            log.entries.retain(|entry| entry.id.index.0 < from);
            term = Term(term.0 + 1);
        }
        if term > log.hard_state.term || self.rng.chance(1, 5) {
            let vote = self.rng.chance(1, 2).then(|| NodeId(self.rng.next_u128()));
            log.hard_state = HardState { term, vote };
            batch.hard_state = Some(log.hard_state);
        }
        for _ in 0..self.rng.below(4) {
            let id = EntryId::new(term, log.last().index.next());
            let bytes = *[0, 3, 40, 500, 1500].get(self.rng.index(5)).unwrap();
            let entry = Entry { id, kind: 7, payload: payload(id, bytes) };
            log.entries.push(entry.clone());
            batch.entries.push(entry);
        }
        // A leader's snapshot at odds with the log cannot be, once that log is committed.
        if self.writing.is_none() && self.rng.chance(1, 3) {
            self.committed = self.committed.max(LogIndex(
                self.rng.between(self.committed.0, log.last().index.0.max(self.committed.0)),
            ));
            batch.committed = self.committed;
        }
        batch.urgent = self.rng.chance(4, 5);
        self.states.push((self.number, log));
        self.with(|store, out| store.append(batch, out));
    }

    fn perform(&mut self) {
        let busy: Vec<Lane> =
            self.lanes.iter().filter(|(_, ops)| !ops.is_empty()).map(|(lane, _)| *lane).collect();
        if busy.is_empty() {
            return;
        }
        let lane = busy[self.rng.index(busy.len())];
        for _ in 0..self.rng.between(1, 3) {
            let Some(op) = self.lanes.get_mut(&lane).and_then(VecDeque::pop_front) else { return };
            let done = self.files.perform(&op);
            self.done.extend(done);
        }
    }

    fn complete(&mut self) -> Result<(), String> {
        let Some((token, result)) = self.done.pop_front() else { return Ok(()) };
        let failed = result.is_err();
        let Ok(progress) = self.with(|store, out| store.on_io(token, result, out)) else {
            if !failed {
                return Err("the store gave up without a reason".into());
            }
            return self.restart(true);
        };
        if let Some(number) = progress.durable {
            self.floor(number);
        }
        if progress.opened {
            let number = self.states.last().unwrap().0;
            self.floor(number);
            self.snapshot = self.snapshot.max(self.store.snapshot().unwrap_or_default());
        }
        match progress.snapshot {
            Some(SnapshotProgress::Done(id)) => {
                self.snapshot = self.snapshot.max(id);
                self.committed = self.committed.max(id.index);
                let (number, log) = self.states.last().unwrap().clone();
                if log.id_at(id.index) != Some(id) && id.index > log.start.index {
                    let hard_state = log.hard_state;
                    let log = Log { start: id, entries: Vec::new(), hard_state };
                    self.states.push((number, log));
                }
                self.writing = None;
            }
            Some(SnapshotProgress::Failed(_)) => self.writing = None,
            Some(SnapshotProgress::Room) | None => {}
        }
        Ok(())
    }

    /// Nothing before batch `number` may be found any more.
    fn floor(&mut self, number: u64) {
        let keep = self.states.iter().rposition(|(n, _)| *n <= number).unwrap_or(0);
        // Of states with the same number, each may be found.
        let number = self.states[keep].0;
        self.states.retain(|(n, _)| *n >= number);
    }

    fn snapshot_step(&mut self) {
        if !self.store.is_open() {
            return;
        }
        let Some((id, written)) = self.writing else {
            let newest = self.store.snapshot().unwrap_or_default();
            let log = self.log().clone();
            let last = log.last();
            let id = if self.rng.chance(1, 5) {
                // From a leader: beyond the own log, or at odds with it.
                let index = self.rng.between(self.committed.0 + 1, last.index.0 + 4);
                EntryId::new(Term(last.term.max(log.hard_state.term).0 + 1), LogIndex(index))
            } else {
                let Some(id) = log.id_at(self.committed) else { return };
                id
            };
            if id.index > newest.index {
                self.writing = Some((id, 0));
                self.with(|store, out| store.snapshot_begin(id, meta(id), out));
            }
            return;
        };
        if written == usize::MAX {
            return;
        }
        let bytes = snapshot_payload(id);
        if written < bytes.len() {
            let to = bytes.len().min(written + 700);
            self.with(|store, out| store.snapshot_write(bytes.slice(written..to), out));
            self.writing = Some((id, to));
        } else {
            self.with(Store::snapshot_finish);
            self.writing = Some((id, usize::MAX));
        }
    }

    fn compact(&mut self) {
        if self.store.is_open() {
            let upto = self.store.snapshot().unwrap_or_default().index;
            let upto = LogIndex(self.rng.between(0, upto.0));
            self.with(|store, out| store.compact(upto, out));
        }
    }

    /// The process ends, with or without the power, and comes back.
    pub(crate) fn restart(&mut self, power: bool) -> Result<(), String> {
        if power {
            let mut fate = self.rng.split(&format!("crash {}", self.boots));
            self.files = self.files.crash(&mut fate);
        }
        self.files.process_ends();
        self.boots += 1;
        self.lanes.clear();
        self.done.clear();
        self.writing = None;
        let (recovered, state) = self.judge(&self.files.view())?;
        // Younger states are gone for good; older ones may come back until the store is open.
        self.states.truncate(state + 1);
        let id = recovered.snapshot.as_ref().map(|snapshot| snapshot.id).unwrap_or_default();
        let (number, log) = self.states[state].clone();
        self.states[state].1 = log.clone();
        self.states.push((number, log.after(id)));
        self.committed = self.committed.min(self.log().last().index).max(id.index);
        let rng = self.rng.split(&format!("store {}", self.boots));
        self.store = Store::new(self.config, &recovered, rng, self.planted);
        if self.rng.chance(1, 2) {
            self.with(|store, out| store.open(out));
        }
        Ok(())
    }

    /// Recovers from `files`; the newest state of the model that is what was found.
    fn judge(
        &self,
        files: &BTreeMap<std::sync::Arc<str>, Bytes>,
    ) -> Result<(Recovered, usize), String> {
        let recovered = recover(files, self.planted).map_err(|error| error.to_string())?;
        let mut id = EntryId::default();
        if let Some(snapshot) = &recovered.snapshot {
            id = snapshot.id;
            if snapshot.payload != snapshot_payload(id) || snapshot.meta != meta(id) {
                return Err(format!("snapshot {id} has other bytes than were written"));
            }
        }
        if id.index < self.snapshot.index {
            return Err(format!("snapshot {} was durable, found {id}", self.snapshot));
        }
        let found = (recovered.hard_state, &recovered.entries);
        let state = self.states.iter().rposition(|(_, log)| {
            let log = log.after(id);
            found == (log.hard_state, &log.entries)
        });
        let last = recovered.entries.last().map(|entry| entry.id).unwrap_or(id);
        let Some(state) = state else {
            return Err(format!(
                "found {} entries up to {last} after snapshot {id} in {:?}, which is no state from \
                 batch {} on",
                recovered.entries.len(),
                recovered.hard_state,
                self.states[0].0,
            ));
        };
        if recovered.committed > last.index {
            return Err(format!("committed {} beyond {last}", recovered.committed));
        }
        Ok((recovered, state))
    }

    /// Recovers from every disk a crash could leave behind now, or from some if they are many.
    pub(crate) fn check_crashes(&mut self, limit: u32) -> Result<(), String> {
        let things = self.files.unsynced();
        if things <= usize::try_from(limit).unwrap() {
            for bits in 0..1_u64 << things {
                self.judge(&self.files.crash(&mut Bits(bits)).view())?;
                self.checked += 1;
            }
            return Ok(());
        }
        for bits in [0, u64::MAX] {
            self.judge(&self.files.crash(&mut Bits(bits)).view())?;
        }
        for _ in 0..8 {
            let mut fate = self.rng.split(&format!("check {}", self.checked));
            self.judge(&self.files.crash(&mut fate).view())?;
            self.checked += 1;
        }
        Ok(())
    }
}

/// Performs `ops` at once and tells `store`, until nothing is left to do.
pub(crate) fn settle(files: &mut Files, store: &mut Store, mut ops: Vec<FileOp>) {
    while !ops.is_empty() {
        let done: Vec<_> = ops.drain(..).filter_map(|op| files.perform(&op)).collect();
        for (token, result) in done {
            store.on_io(token, result, &mut ops).expect("this disk does not fail");
        }
    }
}

/// A whole run; `Err` says what was found wrong.
pub(crate) fn run(seed: u64, steps: u32, planted: Planted, limit: u32) -> Result<World, String> {
    let mut world = World::new(seed, planted);
    for _ in 0..steps {
        world.step()?;
        world.check_crashes(limit)?;
    }
    Ok(world)
}
