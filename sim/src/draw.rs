//! Stateless draws: the fate of a message follows from what it is, not from what was drawn before.
//!
//! Removing one fault from a schedule therefore does not reshuffle the rest (design D12b).

/// A random-looking number that depends on these four only.
#[must_use]
pub fn draw(seed: u64, stream: u64, who: u64, number: u64) -> u64 {
    let a = mix(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let b = mix(a ^ who.wrapping_mul(0xc2b2_ae3d_27d4_eb4f));
    mix(b ^ number.wrapping_mul(0x1656_67b1_9e37_79f9))
}

/// Brings a drawn number into `low..=high`.
#[must_use]
pub fn between(drawn: u64, low: u64, high: u64) -> u64 {
    if high <= low {
        return low;
    }
    let wide = u128::from(drawn) * u128::from(high - low + 1);
    low + u64::try_from(wide >> 64).unwrap_or(0)
}

/// Whether a drawn number falls into `share` of a million.
#[must_use]
pub fn ppm(drawn: u64, share: u32) -> bool {
    share > 0 && between(drawn, 0, 999_999) < u64::from(share)
}

/// The number that SplitMix64 draws after the state `z`.
#[must_use]
pub fn mix(z: u64) -> u64 {
    proconsul_core::types::mix(z.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

/// The streams of a world. Each has its own numbers.
pub mod stream {
    /// Latency of a message between servers.
    pub const LATENCY: u64 = 1;
    /// Whether it is lost.
    pub const LOSS: u64 = 2;
    /// Whether it comes twice.
    pub const DUPLICATE: u64 = 3;
    /// Whether it overtakes.
    pub const REORDER: u64 = 4;
    /// How long until a broken connection is noticed.
    pub const BREAK: u64 = 5;
    /// Which messages go through the codec.
    pub const CODEC: u64 = 6;
    /// Latency between a client and a server.
    pub const CLIENT: u64 = 7;
    /// How long a sync takes.
    pub const SYNC: u64 = 8;
    /// What a crash keeps.
    pub const TEAR: u64 = 9;
    /// How long a client waits before it tries again.
    pub const RETRY: u64 = 10;
    /// Seeds of the nodes.
    pub const NODE: u64 = 11;
    /// What a probe says.
    pub const PROBE: u64 = 12;
    /// Which bit rots.
    pub const ROT: u64 = 13;
    /// Where a crash in the middle of a step cuts the effects.
    pub const MIDDLE: u64 = 14;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_by_every_argument() {
        let base = draw(1, 2, 3, 4);
        assert_ne!(base, draw(2, 2, 3, 4));
        assert_ne!(base, draw(1, 3, 3, 4));
        assert_ne!(base, draw(1, 2, 4, 4));
        assert_ne!(base, draw(1, 2, 3, 5));
    }

    #[test]
    fn ranges_and_shares_hold() {
        let mut hits = 0_u32;
        for number in 0..10_000 {
            let drawn = draw(7, 1, 1, number);
            assert!((3..=9).contains(&between(drawn, 3, 9)));
            hits += u32::from(ppm(drawn, 100_000));
        }
        assert!((800..1_200).contains(&hits), "{hits} of 10,000 at a tenth");
        assert_eq!(between(u64::MAX, 5, 5), 5);
    }
}
