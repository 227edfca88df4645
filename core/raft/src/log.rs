//! The entries that are in memory: from the last compaction to the end.

use crate::{Entry, Payload};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use proconsul_types::{EntryId, LogIndex, Term};

/// What an entry costs besides its payload.
const ENTRY_OVERHEAD_BYTES: usize = 32;
/// What one member costs in a membership entry.
const MEMBER_BYTES: usize = 24;

/// Bytes an entry is accounted with, in every limit.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_OVERHEAD_BYTES
        + match &entry.payload {
            Payload::Noop => 0,
            Payload::Command(bytes) => bytes.len(),
            Payload::Membership(membership) => membership.members.len() * MEMBER_BYTES,
        }
}

/// Entries without a hole, and the id of the entry before the first.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    before: EntryId,
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Log {
    /// An empty log behind `before`.
    pub(crate) fn new(before: EntryId) -> Self {
        Self { before, entries: VecDeque::new(), bytes: 0 }
    }

    /// The id of the entry before the first one held.
    pub(crate) fn before(&self) -> EntryId {
        self.before
    }

    /// The index of the first entry held (or of the next one, if none is).
    pub(crate) fn first_index(&self) -> LogIndex {
        self.before.index.next()
    }

    /// The id of the last entry.
    pub(crate) fn last(&self) -> EntryId {
        self.entries.back().map_or(self.before, |entry| entry.id)
    }

    /// Bytes of all entries held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn offset(&self, index: LogIndex) -> Option<usize> {
        let offset = index.0.checked_sub(self.before.index.0 + 1)?;
        usize::try_from(offset).ok().filter(|offset| *offset < self.entries.len())
    }

    /// The entry at `index`, if it is held.
    pub(crate) fn get(&self, index: LogIndex) -> Option<&Entry> {
        self.entries.get(self.offset(index)?)
    }

    /// The id of the entry at `index`, if it is held or is the one before the first.
    pub(crate) fn id(&self, index: LogIndex) -> Option<EntryId> {
        if index == self.before.index {
            return Some(self.before);
        }
        self.get(index).map(|entry| entry.id)
    }

    /// Puts `entry` behind the last one.
    pub(crate) fn push(&mut self, entry: Entry) {
        let last = self.last();
        assert!(entry.id.index == last.index.next(), "entries are appended without a hole");
        assert!(entry.id.term >= last.term, "terms never fall along the log");
        self.bytes += entry_bytes(&entry);
        self.entries.push_back(entry);
    }

    /// Drops every entry from `from` on; returns the bytes dropped.
    pub(crate) fn truncate(&mut self, from: LogIndex) -> usize {
        assert!(from > self.before.index, "what is compacted cannot be truncated");
        let Some(keep) = self.offset(from) else {
            return 0;
        };
        let dropped: usize = self.entries.range(keep..).map(entry_bytes).sum();
        self.entries.truncate(keep);
        self.bytes -= dropped;
        dropped
    }

    /// Drops the first entry, if its index is at most `limit`; returns its bytes.
    pub(crate) fn pop_front(&mut self, limit: LogIndex) -> Option<usize> {
        if self.entries.front()?.id.index > limit {
            return None;
        }
        let entry = self.entries.pop_front()?;
        let bytes = entry_bytes(&entry);
        self.before = entry.id;
        self.bytes -= bytes;
        Some(bytes)
    }

    /// Forgets everything: the log begins behind `before`.
    pub(crate) fn reset(&mut self, before: EntryId) {
        self.entries.clear();
        self.bytes = 0;
        self.before = before;
    }

    /// The planted form of [`Self::reset`]: moves the beginning, keeps what lies behind it.
    pub(crate) fn rebase(&mut self, before: EntryId) {
        while self.pop_front(before.index).is_some() {}
        self.before = before;
    }

    /// Bytes of the entries after `after`, up to and including `to`.
    pub(crate) fn bytes_between(&self, after: LogIndex, to: LogIndex) -> usize {
        let start = usize::try_from(after.0.saturating_sub(self.before.index.0))
            .unwrap_or(usize::MAX)
            .min(self.entries.len());
        let end = usize::try_from(to.0.saturating_sub(self.before.index.0))
            .unwrap_or(usize::MAX)
            .clamp(start, self.entries.len());
        self.entries.range(start..end).map(entry_bytes).sum()
    }

    /// Copies of the entries from `from` to `to`, both included, which must be held.
    pub(crate) fn copy(&self, from: LogIndex, to: LogIndex) -> Vec<Entry> {
        let (Some(start), Some(end)) = (self.offset(from), self.offset(to)) else {
            assert!(from > to, "only entries that are held are copied");
            return Vec::new();
        };
        self.entries.range(start..=end).cloned().collect()
    }

    /// Copies of entries from `from` on: as many as fit, but at least one if there is one.
    /// Returns their bytes too.
    pub(crate) fn batch(
        &self,
        from: LogIndex,
        count_max: usize,
        bytes_max: usize,
    ) -> (Vec<Entry>, usize) {
        let Some(start) = self.offset(from) else {
            return (Vec::new(), 0);
        };
        let (mut count, mut bytes) = (0, 0);
        for entry in self.entries.range(start..) {
            let more = entry_bytes(entry);
            if count > 0 && (count >= count_max || bytes + more > bytes_max) {
                break;
            }
            count += 1;
            bytes += more;
        }
        (self.entries.range(start..start + count).cloned().collect(), bytes)
    }

    /// The last entry at or before `index` whose term is at most `term`; the entry before the
    /// first one held if there is none. Terms never fall along the log, so this is a binary search.
    pub(crate) fn last_at_most(&self, index: LogIndex, term: Term) -> EntryId {
        let end = match self.offset(index) {
            Some(offset) => offset + 1,
            None if index <= self.before.index => 0,
            None => self.entries.len(),
        };
        let found = self.entries.partition_point(|entry| entry.id.term <= term).min(end);
        if found == 0 { self.before } else { self.entries[found - 1].id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn entry(term: u64, index: u64) -> Entry {
        let id = EntryId::new(Term(term), LogIndex(index));
        Entry { id, payload: Payload::Command(Bytes::from_static(b"12345678")) }
    }

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::new(EntryId::new(Term(1), LogIndex(10)));
        for (term, index) in terms.iter().zip(11..) {
            log.push(entry(*term, index));
        }
        log
    }

    #[test]
    fn bytes_follow_every_change() {
        let mut log = log(&[1, 1, 2, 3]);
        assert_eq!(log.bytes(), 160);
        assert_eq!(log.truncate(LogIndex(14)), 40);
        assert_eq!(log.pop_front(LogIndex(10)), None);
        assert_eq!(log.pop_front(LogIndex(11)), Some(40));
        assert_eq!((log.bytes(), log.first_index()), (80, LogIndex(12)));
        assert_eq!(log.bytes_between(LogIndex(0), LogIndex(12)), 40);
        assert_eq!(log.bytes_between(LogIndex(12), LogIndex(99)), 40);
        log.reset(EntryId::new(Term(4), LogIndex(50)));
        assert_eq!((log.bytes(), log.last().index), (0, LogIndex(50)));
    }

    #[test]
    fn batches_hold_at_least_one_entry() {
        let log = log(&[1, 1, 2, 3]);
        assert_eq!(log.batch(LogIndex(12), 9, 1).0.len(), 1);
        assert_eq!(log.batch(LogIndex(12), 2, 1000).0.len(), 2);
        assert_eq!(log.batch(LogIndex(12), 9, 80), (log.copy(LogIndex(12), LogIndex(13)), 80));
        assert!(log.batch(LogIndex(15), 9, 80).0.is_empty());
        assert!(log.batch(LogIndex(10), 9, 80).0.is_empty());
    }

    #[test]
    fn the_hint_skips_whole_terms() {
        let log = log(&[1, 4, 4, 4, 6]);
        assert_eq!(log.last_at_most(LogIndex(15), Term(5)).index, LogIndex(14));
        assert_eq!(log.last_at_most(LogIndex(13), Term(5)).index, LogIndex(13));
        assert_eq!(log.last_at_most(LogIndex(14), Term(3)).index, LogIndex(11));
        assert_eq!(log.last_at_most(LogIndex(99), Term(9)).index, LogIndex(15));
        assert_eq!(log.last_at_most(LogIndex(3), Term(9)).index, LogIndex(10));
    }
}
