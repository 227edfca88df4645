//! From the bytes of files to what the log says: a pure function that never skips a hole.

use crate::format::{self, Checkpoint, Kind, Link, Record};
use crate::names::{self, Name};
use crate::snapshot::{self, SnapshotFile};
use crate::store::{Segment, Spare, u64_of};
use crate::{Entry, HardState};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use proconsul_types::{EntryId, Fault, LogIndex, Planted};

/// What the disk remembers.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// Entries after the snapshot, without a hole.
    pub entries: Vec<Entry>,
    /// A commit index known to be safe: at least the snapshot's, at most the last entry's.
    pub committed: LogIndex,
    /// The newest complete snapshot.
    pub snapshot: Option<SnapshotFile>,
    /// Where a torn batch was cut off the end of the log, if one was.
    pub tail_cut: Option<TailCut>,
    /// Whether a log was found: this server ran with this disk before.
    pub restarted: bool,
    pub(crate) state: State,
}

impl Recovered {
    /// The last entry, or what the snapshot ends with.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.start(), |entry| entry.id)
    }

    pub(crate) fn start(&self) -> EntryId {
        self.snapshot.as_ref().map(|snapshot| snapshot.id).unwrap_or_default()
    }
}

/// A torn batch at the end of the log. Nobody was told that it was durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailCut {
    /// Which file.
    pub file: Arc<str>,
    /// Bytes that stay.
    pub offset: u64,
}

/// Where a [`crate::Store`] goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) segments: Vec<Segment>,
    pub(crate) spare: Option<Spare>,
    pub(crate) next_number: u64,
    pub(crate) next_sequence: u64,
    /// The last entry the log's records speak of.
    pub(crate) last: EntryId,
    /// Whether the snapshot outruns or contradicts the log, so that the log restarts after it.
    pub(crate) restart: bool,
    /// Bytes after the end of the last segment that are not zero.
    pub(crate) garbage_bytes: u64,
    pub(crate) junk: Vec<Arc<str>>,
    pub(crate) snapshot_files: Vec<EntryId>,
}

/// Why a log is refused. Nothing was changed on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverError {
    /// Which file.
    pub file: Arc<str>,
    /// Where in it.
    pub offset: u64,
    /// What is wrong.
    pub reason: Cow<'static, str>,
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at offset {}: {}; this is damage, not a crash, and going on could lose acknowledged \
             writes: restore the file, or, while a majority of the other servers is healthy, move \
             the directory \"{}\" away and let this server join again empty",
            self.file,
            self.offset,
            self.reason,
            names::DIRECTORY,
        )
    }
}

impl core::error::Error for RecoverError {}

