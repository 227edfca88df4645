//! Between raft and the disk: batches become file operations, completions become promises kept.
//!
//! Raft speaks of entries and memberships, the disk of records with a kind byte; this file is the
//! one place that knows both.

use crate::agent::Agent;
use crate::node::Node;
use crate::pools::Pools;
use crate::timers::Timer;
use crate::{BootError, Config, Effect, Event, ExitReason};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_disk::{
    self as disk, FileOp, IoError, IoToken, Progress, Recovered, SnapshotProgress, Store,
};
use proconsul_raft::{Entry, HardState, Membership, Payload, Persist, SnapshotMeta};
use proconsul_types::{Duration, LogIndex, Rng};
use serde::{Deserialize, Serialize};

/// Where what raft persists goes.
#[derive(Clone, Debug)]
pub(crate) struct Durable {
    /// The log on disk; `None` without a data directory, when everything is durable at once.
    store: Option<Store>,
    ops: Vec<FileOp>,
    started: bool,
    failed: Option<String>,
    /// Why the log has no room, as long as that is so.
    no_room: Option<String>,
}

/// What the disk remembers with a snapshot besides its last entry.
#[derive(Serialize, Deserialize)]
struct Meta {
    membership: Membership,
    membership_index: LogIndex,
}

/// Between two attempts to find room for the log.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);

const NOOP: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;

impl Durable {
    /// Goes on where `recovered` ends; without a data directory there is nothing.
    pub(crate) fn new(config: &Config, recovered: Option<&Recovered>, rng: Rng) -> Self {
        let layout = disk::Config { segment_bytes: config.segment_bytes };
        let store = recovered.map(|recovered| Store::new(layout, recovered, rng, config.planted));
        let started = store.is_none();
        Self { store, ops: Vec::new(), started, failed: None, no_room: None }
    }

    /// Whether what recovery returned is durable: until then nothing may be promised.
    pub(crate) fn is_open(&self) -> bool {
        self.store.as_ref().is_none_or(|store| self.started && store.is_open())
    }

    /// Whether the disk has not been told to begin yet.
    pub(crate) fn must_start(&self) -> bool {
        !self.started
    }

    /// Whether there is a disk at all.
    pub(crate) fn has_disk(&self) -> bool {
        self.store.is_some()
    }

    /// Why the log has no room, if so.
    pub(crate) fn no_room(&self) -> Option<&str> {
        self.no_room.as_deref()
    }

    /// Bytes of the log on disk.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::log_bytes)
    }
}

// ---- the log ------------------------------------------------------------------------------------

impl Node {
    /// The first step: the disk begins.
    pub(crate) fn start_disk(&mut self, out: &mut Vec<Effect>) {
        self.durable.started = true;
        self.with_store(out, |store, ops| store.open(ops));
    }

    /// Calls the store, if there is one, and passes on its file operations.
    pub(crate) fn with_store<T>(
        &mut self,
        out: &mut Vec<Effect>,
        work: impl FnOnce(&mut Store, &mut Vec<FileOp>) -> T,
    ) -> Option<T> {
        let store = self.durable.store.as_mut()?;
        let result = work(store, &mut self.durable.ops);
        out.extend(self.durable.ops.drain(..).map(Effect::Io));
        Some(result)
    }

    /// Raft wants this kept.
    pub(crate) fn persist(&mut self, persist: Persist, out: &mut Vec<Effect>) {
        let number = persist.number;
        if !self.durable.has_disk() {
            self.raft_input(proconsul_raft::Input::Persisted(number));
            return;
        }
        // When a snapshot that the log contradicts becomes durable, the disk restarts the log
        // behind it by itself; what raft cuts for the same reason is gone already.
        let covered = self.durable.store.as_ref().and_then(Store::snapshot).unwrap_or_default();
        let batch = disk::Batch {
            number,
            truncate_from: persist.truncate_from.filter(|from| *from > covered.index),
            entries: persist.entries.into_iter().map(record).collect(),
            hard_state: persist
                .hard_state
                .map(|HardState { term, vote }| disk::HardState { term, vote }),
            committed: persist.committed,
            urgent: persist.urgent,
        };
        self.with_store(out, |store, ops| store.append(batch, ops));
    }

    /// A file operation completed.
    pub(crate) fn io(
        &mut self,
        token: IoToken,
        result: Result<(), IoError>,
        out: &mut Vec<Effect>,
    ) {
        if Agent::owns(token) {
            self.agent_io(token, result);
            return;
        }
        if Pools::owns(token) {
            self.pools_io(token, &result, out);
            return;
        }
        match self.with_store(out, |store, ops| store.on_io(token, result, ops)) {
            Some(Ok(progress)) => self.disk_progress(progress, out),
            Some(Err(error)) => self.durable.failed = Some(error.to_string()),
            None => {}
        }
        self.note_room(out);
    }

    /// The log found no room, or found it again.
    fn note_room(&mut self, out: &mut Vec<Effect>) {
        let why = self.durable.store.as_ref().and_then(Store::starving).map(ToString::to_string);
        if why.is_some() && self.timers.get(&Timer::Room).is_none() {
            self.timers.set(Timer::Room, self.now.after(LOOK_FOR_ROOM));
        }
        if why.is_some() == self.durable.no_room.is_some() {
            return;
        }
        out.push(Effect::Event(Event::Notice(match &why {
            Some(why) => format!("the log has no room, writes wait: {why}"),
            None => String::from("the log has room again"),
        })));
        self.durable.no_room = why;
        self.refuse_for_room();
    }

