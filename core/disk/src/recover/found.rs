//! Which files there are, and which of them are the log.

use super::replay::{Replay, marks_after, read_batch};
use super::{RecoverError, State};
use crate::format::{self, Checkpoint, Kind};
use crate::names::{self, Name};
use crate::snapshot::{self, SnapshotFile};
use crate::store::{Spare, u64_of};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::EntryId;

/// A segment whose head is sound.
pub(super) struct Candidate<'a> {
    pub(super) file: Arc<str>,
    pub(super) bytes: &'a [u8],
    pub(super) checkpoint: Checkpoint,
    /// Where its first batch begins.
    pub(super) first: usize,
}

/// A file's name and bytes.
pub(super) type File<'a> = (Arc<str>, &'a [u8]);

/// Files by what they are.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) sound: BTreeMap<u64, Candidate<'a>>,
    /// Files without a sound head: (number, id), name, bytes.
    pub(super) headless: BTreeMap<(u64, u64), File<'a>>,
    pub(super) snapshots: BTreeMap<EntryId, (Arc<str>, &'a Bytes)>,
    pub(super) temporary: Vec<Arc<str>>,
}

impl<'a> Found<'a> {
    pub(super) fn sort(files: &'a BTreeMap<Arc<str>, Bytes>) -> Result<Self, RecoverError> {
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

    pub(super) fn segment(
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
        if bytes.len() >= 8 && bytes[..7] == format::MAGIC[..7] && bytes[7] != format::MAGIC[7] {
            return Err(damage("written by a version this build does not know"));
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

    pub(super) fn next_number(&self) -> u64 {
        let sound = self.sound.keys().next_back().copied().unwrap_or(0);
        let headless = self.headless.keys().next_back().map_or(0, |key| key.0);
        sound.max(headless).saturating_add(1)
    }

    /// The segments from the oldest to the newest, each linked to the one before.
    pub(super) fn chain(&self) -> Result<Vec<&Candidate<'a>>, RecoverError> {
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
    pub(super) fn leftovers(&self, state: &mut State) {
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
    pub(super) fn choose_snapshot(
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
