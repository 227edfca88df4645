//! Snapshots: taken from a held root, streamed in bounded pieces, sent, received, installed; and
//! the user's own.
//!
//! A snapshot is never a second copy in memory: the catalog is shared structure, and holding its
//! root costs what changes afterwards.

use crate::durable::encode_meta;
use crate::node::Node;
use crate::open::{Origin, Stage};
use crate::timers::Timer;
use crate::{Effect, Event};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::{Catalog, Restore, SnapshotReader};
use proconsul_raft::{Input, SnapshotChunk, SnapshotMeta};
use proconsul_types::limits::SNAPSHOT_CHUNK_BYTES;
use proconsul_types::{CatalogIndex, EntryId, Fault, NodeId};

/// Everything about snapshots that is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshots {
    /// What the newest complete one covers.
    newest: EntryId,
    /// Bytes of log since then.
    log_bytes: u64,
    /// Bytes of the newest one: a new one is worth its while only when the log has more.
    state_bytes: u64,
    /// Being written to the disk.
    writing: Option<Writing>,
    /// Being received.
    receiving: Option<Receiving>,
    /// Being sent, by follower.
    sending: BTreeMap<NodeId, Sending>,
    /// Being encoded for users.
    saves: VecDeque<Save>,
}

#[derive(Clone, Debug)]
struct Writing {
    meta: SnapshotMeta,
    reader: SnapshotReader,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Receiving {
    meta: SnapshotMeta,
    restore: Option<Restore>,
    offset: u64,
    /// Whole, and on its way to being durable.
    whole: Option<Catalog>,
}

#[derive(Clone, Debug)]
struct Sending {
    meta: SnapshotMeta,
    catalog: Catalog,
    reader: SnapshotReader,
    /// Where `piece` begins.
    offset: u64,
    piece: Bytes,
    /// The piece after it; `None` if `piece` is the last.
    ahead: Option<Bytes>,
}

#[derive(Clone, Debug)]
struct Save {
    origin: Origin,
    index: CatalogIndex,
    reader: SnapshotReader,
    bytes: Vec<u8>,
}

/// Pieces encoded in one step: the loop goes on in between.
const PIECES_A_STEP: usize = 4;

impl Snapshots {
    /// A log that begins after a snapshot of `newest`, or after nothing.
    pub(crate) fn new(newest: Option<EntryId>, state_bytes: u64) -> Self {
        Self { newest: newest.unwrap_or_default(), state_bytes, ..Self::default() }
    }

    /// A command of this many bytes was applied.
    pub(crate) fn log_grew(&mut self, bytes: usize) {
        self.log_bytes += u64::try_from(bytes).unwrap_or(u64::MAX) + RECORD_BYTES;
    }

    /// Nobody waits for this save any more.
    pub(crate) fn abandon(&mut self, origin: Origin) {
        self.saves.retain(|save| save.origin != origin);
    }

    /// What the newest complete snapshot covers.
    pub(crate) fn newest(&self) -> EntryId {
        self.newest
    }
}

/// What a record costs besides its payload.
const RECORD_BYTES: u64 = 40;

// ---- taking -------------------------------------------------------------------------------------

impl Node {
    /// Takes a snapshot if the log has grown enough since the last one.
    pub(crate) fn consider_snapshot(&mut self, out: &mut Vec<Effect>) {
        self.give_up_receiving(out);
        self.end_transfers();
        let worth = self.config.snapshot_log_bytes.max(self.snapshots.state_bytes);
        if self.snapshots.log_bytes <= worth
            || self.snapshots.writing.is_some()
            || self.snapshots.receiving.is_some()
            || self.catalog.is_restoring()
        {
            return;
        }
        let Some(meta) = self.raft.snapshot_meta(self.applied.index) else {
            return;
        };
        if meta.last <= self.snapshots.newest() {
            return;
        }
        self.snapshots.log_bytes = 0;
        if !self.durable.has_disk() {
            self.snapshot_complete(&meta, out);
            return;
        }
        let (id, kept) = (meta.last, encode_meta(&meta));
        self.with_store(out, |store, ops| store.snapshot_begin(id, kept, ops));
        let reader = self.catalog.snapshot();
        if self.planted.is(Fault::CompactBeforeSnapshot) {
            self.raft_input(Input::SnapshotTaken(meta.clone()));
        }
        self.snapshots.writing = Some(Writing { meta, reader, bytes: 0 });
        self.timers.set(Timer::Snapshot, self.now);
    }

