//! What always holds between the tables.

use crate::catalog::{Catalog, Marks, domain, id_key};
use crate::digest;
use crate::kv::held_key;
use crate::places::Place;
use crate::radix::Tree;
use crate::table::{fold, key_of};
use proconsul_types::Fault;

impl Catalog {
    /// Panics with the broken rule if there is one. Takes time by the size of the catalog.
    pub fn check_invariants(&self) {
        self.check_trees();
        if let Some(rule) = self.broken_link() {
            panic!("{rule}");
        }
        for pair in self.kv_prefix("") {
            if let Some(session) = pair.session {
                assert!(
                    self.held.get(&held_key(session, &pair.key)).is_some(),
                    "a locked key is known to its session's locks"
                );
                assert!(
                    self.session(session).is_some(),
                    "a key is locked by a session that exists"
                );
            }
            assert!(pair.created <= pair.modified, "a pair is created before it changes");
            assert!(pair.modified <= self.index, "no pair is ahead of the log");
        }
        let locked = self.kv_prefix("").filter(|pair| pair.session.is_some()).count();
        assert!(locked == self.held.len(), "only locked keys are known as locks");
        for check in self.checks() {
            assert!(
                check.service_id.is_empty()
                    || self.service(&check.node, &check.service_id).is_some(),
                "a check is about a service that exists"
            );
        }
        if !self.planted.is(Fault::DeleteKeepsPrefixIndex) {
            let top = self.kv_prefix("").map(|pair| pair.modified.0).max().unwrap_or(0);
            assert!(self.kv.top() >= top, "the table of keys is as new as its newest pair");
        }
        assert!(self.sum == self.summed(), "the sum is that of the records");
        let Marks { floor: _, nodes, services, checks, sessions, extinct, coordinates } =
            self.marks;
        for mark in [nodes, services, checks, sessions, extinct, coordinates] {
            assert!(mark <= self.index.0, "no table is ahead of the log");
        }
    }

    fn check_trees(&self) {
        self.kv.check_invariants();
        self.delays.check_invariants();
        self.nodes.check_invariants();
        self.node_ids.check_invariants();
        self.services.check_invariants();
        self.by_name.check_invariants();
        self.names.check_invariants();
        self.checks.check_invariants();
        self.by_service.check_invariants();
        self.sessions.check_invariants();
        self.node_sessions.check_invariants();
        self.held.check_invariants();
        self.watched.check_invariants();
        self.places.check_invariants();
    }

    /// The first rule between tables that does not hold, of those on which later commands rely. A
    /// snapshot that breaks one is refused.
    pub(crate) fn broken_link(&self) -> Option<&'static str> {
        for row in self.node_ids.iter() {
            match self.node(&row.value) {
                Some(node) if node.id.is_some_and(|id| id_key(id) == *key(row)) => {}
                Some(_) | None => return Some("a node id leads to the node that has it"),
            }
        }
        let with_id = self.nodes().filter(|node| node.id.is_some()).count();
        if with_id != self.node_ids.len() {
            return Some("no two nodes have the same id");
        }
        for row in self.services.iter() {
            let service = &row.value;
            if self.node(&service.node).is_none() {
                return Some("a service is on a node that exists");
            }
            let name = key_of(&[
                &fold(&service.registration.name),
                &fold(&service.node),
                &service.registration.id,
            ]);
            if self.by_name.get(&name).is_none() {
                return Some("an instance is found by its service's name");
            }
        }
        if self.by_name.len() != self.services.len() {
            return Some("only instances are found by a service's name");
        }
        let instances: u64 = self.names.iter().map(|row| row.value.instances).sum();
        if Ok(instances) != u64::try_from(self.services.len()) {
            return Some("instances are counted by service");
        }
        if self.checks().any(|check| self.node(&check.node).is_none()) {
            return Some("a check is on a node that exists");
        }
        if self.by_service.len() != self.checks.len() {
            return Some("every check is found by its service");
        }
        if self.sessions().any(|session| self.node(&session.node).is_none()) {
            return Some("a session lives on a node that exists");
        }
        if self.places().any(|place| self.node(&place.node).is_none()) {
            return Some("a place is that of a node that exists");
        }
        if !self.places().all(Place::is_valid) {
            return Some("a place is finite");
        }
        if self.node_sessions.len() != self.sessions.len() {
            return Some("every session is found by its node");
        }
        None
    }

    /// The sum of the hashes of all records, from the records.
    fn summed(&self) -> u64 {
        let mut sum = 0_u64;
        let mut add = |hash: u64| sum = sum.wrapping_add(hash);
        self.kv_prefix("").for_each(|pair| add(digest::of_pair(domain::KV, pair)));
        self.delays.iter().for_each(|row| add(digest::of(domain::DELAY, &row.value)));
        self.nodes.iter().for_each(|row| add(digest::of(domain::NODE, &row.value)));
        self.names.iter().for_each(|row| add(digest::of(domain::NAME, &row.value)));
        self.services.iter().for_each(|row| add(digest::of(domain::SERVICE, &*row.value)));
        self.checks.iter().for_each(|row| add(digest::of(domain::CHECK, &*row.value)));
        self.sessions.iter().for_each(|row| add(digest::of(domain::SESSION, &*row.value)));
        self.places().for_each(|place| add(digest::of(domain::PLACE, place)));
        self.autopilot().into_iter().for_each(|stored| add(digest::of(domain::AUTOPILOT, stored)));
        sum
    }

    /// How many records of all kinds there are.
    #[must_use]
    pub fn records_len(&self) -> usize {
        fn len<T: crate::radix::Keyed>(tree: &Tree<T>) -> usize {
            tree.len()
        }
        len(&self.kv)
            + len(&self.delays)
            + len(&self.nodes)
            + len(&self.services)
            + len(&self.checks)
            + len(&self.sessions)
            + len(&self.places)
            + usize::from(self.autopilot.is_some())
    }
}

fn key<V>(row: &crate::table::Row<V>) -> &[u8] {
    crate::radix::Keyed::key(row)
}
