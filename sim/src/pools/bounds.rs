//! How long things may take, from the pool's timing and size: written from the protocol's formulas,
//! not with the pool's own code, which is what is judged.

use proconsul_core::gossip::Timing;

/// Nanoseconds.
type Nanos = u64;

/// Once in this many tries chance may exceed a bound: never, within all the worlds that are run.
const NEVER: f64 = 1e-8;

/// What a pool of some size may take for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From one member's news to everyone who can be reached by gossip.
    pub spread: Nanos,
    /// From a death to its being known to nearly everyone.
    pub known: Nanos,
    /// From a death to its being known to everyone.
    pub known_to_all: Nanos,
    /// From calm to true views everywhere.
    pub settled: Nanos,
    /// The shortest and longest suspicion.
    pub suspicion: (Nanos, Nanos),
}

fn nanos(duration: std::time::Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 8)
}

fn real(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The shortest suspicion in a pool of `members`: multiplier times log10 of the size, at least 1.
#[must_use]
pub fn suspicion_min(timing: &Timing, members: u64) -> Nanos {
    let scale = real(members.max(1)).log10().max(1.0);
    let thousandths = (0..10_000_u64).take_while(|step| real(*step) <= scale * 1_000.0).last();
    let mult = u64::from(timing.suspicion_mult);
    nanos(timing.probe_interval) / 1_000 * mult * thousandths.unwrap_or(1_000)
}

/// How many confirmations a suspicion waits for at most.
#[must_use]
pub fn confirmations(timing: &Timing, members: u64) -> u64 {
    let expected = u64::from(timing.suspicion_mult.saturating_sub(2));
    if members.saturating_sub(2) < expected { 0 } else { expected }
}

/// How long a suspicion lasts at least after `confirmed` others said the same.
#[must_use]
pub fn suspicion_after(timing: &Timing, members: u64, confirmed: u64) -> Nanos {
    let min = suspicion_min(timing, members);
    let expected = confirmations(timing, members);
    if expected == 0 || confirmed >= expected {
        return min;
    }
    let share = (real(confirmed) + 1.0).ln() / (real(expected) + 1.0).ln();
    let max = min * u64::from(timing.suspicion_max_mult);
    let cut = real((max - min) / 1_000_000) * share;
    // Whole milliseconds, one spared for rounding.
    let cut = std::time::Duration::from_secs_f64((cut + 2.0) / 1_000.0);
    (max.saturating_sub(nanos(cut))).max(min)
}

/// Probe intervals within which so many of those who probe at random have probed, but for
/// [`NEVER`].
fn tail(probes: u64) -> u64 {
    let mut intervals = 1_u64;
    loop {
        let rate = real(intervals);
        let mut term = (-rate).exp();
        let mut fewer = 0.0;
        for count in 0..probes {
            fewer += term;
            term *= rate / (real(count) + 1.0);
        }
        if fewer < NEVER || intervals > 1_000 {
            return intervals;
        }
        intervals += 1;
    }
}

/// The time between two full exchanges.
#[must_use]
pub fn exchange(timing: &Timing, members: u64) -> Nanos {
    let mut factor = 1;
    let mut size = 32;
    while size < members {
        size *= 2;
        factor += 1;
    }
    nanos(timing.push_pull_interval) * factor
}

impl Bounds {
    /// The bounds of a pool of `members` over links that take up to `latency` and lose `loss`
    /// millionths.
    #[must_use]
    pub fn of(timing: &Timing, members: u64, latency: Nanos, loss: u32) -> Self {
        let doublings = u64::from(64 - members.max(1).leading_zeros());
        let lossy = 1 + u64::from(loss / 50_000);
        let interval = nanos(timing.probe_interval);
        let spread = (2 * doublings + 10) * (nanos(timing.gossip_interval) + latency) * lossy;
        let min = suspicion_min(timing, members);
        let expected = confirmations(timing, members);
        let max = if expected == 0 { min } else { min * u64::from(timing.suspicion_max_mult) };
        // A probe that fails lasts one interval, more for who believes to be slow itself.
        let failing = interval * if loss == 0 { 2 } else { 8 };
        let small = if members <= 3 { 2 } else { 1 };
        let alone = (tail(1).min(2 * members) * small) * interval * lossy + failing + max;
        let together = (tail(expected + 1) * small) * interval * lossy + failing + min;
        let known_to_all = alone + spread;
        let known = known_to_all.min(together + spread);
        let exchange = exchange(timing, members);
        let again = 3 * exchange + 4 * nanos(timing.reconnect_interval);
        Self {
            spread,
            known,
            known_to_all,
            settled: (known_to_all + again) * lossy.min(3),
            suspicion: (min, max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicions_equal_the_published_table() {
        let (lan, wan) = (Timing::lan(), Timing::wan());
        let millis = |nanos: Nanos| nanos / 1_000_000;
        assert_eq!(millis(suspicion_min(&lan, 20)), 5_204);
        assert_eq!(millis(suspicion_min(&lan, 1_000)), 12_000);
        assert_eq!(millis(suspicion_min(&wan, 20)), 39_030);
        assert_eq!(millis(suspicion_after(&lan, 10, 0)) / 10, 2_399);
        assert!((11_378..=11_381).contains(&millis(suspicion_after(&lan, 10, 1))));
        assert_eq!(millis(suspicion_after(&lan, 10, 2)), 4_000);
        assert_eq!(millis(suspicion_after(&lan, 3, 0)), 4_000);
    }

    #[test]
    fn many_know_sooner_than_one_and_large_pools_later() {
        let small = Bounds::of(&Timing::lan(), 10, 2_000_000, 0);
        let large = Bounds::of(&Timing::lan(), 1_000, 2_000_000, 0);
        assert!(small.known <= small.known_to_all && large.known < large.known_to_all);
        assert!(small.known_to_all < large.known_to_all);
        assert!(tail(1) < tail(3));
    }
}
