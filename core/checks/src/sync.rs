//! Anti-entropy: the catalog is made to say what this agent offers.
//!
//! A full comparison marks each item in or out of sync and finds what the catalog has that this
//! agent does not offer; between comparisons only what changed here is told. An item counts as
//! told when the write of exactly its present version succeeded.

use crate::config::RETRY_AFTER;
use crate::local::{Local, Timer};
use crate::{CheckDefinition, LocalCheck, LocalEffect, Synced};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{
    Catalog, CheckRegistration, Command, Deregister, NodeRegistration, Register,
};
use proconsul_types::{
    Check, Duration, Fault, Instant, Node, Service, ServiceRegistration, TextMap,
};

/// The check the servers keep for every member; never an agent's own.
const SERF_HEALTH: &str = "serfHealth";
/// The service the servers keep for themselves.
const SERVERS_SERVICE: &str = "consul";

/// Names one write to the catalog; its result comes back under this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncId(pub u64);

/// Where anti-entropy stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sync {
    /// Compare everything before the next plan.
    pub(crate) full_due: bool,
    /// The node itself is in the catalog as it is here.
    node_in_sync: bool,
    /// Not offered any more, and the catalog does not know it yet.
    withdrawn_services: BTreeMap<Arc<str>, ()>,
    withdrawn_checks: BTreeMap<Arc<str>, ()>,
    inflight: BTreeMap<SyncId, Told>,
    next: u64,
}

/// What a write tells.
#[derive(Clone, Debug)]
enum Told {
    Node(TextMap),
    Items { service: Option<(Arc<str>, u64)>, checks: Vec<(Arc<str>, u64)> },
    ServiceGone(Arc<str>),
    CheckGone(Arc<str>),
}

impl Sync {
    pub(crate) fn offered_service(&mut self, id: &str) {
        self.withdrawn_services.remove(id);
    }

    pub(crate) fn offered_check(&mut self, id: &str) {
        self.withdrawn_checks.remove(id);
    }

    pub(crate) fn withdrawn_service(&mut self, id: Arc<str>) {
        self.withdrawn_services.insert(id, ());
    }

    pub(crate) fn withdrawn_check(&mut self, id: Arc<str>) {
        self.withdrawn_checks.insert(id, ());
    }
}

impl Local {
    /// Something may be possible that was not: a leader was found, or state was restored. With
    /// `full`, everything is compared first.
    pub fn sync_soon(&mut self, now: Instant, full: bool) {
        self.sync.full_due |= full;
        self.timers.set(Timer::SyncChange, now);
    }

    /// Whether the next [`Self::sync_plan`] compares everything, so that it must be given what the
    /// catalog says now.
    #[must_use]
    pub fn compares_next(&self) -> bool {
        self.sync.full_due
    }

    /// What the catalog says could not be learned: the comparison is tried again later.
    pub fn compare_failed(&mut self, reason: &str, now: Instant, out: &mut Vec<LocalEffect>) {
        self.timers.clear(&Timer::SyncChange);
        let stagger = self.rng.duration(Duration::ZERO, RETRY_AFTER);
        self.timers.set(Timer::SyncRetry, now.after(RETRY_AFTER).after(stagger));
        out.push(LocalEffect::SyncFailed(reason.into()));
    }

    /// Between two full comparisons from now on; the one that is due stays due.
    pub fn set_sync_interval(&mut self, interval: Duration) {
        self.config.sync_interval = interval;
    }

    /// The node's metadata after a re-read of configuration: the catalog is told.
    pub fn set_node_meta(&mut self, meta: TextMap, now: Instant) {
        if self.config.node.meta != meta {
            self.config.node.meta = meta;
            self.sync.node_in_sync = false;
            self.sync_change(now);
        }
    }

    /// What to write now so that `catalog` comes to say what this agent offers. Each write's result
    /// must come back through `on_synced`, in any order; until then a further call gives nothing.
    pub fn sync_plan(
        &mut self,
        now: Instant,
        catalog: &Catalog,
        out: &mut Vec<LocalEffect>,
    ) -> Vec<(SyncId, Command)> {
        if self.sync.full_due {
            // An answer that has not come in a whole interval is lost.
            self.sync.inflight.clear();
            self.sync.full_due = false;
            let interval = self.config.sync_interval;
            let stagger = self.rng.duration(Duration::ZERO, interval);
            self.timers.set(Timer::SyncFull, now.after(interval).after(stagger));
            if !self.config.planted.is(Fault::SyncTrustsMarks) {
                self.compare(catalog);
            }
        } else if !self.sync.inflight.is_empty() {
            return Vec::new();
        }
        self.timers.clear(&Timer::SyncChange);
        self.timers.clear(&Timer::SyncRetry);
        let known = catalog.node(self.config.name()).is_some();
        let plan = self.plan(known);
        self.settle(out);
        plan
    }