    /// A snapshot that was coming in and is not needed any more: the log brought what it holds, and
    /// whoever sent it may be gone.
    fn give_up_receiving(&mut self, out: &mut Vec<Effect>) {
        let is_old = |receiving: &mut Receiving| {
            receiving.whole.is_none() && receiving.meta.last.index <= self.applied.index
        };
        if !self.planted.is(Fault::OldTransferBlocksSnapshots)
            && self.snapshots.receiving.take_if(is_old).is_some()
        {
            self.with_store(out, |store, ops| store.snapshot_abort(ops));
        }
    }

    /// The next pieces of whatever is being encoded.
    pub(crate) fn snapshot_due(&mut self, out: &mut Vec<Effect>) {
        self.write_pieces(out);
        self.save_pieces();
    }

    /// The disk has room again.
    pub(crate) fn snapshot_room(&mut self) {
        if self.snapshots.writing.is_some() {
            self.timers.set(Timer::Snapshot, self.now);
        }
    }

    fn write_pieces(&mut self, out: &mut Vec<Effect>) {
        for _ in 0..PIECES_A_STEP {
            let Some(writing) = self.snapshots.writing.as_mut() else {
                return;
            };
            let Some(piece) = writing.reader.next_chunk(SNAPSHOT_CHUNK_BYTES) else {
                if writing.bytes != u64::MAX {
                    self.snapshots.state_bytes = writing.bytes;
                    writing.bytes = u64::MAX;
                    self.with_store(out, |store, ops| store.snapshot_finish(ops));
                }
                return;
            };
            writing.bytes += u64::try_from(piece.len()).unwrap_or(0);
            let room = self.with_store(out, |store, ops| store.snapshot_write(piece, ops));
            if room != Some(true) {
                return;
            }
        }
        self.timers.set(Timer::Snapshot, self.now);
    }

    /// A snapshot file is durable under its name.
    pub(crate) fn snapshot_durable(&mut self, id: EntryId, out: &mut Vec<Effect>) {
        if let Some(writing) = self.snapshots.writing.take_if(|writing| writing.meta.last == id) {
            self.snapshot_complete(&writing.meta, out);
        }
        let received =
            |receiving: &mut Receiving| receiving.meta.last == id && receiving.whole.is_some();
        if let Some(receiving) = self.snapshots.receiving.take_if(received)
            && let Some(catalog) = receiving.whole
        {
            self.install(receiving.meta, catalog, receiving.offset, out);
        }
    }

    /// A snapshot file could not be written. The log goes on growing; the next attempt comes when
    /// it has grown as much again.
    pub(crate) fn snapshot_failed(&mut self) {
        self.snapshots.writing = None;
        if let Some(receiving) = self.snapshots.receiving.take() {
            let offset = 0;
            let snapshot = receiving.meta;
            self.raft_input(Input::ChunkStored { snapshot, offset, installed: false });
        }
    }

    fn snapshot_complete(&mut self, meta: &SnapshotMeta, out: &mut Vec<Effect>) {
        let index = CatalogIndex(meta.last.index.0);
        out.push(Effect::Event(Event::SnapshotTaken(index, self.snapshots.state_bytes)));
        self.raft_input(Input::SnapshotTaken(meta.clone()));
        self.snapshots.newest = meta.last;
    }
}

// ---- sending ------------------------------------------------------------------------------------

impl Node {
    /// A follower needs a piece. Each transfer holds the root of its own snapshot, the state as it
    /// was when the transfer began, until it is over.
    pub(crate) fn need_chunk(&mut self, to: NodeId, wanted: Option<SnapshotMeta>, offset: u64) {
        let chunk = self.chunk(to, wanted.as_ref(), offset);
        self.raft_input(Input::Chunk { to, chunk });
    }

