//! The table of service instances, and what is known per service.

use crate::catalog::{Catalog, Effects, NameEntry, domain};
use crate::table::{Row, fold, fold_arc, key_of};
use crate::watch::Topic;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CatalogIndex, Check, Fault, Service, ServiceKind, ServiceRegistration};

impl Catalog {
    /// Registers an instance on a node that is there.
    pub(crate) fn register_service(
        &mut self,
        index: CatalogIndex,
        node: &str,
        new: &ServiceRegistration,
        effects: &mut Effects,
    ) {
        let node = Arc::clone(&self.node(node).expect("the node was registered before").name);
        let existing = self.service(&node, &new.id);
        let service = Service {
            created: existing.map_or(index, |old| old.created),
            modified: index,
            ..self.shared_service(&node, new)
        };
        if let Some(old) = existing
            && *old == (Service { modified: old.modified, ..service.clone() })
        {
            return;
        }
        let renamed = existing
            .filter(|old| fold(&old.registration.name) != fold(&service.registration.name))
            .is_some();
        if renamed {
            self.take_service(index, &node, &new.id, effects);
        }
        let service = Arc::new(service);
        self.put_service(Arc::clone(&service));
        self.marks.services = index.0;
        let name = fold_arc(&service.registration.name);
        effects.topics.add(Topic::Services);
        self.touch_name(index, &name, true, effects);
        self.touch_node(index, &fold_arc(&node), effects);
        self.checks_follow(index, &service, effects);
    }

    /// The record of a registration.
    fn shared_service(&self, node: &Arc<str>, new: &ServiceRegistration) -> Service {
        let mut service = Service {
            node: Arc::clone(node),
            registration: new.clone(),
            created: CatalogIndex(0),
            modified: CatalogIndex(0),
        };
        self.share_service(&mut service);
        service
    }

    /// Shares an instance's texts with its neighbours.
    pub(crate) fn share_service(&self, service: &mut Service) {
        let sibling = self.by_name.prefix(&key_of(&[&fold(&service.registration.name)])).next();
        if let Some(node) = self.node(&service.node) {
            share(&mut service.node, &node.name);
        }
        if let Some(sibling) = sibling.map(|row| &*row.value) {
            share(&mut service.registration.name, &sibling.registration.name);
            if service.registration.tags == sibling.registration.tags {
                service.registration.tags.clone_from(&sibling.registration.tags);
            }
            if let (Some(own), Some(other)) =
                (&mut service.registration.proxy, &sibling.registration.proxy)
            {
                share(own, other);
            }
            if service.registration.meta == sibling.registration.meta {
                service.registration.meta.clone_from(&sibling.registration.meta);
            }
        }
        share(&mut service.registration.id, &service.registration.name);
        service.registration.address = self.intern(&service.registration.address);
    }

    /// The checks of an instance follow it to another name. Its tags they take over only when they
    /// are registered themselves, as Consul's do.
    fn checks_follow(&mut self, index: CatalogIndex, service: &Service, effects: &mut Effects) {
        let stale: Vec<Arc<Check>> = self
            .checks
            .prefix(&key_of(&[&fold(&service.node)]))
            .map(|row| &row.value)
            .filter(|check| {
                !check.service_id.is_empty() && check.service_id == service.registration.id
            })
            .filter(|check| check.service_name != service.registration.name)
            .map(Arc::clone)
            .collect();
        for check in stale {
            let check = Check {
                service_name: Arc::clone(&service.registration.name),
                service_tags: service.registration.tags.clone(),
                modified: index,
                ..(*check).clone()
            };
            self.put_check(Arc::new(check));
            self.marks.checks = index.0;
            effects.topics.add(Topic::Checks);
        }
    }

    /// Files an instance, with all that follows from it.
    pub(crate) fn put_service(&mut self, service: Arc<Service>) {
        let node = fold_arc(&service.node);
        let name = fold_arc(&service.registration.name);
        self.count_in(domain::SERVICE, &*service);
        let row =
            Row::new(&key_of(&[&name, &node, &service.registration.id]), Arc::clone(&service));
        self.by_name.insert(row);
        let exact = Arc::clone(&service.registration.name);
        let row = Row::new(&key_of(&[&node, &service.registration.id]), service);
        let old = self.services.insert(row);
        if let Some(old) = old {
            self.count_out(domain::SERVICE, &*old.value);
            return;
        }
        let entry = match self.name_entry(&name) {
            Some(entry) => NameEntry { instances: entry.instances + 1, ..entry.clone() },
            None => NameEntry {
                name: exact,
                instances: 1,
                touched: CatalogIndex(0),
                health: CatalogIndex(0),
            },
        };
        self.put_name(entry);
    }

    pub(crate) fn put_name(&mut self, entry: NameEntry) {
        self.count_in(domain::NAME, &entry);
        let row = Row::new(&key_of(&[&fold(&entry.name)]), entry);
        if let Some(old) = self.names.insert(row) {
            self.count_out(domain::NAME, &old.value);
        }
    }

    /// Removes an instance and its checks. Nothing happens if there is none.
    pub(crate) fn remove_service(
        &mut self,
        index: CatalogIndex,
        node: &str,
        id: &str,
        effects: &mut Effects,
    ) {
        if self.service(node, id).is_none() {
            return;
        }
        if !self.planted.is(Fault::CascadeForgetsChecks) {
            let checks: Vec<Arc<str>> =
                self.instance_checks(node, id).map(|check| Arc::clone(&check.id)).collect();
            for check in checks {
                self.remove_check(index, node, &check, effects);
            }
        }
        self.take_service(index, node, id, effects);
        self.touch_node(index, &fold(node), effects);
    }

