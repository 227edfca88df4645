//! The catalog against a naive model of it: ordered maps, copied whole for every rollback.

use crate::support::{World, any_command};
use proconsul_catalog::{
    Autopilot, CheckRegistration, Command, KvOp, KvVerb, NodeRegistration, Outcome, Place,
    RecordVerb, Register, SessionCreate, TxnOp,
};
use proconsul_types::{
    CatalogIndex, Check, CheckStatus, Duration, KvPair, Node, Service, ServiceRegistration,
    Session, SessionBehavior, SessionId,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

type Text = String;

#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    kv: BTreeMap<Text, KvPair>,
    delays: BTreeMap<Text, Duration>,
    nodes: BTreeMap<Text, Node>,
    services: BTreeMap<(Text, Text), Service>,
    checks: BTreeMap<(Text, Text), Check>,
    sessions: BTreeMap<SessionId, Session>,
    places: BTreeMap<(Text, Text), Place>,
    autopilot: Option<Autopilot>,
}

fn fold(name: &str) -> Text {
    name.to_lowercase()
}

impl Model {
    /// What the command answers, as far as the model says: refusals without their texts.
    fn apply(&mut self, command: &Command) -> Outcome {
        self.now += 1;
        let before = self.clone();
        let outcome = match command {
            Command::Kv(op) => match self.write(op) {
                Ok(None) => Some(Outcome::Done),
                Ok(Some(answer)) => Some(Outcome::Answer(answer)),
                Err(()) => None,
            },
            Command::Txn(ops) => {
                let failed: Vec<bool> = ops.iter().map(|op| !self.txn_op(op)).collect();
                if failed.contains(&true) { None } else { Some(Outcome::Txn(Vec::new())) }
            }
            Command::Register(register) => self.register(register).then_some(Outcome::Done),
            Command::Deregister(old) => {
                let node = fold(&old.node);
                if let Some(service) = &old.service_id {
                    self.remove_service(&node, service);
                } else if let Some(check) = &old.check_id {
                    self.remove_check(&node, check);
                } else {
                    self.remove_node(&node);
                }
                Some(Outcome::Done)
            }
            Command::SessionCreate(new) => self.create(new).then_some(Outcome::Session(new.id)),
            Command::SessionDestroy(id) => {
                self.destroy(*id);
                Some(Outcome::Done)
            }
            Command::LockDelayOver(keys) => {
                for key in keys {
                    self.delays.remove(&**key);
                }
                Some(Outcome::Done)
            }
            Command::Coordinates(places) => {
                for place in places {
                    let node = self.nodes.get(&fold(&place.node));
                    if let Some(node) = node.filter(|_| place.is_valid()) {
                        let key = (fold(&node.name), place.segment.to_string());
                        let place = Place { node: Arc::clone(&node.name), ..place.clone() };
                        self.places.insert(key, place);
                    }
                }
                Some(Outcome::Done)
            }
            Command::Autopilot(change) => {
                let index = self.autopilot.as_ref().map_or(0, |stored| stored.modified.0);
                let holds = change.cas.is_none_or(|expected| expected == index);
                if holds {
                    let now = CatalogIndex(self.now);
                    let created = self.autopilot.as_ref().map_or(now, |stored| stored.created);
                    let config = change.config.clone();
                    self.autopilot = Some(Autopilot { config, created, modified: now });
                }
                Some(Outcome::Answer(holds))
            }
            Command::Restore(_)
            | Command::RestoreBegin
            | Command::RestorePart(_)
            | Command::RestoreEnd(_) => unreachable!("not drawn here"),
        };
        outcome.unwrap_or_else(|| {
            let now = self.now;
            *self = before;
            self.now = now;
            Outcome::TxnFailed(Vec::new())
        })
    }