    /// A write of `sync_plan` was applied, or was not for this reason.
    pub fn on_synced(
        &mut self,
        id: SyncId,
        result: Result<(), String>,
        now: Instant,
        out: &mut Vec<LocalEffect>,
    ) {
        let Some(told) = self.sync.inflight.remove(&id) else { return };
        match result {
            Ok(()) => self.mark_told(told, out),
            Err(reason) => {
                if self.timers.get(&Timer::SyncRetry).is_none() {
                    let stagger = self.rng.duration(Duration::ZERO, RETRY_AFTER);
                    self.timers.set(Timer::SyncRetry, now.after(RETRY_AFTER).after(stagger));
                    out.push(LocalEffect::SyncFailed(reason));
                }
            }
        }
        let round_over = self.sync.inflight.is_empty();
        let failed = self.timers.get(&Timer::SyncRetry).is_some();
        if round_over && !failed && self.has_unsynced() {
            self.timers.set(Timer::SyncChange, now);
        }
        self.settle(out);
    }

    /// Something changed that the catalog must be told.
    pub(crate) fn sync_change(&mut self, now: Instant) {
        if self.sync.inflight.is_empty() && self.timers.get(&Timer::SyncChange).is_none() {
            self.timers.set(Timer::SyncChange, now);
        }
    }

    /// Whether there is anything the catalog must be told.
    pub(crate) fn has_unsynced(&self) -> bool {
        !self.sync.node_in_sync
            || !self.sync.withdrawn_services.is_empty()
            || !self.sync.withdrawn_checks.is_empty()
            || self.view.services.values().any(|service| !service.in_sync)
            || self.view.checks.values().any(|check| !check.in_sync)
    }

    /// Sets every mark from what the catalog says.
    fn compare(&mut self, catalog: &Catalog) {
        let name = self.config.name().clone();
        self.sync.node_in_sync =
            catalog.node(&name).is_some_and(|node| same_node(&self.config.node, node));
        let mut services: BTreeMap<&str, &Service> = catalog
            .node_services(&name)
            .map(|service| (&*service.registration.id, service))
            .collect();
        let mut checks: BTreeMap<&str, &Check> =
            catalog.node_checks(&name).map(|check| (&*check.id, check)).collect();
        let ids: Vec<Arc<str>> = self.view.services.keys().cloned().collect();
        for id in ids {
            let there = services.remove(&*id);
            self.compare_service(&id, there);
        }
        let ids: Vec<Arc<str>> = self.view.checks.keys().cloned().collect();
        for id in ids {
            let there = checks.remove(&*id);
            self.compare_check(&id, there);
        }
        self.sync.withdrawn_services.clear();
        self.sync.withdrawn_checks.clear();
        if self.config.planted.is(Fault::SyncForgetsDeregister) {
            return;
        }
        for (id, service) in services {
            if !(self.config.server && id == SERVERS_SERVICE) {
                self.sync.withdrawn_services.insert(service.registration.id.clone(), ());
            }
        }
        for (id, check) in checks {
            let of_servers = self.config.server && &*check.service_id == SERVERS_SERVICE;
            let goes_with_service = self.sync.withdrawn_services.contains_key(&check.service_id);
            if id != SERF_HEALTH && !of_servers && !goes_with_service {
                self.sync.withdrawn_checks.insert(check.id.clone(), ());
            }
        }
    }

    fn compare_service(&mut self, id: &Arc<str>, there: Option<&Service>) {
        let Some(own) = self.view.services.get(id) else { return };
        let mut in_sync = false;
        if let Some(there) = there {
            if own.definition.registration.enable_tag_override
                && own.definition.registration.tags != there.registration.tags
            {
                // The catalog's tags win: whoever wrote them was told that they may.
                let tags = there.registration.tags.clone();
                let view = self.edit();
                if let Some(own) = view.services.get_mut(id) {
                    Arc::make_mut(own).definition.registration.tags = tags.clone();
                }
                for check in view.checks.values_mut() {
                    if check.definition.service_id == *id {
                        Arc::make_mut(check).service_tags = tags.clone();
                    }
                }
            }
            in_sync = self
                .view
                .services
                .get(id)
                .is_some_and(|own| own.definition.registration == there.registration);
        }
        if self.view.services.get(id).is_some_and(|own| own.in_sync != in_sync)
            && let Some(own) = self.edit().services.get_mut(id)
        {
            Arc::make_mut(own).in_sync = in_sync;
        }
    }

    fn compare_check(&mut self, id: &Arc<str>, there: Option<&Check>) {
        let Some(own) = self.view.checks.get(id) else { return };
        let later = self.timers.get(&Timer::Output(id.clone())).is_some();
        let in_sync = there
            .is_some_and(|there| same_check(own, there) && (later || own.output == there.output));
        if own.in_sync != in_sync {
            if !in_sync {
                self.timers.clear(&Timer::Output(id.clone()));
            }
            if let Some(own) = self.edit().checks.get_mut(id) {
                Arc::make_mut(own).in_sync = in_sync;
            }
        }
    }

