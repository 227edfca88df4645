//! Where agents are, and what autopilot is to do.

use crate::support::{World, autopilot, deregister, node, place, register};
use proconsul_catalog::{Command, Outcome, Topic};
use proconsul_types::CatalogIndex;

#[test]
fn places_belong_to_nodes_that_are_there() {
    let mut world = World::new();
    world.does(&register(node("n", None), vec![], vec![]));
    let update = vec![
        place("N", "", 0.5),
        place("none", "", 0.5),
        place("n", "alpha", 1.0),
        place("n", "beta", f64::INFINITY),
    ];
    let applied = world.apply(&Command::Coordinates(update.clone()));
    assert_eq!(applied.topics.iter().collect::<Vec<_>>(), [&Topic::Coordinates]);
    let index = world.catalog.places_index();
    assert_eq!(index, CatalogIndex(world.next - 1));
    let shown: Vec<_> =
        world.catalog.places().map(|place| (&*place.node, &*place.segment)).collect();
    assert_eq!(shown, [("n", ""), ("n", "alpha")], "named as the node is");
    assert!(world.apply(&Command::Coordinates(update)).topics.is_empty(), "nothing is new");
    assert_eq!(world.catalog.places_index(), index);
    assert_eq!(world.catalog.node_places("N").count(), 2);
    world.does(&deregister("n", None, None));
    assert_eq!(world.catalog.places().count(), 0);
    assert!(world.catalog.places_index() > index);
    world.catalog.check_invariants();
}

#[test]
fn autopilot_is_changed_whole_and_by_index() {
    let mut world = World::new();
    assert_eq!(world.catalog.autopilot(), None);
    assert_eq!(world.does(&autopilot(true, 1, Some(3))), Outcome::Answer(false));
    assert_eq!(world.does(&autopilot(true, 1, Some(0))), Outcome::Answer(true));
    assert_eq!(world.does(&autopilot(true, 1, Some(0))), Outcome::Answer(false));
    assert_eq!(world.does(&autopilot(true, 1, None)), Outcome::Answer(true));
    let first = world.catalog.autopilot().unwrap().clone();
    assert_eq!(
        world.does(&autopilot(false, 2, Some(first.modified.0 + 1))),
        Outcome::Answer(false)
    );
    assert_eq!(world.catalog.autopilot(), Some(&first));
    assert_eq!(world.does(&autopilot(false, 2, Some(first.modified.0))), Outcome::Answer(true));
    let second = world.catalog.autopilot().unwrap();
    assert_eq!((second.created, second.config.max_trailing_logs), (first.created, 2));
    assert_eq!(second.modified, CatalogIndex(world.next - 1));
    world.catalog.check_invariants();
}
