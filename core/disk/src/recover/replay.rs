//! What the records of the log say, one segment after the other.

use super::RecoverError;
use super::found::Candidate;
use crate::format::{self, Checkpoint, Kind, Link, Record};
use crate::store::u64_of;
use crate::{Entry, HardState};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{EntryId, Fault, LogIndex, Planted};

/// Valid batch marks of `segment` at or after `from`: (offset, sequence).
pub(super) fn marks_after(
    file: &[u8],
    from: usize,
    segment: u64,
) -> impl Iterator<Item = (usize, u64)> + '_ {
    (from.next_multiple_of(8)..file.len()).step_by(8).filter_map(move |at| {
        let (sequence, ..) = format::parse_mark(file, at, segment)?;
        Some((at, sequence))
    })
}

/// The records of the batch `sequence` at `at` and where it ends, if every one of them is valid.
pub(super) fn read_batch(
    file: &[u8],
    at: usize,
    segment: u64,
    sequence: u64,
) -> Option<(Vec<Record<'_>>, usize)> {
    let (found, mut next, end) = format::parse_mark(file, at, segment)?;
    if found != sequence || end > file.len() {
        return None;
    }
    let seed = format::batch_seed(segment, sequence);
    let mut records = Vec::new();
    while next < end {
        let record = format::parse(&file[..end], next, seed)?;
        next = record.next;
        records.push(record);
    }
    (next == end).then_some((records, end))
}

/// What the records say so far.
#[derive(Default)]
pub(super) struct Replay {
    /// The entry before the first of `entries`.
    pub(super) start: EntryId,
    pub(super) entries: Vec<Entry>,
    pub(super) last: EntryId,
    pub(super) hard_state: HardState,
    pub(super) committed: LogIndex,
    /// Number of the next batch; 0 before the first segment.
    pub(super) sequence: u64,
}

impl Replay {
    /// The id of the entry at `index`, if the log has it or begins right after it.
    pub(super) fn term_at(&self, index: LogIndex) -> Option<EntryId> {
        if index == self.start.index {
            return Some(self.start);
        }
        let place = usize::try_from(index.0.checked_sub(self.start.index.0 + 1)?).ok()?;
        self.entries.get(place).map(|entry| entry.id)
    }

    pub(super) fn begin(&mut self, checkpoint: &Checkpoint) -> Result<(), &'static str> {
        if self.sequence == 0 {
            if checkpoint.previous.is_none() && checkpoint.last != EntryId::default() {
                return Err("the first segment begins after entries that never were");
            }
            self.start = checkpoint.last;
            self.last = checkpoint.last;
            self.hard_state = checkpoint.hard_state;
            self.committed = checkpoint.committed;
            self.sequence = checkpoint.sequence;
            return Ok(());
        }
        if checkpoint.sequence != self.sequence {
            return Err("batches are missing before this segment");
        }
        if checkpoint.last != self.last || checkpoint.hard_state != self.hard_state {
            return Err("the segments before say otherwise than this one's head");
        }
        Ok(())
    }

    pub(super) fn apply(
        &mut self,
        record: &Record<'_>,
        planted: Planted,
    ) -> Result<(), &'static str> {
        let index = record.id.index;
        match record.kind {
            Kind::Entry => {
                if index != LogIndex(self.last.index.0.saturating_add(1)) {
                    if !planted.is(Fault::TruncationNotLogged) {
                        return Err("an entry does not follow the one before");
                    }
                    return self.overwrite(record);
                }
                self.push(record);
            }
            Kind::HardState => {
                self.hard_state =
                    format::parse_body(record.payload).ok_or("term and vote have no known form")?;
            }
            Kind::Commit => self.committed = self.committed.max(index),
            Kind::Truncate => {
                if index.0 == 0 || index > self.last.index {
                    return Err("entries are dropped that are not there");
                }
                if index <= self.start.index {
                    // The entries in between were in segments that are gone; a snapshot must cover
                    // what stays of them.
                    self.start = EntryId::new(record.id.term, index.previous());
                    self.entries.clear();
                }
                let keep = usize::try_from(index.0 - self.start.index.0 - 1).unwrap_or(0);
                self.entries.truncate(keep);
                self.last = self.entries.last().map_or(self.start, |entry| entry.id);
                self.committed = self.committed.min(self.last.index);
            }
            Kind::Restart => {
                self.entries.clear();
                self.start = record.id;
                self.last = record.id;
                self.committed = self.committed.max(index);
            }
            Kind::Segment | Kind::Batch => return Err("a record of this kind has no place here"),
        }
        Ok(())
    }

    pub(super) fn push(&mut self, record: &Record<'_>) {
        // A copy: a part of the file's bytes would keep the whole segment in memory.
        let payload = Bytes::copy_from_slice(record.payload);
        self.entries.push(Entry { id: record.id, kind: record.payload_kind, payload });
        self.last = record.id;
    }

    /// What a log without truncation marks does: the newest record of an index counts.
    pub(super) fn overwrite(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        let place = record.id.index.0.checked_sub(self.start.index.0 + 1);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let entry = place.and_then(|place| self.entries.get_mut(place));
        let Some(entry) = entry else {
            return Err("an entry does not follow the one before");
        };
        let payload = Bytes::copy_from_slice(record.payload);
        *entry = Entry { id: record.id, kind: record.payload_kind, payload };
        Ok(())
    }
}