    fn put(&mut self, op: &KvOp, lock_index: u64, session: Option<SessionId>) {
        let now = CatalogIndex(self.now);
        let old = self.kv.get(&*op.key);
        let mut pair = KvPair {
            key: Arc::clone(&op.key),
            value: Arc::from(&*op.value),
            flags: op.flags,
            lock_index,
            session,
            created: old.map_or(now, |old| old.created),
            modified: old.map_or(now, |old| old.modified),
        };
        if old != Some(&pair) {
            pair.modified = now;
            self.kv.insert(op.key.to_string(), pair);
        }
    }

    fn write(&mut self, op: &KvOp) -> Result<Option<bool>, ()> {
        let key = &*op.key;
        let old = self.kv.get(key).cloned();
        let session = old.as_ref().and_then(|old| old.session);
        let locks = old.as_ref().map_or(0, |old| old.lock_index);
        let index = old.as_ref().map(|old| old.modified.0);
        let answer = match op.verb {
            KvVerb::Set => {
                self.put(op, 0, session);
                return Ok(None);
            }
            KvVerb::Delete => {
                self.kv.remove(key);
                return Ok(None);
            }
            KvVerb::DeleteTree => {
                self.kv.retain(|other, _| !other.starts_with(key));
                return Ok(None);
            }
            KvVerb::Cas(expected) => {
                let holds = index.unwrap_or(0) == expected;
                if holds {
                    self.put(op, 0, session);
                }
                holds
            }
            KvVerb::DeleteCas(expected) => {
                let holds = index.is_none_or(|index| index == expected);
                if holds {
                    self.kv.remove(key);
                }
                holds
            }
            KvVerb::Acquire(id) => {
                if self.delays.contains_key(key) {
                    return Ok(Some(false));
                }
                if !self.sessions.contains_key(&id) {
                    return Err(());
                }
                let free = session.is_none();
                if free || session == Some(id) {
                    self.put(op, locks + u64::from(free), Some(id));
                }
                free || session == Some(id)
            }
            KvVerb::Release(id) => {
                let holds = session == Some(id);
                if holds {
                    self.put(op, locks, None);
                }
                holds
            }
        };
        Ok(Some(answer))
    }

    fn txn_op(&mut self, op: &TxnOp) -> bool {
        match op {
            TxnOp::Write(op) => matches!(self.write(op), Ok(None | Some(true))),
            TxnOp::Get(key) => self.kv.contains_key(&**key),
            TxnOp::GetTree(_) => true,
            TxnOp::CheckIndex(key, index) => {
                self.kv.get(&**key).is_some_and(|pair| pair.modified.0 == *index)
            }
            TxnOp::CheckSession(key, id) => {
                self.kv.get(&**key).is_some_and(|pair| pair.session == Some(*id))
            }
            TxnOp::CheckNotExists(key) => !self.kv.contains_key(&**key),
            TxnOp::CheckHolder(key, text) => self.kv.get(&**key).is_some_and(|pair| {
                pair.session.map(|id| id.to_string()).unwrap_or_default() == **text
            }),
            TxnOp::Node(verb, new) => self.txn_node(*verb, new),
            TxnOp::Service(verb, node, new) => self.txn_service(*verb, &fold(node), new),
            TxnOp::Check(verb, node, new) => self.txn_check(*verb, &fold(node), new),
        }
    }

    fn txn_node(&mut self, verb: RecordVerb, new: &NodeRegistration) -> bool {
        let name = fold(&new.name);
        let index = self.nodes.get(&name).map(|node| node.modified.0);
        match verb {
            RecordVerb::Get => match new.id {
                Some(id) => self.nodes.values().any(|node| node.id == Some(id)),
                None => index.is_some(),
            },
            RecordVerb::Set => self.register_node(new),
            RecordVerb::Cas(expected) => index.unwrap_or(0) == expected && self.register_node(new),
            RecordVerb::Delete => {
                self.remove_node(&name);
                true
            }
            RecordVerb::DeleteCas(expected) => {
                self.remove_node(&name);
                index == Some(expected)
            }
        }
    }

