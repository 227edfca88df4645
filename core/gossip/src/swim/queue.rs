//! News that wait to be told to others, by how often they were told already.

use crate::digest::{Named, digest, find};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

/// In which order news are told: fewest times first, then the longest that fits, then the newest.
/// From the highest bit: how often told, a length subtracted from the longest, a number subtracted
/// from the highest. What does not change with each telling is the *lot*.
type Rank = u64;

/// Bits of the number.
const NUMBER_BITS: u32 = 36;
/// Bits of number and length.
const LOT_BITS: u32 = NUMBER_BITS + 16;
const NUMBER_MAX: u64 = (1 << NUMBER_BITS) - 1;
const LENGTH_MAX: usize = 0xffff;
/// News are dropped after this many times, whatever the limit.
const TOLD_MAX: u32 = (1 << (64 - LOT_BITS)) - 1;

/// The lowest rank of news that were told so often and are not longer than this.
fn rank(told: u32, bytes: usize, number: u64) -> Rank {
    let shorter = u64::try_from(LENGTH_MAX.saturating_sub(bytes)).unwrap_or(0);
    let newer = NUMBER_MAX.saturating_sub(number);
    (u64::from(told) << LOT_BITS) | (shorter << NUMBER_BITS) | newer
}

fn told(rank: Rank) -> u32 {
    u32::try_from(rank >> LOT_BITS).unwrap_or(u32::MAX)
}

fn lot(rank: Rank) -> u64 {
    rank & ((1 << LOT_BITS) - 1)
}

fn bytes(rank: Rank) -> usize {
    let shorter = usize::try_from(lot(rank) >> NUMBER_BITS).unwrap_or(LENGTH_MAX);
    LENGTH_MAX - shorter
}

#[derive(Clone, Debug)]
struct Waiting<T> {
    rank: Rank,
    news: T,
}

/// A queue of news. Those about the same name ([`Named`]) replace one another.
///
/// A round takes from the front and puts back behind, so most of the work is at the ends of one
/// sorted ring.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    ranked: VecDeque<Waiting<T>>,
    /// The digest of each name under which something is queued, sorted, and the lot of what was
    /// queued last under it.
    digests: Vec<u64>,
    lots: Vec<u64>,
    next: u64,
    /// What a round has taken and will put back.
    taken: Vec<Waiting<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            ranked: VecDeque::new(),
            digests: Vec::new(),
            lots: Vec::new(),
            next: 0,
            taken: Vec::new(),
        }
    }
}

impl<T: Named> Queue<T> {
    /// Adds news of `bytes` bytes; they replace what was queued under their name.
    ///
    /// # Panics
    /// If they are longer than any datagram.
    pub(crate) fn push(&mut self, bytes: usize, news: T) {
        self.invalidate(news.name());
        self.keep(bytes, news);
    }

    /// Adds news without replacing any.
    pub(crate) fn keep(&mut self, bytes: usize, news: T) {
        assert!(bytes <= LENGTH_MAX, "news fit into a datagram");
        if self.next > NUMBER_MAX {
            self.renumber();
        }
        let rank = rank(0, bytes, self.next);
        self.next += 1;
        let name = news.name();
        match self.named(name) {
            Some(at) => self.lots[at] = lot(rank),
            None => {
                let digest = digest(name);
                let at = find(&self.digests, digest);
                self.digests.insert(at, digest);
                self.lots.insert(at, lot(rank));
            }
        }
        self.put(Waiting { rank, news });
    }

    /// Numbers what waits anew, from 0 in the order in which it came.
    fn renumber(&mut self) {
        let mut all: Vec<(u64, usize)> = (self.ranked.iter().enumerate())
            .map(|(at, waiting)| (NUMBER_MAX - (waiting.rank & NUMBER_MAX), at))
            .collect();
        all.sort_unstable();
        self.next = 0;
        for (_, at) in all {
            let old = lot(self.ranked[at].rank);
            let waiting = &mut self.ranked[at];
            waiting.rank = rank(told(waiting.rank), bytes(waiting.rank), self.next);
            let new = lot(waiting.rank);
            for lot in self.lots.iter_mut().filter(|lot| **lot == old) {
                *lot = new;
            }
            self.next += 1;
        }
    }

