//! Many worlds, one after another or side by side.

use crate::plans::Setting;
use crate::run::{Outcome, Telling, run};
use crate::schedule::Mark;
use crate::{clusters, plans, pools, workload};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

/// What kind of worlds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Servers with their clients.
    #[default]
    Servers,
    /// Bare pools of gossip.
    Pools,
    /// Whole agents with their pools.
    Clusters,
}

/// What many worlds came to.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// How many worlds ran.
    pub seeds: u64,
    /// Nanoseconds that passed in them.
    pub simulated: u128,
    /// Events in them.
    pub events: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages that went through the codec.
    pub codec_checked: u64,
    /// Commands committed in them.
    pub committed: u64,
    /// Protocol events in them.
    pub marks: BTreeMap<Mark, u64>,
    /// All traces, mixed: equal sums of equal ranges mean equal runs.
    pub trace: u64,
    /// The smallest seed found that breaks a rule, and its outcome.
    pub failed: Option<(u64, Outcome)>,
}

impl Sum {
    /// Adds what the world of a seed came to.
    pub fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.simulated += u128::from(outcome.simulated);
        self.events += outcome.events;
        self.messages += outcome.messages;
        self.codec_checked += outcome.codec_checked;
        self.committed += outcome.committed;
        for (mark, count) in &outcome.marks {
            *self.marks.entry(*mark).or_default() += u64::from(*count);
        }
        // A sum does not depend on the order in which worlds end.
        self.trace = self.trace.wrapping_add(crate::draw::mix(outcome.trace ^ seed));
        let first = self.failed.as_ref().is_none_or(|(known, _)| seed < *known);
        if outcome.violation.is_some() && first {
            self.failed = Some((seed, outcome));
        }
    }

    /// Adds worlds of another kind. Which of them failed is lost: seeds mean something in a kind.
    pub fn join(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.events += other.events;
        self.messages += other.messages;
        self.codec_checked += other.codec_checked;
        self.committed += other.committed;
        for (mark, count) in &other.marks {
            *self.marks.entry(*mark).or_default() += count;
        }
        self.trace = self.trace.wrapping_add(other.trace);
    }

    /// What it comes to in a few lines: seeds, simulated hours, how many seeds and events a second
    /// of the `wall` seconds it took, coverage marks, trace.
    #[must_use]
    pub fn text(&self, wall: f64) -> String {
        let seconds = |nanos: u128| {
            std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).as_secs_f64()
        };
        let rate = |count: u64| seconds(u128::from(count)) * 1e9 / wall.max(1e-9);
        let simulated = seconds(self.simulated);
        let mut text = format!(
            "{} seeds, {:.2} simulated hours, {} commands committed or news told, {} messages, \
             {} of them through the codec\n{:.0} seeds/s, {:.0} events/s, {:.0} x real time\n",
            self.seeds,
            simulated / 3_600.0,
            self.committed,
            self.messages,
            self.codec_checked,
            rate(self.seeds),
            rate(self.events),
            simulated / wall.max(1e-9)
        );
        let mut put = |piece: std::fmt::Arguments<'_>| {
            text.write_fmt(piece).expect("a String takes everything");
        };
        if !self.marks.is_empty() {
            let counts: Vec<String> =
                self.marks.iter().map(|(mark, count)| format!("{mark:?} {count}")).collect();
            let (hit, all) = (self.marks.len(), Mark::ALL.len());
            put(format_args!("coverage marks {hit} of {all}: {}\n", counts.join(", ")));
            let never: Vec<String> = (Mark::ALL.iter())
                .filter(|mark| !self.marks.contains_key(mark))
                .map(|mark| format!("{mark:?}"))
                .collect();
            if !never.is_empty() {
                put(format_args!("never: {}\n", never.join(", ")));
            }
        }
        put(format_args!("trace {:#018x}", self.trace));
        text
    }
}

/// Runs worlds `from..from + seeds` with a planted fault (or none), on this thread, up to the first
/// that breaks a rule.
#[must_use]
pub fn alone(kind: Kind, from: u64, seeds: u64, planted: &str) -> Sum {
    let mut sum = Sum::default();
    for seed in from..from.saturating_add(seeds) {
        sum.add(seed, one(kind, seed, planted));
        if sum.failed.is_some() {
            break;
        }
    }
    sum
}

/// The same on several threads.
#[must_use]
pub fn together(kind: Kind, from: u64, seeds: u64, planted: &str, jobs: usize) -> Sum {
    if jobs <= 1 {
        return alone(kind, from, seeds, planted);
    }
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, stop, sender) = (&next, &stop, sender.clone());
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(seeds) {
                        break;
                    }
                    let outcome = one(kind, seed, planted);
                    if outcome.violation.is_some() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if sender.send((seed, outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut sum = Sum::default();
        for (seed, outcome) in receiver {
            sum.add(seed, outcome);
        }
        sum
    })
}

fn one(kind: Kind, seed: u64, planted: &str) -> Outcome {
    match kind {
        Kind::Servers => {
            let mut schedule = workload::schedule(seed);
            planted.clone_into(&mut schedule.options.planted);
            run(&schedule, Telling::Silent)
        }
        Kind::Pools => planned::<pools::Options>(seed, planted),
        Kind::Clusters => planned::<clusters::Options>(seed, planted),
    }
}

fn planned<S: Setting>(seed: u64, planted: &str) -> Outcome {
    let mut plan = S::drawn(seed);
    planted.clone_into(plan.options.planted());
    plans::run(&plan, Telling::Silent)
}
