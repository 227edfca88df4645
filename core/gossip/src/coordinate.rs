//! Where members are in the network, learned from round trips (Vivaldi).
//!
//! Dabek, Cox, Kaashoek, Morris: "Vivaldi: a decentralized network coordinate system" (SIGCOMM
//! 2004); the adjustment term is from Lee et al., "On suitability of Euclidean embedding for
//! host-based network coordinate systems" (IMC 2010), the gravity from Ledlie, Gardner, Seltzer:
//! "Network coordinates in the wild" (NSDI 2007). Constants and the order of the float operations
//! are Serf's, so that both sides of a round trip compute the same bits.

use crate::recent::Recent;
use alloc::sync::Arc;
use core::fmt;
use proconsul_types::{Coordinate, Duration, Rng};

/// The highest error, which is the first one too.
const ERROR_MAX: f64 = 1.5;
/// How much one observation moves the error.
const ERROR_GAIN: f64 = 0.25;
/// How much one observation moves the position.
const FORCE_GAIN: f64 = 0.25;
/// How many offsets the adjustment is averaged over.
const ADJUSTMENT_WINDOW: usize = 20;
/// Twice that, as the divisor of their sum.
const ADJUSTMENT_DIVISOR: f64 = 40.0;
/// The lowest height in seconds, which is the first one too.
const HEIGHT_MIN: f64 = 1e-5;
/// How far from the origin its pull is one second.
const GRAVITY_RHO: f64 = 150.0;
/// Below this, a length or an error counts as nothing.
const ZERO: f64 = 1e-6;
/// The longest round trip that is believed.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);
/// How many round trips of one peer the median is taken of.
const FILTER_SAMPLES: usize = 3;
/// Of how many peers anything is remembered: those that were met last.
pub(crate) const PEERS_MAX: usize = 4096;

/// Where everyone starts.
const START: Coordinate =
    Coordinate { vector: [0.0; 8], error: ERROR_MAX, adjustment: 0.0, height: HEIGHT_MIN };

/// Why an observation was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The peer's coordinate holds a NaN or an infinity.
    NotFinite,
    /// The round trip took too long to be one.
    RoundTrip(Duration),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite => f.write_str("coordinate with a value that is no number"),
            Self::RoundTrip(rtt) => write!(f, "round trip time not in valid range: {rtt:?}"),
        }
    }
}

/// The estimated round trip between two places in seconds, in whole nanoseconds (truncated).
#[must_use]
pub fn distance(a: &Coordinate, b: &Coordinate) -> f64 {
    let raw = raw_distance(a, b);
    let adjusted = raw + a.adjustment + b.adjustment;
    whole_nanoseconds(if adjusted > 0.0 { adjusted } else { raw })
}

/// One member's own place, and what it is computed from.
#[derive(Clone, Debug)]
pub(crate) struct Vivaldi {
    own: Coordinate,
    offsets: [f64; ADJUSTMENT_WINDOW],
    next_offset: usize,
    peers: Recent<Peer>,
    resets: u64,
    rng: Rng,
}

/// What is remembered of one peer.
#[derive(Clone, Debug)]
struct Peer {
    latencies: Latencies,
    /// Where it last said to be.
    place: Coordinate,
}

/// The last round trips of one peer, oldest first.
#[derive(Clone, Copy, Debug, Default)]
struct Latencies {
    seconds: [f64; FILTER_SAMPLES],
    len: usize,
}

impl Latencies {
    /// Takes a sample in; the median of the last three (of two, the larger).
    fn push(&mut self, seconds: f64) -> f64 {
        if self.len == FILTER_SAMPLES {
            self.seconds.rotate_left(1);
            self.len -= 1;
        }
        self.seconds[self.len] = seconds;
        self.len += 1;
        let mut sorted = self.seconds;
        let sorted = &mut sorted[..self.len];
        sorted.sort_by(f64::total_cmp);
        sorted[self.len / 2]
    }
}

