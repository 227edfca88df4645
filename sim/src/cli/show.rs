//! How results look on a terminal.

use crate::mutants::fault_named;
use crate::report;
use crate::run::{Outcome, Telling};
use crate::scenario::screen;
use crate::schedule::{Mark, Schedule, lines};
use crate::swarm::Sum;
use proconsul_core::types::Planted;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How long something takes on the real clock.
#[derive(Debug)]
pub(super) struct Watch {
    start: std::time::Instant,
}

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "only the command line measures real time")]
    pub(super) fn start() -> Self {
        Self { start: std::time::Instant::now() }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Whether this build can carry the fault of this name (none is always possible).
pub(super) fn plantable(name: &str) -> bool {
    name.is_empty() || (Planted::POSSIBLE && fault_named(name).is_some())
}

pub(super) fn with_planted(command: &str, planted: &str) -> String {
    if planted.is_empty() { command.into() } else { format!("{command} --planted {planted}") }
}

/// Runs `work`, loud if asked for.
pub(super) fn telling<T>(log: bool, work: impl FnOnce(Telling) -> T) -> T {
    if log { crate::log::aloud(|| work(Telling::Loud)) } else { work(Telling::Silent) }
}

/// The world a schedule makes, in a few lines.
pub(super) fn world(schedule: &Schedule) {
    let options = &schedule.options;
    say!(
        "seed {:#x}: {} servers, {} clients, {} faults, {} operations, {} s",
        schedule.seed,
        options.servers,
        options.clients,
        schedule.faults.len(),
        schedule.ops.len(),
        options.length() / 1_000_000
    );
    say!(
        "latency {}..{} us, sync {}..{} us, loss {} ppm, {}",
        options.latency_min,
        options.latency_max,
        options.sync_min,
        options.sync_max,
        options.loss_ppm,
        if options.hostile { "messages doubled and overtaken" } else { "messages in order" }
    );
}

/// The end of one run.
pub(super) fn ending(outcome: &Outcome, watch: &Watch) {
    let simulated = seconds(outcome.simulated.into());
    let wall = watch.seconds();
    say!(
        "{simulated:.1} simulated s, {} events, {} messages, {} commands committed",
        outcome.events,
        outcome.messages,
        outcome.committed
    );
    say!("trace {:#018x}", outcome.trace);
    say!("{:.0} x real time", simulated / wall);
}

/// The end of a swarm.
pub(super) fn sum(sum: &Sum, watch: &Watch) {
    let wall = watch.seconds();
    let simulated = seconds(sum.simulated);
    say!(
        "{} seeds, {:.2} simulated hours, {} commands committed, {} messages through the codec",
        sum.seeds,
        simulated / 3_600.0,
        sum.committed,
        sum.codec_checked
    );
    let rate = |count: u64| {
        let count = Duration::from_nanos(count).as_secs_f64() * 1e9;
        count / wall
    };
    say!(
        "{:.0} seeds/s, {:.0} events/s, {:.0} x real time",
        rate(sum.seeds),
        rate(sum.events),
        simulated / wall
    );
    let hit = Mark::ALL.iter().filter(|mark| sum.marks.contains_key(mark)).count();
    let missing: Vec<String> = (Mark::ALL.iter())
        .filter(|mark| !sum.marks.contains_key(mark))
        .map(|mark| format!("{mark:?}"))
        .collect();
    let counts: Vec<String> =
        sum.marks.iter().map(|(mark, count)| format!("{mark:?} {count}")).collect();
    say!("coverage marks {hit} of {}: {}", Mark::ALL.len(), counts.join(", "));
    if !missing.is_empty() {
        say!("never: {}", missing.join(", "));
    }
    say!("trace {:#018x}", sum.trace);
}

/// The end of a swarm of pools.
pub(super) fn sum_of_plans(sum: &Sum, watch: &Watch) {
    let wall = watch.seconds();
    let simulated = seconds(sum.simulated);
    say!(
        "{} worlds, {:.2} simulated hours, {} messages, {} through the codec",
        sum.seeds,
        simulated / 3_600.0,
        sum.messages,
        sum.codec_checked
    );
    say!("{:.0} x real time, trace {:#018x}", simulated / wall, sum.trace);
}

/// A failure, complete on one screen.
pub(super) fn failure(schedule: &Schedule, outcome: &Outcome, command: &str, name: &str) {
    let Some(violation) = &outcome.violation else { return };
    let kept = Kept::write(name, &schedule.text(), &report::page(schedule, outcome));
    say!("{}", screen(violation));
    say!("shrunk to {} faults, {} operations:", schedule.faults.len(), schedule.ops.len());
    let (faults, ops) = (lines(&schedule.faults), lines(&schedule.ops));
    some_of(&[&faults, &ops]);
    kept.tell("schedule", command);
}

/// The first lines of each list, and whether there are more.
pub(super) fn some_of(lists: &[&[String]]) {
    const SHOWN: usize = 20;
    for line in lists.iter().flat_map(|list| list.iter().take(SHOWN)) {
        say!("  {line}");
    }
    if lists.iter().any(|list| list.len() > SHOWN) {
        say!("  ... (all of it is in the file)");
    }
}

/// A failure's file and page, or why they could not be kept.
pub(super) struct Kept {
    file: PathBuf,
    page: PathBuf,
    written: std::io::Result<()>,
}

impl Kept {
    /// Writes both below the target directory.
    pub(super) fn write(name: &str, text: &str, html: &str) -> Self {
        let folder = PathBuf::from("target/sim");
        let file = folder.join(format!("{name}.json"));
        let page = folder.join(format!("{name}.html"));
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&file, text))
            .and_then(|()| std::fs::write(&page, html));
        Self { file, page, written }
    }

    /// Says how to see the failure again.
    pub(super) fn tell(&self, what: &str, command: &str) {
        say!("again:    {command}");
        match &self.written {
            Ok(()) => {
                say!("shrunk:   cargo sim replay {} --log", self.file.display());
                say!("page:     {}", self.page.display());
            }
            Err(error) => say!("could not keep the {what}: {error}"),
        }
    }
}

pub(super) fn file_name(what: &str, seed: u64) -> String {
    format!("{what}-{seed:#x}")
}

/// A word on standard error.
pub(super) fn complain(reason: &str) {
    // Nothing can be done if standard error is closed.
    drop(writeln!(std::io::stderr(), "error: {reason}"));
}

fn seconds(nanos: u128) -> f64 {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).as_secs_f64()
}
