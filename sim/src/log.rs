//! The log of a world: lines under virtual time, through `tracing`.

use crate::run::Telling;
use crate::world::Line;
use std::cell::Cell;
use std::fmt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// What time it is in the world this thread runs.
pub(crate) fn set_now(now: u64) {
    NOW.set(now);
}

/// What a world says, as far as anyone listens.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    telling: Telling,
    kept: Vec<Line>,
}

impl Lines {
    pub(crate) fn new(telling: Telling) -> Self {
        Self { telling, kept: Vec::new() }
    }

    /// Whether anyone listens.
    pub(crate) fn are_kept(&self) -> bool {
        self.telling != Telling::Silent
    }

    /// Whether lines go to the log as well.
    pub(crate) fn are_loud(&self) -> bool {
        self.telling == Telling::Loud
    }

    /// Says something of a machine, or of the world.
    pub(crate) fn say(&mut self, at: u64, machine: Option<usize>, text: impl FnOnce() -> String) {
        if !self.are_kept() {
            return;
        }
        let server = machine.and_then(|machine| u8::try_from(machine).ok());
        let mut text = text();
        if let (Some(machine), None) = (machine, server) {
            text = format!("m{machine}: {text}");
        }
        let line = Line { at, server, text };
        if self.are_loud() {
            say(&line);
        }
        self.kept.push(line);
    }

    /// What was said so far.
    pub(crate) fn kept(&self) -> &[Line] {
        &self.kept
    }

    /// What was said, taken out.
    pub(crate) fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.kept)
    }
}

/// Says a line.
fn say(line: &Line) {
    set_now(line.at);
    match line.server {
        Some(server) => tracing::info!(target: "world", "s{server} {}", line.text),
        None => tracing::info!(target: "world", "-- {}", line.text),
    }
}

/// Shows virtual time: seconds and microseconds since the world began.
#[derive(Clone, Copy, Debug)]
struct WorldTime;

impl FormatTime for WorldTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let micros = NOW.get() / 1_000;
        write!(writer, "{:>4}.{:06}s", micros / 1_000_000, micros % 1_000_000)
    }
}

/// Lets `work` speak to standard output.
pub fn aloud<T>(work: impl FnOnce() -> T) -> T {
    let subscriber = tracing_subscriber::fmt()
        .with_timer(WorldTime)
        .with_target(false)
        .with_level(false)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_writer(std::io::stdout)
        .finish();
    tracing::subscriber::with_default(subscriber, work)
}
