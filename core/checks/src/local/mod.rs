//! The part itself: what it holds, how it is made, what wakes it.
//!
//! The view is the one copy of definitions, statuses and outputs; beside it stands only what
//! nobody else may see: counters, runs, versions, where a definition came from.

mod alias;
mod load;
mod maintenance;
mod register;
mod schedule;

pub use maintenance::{NODE_MAINTENANCE, SERVICE_MAINTENANCE_PREFIX};

use crate::persist::{Keeper, SavedState};
use crate::sync::Sync;
use crate::{CheckDefinition, CheckRun, LocalConfig, LocalEffect, LocalView};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{Instant, Rng, TimerTable, WallTime};

/// What this agent offers: its services and checks, their schedule, their way to the catalog and
/// to the disk.
#[derive(Clone, Debug)]
pub struct Local {
    pub(crate) config: LocalConfig,
    pub(crate) rng: Rng,
    pub(crate) view: Arc<LocalView>,
    pub(crate) services: BTreeMap<Arc<str>, ServiceState>,
    pub(crate) checks: BTreeMap<Arc<str>, CheckState>,
    pub(crate) timers: TimerTable<Timer>,
    pub(crate) runs: BTreeMap<CheckRun, Arc<str>>,
    pub(crate) next_run: u64,
    pub(crate) next_version: u64,
    pub(crate) sync: Sync,
    pub(crate) keeper: Keeper,
    pub(crate) wall: Option<(WallTime, Instant)>,
    /// Statuses read from the disk, until the wall clock is known and says whether they hold.
    pub(crate) saved: BTreeMap<Arc<str>, SavedState>,
    /// Checks read from the disk whose services the configuration has yet to bring.
    pub(crate) unplaced: Vec<CheckDefinition>,
    /// The view's version when `Changed` was last said.
    pub(crate) told: u64,
}

/// Where a definition came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The API; kept on disk.
    Api,
    /// A configuration file; never kept.
    File,
}

/// What only this part knows of a service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceState {
    pub(crate) source: Source,
    /// Changes whenever the catalog would have to be told again.
    pub(crate) version: u64,
}

/// What only this part knows of a check.
#[derive(Clone, Debug)]
pub(crate) struct CheckState {
    pub(crate) source: Source,
    /// Changes whenever the catalog would have to be told again.
    pub(crate) version: u64,
    /// Successes in a row; starts at the threshold, so that the first outcome counts at once.
    pub(crate) successes: u32,
    /// Failures in a row; starts at the threshold.
    pub(crate) failures: u32,
    /// The run in flight.
    pub(crate) running: Option<CheckRun>,
    /// Since when it is critical.
    pub(crate) critical_since: Option<Instant>,
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The next run of this check, or giving up on the one in flight.
    Probe(Arc<str>),
    /// This TTL runs out.
    Ttl(Arc<str>),
    /// This output may be told now.
    Output(Arc<str>),
    /// Look for what is critical for too long.
    Reap,
    /// Compare everything with the catalog.
    SyncFull,
    /// Tell the catalog what changed.
    SyncChange,
    /// Try again after a failure.
    SyncRetry,
}

/// Why a [`Local`] wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LocalWakeup {
    /// A check is due, or a critical service may be.
    Check,
    /// The catalog must be told or compared.
    Sync,
}

impl Local {
    /// A part that offers what `files` (paths relative to the data directory) say was registered
    /// before. A file that cannot be read is named in a notice, skipped, and left as it is.
    #[must_use]
    pub fn new(
        config: LocalConfig,
        rng: Rng,
        files: &BTreeMap<Arc<str>, Bytes>,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Self {
        let keeper = Keeper::new(config.durable, config.first_token);
        let mut local = Self {
            config,
            rng,
            view: Arc::default(),
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            timers: TimerTable::default(),
            runs: BTreeMap::new(),
            next_run: 0,
            next_version: 0,
            sync: Sync::default(),
            keeper,
            wall: None,
            saved: BTreeMap::new(),
            unplaced: Vec::new(),
            told: 0,
        };
        local.load(files, now, out);
        local.sync_soon(now, true);
        local.settle(out);
        local
    }

    /// What others may see. Cloning the pointer is all it costs.
    #[must_use]
    pub fn view(&self) -> Arc<LocalView> {
        Arc::clone(&self.view)
    }

    /// Whether outputs are thrown away from now on.
    pub fn discard_output(&mut self, discard: bool) {
        self.config.discard_output = discard;
    }

    /// When it next wants `on_wake`, and why.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<(Instant, LocalWakeup)> {
        let (at, timer) = self.timers.next()?;
        let why = match timer {
            Timer::Probe(_) | Timer::Ttl(_) | Timer::Reap => LocalWakeup::Check,
            Timer::Output(_) | Timer::SyncFull | Timer::SyncChange | Timer::SyncRetry => {
                LocalWakeup::Sync
            }
        };
        Some((at, why))
    }

    /// The wall clock, whenever the host tells it. The first time decides which of the statuses on
    /// disk still hold.
    pub fn on_wall_clock(&mut self, wall: WallTime, now: Instant, out: &mut Vec<LocalEffect>) {
        let first = self.wall.is_none();
        self.wall = Some((wall, now));
        if first {
            self.restore_states(wall, now, out);
            self.settle(out);
        }
    }

    /// A file operation completed. False if the token is not one of this part's.
    pub fn on_io(
        &mut self,
        token: proconsul_disk::IoToken,
        result: Result<(), proconsul_disk::IoError>,
        out: &mut Vec<LocalEffect>,
    ) -> bool {
        self.keeper.on_io(token, result, out)
    }

    /// Panics with the rule in words if the part contradicts itself.
    pub fn check_invariants(&self) {
        assert!(
            self.services.keys().eq(self.view.services.keys()),
            "every service of the view has its state, and no other has"
        );
        assert!(
            self.checks.keys().eq(self.view.checks.keys()),
            "every check of the view has its state, and no other has"
        );
        for (id, check) in &self.view.checks {
            let service = &check.definition.service_id;
            assert!(
                service.is_empty() || self.services.contains_key(service),
                "a check's service is one of this agent's"
            );
            let state = &self.checks[id];
            assert!(
                state.critical_since.is_some()
                    == (check.status == proconsul_types::CheckStatus::Critical),
                "a check has a time since when it is critical if and only if it is critical"
            );
            if let Some(run) = state.running {
                assert!(self.runs.get(&run) == Some(id), "a run in flight is known by its number");
            }
        }
        for (run, id) in &self.runs {
            assert!(
                self.checks.get(id).is_some_and(|state| state.running == Some(*run)),
                "a check has at most one run in flight"
            );
        }
    }

    /// Milliseconds since the Unix epoch now, if the wall clock was ever told.
    pub(crate) fn wall_now(&self, now: Instant) -> Option<i64> {
        let (wall, at) = self.wall?;
        let passed = i64::try_from(now.since(at).as_millis()).unwrap_or(i64::MAX);
        Some(wall.0.saturating_add(passed))
    }

    /// A version no other change has.
    pub(crate) fn fresh_version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    /// The view, to be changed: its version rises.
    pub(crate) fn edit(&mut self) -> &mut LocalView {
        let view = Arc::make_mut(&mut self.view);
        view.version += 1;
        view
    }

    /// Ends a public operation: says once that the view changed, lets files be written.
    pub(crate) fn settle(&mut self, out: &mut Vec<LocalEffect>) {
        if self.view.version != self.told {
            self.told = self.view.version;
            out.push(LocalEffect::Changed);
        }
        self.keeper.pump(out);
    }
}