/// Reads what the disk holds below the data directory; files that are not the log's are ignored.
///
/// # Errors
/// [`RecoverError`] when the files cannot be what any crash leaves behind.
pub fn recover(
    files: &BTreeMap<Arc<str>, Bytes>,
    planted: Planted,
) -> Result<Recovered, RecoverError> {
    let found = Found::sort(files)?;
    let mut replay = Replay::default();
    let mut state = State {
        next_number: found.next_number(),
        next_sequence: 1,
        junk: found.temporary.clone(),
        snapshot_files: found.snapshots.keys().copied().collect(),
        ..State::default()
    };
    let chain = found.chain()?;
    let mut tail_cut = None;
    for (place, candidate) in chain.iter().enumerate() {
        let end = chain.get(place + 1).and_then(|next| next.checkpoint.previous.as_ref());
        let reader = Reader { candidate, planted };
        let end = reader.replay(&mut replay, end)?;
        let last = place + 1 == chain.len();
        if last {
            state.garbage_bytes = garbage_bytes(candidate.bytes, end);
            if state.garbage_bytes > 0 {
                tail_cut = Some(TailCut { file: candidate.file.clone(), offset: end });
            }
        }
        state.segments.push(Segment {
            number: candidate.checkpoint.number,
            id: candidate.checkpoint.id,
            file: candidate.file.clone(),
            base: candidate.checkpoint.last,
            end,
            size: u64_of(candidate.bytes.len()),
        });
    }
    state.next_sequence = replay.sequence.max(1);
    state.last = replay.last;
    found.leftovers(&mut state);
    let restarted = !chain.is_empty();
    let snapshot = found.choose_snapshot(&replay, restarted)?;
    let start = snapshot.as_ref().map(|snapshot| snapshot.id).unwrap_or_default();
    if replay.start.index > start.index {
        let file = chain.first().map_or_else(|| names::DIRECTORY.into(), |c| c.file.clone());
        return Err(RecoverError {
            file,
            offset: 0,
            reason: Cow::Owned(alloc::format!(
                "the log begins after entry {} but no snapshot covers the entries before (newest: \
                 {start})",
                replay.start
            )),
        });
    }
    state.restart = restarted && replay.term_at(start.index) != Some(start);
    let mut entries = replay.entries;
    if state.restart {
        entries.clear();
    }
    entries.retain(|entry| entry.id.index > start.index);
    let last = entries.last().map_or(start, |entry| entry.id);
    Ok(Recovered {
        hard_state: replay.hard_state,
        committed: replay.committed.max(start.index).min(last.index),
        entries,
        snapshot,
        tail_cut,
        restarted,
        state,
    })
}

fn garbage_bytes(file: &[u8], end: u64) -> u64 {
    let end = usize::try_from(end).unwrap_or(usize::MAX);
    let rest = file.get(end..).unwrap_or(&[]);
    u64_of(rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1))
}

/// A segment whose head is sound.
struct Candidate<'a> {
    file: Arc<str>,
    bytes: &'a [u8],
    checkpoint: Checkpoint,
    /// Where its first batch begins.
    first: usize,
}

