//! Numbers that grow with the pool: how long, how often, how seldom.

use crate::config::Timing;
use crate::serf::broadcasts::magnitude;
use proconsul_types::Duration;

/// How often a message is sent to be heard by everyone.
pub(crate) fn retransmit_limit(mult: u32, members: usize) -> u32 {
    mult.saturating_mul(magnitude(members))
}

/// The time between two full exchanges: every doubling beyond 32 members adds one interval.
pub(super) fn push_pull_interval(timing: &Timing, members: usize) -> Duration {
    const SMALL: usize = 32;
    if members <= SMALL {
        return timing.push_pull_interval;
    }
    let doublings = (members - 1).ilog2() + 1;
    timing.push_pull_interval.saturating_mul(doublings - 5 + 1)
}

/// How long a suspicion lasts, and how confirmations shorten it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SuspicionSpan {
    /// With all confirmations, or when none can be expected.
    pub(super) min: Duration,
    /// With none.
    pub(super) max: Duration,
    /// How many confirmations are expected.
    pub(super) expected: u32,
}

impl SuspicionSpan {
    pub(super) fn new(timing: &Timing, members: usize) -> Self {
        let count = u32::try_from(members).unwrap_or(u32::MAX).max(1);
        let scale = libm::log10(f64::from(count)).max(1.0);
        let thousandths = whole_millis(scale).map_or(0, |scale| scale.as_millis());
        let min = timing
            .probe_interval
            .saturating_mul(timing.suspicion_mult)
            .saturating_mul(u32::try_from(thousandths).unwrap_or(u32::MAX))
            / 1000;
        let mut expected = timing.suspicion_mult.saturating_sub(2);
        if members.saturating_sub(2) < usize::try_from(expected).unwrap_or(usize::MAX) {
            expected = 0;
        }
        Self { min, max: min.saturating_mul(timing.suspicion_max_mult), expected }
    }

    /// How long it lasts, from its start, after this many confirmations.
    pub(super) fn after(&self, confirmations: u32) -> Duration {
        if self.expected == 0 {
            return self.min;
        }
        let of = |count: u32| libm::log(f64::from(count) + 1.0);
        let share = of(confirmations.min(self.expected)) / of(self.expected);
        let (min, max) = (self.min.as_secs_f64(), self.max.as_secs_f64());
        whole_millis(max - share * (max - min)).unwrap_or(self.max).max(self.min)
    }
}

/// A time of this many seconds, cut to whole milliseconds.
fn whole_millis(seconds: f64) -> Option<Duration> {
    let exact = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Duration::from_millis(u64::try_from(exact.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(duration: Duration) -> u128 {
        duration.as_millis()
    }

    #[test]
    fn retransmits_follow_the_order_of_magnitude() {
        let table = [(0, 0), (1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)];
        for (members, limit) in table {
            assert_eq!(retransmit_limit(4, members), limit, "{members} members");
        }
    }

    #[test]
    fn exchanges_become_seldom_with_each_doubling() {
        let timing = Timing::lan();
        let table =
            [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (129, 4), (256, 4), (257, 5)];
        for (members, times) in table {
            let expected = timing.push_pull_interval * times;
            assert_eq!(push_pull_interval(&timing, members), expected, "{members} members");
        }
    }

    #[test]
    fn the_shortest_suspicion_equals_the_table() {
        let table =
            [(1, 4000, 30_000), (10, 4000, 30_000), (20, 5204, 39_030), (100, 8000, 60_000)];
        for (members, lan, wan) in table {
            assert_eq!(millis(SuspicionSpan::new(&Timing::lan(), members).min), lan, "{members}");
            assert_eq!(millis(SuspicionSpan::new(&Timing::wan(), members).min), wan, "{members}");
        }
        for (members, lan, wan) in [(1000, 12_000, 90_000), (10_000, 16_000, 120_000)] {
            assert_eq!(millis(SuspicionSpan::new(&Timing::lan(), members).min), lan, "{members}");
            assert_eq!(millis(SuspicionSpan::new(&Timing::wan(), members).min), wan, "{members}");
        }
    }

    #[test]
    fn confirmations_shorten_it_as_in_the_table() {
        let lan = SuspicionSpan::new(&Timing::lan(), 10);
        let got: alloc::vec::Vec<u128> = (0..3).map(|c| millis(lan.after(c))).collect();
        assert_eq!(got, [24_000, 11_381, 4000]);
        let wan = SuspicionSpan::new(&Timing::wan(), 10);
        let got: alloc::vec::Vec<u128> = (0..5).map(|c| millis(wan.after(c))).collect();
        assert_eq!(got, [180_000, 115_398, 77_609, 50_797, 30_000]);
    }

    #[test]
    fn nobody_waits_for_confirmations_that_cannot_come() {
        let three = SuspicionSpan::new(&Timing::lan(), 3);
        assert_eq!((three.expected, millis(three.after(0))), (0, 4000));
        assert_eq!(SuspicionSpan::new(&Timing::lan(), 4).expected, 2);
    }

    proptest! {
        #[test]
        fn a_suspicion_lasts_between_its_bounds(members in 0_usize..100_000, count in 0_u32..20) {
            for timing in [Timing::lan(), Timing::wan()] {
                let span = SuspicionSpan::new(&timing, members);
                prop_assert!(span.min <= span.after(count) && span.after(count) <= span.max);
                prop_assert!(span.after(count + 1) <= span.after(count));
            }
        }
    }
}
