//! Looks at all servers from outside and says which of Raft's properties is broken.

use proconsul_raft::{Entry, Payload, Raft};
use proconsul_types::{EntryId, LogIndex, ServerId, Term};
use std::collections::BTreeMap;

/// What is known of the whole group.
#[derive(Default)]
pub(crate) struct Judge {
    leaders: BTreeMap<Term, ServerId>,
    /// The committed log: entry `i` is at place `i - 1`, with the hash of the state after it.
    committed: Vec<(Entry, u64)>,
    /// The largest index a leader has delivered: its client may know.
    pub(crate) acknowledged: LogIndex,
    pub(crate) broken: Option<String>,
}

/// A state machine: the hash of everything applied.
pub(crate) fn apply(state: u64, entry: &Entry) -> u64 {
    let mut hash = state ^ entry.id.term.0.rotate_left(17) ^ entry.id.index.0;
    if let Payload::Command(bytes) = &entry.payload {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Judge {
    pub(crate) fn breaks(&mut self, rule: String) {
        if self.broken.is_none() {
            self.broken = Some(rule);
        }
    }

    /// Election Safety and Leader Completeness.
    pub(crate) fn elected(&mut self, raft: &Raft) {
        let term = raft.term();
        if let Some(other) = self.leaders.insert(term, raft.id())
            && other != raft.id()
        {
            self.breaks(format!("two leaders in term {term}"));
        }
        if self.leaders.last_key_value().is_some_and(|(newest, _)| *newest > term) {
            return;
        }
        let first = raft.first_index();
        let Some((last, _)) = self.committed.last() else {
            return;
        };
        if raft.last().index < last.id.index {
            self.breaks(format!("the leader of term {term} lacks committed entries"));
            return;
        }
        let known = self.committed.iter().filter(|(entry, _)| entry.id.index >= first);
        let wrong = known.filter(|(entry, _)| raft.entry_id(entry.id.index) != Some(entry.id));
        if let Some((entry, _)) = wrong.last() {
            let id = entry.id;
            self.breaks(format!("the leader of term {term} lacks the committed entry {id}"));
        }
    }

    /// State Machine Safety.
    pub(crate) fn applied(&mut self, entry: &Entry, state: u64, by_leader: bool) {
        let place = usize::try_from(entry.id.index.0).unwrap() - 1;
        match self.committed.get(place) {
            None if place == self.committed.len() => self.committed.push((entry.clone(), state)),
            None => self.breaks(format!("entry {} is applied behind a hole", entry.id)),
            Some((known, _)) if known != entry => {
                let rule = format!("{} and {} are applied at one index", known.id, entry.id);
                self.breaks(rule);
            }
            Some((_, known)) if *known != state => {
                self.breaks(format!("states differ after {}", entry.id));
            }
            Some(_) => {}
        }
        if by_leader {
            self.acknowledged = self.acknowledged.max(entry.id.index);
        }
    }

    /// A snapshot must be the state the group had at that entry.
    pub(crate) fn installed(&mut self, last: EntryId, state: u64) {
        let place = usize::try_from(last.index.0).unwrap() - 1;
        let known = self.committed.get(place);
        if known.is_none_or(|(entry, known)| entry.id != last || *known != state) {
            self.breaks(format!("the snapshot at {last} is not the state at that entry"));
        }
    }

    /// A read must see what was acknowledged before it was asked.
    pub(crate) fn read(&mut self, kind: &str, seen: LogIndex, known_before: LogIndex) {
        if seen < known_before {
            self.breaks(format!("a {kind} read sees {seen}, but {known_before} was acknowledged"));
        }
    }

    /// Log Matching.
    pub(crate) fn compare(&mut self, a: &Raft, b: &Raft) {
        let first = a.first_index().max(b.first_index());
        let mut index = a.last().index.min(b.last().index);
        let mut matching = false;
        while index >= first {
            match (a.entry(index), b.entry(index)) {
                (Some(x), Some(y)) if x.id == y.id => {
                    matching = true;
                    if x != y {
                        self.breaks(format!("two entries are called {}", x.id));
                    }
                }
                _ if matching => self.breaks(format!("logs agree behind {index}, not at it")),
                _ => {}
            }
            index = index.previous();
            if index == LogIndex(0) {
                break;
            }
        }
    }

    pub(crate) fn committed_count(&self) -> usize {
        self.committed.len()
    }

    pub(crate) fn terms(&self) -> usize {
        self.leaders.len()
    }
}