    fn txn_service(&mut self, verb: RecordVerb, node: &str, new: &ServiceRegistration) -> bool {
        let place = (node.to_string(), new.id.to_string());
        let index = self.services.get(&place).map(|service| service.modified.0);
        let known = self.nodes.contains_key(node);
        match verb {
            RecordVerb::Get => index.is_some(),
            RecordVerb::Set | RecordVerb::Cas(_) => {
                let holds = match verb {
                    RecordVerb::Cas(expected) => index.unwrap_or(0) == expected,
                    RecordVerb::Get
                    | RecordVerb::Set
                    | RecordVerb::Delete
                    | RecordVerb::DeleteCas(_) => true,
                };
                if known && holds {
                    self.register_service(node, new);
                }
                known && holds
            }
            RecordVerb::Delete => {
                self.remove_service(node, &new.id);
                true
            }
            RecordVerb::DeleteCas(expected) => {
                self.remove_service(node, &new.id);
                index == Some(expected)
            }
        }
    }

    fn txn_check(&mut self, verb: RecordVerb, node: &str, new: &CheckRegistration) -> bool {
        let place = (node.to_string(), new.id.to_string());
        let index = self.checks.get(&place).map(|check| check.modified.0);
        let name = self.nodes.get(node).map(|node| Arc::clone(&node.name));
        match verb {
            RecordVerb::Get => index.is_some(),
            RecordVerb::Cas(expected) if index.unwrap_or(0) != expected => false,
            RecordVerb::Set | RecordVerb::Cas(_) => {
                name.is_some_and(|name| self.register_check(node, &name, new))
            }
            RecordVerb::Delete => {
                self.remove_check(node, &new.id);
                true
            }
            RecordVerb::DeleteCas(expected) => {
                self.remove_check(node, &new.id);
                index == Some(expected)
            }
        }
    }

    fn register(&mut self, new: &Register) -> bool {
        let name = fold(&new.node.name);
        let skips = new.skip_node_update && self.nodes.contains_key(&name);
        if !skips && !self.register_node(&new.node) {
            return false;
        }
        let node = Arc::clone(&self.nodes[&name].name);
        for new in &new.services {
            self.register_service(&name, new);
        }
        new.checks.iter().all(|check| self.register_check(&name, &node, check))
    }

    fn register_service(&mut self, name: &str, new: &ServiceRegistration) {
        let node = Arc::clone(&self.nodes[name].name);
        let now = CatalogIndex(self.now);
        let key = (name.to_string(), new.id.to_string());
        let old = self.services.get(&key);
        let mut service = Service {
            node: Arc::clone(&node),
            registration: new.clone(),
            created: old.map_or(now, |old| old.created),
            modified: old.map_or(now, |old| old.modified),
        };
        if old == Some(&service) {
            return;
        }
        service.modified = now;
        for (place, check) in &mut self.checks {
            if place.0 == name && check.service_id == new.id && check.service_name != new.name {
                check.service_name = Arc::clone(&new.name);
                check.service_tags = new.tags.clone();
                check.modified = now;
            }
        }
        self.services.insert(key, service);
    }

    fn register_node(&mut self, new: &NodeRegistration) -> bool {
        let name = fold(&new.name);
        let mut created = None;
        if let Some(id) = new.id {
            let same = self.nodes.values().find(|node| node.id == Some(id)).cloned();
            let moves = same.as_ref().is_some_and(|node| fold(&node.name) != name);
            if same.is_none() || moves {
                // No check of this name is ever drawn, so no holder is alive.
                if let Some(same) = same {
                    created = Some(same.created);
                    self.remove_node(&fold(&same.name));
                }
            }
        }
        let now = CatalogIndex(self.now);
        let old = self.nodes.get(&name);
        let mut node = Node {
            id: new.id,
            name: Arc::clone(&new.name),
            address: Arc::clone(&new.address),
            datacenter: Arc::clone(&new.datacenter),
            tagged_addresses: new.tagged_addresses.clone(),
            meta: new.meta.clone(),
            created: created.or_else(|| old.map(|old| old.created)).unwrap_or(now),
            modified: old.map_or(now, |old| old.modified),
        };
        if old != Some(&node) {
            node.modified = now;
            self.nodes.insert(name, node);
        }
        true
    }

