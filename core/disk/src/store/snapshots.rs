//! Snapshot files: written beside the log, named when durable, and what their arrival means for it.

use super::{Store, Wait};
use crate::snapshot::Writer;
use crate::{FileOp, Lane, Progress, SnapshotProgress, names};
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{EntryId, Fault};

impl Store {
    /// Begins a snapshot file for the state after entry `id`; `meta` is opaque. One that is under
    /// way is given up.
    pub fn snapshot_begin(&mut self, id: EntryId, meta: Bytes, out: &mut Vec<FileOp>) {
        self.open(out);
        self.snapshot_abort(out);
        self.writer = Some(Writer::begin(id, meta, out));
        if self.planted.is(Fault::CompactBeforeSnapshot) {
            self.compact(id.index, out);
        }
    }

    /// Writes the next piece of its payload. False: wait for [`SnapshotProgress::Room`] before the
    /// next, or memory fills with pieces the disk has not taken.
    ///
    /// # Panics
    /// If no snapshot is under way, or it is finished.
    pub fn snapshot_write(&mut self, bytes: Bytes, out: &mut Vec<FileOp>) -> bool {
        let writer = self.writer.as_mut().expect("a snapshot was begun");
        assert!(!writer.finished, "nothing follows a snapshot's footer");
        let due = writer.write(bytes, out);
        let (id, room) = (writer.id, writer.has_room());
        if due {
            let synced = writer.payload_bytes;
            let token = self.token(Wait::SnapshotPart { id, synced });
            if let Some(writer) = self.writer.as_mut() {
                writer.sync(token, out);
            }
        }
        room
    }

    /// Writes its footer. [`SnapshotProgress::Done`] follows once it is durable under its name.
    ///
    /// # Panics
    /// If no snapshot is under way, or it is finished.
    pub fn snapshot_finish(&mut self, out: &mut Vec<FileOp>) {
        let writer = self.writer.as_mut().expect("a snapshot was begun");
        assert!(!writer.finished, "a snapshot is finished once");
        writer.finish(out);
        let id = writer.id;
        let token = self.token(Wait::SnapshotBytes(id));
        if let Some(writer) = self.writer.as_mut() {
            writer.sync(token, out);
        }
    }

    /// Gives up the snapshot under way, if any. One whose footer is durable already completes.
    pub fn snapshot_abort(&mut self, out: &mut Vec<FileOp>) {
        if let Some(writer) = self.held_snapshot.take() {
            out.push(FileOp::Unlink { lane: Lane::Snapshot, file: writer.file });
        }
        if let Some(writer) = self.writer.take() {
            self.waits.retain(|_, wait| match wait {
                Wait::SnapshotPart { id, .. } | Wait::SnapshotBytes(id) => *id != writer.id,
                Wait::Open
                | Wait::Batch(_)
                | Wait::SpareBytes(_)
                | Wait::SpareName(_)
                | Wait::SnapshotName(_) => true,
            });
            out.push(FileOp::Unlink { lane: Lane::Snapshot, file: writer.file });
        }
    }

    /// The snapshot under way and the bytes of payload it has so far.
    #[must_use]
    pub fn snapshot_under_way(&self) -> Option<(EntryId, u64)> {
        self.writer.as_ref().map(|writer| (writer.id, writer.payload_bytes))
    }

    /// The newest durable snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<EntryId> {
        self.snapshot
    }

    pub(super) fn name_snapshot(
        &mut self,
        writer: &Writer,
        progress: &mut Progress,
        out: &mut Vec<FileOp>,
    ) {
        let (lane, id) = (Lane::Snapshot, writer.id);
        out.push(FileOp::Rename { lane, from: writer.file.clone(), to: names::snapshot(id) });
        if self.planted.is(Fault::SnapshotBeforeDirSync) {
            self.snapshot_durable(id, progress, out);
            return;
        }
        let token = self.token(Wait::SnapshotName(id));
        out.push(FileOp::SyncDir { lane, dir: names::DIRECTORY.into(), token });
    }

    pub(super) fn snapshot_durable(
        &mut self,
        id: EntryId,
        progress: &mut Progress,
        out: &mut Vec<FileOp>,
    ) {
        progress.snapshot = Some(SnapshotProgress::Done(id));
        if self.snapshot.is_some_and(|newest| newest.index > id.index) {
            let file = names::snapshot(id);
            out.push(FileOp::Unlink { lane: Lane::Snapshot, file });
            return;
        }
        self.snapshot = Some(id);
        for old in core::mem::take(&mut self.snapshot_files) {
            if old != id {
                out.push(FileOp::Unlink { lane: Lane::Snapshot, file: names::snapshot(old) });
            }
        }
        self.snapshot_files.push(id);
        // Raft paper, section 7: keep what follows the snapshot if the log agrees with it there,
        // else nothing.
        if self.term_at(id.index) != Some(id.term) {
            self.put_restart(id);
        }
    }
}