    /// Whether there is room now is tried.
    pub(crate) fn look_for_room(&mut self, out: &mut Vec<Effect>) {
        self.with_store(out, Store::try_again);
    }

    fn disk_progress(&mut self, progress: Progress, out: &mut Vec<Effect>) {
        if progress.opened {
            self.raft_input(proconsul_raft::Input::Wake);
        }
        if let Some(number) = progress.durable {
            self.raft_input(proconsul_raft::Input::Persisted(number));
        }
        match progress.snapshot {
            Some(SnapshotProgress::Room) => self.snapshot_room(),
            Some(SnapshotProgress::Done(id)) => self.snapshot_durable(id, out),
            Some(SnapshotProgress::Failed(error)) => {
                out.push(Effect::Event(Event::Notice(format!(
                    "a snapshot could not be written: {error}"
                ))));
                self.snapshot_failed();
            }
            None => {}
        }
    }

    /// Raft does not need its entries up to here any more.
    pub(crate) fn compact(&mut self, index: LogIndex, out: &mut Vec<Effect>) {
        self.with_store(out, |store, ops| store.compact(index, ops));
    }

    /// Before a stop in good order: what nobody waits for is written too.
    pub(crate) fn flush_disk(&mut self, out: &mut Vec<Effect>) {
        self.with_store(out, Store::flush);
    }

    /// The disk cannot be trusted any more: going on could break promises.
    pub(crate) fn stop_if_disk_failed(&mut self, out: &mut Vec<Effect>) {
        if let Some(reason) = self.durable.failed.take() {
            self.stop(ExitReason::Disk(reason), out);
        }
    }
}

// ---- records ------------------------------------------------------------------------------------

fn record(entry: Entry) -> disk::Entry {
    let (kind, payload) = match entry.payload {
        Payload::Noop => (NOOP, Bytes::new()),
        Payload::Command(bytes) => (COMMAND, bytes),
        Payload::Membership(membership) => {
            let bytes = proconsul_wire::encode(&membership)
                .expect("a membership is small and has a binary form");
            (MEMBERSHIP, bytes)
        }
    };
    disk::Entry { id: entry.id, kind, payload }
}

/// An entry as raft knows it.
pub(crate) fn entry(record: disk::Entry) -> Result<Entry, BootError> {
    let payload = match record.kind {
        NOOP => Payload::Noop,
        COMMAND => Payload::Command(record.payload),
        MEMBERSHIP => Payload::Membership(
            proconsul_wire::decode(&record.payload).map_err(|error| unknown(&record, &error))?,
        ),
        kind => return Err(unknown(&record, &format_args!("kind {kind}"))),
    };
    Ok(Entry { id: record.id, payload })
}

fn unknown(record: &disk::Entry, why: &dyn core::fmt::Display) -> BootError {
    BootError {
        text: format!(
            "log entry {} was written by a newer version ({why}); start this server with that \
             version, or remove its data directory and let it join again",
            record.id
        ),
    }
}

/// What the disk keeps with a snapshot.
pub(crate) fn encode_meta(meta: &SnapshotMeta) -> Bytes {
    let kept =
        Meta { membership: meta.membership.clone(), membership_index: meta.membership_index };
    proconsul_wire::encode(&kept).expect("a membership is small and has a binary form")
}

/// What the disk kept with a snapshot.
pub(crate) fn decode_meta(snapshot: &disk::SnapshotFile) -> Result<SnapshotMeta, BootError> {
    let kept: Meta = proconsul_wire::decode(&snapshot.meta).map_err(|error| BootError {
        text: format!(
            "the snapshot of entry {} was written by a newer version ({error}); start this server \
             with that version",
            snapshot.id
        ),
    })?;
    Ok(SnapshotMeta {
        last: snapshot.id,
        membership: kept.membership,
        membership_index: kept.membership_index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_raft::Member;
    use proconsul_types::{EntryId, NodeId, Term};

    fn membership() -> Membership {
        let members = [(NodeId(1), Member { voter: true }), (NodeId(300), Member { voter: false })];
        Membership { members: members.into() }
    }

    /// Version 1 of what the log and snapshots hold of the group.
    const MEMBERSHIP: [u8; 8] = [1, 2, 1, 1, 0xfb, 0x2c, 0x01, 0];

    #[test]
    fn version_1_memberships_are_read_for_ever() {
        let id = EntryId::new(Term(2), LogIndex(9));
        let payload = Payload::Membership(membership());
        let written = record(Entry { id, payload: payload.clone() });
        assert_eq!((written.kind, &written.payload[..]), (super::MEMBERSHIP, &MEMBERSHIP[..]));
        assert_eq!(entry(written), Ok(Entry { id, payload }));

        let index = LogIndex(70_000);
        let meta = SnapshotMeta { last: id, membership: membership(), membership_index: index };
        let bytes = encode_meta(&meta);
        assert_eq!(bytes[..], [&MEMBERSHIP[..], &[0xfc, 0x70, 0x11, 0x01, 0]].concat());
        let file = disk::SnapshotFile { id, meta: bytes, payload: Bytes::new() };
        assert_eq!(decode_meta(&file), Ok(meta));
    }
}