/// Files by what they are.
#[derive(Default)]
struct Found<'a> {
    sound: BTreeMap<u64, Candidate<'a>>,
    /// Files without a sound head: (number, id), name, bytes.
    headless: BTreeMap<(u64, u64), (Arc<str>, &'a [u8])>,
    snapshots: BTreeMap<EntryId, (Arc<str>, &'a Bytes)>,
    temporary: Vec<Arc<str>>,
}

impl<'a> Found<'a> {
    fn sort(files: &'a BTreeMap<Arc<str>, Bytes>) -> Result<Self, RecoverError> {
        let mut found = Self::default();
        for (file, bytes) in files {
            match names::parse(file) {
                Some(Name::Segment { number, id }) => {
                    found.segment(file.clone(), bytes, number, id)?;
                }
                Some(Name::Snapshot(id)) => {
                    found.snapshots.insert(id, (file.clone(), bytes));
                }
                Some(Name::Temporary) => found.temporary.push(file.clone()),
                None => {}
            }
        }
        Ok(found)
    }

    fn segment(
        &mut self,
        file: Arc<str>,
        bytes: &'a [u8],
        number: u64,
        id: u64,
    ) -> Result<(), RecoverError> {
        let damage = |reason: &'static str| RecoverError {
            file: file.clone(),
            offset: 0,
            reason: Cow::Borrowed(reason),
        };
        if let Some(magic) = bytes.first_chunk::<8>() {
            if magic[..7] == format::MAGIC[..7] && *magic != format::MAGIC {
                return Err(damage("written by a version this build does not know"));
            }
        }
        let head = bytes.starts_with(&format::MAGIC).then(|| format::parse(bytes, 8, 0)).flatten();
        let checkpoint = head
            .filter(|record| record.kind == Kind::Segment)
            .and_then(|record| format::parse_body::<Checkpoint>(record.payload))
            .filter(|checkpoint| checkpoint.number == number && checkpoint.id == id)
            .filter(Checkpoint::is_plausible);
        let (Some(head), Some(checkpoint)) = (head, checkpoint) else {
            self.headless.insert((number, id), (file, bytes));
            return Ok(());
        };
        // Head and first batch are one write: a sound head with a torn first batch was never
        // durable, and the segment counts as unused.
        if read_batch(bytes, head.next, id, checkpoint.sequence).is_none() {
            self.headless.insert((number, id), (file, bytes));
            return Ok(());
        }
        let candidate = Candidate { file: file.clone(), bytes, checkpoint, first: head.next };
        if self.sound.insert(number, candidate).is_some() {
            return Err(damage("two segments bear the same number"));
        }
        Ok(())
    }

    fn next_number(&self) -> u64 {
        let sound = self.sound.keys().next_back().copied().unwrap_or(0);
        let headless = self.headless.keys().next_back().map_or(0, |key| key.0);
        sound.max(headless).saturating_add(1)
    }

    /// The segments from the oldest to the newest, each linked to the one before.
    fn chain(&self) -> Result<Vec<&Candidate<'a>>, RecoverError> {
        let mut chain = Vec::new();
        let mut next = self.sound.values().next_back();
        while let Some(candidate) = next {
            chain.push(candidate);
            next = None;
            if let Some(link) = candidate.checkpoint.previous {
                if link.number >= candidate.checkpoint.number {
                    return Err(RecoverError {
                        file: candidate.file.clone(),
                        offset: 0,
                        reason: Cow::Borrowed("the segment before has a higher number"),
                    });
                }
                next = self.sound.get(&link.number).filter(|c| c.checkpoint.id == link.id);
                if let Some((file, _)) = self.headless.get(&(link.number, link.id)) {
                    return Err(RecoverError {
                        file: file.clone(),
                        offset: 0,
                        reason: Cow::Borrowed("the head of a synced segment is damaged"),
                    });
                }
            }
        }
        chain.reverse();
        let newest = chain.last().map_or(0, |candidate| candidate.checkpoint.number);
        for ((number, id), (file, bytes)) in self.headless.range((newest, 0)..) {
            // A second batch is written only after the first, with the head, is synced.
            let second = marks_after(bytes, format::HEAD_BYTES_MAX, *id).next();
            if *number > newest && second.is_some() {
                return Err(RecoverError {
                    file: file.clone(),
                    offset: 0,
                    reason: Cow::Borrowed("the head of a synced segment is damaged"),
                });
            }
        }
        Ok(chain)
    }

    /// Files to remove, and the zeroed segment to write next.
    fn leftovers(&self, state: &mut State) {
        let newest = state.segments.last().map_or(0, |segment| segment.number);
        for candidate in self.sound.values() {
            if !state.segments.iter().any(|s| s.number == candidate.checkpoint.number) {
                state.junk.push(candidate.file.clone());
            }
        }
        for ((number, id), (file, bytes)) in &self.headless {
            let zeros = !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0);
            if zeros && *number > newest && state.spare.is_none() {
                state.spare = Some(Spare::found(*number, *id, file.clone(), u64_of(bytes.len())));
            } else {
                state.junk.push(file.clone());
            }
        }
    }

    /// The newest sound snapshot. A damaged one is passed over only if the log has every entry
    /// from an older one (or from the beginning) up to it.
    fn choose_snapshot(
        &self,
        replay: &Replay,
        restarted: bool,
    ) -> Result<Option<SnapshotFile>, RecoverError> {
        let mut damage = None;
        for (id, (file, bytes)) in self.snapshots.iter().rev() {
            let refuse = |offset, reason: &'static str| RecoverError {
                file: file.clone(),
                offset,
                reason: Cow::Borrowed(reason),
            };
            if !restarted {
                return Err(refuse(0, "there is a snapshot but no log: term and vote are lost"));
            }
            match snapshot::parse(bytes) {
                Ok(snapshot) if snapshot.id == *id => {
                    // Older than a damaged one: sound only if the log goes on from here.
                    if let Some(error) = damage.filter(|_| replay.start.index > id.index) {
                        return Err(error);
                    }
                    return Ok(Some(snapshot));
                }
                Ok(_) => return Err(refuse(0, "the snapshot is of another entry than its name")),
                Err((offset, reason)) => {
                    let error = refuse(offset, reason);
                    if replay.term_at(id.index) != Some(*id) {
                        return Err(error);
                    }
                    damage = damage.or(Some(error));
                }
            }
        }
        match damage.filter(|_| replay.start.index.0 > 0) {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }
}

