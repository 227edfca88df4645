//! The commands for worlds of pools.

use super::show::{self, Kept, Watch};
use super::{HELD, VIOLATED};
use crate::pools::{Plan, PoolStory, run as run_plan, shrink as shrink_plan};
use crate::report;
use crate::run::{Outcome, Telling};
use crate::scenario::screen;
use crate::schedule::lines;
use std::path::Path;

/// Runs a story, or its plan again: it is the same thing.
pub(super) fn run(story: &PoolStory, seed: u64, planted: &str, log: bool) -> u8 {
    say!("{}: {}", story.name, story.summary());
    let plan = story.plan(seed, planted);
    let command = format!("cargo sim replay {} --seed {seed:#x}", story.name);
    again(&plan, log, &show::with_planted(&command, planted), &show::file_name(story.name, seed))
}

/// Runs a plan; a failure arrives shrunk.
pub(super) fn again(plan: &Plan, log: bool, command: &str, name: &str) -> u8 {
    world(plan);
    let watch = Watch::start();
    let outcome = show::telling(log, |telling| run_plan(plan, telling));
    ending(plan, &outcome, &watch);
    if outcome.violation.is_some() {
        fail(plan, &outcome, command, name);
        return VIOLATED;
    }
    HELD
}

/// Runs a plan's file.
pub(super) fn replay(plan: &Plan, log: bool) -> u8 {
    world(plan);
    let watch = Watch::start();
    let outcome = show::telling(log, |telling| run_plan(plan, telling));
    ending(plan, &outcome, &watch);
    if let Some(violation) = &outcome.violation {
        say!("{}", screen(violation));
        return VIOLATED;
    }
    HELD
}

/// Shortens a failing plan's file.
pub(super) fn shrink(plan: &Plan, target: &Path, runs: u32) -> Result<u8, String> {
    let Some(violation) = run_plan(plan, Telling::Silent).violation else {
        say!("every rule held: there is nothing to shrink");
        return Ok(HELD);
    };
    let shrunk = shrink_plan(plan, &violation.rule, runs);
    std::fs::write(target, shrunk.plan.text())
        .map_err(|error| format!("{}: {error}", target.display()))?;
    let (before, after) = (plan.acts.len(), shrunk.plan.acts.len());
    say!("{before} acts became {after} in {} runs: {}", shrunk.runs, target.display());
    Ok(VIOLATED)
}

/// Writes the page of a plan's file.
pub(super) fn page(plan: &Plan, target: &Path) -> Result<u8, String> {
    let outcome = run_plan(plan, Telling::Kept);
    std::fs::write(target, page_of(plan, &outcome))
        .map_err(|error| format!("{}: {error}", target.display()))?;
    say!("{}", target.display());
    Ok(if outcome.violation.is_some() { VIOLATED } else { HELD })
}

fn page_of(plan: &Plan, outcome: &Outcome) -> String {
    let title = if plan.scenario.is_empty() { "pools" } else { &plan.scenario };
    let machines = usize::from(plan.options.machines()).min(32);
    report::table(title, plan.seed, machines, &plan.text(), outcome)
}

/// A failure arrives shrunk, on one screen.
pub(super) fn fail(plan: &Plan, outcome: &Outcome, command: &str, name: &str) {
    let Some(violation) = &outcome.violation else { return };
    let runs = if plan.options.machines() > 200 { 0 } else { 300 };
    let shrunk = shrink_plan(plan, &violation.rule, runs).plan;
    let told = if runs == 0 { outcome.clone() } else { run_plan(&shrunk, Telling::Kept) };
    let kept = Kept::write(name, &shrunk.text(), &page_of(&shrunk, &told));
    say!("{}", screen(told.violation.as_ref().unwrap_or(violation)));
    say!("shrunk to {} acts:", shrunk.acts.len());
    show::some_of(&[&lines(&shrunk.acts)]);
    kept.tell("plan", command);
}

/// The world a plan makes, in a few lines.
fn world(plan: &Plan) {
    let options = &plan.options;
    say!(
        "seed {:#x}: pools of {:?} servers and clients, WAN {}, {} acts, {} s and then calm",
        plan.seed,
        options.datacenters,
        options.wan,
        plan.acts.len(),
        options.length / 1_000_000
    );
    say!(
        "latency {}..{} us, loss {} ppm, twice {} ppm",
        options.latency_min,
        options.latency_max,
        options.loss_ppm,
        options.duplicate_ppm
    );
}

fn ending(plan: &Plan, outcome: &Outcome, watch: &Watch) {
    let wall = watch.seconds();
    let simulated = std::time::Duration::from_nanos(outcome.simulated).as_secs_f64();
    say!(
        "{simulated:.1} simulated s, {} steps, {} datagrams, {} through the codec, {} events told",
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
