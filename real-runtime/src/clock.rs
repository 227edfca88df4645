//! The two clocks of an agent: one that only runs forward, one that people read.

use proconsul_core::types::{Duration, Instant, WallTime};
use std::time::{SystemTime, UNIX_EPOCH};

/// The monotonic clock of one agent. It starts at zero when the agent does.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::START.after(self.start.elapsed())
    }

    /// The runtime's name for a moment of this clock. Moments too far away to matter are a day off.
    #[must_use]
    pub fn at(&self, moment: Instant) -> tokio::time::Instant {
        const FAR: Duration = Duration::from_secs(86_400);
        let ahead = moment.since(self.now()).min(FAR);
        tokio::time::Instant::now() + ahead
    }
}

/// The wall clock.
#[must_use]
pub fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
