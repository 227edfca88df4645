//! When checks run, when they run out, and what an outcome does.

use super::{Local, Timer};
use crate::config::REAP_INTERVAL;
use crate::output::{cut_note, cut_output, ttl_expired};
use crate::persist;
use crate::{
    CheckDefinition, CheckKind, CheckOutcome, CheckRun, LocalEffect, LocalError, ProbeSpec, Tail,
    Ticket,
};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CheckStatus, Duration, Instant};

/// How long a host may take beyond a probe's own timeout before its run is given up.
const RUN_GRACE: Duration = Duration::from_secs(5);

impl Local {
    /// The deadline of `next_wakeup` has passed, or may have.
    pub fn on_wake(&mut self, now: Instant, out: &mut Vec<LocalEffect>) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Probe(id) => self.probe_due(&id, now, out),
                Timer::Ttl(id) => {
                    if let Some(check) = self.view.checks.get(&id) {
                        let output = ttl_expired(&check.output);
                        out.push(LocalEffect::TtlMissed(id.clone()));
                        self.set_status(&id, CheckStatus::Critical, output.into(), now, out);
                    }
                }
                Timer::Output(id) => self.mark_unsynced(&id, now),
                Timer::Reap => self.reap(now, out),
                Timer::SyncFull => {
                    self.sync.full_due = true;
                    out.push(LocalEffect::SyncDue);
                }
                Timer::SyncChange | Timer::SyncRetry => out.push(LocalEffect::SyncDue),
            }
        }
        self.settle(out);
    }

    /// A probe ended. The outcome of a run that is not in flight any more is ignored.
    pub fn on_check_done(
        &mut self,
        run: CheckRun,
        outcome: &CheckOutcome,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) {
        let Some(id) = self.runs.remove(&run) else { return };
        self.run_ended(&id, outcome.status, &outcome.output, now, out);
        self.settle(out);
    }

    /// A client speaks for a TTL check.
    ///
    /// # Errors
    /// There is no TTL check with this id.
    pub fn update_ttl(
        &mut self,
        id: &str,
        status: CheckStatus,
        note: &str,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        let Some((id, ttl, max)) = self.view.checks.get_key_value(id).and_then(|(id, check)| {
            match check.definition.kind {
                CheckKind::Ttl(ttl) => {
                    Some((id.clone(), ttl, self.output_bytes_max(&check.definition)))
                }
                CheckKind::Http { .. }
                | CheckKind::Tcp { .. }
                | CheckKind::Script { .. }
                | CheckKind::Alias { .. }
                | CheckKind::Fixed => None,
            }
        }) else {
            let text = format!("CheckID {id:?} does not have associated TTL");
            return Err(LocalError::internal(text));
        };
        let output: Arc<str> = cut_note(note, max).into();
        self.saved.remove(&id);
        self.timers.set(Timer::Ttl(id.clone()), now.after(ttl));
        self.set_status(&id, status, output, now, out);
        if let Some(wall) = self.wall_now(now) {
            let output = self.view.checks.get(&id).map(|check| check.output.clone());
            let lives = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            let bytes = persist::state_file(
                &id,
                &output.unwrap_or_default(),
                status,
                wall.saturating_add(lives) / 1000,
            );
            self.keeper.put(persist::state_path(&id), Some(bytes));
            // A heartbeat is not worth waiting for the disk: the next one is under way.
            self.keeper.forget_current();
        }
        self.settle(out);
        Ok(None)
    }

    /// Sets the first deadline of a check that was just registered.
    pub(crate) fn schedule(&mut self, id: &Arc<str>, kind: &CheckKind, now: Instant) {
        match kind {
            CheckKind::Ttl(ttl) => self.timers.set(Timer::Ttl(id.clone()), now.after(*ttl)),
            CheckKind::Http { interval, .. }
            | CheckKind::Tcp { interval, .. }
            | CheckKind::Script { interval, .. } => {
                let first = self.rng.duration(Duration::ZERO, *interval);
                self.timers.set(Timer::Probe(id.clone()), now.after(first));
            }
            CheckKind::Alias { .. } | CheckKind::Fixed => {}
        }
    }

    /// Looks for what is critical for too long at the next multiple of the interval.
    pub(crate) fn arm_reaper(&mut self, now: Instant) {
        if self.timers.get(&Timer::Reap).is_none() {
            self.timers.set(Timer::Reap, now.after(REAP_INTERVAL));
        }
    }

    /// Forgets the run in flight, if there is one.
    pub(crate) fn stop_run(&mut self, id: &str, out: &mut Vec<LocalEffect>) {
        if let Some(run) = self.checks.get_mut(id).and_then(|state| state.running.take()) {
            self.runs.remove(&run);
            out.push(LocalEffect::StopCheck(run));
        }
    }

    /// Sets a check's status and output, and what follows from them.
    pub(crate) fn set_status(
        &mut self,
        id: &Arc<str>,
        status: CheckStatus,
        output: Arc<str>,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) {
        if self.put_status(id, status, output, now, out) {
            self.refresh_aliases(now, out);
        }
    }

    /// The same without its effect on aliases; true if anything changed.
    pub(crate) fn put_status(
        &mut self,
        id: &Arc<str>,
        status: CheckStatus,
        output: Arc<str>,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> bool {
        let output = if self.config.discard_output { "".into() } else { output };
        let (Some(check), Some(state)) = (self.view.checks.get(id), self.checks.get_mut(id)) else {
            return false;
        };
        if check.status == status && check.output == output {
            return false;
        }
        let new_status = check.status != status;
        let in_sync = check.in_sync;
        match status {
            CheckStatus::Critical => {
                state.critical_since.get_or_insert(now);
            }
            CheckStatus::Passing | CheckStatus::Warning => state.critical_since = None,
        }
        if let Some(check) = self.edit().checks.get_mut(id) {
            let check = Arc::make_mut(check);
            check.status = status;
            check.output = output;
        }
        if new_status {
            out.push(LocalEffect::CheckChanged(id.clone(), status));
        }
        let coalesce = self.config.check_update_interval;
        if new_status || coalesce.is_zero() {
            self.mark_unsynced(id, now);
        } else if in_sync && self.timers.get(&Timer::Output(id.clone())).is_none() {
            let stagger = self.rng.duration(Duration::ZERO, coalesce);
            self.timers.set(Timer::Output(id.clone()), now.after(coalesce / 2 + stagger));
        } else {
            // It is told with what is already to be told; a report on its way is too old.
            let version = self.fresh_version();
            if let Some(state) = self.checks.get_mut(id).filter(|_| !in_sync) {
                state.version = version;
            }
        }
        true
    }

    /// The catalog must be told of this check.
    fn mark_unsynced(&mut self, id: &Arc<str>, now: Instant) {
        self.timers.clear(&Timer::Output(id.clone()));
        let version = self.fresh_version();
        let Some(state) = self.checks.get_mut(id) else { return };
        state.version = version;
        if let Some(check) = self.edit().checks.get_mut(id) {
            Arc::make_mut(check).in_sync = false;
        }
        self.sync_change(now);
    }

    fn probe_due(&mut self, id: &Arc<str>, now: Instant, out: &mut Vec<LocalEffect>) {
        let Some(check) = self.view.checks.get(id).cloned() else { return };
        if self.checks.get(id).is_some_and(|state| state.running.is_some()) {
            // The host owes an answer that does not come: the run counts as failed.
            self.stop_run(id, out);
            let outcome = match &check.definition.kind {
                CheckKind::Http { url, method, .. } => CheckOutcome::http_timeout(method, url),
                CheckKind::Tcp { address, .. } => CheckOutcome::tcp_failed(address, "i/o timeout"),
                CheckKind::Script { timeout, .. } => {
                    CheckOutcome::script_timeout(*timeout, &Tail::default())
                }
                CheckKind::Ttl(_) | CheckKind::Alias { .. } | CheckKind::Fixed => return,
            };
            self.run_ended(id, outcome.status, &outcome.output, now, out);
            return;
        }
        let (spec, timeout) = match &check.definition.kind {
            CheckKind::Http { url, method, headers, body, tls_skip_verify, timeout, .. } => (
                ProbeSpec::Http {
                    url: url.clone(),
                    method: if method.is_empty() { "GET".into() } else { method.clone() },
                    headers: headers.clone(),
                    body: body.clone(),
                    tls_skip_verify: *tls_skip_verify,
                    timeout: *timeout,
                    output_bytes_max: self.output_bytes_max(&check.definition),
                },
                *timeout,
            ),
            CheckKind::Tcp { address, timeout, .. } => {
                (ProbeSpec::Tcp { address: address.clone(), timeout: *timeout }, *timeout)
            }
            CheckKind::Script { args, timeout, .. } => (
                ProbeSpec::Script {
                    args: args.clone(),
                    timeout: *timeout,
                    output_bytes_max: self.output_bytes_max(&check.definition),
                },
                *timeout,
            ),
            CheckKind::Ttl(_) | CheckKind::Alias { .. } | CheckKind::Fixed => return,
        };
        self.next_run += 1;
        let run = CheckRun(self.next_run);
        self.runs.insert(run, id.clone());
        if let Some(state) = self.checks.get_mut(id) {
            state.running = Some(run);
        }
        self.timers.set(Timer::Probe(id.clone()), now.after(timeout).after(RUN_GRACE));
        out.push(LocalEffect::RunCheck(run, spec));
    }

    /// A run gave this outcome: counts it, and takes it over if it was said often enough.
    fn run_ended(
        &mut self,
        id: &Arc<str>,
        status: CheckStatus,
        output: &str,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) {
        let Some(check) = self.view.checks.get(id) else { return };
        let output_bytes_max = self.output_bytes_max(&check.definition);
        let Some(state) = self.checks.get_mut(id) else { return };
        state.running = None;
        let definition = &check.definition;
        if let CheckKind::Http { interval, .. }
        | CheckKind::Tcp { interval, .. }
        | CheckKind::Script { interval, .. } = definition.kind
        {
            self.timers.set(Timer::Probe(id.clone()), now.after(interval));
        }
        let often_enough = match status {
            CheckStatus::Passing | CheckStatus::Warning => {
                state.successes = state.successes.saturating_add(1);
                state.failures = 0;
                state.successes >= definition.success_before_passing
            }
            CheckStatus::Critical => {
                state.failures = state.failures.saturating_add(1);
                state.successes = 0;
                state.failures >= definition.failures_before_critical
            }
        };
        if often_enough {
            if status != CheckStatus::Passing {
                out.push(LocalEffect::CheckFailed(id.clone(), status));
            }
            // The wording around a body may exceed what is kept of the body itself.
            let room = output_bytes_max.saturating_add(1024);
            let output = cut_output(output, room).into();
            self.set_status(id, status, output, now, out);
        }
    }

    /// Bytes of a check's output that are kept.
    fn output_bytes_max(&self, definition: &CheckDefinition) -> usize {
        let own = self.config.output_bytes_max;
        if definition.output_bytes_max == 0 { own } else { definition.output_bytes_max.min(own) }
    }

    /// Deregisters every service with a check that has been critical for too long.
    fn reap(&mut self, now: Instant, out: &mut Vec<LocalEffect>) {
        let mut watched = false;
        let mut dead: Vec<Arc<str>> = Vec::new();
        for (id, check) in &self.view.checks {
            let Some(after) = check.definition.deregister_after else { continue };
            watched = true;
            let since = self.checks.get(id).and_then(|state| state.critical_since);
            if since.is_some_and(|since| now.since(since) > after)
                && !check.definition.service_id.is_empty()
            {
                dead.push(check.definition.service_id.clone());
            }
        }
        if watched {
            self.timers.set(Timer::Reap, now.after(REAP_INTERVAL));
        }
        for service in dead {
            if self.services.contains_key(&service) {
                out.push(LocalEffect::Notice(format!(
                    "service {service:?} is deregistered: a check was critical for too long"
                )));
                self.remove_service(&service, now, out);
            }
        }
        self.keeper.forget_current();
        self.refresh_aliases(now, out);
    }
}
