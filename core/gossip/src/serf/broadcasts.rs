//! What waits to be told to others, and how often it was.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Reverse;
use core::fmt;

/// What one message costs in a packet beside its bytes: memberlist's type and a compound's length.
pub(super) const OVERHEAD: usize = 3;

/// Messages of one kind. None ever replaces another.
#[derive(Clone, Default)]
pub(super) struct Broadcasts {
    /// By times sent, then the longest, then the newest.
    waiting: BTreeMap<(u32, Reverse<usize>, Reverse<u64>), Waiting>,
    next: u64,
}

#[derive(Clone)]
struct Waiting {
    bytes: Bytes,
    awaited: bool,
}

/// Contents stay hidden: a query may carry a key.
impl fmt::Debug for Broadcasts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcasts").field("len", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Broadcasts {
    /// Adds a message, and drops those sent most often beyond `most`. `awaited`: someone wants to
    /// know when it is through.
    pub(super) fn push(&mut self, bytes: Bytes, awaited: bool, most: usize) {
        let key = (0, Reverse(bytes.len()), Reverse(self.next));
        self.next += 1;
        self.waiting.insert(key, Waiting { bytes, awaited });
        while self.waiting.len() > most {
            self.waiting.pop_last();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes what fits into `room`, each message at most once, and forgets what was then sent
    /// `limit` times. Whether something awaited is through.
    pub(super) fn fill(&mut self, limit: u32, room: &mut usize, out: &mut Vec<Bytes>) -> bool {
        let mut through = false;
        let mut again = Vec::new();
        let mut tier = 0;
        while let Some(free) = room.checked_sub(OVERHEAD).filter(|free| *free > 0) {
            let from = (tier, Reverse(free), Reverse(u64::MAX));
            let Some((key, _)) = self.waiting.range(from..).next() else { break };
            let key = *key;
            if key.0 > tier {
                // Nothing of this tier fits; the next one begins with its longest again.
                tier = key.0;
                if key.1.0 > free {
                    continue;
                }
            }
            let waiting = self.waiting.remove(&key).expect("it was just found");
            *room -= OVERHEAD + waiting.bytes.len();
            out.push(waiting.bytes.clone());
            if key.0 + 1 >= limit {
                through |= waiting.awaited;
            } else {
                again.push(((key.0 + 1, key.1, key.2), waiting));
            }
        }
        self.waiting.extend(again);
        through
    }
}

/// The smallest `k` with 10^k > `count`: how many decimal digits that many members have.
pub(crate) fn magnitude(count: usize) -> u32 {
    count.checked_ilog10().map_or(0, |log| log + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(queue: &mut Broadcasts, limit: u32, mut room: usize) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        queue.fill(limit, &mut room, &mut out);
        out.iter().map(|bytes| bytes.to_vec()).collect()
    }

    #[test]
    fn how_often_follows_the_size_of_the_pool() {
        let sent = [1, 9, 10, 99, 100, 999].map(|count| 4 * magnitude(count));
        assert_eq!(sent, [4, 4, 8, 8, 12, 12]);
        assert_eq!(magnitude(0), 0);
    }

    #[test]
    fn the_least_sent_goes_first_then_the_longest_then_the_newest() {
        let mut queue = Broadcasts::default();
        for text in ["aa", "bbbb", "cc"] {
            queue.push(Bytes::from(text), false, 9);
        }
        assert_eq!(take(&mut queue, 3, 7), [b"bbbb".to_vec()]);
        assert_eq!(take(&mut queue, 3, 5), [b"cc".to_vec()]);
        queue.push(Bytes::from("ddd"), false, 9);
        let all = take(&mut queue, 3, 100);
        assert_eq!(all, [b"ddd".to_vec(), b"aa".to_vec(), b"bbbb".to_vec(), b"cc".to_vec()]);
    }

    #[test]
    fn a_message_is_sent_so_often_and_no_more() {
        let mut queue = Broadcasts::default();
        queue.push(Bytes::from("x"), true, 9);
        let mut out = Vec::new();
        let through: Vec<bool> = (0..4).map(|_| queue.fill(4, &mut 50, &mut out)).collect();
        assert_eq!(through, [false, false, false, true]);
        assert_eq!((out.len(), queue.len()), (4, 0));
    }

    #[test]
    fn a_full_queue_drops_what_was_sent_most() {
        let mut queue = Broadcasts::default();
        queue.push(Bytes::from("old"), false, 2);
        take(&mut queue, 9, 50);
        queue.push(Bytes::from("one"), false, 2);
        queue.push(Bytes::from("two"), false, 2);
        assert_eq!(take(&mut queue, 9, 50), [b"two".to_vec(), b"one".to_vec()]);
    }
}
