//! The two clocks of an agent: one that only runs forward, one that people read.

use crate::witness::Bent;
use proconsul_core::types::{Duration, Instant, WallTime};
use std::time::{SystemTime, UNIX_EPOCH};

/// The monotonic clock of one agent. It starts at zero when the agent does.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: tokio::time::Instant,
    bent: Option<&'static dyn Bent>,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self::start_bent(None)
    }

    /// A clock that starts now, and need not be true.
    #[must_use]
    pub fn start_bent(bent: Option<&'static dyn Bent>) -> Self {
        Self { start: tokio::time::Instant::now(), bent }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.bent.map_or_else(|| Instant::START.after(self.start.elapsed()), Bent::now)
    }

    /// The runtime's name for a moment of this clock. Moments too far away to matter are a day off.
    #[must_use]
    pub fn at(&self, moment: Instant) -> tokio::time::Instant {
        const FAR: Duration = Duration::from_secs(86_400);
        let ahead = match self.bent {
            None => moment.since(self.now()),
            Some(bent) => bent.until(moment),
        };
        tokio::time::Instant::now() + ahead.min(FAR)
    }

    /// The time of day.
    #[must_use]
    pub fn wall(&self) -> WallTime {
        WallTime(wall().0.saturating_add(self.bent.map_or(0, Bent::wall_ms)))
    }
}

/// The wall clock.
#[must_use]
pub fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
