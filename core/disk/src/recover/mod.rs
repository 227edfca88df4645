//! From the bytes of files to what the log says: a pure function that never skips a hole.

mod found;
mod replay;

use crate::names;
use crate::snapshot::SnapshotFile;
use crate::store::{Segment, Spare, u64_of};
use crate::{Entry, HardState};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use found::Found;
use proconsul_types::{EntryId, Fault, LogIndex, Planted};
use replay::{Reader, Replay};

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
        self.entries.last().map_or_else(|| self.start(), |entry| entry.id)
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
            "{} at offset {}: {}; this is damage, not a crash, and going on could lose \
             acknowledged writes: restore the file, or, while a majority of the other servers is \
             healthy, move the directory \"{}\" away and let this server join again empty",
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
        let link = end.map(|link| link.end);
        let end = reader.replay(&mut replay, end)?;
        let skips = planted.is(Fault::HoleSkipped) && link.is_some_and(|link| end < link);
        let last = skips || place + 1 == chain.len();
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
        if last {
            break;
        }
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