impl Vivaldi {
    /// At the origin. `rng` chooses directions where two places coincide.
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            own: START,
            offsets: [0.0; ADJUSTMENT_WINDOW],
            next_offset: 0,
            peers: Recent::new(PEERS_MAX),
            resets: 0,
            rng,
        }
    }

    /// This member's place.
    pub(crate) fn own(&self) -> &Coordinate {
        &self.own
    }

    /// How often the place became invalid and started anew.
    pub(crate) fn resets(&self) -> u64 {
        self.resets
    }

    /// Learns that `node`, which said to be at `peer`, is one round trip of `rtt` away.
    pub(crate) fn observe(
        &mut self,
        node: &Arc<str>,
        peer: &Coordinate,
        rtt: Duration,
    ) -> Result<(), Refusal> {
        if !is_finite(peer) {
            return Err(Refusal::NotFinite);
        }
        if rtt > ROUND_TRIP_MAX {
            return Err(Refusal::RoundTrip(rtt));
        }
        let first = || Peer { latencies: Latencies::default(), place: START };
        let held = self.peers.touch(node, first);
        held.place = peer.clone();
        let rtt = held.latencies.push(seconds(rtt));
        self.pull(peer, rtt);
        self.adjust(peer, rtt);
        self.fall();
        if !is_finite(&self.own) {
            self.own = START;
            self.resets += 1;
        }
        Ok(())
    }

    /// Where `node` last said to be, if it was met lately.
    pub(crate) fn peer(&self, node: &str) -> Option<&Coordinate> {
        self.peers.get(node).map(|peer| &peer.place)
    }

    /// Forgets what was learned of `node`.
    pub(crate) fn forget(&mut self, node: &str) {
        self.peers.remove(node);
    }

    /// One step of a spring between here and `peer` towards the length `rtt`.
    fn pull(&mut self, peer: &Coordinate, rtt: f64) {
        let estimate = distance(&self.own, peer);
        let rtt = if rtt < ZERO { ZERO } else { rtt };
        let wrong = libm::fabs(estimate - rtt) / rtt;
        let total = self.own.error + peer.error;
        let total = if total < ZERO { ZERO } else { total };
        let weight = self.own.error / total;
        let error = ERROR_GAIN * weight * wrong + self.own.error * (1.0 - ERROR_GAIN * weight);
        self.own.error = if error > ERROR_MAX { ERROR_MAX } else { error };
        let force = FORCE_GAIN * weight * (rtt - estimate);
        apply_force(&mut self.own, force, peer, &mut self.rng);
    }

    /// Averages what the vectors alone get wrong.
    fn adjust(&mut self, peer: &Coordinate, rtt: f64) {
        self.offsets[self.next_offset] = rtt - raw_distance(&self.own, peer);
        self.next_offset = (self.next_offset + 1) % ADJUSTMENT_WINDOW;
        let sum = self.offsets.iter().fold(0.0, |sum, offset| sum + offset);
        self.own.adjustment = sum / ADJUSTMENT_DIVISOR;
    }

    /// Pulls towards the origin, so that the whole network does not drift away.
    fn fall(&mut self) {
        let pull = distance(&START, &self.own) / GRAVITY_RHO;
        apply_force(&mut self.own, -(pull * pull), &START, &mut self.rng);
    }
}

/// Moves `own` by `force` seconds away from `other`.
fn apply_force(own: &mut Coordinate, force: f64, other: &Coordinate, rng: &mut Rng) {
    let mut direction = difference(&own.vector, &other.vector);
    let length = magnitude(&direction);
    if length > ZERO {
        scale(&mut direction, 1.0 / length);
        let height = (own.height + other.height) * force / length + own.height;
        own.height = if height < HEIGHT_MIN { HEIGHT_MIN } else { height };
    } else {
        direction = random_direction(rng);
    }
    for (place, unit) in own.vector.iter_mut().zip(direction) {
        *place += unit * force;
    }
}

/// A random vector of length 1.
fn random_direction(rng: &mut Rng) -> [f64; 8] {
    let mut direction = [0.0; 8];
    for component in &mut direction {
        let bits = u32::try_from(rng.next_u64() >> 32).expect("32 bits are left");
        *component = f64::from(bits) / 4_294_967_296.0 - 0.5;
    }
    let length = magnitude(&direction);
    if length > ZERO {
        scale(&mut direction, 1.0 / length);
        direction
    } else {
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    }
}

/// The estimate without adjustments, in seconds.
fn raw_distance(a: &Coordinate, b: &Coordinate) -> f64 {
    magnitude(&difference(&a.vector, &b.vector)) + a.height + b.height
}

fn difference(a: &[f64; 8], b: &[f64; 8]) -> [f64; 8] {
    let mut difference = *a;
    for (left, right) in difference.iter_mut().zip(b) {
        *left -= right;
    }
    difference
}

fn scale(vector: &mut [f64; 8], factor: f64) {
    for component in vector {
        *component *= factor;
    }
}

fn magnitude(vector: &[f64; 8]) -> f64 {
    libm::sqrt(vector.iter().fold(0.0, |sum, component| sum + component * component))
}

/// Whether no value is a NaN or an infinity.
pub(crate) fn is_finite(place: &Coordinate) -> bool {
    place.vector.iter().all(|component| component.is_finite())
        && place.error.is_finite()
        && place.adjustment.is_finite()
        && place.height.is_finite()
}

/// Cuts off what is less than a nanosecond, as a whole number of nanoseconds would.
fn whole_nanoseconds(seconds: f64) -> f64 {
    let nanoseconds = libm::trunc(seconds * 1e9);
    let whole = libm::trunc(nanoseconds / 1e9);
    whole + (nanoseconds - whole * 1e9) / 1e9
}

