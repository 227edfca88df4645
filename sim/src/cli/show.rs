//! How results look on a terminal.

use crate::mutants::fault_named;
use crate::options::Options;
use crate::run::{Outcome, Telling};
use proconsul_core::types::Planted;
use std::io::Write as _;
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

/// Runs `work`, loud if asked for.
pub(super) fn telling<T>(log: bool, work: impl FnOnce(Telling) -> T) -> T {
    if log { crate::log::aloud(|| work(Telling::Loud)) } else { work(Telling::Silent) }
}

/// The world that options make, in a few lines; `contents` is how many faults and operations a
/// schedule puts into it.
pub(super) fn world(seed: u64, options: &Options, contents: Option<(usize, usize)>) {
    let contents = contents.map_or_else(String::new, |(faults, ops)| {
        format!(", {faults} faults, {ops} operations, {} s", options.length() / 1_000_000)
    });
    say!("seed {seed:#x}: {} servers, {} clients{contents}", options.servers, options.clients);
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
    let simulated = Duration::from_nanos(outcome.simulated).as_secs_f64();
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

/// A word on standard error.
pub(super) fn complain(reason: &str) {
    // Nothing can be done if standard error is closed.
    drop(writeln!(std::io::stderr(), "error: {reason}"));
}
