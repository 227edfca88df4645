//! A failure, complete on one screen: the broken rule, the shrunk schedule, the command that shows
//! it again and the page to look at. The command line and the tests print the same text.

use crate::plans::{self, Plan, Setting};
use crate::run::{Outcome, Telling, run};
use crate::scenario::{Played, Scenario, play, screen};
use crate::schedule::{Schedule, lines};
use crate::shrink::shrink;
use crate::swarm::Kind;
use crate::{clusters, pools, report, workload};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Runs that shrinking a schedule may take.
const SCHEDULE_RUNS: u32 = 400;
/// Runs that shrinking a plan may take.
const PLAN_RUNS: u32 = 300;
/// With more machines than this a world takes too long to be run hundreds of times.
const MACHINES_MAX: u16 = 200;
/// Lines shown of each list.
const SHOWN: usize = 20;

/// The screen of a schedule that breaks a rule. With `what` and its seed `cargo sim replay` makes
/// it again; `None` if only the kept file does.
#[must_use]
pub fn of_schedule(what: Option<&str>, schedule: &Schedule, outcome: &Outcome) -> String {
    let Some(violation) = &outcome.violation else { return HELD.into() };
    let shrunk = shrink(schedule, &violation.rule, SCHEDULE_RUNS).schedule;
    let told = run(&shrunk, Telling::Kept);
    let (faults, ops) = (lines(&shrunk.faults), lines(&shrunk.ops));
    let name = file_name(what.unwrap_or("generated"), schedule.seed);
    let planted = &schedule.options.planted;
    Failure {
        outcome: if told.violation.is_some() { &told } else { outcome },
        head: format!("shrunk to {} faults, {} operations:", faults.len(), ops.len()),
        lists: &[faults, ops],
        again: what.map(|what| again(what, schedule.seed, planted)),
        kept: Kept::write(&name, &shrunk.text(), &report::page(&shrunk, &told)),
        shrunk: true,
    }
    .screen()
}

/// The screen of a story in which a rule was broken.
#[must_use]
pub fn of_scenario(scenario: &Scenario, played: &Played) -> String {
    let Some(violation) = &played.outcome.violation else { return HELD.into() };
    let mut schedule = played.schedule.clone();
    schedule.rule.clone_from(&violation.rule);
    let alone = run(&schedule, Telling::Silent);
    let rule = alone.violation.as_ref().map(|broken| broken.rule.as_str());
    if rule == Some(violation.rule.as_str()) {
        return of_schedule(Some(scenario.name), &schedule, &alone);
    }
    let found = rule.map_or_else(|| HELD.into(), |rule| format!("{rule} is violated instead"));
    let planted = schedule.options.planted.clone();
    let told = play(scenario, schedule.seed, &planted, Telling::Kept).outcome;
    let (faults, ops) = (lines(&schedule.faults), lines(&schedule.ops));
    let name = file_name(scenario.name, schedule.seed);
    Failure {
        outcome: &told,
        head: format!(
            "not shrunk: what the story itself asks and expects is no part of a schedule,\n\
             and without it {found}; its {} faults, {} operations:",
            faults.len(),
            ops.len()
        ),
        lists: &[faults, ops],
        again: Some(again(scenario.name, schedule.seed, &planted)),
        kept: Kept::write(&name, &schedule.text(), &report::page(&schedule, &told)),
        shrunk: false,
    }
    .screen()
}

/// The screen of a plan that breaks a rule: a story's, or a drawn one.
#[must_use]
pub fn of_plan<S: Setting>(plan: &Plan<S>, outcome: &Outcome) -> String {
    let Some(violation) = &outcome.violation else { return HELD.into() };
    let drawn = word::<S>();
    let what = if plan.scenario.is_empty() { &drawn } else { &plan.scenario };
    let planted = plan.options.clone().planted().clone();
    let machines = plan.options.machines();
    let (shrunk, told, head) = if machines > MACHINES_MAX {
        let acts = plan.acts.len();
        let head = format!("not shrunk: {machines} machines are too many; its {acts} acts:");
        (plan.clone(), outcome.clone(), head)
    } else {
        let shrunk = plans::shrink(plan, &violation.rule, PLAN_RUNS).plan;
        let told = plans::run(&shrunk, Telling::Kept);
        let head = format!("shrunk to {} acts:", shrunk.acts.len());
        (shrunk, told, head)
    };
    let name = file_name(what, plan.seed);
    Failure {
        outcome: if told.violation.is_some() { &told } else { outcome },
        head,
        lists: &[lines(&shrunk.acts)],
        again: Some(again(what, plan.seed, &planted)),
        kept: Kept::write(&name, &shrunk.text(), &page_of(&shrunk, &told)),
        shrunk: machines <= MACHINES_MAX,
    }
    .screen()
}

