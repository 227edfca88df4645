//! The one place where a part keeps its deadlines.

use crate::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// So many deadlines lie side by side; more of them make trees.
const FEW_MAX: usize = 128;

/// Deadlines of one part, keyed by what they are for.
///
/// Setting a timer again replaces it, so a stale one cannot fire. A deadline kept in any other
/// field is a bug waiting: the host would not wake for it.
#[derive(Clone, Debug)]
pub struct TimerTable<K> {
    /// The earliest deadline: whoever only wants to know when to wake looks no further.
    first: Option<Instant>,
    /// The latest first. Empty while there are many.
    few: Vec<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Clone + Ord> Default for TimerTable<K> {
    fn default() -> Self {
        Self { first: None, few: Vec::new(), by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Clone + Ord> TimerTable<K> {
    fn are_many(&self) -> bool {
        !self.by_key.is_empty()
    }

    /// Fires `key` at `deadline`, instead of whenever it was set to fire before.
    pub fn set(&mut self, key: K, deadline: Instant) {
        self.take(&key);
        if self.few.len() == FEW_MAX {
            for (at, key) in self.few.drain(..) {
                self.by_key.insert(key.clone(), at);
                self.by_time.insert((at, key));
            }
        }
        if self.are_many() {
            self.by_key.insert(key.clone(), deadline);
            self.by_time.insert((deadline, key));
        } else {
            let new = (deadline, key);
            let at = self.few.partition_point(|other| *other > new);
            self.few.insert(at, new);
        }
        self.look();
    }

    /// Forgets `key`. Nothing happens if it was not set.
    pub fn clear(&mut self, key: &K) {
        self.take(key);
        self.look();
    }

    fn take(&mut self, key: &K) {
        if self.are_many() {
            if let Some(old) = self.by_key.remove(key) {
                self.by_time.remove(&(old, key.clone()));
            }
        } else if let Some(at) = self.few.iter().position(|(_, other)| other == key) {
            self.few.remove(at);
        }
    }

    fn look(&mut self) {
        self.first = self.next().map(|(at, _)| at);
    }

    /// Forgets everything.
    pub fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// When `key` fires, if it is set.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Instant> {
        if self.are_many() {
            return self.by_key.get(key).copied();
        }
        self.few.iter().find(|(_, other)| other == key).map(|(at, _)| *at)
    }

    /// The earliest deadline and what it is for.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, &K)> {
        if self.are_many() {
            return self.by_time.first().map(|(at, key)| (*at, key));
        }
        self.few.last().map(|(at, key)| (*at, key))
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.first
    }

    /// Removes and returns the earliest timer that is due at `now`, if any.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.first? > now {
            return None;
        }
        let (_, key) = if self.are_many() {
            let first = self.by_time.pop_first()?;
            self.by_key.remove(&first.1);
            first
        } else {
            self.few.pop()?
        };
        self.look();
        Some(key)
    }

    /// How many timers are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.few.len() + self.by_key.len()
    }

    /// Whether no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn few_and_many_fire_in_the_same_order(
            steps in prop::collection::vec((0_u8..6, any::<u8>(), 0_u64..99), 0..900),
        ) {
            let mut timers = TimerTable::default();
            let mut model = BTreeMap::new();
            for (what, key, time) in steps {
                match what {
                    0 => {
                        timers.clear(&key);
                        model.remove(&key);
                    }
                    1 => {
                        let due = model.iter().map(|(key, at)| (*at, *key)).min();
                        let due = due.filter(|(at, _)| *at <= Instant(time)).map(|(_, key)| key);
                        prop_assert_eq!(timers.pop_due(Instant(time)), due);
                        due.map(|key| model.remove(&key));
                    }
                    _more_often => {
                        timers.set(key, Instant(time));
                        model.insert(key, Instant(time));
                    }
                }
                let next = model.iter().map(|(key, at)| (*at, key)).min();
                prop_assert_eq!(timers.next(), next);
                prop_assert_eq!(timers.next_at(), next.map(|(at, _)| at));
                prop_assert_eq!((timers.len(), timers.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(timers.get(&key), model.get(&key).copied());
            }
        }
    }
}
