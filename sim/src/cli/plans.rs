//! The commands for worlds that are plans: of pools, of agents.

use super::show::{self, Watch};
use super::{HELD, VIOLATED};
use crate::failure::{self, page_of};
use crate::plans::{self, Plan, PlannedStory, Setting};
use crate::run::{Outcome, Telling};
use crate::scenario::screen;
use crate::swarm::{self, Kind, Sum};
use std::path::Path;

/// Runs a story, or its plan again: it is the same thing.
pub(super) fn run<S: Setting>(story: &PlannedStory<S>, seed: u64, planted: &str, log: bool) -> u8 {
    say!("{}: {}", story.name, story.summary());
    let plan = story.plan(seed, planted);
    world(&plan);
    let watch = Watch::start();
    let outcome = show::telling(log, |telling| plans::run(&plan, telling));
    ending(&plan, &outcome, &watch);
    if outcome.violation.is_some() {
        say!("{}", failure::of_plan(&plan, &outcome));
        return VIOLATED;
    }
    HELD
}

/// Runs a plan's file, or a drawn world.
pub(super) fn replay<S: Setting>(plan: &Plan<S>, log: bool) -> u8 {
    world(plan);
    let watch = Watch::start();
    let outcome = show::telling(log, |telling| plans::run(plan, telling));
    ending(plan, &outcome, &watch);
    if let Some(violation) = &outcome.violation {
        say!("{}", screen(violation));
        return VIOLATED;
    }
    HELD
}

/// Runs drawn worlds of this kind: from a seed on, so many. With `go_on`, all that break a rule are
/// named, and none is shrunk.
pub(super) fn swarm(
    kind: Kind,
    (from, seeds): (u64, u64),
    jobs: usize,
    planted: &str,
    go_on: bool,
) -> (u8, Sum) {
    let end = from.saturating_add(seeds);
    say!("worlds of {}: seeds {from}..{end}", format!("{kind:?}").to_lowercase());
    let (mut next, mut broken, mut all) = (from, 0, Sum::default());
    loop {
        let sum = swarm::together(kind, next, end - next, planted, jobs);
        all.join(&sum);
        let Some((seed, outcome)) = &sum.failed else { break };
        if !go_on {
            say!("{}", failure::of_drawn(kind, planted, *seed, outcome));
            return (VIOLATED, all);
        }
        let rule = outcome.violation.as_ref().map_or("", |violation| &violation.rule);
        say!("seed {seed:#x}: {rule}");
        (next, broken) = (seed + 1, broken + 1);
    }
    if go_on {
        say!("{broken} of {seeds} worlds break a rule");
    }
    (if broken == 0 { HELD } else { VIOLATED }, all)
}

/// Shortens a failing plan's file.
pub(super) fn shrink<S: Setting>(plan: &Plan<S>, target: &Path, runs: u32) -> Result<u8, String> {
    let Some(violation) = plans::run(plan, Telling::Silent).violation else {
        say!("every rule held: there is nothing to shrink");
        return Ok(HELD);
    };
    let shrunk = plans::shrink(plan, &violation.rule, runs);
    std::fs::write(target, shrunk.plan.text())
        .map_err(|error| format!("{}: {error}", target.display()))?;
    let (before, after) = (plan.acts.len(), shrunk.plan.acts.len());
    say!("{before} acts became {after} in {} runs: {}", shrunk.runs, target.display());
    Ok(VIOLATED)
}

/// Writes the page of a plan's file.
pub(super) fn page<S: Setting>(plan: &Plan<S>, target: &Path) -> Result<u8, String> {
    let outcome = plans::run(plan, Telling::Kept);
    std::fs::write(target, page_of(plan, &outcome))
        .map_err(|error| format!("{}: {error}", target.display()))?;
    say!("{}", target.display());
    Ok(if outcome.violation.is_some() { VIOLATED } else { HELD })
}

/// The world a plan makes, in a few lines.
fn world<S: Setting>(plan: &Plan<S>) {
    say!("seed {:#x}: {} acts, {}", plan.seed, plan.acts.len(), plan.options.words());
}

fn ending<S: Setting>(plan: &Plan<S>, outcome: &Outcome, watch: &Watch) {
    let wall = watch.seconds();
    let simulated = std::time::Duration::from_nanos(outcome.simulated).as_secs_f64();
    say!(
        "{simulated:.1} simulated s, {} steps, {} messages, {} through the codec, {} told",
        outcome.events,
        outcome.messages,
        outcome.codec_checked,
        outcome.committed
    );
    say!("trace {:#018x}", outcome.trace);
    let members = f64::from(plan.options.machines());
    say!(
        "{:.1} x real time, {:.0} members x simulated s a second",
        simulated / wall,
        members * simulated / wall
    );
}
