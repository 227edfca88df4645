//! What each command does.

use super::show::{self, Watch};
use super::{HELD, USAGE, VIOLATED, pools};
use crate::mutants;
use crate::pools::{Plan, PoolStory, drawn};
use crate::run::{Outcome, Telling, run as run_schedule};
use crate::scenario::{Scenario, play};
use crate::schedule::Schedule;
use crate::swarm::Kind;
use crate::{report as pages, shrink as shrinker, swarm as swarms, workload};
use std::path::{Path, PathBuf};

/// All stories there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) scenarios: &'a [Scenario],
    pub(super) stories: &'a [PoolStory],
}

impl Told<'_> {
    fn story(&self, name: &str) -> Option<&PoolStory> {
        self.stories.iter().find(|story| story.name == name)
    }
}

pub(super) fn list(told: Told<'_>) -> u8 {
    let scenarios = told.scenarios.iter().map(|scenario| (scenario.name, scenario.summary()));
    let stories = told.stories.iter().map(|story| (story.name, story.summary()));
    let all: Vec<(&str, &str)> = scenarios.chain(stories).collect();
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, summary) in all {
        say!("{name:<width$}  {summary}");
    }
    HELD
}

pub(super) fn run(told: Told<'_>, name: &str, seed: u64, planted: &str, log: bool) -> u8 {
    if !show::plantable(planted) {
        return usage(&format!("no fault is called {planted}"));
    }
    if let Some(story) = told.story(name) {
        return pools::run(story, seed, planted, log);
    }
    let Some(scenario) = told.scenarios.iter().find(|scenario| scenario.name == name) else {
        return usage(&format!("no scenario is called {name}; `list` names them"));
    };
    say!("{}: {}", scenario.name, scenario.summary());
    let watch = Watch::start();
    let played = show::telling(log, |telling| play(scenario, seed, planted, telling));
    if let Some(violation) = &played.outcome.violation {
        let rule = violation.rule.clone();
        let mut schedule = played.schedule.clone();
        schedule.rule.clone_from(&rule);
        let again = run_schedule(&schedule, Telling::Silent);
        let same = again.violation.as_ref().is_some_and(|violation| violation.rule == rule);
        let command = format!("cargo sim replay {name} --seed {seed:#x}");
        if same {
            fail(&schedule, &again, &command, &show::file_name(name, seed));
        } else {
            let kept = play(scenario, seed, planted, Telling::Kept);
            show::failure(&schedule, &kept.outcome, &command, &show::file_name(name, seed));
        }
        return VIOLATED;
    }
    show::ending(&played.outcome, &watch);
    HELD
}

pub(super) fn traces(told: Told<'_>, seeds: u64) -> u8 {
    let mut code = HELD;
    for story in told.stories.iter().filter(|story| !story.long) {
        for seed in 1..=seeds {
            let outcome = crate::pools::run(&story.plan(seed, ""), Telling::Silent);
            say!("{} {seed} trace {:#018x}", story.name, outcome.trace);
            if let Some(violation) = &outcome.violation {
                say!("{}", crate::scenario::screen(violation));
                code = VIOLATED;
            }
        }
    }
    for scenario in told.scenarios {
        for seed in 1..=seeds {
            let outcome = play(scenario, seed, "", Telling::Silent).outcome;
            say!("{} {seed} trace {:#018x}", scenario.name, outcome.trace);
            if let Some(violation) = &outcome.violation {
                say!("{}", crate::scenario::screen(violation));
                code = VIOLATED;
            }
        }
    }
    code
}

pub(super) fn swarm(seeds: u64, from: u64, jobs: usize, planted: &str, share: u64) -> u8 {
    if !show::plantable(planted) {
        return usage(&format!("no fault is called {planted}"));
    }
    say!("swarm: seeds {from}..{} on {jobs} threads", from.saturating_add(seeds));
    let watch = Watch::start();
    let sum = swarms::together(Kind::Servers, from, seeds, planted, jobs);
    let code = if let Some((seed, outcome)) = &sum.failed {
        let mut schedule = workload::schedule(*seed);
        planted.clone_into(&mut schedule.options.planted);
        let command =
            show::with_planted(&format!("cargo sim replay swarm --seed {seed:#x}"), planted);
        fail(&schedule, outcome, &command, &show::file_name("swarm", *seed));
        VIOLATED
    } else {
        HELD
    };
    show::sum(&sum, &watch);
    let count = seeds.checked_div(share).unwrap_or(0);
    if code == HELD && count > 0 { swarm_of_pools(count, from, jobs, planted) } else { code }
}

