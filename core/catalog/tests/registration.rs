//! Names, ids, conflicts, cascades: the texts were captured from Consul 1.8.7.

use crate::support::{World, check, create, deregister, node, register, service, session};
use proconsul_catalog::{Command, NodeRegistration, Outcome, Register};
use proconsul_types::{CheckStatus, NodeId, ServiceRegistration, SessionId};

fn alive(name: &str, id: Option<u128>) -> Command {
    register(node(name, id), vec![], vec![check("serfHealth", "", CheckStatus::Passing)])
}

#[test]
fn a_living_node_keeps_its_name() {
    let mut world = World::new();
    world.does(&alive("a", Some(1)));
    world.does(&alive("b", Some(3)));
    world.does(&alive("e", None));
    let id = |n: u128| NodeId::from_bits(n).to_string();
    assert_eq!(
        world.refused(&register(node("A", Some(2)), vec![], vec![])),
        format!(
            "failed inserting node: Error while renaming Node ID: \"{}\": Node name A is reserved \
             by node {} with name a (10.0.0.1)",
            id(2),
            id(1)
        )
    );
    assert_eq!(
        world.refused(&register(node("e", Some(3)), vec![], vec![])),
        format!(
            "failed inserting node: Error while renaming Node ID: \"{}\" (10.0.0.1): Node name e \
             is reserved by node  with name e (10.0.0.1)",
            id(3)
        )
    );
    // One without an id may be given one, and a dead one gives its name away.
    assert_eq!(world.does(&register(node("e", Some(4)), vec![], vec![])), Outcome::Done);
    let dead = vec![check("serfHealth", "", CheckStatus::Critical)];
    world.does(&register(node("a", Some(1)), vec![], dead));
    assert_eq!(world.does(&register(node("a", Some(2)), vec![], vec![])), Outcome::Done);
    assert!(world.catalog.node_by_id(NodeId::from_bits(1)).is_none());
    assert_eq!(&*world.catalog.node_by_id(NodeId::from_bits(2)).unwrap().name, "a");
    world.catalog.check_invariants();
}

#[test]
fn an_id_takes_a_new_name_and_leaves_everything_behind() {
    let mut world = World::new();
    world.does(&register(node("b", Some(3)), vec![service("s", "web")], vec![]));
    let created = world.catalog.node("b").unwrap().created;
    world.does(&register(node("b2", Some(3)), vec![], vec![]));
    assert!(world.catalog.node("b").is_none());
    assert_eq!(world.catalog.node("B2").unwrap().created, created);
    assert_eq!(world.catalog.service_instances("web").count(), 0);
    world.catalog.check_invariants();
}

#[test]
fn what_is_missing_is_named() {
    let mut world = World::new();
    let orphan = vec![check("x", "nope", CheckStatus::Passing)];
    assert_eq!(
        world.refused(&register(node("c", None), vec![], orphan)),
        "failed inserting check: Missing service registration on node \"c\""
    );
    assert!(world.catalog.node("c").is_none(), "a refused command changes nothing");
    assert_eq!(world.refused(&create(session(1, "c", &[]))), "Missing node registration");
    world.does(&register(
        node("c", None),
        vec![],
        vec![check("bad", "", CheckStatus::Critical), check("ok", "", CheckStatus::Warning)],
    ));
    assert_eq!(
        world.refused(&create(session(1, "c", &["ok", "nope"]))),
        "Missing check 'nope' registration"
    );
    assert_eq!(
        world.refused(&create(session(1, "c", &["bad"]))),
        "Check 'bad' is in critical state"
    );
    let id = SessionId::from_bits(1);
    assert_eq!(world.does(&create(session(1, "c", &["ok"]))), Outcome::Session(id));
}

#[test]
fn a_node_goes_with_everything_on_it() {
    let mut world = World::new();
    world.does(&register(
        node("n", None),
        vec![service("s", "web")],
        vec![check("c", "s", CheckStatus::Passing), check("d", "", CheckStatus::Passing)],
    ));
    world.does(&create(session(1, "N", &["d"])));
    world.does(&deregister("N", None, None));
    assert_eq!(world.catalog.records_len(), 0);
    world.catalog.check_invariants();
    let applied = world.apply(&deregister("n", Some("s"), None));
    assert!(applied.topics.is_empty() && applied.outcome == Outcome::Done);
}

#[test]
fn a_node_may_be_left_as_it_is() {
    let mut world = World::new();
    world.does(&register(node("n", Some(1)), vec![], vec![]));
    let before = world.catalog.node("n").cloned();
    world.does(&Command::Register(Box::new(Register {
        node: NodeRegistration { name: "n".into(), ..NodeRegistration::default() },
        skip_node_update: true,
        services: vec![service("s", "web")],
        checks: vec![],
    })));
    assert_eq!(world.catalog.node("n").cloned(), before);
    assert_eq!(world.catalog.service_instances("WEB").count(), 1);
}

#[test]
fn services_show_each_tag_once() {
    let mut world = World::new();
    let tagged = |id: &str, name: &str, tags: &[&str]| ServiceRegistration {
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..service(id, name)
    };
    let first = tagged("1", "web", &["v1", "primary"]);
    let rest = vec![first, tagged("2", "web", &["v2", "v1"]), tagged("3", "six", &[])];
    world.does(&register(node("n", None), rest, vec![]));
    let shown: Vec<(&str, Vec<&str>)> = world
        .catalog
        .services()
        .map(|(name, tags)| (&**name, tags.into_iter().map(|tag| &**tag).collect()))
        .collect();
    assert_eq!(shown, [("six", vec![]), ("web", vec!["v1", "primary", "v2"])]);
}

#[test]
fn checks_follow_a_renamed_instance() {
    let mut world = World::new();
    let checks = vec![check("c", "s", CheckStatus::Passing)];
    world.does(&register(node("n", None), vec![service("s", "web")], checks));
    world.does(&register(node("n", None), vec![service("s", "db")], vec![]));
    assert_eq!(world.catalog.service_checks("web").count(), 0);
    assert_eq!(world.catalog.service_checks("db").count(), 1);
    assert_eq!(world.catalog.instance_checks("n", "s").count(), 1);
    assert_eq!(world.catalog.services().count(), 1);
    world.catalog.check_invariants();
}
