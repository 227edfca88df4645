//! Where batches are written: the segment in use, the one prepared ahead, the ones no longer
//! needed.

use super::{Pending, ROOM_BYTES, Segment, Spare, Store, Wait, Written, u64_of};
use crate::format::{self, Checkpoint, HEAD_BYTES_MAX, Link, MARK_BYTES};
use crate::{FileOp, Lane, names};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};
use proconsul_types::{Fault, LogIndex};

impl Store {
    pub(super) fn needs_segment(&self) -> bool {
        let bytes = u64_of(MARK_BYTES + self.pending.content());
        self.segments.back().is_none_or(|active| active.end + bytes > active.size)
    }

    /// Hands the pending batches to the disk if it is free and someone waits for them.
    pub(super) fn pump(&mut self, out: &mut Vec<FileOp>) {
        if self.in_flight || self.open_waits > 0 || self.failed.is_some() {
            return;
        }
        let big = u64_of(self.pending.content()) > self.config.segment_bytes / 4;
        let Some(number) = self.pending.number.filter(|_| self.pending.urgent || big) else {
            return;
        };
        let mut head = Vec::new();
        if self.needs_segment() {
            match self.spare.take_if(|spare| spare.ready) {
                Some(spare) => head = self.begin_segment(spare),
                None => {
                    if self.spare.is_none() && self.starving.is_none() {
                        self.prepare_spare(out);
                    }
                    return;
                }
            }
        }
        let active = self.segments.back_mut().expect("a segment was just begun if none was there");
        let mark = format::mark(active.id, self.sequence, self.pending.content());
        let mut bytes = core::mem::take(&mut self.pending.bytes);
        bytes.resize(bytes.len().max(ROOM_BYTES), 0);
        let begin = HEAD_BYTES_MAX - head.len();
        bytes[begin..HEAD_BYTES_MAX].copy_from_slice(&head);
        bytes[HEAD_BYTES_MAX..ROOM_BYTES].copy_from_slice(&mark);
        let seed = format::batch_seed(active.id, self.sequence);
        format::seal(&mut bytes[ROOM_BYTES..], seed);
        let mut bytes = Bytes::from(bytes);
        bytes.advance(begin);
        let (file, offset, lane) = (active.file.clone(), active.end, Lane::Log);
        active.end += u64_of(bytes.len());
        active.size = active.size.max(active.end);
        self.sequence += 1;
        self.pending = Pending::default();
        self.written =
            Written { last: self.last, hard_state: self.hard_state, committed: self.committed };
        self.in_flight = true;
        out.push(FileOp::Write { lane, file: file.clone(), offset, bytes });
        let token = self.token(Wait::Batch(number));
        out.push(FileOp::Sync { lane, file, token });
        if self.spare.is_none() && self.spare_error.is_none() {
            self.prepare_spare(out);
        }
    }

    /// Makes `spare` the segment that is written; returns the bytes it begins with.
    pub(super) fn begin_segment(&mut self, spare: Spare) -> Vec<u8> {
        let previous = self.segments.back().map(|segment| Link {
            number: segment.number,
            id: segment.id,
            end: segment.end,
        });
        self.starving = None;
        let Written { last, hard_state, committed } = self.written;
        let head = format::segment_head(&Checkpoint {
            number: spare.number,
            id: spare.id,
            sequence: self.sequence,
            previous,
            last,
            committed,
            hard_state,
        });
        self.segments.push_back(Segment {
            number: spare.number,
            id: spare.id,
            file: spare.file,
            base: last,
            end: 0,
            size: spare.size,
        });
        head
    }

    pub(super) fn spare_lane(&self) -> Lane {
        // The first segment is waited for; the others are zeroed beside the log's own traffic.
        if self.segments.is_empty() { Lane::Log } else { Lane::Snapshot }
    }

    pub(super) fn prepare_spare(&mut self, out: &mut Vec<FileOp>) {
        let number = self.next_number;
        self.next_number += 1;
        let id = self.rng.next_u64();
        let file = names::segment(number, id);
        let size = self.config.segment_bytes;
        let lane = self.spare_lane();
        out.push(FileOp::Create { lane, file: file.clone(), size });
        self.spare = Some(Spare { number, id, file: file.clone(), size, ready: false });
        self.sync_spare(number, file, lane, out);
    }

    pub(super) fn sync_spare(
        &mut self,
        number: u64,
        file: Arc<str>,
        lane: Lane,
        out: &mut Vec<FileOp>,
    ) {
        let token = self.token(Wait::SpareBytes(number));
        out.push(FileOp::Sync { lane, file, token });
        if self.fresh && self.segments.is_empty() {
            // The directory itself is new.
            let token = self.token(Wait::SpareBytes(number));
            out.push(FileOp::SyncDir { lane, dir: Arc::from(""), token });
        }
        let token = self.token(Wait::SpareName(number));
        out.push(FileOp::SyncDir { lane, dir: names::DIRECTORY.into(), token });
    }

    /// Drops the log up to `upto`: whole segments are unlinked once everything in them is covered
    /// by the durable snapshot and the checkpoint of the segment after them is durable.
    ///
    /// # Panics
    /// If no durable snapshot covers `upto`.
    pub fn compact(&mut self, upto: LogIndex, out: &mut Vec<FileOp>) {
        self.open(out);
        if !self.planted.is(Fault::CompactBeforeSnapshot) {
            let covered = self.snapshot.unwrap_or_default().index;
            assert!(upto <= covered, "only what a durable snapshot covers leaves the log");
        }
        self.compact_upto = self.compact_upto.max(upto);
        self.unlink_covered(out);
    }

    pub(super) fn unlink_covered(&mut self, out: &mut Vec<FileOp>) {
        if self.open_waits > 0 {
            // The snapshot that covers them was read back, and may not be durable itself.
            return;
        }
        // While a batch is under way its segment's checkpoint may not be durable yet.
        let durable =
            self.segments.len() - usize::from(self.in_flight && !self.segments.is_empty());
        let mut dropped = 0;
        while dropped + 1 < durable && self.segments[1].base.index <= self.compact_upto {
            let Some(segment) = self.segments.pop_front() else { break };
            out.push(FileOp::Unlink { lane: Lane::Log, file: segment.file });
            dropped += 1;
            self.spare_error = None;
        }
        if dropped == 0 {
            return;
        }
        let start = self.segments.front().map_or(LogIndex(0), |segment| segment.base.index);
        while self.runs.len() > 1 && self.runs[1].0 <= start {
            self.runs.pop_front();
        }
    }
}
