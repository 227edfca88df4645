//! Who waits for what, and whom a write wakes.

use crate::watch::{Topic, Topics};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::ops::Bound;

/// Waiters by what they wait for. Finding those a write wakes takes time by their number and the
/// length of the key, never by the number of all waiters.
#[derive(Clone, Debug)]
pub struct Waiters<W> {
    keys: BTreeMap<Arc<str>, BTreeSet<W>>,
    prefixes: BTreeMap<Arc<str>, BTreeSet<W>>,
    others: BTreeMap<Topic, BTreeSet<W>>,
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), prefixes: BTreeMap::new(), others: BTreeMap::new() }
    }
}

impl<W: Clone + Ord> Waiters<W> {
    /// Wakes `waiter` when `topic` changes.
    pub fn insert(&mut self, topic: &Topic, waiter: W) {
        match topic {
            Topic::Key(key) => insert(&mut self.keys, key, waiter),
            Topic::Prefix(prefix) => insert(&mut self.prefixes, prefix, waiter),
            Topic::Nodes
            | Topic::Node(_)
            | Topic::Services
            | Topic::Service(_)
            | Topic::ServiceHealth(_)
            | Topic::Checks
            | Topic::Sessions
            | Topic::Coordinates
            | Topic::All => insert(&mut self.others, topic, waiter),
        }
    }

    /// Forgets that `waiter` waits for `topic`.
    pub fn remove(&mut self, topic: &Topic, waiter: &W) {
        match topic {
            Topic::Key(key) => remove(&mut self.keys, key, waiter),
            Topic::Prefix(prefix) => remove(&mut self.prefixes, prefix, waiter),
            Topic::Nodes
            | Topic::Node(_)
            | Topic::Services
            | Topic::Service(_)
            | Topic::ServiceHealth(_)
            | Topic::Checks
            | Topic::Sessions
            | Topic::Coordinates
            | Topic::All => remove(&mut self.others, topic, waiter),
        }
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.prefixes.is_empty() && self.others.is_empty()
    }

    /// Everyone whom these changes wake, in order.
    #[must_use]
    pub fn woken(&self, changed: &Topics) -> BTreeSet<W> {
        let mut woken = BTreeSet::new();
        for topic in changed.iter() {
            match topic {
                Topic::Key(key) => {
                    woken.extend(self.keys.get(key).into_iter().flatten().cloned());
                    self.wake_prefixes_of(key, &mut woken);
                }
                Topic::Prefix(prefix) => {
                    wake_below(&self.keys, prefix, &mut woken);
                    wake_below(&self.prefixes, prefix, &mut woken);
                    self.wake_prefixes_of(prefix, &mut woken);
                }
                Topic::All => {
                    woken.extend(self.keys.values().flatten().cloned());
                    woken.extend(self.prefixes.values().flatten().cloned());
                    woken.extend(self.others.values().flatten().cloned());
                }
                Topic::Nodes
                | Topic::Node(_)
                | Topic::Services
                | Topic::Service(_)
                | Topic::ServiceHealth(_)
                | Topic::Checks
                | Topic::Sessions
                | Topic::Coordinates => {
                    woken.extend(self.others.get(topic).into_iter().flatten().cloned());
                }
            }
        }
        woken
    }

    /// Those who wait for a prefix of `key`. Each step either finds one or jumps to what `key` and
    /// the nearest watched prefix have in common.
    fn wake_prefixes_of(&self, key: &str, woken: &mut BTreeSet<W>) {
        let mut end = Bound::Included(key);
        while let Some((prefix, waiters)) =
            self.prefixes.range::<str, _>((Bound::Unbounded, end)).next_back()
        {
            if key.starts_with(&**prefix) {
                woken.extend(waiters.iter().cloned());
                if prefix.is_empty() {
                    return;
                }
                end = Bound::Excluded(&key[..prefix.len()]);
            } else {
                end = Bound::Included(shared(key, prefix));
            }
        }
    }
}

fn wake_below<W: Clone + Ord>(
    map: &BTreeMap<Arc<str>, BTreeSet<W>>,
    prefix: &str,
    woken: &mut BTreeSet<W>,
) {
    for (_, waiters) in map
        .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
    {
        woken.extend(waiters.iter().cloned());
    }
}

/// What two texts have in common at their start.
fn shared<'a>(a: &'a str, b: &str) -> &'a str {
    let len = a
        .char_indices()
        .zip(b.chars())
        .find(|((_, a), b)| a != b)
        .map_or_else(|| a.len().min(b.len()), |((at, _), _)| at);
    &a[..len]
}

fn insert<K: Clone + Ord, W: Ord>(map: &mut BTreeMap<K, BTreeSet<W>>, key: &K, waiter: W) {
    map.entry(key.clone()).or_default().insert(waiter);
}

fn remove<K: Ord, W: Ord>(map: &mut BTreeMap<K, BTreeSet<W>>, key: &K, waiter: &W) {
    if let Some(waiters) = map.get_mut(key) {
        waiters.remove(waiter);
        if waiters.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(topics: &[Topic]) -> Topics {
        let mut all = Topics::default();
        for topic in topics {
            all.add(topic.clone());
        }
        all
    }

    fn wakes(watched: &Topic, changed: &Topic) -> bool {
        match (watched, changed) {
            (_, Topic::All) => true,
            (Topic::Prefix(watched), Topic::Key(key)) => key.starts_with(&**watched),
            (Topic::Key(key), Topic::Prefix(prefix)) => key.starts_with(&**prefix),
            (Topic::Prefix(a), Topic::Prefix(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            (a, b) => a == b,
        }
    }

    fn any_topic() -> impl Strategy<Value = Topic> {
        prop_oneof![
            4 => "[ab\u{e9}\u{e8}]{0,4}".prop_map(|text| Topic::Key(text.into())),
            4 => "[ab\u{e9}\u{e8}]{0,4}".prop_map(|text| Topic::Prefix(text.into())),
            1 => "[ab]{0,2}".prop_map(|text| Topic::Service(text.into())),
            1 => Just(Topic::Nodes),
            1 => Just(Topic::All),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn the_woken_are_exactly_those_concerned(
            watched in proptest::collection::vec(any_topic(), 0..40),
            gone in proptest::collection::vec(0_usize..40, 0..10),
            changes in proptest::collection::vec(any_topic(), 1..4),
        ) {
            let mut waiters = Waiters::default();
            let mut model = BTreeMap::new();
            for (id, topic) in watched.iter().enumerate() {
                waiters.insert(topic, id);
                model.insert(id, topic.clone());
            }
            for id in gone {
                if let Some(topic) = model.remove(&id) {
                    waiters.remove(&topic, &id);
                }
            }
            let expected: BTreeSet<usize> = model
                .iter()
                .filter(|(_, topic)| changes.iter().any(|change| wakes(topic, change)))
                .map(|(id, _)| *id)
                .collect();
            prop_assert_eq!(waiters.woken(&changed(&changes)), expected);
            prop_assert_eq!(waiters.is_empty(), model.is_empty());
        }
    }

    #[test]
    fn topics_do_not_repeat() {
        let mut topics = Topics::default();
        for round in 0..3 {
            for n in 0..100_u32 {
                topics.add(Topic::Key(alloc::format!("{n}").into()));
            }
            assert_eq!(topics.iter().count(), 100, "round {round}");
        }
    }
}
