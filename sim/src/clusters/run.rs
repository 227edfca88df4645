//! One run of a plan.

use super::plan::Plan;
use super::world::World;
use crate::judge::Violation;
use crate::run::{Outcome, Telling, guarded, rule_of};
use std::cell::RefCell;

/// Runs a plan until its world is at rest, or to the first broken rule.
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
        sum.committed = world.judge.answered;
        sum.simulated = world.now;
        sum.lines = world.lines.map(|(lines, _)| lines).unwrap_or_default();
    }
    if let (Err(text), None) = (result, &sum.violation) {
        sum.violation = Some(Violation { rule: rule_of(&text), text, at: sum.simulated });
    }
    sum
}
