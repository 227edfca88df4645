//! Every version a key ever had.

use proconsul_core::types::SessionId;

/// What is stored: whose write it was, and who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The number of the client operation that wrote it.
    pub tag: u64,
    /// Who holds it.
    pub session: Option<SessionId>,
}

/// A version: what the key was from `index` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Since when.
    pub index: u64,
    /// When that was first seen committed.
    pub at: u64,
    /// What; `None` while the key does not exist.
    pub pair: Option<Pair>,
}

/// A stretch of indexes, from the first to before the second.
pub type Interval = (u64, u64);

/// A key and its past.
#[derive(Clone, Debug, Default)]
pub struct Key {
    versions: Vec<Version>,
    /// Where deletions stand, also those of nothing.
    pub deletions: Vec<u64>,
    /// Deletions on a condition: where each stands, which modify index it expected, whether it did
    /// what was asked.
    pub conditional: Vec<(u64, u64, bool)>,
    /// How often it went with the session that held it.
    pub ended: u32,
}

impl Key {
    /// All versions, oldest first. Before the first one the key did not exist.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// How many versions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Whether it never existed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    pub(super) fn set(&mut self, index: u64, at: u64, pair: Pair) {
        self.versions.push(Version { index, at, pair: Some(pair) });
    }

    pub(super) fn delete(&mut self, index: u64, at: u64) {
        self.deletions.push(index);
        if self.exists() {
            self.versions.push(Version { index, at, pair: None });
        }
    }

    pub(super) fn forget_after(&mut self, len: usize) {
        self.versions.truncate(len);
    }

    /// The newest version.
    #[must_use]
    pub fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// Whether it exists now.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.newest().is_some_and(|version| version.pair.is_some())
    }

    /// Its modify index now; 0 if it does not exist.
    #[must_use]
    pub fn modified(&self) -> u64 {
        self.newest().filter(|version| version.pair.is_some()).map_or(0, |version| version.index)
    }

    /// Who holds it now.
    #[must_use]
    pub fn holder(&self) -> Option<SessionId> {
        self.newest()?.pair?.session
    }

    pub(super) fn tag(&self) -> u64 {
        self.newest().and_then(|version| version.pair).map_or(0, |pair| pair.tag)
    }

    /// What it was at `index`.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<Pair> {
        let after = self.versions.partition_point(|version| version.index <= index);
        after.checked_sub(1).and_then(|place| self.versions[place].pair)
    }

    /// The version that began exactly at `index`, and when it ended.
    #[must_use]
    pub fn version(&self, index: u64) -> Option<(Pair, Interval)> {
        let place = (self.versions.iter()).rposition(|version| version.index == index)?;
        let end = self.versions.get(place + 1).map_or(u64::MAX, |next| next.index);
        Some((self.versions[place].pair?, (index, end)))
    }

    /// The newest stretch in which it did not exist.
    #[must_use]
    pub fn last_absence(&self) -> Option<Interval> {
        for (place, version) in self.versions.iter().enumerate().rev() {
            if version.pair.is_none() {
                let end = self.versions.get(place + 1).map_or(u64::MAX, |next| next.index);
                return Some((version.index, end));
            }
        }
        Some((0, self.versions.first().map_or(u64::MAX, |first| first.index)))
    }

    /// Whether it changed after the first index and up to the second.
    #[must_use]
    pub fn changed_in(&self, after: u64, to: u64) -> bool {
        let place = self.versions.partition_point(|version| version.index <= after);
        self.versions.get(place).is_some_and(|version| version.index <= to)
    }
}
