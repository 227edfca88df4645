//! News that wait to be told to others, by how often they were told already.

use crate::digest::{Named, digest, find};
use alloc::vec::Vec;

/// In which order news are told: fewest times first, then the longest that fits, then the newest.
/// From the highest bit: how often told, a length subtracted from the longest, a number subtracted
/// from the highest.
type Rank = u64;

/// Bits of the number.
const NUMBER_BITS: u32 = 36;
/// Bits of number and length, which do not change with each telling.
const LOT_BITS: u32 = NUMBER_BITS + 16;
const NUMBER_MAX: u64 = (1 << NUMBER_BITS) - 1;
const LENGTH_MAX: usize = 0xffff;
const LENGTH_BITS: u64 = 0xffff;
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

fn bytes(rank: Rank) -> usize {
    let shorter = usize::try_from((rank >> NUMBER_BITS) & LENGTH_BITS).unwrap_or(LENGTH_MAX);
    LENGTH_MAX - shorter
}

/// What waits, and with which rank.
#[derive(Clone, Debug)]
struct Waiting<T> {
    rank: Rank,
    news: T,
}

/// Where something waits.
type Slot = u32;

/// In place of the slot of what a round has taken out of the order.
const TAKEN: Slot = Slot::MAX;

/// A queue of news. Those about the same name ([`Named`]) replace one another.
///
/// News stay in their slots; what a round sorts anew are ranks and numbers of slots. It takes from
/// the front and puts back behind, both in order, so it is one merge of two sorted lists.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    slots: Vec<Option<Waiting<T>>>,
    free: Vec<Slot>,
    /// All that waits, in order.
    ranked: Vec<(Rank, Slot)>,
    /// The digest of each name under which something is queued, sorted, and where that is which
    /// was queued last under it.
    digests: Vec<u64>,
    named: Vec<Slot>,
    next: u64,
    /// What a round has taken and will put back.
    again: Vec<(Rank, Slot)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ranked: Vec::new(),
            digests: Vec::new(),
            named: Vec::new(),
            next: 0,
            again: Vec::new(),
        }
    }
}