    /// Removes an instance alone.
    fn take_service(&mut self, index: CatalogIndex, node: &str, id: &str, effects: &mut Effects) {
        let node = fold(node);
        let Some(old) = self.services.remove(&key_of(&[&node, id]), 0) else {
            return;
        };
        let old = &old.value;
        let name = fold_arc(&old.registration.name);
        self.count_out(domain::SERVICE, &**old);
        self.by_name.remove(&key_of(&[&name, &node, id]), 0);
        self.marks.services = index.0;
        effects.topics.add(Topic::Services);
        let entry = self.name_entry(&name).expect("a service has an entry while it has instances");
        if entry.instances > 1 {
            let entry = NameEntry { instances: entry.instances - 1, ..entry.clone() };
            self.put_name(entry);
            self.touch_name(index, &name, true, effects);
            return;
        }
        if let Some(gone) = self.names.remove(&key_of(&[&name]), 0) {
            self.count_out(domain::NAME, &gone.value);
        }
        self.marks.extinct = index.0;
        effects.topics.add(Topic::Service(Arc::clone(&name)));
        effects.topics.add(Topic::ServiceHealth(name));
    }

    /// Notes that a service changed: its instances, or only their health.
    pub(crate) fn touch_name(
        &mut self,
        index: CatalogIndex,
        folded: &Arc<str>,
        instances: bool,
        effects: &mut Effects,
    ) {
        let Some(entry) = self.name_entry(folded) else {
            return;
        };
        if entry.health != index || (instances && entry.touched != index) {
            let touched = if instances { index } else { entry.touched };
            let entry = NameEntry { touched, health: index, ..entry.clone() };
            self.put_name(entry);
        }
        if instances {
            effects.topics.add(Topic::Service(Arc::clone(folded)));
        }
        effects.topics.add(Topic::ServiceHealth(Arc::clone(folded)));
    }

    /// Notes that all services of a node changed, or only their health.
    pub(crate) fn touch_services_of(
        &mut self,
        index: CatalogIndex,
        node: &str,
        instances: bool,
        effects: &mut Effects,
    ) {
        let mut names: Vec<Arc<str>> =
            self.node_services(node).map(|service| fold_arc(&service.registration.name)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            self.touch_name(index, &name, instances, effects);
        }
    }

    pub(crate) fn name_entry(&self, name: &str) -> Option<&NameEntry> {
        self.names.get(&key_of(&[&fold(name)])).map(|row| &row.value)
    }

    /// One instance.
    #[must_use]
    pub fn service(&self, node: &str, id: &str) -> Option<&Service> {
        self.services.get(&key_of(&[&fold(node), id])).map(|row| &*row.value)
    }

    /// The instances on a node by id.
    pub fn node_services<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Service> + use<'a> {
        self.services.prefix(&key_of(&[&fold(node)])).map(|row| &*row.value)
    }

    /// All services by name, each with the tags of its instances: every tag once, in the order in
    /// which the instances (by node, then id) have them. Names that differ in case alone are told
    /// apart here.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<str>, Vec<&Arc<str>>)> {
        let mut services: BTreeMap<&Arc<str>, Vec<&Arc<str>>> = BTreeMap::new();
        let mut last: Option<&Service> = None;
        for row in self.by_name.iter() {
            let service = &*row.value;
            // Runs of instances with equal tags, the usual case, cost one comparison each.
            if let Some(last) = last
                && last.registration.name == service.registration.name
                && last.registration.tags == service.registration.tags
            {
                continue;
            }
            last = Some(service);
            let tags = services.entry(&service.registration.name).or_default();
            for tag in &service.registration.tags {
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
        }
        services.into_iter()
    }

    /// How many instances there are of all services.
    #[must_use]
    pub fn services_len(&self) -> usize {
        self.services.len()
    }

    /// The index that governs the list of services.
    #[must_use]
    pub fn services_index(&self) -> CatalogIndex {
        self.shown(self.marks.services)
    }

    /// The instances of a service by node, then id.
    pub fn service_instances<'a>(
        &'a self,
        name: &str,
    ) -> impl Iterator<Item = &'a Service> + use<'a> {
        self.by_name.prefix(&key_of(&[&fold(name)])).map(|row| &*row.value)
    }

    /// Instances of a kind other than typical that stand for a service in the mesh: proxies.
    pub fn services_of_kind(&self, kind: ServiceKind) -> impl Iterator<Item = &Service> {
        self.by_name
            .iter()
            .map(|row| &*row.value)
            .filter(move |service| service.registration.kind == kind)
    }

    /// The index that governs the instances of a service. While it has none: when some service last
    /// lost its last instance.
    #[must_use]
    pub fn service_index(&self, name: &str) -> CatalogIndex {
        self.shown(self.name_entry(name).map_or(self.marks.extinct, |entry| entry.touched.0))
    }

    /// The index that governs the health of a service's instances.
    #[must_use]
    pub fn service_health_index(&self, name: &str) -> CatalogIndex {
        self.shown(self.name_entry(name).map_or(self.marks.extinct, |entry| entry.health.0))
    }
}

/// Makes `text` the same copy as `other`, if they are equal.
pub(crate) fn share(text: &mut Arc<str>, other: &Arc<str>) {
    if *text == *other {
        *text = Arc::clone(other);
    }
}
