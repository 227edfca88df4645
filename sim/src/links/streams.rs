//! Streams of pools: two ends each, what is written arrives in order, or nothing does any more.

use super::{Network, Place, Way};
use proconsul_core::gossip::{StreamEvent, StreamId};
use proconsul_core::wire::stream::Sealed;
use std::collections::BTreeMap;

/// Who holds an end: which pool, in which life of its process, under which name.
pub(crate) type End = (u32, u32, StreamId);

/// One direction of a stream.
#[derive(Clone, Debug)]
struct Half {
    to: End,
    /// What is written later comes later.
    last: u64,
    /// Whether it carries bytes.
    as_bytes: bool,
    /// Nothing comes through any more.
    broken: bool,
}

/// Open streams, by who holds an end.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    halves: BTreeMap<End, Half>,
}

/// The machines at both ends of a message.
pub(crate) type Along<'a> = (&'a Network, Place, Place);

impl Streams {
    /// A stream opens: from when on something can arrive at the other end, and here.
    pub(crate) fn open(&mut self, here: (End, u64), there: (End, u64), as_bytes: bool) {
        let half = |to, last| Half { to, last, as_bytes, broken: false };
        self.halves.insert(here.0, half(there.0, there.1));
        self.halves.insert(there.0, half(here.0, here.1));
    }

    /// The end that what is written here comes to.
    pub(crate) fn other(&self, end: End) -> Option<End> {
        self.halves.get(&end).map(|half| half.to)
    }

    /// A message sets out: when it comes, and as what.
    pub(crate) fn write(
        &mut self,
        end: End,
        sealed: Sealed,
        now: u64,
        (network, from, to): Along<'_>,
        number: u64,
    ) -> Option<(u64, StreamEvent)> {
        let half = self.halves.get_mut(&end)?;
        let at = half.last.max(now + network.streamed(from, to, number)) + 1;
        half.last = at;
        half.broken |= !network.linked(from, to, Way::Tcp);
        if half.broken {
            return None;
        }
        Some(if half.as_bytes {
            (at, StreamEvent::Bytes(sealed.to_bytes()))
        } else {
            (at, StreamEvent::Message(Box::new(sealed)))
        })
    }

    /// An end closes: when the other one hears of it, if it does.
    pub(crate) fn close(
        &mut self,
        end: End,
        now: u64,
        (network, from, to): Along<'_>,
        number: u64,
    ) -> Option<u64> {
        let half = self.halves.remove(&end)?;
        let heard = !half.broken && network.linked(from, to, Way::Tcp);
        heard.then(|| half.last.max(now + network.latency(from, to, number)) + 1)
    }

    /// An end heard that the other one is closed.
    pub(crate) fn forget(&mut self, end: End) {
        self.halves.remove(&end);
    }

    /// The streams that a life of a pool holds.
    pub(crate) fn of(&self, pool: u32, life: u32) -> Vec<StreamId> {
        let ends = (pool, life, StreamId(0))..=(pool, life, StreamId(u64::MAX));
        self.halves.range(ends).map(|((_, _, stream), _)| *stream).collect()
    }
}
