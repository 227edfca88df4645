//! What happens next: events ordered by time, then by the order in which they were set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nanoseconds of a bucket, as a power of two: about a millisecond.
const BUCKET_BITS: u32 = 20;
/// Buckets that lie ready: about two seconds.
const BUCKETS: u64 = 2_048;
/// Words with a bit for each bucket.
const WORDS: usize = 32;
const _: () = assert!(WORDS * 64 == 2_048, "each bucket has a bit");

/// When, in which order, and where the event lies.
type Entry = (u64, u64, u32);

/// Events of type `E` in the order (time, sequence number). Payloads rest in a slab, so ordering
/// moves three words an event.
///
/// What happens before `end` is sorted. What happens within the next seconds waits in a wheel of
/// buckets, each sorted when its time comes; what happens later, in a heap.
#[derive(Debug)]
pub struct Queue<E> {
    /// The next one last. Empty only if nothing is set.
    sorted: Vec<Entry>,
    end: u64,
    /// The first event of each bucket; [`NOBODY`] in one that is empty.
    wheel: Vec<u32>,
    /// A bit for each bucket that is not empty.
    filled: [u64; WORDS],
    /// How many wait in the wheel.
    waiting: usize,
    later: BinaryHeap<Reverse<Entry>>,
    slots: Vec<Slot<E>>,
    free: Vec<u32>,
    sequence: u64,
}

/// Where an event lies. Those of a bucket are chained: buckets then need no memory of their own,
/// and a world fills thousands of them.
#[derive(Debug)]
struct Slot<E> {
    event: Option<E>,
    at: u64,
    sequence: u64,
    /// The next event of the same bucket.
    next: u32,
}

/// No slot.
const NOBODY: u32 = u32::MAX;

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            sorted: Vec::new(),
            end: 0,
            wheel: vec![NOBODY; place_of(BUCKETS)],
            filled: [0; WORDS],
            waiting: 0,
            later: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            sequence: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Lets `event` happen at `at` nanoseconds, after everything already set for that moment.
    pub fn push(&mut self, at: u64, event: E) {
        self.sequence += 1;
        let sequence = self.sequence;
        let filled = Slot { event: Some(event), at, sequence, next: NOBODY };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[place(slot)] = filled;
                slot
            }
            None => {
                self.slots.push(filled);
                u32::try_from(self.slots.len() - 1)
                    .ok()
                    .filter(|slot| *slot != NOBODY)
                    .expect("a world has fewer than 2^32 open events")
            }
        };
        let entry = (at, sequence, slot);
        if at < self.end {
            let behind = self.sorted.partition_point(|other| *other > entry);
            self.sorted.insert(behind, entry);
        } else {
            self.wait(entry);
            self.advance();
        }
    }

    /// Lets something wait that does not happen before `end`.
    fn wait(&mut self, entry: Entry) {
        let (at, _, slot) = entry;
        if (at >> BUCKET_BITS) - (self.end >> BUCKET_BITS) >= BUCKETS {
            self.later.push(Reverse(entry));
            return;
        }
        let bucket = place_of((at >> BUCKET_BITS) % BUCKETS);
        self.slots[place(slot)].next = std::mem::replace(&mut self.wheel[bucket], slot);
        self.filled[bucket / 64] |= 1 << (bucket % 64);
        self.waiting += 1;
    }

    /// How many empty buckets come before one that is not, from `bucket` on.
    fn empty_from(&self, bucket: usize) -> u64 {
        let (first, bit) = (bucket / 64, bucket % 64);
        let mut word = self.filled[first] >> bit;
        let mut passed = 0;
        let mut next = 64 - bit;
        for further in 1..=WORDS {
            if word != 0 {
                break;
            }
            passed = next;
            next += 64;
            word = self.filled[(first + further) % WORDS];
        }
        wide(passed) + u64::from(word.trailing_zeros())
    }

    /// Sorts the next bucket that is not empty, if nothing is sorted.
    fn advance(&mut self) {
        while self.sorted.is_empty() {
            if self.waiting == 0 {
                let Some(Reverse((at, _, _))) = self.later.peek() else { return };
                self.end = at >> BUCKET_BITS << BUCKET_BITS;
            }
            if self.waiting > 0 {
                let bucket = place_of((self.end >> BUCKET_BITS) % BUCKETS);
                self.end += self.empty_from(bucket) << BUCKET_BITS;
            }
            let ready = (self.end >> BUCKET_BITS) + BUCKETS;
            while self.later.peek().is_some_and(|Reverse((at, _, _))| at >> BUCKET_BITS < ready) {
                let Some(Reverse(entry)) = self.later.pop() else { return };
                self.wait(entry);
            }
            let bucket = place_of((self.end >> BUCKET_BITS) % BUCKETS);
            let mut next = std::mem::replace(&mut self.wheel[bucket], NOBODY);
            while next != NOBODY {
                let slot = &self.slots[place(next)];
                self.sorted.push((slot.at, slot.sequence, next));
                next = slot.next;
            }
            self.filled[bucket / 64] &= !(1 << (bucket % 64));
            self.sorted.sort_unstable_by(|one, other| other.cmp(one));
            self.waiting -= self.sorted.len();
            self.end = self.end.saturating_add(1 << BUCKET_BITS);
        }
    }

    /// When the next event happens.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        self.sorted.last().map(|(at, _, _)| *at)
    }

    /// Removes and returns the next event.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        let (at, _, slot) = self.sorted.pop()?;
        self.advance();
        let event = self.slots[place(slot)].event.take().expect("a slot in the queue is filled");
        self.free.push(slot);
        Some((at, event))
    }

    /// How many events are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len() + self.waiting + self.later.len()
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

fn place(slot: u32) -> usize {
    usize::try_from(slot).expect("32 bits fit an index")
}

fn wide(buckets: usize) -> u64 {
    u64::try_from(buckets).expect("there are fewer than 2^64 buckets")
}

fn place_of(bucket: u64) -> usize {
    usize::try_from(bucket).expect("there are fewer than 2^32 buckets")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_times_keep_their_order() {
        let mut queue = Queue::default();
        queue.push(5, "c");
        queue.push(1, "a");
        queue.push(5, "d");
        queue.push(1, "b");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(1, "a"), (1, "b"), (5, "c"), (5, "d")]);
        queue.push(2, "again");
        assert_eq!(queue.next_at(), Some(2));
        assert_eq!(queue.len(), 1);
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_list(
            steps in prop::collection::vec((0_u8..6, 0_u64..1 << 34), 0..300),
        ) {
            let (mut queue, mut model, mut now) = (Queue::default(), Vec::new(), 0);
            for (number, (what, time)) in steps.into_iter().enumerate() {
                if what < 3 {
                    // at once, within a bucket, within the wheel, later
                    let at = now + (time >> (9 * what) >> (time % 13));
                    queue.push(at, number);
                    model.push((at, number));
                    model.sort_unstable();
                } else {
                    let next = (!model.is_empty()).then(|| model.remove(0));
                    prop_assert_eq!(queue.next_at(), next.map(|(at, _)| at));
                    now = next.map_or(now, |(at, _)| at);
                    prop_assert_eq!(queue.pop(), next);
                }
                prop_assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }
}
