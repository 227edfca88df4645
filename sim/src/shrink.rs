//! From a failing schedule to the smallest one that still breaks the same rule: first whole items
//! go (delta debugging), then what is left is weakened and rounded.

use crate::run::{Outcome, Telling, run};
use crate::schedule::{Action, Fault, Op, Schedule, When};

/// What shrinking came to.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest failing schedule found.
    pub schedule: Schedule,
    /// Its outcome.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: u32,
}

/// Shrinks `schedule`, which breaks `rule`, within a number of runs.
#[must_use]
pub fn shrink(schedule: &Schedule, rule: &str, runs_max: u32) -> Shrunk {
    let mut search = Search { rule, runs: 0, runs_max, best: schedule.clone(), outcome: None };
    search.best.rule = rule.into();
    // What chance decided about faults depends on how many struck before: from now on each says it.
    let mut pinned = search.best.clone();
    pinned.faults = run(schedule, Telling::Silent).faults;
    if pinned.faults != schedule.faults {
        search.keep(pinned);
    }
    loop {
        let before = size(&search.best);
        search.drop_faults();
        search.drop_ops();
        search.shorten();
        search.weaken();
        if size(&search.best) == before || search.runs >= search.runs_max {
            break;
        }
    }
    let outcome = search.outcome.take().unwrap_or_else(|| run(&search.best, Telling::Silent));
    Shrunk { schedule: search.best, outcome, runs: search.runs }
}

fn size(schedule: &Schedule) -> (usize, usize) {
    (schedule.faults.len(), schedule.ops.len())
}

struct Search<'a> {
    rule: &'a str,
    runs: u32,
    runs_max: u32,
    best: Schedule,
    outcome: Option<Outcome>,
}

impl Search<'_> {
    /// Keeps `candidate` if it still breaks the rule.
    fn keep(&mut self, candidate: Schedule) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let outcome = run(&candidate, Telling::Silent);
        let same = outcome.violation.as_ref().is_some_and(|broken| broken.rule == self.rule);
        if same {
            self.best = candidate;
            self.outcome = Some(outcome);
        }
        same
    }

    fn drop_faults(&mut self) {
        self.minimise(
            |schedule| schedule.faults.clone(),
            |schedule, faults: Vec<Fault>| schedule.faults = faults,
        );
    }

    fn drop_ops(&mut self) {
        self.minimise(|schedule| schedule.ops.clone(), |schedule, ops: Vec<Op>| schedule.ops = ops);
    }

    /// Delta debugging: halves, quarters, .. single items, as long as something can go.
    fn minimise<T: Clone>(
        &mut self,
        get: impl Fn(&Schedule) -> Vec<T>,
        set: impl Fn(&mut Schedule, Vec<T>),
    ) {
        let mut empty = self.best.clone();
        set(&mut empty, Vec::new());
        if self.keep(empty) {
            return;
        }
        let mut pieces = 2;
        loop {
            let items = get(&self.best);
            if items.len() < 2 || self.runs >= self.runs_max {
                return;
            }
            let piece = items.len().div_ceil(pieces);
            let mut gone = false;
            let mut from = items.len();
            while from > 0 {
                let items = get(&self.best);
                let end = from.min(items.len());
                let begin = end.saturating_sub(piece);
                let mut rest = items.clone();
                rest.drain(begin..end);
                let mut candidate = self.best.clone();
                set(&mut candidate, rest);
                gone |= begin < end && self.keep(candidate);
                from = begin;
            }
            if gone {
                pieces = 2.max(pieces - 1);
            } else if pieces >= items.len() {
                return;
            } else {
                pieces = (pieces * 2).min(items.len());
            }
        }
    }

    /// What comes after the violation is not needed: the world ends soon after it.
    fn shorten(&mut self) {
        let Some(at) = self.outcome.as_ref().and_then(|outcome| outcome.violation.as_ref()) else {
            return;
        };
        let at = at.at / 1_000;
        let mut candidate = self.best.clone();
        candidate.ops.retain(|op| op.at <= at);
        candidate.faults.retain(|fault| !matches!(fault.when, When::At(when) if when > at));
        if size(&candidate) != size(&self.best) {
            self.keep(candidate);
        }
    }

    /// Shorter spans, round times, milder faults.
    fn weaken(&mut self) {
        for place in 0..self.best.faults.len() {
            for change in [halve, round, milder] {
                let mut candidate = self.best.clone();
                if change(&mut candidate.faults[place]) {
                    self.keep(candidate);
                }
            }
        }
        let mut calm = self.best.clone();
        let options = &mut calm.options;
        (options.loss_ppm, options.tail_ppm, options.duplicate_ppm) = (0, 0, 0);
        options.codec_ppm = 0;
        if calm.options != self.best.options {
            self.keep(calm);
        }
    }
}

fn span_of(action: &mut Action) -> Option<&mut u64> {
    match action {
        Action::Crash { down: span, .. }
        | Action::Pause { span, .. }
        | Action::Cut { span, .. }
        | Action::Isolate { span, .. }
        | Action::Split { span, .. }
        | Action::Bridge { span, .. }
        | Action::Slow { span, .. }
        | Action::Lossy { span, .. }
        | Action::Narrow { span, .. }
        | Action::DiskSlow { span, .. }
        | Action::DiskHang { span, .. }
        | Action::DiskFull { span, .. }
        | Action::ClockRate { span, .. } => Some(span),
        Action::Reset { .. }
        | Action::Restart { .. }
        | Action::DiskFail { .. }
        | Action::BitRot { .. }
        | Action::ClockJump { .. }
        | Action::WallJump { .. }
        | Action::Heal => None,
    }
}

fn halve(fault: &mut Fault) -> bool {
    match span_of(&mut fault.what) {
        Some(span) if *span > 20_000 => {
            *span /= 2;
            true
        }
        Some(_) | None => false,
    }
}

fn round(fault: &mut Fault) -> bool {
    match &mut fault.when {
        When::At(at) if !at.is_multiple_of(100_000) => {
            *at = (*at / 100_000) * 100_000;
            true
        }
        When::On(trip) if trip.after > 0 => {
            trip.after = 0;
            true
        }
        When::At(_) | When::On(_) => false,
    }
}

fn milder(fault: &mut Fault) -> bool {
    if let Action::Crash { who, down, moved, power } = fault.what {
        fault.what = if moved {
            Action::Crash { who, down, moved: false, power }
        } else {
            Action::Pause { who, span: down.max(1_000) }
        };
        return true;
    }
    false
}