    fn chunk(
        &mut self,
        to: NodeId,
        wanted: Option<&SnapshotMeta>,
        offset: u64,
    ) -> Option<SnapshotChunk> {
        let first = self.raft.first_index();
        if wanted.is_some_and(|wanted| wanted.last.index.next() < first) {
            // The log does not continue it any more, so it would bring the follower nowhere.
            self.snapshots.sending.remove(&to);
            return None;
        }
        match wanted {
            None => {
                let sending = self.begin_sending()?;
                self.snapshots.sending.insert(to, sending);
            }
            Some(wanted) => {
                let sending = self.snapshots.sending.get_mut(&to)?;
                if sending.meta != *wanted {
                    return None;
                }
                if offset < sending.offset {
                    *sending = Sending::new(sending.meta.clone(), sending.catalog.clone());
                }
            }
        }
        let sending = self.snapshots.sending.get_mut(&to)?;
        sending.advance_to(offset)?;
        let skip = usize::try_from(offset - sending.offset).ok()?;
        Some(SnapshotChunk {
            snapshot: sending.meta.clone(),
            offset,
            bytes: sending.piece.slice(skip..),
            last: sending.ahead.is_none(),
        })
    }

    /// The state as it is now, unless the log brings a part of a restore that it lacks.
    fn begin_sending(&self) -> Option<Sending> {
        if self.catalog.is_restoring() {
            return None;
        }
        let meta = self.raft.snapshot_meta(self.applied.index)?;
        Some(Sending::new(meta, self.catalog.clone()))
    }

    /// Transfers that raft does not go on with end.
    pub(crate) fn end_transfers(&mut self) {
        if !self.snapshots.sending.is_empty() {
            self.snapshots.sending.retain(|to, _| self.raft.sends_snapshot(*to));
        }
    }
}

impl Sending {
    fn new(meta: SnapshotMeta, catalog: Catalog) -> Self {
        let mut reader = catalog.snapshot();
        let piece = reader.next_chunk(SNAPSHOT_CHUNK_BYTES).unwrap_or_default();
        let ahead = reader.next_chunk(SNAPSHOT_CHUNK_BYTES);
        Self { meta, catalog, reader, offset: 0, piece, ahead }
    }

    /// Moves to the piece that holds `offset` (its end counts for the last piece only).
    fn advance_to(&mut self, offset: u64) -> Option<()> {
        loop {
            let end = self.offset + u64::try_from(self.piece.len()).ok()?;
            if offset < end || (offset == end && self.ahead.is_none()) {
                return Some(());
            }
            self.piece = self.ahead.take()?;
            self.offset = end;
            self.ahead = self.reader.next_chunk(SNAPSHOT_CHUNK_BYTES);
        }
    }
}

// ---- receiving ----------------------------------------------------------------------------------

impl Node {
    /// A piece arrived.
    pub(crate) fn store_chunk(&mut self, chunk: SnapshotChunk, out: &mut Vec<Effect>) {
        if chunk.offset == 0 {
            self.receive_anew(&chunk.snapshot, out);
        }
        let stored = self.store_piece(&chunk, out);
        let snapshot = chunk.snapshot;
        match stored {
            Some(offset) => {
                self.raft_input(Input::ChunkStored { snapshot, offset, installed: false });
            }
            None => {
                // What came makes no sense as a catalog: from the start, please.
                self.snapshots.receiving = None;
                self.raft_input(Input::ChunkStored { snapshot, offset: 0, installed: false });
            }
        }
    }

    fn receive_anew(&mut self, meta: &SnapshotMeta, out: &mut Vec<Effect>) {
        self.snapshots.writing = None;
        let restore = Restore::new(Arc::clone(&self.config.facts.datacenter), self.planted);
        self.snapshots.receiving =
            Some(Receiving { meta: meta.clone(), restore: Some(restore), offset: 0, whole: None });
        let (id, kept) = (meta.last, encode_meta(meta));
        self.with_store(out, |store, ops| store.snapshot_begin(id, kept, ops));
    }

