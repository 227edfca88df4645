//! One server at the table: a Raft, a disk that syncs late, and a small state machine.

use crate::judge::apply;
use bytes::Bytes;
use proconsul_raft::{
    Boot, Config, Entry, HardState, Membership, Persist, Raft, SnapshotChunk, SnapshotMeta,
};
use proconsul_types::{Duration, EntryId, Instant, LogIndex, Planted, Rng, Seed, ServerId};
use std::collections::VecDeque;

/// The server called `number`.
pub(crate) fn id(number: u128) -> ServerId {
    ServerId::from_bits(number)
}

/// Small limits, so that every bound is met.
pub(crate) fn config(number: u128, planted: Planted) -> Config {
    Config {
        id: id(number),
        heartbeat_interval: Duration::from_millis(50),
        election_timeout_min: Duration::from_millis(250),
        election_timeout_max: Duration::from_millis(500),
        lease_margin_percent: 20,
        append_bytes_max: 200,
        append_entries_max: 4,
        inflight_bytes_max: 400,
        inflight_messages_max: 3,
        uncommitted_bytes_max: 2000,
        trailing_bytes_max: 120,
        transfer_timeout: Duration::from_millis(400),
        planted,
    }
}

/// A whole snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) meta: SnapshotMeta,
    pub(crate) bytes: Bytes,
}

/// What survives a crash, and what is on its way there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Entry>,
    pub(crate) committed: LogIndex,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) pending: VecDeque<Persist>,
    pub(crate) used: bool,
}

impl Disk {
    /// Takes the first pending batch for durable.
    fn sync_one(&mut self) {
        let Some(batch) = self.pending.pop_front() else {
            return;
        };
        self.used = true;
        if let Some(from) = batch.truncate_from {
            self.entries.retain(|entry| entry.id.index < from);
        }
        for entry in batch.entries {
            let covered = self.snapshot.as_ref().map_or(LogIndex(0), |held| held.meta.last.index);
            let last = self.entries.last().map_or(covered, |last| last.id.index);
            if entry.id.index != last.next() {
                assert!(entry.id.index == covered.next() && covered > last, "the log has no holes");
                self.entries.clear();
            }
            self.entries.push(entry);
        }
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state;
        }
        self.committed = self.committed.max(batch.committed);
    }

    pub(crate) fn sync_to(&mut self, number: u64) {
        while self.pending.front().is_some_and(|batch| batch.number <= number) {
            self.sync_one();
        }
    }

    /// Power is lost: so many of the pending batches had arrived.
    pub(crate) fn crash(&mut self, arrived: usize) {
        for _ in 0..arrived.min(self.pending.len()) {
            self.sync_one();
        }
        self.pending.clear();
    }

    fn boot(&self, bootstrap: Option<Membership>) -> Boot {
        Boot {
            hard_state: self.hard_state,
            snapshot: self.snapshot.as_ref().map(|held| held.meta.clone()),
            entries: self.entries.clone(),
            committed: self.committed,
            bootstrap,
            force_bootstrap: false,
            restarted: self.used,
        }
    }
}

/// One server.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) bootstrap: Option<Membership>,
    pub(crate) raft: Option<Raft>,
    pub(crate) disk: Disk,
    pub(crate) incarnation: u64,
    pub(crate) booted_at: u64,
    /// Its clock runs at so many percent of true time.
    pub(crate) rate: u64,
    pub(crate) applied: EntryId,
    pub(crate) told_applied: LogIndex,
    pub(crate) state: u64,
    pub(crate) incoming: Vec<u8>,
}

impl Server {
    pub(crate) fn new(config: Config, bootstrap: Option<Membership>) -> Self {
        Self {
            config,
            bootstrap,
            raft: None,
            disk: Disk::default(),
            incarnation: 0,
            booted_at: 0,
            rate: 100,
            applied: EntryId::default(),
            told_applied: LogIndex(0),
            state: 0,
            incoming: Vec::new(),
        }
    }

