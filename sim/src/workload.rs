//! What clients and the nemesis do in a drawn world: lists, so that they can be shortened.

use crate::lures::Lure;
use crate::options::{Options, freshness};
use crate::schedule::{Action, Fault, Freshness, Mark, Op, Schedule, Target, Trip, Want, When};
use proconsul_core::types::{Rng, Seed};

/// Draws a whole world: options, faults and operations.
#[must_use]
pub fn schedule(seed: u64) -> Schedule {
    let mut options = Options::draw(seed);
    let root = Rng::new(Seed(seed));
    let lure = Lure::draw(&mut root.split("lure"), &mut options);
    let mut faults = faults(&mut root.split("faults"), &options);
    let mut ops = ops(&mut root.split("ops"), &options);
    lure.bend(&mut root.split("bend"), &options, &mut faults, &mut ops);
    if faults.iter().any(|fault| matches!(fault.what, Action::Narrow { .. })) {
        fill(&mut root.split("fill"), &options, &mut ops);
    }
    Schedule { scenario: String::new(), rule: String::new(), seed, options, faults, ops }
}

/// Draws what clients do while anything may break.
#[must_use]
pub fn ops(rng: &mut Rng, options: &Options) -> Vec<Op> {
    let mix = Mix::draw(rng);
    let mut ops = setup(rng, options);
    let step = rng.between(30_000, 120_000);
    let mut at = 1_000_000;
    ops.reserve(usize::try_from(options.safety / step).unwrap_or(0));
    while at < options.safety {
        at += rng.between(0, 2 * step);
        ops.push(op(rng, options, &mix, at));
    }
    ops
}

/// A few large values, so that a snapshot takes several messages.
fn fill(rng: &mut Rng, options: &Options, ops: &mut Vec<Op>) {
    for key in 0..4 {
        for _ in 0..rng.between(1, 2) {
            let at = rng.between(1_000_000, options.safety * 2 / 3);
            let server = u8::try_from(rng.below(u64::from(options.servers))).unwrap_or(0);
            ops.push(Op { at, client: 0, server, what: Want::Fill { key } });
        }
    }
}

/// Nodes and sessions that others build on, and the watchers.
fn setup(rng: &mut Rng, options: &Options) -> Vec<Op> {
    let mut ops = Vec::new();
    let server = |rng: &mut Rng| u8::try_from(rng.below(u64::from(options.servers))).unwrap_or(0);
    let home = Want::Register { node: u8::MAX, service: 0, passing: true };
    ops.push(Op { at: 700_000, client: 0, server: server(rng), what: home });
    for client in 0..options.clients {
        let at = rng.between(1_000_000, 2_000_000);
        let what = if rng.chance(1, 4) { Want::Ephemeral } else { Want::Session };
        ops.push(Op { at, client, server: server(rng), what });
    }
    for _ in 0..rng.between(1, 3) {
        let fresh = if rng.chance(1, 3) { Freshness::Stale } else { Freshness::Default };
        let key = u8::try_from(rng.below(u64::from(options.keys))).unwrap_or(0);
        let what = match rng.below(4) {
            0 | 1 => Want::WatchKey { key, fresh },
            2 => Want::WatchPrefix { fresh },
            _ => Want::WatchService { service: 0, fresh },
        };
        let at = rng.between(500_000, 3_000_000);
        ops.push(Op { at, client: 0, server: server(rng), what });
    }
    ops
}

/// How often each kind of operation is wanted.
#[derive(Debug)]
struct Mix {
    weights: Vec<u64>,
}

impl Mix {
    fn draw(rng: &mut Rng) -> Self {
        let weights = [12, 14, 5, 3, 1, 3, 3, 2, 8, 5, 6, 1, 2, 1, 1, 2, 2, 1, 1, 1]
            .iter()
            .map(|usual| if rng.chance(1, 5) { 0 } else { rng.between(1, 2 * usual) })
            .collect();
        Self { weights }
    }

    fn kind(&self, rng: &mut Rng) -> usize {
        let sum: u64 = self.weights.iter().sum();
        if sum == 0 {
            return 0;
        }
        let mut left = rng.below(sum);
        for (kind, weight) in self.weights.iter().enumerate() {
            if left < *weight {
                return kind;
            }
            left -= weight;
        }
        0
    }
}

fn op(rng: &mut Rng, options: &Options, mix: &Mix, at: u64) -> Op {
    let byte =
        |rng: &mut Rng, bound: u8| u8::try_from(rng.below(u64::from(bound.max(1)))).unwrap_or(0);
    let client = byte(rng, options.clients);
    let server = byte(rng, options.servers);
    let key = byte(rng, options.keys);
    let fresh = freshness(rng);
    let (node, service) = (byte(rng, 3), byte(rng, 2));
    let what = match mix.kind(rng) {
        0 => Want::Put { key },
        1 => Want::Get { key, fresh },
        2 => Want::Cas { key },
        3 => Want::Delete { key },
        4 => Want::DeleteTree,
        5 => Want::List { fresh },
        6 => Want::Txn { key, other: byte(rng, options.keys) },
        7 => Want::Session,
        8 => Want::Acquire { key: key % 2 },
        9 => Want::Release { key: key % 2 },
        10 => Want::Renew,
        11 => Want::Destroy,
        12 => Want::Register { node, service, passing: rng.chance(3, 4) },
        13 => Want::Deregister { node, service },
        14 => Want::DeregisterNode { node },
        15 => Want::Health { service, fresh },
        16 => Want::DeleteCas { key },
        17 => Want::Ephemeral,
        18 => Want::Services { fresh },
        _ => Want::Transfer { to: server },
    };
    Op { at, client, server, what }
}

