//! Randomness that is given, and split by name.
//!
//! A draw added in one part must not shift the draws of another, so every part owns a stream that
//! is derived from the node's seed and the part's name.

use serde::{Deserialize, Serialize};

/// The one value from which every random choice of a node (or of a world) follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seed(pub u64);

/// A seeded stream of random numbers (SplitMix64: one add and three mixes a draw).
///
/// Not for secrets: anyone who knows the seed knows the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
    lineage: u64,
}

impl Rng {
    /// The root stream of `seed`.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        let lineage = mix(seed.0 ^ 0x9e37_79b9_7f4a_7c15);
        Self { state: lineage, lineage }
    }

    /// The stream called `name` below this one. It depends on the name and the lineage only, never
    /// on how many numbers were drawn before.
    #[must_use]
    pub fn split(&self, name: &str) -> Self {
        let mut hash = self.lineage ^ 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let lineage = mix(hash);
        Self { state: lineage, lineage }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// 128 random bits, as for an id.
    pub fn next_u128(&mut self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }

    /// A number in `0..bound`, without bias worth naming (multiply-shift). `bound` must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a range to draw from is not empty");
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "a range to draw from runs upwards");
        let width = high - low;
        if width == u64::MAX { self.next_u64() } else { low + self.below(width + 1) }
    }

    /// A duration in `low..=high`, in nanosecond steps.
    pub fn duration(
        &mut self,
        low: core::time::Duration,
        high: core::time::Duration,
    ) -> core::time::Duration {
        let nanos = |d: core::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        core::time::Duration::from_nanos(self.between(nanos(low), nanos(high)))
    }

    /// True in `numerator` of `denominator` cases.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// An index into a slice of `len` elements. `len` must not be 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// Puts `items` in random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// The finalizer of SplitMix64: a bijection in which every input bit moves every output bit.
#[inline]
#[must_use]
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_does_not_depend_on_draws() {
        let mut a = Rng::new(Seed(7));
        let before = a.split("raft.election");
        a.next_u64();
        assert_eq!(before, a.split("raft.election"));
        assert_ne!(before, a.split("raft.other"));
    }

    #[test]
    fn ranges_hold() {
        let mut rng = Rng::new(Seed(1));
        for _ in 0..1000 {
            assert!(rng.below(3) < 3);
            assert!((5..=7).contains(&rng.between(5, 7)));
        }
        assert_eq!(rng.between(4, 4), 4);
    }
}