    fn register_check(&mut self, name: &str, node: &Arc<str>, new: &CheckRegistration) -> bool {
        let now = CatalogIndex(self.now);
        let service = self.services.get(&(name.to_string(), new.service_id.to_string()));
        if service.is_none() && !new.service_id.is_empty() {
            return false;
        }
        let key = (name.to_string(), new.id.to_string());
        let old = self.checks.get(&key);
        let mut check = Check {
            node: Arc::clone(node),
            id: Arc::clone(&new.id),
            name: Arc::clone(&new.name),
            status: new.status,
            notes: Arc::clone(&new.notes),
            output: Arc::clone(&new.output),
            service_id: Arc::clone(&new.service_id),
            service_name: service
                .map_or_else(|| "".into(), |service| Arc::clone(&service.registration.name)),
            service_tags: service
                .map(|service| service.registration.tags.clone())
                .unwrap_or_default(),
            kind: Arc::clone(&new.kind),
            definition: new.definition.clone(),
            created: old.map_or(now, |old| old.created),
            modified: old.map_or(now, |old| old.modified),
        };
        if old != Some(&check) {
            check.modified = now;
            self.checks.insert(key, check);
        }
        if new.status == CheckStatus::Critical {
            self.check_lost(name, &new.id);
        }
        true
    }

    fn check_lost(&mut self, node: &str, check: &str) {
        let watches = |session: &&Session| {
            fold(&session.node) == node && session.node_checks.iter().any(|id| **id == *check)
        };
        let ids: Vec<_> = self.sessions.values().filter(watches).map(|s| s.id).collect();
        for id in ids {
            self.destroy(id);
        }
    }

    fn remove_check(&mut self, node: &str, id: &str) {
        if self.checks.remove(&(node.to_string(), id.to_string())).is_some() {
            self.check_lost(node, id);
        }
    }

    fn remove_service(&mut self, node: &str, id: &str) {
        if self.services.remove(&(node.to_string(), id.to_string())).is_none() {
            return;
        }
        let checks: Vec<_> = self
            .checks
            .iter()
            .filter(|(place, check)| place.0 == node && *check.service_id == *id)
            .map(|(place, _)| place.1.clone())
            .collect();
        for check in checks {
            self.remove_check(node, &check);
        }
    }

    fn remove_node(&mut self, node: &str) {
        if self.nodes.remove(node).is_none() {
            return;
        }
        self.services.retain(|place, _| place.0 != node);
        self.checks.retain(|place, _| place.0 != node);
        self.places.retain(|place, _| place.0 != node);
        let on_node = |session: &&Session| fold(&session.node) == node;
        let ids: Vec<_> = self.sessions.values().filter(on_node).map(|s| s.id).collect();
        for id in ids {
            self.destroy(id);
        }
    }

    fn create(&mut self, new: &SessionCreate) -> bool {
        let node = fold(&new.node);
        if !self.nodes.contains_key(&node) {
            return false;
        }
        if self.sessions.contains_key(&new.id) {
            return true;
        }
        let healthy = |id: &Arc<str>| {
            self.checks
                .get(&(node.clone(), id.to_string()))
                .is_some_and(|check| check.status != CheckStatus::Critical)
        };
        if !new.node_checks.iter().all(healthy) {
            return false;
        }
        let session = Session {
            id: new.id,
            name: Arc::clone(&new.name),
            node: Arc::clone(&new.node),
            lock_delay: new.lock_delay,
            behavior: new.behavior,
            ttl: Arc::clone(&new.ttl),
            node_checks: new.node_checks.clone(),
            service_checks: new.service_checks.clone(),
            created: CatalogIndex(self.now),
            modified: CatalogIndex(self.now),
        };
        self.sessions.insert(new.id, session);
        true
    }

