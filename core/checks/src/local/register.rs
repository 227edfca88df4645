//! Registering and deregistering.

use super::{CheckState, Local, ServiceState, Source, Timer};
use crate::config::{DEREGISTER_AFTER_MIN, PROBE_INTERVAL_MIN};
use crate::persist;
use crate::{
    CheckDefinition, CheckKind, LocalCheck, LocalEffect, LocalError, LocalService,
    ServiceDefinition, Ticket,
};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_syntax::duration::format_duration;
use proconsul_types::{CheckStatus, Instant};

impl Local {
    /// Registers a service and its checks, replacing the one with the same id. A check that was
    /// there before keeps its status. With `replace_checks`, the service's other checks go.
    ///
    /// `Some(ticket)`: answer when [`LocalEffect::Settled`] brings it back. `None`: answer now.
    ///
    /// # Errors
    /// The definition cannot be used; nothing changed.
    pub fn register_service(
        &mut self,
        definition: ServiceDefinition,
        replace_checks: bool,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        self.put_service(definition, replace_checks, Source::Api, now, out)?;
        let ticket = self.keeper.seal();
        self.after_change(now, out);
        Ok(ticket)
    }

    /// Deregisters a service and its checks. One that is not there is no error.
    ///
    /// # Errors
    /// The id is empty.
    pub fn deregister_service(
        &mut self,
        id: &str,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        if id.is_empty() {
            return Err(LocalError::internal("ServiceID missing".into()));
        }
        self.remove_service(id, now, out);
        let ticket = self.keeper.seal();
        self.after_change(now, out);
        Ok(ticket)
    }

    /// Registers a check, replacing the one with the same id and keeping its status.
    ///
    /// # Errors
    /// Its service is not one of this agent's; nothing changed.
    pub fn register_check(
        &mut self,
        definition: CheckDefinition,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        self.put_check(definition, Source::Api, now, out)?;
        let ticket = self.keeper.seal();
        self.after_change(now, out);
        Ok(ticket)
    }

