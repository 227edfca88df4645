//! In which order members are probed: a keyed permutation, so that it costs no memory per member.
//!
//! A round visits every place of the member table once, in an order that its key decides: four
//! rounds of a Feistel network over the next power of four, skipping places that nobody has. A
//! newcomer's place is as random as everyone's, so it needs no insertion: it is met in this round
//! or, if its turn is over, in the next one. Each round has a fresh key.

use proconsul_types::Rng;

/// The smallest domain: 2^(2 * 2) places.
const HALF_BITS_MIN: u32 = 2;
/// The largest: 2^(2 * 16).
const HALF_BITS_MAX: u32 = 16;

/// One round over the places of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    key: u64,
    half_bits: u32,
    next: u64,
}

impl Order {
    /// A round over a table of `len` places, or a few more.
    pub(super) fn new(rng: &mut Rng, len: usize) -> Self {
        let mut order = Self { key: rng.next_u64(), half_bits: HALF_BITS_MIN, next: 0 };
        while order.half_bits < HALF_BITS_MAX && !order.covers(len) {
            order.half_bits += 1;
        }
        order
    }

    /// Whether every place of a table of `len` places has its turn.
    pub(super) fn covers(&self, len: usize) -> bool {
        u64::try_from(len).is_ok_and(|len| len <= self.domain())
    }

    fn domain(&self) -> u64 {
        1 << (2 * self.half_bits)
    }

    /// The next place below `len`; `None` at the round's end.
    pub(super) fn next(&mut self, len: usize) -> Option<usize> {
        while self.next < self.domain() {
            let place = usize::try_from(self.permute(self.next)).unwrap_or(usize::MAX);
            self.next += 1;
            if place < len {
                return Some(place);
            }
        }
        None
    }

    fn permute(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 0..4 {
            let mut mixed = self.key ^ (right | (round << 32));
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (left, right) = (right, left ^ ((mixed >> 31) & mask));
        }
        (left << self.half_bits) | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proconsul_types::{Rng, Seed};
    use proptest::prelude::*;

    #[test]
    fn rounds_differ() {
        let mut rng = Rng::new(Seed(1));
        let mut round = || {
            let mut order = Order::new(&mut rng, 10);
            core::iter::from_fn(move || order.next(10)).collect::<Vec<_>>()
        };
        assert_ne!(round(), round());
    }

    #[test]
    fn every_place_is_first_about_equally_often() {
        let mut rng = Rng::new(Seed(2));
        let mut first = [0_u32; 10];
        for _ in 0..10_000 {
            first[Order::new(&mut rng, 10).next(10).unwrap()] += 1;
        }
        assert!(first.iter().all(|count| (850..1150).contains(count)), "{first:?}");
    }

    proptest! {
        #[test]
        fn a_round_visits_every_place_once(len in 0_usize..3000, seed in 0_u64..1000) {
            let mut order = Order::new(&mut Rng::new(Seed(seed)), len);
            let mut seen: Vec<usize> = core::iter::from_fn(|| order.next(len)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }
}
