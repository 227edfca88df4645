//! What each command does.

use super::show::{self, Watch};
use super::{HELD, Only, USAGE, VIOLATED, plans};
use crate::clusters::{self, ClusterStory};
use crate::failure::{self, word};
use crate::mutants;
use crate::plans::{Plan, PlannedStory, Setting, run as run_plan};
use crate::pools::{self, PoolStory};
use crate::run::{Telling, run as run_schedule};
use crate::scenario::{Scenario, play};
use crate::schedule::Schedule;
use crate::swarm::{Kind, Sum};
use crate::{report as pages, shrink as shrinker, workload};
use std::path::{Path, PathBuf};

/// All stories there are.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Of servers.
    pub scenarios: &'a [Scenario],
    /// Of bare pools.
    pub pools: &'a [PoolStory],
    /// Of whole agents.
    pub clusters: &'a [ClusterStory],
}

impl Told<'_> {
    /// Runs the planned story of this name, if there is one.
    fn run_planned(&self, name: &str, seed: u64, planted: &str, log: bool) -> Option<u8> {
        if let Some(story) = self.pools.iter().find(|story| story.name == name) {
            return Some(plans::run(story, seed, planted, log));
        }
        let story = self.clusters.iter().find(|story| story.name == name)?;
        Some(plans::run(story, seed, planted, log))
    }

    fn knows(&self, name: &str) -> bool {
        self.names().any(|(known, ..)| known == name)
    }

    /// Name and first sentence of each, and whether it is told by name only.
    fn names(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let scenarios = self.scenarios.iter().map(|story| (story.name, story.summary(), false));
        let pools = self.pools.iter().map(|story| (story.name, story.summary(), story.long));
        let clusters = self.clusters.iter().map(|story| (story.name, story.summary(), story.long));
        scenarios.chain(pools).chain(clusters)
    }
}

pub(super) fn list(told: Told<'_>) -> u8 {
    let all: Vec<(&str, &str, bool)> = told.names().collect();
    let width = all.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    for (name, summary, long) in all {
        say!("{name:<width$}  {summary}{}", if long { " (long: told by name only)" } else { "" });
    }
    HELD
}

pub(super) fn run(told: Told<'_>, name: &str, seed: u64, planted: &str, log: bool) -> u8 {
    if !show::plantable(planted) {
        return usage(&format!("no fault is called {planted}"));
    }
    if let Some(code) = told.run_planned(name, seed, planted, log) {
        return code;
    }
    let Some(scenario) = told.scenarios.iter().find(|scenario| scenario.name == name) else {
        return usage(&format!("no scenario is called {name}; `list` names them"));
    };
    say!("{}: {}", scenario.name, scenario.summary());
    show::world(seed, &(scenario.options)(seed), None);
    let watch = Watch::start();
    let played = show::telling(log, |telling| play(scenario, seed, planted, telling));
    show::ending(&played.outcome, &watch);
    if played.outcome.violation.is_some() {
        say!("{}", failure::of_scenario(scenario, &played));
        return VIOLATED;
    }
    HELD
}

pub(super) fn traces(told: Told<'_>, seeds: u64) -> u8 {
    let mut code = traces_of(told.pools, seeds).max(traces_of(told.clusters, seeds));
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

fn traces_of<S: Setting>(stories: &[PlannedStory<S>], seeds: u64) -> u8 {
    let mut code = HELD;
    for story in stories.iter().filter(|story| !story.long) {
        for seed in 1..=seeds {
            let outcome = run_plan(&story.plan(seed, ""), Telling::Silent);
            say!("{} {seed} trace {:#018x}", story.name, outcome.trace);
            if let Some(violation) = &outcome.violation {
                say!("{}", crate::scenario::screen(violation));
                code = VIOLATED;
            }
        }
    }
    code
}

/// How many worlds there are in a swarm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    pub(super) seeds: u64,
    /// Of so many, one more is of bare pools, or of whole agents; 0: none.
    pub(super) pools: u64,
    pub(super) clusters: u64,
}

pub(super) fn swarm(mix: Mix, from: u64, jobs: usize, planted: &str) -> u8 {
    if !show::plantable(planted) {
        return usage(&format!("no fault is called {planted}"));
    }
    say!("swarm: seeds {from}..{} on {jobs} threads", from.saturating_add(mix.seeds));
    let watch = Watch::start();
    let of = |share: u64| mix.seeds.checked_div(share).unwrap_or(0);
    let mut all = Sum::default();
    let mut code = HELD;
    for (kind, seeds) in [
        (Kind::Servers, mix.seeds),
        (Kind::Pools, of(mix.pools)),
        (Kind::Clusters, of(mix.clusters)),
    ] {
        if code == HELD && seeds > 0 {
            let (told, sum) = plans::swarm(kind, (from, seeds), jobs, planted, false);
            code = told;
            all.join(&sum);
        }
    }
    say!("{}", all.text(watch.seconds()));
    code
}