/// Reads one segment.
pub(super) struct Reader<'a> {
    pub(super) candidate: &'a Candidate<'a>,
    pub(super) planted: Planted,
}

impl Reader<'_> {
    /// Replays the segment up to where the next one says it ended; the last one up to where its
    /// sound batches end. Returns that end.
    pub(super) fn replay(
        &self,
        replay: &mut Replay,
        link: Option<&Link>,
    ) -> Result<u64, RecoverError> {
        let Candidate { bytes, checkpoint, first, .. } = self.candidate;
        replay.begin(checkpoint).map_err(|reason| self.damage(0, reason))?;
        let mut at = *first;
        let end = link.map(|link| usize::try_from(link.end).unwrap_or(usize::MAX));
        while end.is_none_or(|end| at < end) {
            let Some((records, next)) = read_batch(bytes, at, checkpoint.id, replay.sequence)
            else {
                if end.is_some() && !self.planted.is(Fault::HoleSkipped) {
                    return Err(self.damage(at, "a synced batch is damaged"));
                }
                return self.cut(replay, at);
            };
            for record in &records {
                replay
                    .apply(record, self.planted)
                    .map_err(|reason| self.damage(record.payload_at, reason))?;
            }
            replay.sequence = replay
                .sequence
                .checked_add(1)
                .ok_or_else(|| self.damage(at, "the batch number leaves no room for another"))?;
            at = next;
        }
        if end.is_some_and(|end| at != end) {
            return Err(self.damage(at, "the segment ends elsewhere than the next one says"));
        }
        Ok(u64_of(at))
    }

    /// The batch at `at` is not whole: nobody was told that it is durable, unless a later one
    /// proves that it was.
    pub(super) fn cut(&self, replay: &mut Replay, at: usize) -> Result<u64, RecoverError> {
        let Candidate { bytes, checkpoint, .. } = self.candidate;
        if self.planted.is(Fault::TornTailAccepted) {
            return Ok(u64_of(self.accept_torn(replay, at)));
        }
        let later = marks_after(bytes, at, checkpoint.id)
            .find(|(_, sequence)| *sequence != replay.sequence);
        if later.is_some() && !self.planted.is(Fault::HoleSkipped) {
            return Err(self.damage(at, "a batch is damaged but a later one was synced"));
        }
        Ok(u64_of(at))
    }

    pub(super) fn accept_torn(&self, replay: &mut Replay, at: usize) -> usize {
        let Candidate { bytes, checkpoint, .. } = self.candidate;
        let Some((_, mut next, end)) = format::parse_mark(bytes, at, checkpoint.id) else {
            return at;
        };
        while next < end {
            let record = format::parse_unchecked(bytes, next);
            let Some((record, _)) = record.filter(|(r, _)| replay.apply(r, self.planted).is_ok())
            else {
                break;
            };
            next = record.next;
        }
        replay.sequence += 1;
        next
    }

    pub(super) fn damage(&self, offset: usize, reason: &'static str) -> RecoverError {
        RecoverError {
            file: self.candidate.file.clone(),
            offset: u64_of(offset),
            reason: Cow::Borrowed(reason),
        }
    }
}
