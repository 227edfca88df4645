//! The log of one server: batches in, file operations out, completions in, progress out.

mod segments;
mod snapshots;

use crate::format::{self, HEAD_BYTES_MAX, Kind, MARK_BYTES};
use crate::recover::Recovered;
use crate::snapshot::Writer;
use crate::{Batch, FileOp, HardState, IoError, IoToken, Lane, Progress, SnapshotProgress, names};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{EntryId, Fault, LogIndex, Planted, Rng, Term};

/// Without room, this much is kept for later; with more to keep, the log is given up.
const STARVED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How the log is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of a segment. A batch that is larger has one of its own.
    pub segment_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { segment_bytes: 64 * 1024 * 1024 }
    }
}

/// A segment that holds batches.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) id: u64,
    pub(crate) file: Arc<str>,
    /// The last entry before it.
    pub(crate) base: EntryId,
    /// Bytes written.
    pub(crate) end: u64,
    /// Bytes reserved.
    pub(crate) size: u64,
}

/// The segment that will be written next, filled with zeros ahead of time.
#[derive(Clone, Debug)]
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) id: u64,
    pub(crate) file: Arc<str>,
    pub(crate) size: u64,
    ready: bool,
}

impl Spare {
    pub(crate) fn found(number: u64, id: u64, file: Arc<str>, size: u64) -> Self {
        Self { number, id, file, size, ready: false }
    }
}

/// What a token completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// One of the syncs that make recovered state durable.
    Open,
    /// The batches up to this number.
    Batch(u64),
    SpareBytes(u64),
    SpareName(u64),
    SnapshotPart {
        id: EntryId,
        synced: u64,
    },
    SnapshotBytes(EntryId),
    SnapshotName(EntryId),
}

/// Room before the records of a batch: for its mark, and before that for what a segment begins
/// with, so that no large batch is moved to make it.
const ROOM_BYTES: usize = HEAD_BYTES_MAX + MARK_BYTES;

/// Batches that came while the disk was busy, or that nobody waits for.
#[derive(Clone, Debug, Default)]
struct Pending {
    /// Records of batch `sequence`, in order, behind [`ROOM_BYTES`]; empty before the first.
    bytes: Vec<u8>,
    /// Number of the newest batch in it.
    number: Option<u64>,
    urgent: bool,
}

impl Pending {
    /// How many bytes of records there are.
    fn content(&self) -> usize {
        self.bytes.len().saturating_sub(ROOM_BYTES)
    }
}

/// The log of one server.
#[derive(Clone, Debug)]
pub struct Store {
    config: Config,
    planted: Planted,
    rng: Rng,
    next_token: u64,
    waits: BTreeMap<IoToken, Wait>,
    failed: Option<IoError>,

    // opening
    opened: bool,
    open_waits: usize,
    junk: Vec<Arc<str>>,
    garbage_bytes: u64,
    fresh: bool,

    // writing
    segments: VecDeque<Segment>,
    spare: Option<Spare>,
    spare_error: Option<IoError>,
    /// Someone waits for a batch, and there is no room for it: why.
    starving: Option<IoError>,
    next_number: u64,
    sequence: u64,
    in_flight: bool,
    pending: Pending,

    // what the log says, pending batches included
    last: EntryId,
    /// Where terms begin: (first index, term), in order; the first is at or before the log's start.
    runs: VecDeque<(LogIndex, Term)>,
    hard_state: HardState,
    committed: LogIndex,
    /// What a checkpoint of the next segment says: the state after the newest batch handed out.
    written: Written,

    // snapshots
    writer: Option<Writer>,
    snapshot: Option<EntryId>,
    snapshot_files: Vec<EntryId>,
    compact_upto: LogIndex,
    /// Whether any batch is durable, and the snapshot that waits for the first one.
    log_durable: bool,
    held_snapshot: Option<Writer>,
}

/// State after the newest batch that was handed to the disk.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    last: EntryId,
    hard_state: HardState,
    committed: LogIndex,
}