/// Valid batch marks of `segment` at or after `from`: (offset, sequence).
fn marks_after(file: &[u8], from: usize, segment: u64) -> impl Iterator<Item = (usize, u64)> + '_ {
    (from.next_multiple_of(8)..file.len()).step_by(8).filter_map(move |at| {
        let (sequence, ..) = format::parse_mark(file, at, segment)?;
        Some((at, sequence))
    })
}

/// The records of the batch `sequence` at `at` and where it ends, if every one of them is valid.
fn read_batch(
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
struct Replay {
    /// The entry before the first of `entries`.
    start: EntryId,
    entries: Vec<Entry>,
    last: EntryId,
    hard_state: HardState,
    committed: LogIndex,
    /// Number of the next batch; 0 before the first segment.
    sequence: u64,
}

impl Replay {
    /// The id of the entry at `index`, if the log has it or begins right after it.
    fn term_at(&self, index: LogIndex) -> Option<EntryId> {
        if index == self.start.index {
            return Some(self.start);
        }
        let place = usize::try_from(index.0.checked_sub(self.start.index.0 + 1)?).ok()?;
        self.entries.get(place).map(|entry| entry.id)
    }

    fn begin(&mut self, checkpoint: &Checkpoint) -> Result<(), &'static str> {
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

    fn apply(&mut self, record: &Record<'_>, planted: Planted) -> Result<(), &'static str> {
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

    fn push(&mut self, record: &Record<'_>) {
        // A copy: a part of the file's bytes would keep the whole segment in memory.
        let payload = Bytes::copy_from_slice(record.payload);
        self.entries.push(Entry { id: record.id, kind: record.payload_kind, payload });
        self.last = record.id;
    }

    /// What a log without truncation marks does: the newest record of an index counts.
    fn overwrite(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
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
struct Reader<'a> {
    candidate: &'a Candidate<'a>,
    planted: Planted,
}

impl Reader<'_> {
    /// Replays the segment up to where the next one says it ended; the last one up to where its
    /// sound batches end. Returns that end.
    fn replay(&self, replay: &mut Replay, link: Option<&Link>) -> Result<u64, RecoverError> {
        let Candidate { bytes, checkpoint, first, .. } = self.candidate;
        replay.begin(checkpoint).map_err(|reason| self.damage(0, reason))?;
        let mut at = *first;
        let end = link.map(|link| usize::try_from(link.end).unwrap_or(usize::MAX));
        while end.is_none_or(|end| at < end) {
            let Some((records, next)) = read_batch(bytes, at, checkpoint.id, replay.sequence)
            else {
                if end.is_some() {
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
    fn cut(&self, replay: &mut Replay, at: usize) -> Result<u64, RecoverError> {
        let Candidate { bytes, checkpoint, .. } = self.candidate;
        if self.planted.is(Fault::TornTailAccepted) {
            return Ok(u64_of(self.accept_torn(replay, at)));
        }
        let later = marks_after(bytes, at, checkpoint.id)
            .find(|(_, sequence)| *sequence != replay.sequence);
        if later.is_some() {
            return Err(self.damage(at, "a batch is damaged but a later one was synced"));
        }
        Ok(u64_of(at))
    }

    fn accept_torn(&self, replay: &mut Replay, at: usize) -> usize {
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

    fn damage(&self, offset: usize, reason: &'static str) -> RecoverError {
        RecoverError {
            file: self.candidate.file.clone(),
            offset: u64_of(offset),
            reason: Cow::Borrowed(reason),
        }
    }
}