/// The worlds of pools in a swarm: numbered like those of servers, and fewer.
fn swarm_of_pools(seeds: u64, from: u64, jobs: usize, planted: &str) -> u8 {
    say!("and worlds of pools: seeds {from}..{}", from.saturating_add(seeds));
    let watch = Watch::start();
    let sum = swarms::together(Kind::Pools, from, seeds, planted, jobs);
    show::sum_of_pools(&sum, &watch);
    let Some((seed, outcome)) = &sum.failed else { return HELD };
    let mut plan = drawn::plan(*seed);
    planted.clone_into(&mut plan.options.planted);
    let command = show::with_planted(&format!("cargo sim replay pools --seed {seed:#x}"), planted);
    pools::fail(&plan, outcome, &command, &show::file_name("pools", *seed));
    VIOLATED
}

pub(super) fn replay(
    told: Told<'_>,
    what: &str,
    seed: Option<u64>,
    planted: &str,
    log: bool,
) -> u8 {
    if !show::plantable(planted) {
        return usage(&format!("no fault is called {planted}"));
    }
    let named = told.scenarios.iter().any(|scenario| scenario.name == what);
    if (named || told.story(what).is_some()) && !Path::new(what).exists() {
        return run(told, what, seed.unwrap_or(1), planted, log);
    }
    if what == "pools" {
        let Some(seed) = seed else { return usage("a drawn world needs --seed") };
        return replay_pools(drawn::plan(seed), None, planted, log);
    }
    if let Some(plan) = plan_in(Path::new(what)) {
        return match plan {
            Ok(plan) => replay_pools(plan, seed, planted, log),
            Err(error) => usage(&error),
        };
    }
    let mut schedule = if what == "swarm" {
        let Some(seed) = seed else { return usage("a drawn world needs --seed") };
        workload::schedule(seed)
    } else {
        match read(Path::new(what)) {
            Ok(schedule) => schedule,
            Err(error) => return usage(&error),
        }
    };
    if let Some(seed) = seed {
        schedule.seed = seed;
    }
    if !planted.is_empty() {
        planted.clone_into(&mut schedule.options.planted);
    }
    if !show::plantable(&schedule.options.planted) {
        return usage("this build cannot carry the fault that the schedule names");
    }
    show::world(&schedule);
    let watch = Watch::start();
    let outcome = show::telling(log, |telling| run_schedule(&schedule, telling));
    show::ending(&outcome, &watch);
    if let Some(violation) = &outcome.violation {
        say!("{}", crate::scenario::screen(violation));
        return VIOLATED;
    }
    HELD
}

fn replay_pools(mut plan: Plan, seed: Option<u64>, planted: &str, log: bool) -> u8 {
    plan.seed = seed.unwrap_or(plan.seed);
    if !planted.is_empty() {
        planted.clone_into(&mut plan.options.planted);
    }
    if !show::plantable(&plan.options.planted) {
        return usage("this build cannot carry the fault that the plan names");
    }
    pools::replay(&plan, log)
}

/// The plan in a file; `None` if it is something else.
fn plan_in(file: &Path) -> Option<Result<Plan, String>> {
    let text = std::fs::read_to_string(file).ok()?;
    if !Plan::is_one(&text) {
        return None;
    }
    let plan = Plan::parse(&text).map_err(|error| format!("{}: {error}", file.display()));
    Some(plan.and_then(|plan| {
        let reason = "this build cannot carry the fault that the plan names";
        if show::plantable(&plan.options.planted) { Ok(plan) } else { Err(reason.into()) }
    }))
}