/// Draws what goes wrong, and when.
#[must_use]
pub fn faults(rng: &mut Rng, options: &Options) -> Vec<Fault> {
    let kinds = Kinds::draw(rng, options);
    let count = rng.between(3, 24);
    let mut faults = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for _ in 0..count {
        let tied = rng.chance(kinds.tied, 100);
        let when = if tied { When::On(trip(rng)) } else { When::At(moment(rng, options)) };
        let what = kinds.action(rng, options, tied);
        faults.push(Fault { when, what });
    }
    faults
}

fn moment(rng: &mut Rng, options: &Options) -> u64 {
    rng.between(500, options.safety / 1_000) * 1_000
}

fn trip(rng: &mut Rng) -> Trip {
    let event = match rng.below(12) {
        0..=2 => Mark::VoteGranted,
        3 | 4 => Mark::AppendAcked,
        5 => Mark::AppendSent,
        6 => Mark::Leader,
        7 => Mark::Committed,
        8 => Mark::Candidate,
        9 => Mark::Truncated,
        _ => Mark::ALL[rng.index(Mark::ALL.len())],
    };
    let often = matches!(event, Mark::AppendAcked | Mark::AppendSent | Mark::Committed);
    let nth = if often { rng.between(1, 200) } else { rng.between(1, 6) };
    let after = if rng.chance(1, 3) { rng.between(0, 30_000) } else { 0 };
    let nth = u32::try_from(nth).unwrap_or(1);
    Trip { server: None, event, nth, middle: rng.chance(1, 3), after }
}

/// Which kinds of faults exist in a world at all.
#[derive(Debug)]
struct Kinds {
    tied: u64,
    weights: [u64; 17],
}

impl Kinds {
    fn draw(rng: &mut Rng, options: &Options) -> Self {
        let usual = [10, 4, 6, 6, 4, 2, 3, 2, 1, 2, 3, 3, 1, 1, 1, 2, 1];
        let mut weights =
            usual.map(|usual| if rng.chance(2, 5) { 0 } else { rng.between(1, 2 * usual) });
        if !options.judge_default {
            // A world of wild clocks.
            weights[15] = rng.between(8, 20);
            weights[16] = rng.between(4, 10);
        }
        Self { tied: [0, 30, 60, 90][rng.index(4)], weights }
    }

    fn action(&self, rng: &mut Rng, options: &Options, tied: bool) -> Action {
        let sum: u64 = self.weights.iter().sum();
        let mut left = if sum == 0 { 0 } else { rng.below(sum) };
        let mut kind = 0;
        for (place, weight) in self.weights.iter().enumerate() {
            if left < *weight {
                kind = place;
                break;
            }
            left -= weight;
        }
        let who = target(rng, options, tied);
        let span = rng.between(50, 3_000) * 1_000;
        let short = rng.between(5, 1_500) * 1_000;
        let side = u8::try_from(rng.between(1, (1 << options.servers) - 2)).unwrap_or(1);
        match kind {
            0 => {
                let moved = rng.chance(1, 10);
                Action::Crash { who, down: short, moved, power: None }
            }
            1 => Action::Pause { who, span: short },
            2 => Action::Cut { from: who, to: target(rng, options, tied), span },
            3 => Action::Isolate { who, span },
            4 => Action::Split { side, span },
            5 => Action::Bridge { middle: who, side, span },
            6 => Action::Slow { who, extra: rng.between(1_000, 400_000), span },
            7 => Action::Lossy {
                ppm: u32::try_from(rng.between(10_000, 400_000)).unwrap_or(0),
                span,
            },
            8 => Action::Narrow { who, bytes_per_second: rng.between(20_000, 2_000_000), span },
            9 => Action::Reset { who },
            10 => Action::DiskSlow { who, extra: rng.between(1_000, 300_000), span },
            11 => Action::DiskHang { who, span },
            12 => Action::DiskFail { who },
            13 => Action::DiskFull { who, span: short },
            14 => Action::BitRot { who, drawn: None },
            15 => {
                // Beyond the lease's margin only where nothing is promised for a time.
                let [low, high] =
                    if options.judge_default { [900_000, 1_100_000] } else { [500_000, 2_000_000] };
                let rate = u32::try_from(rng.between(low, high)).unwrap_or(1_000_000);
                Action::ClockRate { who, rate, span }
            }
            _ if !options.judge_default && rng.chance(1, 2) => {
                Action::ClockJump { who, by: rng.between(1_000, 3_000_000) }
            }
            // Nothing may rest on the time of day.
            _ => Action::WallJump {
                who,
                by_ms: [-36_000_000, -1_000, 1_000, 36_000_000][rng.index(4)],
            },
        }
    }
}

fn target(rng: &mut Rng, options: &Options, tied: bool) -> Target {
    let server = u8::try_from(rng.below(u64::from(options.servers))).unwrap_or(0);
    match rng.below(if tied { 8 } else { 4 }) {
        0 => Target::Server(server),
        1 => Target::Follower(server),
        2 | 3 => Target::Leader,
        4 => Target::Other,
        _ => Target::Actor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_schedule() {
        assert_eq!(schedule(5), schedule(5));
        assert_ne!(schedule(5), schedule(6));
        let drawn = schedule(5);
        assert_eq!(Schedule::parse(&drawn.text()).unwrap(), drawn);
        assert!(!drawn.faults.is_empty() && drawn.ops.len() > 30);
    }
}
