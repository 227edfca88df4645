//! The laws of blocking reads: an answer never changes without its index, no index goes backwards,
//! and whoever waits for what changed is woken.

use crate::support::{World, any_command, check, deregister, kv, node, register, service};
use proconsul_catalog::{Catalog, KvVerb, Topic, Waiters};
use proconsul_types::{CatalogIndex, CheckStatus};
use proptest::prelude::*;

/// A read: what it answers, the index that governs it, and what it depends on.
struct Read {
    name: String,
    answer: String,
    index: CatalogIndex,
    topics: Vec<Topic>,
}

fn keys() -> Vec<String> {
    let mut keys = vec![String::new()];
    for at in 0..40 {
        let longer: Vec<String> =
            ["a", "b", "/"].iter().map(|c| format!("{}{c}", keys[at])).collect();
        keys.extend(longer);
    }
    keys
}

fn reads(catalog: &Catalog, keys: &[String]) -> Vec<Read> {
    let mut reads = Vec::new();
    let mut add = |name: String, answer: String, index, topics: &[Topic]| {
        reads.push(Read { name, answer, index, topics: topics.to_vec() });
    };
    for key in keys {
        let topic = Topic::Key(key.as_str().into());
        let answer = format!("{:?}", catalog.kv_get(key));
        add(format!("key {key}"), answer, catalog.kv_key_index(key), &[topic]);
        let topic = Topic::Prefix(key.as_str().into());
        let answer = format!("{:?}", catalog.kv_prefix(key).collect::<Vec<_>>());
        add(format!("prefix {key}"), answer, catalog.kv_prefix_index(key), &[topic]);
    }
    let answer = format!("{:?}", catalog.nodes().collect::<Vec<_>>());
    add("nodes".into(), answer, catalog.nodes_index(), &[Topic::Nodes]);
    let answer = format!("{:?}", catalog.services().collect::<Vec<_>>());
    add("services".into(), answer, catalog.services_index(), &[Topic::Services]);
    let answer = format!("{:?}", catalog.checks().collect::<Vec<_>>());
    add("checks".into(), answer, catalog.checks_index(), &[Topic::Checks]);
    let answer = format!("{:?}", catalog.sessions().collect::<Vec<_>>());
    add("sessions".into(), answer, catalog.sessions_index(), &[Topic::Sessions]);
    let answer = format!("{:?}", catalog.places().collect::<Vec<_>>());
    add("places".into(), answer, catalog.places_index(), &[Topic::Coordinates]);
    for name in ["m", "n"] {
        let answer = format!(
            "{:?} {:?} {:?}",
            catalog.node(name),
            catalog.node_services(name).collect::<Vec<_>>(),
            catalog.node_checks(name).collect::<Vec<_>>()
        );
        let topic = Topic::Node(name.into());
        add(format!("node {name}"), answer, catalog.node_index(name), &[topic]);
    }
    for name in ["v", "w"] {
        let instances: Vec<_> = catalog.service_instances(name).collect();
        let nodes: Vec<_> = instances.iter().map(|found| catalog.node(&found.node)).collect();
        let answer = format!("{instances:?} {nodes:?}");
        let topic = Topic::Service(name.into());
        add(format!("service {name}"), answer, catalog.service_index(name), &[topic]);
        let checks: Vec<_> = instances
            .iter()
            .flat_map(|found| {
                let own = catalog.instance_checks(&found.node, &found.registration.id);
                catalog.node_only_checks(&found.node).chain(own)
            })
            .collect();
        let answer = format!("{instances:?} {nodes:?} {checks:?}");
        let topic = Topic::ServiceHealth(name.into());
        add(format!("health {name}"), answer, catalog.service_health_index(name), &[topic]);
    }
    reads
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn reads_can_be_waited_for(commands in proptest::collection::vec(any_command(), 1..50)) {
        let keys = keys();
        let mut world = World::new();
        let mut before = reads(&world.catalog, &keys);
        let mut waiters = Waiters::default();
        for (id, read) in before.iter().enumerate() {
            for topic in &read.topics {
                waiters.insert(topic, id);
            }
        }
        for command in &commands {
            let applied = world.apply(command);
            let after = reads(&world.catalog, &keys);
            let woken = waiters.woken(&applied.topics);
            for (id, (old, new)) in before.iter().zip(&after).enumerate() {
                prop_assert!(new.index >= old.index, "{} went backwards", new.name);
                prop_assert!(new.index.0 >= 1 && new.index.0 <= world.next.max(1));
                if new.answer != old.answer {
                    prop_assert!(new.index > old.index, "{} changed under its index", new.name);
                    prop_assert!(woken.contains(&id), "{} slept through {command:?}", new.name);
                }
            }
            before = after;
        }
    }
}