fn place(slot: Slot) -> usize {
    usize::try_from(slot).expect("32 bits fit an index")
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
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot::try_from(self.slots.len() - 1).expect("fewer than 2^32 news wait")
        });
        match self.find_named(news.name()) {
            Ok(at) => self.named[at] = slot,
            Err((at, digest)) => {
                self.digests.insert(at, digest);
                self.named.insert(at, slot);
            }
        }
        self.slots[place(slot)] = Some(Waiting { rank, news });
        let at = self.ranked.partition_point(|(other, _)| *other < rank);
        self.ranked.insert(at, (rank, slot));
    }

    /// Numbers what waits anew, from 0 in the order in which it came.
    fn renumber(&mut self) {
        let number = |rank: Rank| NUMBER_MAX - (rank & NUMBER_MAX);
        self.ranked.sort_unstable_by_key(|(rank, _)| number(*rank));
        self.next = 0;
        for (old, slot) in &mut self.ranked {
            *old = rank(told(*old), bytes(*old), self.next);
            if let Some(waiting) = &mut self.slots[place(*slot)] {
                waiting.rank = *old;
            }
            self.next += 1;
        }
        self.ranked.sort_unstable();
    }

    /// The name of what waits in a slot.
    fn name_in(&self, slot: Slot) -> Option<&str> {
        self.slots.get(place(slot))?.as_ref().map(|waiting| waiting.news.name())
    }

    /// Where the name is filed under which something is queued, or where it belongs, and its
    /// digest.
    fn find_named(&self, name: &str) -> Result<usize, (usize, u64)> {
        let digest = digest(name);
        let mut at = find(&self.digests, digest);
        while self.digests.get(at) == Some(&digest) {
            if self.name_in(self.named[at]) == Some(name) {
                return Ok(at);
            }
            at += 1;
        }
        Err((at, digest))
    }

    /// Drops what is queued under `name`.
    pub(crate) fn invalidate(&mut self, name: &str) {
        if self.is_empty() {
            return;
        }
        if let Ok(at) = self.find_named(name) {
            self.digests.remove(at);
            let slot = self.named.remove(at);
            let gone = self.vacate(slot);
            let rank = gone.map(|waiting| waiting.rank);
            if let Some(lies) = rank.and_then(|rank| self.lies(rank)) {
                self.ranked.remove(lies);
            }
        }
    }

    /// Where the order has what has this rank.
    fn lies(&self, rank: Rank) -> Option<usize> {
        self.ranked.binary_search_by_key(&rank, |(rank, _)| *rank).ok()
    }

    fn vacate(&mut self, slot: Slot) -> Option<Waiting<T>> {
        let gone = self.slots[place(slot)].take();
        self.free.push(slot);
        gone
    }

    /// Whether something is queued under `name`.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.find_named(name).is_ok()
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
        let limit = limit.min(TOLD_MAX);
        while number < count {
            let Some(free) = room.checked_sub(used + overhead).filter(|free| *free > 0) else {
                break;
            };
            let Some((was, slot)) = self.ranked.get(at).copied() else {
                break;
            };
            if bytes(was) > free {
                // on to the first that is short enough, or else was told once more
                let fits = rank(told(was), free, NUMBER_MAX);
                at += self.ranked[at..].partition_point(|(other, _)| *other < fits);
                continue;
            }
            let Some(waiting) = &mut self.slots[place(slot)] else {
                break;
            };
            tell(&waiting.news);
            number += 1;
            used += overhead + bytes(was);
            self.ranked[at].1 = TAKEN;
            at += 1;
            if told(was) + 1 < limit {
                waiting.rank = was + (1 << LOT_BITS);
                self.again.push((waiting.rank, slot));
            } else {
                self.drop_name_of(slot);
                self.vacate(slot);
            }
        }
        if number > 0 {
            self.put_back(number);
        }
        if self.is_empty() {
            self.next = 0;
        }
        used
    }

    /// Closes the gaps that a round left, with what it puts back in its places. What is put back
    /// comes later than it was, so there are always enough gaps before it.
    fn put_back(&mut self, mut gaps: usize) {
        let (mut to, mut from, mut back) = (0, 0, 0);
        while let Some(entry) = self.ranked.get(from).copied() {
            if entry.1 == TAKEN {
                from += 1;
                gaps -= 1;
                continue;
            }
            match self.again.get(back) {
                Some(again) if again.0 < entry.0 => {
                    self.ranked[to] = *again;
                    back += 1;
                }
                // nothing was dropped, and the rest lies where it lay
                None if gaps == 0 && to == from => break,
                Some(_) | None => {
                    self.ranked[to] = entry;
                    from += 1;
                }
            }
            to += 1;
        }
        if from == self.ranked.len() {
            self.ranked.truncate(to);
            self.ranked.extend_from_slice(&self.again[back..]);
        }
        self.again.clear();
    }

    /// News were told often enough: nothing is queued under their name any more, unless it is
    /// something newer.
    fn drop_name_of(&mut self, slot: Slot) {
        let Some(digest) = self.name_in(slot).map(digest) else {
            return;
        };
        let mut at = find(&self.digests, digest);
        while self.digests.get(at) == Some(&digest) {
            if self.named[at] == slot {
                self.digests.remove(at);
                self.named.remove(at);
                return;
            }
            at += 1;
        }
    }

    /// Panics unless names and ranks agree.
    pub(crate) fn check_invariants(&self, one_each: bool) {
        assert!(self.again.is_empty(), "a round puts back what it took");
        let sorted = self.ranked.is_sorted_by(|one, other| one.0 < other.0);
        assert!(sorted, "what waits is in its order");
        assert!(self.ranked.len() + self.free.len() == self.slots.len(), "a slot is in one list");
        for (rank, slot) in &self.ranked {
            let waiting = self.slots.get(place(*slot)).and_then(Option::as_ref);
            let same = waiting.is_some_and(|waiting| waiting.rank == *rank);
            assert!(same, "what waits lies in its slot");
        }
        assert!(self.digests.is_sorted() && self.digests.len() == self.named.len(), "names too");
        for (digest, slot) in self.digests.iter().zip(&self.named) {
            let same = self.name_in(*slot).is_some_and(|name| self::digest(name) == *digest);
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