    fn destroy(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        let held: Vec<_> = self
            .kv
            .iter()
            .filter(|(_, pair)| pair.session == Some(id))
            .map(|(key, _)| key.clone())
            .collect();
        for key in held {
            match session.behavior {
                SessionBehavior::Delete => {
                    self.kv.remove(&key);
                }
                SessionBehavior::Release => {
                    let pair = self.kv.get_mut(&key).unwrap();
                    pair.session = None;
                    pair.modified = CatalogIndex(self.now);
                }
            }
            if !session.lock_delay.is_zero() {
                self.delays.insert(key, session.lock_delay);
            }
        }
    }
}

fn agree(world: &World, model: &Model) {
    let catalog = &world.catalog;
    let kv: Vec<_> = catalog.kv_prefix("").cloned().collect();
    assert_eq!(kv, model.kv.values().cloned().collect::<Vec<_>>());
    let delays: Vec<_> = catalog.lock_delays().map(|(key, d)| (key.to_string(), d)).collect();
    assert_eq!(delays, model.delays.clone().into_iter().collect::<Vec<_>>());
    let nodes: Vec<_> = catalog.nodes().cloned().collect();
    assert_eq!(nodes, model.nodes.values().cloned().collect::<Vec<_>>());
    let checks: Vec<_> = catalog.checks().cloned().collect();
    assert_eq!(checks, model.checks.values().cloned().collect::<Vec<_>>());
    let sessions: Vec<_> = catalog.sessions().cloned().collect();
    assert_eq!(sessions, model.sessions.values().cloned().collect::<Vec<_>>());
    let places: Vec<_> = catalog.places().cloned().collect();
    assert_eq!(places, model.places.values().cloned().collect::<Vec<_>>());
    assert_eq!(catalog.autopilot(), model.autopilot.as_ref());
    let services: Vec<_> =
        catalog.nodes().flat_map(|node| catalog.node_services(&node.name)).cloned().collect();
    assert_eq!(services, model.services.values().cloned().collect::<Vec<_>>());
    for service in &services {
        let found =
            catalog.service_instances(&service.registration.name).filter(|other| *other == service);
        assert_eq!(found.count(), 1);
        let about = |check: &&Check| {
            fold(&check.node) == fold(&service.node) && check.service_id == service.registration.id
        };
        let expected: Vec<_> = model.checks.values().filter(about).collect();
        let found: Vec<_> =
            catalog.instance_checks(&service.node, &service.registration.id).collect();
        assert_eq!(found, expected);
    }
    for node in &nodes {
        let own =
            |check: &&Check| fold(&check.node) == fold(&node.name) && check.service_id.is_empty();
        let expected: Vec<_> = model.checks.values().filter(own).collect();
        assert_eq!(catalog.node_only_checks(&node.name).collect::<Vec<_>>(), expected);
        if let Some(id) = node.id {
            assert_eq!(catalog.node_by_id(id), Some(node));
        }
    }
    for session in &sessions {
        let held: Vec<_> = catalog.session_keys(session.id).map(|key| key.to_string()).collect();
        let locked = |pair: &&KvPair| pair.session == Some(session.id);
        let expected: Vec<_> =
            model.kv.values().filter(locked).map(|pair| pair.key.to_string()).collect();
        assert_eq!(held, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn the_catalog_is_what_its_model_is(
        commands in proptest::collection::vec(any_command(), 1..60)
    ) {
        let mut world = World::new();
        let mut model = Model { now: 1, ..Model::default() };
        for command in &commands {
            let expected = model.apply(command);
            let applied = world.apply(command);
            match (&applied.outcome, &expected) {
                (Outcome::Rejected(_) | Outcome::TxnFailed(_), Outcome::TxnFailed(_)) => {
                    prop_assert!(applied.topics.is_empty() && applied.facts.is_empty());
                }
                (Outcome::Txn(_), Outcome::Txn(_)) => {}
                (outcome, expected) => prop_assert_eq!(outcome, expected),
            }
            world.catalog.check_invariants();
            agree(&world, &model);
        }
    }
}