    /// The writes for everything that is marked.
    fn plan(&mut self, node_known: bool) -> Vec<(SyncId, Command)> {
        let mut plan = Vec::new();
        if !self.sync.node_in_sync {
            let told = Told::Node(self.config.node.meta.clone());
            plan.push((told, self.register(false, Vec::new(), Vec::new())));
        }
        for id in self.sync.withdrawn_services.keys() {
            plan.push((Told::ServiceGone(id.clone()), self.deregister(Some(id.clone()), None)));
        }
        for id in self.sync.withdrawn_checks.keys() {
            plan.push((Told::CheckGone(id.clone()), self.deregister(None, Some(id.clone()))));
        }
        // A service goes with those of its checks that are out of sync, so that nobody sees it
        // without them.
        let mut by_service: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
        for (id, service) in &self.view.services {
            if !service.in_sync {
                by_service.insert(id.clone(), Vec::new());
            }
        }
        for (id, check) in &self.view.checks {
            if check.in_sync {
                continue;
            }
            let service = check.definition.service_id.clone();
            by_service.entry(service).or_default().push(id.clone());
        }
        for (service, checks) in by_service {
            let own = self.view.services.get(&service).filter(|own| !own.in_sync);
            let told_service = own.map(|_| (service.clone(), self.services[&service].version));
            let services: Vec<_> =
                own.into_iter().map(|own| own.definition.registration.clone()).collect();
            let told_checks: Vec<_> =
                checks.iter().map(|id| (id.clone(), self.checks[id].version)).collect();
            let checks = checks.iter().map(|id| check_registration(&self.view.checks[id]));
            let command = self.register(node_known, services, checks.collect());
            plan.push((Told::Items { service: told_service, checks: told_checks }, command));
        }
        if self.config.planted.is(Fault::SyncForgetsDeregister) {
            self.sync.withdrawn_services.clear();
            self.sync.withdrawn_checks.clear();
        }
        plan.into_iter()
            .map(|(told, command)| {
                self.sync.next += 1;
                let id = SyncId(self.sync.next);
                self.sync.inflight.insert(id, told);
                (id, command)
            })
            .collect()
    }

    fn register(
        &self,
        skip_node_update: bool,
        services: Vec<ServiceRegistration>,
        checks: Vec<CheckRegistration>,
    ) -> Command {
        Command::Register(Box::new(Register {
            node: self.config.node.clone(),
            skip_node_update,
            services,
            checks,
        }))
    }

    fn deregister(&self, service_id: Option<Arc<str>>, check_id: Option<Arc<str>>) -> Command {
        Command::Deregister(Deregister { node: self.config.name().clone(), service_id, check_id })
    }

    fn mark_told(&mut self, told: Told, out: &mut Vec<LocalEffect>) {
        match told {
            Told::Node(meta) => {
                self.sync.node_in_sync = meta == self.config.node.meta;
                out.push(LocalEffect::Synced(Synced::Node));
            }
            Told::ServiceGone(id) => {
                self.sync.withdrawn_services.remove(&id);
                out.push(LocalEffect::Synced(Synced::ServiceGone(id)));
            }
            Told::CheckGone(id) => {
                self.sync.withdrawn_checks.remove(&id);
                out.push(LocalEffect::Synced(Synced::CheckGone(id)));
            }
            Told::Items { service, checks } => {
                let alone = service.is_none();
                if let Some((id, version)) = service {
                    if self.services.get(&id).is_some_and(|state| state.version == version)
                        && let Some(own) = self.edit().services.get_mut(&id)
                    {
                        Arc::make_mut(own).in_sync = true;
                    }
                    out.push(LocalEffect::Synced(Synced::Service(id)));
                }
                for (id, version) in checks {
                    if self.checks.get(&id).is_some_and(|state| state.version == version)
                        && let Some(own) = self.edit().checks.get_mut(&id)
                    {
                        Arc::make_mut(own).in_sync = true;
                    }
                    if alone {
                        out.push(LocalEffect::Synced(Synced::Check(id)));
                    }
                }
            }
        }
    }
}

fn same_node(own: &NodeRegistration, there: &Node) -> bool {
    own.id == there.id
        && own.address == there.address
        && own.tagged_addresses == there.tagged_addresses
        && own.meta == there.meta
}

/// Everything but the output.
fn same_check(own: &LocalCheck, there: &Check) -> bool {
    let CheckDefinition { name, notes, service_id, .. } = &own.definition;
    *name == there.name
        && own.status == there.status
        && *notes == there.notes
        && *service_id == there.service_id
        && own.service_name == there.service_name
        && own.definition.type_word() == &*there.kind
        && there.definition.is_none()
}

fn check_registration(own: &LocalCheck) -> CheckRegistration {
    CheckRegistration {
        id: own.definition.id.clone(),
        name: own.definition.name.clone(),
        status: own.status,
        notes: own.definition.notes.clone(),
        output: own.output.clone(),
        service_id: own.definition.service_id.clone(),
        kind: own.definition.type_word().into(),
        definition: None,
    }
}
