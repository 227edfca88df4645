//! The table of checks.

use crate::catalog::{Catalog, Effects, domain};
use crate::command::CheckRegistration;
use crate::services::share;
use crate::table::{Key, Row, fold, fold_arc, key_of};
use crate::watch::Topic;
use alloc::sync::Arc;
use proconsul_types::{CatalogIndex, Check, CheckStatus, Fault};

impl Catalog {
    /// Registers a check on a node, or on a service of it, that is there.
    pub(crate) fn register_check(
        &mut self,
        index: CatalogIndex,
        node: &str,
        new: &CheckRegistration,
        effects: &mut Effects,
    ) {
        let node = Arc::clone(&self.node(node).expect("the node was registered before").name);
        let existing = self.check(&node, &new.id);
        let check = Check {
            created: existing.map_or(index, |old| old.created),
            modified: index,
            ..self.shared_check(&node, new)
        };
        let same =
            existing.is_some_and(|old| *old == (Check { modified: old.modified, ..check.clone() }));
        let status = check.status;
        let folded = fold_arc(&node);
        if !same {
            let moved = existing
                .filter(|old| old.service_id != check.service_id)
                .map(|old| fold_arc(&old.service_name));
            let service = fold_arc(&check.service_name);
            self.put_check(Arc::new(check));
            self.marks.checks = index.0;
            effects.topics.add(Topic::Checks);
            for name in moved.into_iter().chain([service]) {
                self.touch_health(index, &folded, &name, effects);
            }
            self.touch_node(index, &folded, effects);
        }
        if status == CheckStatus::Critical {
            self.end_sessions_watching(index, &folded, &new.id, effects);
        }
    }

    /// Notes that a check of a service, or of the node if the name is empty, changed.
    fn touch_health(
        &mut self,
        index: CatalogIndex,
        node: &str,
        service: &Arc<str>,
        effects: &mut Effects,
    ) {
        if service.is_empty() {
            self.touch_services_of(index, node, false, effects);
        } else if !self.planted.is(Fault::CheckKeepsServiceIndex) {
            self.touch_name(index, service, false, effects);
        }
    }

    /// The record of a registration.
    fn shared_check(&self, node: &Arc<str>, new: &CheckRegistration) -> Check {
        let service = if new.service_id.is_empty() {
            None
        } else {
            Some(self.service(node, &new.service_id).expect("the service was looked for before"))
        };
        let empty = || Arc::clone(&self.empty);
        let mut check = Check {
            node: Arc::clone(node),
            id: Arc::clone(&new.id),
            name: Arc::clone(&new.name),
            status: new.status,
            notes: Arc::clone(&new.notes),
            output: Arc::clone(&new.output),
            service_id: service.map_or_else(empty, |service| Arc::clone(&service.registration.id)),
            service_name: service
                .map_or_else(empty, |service| Arc::clone(&service.registration.name)),
            service_tags: service
                .map(|service| service.registration.tags.clone())
                .unwrap_or_default(),
            kind: Arc::clone(&new.kind),
            definition: new.definition.clone(),
            created: CatalogIndex(0),
            modified: CatalogIndex(0),
        };
        self.share_check(&mut check);
        check
    }

    /// Shares a check's texts with its neighbours.
    pub(crate) fn share_check(&self, check: &mut Check) {
        if let Some(node) = self.node(&check.node) {
            share(&mut check.node, &node.name);
        }
        if let Some(service) = self.service(&check.node, &check.service_id) {
            share(&mut check.service_id, &service.registration.id);
            share(&mut check.service_name, &service.registration.name);
            if check.service_tags == service.registration.tags {
                check.service_tags.clone_from(&service.registration.tags);
            }
        }
        let sibling = self.by_service.prefix(&key_of(&[&fold(&check.service_name)])).next();
        if let Some(sibling) = sibling.map(|row| &*row.value) {
            share(&mut check.id, &sibling.id);
            share(&mut check.name, &sibling.name);
            share(&mut check.notes, &sibling.notes);
            share(&mut check.output, &sibling.output);
            share(&mut check.kind, &sibling.kind);
            if let (Some(own), Some(other)) = (&mut check.definition, &sibling.definition) {
                share(own, other);
            }
        }
        share(&mut check.name, &check.id);
        for text in [
            &mut check.notes,
            &mut check.output,
            &mut check.kind,
            &mut check.service_id,
            &mut check.service_name,
        ] {
            share(text, &self.empty);
        }
    }

    /// Files a check, with all that follows from it.
    pub(crate) fn put_check(&mut self, check: Arc<Check>) {
        self.count_in(domain::CHECK, &*check);
        let row = Row::new(&key_of(&[&fold(&check.node), &check.id]), Arc::clone(&check));
        if let Some(old) = self.checks.insert(row) {
            self.count_out(domain::CHECK, &*old.value);
            self.by_service.remove(&service_key(&old.value), 0);
        }
        self.by_service.insert(Row::new(&service_key(&check), check));
    }

    /// Removes a check. Nothing happens if there is none.
    pub(crate) fn remove_check(
        &mut self,
        index: CatalogIndex,
        node: &str,
        id: &str,
        effects: &mut Effects,
    ) {
        let node = fold(node);
        let Some(old) = self.checks.remove(&key_of(&[&node, id]), 0) else {
            return;
        };
        let old = &old.value;
        self.count_out(domain::CHECK, &**old);
        self.by_service.remove(&service_key(old), 0);
        self.marks.checks = index.0;
        effects.topics.add(Topic::Checks);
        self.touch_health(index, &node, &fold_arc(&old.service_name), effects);
        self.touch_node(index, &node, effects);
        self.end_sessions_watching(index, &node, id, effects);
    }

    /// The checks of a service by node, then service id, then id.
    pub fn service_checks<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Check> + use<'a> {
        // An empty name would be that of the nodes' own checks.
        let limit = if name.is_empty() { 0 } else { usize::MAX };
        self.by_service.prefix(&key_of(&[&fold(name)])).map(|row| &*row.value).take(limit)
    }

    /// The checks of one instance by id.
    pub fn instance_checks<'a>(
        &'a self,
        node: &str,
        service_id: &str,
    ) -> impl Iterator<Item = &'a Check> + use<'a> {
        let service = self.service(node, service_id);
        let name = service.map_or("", |service| &*service.registration.name);
        let limit = if service.is_some() { usize::MAX } else { 0 };
        self.by_service
            .prefix(&key_of(&[&fold(name), &fold(node), service_id]))
            .map(|row| &*row.value)
            .take(limit)
    }

    /// The checks of a node that are about no service, by id.
    pub fn node_only_checks<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Check> + use<'a> {
        self.by_service.prefix(&key_of(&["", &fold(node), ""])).map(|row| &*row.value)
    }

    /// All checks of a node and its services by id.
    pub fn node_checks<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Check> + use<'a> {
        self.checks.prefix(&key_of(&[&fold(node)])).map(|row| &*row.value)
    }

    /// One check.
    #[must_use]
    pub fn check(&self, node: &str, id: &str) -> Option<&Check> {
        self.checks.get(&key_of(&[&fold(node), id])).map(|row| &*row.value)
    }

    /// All checks by node, then id.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().map(|row| &*row.value)
    }

    /// The index that governs lists of checks.
    #[must_use]
    pub fn checks_index(&self) -> CatalogIndex {
        self.shown(self.marks.checks)
    }
}

fn service_key(check: &Check) -> Key {
    key_of(&[&fold(&check.service_name), &fold(&check.node), &check.service_id, &check.id])
}