    /// Its own clock at true time `now`.
    pub(crate) fn clock(&self, now: u64) -> Instant {
        Instant((now - self.booted_at) / 100 * self.rate)
    }

    /// When true time will be `at` on its clock, or a little later.
    pub(crate) fn true_time(&self, at: Instant) -> u64 {
        self.booted_at.saturating_add((at.0 / self.rate).saturating_add(1).saturating_mul(100))
    }

    pub(crate) fn start(&mut self, now: u64, seed: u64) {
        self.incarnation += 1;
        self.booted_at = now;
        self.incoming.clear();
        (self.applied, self.state) =
            self.disk.snapshot.as_ref().map_or_else(Default::default, unpack);
        let boot = self.disk.boot(self.bootstrap.clone());
        let rng = Rng::new(Seed(seed ^ (self.incarnation << 32)));
        let rng = rng.split(&self.config.id.to_string());
        self.raft = Some(Raft::new(self.config.clone(), rng, boot, Instant::START));
    }

    pub(crate) fn apply(&mut self, entry: &Entry) {
        assert!(
            entry.id.index == self.applied.index.next(),
            "every committed entry comes exactly once: {} after {}",
            entry.id,
            self.applied
        );
        self.state = apply(self.state, entry);
        self.applied = entry.id;
    }

    /// A snapshot of the state as it is, if Raft can say what it stands for.
    pub(crate) fn take_snapshot(&mut self) -> Option<SnapshotMeta> {
        let meta = self.raft.as_ref()?.snapshot_meta(self.applied.index)?;
        if meta.last.index == LogIndex(0) {
            return None;
        }
        assert_eq!(meta.last, self.applied, "the id and the state are of one moment");
        let mut bytes = Vec::new();
        bytes.extend(self.applied.term.0.to_le_bytes());
        bytes.extend(self.applied.index.0.to_le_bytes());
        bytes.extend(self.state.to_le_bytes());
        self.disk.snapshot = Some(Snapshot { meta: meta.clone(), bytes: bytes.into() });
        Some(meta)
    }

    /// A piece of the newest snapshot, if it is the one that is wanted.
    pub(crate) fn read_chunk(
        &self,
        wanted: Option<&SnapshotMeta>,
        offset: u64,
    ) -> Option<SnapshotChunk> {
        let held = self.disk.snapshot.as_ref()?;
        if wanted.is_some_and(|wanted| wanted.last != held.meta.last) {
            return None;
        }
        let start = usize::try_from(offset).unwrap().min(held.bytes.len());
        let end = (start + 10).min(held.bytes.len());
        Some(SnapshotChunk {
            snapshot: held.meta.clone(),
            offset,
            bytes: held.bytes.slice(start..end),
            last: end == held.bytes.len(),
        })
    }

    /// Keeps a piece. Once all are there the snapshot is in force and durable.
    pub(crate) fn store_chunk(&mut self, chunk: &SnapshotChunk) -> (u64, bool) {
        if chunk.offset == 0 {
            self.incoming.clear();
        }
        self.incoming.extend(&chunk.bytes);
        let offset = chunk.offset + u64::try_from(chunk.bytes.len()).unwrap();
        if chunk.last {
            let bytes = Bytes::from(core::mem::take(&mut self.incoming));
            let held = Snapshot { meta: chunk.snapshot.clone(), bytes };
            (self.applied, self.state) = unpack(&held);
            self.applied = chunk.snapshot.last;
            self.disk.snapshot = Some(held);
            self.disk.used = true;
        }
        (offset, chunk.last)
    }
}

fn unpack(held: &Snapshot) -> (EntryId, u64) {
    let word = |at: usize| -> u64 {
        let bytes = held.bytes.get(at..at + 8).map_or([0; 8], |bytes| bytes.try_into().unwrap());
        u64::from_le_bytes(bytes)
    };
    (held.meta.last, word(16))
}
