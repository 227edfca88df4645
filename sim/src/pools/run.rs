//! One run of a plan, and plans made smaller.

use super::plan::{Act, Plan, What};
use super::world::World;
use crate::judge::Violation;
use crate::run::{Outcome, Telling, guarded, rule_of};
use std::cell::RefCell;

/// Runs a plan to its end or to the first broken rule.
#[must_use]
pub fn run(plan: &Plan, telling: Telling) -> Outcome {
    let kept: RefCell<Option<World>> = RefCell::new(None);
    let result = guarded(|| {
        let mut kept = kept.borrow_mut();
        let world = kept.insert(World::new(plan));
        match telling {
            Telling::Silent => {}
            Telling::Kept => world.record(false),
            Telling::Loud => world.record(true),
        }
        world.run();
    });
    let mut sum = Outcome::default();
    if let Some(world) = kept.into_inner() {
        sum.violation = world.violation().cloned();
        sum.trace = if result.is_err() { 0 } else { world.trace.hash() };
        sum.events = world.trace.events();
        sum.messages = world.messages;
        sum.codec_checked = world.codec_checked;
        sum.committed = world.judge.told;
        sum.simulated = world.now;
        sum.lines = world.lines.map(|(lines, _)| lines).unwrap_or_default();
    }
    if let (Err(text), None) = (result, &sum.violation) {
        sum.violation = Some(Violation { rule: rule_of(&text), text, at: sum.simulated });
    }
    sum
}

/// What shrinking came to.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest failing plan found.
    pub plan: Plan,
    /// How many runs it took.
    pub runs: u32,
}

/// Shrinks `plan`, which breaks `rule`, within a number of runs: first whole acts go, then spans
/// are halved and links made perfect.
#[must_use]
pub fn shrink(plan: &Plan, rule: &str, runs_max: u32) -> Shrunk {
    let mut search = Search { rule, runs: 0, runs_max, best: plan.clone() };
    search.best.rule = rule.into();
    loop {
        let before = search.best.acts.len();
        search.drop_acts();
        search.weaken();
        if search.best.acts.len() == before || search.runs >= runs_max {
            break;
        }
    }
    Shrunk { plan: search.best, runs: search.runs }
}

struct Search<'a> {
    rule: &'a str,
    runs: u32,
    runs_max: u32,
    best: Plan,
}

impl Search<'_> {
    fn keep(&mut self, candidate: Plan) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let outcome = run(&candidate, Telling::Silent);
        let same = outcome.violation.is_some_and(|broken| broken.rule == self.rule);
        if same {
            self.best = candidate;
        }
        same
    }

    /// Delta debugging: halves, quarters, .. single acts, as long as something can go.
    fn drop_acts(&mut self) {
        let mut piece = self.best.acts.len();
        while piece > 0 {
            let mut from = self.best.acts.len();
            while from > 0 {
                let end = from.min(self.best.acts.len());
                let begin = end.saturating_sub(piece);
                let mut candidate = self.best.clone();
                candidate.acts.drain(begin..end);
                self.keep(candidate);
                from = begin;
            }
            piece /= 2;
        }
    }

    fn weaken(&mut self) {
        for place in 0..self.best.acts.len() {
            for change in [halve, round] {
                let mut candidate = self.best.clone();
                if change(&mut candidate.acts[place]) {
                    self.keep(candidate);
                }
            }
        }
        let mut calm = self.best.clone();
        let options = &mut calm.options;
        (options.loss_ppm, options.duplicate_ppm, options.codec_ppm) = (0, 0, 0);
        if calm != self.best {
            self.keep(calm);
        }
    }
}

fn halve(act: &mut Act) -> bool {
    let span = match &mut act.what {
        What::Crash { down: span, .. }
        | What::Pause { span, .. }
        | What::Slow { span, .. }
        | What::Cut { span, .. }
        | What::Split { span, .. }
        | What::Lossy { span, .. }
        | What::ClockRate { span, .. } => span,
        What::Start { .. }
        | What::Leave { .. }
        | What::ForceLeave { .. }
        | What::Fire { .. }
        | What::Ask { .. }
        | What::Keys { .. }
        | What::Tags { .. }
        | What::Claim { .. }
        | What::Trespass { .. }
        | What::Expect { .. } => return false,
    };
    if *span < 2_000_000 {
        return false;
    }
    *span /= 2;
    true
}

fn round(act: &mut Act) -> bool {
    if act.at.is_multiple_of(1_000_000) {
        return false;
    }
    act.at -= act.at % 1_000_000;
    true
}
