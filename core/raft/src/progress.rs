//! What a leader knows of one follower.

use crate::SnapshotMeta;
use alloc::collections::VecDeque;
use proconsul_types::{Instant, LogIndex, ServerId};

/// How entries are sent to a follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Where its log agrees is unknown: one message at a time until it is.
    Probe {
        /// Whether one is under way.
        waiting: bool,
    },
    /// Its log agrees: entries are sent ahead of the answers.
    Replicate,
    /// It needs entries that are gone: it is sent a snapshot.
    Snapshot(Transfer),
}

/// A snapshot on its way to a follower.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// Which snapshot, once the host has said.
    pub(crate) snapshot: Option<SnapshotMeta>,
    /// Where the chunk that is wanted or under way begins.
    pub(crate) offset: u64,
    /// The round the last chunk was sent in.
    pub(crate) round: u64,
    /// When bytes were last asked for or sent.
    pub(crate) moved_at: Instant,
    /// Whether the host was asked and has not answered.
    pub(crate) asked: bool,
    /// How often the chunk was sent again: each time is waited for twice as long.
    pub(crate) retries: u32,
}

/// A message of entries on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    last: LogIndex,
    bytes: usize,
}

/// One follower, as its leader knows it.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) id: ServerId,
    pub(crate) voter: bool,
    /// Its log agrees with ours up to here and is durable there.
    pub(crate) matched: LogIndex,
    /// The next entry to send.
    pub(crate) next: LogIndex,
    pub(crate) mode: Mode,
    inflight: VecDeque<Sent>,
    pub(crate) inflight_bytes: usize,
    /// The newest round it answered; 0 for none.
    pub(crate) acked_round: u64,
    /// When that round was begun.
    pub(crate) acked_at: Instant,
    /// When it last answered anything.
    pub(crate) heard_at: Instant,
    /// When something was last sent to it.
    pub(crate) sent_at: Instant,
    /// The commit index it was last told.
    pub(crate) told_committed: LogIndex,
    /// Its shortest election timeout in nanoseconds, once it told.
    pub(crate) election_timeout_min: Option<u64>,
}

impl Progress {
    pub(crate) fn new(id: ServerId, voter: bool, next: LogIndex, now: Instant) -> Self {
        Self {
            id,
            voter,
            matched: LogIndex(0),
            next,
            mode: Mode::Probe { waiting: false },
            inflight: VecDeque::new(),
            inflight_bytes: 0,
            acked_round: 0,
            acked_at: Instant::START,
            heard_at: now,
            sent_at: Instant::START,
            told_committed: LogIndex(0),
            election_timeout_min: None,
        }
    }

    /// Messages of entries on their way.
    pub(crate) fn inflight_count(&self) -> usize {
        self.inflight.len()
    }

    /// Whether more entries may be sent now.
    pub(crate) fn has_room(&self, messages_max: usize, bytes_max: usize) -> bool {
        match &self.mode {
            Mode::Probe { waiting } => !waiting,
            Mode::Replicate => {
                self.inflight.is_empty()
                    || (self.inflight.len() < messages_max && self.inflight_bytes < bytes_max)
            }
            Mode::Snapshot(_) => false,
        }
    }

    /// Entries up to `last` were sent.
    pub(crate) fn sent(&mut self, last: LogIndex, bytes: usize) {
        match &mut self.mode {
            Mode::Probe { waiting } => *waiting = true,
            Mode::Replicate => {
                assert!(last >= self.next, "entries are sent in order");
                self.inflight.push_back(Sent { last, bytes });
                self.inflight_bytes += bytes;
                self.next = last.next();
            }
            Mode::Snapshot(_) => {}
        }
    }

    /// The follower holds everything up to `matched`. Says whether that is news.
    pub(crate) fn advance(&mut self, matched: LogIndex) -> bool {
        while let Some(front) = self.inflight.front()
            && front.last <= matched
        {
            self.inflight_bytes -= front.bytes;
            self.inflight.pop_front();
        }
        if matched <= self.matched {
            return false;
        }
        self.matched = matched;
        self.next = self.next.max(matched.next());
        true
    }

    /// Begins anew at `next`, which is never at or before what is known to match.
    pub(crate) fn probe(&mut self, next: LogIndex) {
        self.inflight.clear();
        self.inflight_bytes = 0;
        self.next = next.max(self.matched.next());
        self.mode = Mode::Probe { waiting: false };
    }

    /// The log agrees: entries may be sent ahead of the answers.
    pub(crate) fn replicate(&mut self) {
        self.inflight.clear();
        self.inflight_bytes = 0;
        self.next = self.matched.next();
        self.mode = Mode::Replicate;
    }

    /// The connection broke: what was on its way is lost, and is sent again when it answers.
    pub(crate) fn lost(&mut self) {
        match &mut self.mode {
            Mode::Probe { waiting } => *waiting = true,
            Mode::Replicate => {
                self.probe(self.matched.next());
                self.mode = Mode::Probe { waiting: true };
            }
            Mode::Snapshot(sending) => sending.moved_at = Instant::START,
        }
    }

    /// Begins to send a snapshot.
    pub(crate) fn snapshot(&mut self, now: Instant) {
        self.inflight.clear();
        self.inflight_bytes = 0;
        let transfer = Transfer { moved_at: now, asked: true, ..Transfer::default() };
        self.mode = Mode::Snapshot(transfer);
    }

    /// The rules between these fields.
    pub(crate) fn check_invariants(&self, last: LogIndex) {
        assert!(self.matched < self.next, "what matches is before what is sent next");
        assert!(self.next <= last.next(), "what is sent next exists or is the next to exist");
        let bytes: usize = self.inflight.iter().map(|sent| sent.bytes).sum();
        assert!(bytes == self.inflight_bytes, "bytes on the way are counted");
        assert!(
            self.inflight.is_empty() || self.mode == Mode::Replicate,
            "only a replicating follower has entries on the way"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_opens_as_answers_come() {
        let mut progress = Progress::new(ServerId::from_bits(2), true, LogIndex(4), Instant::START);
        assert!(progress.has_room(2, 100));
        progress.sent(LogIndex(4), 10);
        assert!(!progress.has_room(2, 100), "one probe at a time");
        assert!(progress.advance(LogIndex(4)));
        progress.replicate();
        progress.sent(LogIndex(6), 60);
        progress.sent(LogIndex(7), 60);
        assert_eq!((progress.inflight_count(), progress.next), (2, LogIndex(8)));
        assert!(!progress.has_room(9, 100), "bytes bound too");
        assert!(progress.advance(LogIndex(6)));
        assert!(!progress.advance(LogIndex(5)), "late answers are no news");
        assert_eq!((progress.inflight_bytes, progress.matched), (60, LogIndex(6)));
        progress.probe(LogIndex(2));
        assert_eq!(progress.next, LogIndex(7), "never below what matches");
        progress.check_invariants(LogIndex(7));
    }
}
