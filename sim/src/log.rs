//! The log of a world: lines under virtual time, through `tracing`.

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

/// Says a line.
pub(crate) fn say(line: &Line) {
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