    /// Puts something where its rank belongs.
    fn put(&mut self, waiting: Waiting<T>) {
        if self.ranked.back().is_none_or(|last| last.rank < waiting.rank) {
            self.ranked.push_back(waiting);
        } else {
            let at = self.ranked.partition_point(|other| other.rank < waiting.rank);
            self.ranked.insert(at, waiting);
        }
    }

    /// Where the name is filed under which something is queued.
    fn named(&self, name: &str) -> Option<usize> {
        if self.digests.is_empty() {
            return None;
        }
        let digest = digest(name);
        let mut at = find(&self.digests, digest);
        while self.digests.get(at) == Some(&digest) {
            let found = self.lies(self.lots[at]).map(|lies| &self.ranked[lies]);
            if found.is_some_and(|found| found.news.name() == name) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    fn forget_name(&mut self, at: usize) {
        self.digests.remove(at);
        self.lots.remove(at);
    }

    /// Where the news of a lot lie, however often they were told.
    fn lies(&self, lot: u64) -> Option<usize> {
        let mut from = 0;
        while let Some(first) = self.ranked.get(from) {
            let tier = first.rank - self::lot(first.rank);
            let at = self.ranked.partition_point(|other| other.rank < tier | lot);
            if self.ranked.get(at).is_some_and(|found| found.rank == tier | lot) {
                return Some(at);
            }
            let next = tier + (1 << LOT_BITS);
            from = self.ranked.partition_point(|other| other.rank < next);
        }
        None
    }

    /// Drops what is queued under `name`.
    pub(crate) fn invalidate(&mut self, name: &str) {
        if let Some(at) = self.named(name) {
            let lies = self.lies(self.lots[at]);
            self.forget_name(at);
            if let Some(lies) = lies {
                self.ranked.remove(lies);
            }
        }
    }

    /// Whether something is queued under `name`.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.named(name).is_some()
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
        let (mut used, mut number, mut at) = (0, 0, 0);
        let mut taken = mem::take(&mut self.taken);
        while number < count {
            let Some(free) = room.checked_sub(used + overhead).filter(|free| *free > 0) else {
                break;
            };
            let Some(next) = self.ranked.get(at) else {
                break;
            };
            if bytes(next.rank) > free {
                // on to the first that is short enough, or else was told once more
                let fits = rank(told(next.rank), free, NUMBER_MAX);
                at = self.ranked.partition_point(|other| other.rank < fits);
                continue;
            }
            let Some(mut waiting) = self.ranked.remove(at) else {
                break;
            };
            tell(&waiting.news);
            number += 1;
            used += overhead + bytes(waiting.rank);
            if told(waiting.rank) + 1 < limit.min(TOLD_MAX) {
                waiting.rank += 1 << LOT_BITS;
                taken.push(waiting);
            } else {
                self.drop_name_of(&waiting);
            }
        }
        for waiting in taken.drain(..) {
            self.put(waiting);
        }
        self.taken = taken;
        if self.ranked.is_empty() {
            self.next = 0;
        }
        used
    }

    /// News were told often enough: nothing is queued under their name any more, unless it is
    /// something newer.
    fn drop_name_of(&mut self, waiting: &Waiting<T>) {
        let digest = digest(waiting.news.name());
        let mut at = find(&self.digests, digest);
        while self.digests.get(at) == Some(&digest) {
            if self.lots[at] == lot(waiting.rank) {
                self.forget_name(at);
                return;
            }
            at += 1;
        }
    }

    /// Panics unless names and ranks agree.
    pub(crate) fn check_invariants(&self, one_each: bool) {
        assert!(self.taken.is_empty(), "a round puts back what it took");
        let sorted = self.ranked.iter().is_sorted_by(|one, other| one.rank < other.rank);
        assert!(sorted, "what waits is in its order");
        assert!(self.digests.is_sorted() && self.digests.len() == self.lots.len(), "names too");
        for (digest, lot) in self.digests.iter().zip(&self.lots) {
            let found = self.lies(*lot).map(|lies| self.ranked[lies].news.name());
            let same = found.is_some_and(|name| self::digest(name) == *digest);
            assert!(same, "queued news are found under their name");
        }
        let one = self.ranked.len() == self.digests.len();
        assert!(!one_each || one, "one piece of news is queued per name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::cmp::Reverse;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Told(&'static str, u32);

    impl Named for Told {
        fn name(&self) -> &str {
            self.0
        }
    }

    fn told(queue: &mut Queue<Told>, limit: u32, room: usize) -> Vec<u32> {
        let mut out = Vec::new();
        queue.take(limit, 2, room, 255, |news| out.push(news.1));
        queue.check_invariants(true);
        out
    }

    #[test]
    fn fewest_told_then_longest_then_newest() {
        let mut queue = Queue::default();
        queue.push(10, Told("a", 1));
        queue.push(20, Told("b", 2));
        queue.push(20, Told("c", 3));
        assert_eq!(told(&mut queue, 9, 46), [3, 2]);
        assert_eq!(told(&mut queue, 9, 40), [1, 3]);
        assert_eq!(told(&mut queue, 9, 100), [2, 1, 3]);
    }

    #[test]
    fn exactly_as_often_as_the_limit() {
        let mut queue = Queue::default();
        queue.push(10, Told("a", 1));
        let times = (0..9).filter(|_| !told(&mut queue, 4, 100).is_empty()).count();
        assert_eq!(times, 4);
        assert!(queue.is_empty() && !queue.holds("a"));
    }

    #[test]
    fn news_replace_older_ones_of_the_same_name() {
        let mut queue = Queue::default();
        queue.push(10, Told("a", 1));
        assert_eq!(told(&mut queue, 4, 100), [1]);
        queue.push(12, Told("a", 2));
        assert_eq!((queue.len(), told(&mut queue, 4, 100)), (1, vec![2]));
        queue.invalidate("a");
        assert!(queue.is_empty());
    }

    #[test]
    fn numbers_that_run_out_begin_anew() {
        let mut queue = Queue { next: NUMBER_MAX - 1, ..Queue::default() };
        for (name, news) in [("a", 1), ("b", 2), ("c", 3)] {
            queue.push(10, Told(name, news));
            queue.check_invariants(true);
        }
        queue.push(10, Told("a", 4));
        assert_eq!(queue.next, 4);
        assert_eq!(told(&mut queue, 4, 100), [4, 3, 2]);
    }

    #[test]
    fn what_is_too_long_stays() {
        let mut queue = Queue::default();
        queue.push(100, Told("a", 1));
        queue.push(5, Told("b", 2));
        assert_eq!(told(&mut queue, 4, 20), [2]);
        assert_eq!(told(&mut queue, 4, 102), [1]);
    }

    /// News by how often told, the longest, the newest, and under which name.
    type Model = Vec<(u32, Reverse<usize>, Reverse<u32>, &'static str)>;

    /// What a round takes from a list that is sorted anew for each piece of news.
    fn model_round(model: &mut Model, limit: u32, mut room: usize, count: usize) -> Vec<u32> {
        let (mut taken, mut out) = (Vec::new(), Vec::new());
        model.sort_unstable();
        let mut told = 0;
        while out.len() < count {
            let fits = |news: &&(u32, Reverse<usize>, Reverse<u32>, &str)| {
                news.0 >= told && news.1.0 + 2 <= room
            };
            let Some(first) = model.iter().find(fits).copied() else { break };
            model.retain(|news| *news != first);
            told = first.0;
            room -= first.1.0 + 2;
            out.push(first.2.0);
            taken.push((first.0 + 1, first.1, first.2, first.3));
        }
        model.extend(taken.into_iter().filter(|news| news.0 < limit));
        out
    }

    proptest! {
        #[test]
        fn it_tells_what_a_sorted_list_would(
            steps in prop::collection::vec((0_usize..9, 1_usize..40, 0_usize..200), 0..80),
            limit in 1_u32..6,
        ) {
            const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
            let (mut queue, mut model) = (Queue::default(), Model::new());
            for (number, (name, bytes, room)) in (0_u32..).zip(steps) {
                if let Some(name) = NAMES.get(name) {
                    queue.push(bytes, Told(name, number));
                    model.retain(|news| news.3 != *name);
                    model.push((0, Reverse(bytes), Reverse(number), name));
                } else {
                    let mut out = Vec::new();
                    queue.take(limit, 2, room, 4, |news| out.push(news.1));
                    prop_assert_eq!(out, model_round(&mut model, limit, room, 4));
                }
                queue.check_invariants(true);
                prop_assert_eq!(queue.len(), model.len());
                for name in NAMES {
                    let held = model.iter().any(|news| news.3 == name);
                    prop_assert_eq!(queue.holds(name), held);
                }
            }
        }
    }
}
