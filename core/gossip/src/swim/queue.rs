//! News that wait to be told to others, by how often they were told already.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::mem;

/// In which order news are told: fewest times first, then the longest that fits, then the newest.
type Rank = (u32, Reverse<usize>, Reverse<u64>);

/// A queue of news. Those about the same name replace one another.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    ranked: BTreeMap<Rank, (Option<Arc<str>>, T)>,
    by_name: BTreeMap<Arc<str>, Rank>,
    next: u64,
    /// What a round has taken and will put back.
    taken: Vec<(Rank, Option<Arc<str>>, T)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { ranked: BTreeMap::new(), by_name: BTreeMap::new(), next: 0, taken: Vec::new() }
    }
}

impl<T: Clone> Queue<T> {
    /// Adds news of `bytes` bytes; with a name, they replace what was queued under it.
    pub(crate) fn push(&mut self, name: Option<Arc<str>>, bytes: usize, news: T) {
        if let Some(name) = &name {
            self.invalidate(name);
        }
        self.keep(name, bytes, news);
    }

    /// Adds news without replacing any.
    pub(crate) fn keep(&mut self, name: Option<Arc<str>>, bytes: usize, news: T) {
        let rank = (0, Reverse(bytes), Reverse(self.next));
        self.next += 1;
        if let Some(name) = &name {
            self.by_name.insert(Arc::clone(name), rank);
        }
        self.ranked.insert(rank, (name, news));
    }

    /// Drops what is queued under `name`.
    pub(crate) fn invalidate(&mut self, name: &str) {
        if let Some(rank) = self.by_name.remove(name) {
            self.ranked.remove(&rank);
        }
    }

    /// Whether something is queued under `name`.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.ranked.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }

    /// Hands what goes into `room` bytes to `tell`, each with `overhead` more bytes and at most
    /// `count` of them; what was told `limit` times is dropped. Returns the bytes used.
    pub(crate) fn take(
        &mut self,
        limit: u32,
        overhead: usize,
        room: usize,
        count: usize,
        mut tell: impl FnMut(&T),
    ) -> usize {
        let mut used = 0;
        let mut tier = 0;
        let mut told = 0;
        while told < count {
            let Some(free) = room.checked_sub(used + overhead).filter(|free| *free > 0) else {
                break;
            };
            let from = (tier, Reverse(free), Reverse(u64::MAX));
            let Some((rank, _)) = self.ranked.range(from..).next() else {
                break;
            };
            let rank = *rank;
            if rank.0 > tier {
                tier = rank.0;
                if rank.1.0 > free {
                    continue;
                }
            }
            let Some((name, news)) = self.ranked.remove(&rank) else {
                break;
            };
            tell(&news);
            told += 1;
            used += overhead + rank.1.0;
            if rank.0 + 1 < limit {
                self.taken.push(((rank.0 + 1, rank.1, rank.2), name, news));
            } else if let Some(name) = name
                && self.by_name.get(&name) == Some(&rank)
            {
                self.by_name.remove(&name);
            }
        }
        let mut taken = mem::take(&mut self.taken);
        for (rank, name, news) in taken.drain(..) {
            if let Some(name) = &name {
                self.by_name.insert(Arc::clone(name), rank);
            }
            self.ranked.insert(rank, (name, news));
        }
        self.taken = taken;
        if self.ranked.is_empty() {
            self.next = 0;
        }
        used
    }

    /// Panics unless names and ranks agree.
    pub(crate) fn check_invariants(&self, one_each: bool) {
        assert!(self.taken.is_empty(), "a round puts back what it took");
        for (name, rank) in &self.by_name {
            let found = self.ranked.get(rank).and_then(|(held, _)| held.as_ref());
            assert!(found == Some(name), "queued news are found under their name");
        }
        let named = self.ranked.values().filter(|(name, _)| name.is_some()).count();
        assert!(!one_each || named == self.by_name.len(), "one piece of news is queued per name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn told(queue: &mut Queue<u32>, limit: u32, room: usize) -> Vec<u32> {
        let mut out = Vec::new();
        queue.take(limit, 2, room, 255, |news| out.push(*news));
        queue.check_invariants(true);
        out
    }

    #[test]
    fn fewest_told_then_longest_then_newest() {
        let mut queue = Queue::default();
        queue.push(None, 10, 1);
        queue.push(None, 20, 2);
        queue.push(None, 20, 3);
        assert_eq!(told(&mut queue, 9, 46), [3, 2]);
        assert_eq!(told(&mut queue, 9, 40), [1, 3]);
        assert_eq!(told(&mut queue, 9, 100), [2, 1, 3]);
    }

    #[test]
    fn exactly_as_often_as_the_limit() {
        let mut queue = Queue::default();
        queue.push(Some("a".into()), 10, 1);
        let times = (0..9).filter(|_| !told(&mut queue, 4, 100).is_empty()).count();
        assert_eq!(times, 4);
        assert!(queue.is_empty() && !queue.holds("a"));
    }

    #[test]
    fn news_replace_older_ones_of_the_same_name() {
        let mut queue = Queue::default();
        queue.push(Some("a".into()), 10, 1);
        assert_eq!(told(&mut queue, 4, 100), [1]);
        queue.push(Some("a".into()), 12, 2);
        assert_eq!((queue.len(), told(&mut queue, 4, 100)), (1, vec![2]));
        queue.invalidate("a");
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_too_long_stays() {
        let mut queue = Queue::default();
        queue.push(None, 100, 1);
        queue.push(None, 5, 2);
        assert_eq!(told(&mut queue, 4, 20), [2]);
        assert_eq!(told(&mut queue, 4, 102), [1]);
    }

    proptest! {
        #[test]
        fn room_and_count_are_kept(
            sizes in prop::collection::vec(1_usize..60, 0..40),
            rooms in prop::collection::vec(0_usize..300, 1..30),
            limit in 1_u32..6,
        ) {
            let mut queue = Queue::default();
            let total = sizes.len();
            for (at, size) in sizes.iter().enumerate() {
                queue.push(None, *size, (at, *size));
            }
            let mut times = vec![0_u32; total];
            for room in rooms {
                let mut bytes = 0;
                let mut count = 0;
                let used = queue.take(limit, 2, room, 7, |(at, size)| {
                    times[*at] += 1;
                    bytes += size + 2;
                    count += 1;
                });
                prop_assert!(used == bytes && bytes <= room && count <= 7);
                queue.check_invariants(true);
            }
            prop_assert!(times.iter().all(|times| *times <= limit));
        }
    }
}
