//! The one place where a part keeps its deadlines.

use crate::Instant;
use alloc::collections::{BTreeMap, BTreeSet};

/// Deadlines of one part, keyed by what they are for.
///
/// Setting a timer again replaces it, so a stale one cannot fire. A deadline kept in any other
/// field is a bug waiting: the host would not wake for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerTable<K> {
    by_key: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Clone + Ord> Default for TimerTable<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Clone + Ord> TimerTable<K> {
    /// Fires `key` at `deadline`, instead of whenever it was set to fire before.
    pub fn set(&mut self, key: K, deadline: Instant) {
        if let Some(old) = self.by_key.insert(key.clone(), deadline) {
            if old == deadline {
                return;
            }
            self.by_time.remove(&(old, key.clone()));
        }
        self.by_time.insert((deadline, key));
    }

    /// Forgets `key`. Nothing happens if it was not set.
    pub fn clear(&mut self, key: &K) {
        if let Some(old) = self.by_key.remove(key) {
            self.by_time.remove(&(old, key.clone()));
        }
    }

    /// Forgets everything.
    pub fn clear_all(&mut self) {
        self.by_key.clear();
        self.by_time.clear();
    }

    /// When `key` fires, if it is set.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Instant> {
        self.by_key.get(key).copied()
    }

    /// The earliest deadline and what it is for.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, &K)> {
        self.by_time.first().map(|(at, key)| (*at, key))
    }

    /// Removes and returns the earliest timer that is due at `now`, if any.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// How many timers are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_again_replaces() {
        let mut timers = TimerTable::default();
        timers.set("a", Instant(10));
        timers.set("b", Instant(5));
        timers.set("a", Instant(3));
        assert_eq!(timers.next(), Some((Instant(3), &"a")));
        assert_eq!(timers.pop_due(Instant(4)), Some("a"));
        assert_eq!(timers.pop_due(Instant(4)), None);
        timers.clear(&"b");
        assert!(timers.is_empty());
    }
}