pub(super) fn shrink(file: &Path, out: Option<&Path>, runs: u32) -> u8 {
    if let Some(plan) = plan_in(file) {
        let done = plan.and_then(|plan| pools::shrink(&plan, out.unwrap_or(file), runs));
        return done.unwrap_or_else(|error| usage(&error));
    }
    let schedule = match read(file) {
        Ok(schedule) => schedule,
        Err(error) => return usage(&error),
    };
    if !show::plantable(&schedule.options.planted) {
        return usage("this build cannot carry the fault that the schedule names");
    }
    let Some(violation) = run_schedule(&schedule, Telling::Silent).violation else {
        say!("every rule held: there is nothing to shrink");
        return HELD;
    };
    let shrunk = shrinker::shrink(&schedule, &violation.rule, runs);
    let target = out.unwrap_or(file);
    if let Err(error) = std::fs::write(target, shrunk.schedule.text()) {
        return usage(&format!("{}: {error}", target.display()));
    }
    say!(
        "{} faults and {} operations became {} and {} in {} runs: {}",
        schedule.faults.len(),
        schedule.ops.len(),
        shrunk.schedule.faults.len(),
        shrunk.schedule.ops.len(),
        shrunk.runs,
        target.display()
    );
    VIOLATED
}

pub(super) fn mutants(seeds: u64, trials: u32, jobs: usize, only: &str) -> u8 {
    if !proconsul_core::types::Planted::POSSIBLE {
        return usage("this build cannot carry planted faults: build with the feature `planted`");
    }
    let watch = Watch::start();
    say!("{}", mutants::HEAD);
    let (mut all, mut always) = (0, 0);
    let (mut missed, mut told, mut unsound) = (Vec::new(), Vec::new(), false);
    for fault in mutants::FAULTS.iter().chain(mutants::GOSSIP) {
        let name = format!("{fault:?}");
        if !name.to_lowercase().contains(&only.to_lowercase()) {
            continue;
        }
        let found = mutants::hunt(&name, seeds, trials, jobs);
        say!("{}", found.row());
        all += 1;
        let each = found.after.len() == usize::try_from(trials).unwrap_or(usize::MAX);
        always += u32::from(each);
        if !each && mutants::must_find(*fault, seeds) {
            missed.push(name.clone());
        }
        if !found.unsound.is_empty() {
            unsound = true;
            told.push(format!("{name}: fails without it: seeds {:?}", found.unsound));
        }
        if let (false, Some(reason)) = (each, mutants::by_hand(*fault)) {
            told.push(format!("{name}: by hand, {reason}"));
        }
    }
    for line in told {
        say!("{line}");
    }
    say!("{always} of {all} found in every trial, {:.0} s", watch.seconds());
    if missed.is_empty() {
        return if unsound { VIOLATED } else { HELD };
    }
    say!("not found although {seeds} worlds must show them: {}", missed.join(", "));
    VIOLATED
}

pub(super) fn report(file: &Path, out: Option<&Path>) -> u8 {
    if let Some(plan) = plan_in(file) {
        let target = out.map_or_else(|| file.with_extension("html"), PathBuf::from);
        let done = plan.and_then(|plan| pools::page(&plan, &target));
        return done.unwrap_or_else(|error| usage(&error));
    }
    let schedule = match read(file) {
        Ok(schedule) => schedule,
        Err(error) => return usage(&error),
    };
    if !show::plantable(&schedule.options.planted) {
        return usage("this build cannot carry the fault that the schedule names");
    }
    let outcome = run_schedule(&schedule, Telling::Kept);
    let target = out.map_or_else(|| file.with_extension("html"), PathBuf::from);
    if let Err(error) = std::fs::write(&target, pages::page(&schedule, &outcome)) {
        return usage(&format!("{}: {error}", target.display()));
    }
    say!("{}", target.display());
    if outcome.violation.is_some() { VIOLATED } else { HELD }
}

/// A failure arrives shrunk, on one screen.
fn fail(schedule: &Schedule, outcome: &Outcome, command: &str, name: &str) {
    let Some(violation) = &outcome.violation else { return };
    let shrunk = shrinker::shrink(schedule, &violation.rule, 400);
    let told = run_schedule(&shrunk.schedule, Telling::Kept);
    show::failure(&shrunk.schedule, &told, command, name);
}

fn read(file: &Path) -> Result<Schedule, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: {error} (a file, a scenario, or `swarm`)", file.display()))?;
    Schedule::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn usage(reason: &str) -> u8 {
    show::complain(reason);
    USAGE
}