#[test]
fn a_deletion_moves_its_prefix_and_nothing_else() {
    let mut world = World::new();
    let one = world.set("g/1", "a");
    world.set("g/2", "a");
    let other = world.set("h/1", "a");
    world.does(&kv(KvVerb::Delete, "g/2", ""));
    let deleted = world.next - 1;
    assert_eq!(world.catalog.kv_prefix_index("g/").0, deleted);
    assert_eq!(world.catalog.kv_key_index("g/1").0, one);
    assert_eq!(world.catalog.kv_prefix_index("h/").0, other);
    world.set("z", "a");
    assert_eq!(world.catalog.kv_prefix_index("g/").0, deleted);
}

#[test]
fn a_read_of_nothing_has_an_index() {
    let world = World::new();
    for read in reads(&world.catalog, &keys()) {
        assert_eq!(read.index, CatalogIndex(1), "{}", read.name);
    }
}

#[test]
fn the_same_registration_changes_nothing() {
    let mut world = World::new();
    let command = register(
        node("n", Some(1)),
        vec![service("s", "web")],
        vec![check("c", "s", CheckStatus::Passing)],
    );
    assert!(!world.apply(&command).topics.is_empty());
    let before = reads(&world.catalog, &[]);
    let hash = |world: &World| {
        let mut bytes = Vec::new();
        let mut reader = world.catalog.snapshot();
        while let Some(chunk) = reader.next_chunk(1 << 16) {
            bytes.extend_from_slice(&chunk);
        }
        bytes.len()
    };
    let size = hash(&world);
    assert!(world.apply(&command).topics.is_empty());
    assert_eq!(hash(&world), size);
    for (old, new) in before.iter().zip(reads(&world.catalog, &[])) {
        assert_eq!((&old.answer, old.index), (&new.answer, new.index));
    }
}

#[test]
fn other_services_and_nodes_stay_where_they_are() {
    let mut world = World::new();
    world.does(&register(node("n", None), vec![service("s", "web")], vec![]));
    world.does(&register(node("m", None), vec![service("t", "db")], vec![]));
    let web = world.catalog.service_health_index("web");
    let n = world.catalog.node_index("n");
    world.does(&register(node("m", None), vec![], vec![check("c", "t", CheckStatus::Passing)]));
    let checked = CatalogIndex(world.next - 1);
    assert_eq!(world.catalog.service_health_index("DB"), checked);
    assert!(world.catalog.service_index("db") < checked, "checks are not instances");
    assert_eq!(world.catalog.service_health_index("web"), web);
    assert_eq!(world.catalog.node_index("N"), n);
    assert_eq!(world.catalog.service_index("none"), CatalogIndex(1));
    world.does(&deregister("m", Some("t"), None));
    let extinct = CatalogIndex(world.next - 1);
    assert_eq!(world.catalog.service_index("db"), extinct);
    assert_eq!(world.catalog.service_index("none"), extinct);
    assert_eq!(world.catalog.service_health_index("web"), web);
}

#[test]
fn a_big_recursive_delete_is_one_topic() {
    let mut world = World::new();
    for n in 0..1000 {
        world.set(&format!("p/{n}"), "v");
    }
    let applied = world.apply(&kv(KvVerb::DeleteTree, "p/", ""));
    assert_eq!(applied.topics.iter().collect::<Vec<_>>(), [&Topic::Prefix("p/".into())]);
    assert_eq!(world.catalog.kv_len(), 0);
    let applied = world.apply(&kv(KvVerb::DeleteTree, "p/", ""));
    assert!(applied.topics.is_empty());
}
