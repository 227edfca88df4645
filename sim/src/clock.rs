//! One host's clock: what it shows at a moment of the world, and the other way round.

use proconsul_core::types::Instant;

/// A rate of one: the clock runs with the world.
pub const RATE_ONE: u32 = 1_000_000;

/// A monotonic clock with offset and drift. It never goes back; it may jump forward, as after a
/// suspended machine.
#[derive(Clone, Debug)]
pub struct Clock {
    world: u64,
    local: u64,
    rate: u32,
    wall_ms: i64,
}

impl Clock {
    /// A clock that shows `offset` nanoseconds when the world begins.
    #[must_use]
    pub fn new(offset: u64) -> Self {
        Self { world: 0, local: offset, rate: RATE_ONE, wall_ms: 1_600_000_000_000 }
    }

    /// What it shows at `now` of the world.
    #[must_use]
    pub fn local(&self, now: u64) -> Instant {
        let passed = now.saturating_sub(self.world);
        if self.rate == RATE_ONE {
            return Instant(self.local + passed);
        }
        let scaled = u128::from(passed) * u128::from(self.rate) / u128::from(RATE_ONE);
        Instant(self.local + u64::try_from(scaled).unwrap_or(u64::MAX / 2))
    }

    /// The first moment of the world at which it shows `deadline` or more.
    #[must_use]
    pub fn world(&self, deadline: Instant) -> u64 {
        let ahead = deadline.0.saturating_sub(self.local);
        if self.rate == RATE_ONE {
            return self.world.saturating_add(ahead);
        }
        let scaled = (u128::from(ahead) * u128::from(RATE_ONE)).div_ceil(u128::from(self.rate));
        self.world.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// A process starts: it counts from its own start, and asks for the time a little later.
    pub fn begin(&mut self, now: u64, local: u64) {
        (self.world, self.local) = (now, local);
    }

    /// From `now` on it runs at `rate` millionths of the world's.
    pub fn set_rate(&mut self, now: u64, rate: u32) {
        self.local = self.local(now).0;
        self.world = now;
        self.rate = rate.clamp(RATE_ONE / 100, RATE_ONE * 100);
    }

    /// It jumps forward.
    pub fn jump(&mut self, now: u64, by: u64) {
        self.local = self.local(now).0 + by;
        self.world = now;
    }

    /// The wall clock in milliseconds at `now`.
    #[must_use]
    pub fn wall_ms(&self, now: u64) -> i64 {
        self.wall_ms + i64::try_from(now / 1_000_000).unwrap_or(0)
    }

    /// The wall clock jumps either way.
    pub fn jump_wall(&mut self, by_ms: i64) {
        self.wall_ms += by_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_under_drift() {
        for rate in [500_000, RATE_ONE, 1_250_000, 2_000_000] {
            let mut clock = Clock::new(77);
            clock.set_rate(1_000, rate);
            for deadline in [2_000, 12_345, 99_999] {
                let at = clock.world(Instant(deadline));
                assert!(clock.local(at) >= Instant(deadline), "woken too early at rate {rate}");
                assert!(clock.local(at - 1) < Instant(deadline), "woken late at rate {rate}");
            }
        }
    }

    #[test]
    fn a_new_process_counts_from_its_start() {
        let mut clock = Clock::new(0);
        clock.set_rate(0, 2_000_000);
        clock.begin(1_000, 5);
        assert_eq!(clock.local(1_000), Instant(5));
        assert_eq!(clock.local(1_010), Instant(25), "the rate is the machine's");
    }

    #[test]
    fn it_never_goes_back() {
        let mut clock = Clock::new(0);
        let before = clock.local(500);
        clock.set_rate(500, 10_000);
        clock.jump(500, 3);
        assert!(clock.local(500) >= before);
    }
}