impl Store {
    /// The log that goes on where `recovered` ends.
    #[must_use]
    pub fn new(config: Config, recovered: &Recovered, rng: Rng, planted: Planted) -> Self {
        let state = &recovered.state;
        let last = recovered.last();
        let mut store = Self {
            config,
            planted,
            rng,
            next_token: 0,
            waits: BTreeMap::new(),
            failed: None,
            opened: false,
            open_waits: 0,
            junk: state.junk.clone(),
            garbage_bytes: state.garbage_bytes,
            fresh: !recovered.restarted,
            segments: state.segments.iter().cloned().collect(),
            spare: state.spare.clone(),
            spare_error: None,
            starving: None,
            next_number: state.next_number,
            sequence: state.next_sequence,
            in_flight: false,
            pending: Pending::default(),
            last,
            runs: VecDeque::new(),
            hard_state: recovered.hard_state,
            committed: recovered.committed,
            written: Written {
                last: state.last,
                hard_state: recovered.hard_state,
                committed: recovered.committed,
            },
            writer: None,
            snapshot: recovered.snapshot.as_ref().map(|snapshot| snapshot.id),
            snapshot_files: state.snapshot_files.clone(),
            compact_upto: LogIndex(0),
            log_durable: recovered.restarted,
            held_snapshot: None,
        };
        let start = recovered.start();
        store.runs.push_back((start.index, start.term));
        for entry in &recovered.entries {
            store.note_term(entry.id);
        }
        if state.restart {
            // The snapshot contradicts or outruns the log: the next batch says so.
            store.put_restart(start);
        }
        store
    }

    /// Begins: removes leftovers, makes durable what recovery returned, prepares segments.
    ///
    /// The first call of any method that can emit does this too; calling it at start lets the disk
    /// work early.
    pub fn open(&mut self, out: &mut Vec<FileOp>) {
        if self.opened {
            return;
        }
        self.opened = true;
        for file in core::mem::take(&mut self.junk) {
            out.push(FileOp::Unlink { lane: Lane::Log, file });
        }
        if let Some(active) = self.segments.back() {
            let (file, offset) = (active.file.clone(), active.end);
            let garbage = usize::try_from(self.garbage_bytes).unwrap_or(0);
            if garbage > 0 {
                let bytes = Bytes::from(alloc::vec![0; garbage]);
                out.push(FileOp::Write { lane: Lane::Log, file: file.clone(), offset, bytes });
            }
            // Bytes that a killed process wrote but never synced were read back from the page
            // cache: they are not durable until now.
            let token = self.token(Wait::Open);
            out.push(FileOp::Sync { lane: Lane::Log, file, token });
            self.open_waits += 1;
        }
        if !self.fresh {
            let token = self.token(Wait::Open);
            out.push(FileOp::SyncDir { lane: Lane::Log, dir: names::DIRECTORY.into(), token });
            self.open_waits += 1;
        }
        match self.spare.as_ref() {
            Some(spare) => {
                let (number, file) = (spare.number, spare.file.clone());
                self.sync_spare(number, file, self.spare_lane(), out);
            }
            None => self.prepare_spare(out),
        }
    }

