//! Every version a service ever had: which nodes offer it, and how they are.

use super::Interval;
use proconsul_core::catalog::{Deregister, Register};
use proconsul_core::types::CheckStatus;
use std::collections::BTreeMap;

/// Services that schedules can name: `svc0`, `svc1`.
pub const SERVICES_MAX: usize = 2;

/// The instances of a service, by the node they run on: the status of each one's check, if it has
/// one.
pub type Instances = BTreeMap<String, Option<CheckStatus>>;

/// A service and its past.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Since when it was how: index, when that was first seen committed, instances. Oldest first;
    /// before the first it had none.
    versions: Vec<(u64, u64, Instances)>,
    /// Where each registration of an instance stands, also those that changed nothing.
    registered: Vec<(u64, String, Option<CheckStatus>)>,
    /// Where each deregistration stands that took out an instance, or would have.
    deregistered: Vec<(u64, String)>,
}

/// The name of a service that clients use.
#[must_use]
pub fn name_of(service: usize) -> String {
    format!("svc{service}")
}

impl Service {
    pub(super) fn registers(&mut self, number: usize, register: &Register, index: u64, at: u64) {
        let (name, node) = (name_of(number), register.node.name.to_string());
        let mut now = self.newest().clone();
        let offered = register.services.iter().any(|service| *service.id == *name);
        if offered {
            now.entry(node.clone()).or_insert(None);
        }
        let mut checks = register.checks.iter();
        let check = checks.find(|check| *check.service_id == *name).map(|check| check.status);
        if let (Some(status), Some(known)) = (check, now.get_mut(&node)) {
            *known = Some(status);
        }
        if offered {
            self.registered.push((index, node, check));
        }
        self.becomes(index, at, now);
    }

    pub(super) fn deregisters(&mut self, number: usize, gone: &Deregister, index: u64, at: u64) {
        let service = gone.service_id.as_deref();
        if service.is_some_and(|service| service != name_of(number)) {
            return;
        }
        let node = gone.node.to_string();
        let mut now = self.newest().clone();
        if service.is_none() && gone.check_id.is_some() {
            // The worlds' checks are called after the services they are about.
            if gone.check_id.as_deref() == Some(&*format!("c{number}"))
                && let Some(status) = now.get_mut(&node)
            {
                *status = None;
            }
        } else {
            now.remove(&node);
            self.deregistered.push((index, node));
        }
        self.becomes(index, at, now);
    }

    fn becomes(&mut self, index: u64, at: u64, now: Instances) {
        if now != *self.newest() {
            self.versions.push((index, at, now));
        }
    }

    /// How it is now.
    #[must_use]
    pub fn newest(&self) -> &Instances {
        static NONE: Instances = Instances::new();
        self.versions.last().map_or(&NONE, |(_, _, instances)| instances)
    }

    /// The index of its last change, and when that was first seen committed.
    #[must_use]
    pub fn changed(&self) -> Option<(u64, u64)> {
        self.versions.last().map(|(index, at, _)| (*index, *at))
    }

    /// The stretches of indexes, oldest first, at which it was like this.
    #[must_use]
    pub fn stretches(&self, like: impl Fn(&Instances) -> bool) -> Vec<Interval> {
        let none = Instances::new();
        let first = std::iter::once((0, &none));
        let all: Vec<(u64, &Instances)> =
            first.chain(self.versions.iter().map(|(index, _, it)| (*index, it))).collect();
        let end = |place: usize| all.get(place + 1).map_or(u64::MAX, |(index, _)| *index);
        let mut found: Vec<Interval> = Vec::new();
        for (place, (begin, instances)) in all.iter().enumerate() {
            if !like(instances) {
                continue;
            }
            match found.last_mut() {
                Some((_, last)) if *last == *begin => *last = end(place),
                Some(_) | None => found.push((*begin, end(place))),
            }
        }
        found
    }

    /// Where the first registration of `node` with this status stands after `floor`.
    #[must_use]
    pub fn registered_after(
        &self,
        floor: u64,
        node: &str,
        status: Option<CheckStatus>,
    ) -> Option<u64> {
        let mut after = self.registered.iter().filter(|(index, ..)| *index > floor);
        after.find(|(_, at, with)| at == node && *with == status).map(|(index, ..)| *index)
    }

    /// Where the first deregistration on `node` stands after `floor`.
    #[must_use]
    pub fn deregistered_after(&self, floor: u64, node: &str) -> Option<u64> {
        let mut after = self.deregistered.iter().filter(|(index, _)| *index > floor);
        after.find(|(_, at)| at == node).map(|(index, _)| *index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::catalog::{CheckRegistration, NodeRegistration};
    use proconsul_core::types::ServiceRegistration;

    fn register(node: &str, status: CheckStatus) -> Register {
        let check =
            CheckRegistration { service_id: "svc1".into(), status, ..CheckRegistration::default() };
        Register {
            node: NodeRegistration { name: node.into(), ..NodeRegistration::default() },
            skip_node_update: false,
            services: vec![ServiceRegistration {
                id: "svc1".into(),
                name: "svc1".into(),
                ..ServiceRegistration::default()
            }],
            checks: vec![check],
        }
    }

    #[test]
    fn versions_are_told_apart_by_what_they_show() {
        let mut service = Service::default();
        let passing = Some(CheckStatus::Passing);
        service.registers(1, &register("n0", CheckStatus::Passing), 5, 0);
        service.registers(1, &register("n0", CheckStatus::Passing), 7, 0);
        service.registers(1, &register("n0", CheckStatus::Critical), 9, 0);
        service.registers(1, &register("n0", CheckStatus::Passing), 11, 0);
        let passes = |it: &Instances| it.get("n0") == Some(&passing);
        assert_eq!(service.stretches(passes), [(5, 9), (11, u64::MAX)]);
        assert_eq!(service.stretches(|it| !it.is_empty()), [(5, u64::MAX)]);
        assert_eq!(service.registered_after(5, "n0", passing), Some(7));
        let gone = |service_id| Deregister { node: "n0".into(), service_id, check_id: None };
        service.deregisters(1, &gone(Some("svc0".into())), 12, 0);
        service.deregisters(1, &gone(None), 13, 0);
        assert_eq!(service.stretches(Instances::is_empty), [(0, 5), (13, u64::MAX)]);
        assert_eq!(service.deregistered_after(12, "n0"), Some(13));
        assert_eq!(service.changed().map(|(index, _)| index), Some(13));
    }
}