    /// Takes the piece if it is the next one; how many bytes are stored then. `None`: all is lost.
    fn store_piece(&mut self, chunk: &SnapshotChunk, out: &mut Vec<Effect>) -> Option<u64> {
        let receiving = self.snapshots.receiving.as_mut()?;
        let other = receiving.meta.last != chunk.snapshot.last
            && !self.planted.is(Fault::ChunkIgnoresSnapshotId);
        if other {
            return Some(0);
        }
        if chunk.offset != receiving.offset || receiving.restore.is_none() {
            return Some(receiving.offset);
        }
        receiving.restore.as_mut()?.push(&chunk.bytes).ok()?;
        receiving.offset += u64::try_from(chunk.bytes.len()).ok()?;
        let stored = receiving.offset;
        let whole = if chunk.last { Some(receiving.restore.take()?.finish().ok()?) } else { None };
        let (bytes, last) = (chunk.bytes.clone(), chunk.last);
        self.with_store(out, |store, ops| {
            if !bytes.is_empty() {
                // Raft has one piece on its way at a time, so memory does not fill up.
                store.snapshot_write(bytes, ops);
            }
            if last {
                store.snapshot_finish(ops);
            }
        });
        if let Some(catalog) = whole {
            if self.durable.has_disk() {
                let receiving = self.snapshots.receiving.as_mut()?;
                receiving.whole = Some(catalog);
            } else {
                let receiving = self.snapshots.receiving.take()?;
                self.install(receiving.meta, catalog, stored, out);
            }
        }
        Some(stored)
    }

    /// A received snapshot is whole and durable: it becomes the state.
    fn install(
        &mut self,
        meta: SnapshotMeta,
        mut catalog: Catalog,
        offset: u64,
        out: &mut Vec<Effect>,
    ) {
        self.snapshots.state_bytes = offset;
        self.snapshots.log_bytes = 0;
        if meta.last.index > self.applied.index {
            crate::boot::mark(&mut catalog, self.config.id);
            self.catalog = catalog;
            self.applied = meta.last;
            self.replaced();
        }
        let index = CatalogIndex(meta.last.index.0);
        out.push(Effect::Event(Event::SnapshotTaken(index, offset)));
        self.snapshots.newest = meta.last;
        self.raft_input(Input::ChunkStored { snapshot: meta, offset, installed: true });
    }
}

// ---- for users ----------------------------------------------------------------------------------

impl Node {
    /// `GET /v1/snapshot`: everything as it is now, encoded over as many steps as it takes.
    pub(crate) fn save(&mut self, origin: Origin) {
        if let Some(open) = self.opens.get_mut(&origin) {
            open.stage = Stage::Saving;
        }
        let (index, reader) = (self.catalog.index(), self.catalog.snapshot());
        self.snapshots.saves.push_back(Save { origin, index, reader, bytes: Vec::new() });
        self.timers.set(Timer::Snapshot, self.now);
    }

    fn save_pieces(&mut self) {
        let Some(save) = self.snapshots.saves.front_mut() else {
            return;
        };
        for _ in 0..PIECES_A_STEP {
            let Some(piece) = save.reader.next_chunk(SNAPSHOT_CHUNK_BYTES) else {
                if let Some(save) = self.snapshots.saves.pop_front() {
                    self.saved(save);
                }
                break;
            };
            save.bytes.extend_from_slice(&piece);
        }
        if !self.snapshots.saves.is_empty() {
            self.timers.set(Timer::Snapshot, self.now);
        }
    }

    /// The body is the bare state, under the headers of the archive it becomes: whoever speaks HTTP
    /// puts it into Consul's form (gzip, tar, checksums), which needs libraries that have no place
    /// here, and takes it out of that form before a restore enters.
    fn saved(&mut self, save: Save) {
        let state = Bytes::from(save.bytes);
        let response = proconsul_http::snapshot(self.publisher.peek(), self.now, save.index, state);
        self.answer(save.origin, response);
    }
}
