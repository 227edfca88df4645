//! Positions: in the Raft log, in the sequence of leaders, and as API clients see them.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A leader epoch (Raft section 5.1). Terms only grow; term 0 is before the first election.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Term(pub u64);

/// A place in the Raft log. The first entry has index 1; 0 is before the log.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LogIndex(pub u64);

impl LogIndex {
    /// The next place.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place before; 0 stays 0.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// The identity of a log entry: two entries with equal ids are equal (Raft's Log Matching).
///
/// Ordered by term, then index: "at least as up to date" of Raft section 5.4.1 is `>=`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EntryId {
    /// The leader's term when it created the entry.
    pub term: Term,
    /// Where the entry stands.
    pub index: LogIndex,
}

impl EntryId {
    /// The id of entry `index` created in `term`.
    #[must_use]
    pub fn new(term: Term, index: LogIndex) -> Self {
        Self { term, index }
    }
}

/// The position of a write as API clients see it (`X-Consul-Index`, `ModifyIndex`).
///
/// It is the log index of the command that made the change.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct CatalogIndex(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CatalogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_term_is_more_up_to_date_than_a_longer_log() {
        let long = EntryId::new(Term(1), LogIndex(9));
        let late = EntryId::new(Term(2), LogIndex(3));
        assert!(late > long);
    }
}