    /// Whether what recovery returned is durable. Until then nothing that rests on it may be
    /// promised to anyone; [`Progress::opened`] says when that changes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        (self.opened && self.open_waits == 0) || (!self.opened && self.fresh)
    }

    /// Takes a batch. It becomes durable with others in one write and one sync; at most one such
    /// pair is under way.
    ///
    /// # Panics
    /// If batch numbers do not grow or the entries would leave a hole.
    pub fn append(&mut self, batch: Batch, out: &mut Vec<FileOp>) {
        self.open(out);
        if let Some(number) = self.pending.number {
            assert!(batch.number > number, "batch numbers grow, from 1");
        }
        if let Some(from) = batch.truncate_from {
            self.truncate(from);
        }
        self.make_room(&batch);
        for entry in &batch.entries {
            if entry.id.index != self.last.index.next() {
                let snapshot = self.snapshot.unwrap_or_default();
                assert!(
                    entry.id.index == snapshot.index.next() && snapshot.index > self.last.index,
                    "the log has no holes: entry {} after {}, snapshot {snapshot}",
                    entry.id,
                    self.last,
                );
                self.put_restart(snapshot);
            }
            self.put(Kind::Entry, entry.kind, entry.id, &entry.payload);
            self.note_term(entry.id);
        }
        if let Some(hard_state) = batch.hard_state {
            let payload = format::body(&hard_state);
            self.put(Kind::HardState, 0, EntryId::default(), &payload);
            self.hard_state = hard_state;
        }
        if batch.committed > self.committed {
            self.committed = batch.committed;
            let id = EntryId { index: batch.committed, ..EntryId::default() };
            self.put(Kind::Commit, 0, id, &[]);
        }
        self.pending.number = Some(batch.number);
        self.pending.urgent |= batch.urgent;
        self.pump(out);
    }

    /// Writes what nobody waits for too: before a stop in good order.
    pub fn flush(&mut self, out: &mut Vec<FileOp>) {
        self.open(out);
        self.pending.urgent |= self.pending.number.is_some();
        self.pump(out);
    }

    /// Why there is no room for what someone waits for, if so. Nothing was lost, and nothing is
    /// written until [`Store::try_again`] finds room.
    #[must_use]
    pub fn starving(&self) -> Option<&IoError> {
        self.starving.as_ref()
    }

    /// Looks for room again.
    pub fn try_again(&mut self, out: &mut Vec<FileOp>) {
        if self.starving.is_some() && self.spare.is_none() {
            self.prepare_spare(out);
        }
    }

    /// Whether everything handed in is durable and no snapshot is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.in_flight
            && self.pending.number.is_none()
            && self.writer.is_none()
            && self.held_snapshot.is_none()
    }

    /// Takes a completion. Completions that are unknown or come twice change nothing.
    ///
    /// # Errors
    /// The log could not be made durable. That is final: what the operating system did with the
    /// bytes is unknown, and a later success would prove nothing. The node must stop.
    pub fn on_io(
        &mut self,
        token: IoToken,
        result: Result<(), IoError>,
        out: &mut Vec<FileOp>,
    ) -> Result<Progress, IoError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut progress = Progress::default();
        let Some(wait) = self.waits.remove(&token) else {
            return Ok(progress);
        };
        let result = if self.planted.is(Fault::FailedSyncIgnored) { Ok(()) } else { result };
        if let Err(error) = result {
            self.on_failure(wait, error, &mut progress, out)?;
            return Ok(progress);
        }
        match wait {
            Wait::Open => {
                self.open_waits -= 1;
                progress.opened = self.open_waits == 0;
                self.unlink_covered(out);
            }
            Wait::Batch(number) => {
                self.in_flight = false;
                self.log_durable = true;
                progress.durable = Some(number).filter(|number| *number > 0);
                if let Some(writer) = self.held_snapshot.take() {
                    self.name_snapshot(&writer, &mut progress, out);
                }
                self.unlink_covered(out);
                if self.spare.is_none() && self.spare_error.is_none() {
                    self.prepare_spare(out);
                }
            }
            Wait::SpareBytes(_) => {}
            Wait::SpareName(number) => {
                if let Some(spare) = self.spare.as_mut().filter(|spare| spare.number == number) {
                    spare.ready = true;
                    self.spare_error = None;
                }
            }
            Wait::SnapshotPart { id, synced } => {
                if let Some(writer) = self.writer.as_mut().filter(|writer| writer.id == id) {
                    let was_full = !writer.has_room();
                    writer.synced = synced;
                    if was_full && writer.has_room() && !writer.finished {
                        progress.snapshot = Some(SnapshotProgress::Room);
                    }
                }
            }
            Wait::SnapshotBytes(id) => {
                let Some(writer) = self.writer.take_if(|writer| writer.id == id) else {
                    return Ok(progress);
                };
                if self.log_durable {
                    self.name_snapshot(&writer, &mut progress, out);
                } else {
                    // A snapshot without a log looks like a log that was lost: first a batch, be
                    // it an empty one.
                    self.held_snapshot = Some(writer);
                    self.pending.number = self.pending.number.or(Some(0));
                    self.pending.urgent = true;
                }
            }
            Wait::SnapshotName(id) => self.snapshot_durable(id, &mut progress, out),
        }
        self.pump(out);
        Ok(progress)
    }

    fn on_failure(
        &mut self,
        wait: Wait,
        error: IoError,
        progress: &mut Progress,
        out: &mut Vec<FileOp>,
    ) -> Result<(), IoError> {
        match wait {
            Wait::Open | Wait::Batch(_) | Wait::SnapshotName(_) => {
                self.failed = Some(error.clone());
                Err(error)
            }
            Wait::SpareBytes(number) | Wait::SpareName(number) => {
                let Some(spare) = self.spare.take_if(|spare| spare.number == number) else {
                    return Ok(());
                };
                let lane = self.spare_lane();
                out.push(FileOp::Unlink { lane, file: spare.file });
                self.spare_error = Some(error.clone());
                if self.pending.urgent && !self.in_flight && self.needs_segment() {
                    // Nowhere to write what someone waits for. Nothing is broken: room may come.
                    self.starving = Some(error.clone());
                    if self.pending.content() > STARVED_BYTES_MAX {
                        self.failed = Some(error.clone());
                        return Err(error);
                    }
                }
                Ok(())
            }
            Wait::SnapshotPart { id, .. } | Wait::SnapshotBytes(id) => {
                if self.writer.as_ref().is_some_and(|writer| writer.id == id) {
                    self.snapshot_abort(out);
                    progress.snapshot = Some(SnapshotProgress::Failed(error));
                }
                Ok(())
            }
        }
    }

    /// Most batches are written at once: their records are then gathered in memory of their size.
    fn make_room(&mut self, batch: &Batch) {
        let entries = batch.entries.iter().map(|entry| format::record_bytes(entry.payload.len()));
        let states = usize::from(batch.hard_state.is_some())
            * format::record_bytes(size_of::<HardState>())
            + usize::from(batch.committed > self.committed) * format::record_bytes(0);
        let room = if self.pending.bytes.is_empty() { ROOM_BYTES } else { 0 };
        self.pending.bytes.reserve(entries.sum::<usize>() + states + room);
    }

    fn put(&mut self, kind: Kind, payload_kind: u8, id: EntryId, payload: &[u8]) {
        // CRCs depend on the segment, which is known when the batch is written; see `seal`.
        let bytes = &mut self.pending.bytes;
        if bytes.is_empty() {
            bytes.resize(ROOM_BYTES, 0);
        }
        format::put(bytes, kind, payload_kind, id, payload);
    }

    fn truncate(&mut self, from: LogIndex) {
        if from > self.last.index {
            return;
        }
        let start = self.runs.front().map_or(LogIndex(0), |run| run.0);
        assert!(from > start, "entries that a snapshot covers are never dropped");
        while self.runs.len() > 1 && self.runs.back().is_some_and(|run| run.0 >= from) {
            self.runs.pop_back();
        }
        let term = self.runs.back().map_or(Term(0), |run| run.1);
        if !self.planted.is(Fault::TruncationNotLogged) {
            // With the term of the entry before: a replay may begin after that entry.
            self.put(Kind::Truncate, 0, EntryId::new(term, from), &[]);
        }
        self.last = EntryId::new(term, from.previous());
        self.committed = self.committed.min(self.last.index);
    }

    fn put_restart(&mut self, start: EntryId) {
        self.put(Kind::Restart, 0, start, &[]);
        self.runs.clear();
        self.runs.push_back((start.index, start.term));
        self.last = start;
        self.committed = self.committed.max(start.index);
    }

    fn note_term(&mut self, id: EntryId) {
        self.last = id;
        if self.runs.back().is_none_or(|run| run.1 != id.term) {
            self.runs.push_back((id.index, id.term));
        }
    }

    /// The term of the entry at `index`, if the log has it (or begins right after it).
    fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index > self.last.index {
            return None;
        }
        self.runs.iter().rev().find(|run| run.0 <= index).map(|run| run.1)
    }

    /// Bytes of the log on disk since it was last compacted.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end).sum()
    }

    /// The last entry handed in.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.last
    }

    fn token(&mut self, wait: Wait) -> IoToken {
        self.next_token += 1;
        let token = IoToken(self.next_token);
        self.waits.insert(token, wait);
        token
    }
}

pub(crate) fn u64_of(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("usize has at most 64 bits")
}