/// Worlds of one planned kind, numbered like those of servers.
pub(super) fn swarm_only(
    only: Only,
    range: (u64, u64),
    jobs: usize,
    planted: &str,
    go_on: bool,
) -> u8 {
    if !show::plantable(planted) {
        return usage(&format!("no fault is called {planted}"));
    }
    let kind = match only {
        Only::Pools => Kind::Pools,
        Only::Clusters => Kind::Clusters,
    };
    let watch = Watch::start();
    let (code, sum) = plans::swarm(kind, range, jobs, planted, go_on);
    say!("{}", sum.text(watch.seconds()));
    code
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
    if told.knows(what) && !Path::new(what).exists() {
        return run(told, what, seed.unwrap_or(1), planted, log);
    }
    let replayed = replay_planned::<pools::Options>(what, seed, planted, log)
        .or_else(|| replay_planned::<clusters::Options>(what, seed, planted, log));
    if let Some(code) = replayed {
        return code;
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
    let contents = (schedule.faults.len(), schedule.ops.len());
    show::world(schedule.seed, &schedule.options, Some(contents));
    let watch = Watch::start();
    let outcome = show::telling(log, |telling| run_schedule(&schedule, telling));
    show::ending(&outcome, &watch);
    if let Some(violation) = &outcome.violation {
        say!("{}", crate::scenario::screen(violation));
        return VIOLATED;
    }
    HELD
}

/// Replays a drawn world of this kind, or the file of one; `None` if it is something else.
fn replay_planned<S: Setting>(
    what: &str,
    seed: Option<u64>,
    planted: &str,
    log: bool,
) -> Option<u8> {
    let mut plan = if what == word::<S>() {
        let Some(seed) = seed else { return Some(usage("a drawn world needs --seed")) };
        S::drawn(seed)
    } else {
        match plan_in(Path::new(what))? {
            Ok(plan) => plan,
            Err(error) => return Some(usage(&error)),
        }
    };
    plan.seed = seed.unwrap_or(plan.seed);
    if !planted.is_empty() {
        planted.clone_into(plan.options.planted());
    }
    Some(plans::replay::<S>(&plan, log))
}

/// The plan in a file; `None` if it is something else.
fn plan_in<S: Setting>(file: &Path) -> Option<Result<Plan<S>, String>> {
    let text = std::fs::read_to_string(file).ok()?;
    if !Plan::<S>::is_one(&text) {
        return None;
    }
    let plan = Plan::parse(&text).map_err(|error| format!("{}: {error}", file.display()));
    Some(plan.and_then(|mut plan: Plan<S>| {
        let reason = "this build cannot carry the fault that the plan names";
        if show::plantable(plan.options.planted()) { Ok(plan) } else { Err(reason.into()) }
    }))
}

/// Shortens the plan in a file, if it is of this kind.
fn shrink_planned<S: Setting>(file: &Path, out: Option<&Path>, runs: u32) -> Option<u8> {
    let plan = plan_in::<S>(file)?;
    let done = plan.and_then(|plan| plans::shrink(&plan, out.unwrap_or(file), runs));
    Some(done.unwrap_or_else(|error| usage(&error)))
}

/// Writes the page of the plan in a file, if it is of this kind.
fn page_planned<S: Setting>(file: &Path, out: Option<&Path>) -> Option<u8> {
    let plan = plan_in::<S>(file)?;
    let target = out.map_or_else(|| file.with_extension("html"), PathBuf::from);
    let done = plan.and_then(|plan| plans::page(&plan, &target));
    Some(done.unwrap_or_else(|error| usage(&error)))
}

pub(super) fn shrink(file: &Path, out: Option<&Path>, runs: u32) -> u8 {
    let planned = shrink_planned::<pools::Options>(file, out, runs)
        .or_else(|| shrink_planned::<clusters::Options>(file, out, runs));
    if let Some(code) = planned {
        return code;
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

pub(super) fn mutants(from: u64, (seeds, trials): (u64, u32), jobs: usize, only: &str) -> u8 {
    if !proconsul_core::types::Planted::POSSIBLE {
        return usage("this build cannot carry planted faults: build with the feature `planted`");
    }
    let watch = Watch::start();
    say!("trials from seed {from} on, {} apart, up to {seeds} worlds each", mutants::APART);
    say!("{}", mutants::HEAD);
    let (mut all, mut always) = (0, 0);
    let (mut missed, mut told, mut unsound) = (Vec::new(), Vec::new(), false);
    for fault in mutants::all() {
        let name = format!("{fault:?}");
        if !name.to_lowercase().contains(&only.to_lowercase()) {
            continue;
        }
        let found = mutants::hunt_from(from, &name, seeds, trials, jobs);
        say!("{}", found.row());
        all += 1;
        let each = found.after.len() == usize::try_from(trials).unwrap_or(usize::MAX);
        always += u32::from(each);
        if !each && mutants::must_find(fault, seeds) {
            missed.push(name.clone());
        }
        if !found.unsound.is_empty() {
            unsound = true;
            told.push(format!("{name}: fails without it: seeds {:?}", found.unsound));
        }
        if let (false, Some(reason)) = (each, mutants::by_hand(fault)) {
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
    let planned = page_planned::<pools::Options>(file, out)
        .or_else(|| page_planned::<clusters::Options>(file, out));
    if let Some(code) = planned {
        return code;
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

fn read(file: &Path) -> Result<Schedule, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: {error} (a file, a scenario, or `swarm`)", file.display()))?;
    Schedule::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn usage(reason: &str) -> u8 {
    show::complain(reason);
    USAGE
}
