//! What is on its way to the disk, and what is held back until it has arrived there.
//!
//! Rule: a message that promises something durable leaves this server only after the batch which
//! makes the promise true is known to be synced.

use crate::{Entry, HardState, Message, Persist};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use proconsul_types::{Duration, Instant, LogIndex, ServerId};

/// A batch whose sync has not been reported yet.
#[derive(Clone, Copy, Debug)]
struct Batch {
    number: u64,
    /// The log as it is in memory is durable up to here once this batch is.
    last: LogIndex,
    since: Instant,
}

/// A message that waits for its batch.
#[derive(Clone, Debug)]
struct Held {
    number: u64,
    to: ServerId,
    message: Message,
}

/// Numbering of batches and everything that waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Durable {
    /// The number the batch being filled will have.
    next: u64,
    /// Every batch up to this one is durable.
    persisted: u64,
    /// The batch that carried the newest term and vote.
    hard_state: u64,
    /// The log as it is in memory is durable up to here.
    last: LogIndex,
    pending: Persist,
    dirty: bool,
    inflight: VecDeque<Batch>,
    held: VecDeque<Held>,
}

impl Durable {
    /// Everything up to `last` came from the disk.
    pub(crate) fn new(last: LogIndex) -> Self {
        Self {
            next: 1,
            persisted: 0,
            hard_state: 0,
            last,
            pending: Persist::default(),
            dirty: false,
            inflight: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// The log in memory is durable up to here.
    pub(crate) fn last(&self) -> LogIndex {
        self.last
    }

    /// Every batch up to this one is durable.
    pub(crate) fn persisted(&self) -> u64 {
        self.persisted
    }

    /// The number of the newest batch, counting the one being filled.
    pub(crate) fn newest(&self) -> u64 {
        if self.dirty { self.next } else { self.next - 1 }
    }

    /// How many messages wait.
    pub(crate) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Records a new term or vote.
    pub(crate) fn write_hard_state(&mut self, hard_state: HardState) {
        self.pending.hard_state = Some(hard_state);
        self.hard_state = self.next;
        self.dirty = true;
    }

    /// Records an entry that was appended.
    pub(crate) fn write_entry(&mut self, entry: Entry) {
        self.pending.entries.push(entry);
        self.dirty = true;
    }

    /// Records that the log is cut from `from` on. What was durable there is so no longer.
    pub(crate) fn truncate(&mut self, from: LogIndex) {
        let cut = self.pending.truncate_from.map_or(from, |earlier| earlier.min(from));
        self.pending.truncate_from = Some(cut);
        self.pending.entries.retain(|entry| entry.id.index < from);
        self.dirty = true;
        self.last = self.last.min(from.previous());
        for batch in &mut self.inflight {
            batch.last = batch.last.min(from.previous());
        }
    }

    /// A durable snapshot covers the log up to `index`.
    pub(crate) fn covered(&mut self, index: LogIndex) {
        self.last = self.last.max(index);
    }

    /// The batch that must be durable before this server may say that it holds entries up to
    /// `matched`, which includes that its term is durable.
    pub(crate) fn needed_for(&self, matched: LogIndex) -> u64 {
        if matched > self.last { self.newest() } else { self.hard_state }
    }

    /// The batch that must be durable before this server may speak in its current term.
    pub(crate) fn needed_for_term(&self) -> u64 {
        self.hard_state
    }

    /// Keeps a message until batch `number` is durable.
    pub(crate) fn hold(&mut self, number: u64, to: ServerId, message: Message) {
        self.held.push_back(Held { number, to, message });
    }

    /// A newer term makes every promise of the older one worthless.
    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
    }

    /// Hands over the batch filled in this step, if there is one.
    pub(crate) fn flush(
        &mut self,
        now: Instant,
        last: LogIndex,
        committed: LogIndex,
    ) -> Option<Persist> {
        if !self.dirty {
            return None;
        }
        let mut batch = core::mem::take(&mut self.pending);
        batch.number = self.next;
        batch.committed = committed;
        batch.urgent = true;
        self.inflight.push_back(Batch { number: self.next, last, since: now });
        self.next += 1;
        self.dirty = false;
        Some(batch)
    }

    /// All batches up to `number` are durable. Says whether that is news.
    pub(crate) fn persisted_to(&mut self, number: u64) -> bool {
        let number = number.min(self.next - 1);
        if number <= self.persisted {
            return false;
        }
        self.persisted = number;
        while let Some(batch) = self.inflight.front()
            && batch.number <= number
        {
            self.last = self.last.max(batch.last);
            self.inflight.pop_front();
        }
        true
    }

    /// The next message that may go now. Of several acknowledgements to one server the newest says
    /// it all, so the older ones are dropped.
    pub(crate) fn release(&mut self) -> Option<(ServerId, Message)> {
        while let Some(front) = self.held.front()
            && front.number <= self.persisted
        {
            let held = self.held.pop_front().expect("the front was just seen");
            let stale = matches!(held.message, Message::Appended { .. })
                && self.held.iter().any(|later| {
                    later.number <= self.persisted
                        && later.to == held.to
                        && matches!(later.message, Message::Appended { .. })
                });
            if !stale {
                return Some((held.to, held.message));
            }
        }
        None
    }

    /// Whether the oldest batch has been under way for longer than `limit`.
    pub(crate) fn is_stalled(&self, now: Instant, limit: Duration) -> bool {
        self.inflight.front().is_some_and(|batch| now.since(batch.since) > limit)
    }

    /// Entries recorded in this step and not handed over yet (for the invariants).
    pub(crate) fn is_clean(&self) -> bool {
        let nothing: &Vec<Entry> = &self.pending.entries;
        !self.dirty && nothing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;
    use proconsul_types::{EntryId, Term};

    fn entry(index: u64) -> Entry {
        Entry { id: EntryId::new(Term(1), LogIndex(index)), payload: Payload::Noop }
    }

    #[test]
    fn a_truncated_batch_does_not_make_its_entries_durable() {
        let mut durable = Durable::new(LogIndex(5));
        durable.write_entry(entry(6));
        durable.write_entry(entry(7));
        assert_eq!(durable.flush(Instant(1), LogIndex(7), LogIndex(0)).unwrap().number, 1);
        durable.truncate(LogIndex(6));
        durable.write_entry(entry(6));
        let second = durable.flush(Instant(1), LogIndex(6), LogIndex(0)).unwrap();
        assert_eq!((second.number, second.truncate_from), (2, Some(LogIndex(6))));
        assert!(durable.persisted_to(1));
        assert_eq!(durable.last(), LogIndex(5));
        assert!(durable.persisted_to(2));
        assert_eq!(durable.last(), LogIndex(6));
        assert!(!durable.persisted_to(2));
    }

    #[test]
    fn a_hanging_sync_is_seen() {
        let mut durable = Durable::new(LogIndex(0));
        durable.write_hard_state(HardState::default());
        durable.flush(Instant(0), LogIndex(0), LogIndex(0)).unwrap();
        assert!(!durable.is_stalled(Instant(9), Duration::from_nanos(10)));
        assert!(durable.is_stalled(Instant(11), Duration::from_nanos(10)));
        assert!(durable.flush(Instant(0), LogIndex(0), LogIndex(0)).is_none());
    }
}