    /// Deregisters a check. One that is not there is no error.
    ///
    /// # Errors
    /// The id is empty.
    pub fn deregister_check(
        &mut self,
        id: &str,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<Option<Ticket>, LocalError> {
        if id.is_empty() {
            return Err(LocalError::internal("CheckID missing".into()));
        }
        self.remove_check(id, true, out);
        let ticket = self.keeper.seal();
        self.after_change(now, out);
        Ok(ticket)
    }

    /// Takes over the definitions of configuration files, at start and after each re-read: those
    /// that are gone are deregistered, the others replace what the API registered under their ids.
    ///
    /// # Errors
    /// The first definition that cannot be used; those before it are in force.
    pub fn configure(
        &mut self,
        services: Vec<ServiceDefinition>,
        checks: Vec<CheckDefinition>,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<(), LocalError> {
        let kept: BTreeSet<Arc<str>> = services.iter().map(service_id).collect();
        let kept_checks: BTreeSet<Arc<str>> = services
            .iter()
            .flat_map(|service| {
                let many = service.checks.len() > 1;
                (1..).zip(&service.checks).map(move |(place, check)| {
                    default_check_id(&service_id(service), check, place, many)
                })
            })
            .chain(checks.iter().map(|check| check.id.clone()))
            .collect();
        let gone: Vec<Arc<str>> = self
            .services
            .iter()
            .filter(|(id, state)| state.source == Source::File && !kept.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.remove_service(&id, now, out);
        }
        let gone: Vec<Arc<str>> = self
            .checks
            .iter()
            .filter(|(id, state)| state.source == Source::File && !kept_checks.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.remove_check(&id, true, out);
        }
        let mut result = Ok(());
        for service in services {
            result = result.and_then(|()| self.put_service(service, false, Source::File, now, out));
        }
        for check in checks {
            result = result.and_then(|()| self.put_check(check, Source::File, now, out));
        }
        self.place_checks(now, out);
        self.keeper.forget_current();
        self.after_change(now, out);
        result
    }

    pub(crate) fn put_service(
        &mut self,
        mut definition: ServiceDefinition,
        replace_checks: bool,
        source: Source,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<(), LocalError> {
        if definition.registration.name.is_empty() {
            return Err(LocalError::internal("Service name missing".into()));
        }
        let id = service_id(&definition);
        definition.registration.id = id.clone();
        let mut checks = core::mem::take(&mut definition.checks);
        let many = checks.len() > 1;
        for (place, check) in (1..).zip(&mut checks) {
            check.id = default_check_id(&id, check, place, many);
            check.service_id = id.clone();
            if check.name.is_empty() {
                check.name = format!("Service '{}' check", definition.registration.name).into();
            }
        }
        if replace_checks {
            let stale: Vec<Arc<str>> = self
                .checks_of(&id)
                .filter(|check| checks.iter().all(|new| new.id != *check))
                .collect();
            for check in stale {
                self.remove_check(&check, true, out);
            }
        }
        let path = persist::service_path(&id);
        match source {
            Source::Api => self.keeper.put(path, Some(persist::service_file(&definition))),
            Source::File => self.keeper.put_if_kept(path),
        }
        self.insert_service(definition, source);
        for check in checks {
            self.put_check(check, source, now, out)?;
        }
        Ok(())
    }

    /// Puts a service into the view, in sync if the catalog has just this already.
    fn insert_service(&mut self, definition: ServiceDefinition, source: Source) {
        let id = definition.registration.id.clone();
        let name = definition.registration.name.clone();
        let tags = definition.registration.tags.clone();
        let in_sync = self
            .view
            .services
            .get(&id)
            .is_some_and(|old| old.in_sync && old.definition == definition);
        let version = self.fresh_version();
        self.services.insert(id.clone(), ServiceState { source, version });
        self.sync.offered_service(&id);
        let view = self.edit();
        view.services.insert(id.clone(), Arc::new(LocalService { definition, in_sync }));
        for check in view.checks.values_mut() {
            if check.definition.service_id == id
                && (check.service_name != name || check.service_tags != tags)
            {
                let check = Arc::make_mut(check);
                check.service_name = name.clone();
                check.service_tags = tags.clone();
            }
        }
    }

    pub(crate) fn put_check(
        &mut self,
        mut definition: CheckDefinition,
        source: Source,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) -> Result<(), LocalError> {
        if definition.id.is_empty() {
            definition.id = definition.name.clone();
        }
        if definition.id.is_empty() {
            return Err(LocalError::internal("CheckID missing".into()));
        }
        raise_interval(&mut definition, out);
        definition.deregister_after = definition
            .deregister_after
            .filter(|after| !after.is_zero())
            .map(|after| after.max(DEREGISTER_AFTER_MIN));
        let mut service_name: Arc<str> = "".into();
        let mut service_tags = Vec::new().into_boxed_slice();
        if !definition.service_id.is_empty() {
            let Some(service) = self.view.services.get(&definition.service_id) else {
                let text = format!("ServiceID {:?} does not exist", &*definition.service_id);
                return Err(LocalError::internal(text));
            };
            service_name = service.definition.registration.name.clone();
            service_tags = service.definition.registration.tags.clone();
        }
        let id = definition.id.clone();
        let before = self.view.checks.get(&id).cloned();
        self.stop_run(&id, out);
        self.timers.clear(&Timer::Ttl(id.clone()));
        self.timers.clear(&Timer::Probe(id.clone()));
        let (status, output) = match &before {
            Some(old) => (old.status, old.output.clone()),
            None => (definition.initial.unwrap_or(CheckStatus::Critical), "".into()),
        };
        let path = persist::check_path(&id);
        match source {
            Source::Api => {
                let bytes = persist::check_file(
                    self.config.name(),
                    &definition,
                    &service_name,
                    &service_tags,
                    status,
                    &output,
                );
                self.keeper.put(path, Some(bytes));
            }
            Source::File => self.keeper.put_if_kept(path),
        }
        let state = CheckState {
            source,
            version: self.fresh_version(),
            successes: definition.success_before_passing,
            failures: definition.failures_before_critical,
            running: None,
            critical_since: (status == CheckStatus::Critical).then(|| {
                let old = self.checks.get(&id).and_then(|old| old.critical_since);
                old.unwrap_or(now)
            }),
        };
        let in_sync = before.as_ref().is_some_and(|old| {
            old.in_sync && old.definition == definition && old.service_name == service_name
        });
        self.checks.insert(id.clone(), state);
        self.sync.offered_check(&id);
        self.schedule(&id, &definition.kind, now);
        if definition.deregister_after.is_some() {
            self.arm_reaper(now);
        }
        if !matches!(definition.kind, CheckKind::Ttl(_)) && before.is_some() {
            self.keeper.put_if_kept(persist::state_path(&id));
        }
        let check = LocalCheck { definition, service_name, service_tags, status, output, in_sync };
        self.edit().checks.insert(id, Arc::new(check));
        Ok(())
    }

    /// Removes a service with its checks; the catalog is told.
    pub(crate) fn remove_service(&mut self, id: &str, now: Instant, out: &mut Vec<LocalEffect>) {
        let Some((id, _)) = self.services.remove_entry(id) else { return };
        let checks: Vec<Arc<str>> = self.checks_of(&id).collect();
        for check in checks {
            self.remove_check(&check, false, out);
        }
        self.edit().services.remove(&id);
        self.keeper.put(persist::service_path(&id), None);
        self.sync.withdrawn_service(id);
        self.sync_change(now);
    }

    /// Removes a check; the catalog is told, unless its whole service goes.
    pub(crate) fn remove_check(&mut self, id: &str, tell: bool, out: &mut Vec<LocalEffect>) {
        if !self.checks.contains_key(id) {
            return;
        }
        self.stop_run(id, out);
        let Some((id, _)) = self.checks.remove_entry(id) else { return };
        self.timers.clear(&Timer::Probe(id.clone()));
        self.timers.clear(&Timer::Ttl(id.clone()));
        self.timers.clear(&Timer::Output(id.clone()));
        self.saved.remove(&id);
        let removed = self.edit().checks.remove(&id);
        self.keeper.put(persist::check_path(&id), None);
        if removed.is_some_and(|check| matches!(check.definition.kind, CheckKind::Ttl(_))) {
            self.keeper.put(persist::state_path(&id), None);
        }
        if tell {
            self.sync.withdrawn_check(id);
        }
    }

    /// The ids of a service's checks.
    pub(crate) fn checks_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = Arc<str>> + 'a {
        self.view
            .checks
            .iter()
            .filter(move |(_, check)| &*check.definition.service_id == service)
            .map(|(id, _)| id.clone())
    }

    /// Ends an operation that changed what is offered.
    pub(crate) fn after_change(&mut self, now: Instant, out: &mut Vec<LocalEffect>) {
        self.refresh_aliases(now, out);
        if self.has_unsynced() {
            self.sync_change(now);
        }
        self.settle(out);
    }
}

/// Raises an interval that would leave no time for anything else.
fn raise_interval(definition: &mut CheckDefinition, out: &mut Vec<LocalEffect>) {
    if let CheckKind::Http { interval, .. }
    | CheckKind::Tcp { interval, .. }
    | CheckKind::Script { interval, .. } = &mut definition.kind
        && *interval < PROBE_INTERVAL_MIN
    {
        *interval = PROBE_INTERVAL_MIN;
        out.push(LocalEffect::Warning(format!(
            "check has interval below minimum: check={} minimum_interval={}",
            definition.id,
            format_duration(PROBE_INTERVAL_MIN)
        )));
    }
}

/// A service's id: its name if the author gave none.
fn service_id(definition: &ServiceDefinition) -> Arc<str> {
    if definition.registration.id.is_empty() {
        definition.registration.name.clone()
    } else {
        definition.registration.id.clone()
    }
}

/// A check's id: `service:<id>`, with its place if there are several, where the author gave none.
fn default_check_id(service: &str, check: &CheckDefinition, place: usize, many: bool) -> Arc<str> {
    if !check.id.is_empty() {
        check.id.clone()
    } else if many {
        format!("service:{service}:{place}").into()
    } else {
        format!("service:{service}").into()
    }
}