/// The screen of a drawn world that breaks a rule.
#[must_use]
pub fn of_drawn(kind: Kind, planted: &str, seed: u64, outcome: &Outcome) -> String {
    match kind {
        Kind::Servers => {
            let mut schedule = workload::schedule(seed);
            planted.clone_into(&mut schedule.options.planted);
            of_schedule(Some("swarm"), &schedule, outcome)
        }
        Kind::Pools => of_drawn_plan::<pools::Options>(planted, seed, outcome),
        Kind::Clusters => of_drawn_plan::<clusters::Options>(planted, seed, outcome),
    }
}

fn of_drawn_plan<S: Setting>(planted: &str, seed: u64, outcome: &Outcome) -> String {
    let mut plan = S::drawn(seed);
    planted.clone_into(plan.options.planted());
    of_plan(&plan, outcome)
}

/// The page of a plan.
pub(crate) fn page_of<S: Setting>(plan: &Plan<S>, outcome: &Outcome) -> String {
    let word = word::<S>();
    let title = if plan.scenario.is_empty() { &word } else { &plan.scenario };
    let machines = usize::from(plan.options.machines());
    report::table(title, plan.seed, machines, &plan.text(), outcome)
}

/// By which word drawn worlds of a planned kind are replayed.
pub(crate) fn word<S: Setting>() -> String {
    S::KIND.to_lowercase()
}

const HELD: &str = "every rule holds";

fn again(what: &str, seed: u64, planted: &str) -> String {
    let command = format!("cargo sim replay {what} --seed {seed:#x}");
    if planted.is_empty() { command } else { format!("{command} --planted {planted}") }
}

fn file_name(what: &str, seed: u64) -> String {
    format!("{what}-{seed:#x}")
}

struct Failure<'a> {
    outcome: &'a Outcome,
    head: String,
    lists: &'a [Vec<String>],
    again: Option<String>,
    kept: Kept,
    shrunk: bool,
}

impl Failure<'_> {
    fn screen(&self) -> String {
        let mut text = self.outcome.violation.as_ref().map(screen).unwrap_or_default();
        let mut put = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(format_args!("\n{line}")).expect("a String takes everything");
        };
        put(format_args!("{}", self.head));
        for line in self.lists.iter().flat_map(|list| list.iter().take(SHOWN)) {
            put(format_args!("  {line}"));
        }
        if self.lists.iter().any(|list| list.len() > SHOWN) {
            put(format_args!("  ... (all of it is in the file)"));
        }
        if let Some(command) = &self.again {
            put(format_args!("again:    {command}"));
        }
        match &self.kept.written {
            Ok(()) => {
                let file = self.kept.file.display();
                if self.shrunk {
                    put(format_args!("shrunk:   cargo sim replay {file} --log"));
                } else {
                    put(format_args!("kept:     {file}"));
                }
                put(format_args!("page:     {}", self.kept.page.display()));
            }
            Err(error) => put(format_args!("file and page could not be kept: {error}")),
        }
        text
    }
}

/// A failure's file and page, or why they could not be kept.
struct Kept {
    file: PathBuf,
    page: PathBuf,
    written: std::io::Result<()>,
}

impl Kept {
    /// Writes both below the target directory.
    fn write(name: &str, text: &str, html: &str) -> Self {
        let folder = folder();
        let file = folder.join(format!("{name}.json"));
        let page = folder.join(format!("{name}.html"));
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&file, text))
            .and_then(|()| std::fs::write(&page, html));
        Self { file, page, written }
    }
}

/// Tests run in the folder of their crate: all failures go where the workspace is.
fn folder() -> PathBuf {
    let below = Path::new("target/sim");
    let here = std::env::current_dir().unwrap_or_default();
    let top = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    top.filter(|top| *top != here).map_or_else(|| below.into(), |top| top.join(below))
}