/// `duration`, at most ten seconds long, in seconds.
fn seconds(duration: Duration) -> f64 {
    let whole = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    f64::from(whole) + f64::from(duration.subsec_nanos()) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_types::Seed;
    use serde_json::Value;

    const FIXTURE: &str = include_str!("../tests/vivaldi-60-updates.json");

    fn place(value: &Value) -> Coordinate {
        let float = |name: &str| value[name].as_f64().unwrap();
        let mut vector = [0.0; 8];
        for (index, component) in value["Vec"].as_array().unwrap().iter().enumerate() {
            vector[index] = component.as_f64().unwrap();
        }
        Coordinate {
            vector,
            error: float("Error"),
            adjustment: float("Adjustment"),
            height: float("Height"),
        }
    }

    fn bits(place: &Coordinate) -> alloc::vec::Vec<u64> {
        let rest = [place.error, place.adjustment, place.height];
        place.vector.iter().chain(&rest).map(|value| value.to_bits()).collect()
    }

    #[test]
    fn sixty_updates_of_serf_to_the_bit() {
        let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
        let mut vivaldi = Vivaldi::new(Rng::new(Seed(1)));
        vivaldi.own = place(&fixture["start"]);
        let steps = fixture["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 60);
        for (number, step) in steps.iter().enumerate() {
            let node = Arc::from(step["Node"].as_str().unwrap());
            let peer = place(&step["Other"]);
            let rtt = Duration::from_nanos(step["RTT"].as_u64().unwrap());
            let estimate = step["DistanceNs"].as_u64().unwrap();
            let estimate = seconds(Duration::from_nanos(estimate));
            let found = distance(vivaldi.own(), &peer);
            assert_eq!(found.to_bits(), estimate.to_bits(), "distance before step {number}");
            vivaldi.observe(&node, &peer, rtt).unwrap();
            assert_eq!(bits(vivaldi.own()), bits(&place(&step["After"])), "step {number}");
        }
        assert_eq!(vivaldi.resets(), 0);
    }

    #[test]
    fn the_median_of_two_is_the_larger() {
        let mut filter = Latencies::default();
        let medians = [5.0, 1.0, 3.0, 9.0, 8.0].map(|sample| filter.push(sample));
        assert_eq!(medians.map(f64::to_bits), [5.0, 5.0, 3.0, 3.0, 8.0].map(f64::to_bits));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut vivaldi = Vivaldi::new(Rng::new(Seed(1)));
        let node = Arc::from("n");
        let nowhere = Coordinate { height: f64::NAN, ..START };
        let rtt = Duration::from_millis(1);
        assert_eq!(vivaldi.observe(&node, &nowhere, rtt), Err(Refusal::NotFinite));
        let longest = Duration::from_secs(10);
        assert_eq!(vivaldi.observe(&node, &START, longest), Ok(()));
        let longer = longest + Duration::from_nanos(1);
        assert_eq!(vivaldi.observe(&node, &START, longer), Err(Refusal::RoundTrip(longer)));
    }

    #[test]
    fn an_overflow_starts_anew() {
        let mut vivaldi = Vivaldi::new(Rng::new(Seed(1)));
        let far = Coordinate { vector: [f64::MAX; 8], ..START };
        vivaldi.observe(&Arc::from("n"), &far, Duration::from_millis(1)).unwrap();
        assert_eq!((bits(vivaldi.own()), vivaldi.resets()), (bits(&START), 1));
    }

    #[test]
    fn two_at_one_place_are_parted_by_chance_and_the_same_chance_again() {
        let run = || {
            let mut vivaldi = Vivaldi::new(Rng::new(Seed(7)));
            vivaldi.observe(&Arc::from("n"), &START, Duration::from_millis(40)).unwrap();
            vivaldi.own().clone()
        };
        assert_eq!(bits(&run()), bits(&run()));
        assert!(magnitude(&run().vector) > 1e-3);
    }

    #[test]
    fn four_corners_of_a_square_find_their_distances() {
        let names: [Arc<str>; 4] = ["a", "b", "c", "d"].map(Arc::from);
        let mut places = names.clone().map(|name| Vivaldi::new(Rng::new(Seed(3)).split(&name)));
        let near = Duration::from_millis(10);
        let far = Duration::from_micros(14_142);
        for round in 0..400 {
            for here in 0..4 {
                let there = (here + 1 + round % 3) % 4;
                let rtt = if (here + there) % 2 == 0 { far } else { near };
                let peer = places[there].own().clone();
                places[here].observe(&names[there], &peer, rtt).unwrap();
            }
        }
        for (here, there, rtt) in [(0, 1, near), (1, 3, far), (2, 3, near), (0, 2, far)] {
            let estimate = distance(places[here].own(), places[there].own());
            assert!(libm::fabs(estimate - seconds(rtt)) < 0.002, "{here}-{there}: {estimate}");
        }
    }
}
