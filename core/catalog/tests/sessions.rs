//! Locks and the ends of sessions, line by line of the table of operations under a lock.

use crate::support::{World, check, create, deregister, kv, node, register, session};
use proconsul_catalog::{Command, Fact, KvVerb, Outcome, SessionCreate};
use proconsul_types::{CheckStatus, Duration, SessionBehavior, SessionId};

const ONE: SessionId = SessionId(1);
const TWO: SessionId = SessionId(2);

fn two_sessions() -> World {
    let mut world = World::new();
    let checks = vec![check("c", "", CheckStatus::Passing)];
    world.does(&register(node("n", None), vec![], checks));
    world.does(&create(session(1, "n", &["c"])));
    world.does(&create(session(2, "n", &[])));
    world
}

fn lock(world: &World, key: &str) -> (u64, Option<SessionId>) {
    let pair = world.catalog.kv_get(key).unwrap();
    (pair.lock_index, pair.session)
}

#[test]
fn operations_under_a_lock() {
    let mut world = two_sessions();
    let yes = Outcome::Answer(true);
    let no = Outcome::Answer(false);
    assert_eq!(world.does(&kv(KvVerb::Release(ONE), "k", "")), no, "there is nothing to release");
    assert_eq!(world.does(&kv(KvVerb::Acquire(ONE), "k", "a")), yes);
    assert_eq!(lock(&world, "k"), (1, Some(ONE)));
    assert_eq!(world.does(&kv(KvVerb::Acquire(ONE), "k", "b")), yes);
    assert_eq!(lock(&world, "k"), (1, Some(ONE)), "the holder may go on holding");
    assert_eq!(&*world.catalog.kv_get("k").unwrap().value, b"b");
    assert_eq!(world.does(&kv(KvVerb::Acquire(TWO), "k", "c")), no);
    assert_eq!(world.does(&kv(KvVerb::Release(TWO), "k", "c")), no);
    world.set("k", "b");
    assert_eq!(lock(&world, "k"), (0, Some(ONE)), "a plain write keeps the lock, not its count");
    assert_eq!(world.does(&kv(KvVerb::Release(ONE), "k", "d")), yes);
    assert_eq!(lock(&world, "k"), (0, None));
    assert_eq!(&*world.catalog.kv_get("k").unwrap().value, b"d");
    assert_eq!(world.catalog.lock_delays().count(), 0, "a clean release delays nobody");
    assert_eq!(world.does(&kv(KvVerb::Acquire(TWO), "k", "e")), yes);
    assert_eq!(lock(&world, "k"), (1, Some(TWO)));
    world.does(&kv(KvVerb::Delete, "k", ""));
    assert_eq!(world.catalog.session_keys(TWO).count(), 0);
    assert_eq!(
        world.refused(&kv(KvVerb::Acquire(SessionId(9)), "k", "")),
        "invalid session \"00000000-0000-0000-0000-000000000009\""
    );
    world.catalog.check_invariants();
}

#[test]
fn an_end_releases_and_delays() {
    let mut world = two_sessions();
    world.does(&kv(KvVerb::Acquire(ONE), "k", "a"));
    let applied = world.apply(&Command::SessionDestroy(ONE));
    let delay = Duration::from_secs(15);
    assert_eq!(applied.facts, [Fact::SessionDestroyed(ONE), Fact::LockDelayed("k".into(), delay)]);
    assert_eq!(lock(&world, "k"), (1, None));
    assert_eq!(world.catalog.kv_key_index("k").0, world.next - 1);
    let take = kv(KvVerb::Acquire(TWO), "k", "b");
    assert_eq!(world.does(&take), Outcome::Answer(false));
    world.set("k", "anyone may write");
    let applied = world.apply(&Command::LockDelayOver(vec!["k".into(), "other".into()]));
    assert_eq!(applied.facts, [Fact::LockDelayOver("k".into())]);
    assert_eq!(world.does(&take), Outcome::Answer(true));
    assert_eq!(world.apply(&Command::SessionDestroy(ONE)).facts, []);
}

#[test]
fn a_deleting_session_takes_its_keys_along() {
    let mut world = two_sessions();
    world.does(&create(SessionCreate {
        behavior: SessionBehavior::Delete,
        lock_delay: Duration::from_secs(120),
        ttl: "10s".into(),
        ..session(3, "n", &[])
    }));
    assert_eq!(world.catalog.session_ttl(SessionId(3)), Some(Duration::from_secs(10)));
    world.does(&kv(KvVerb::Acquire(SessionId(3)), "k", "a"));
    world.does(&Command::SessionDestroy(SessionId(3)));
    assert!(world.catalog.kv_get("k").is_none());
    let delays: Vec<_> = world.catalog.lock_delays().map(|(_, delay)| delay).collect();
    assert_eq!(delays, [Duration::from_secs(60)], "longer delays are cut");
    assert_eq!(world.does(&kv(KvVerb::Acquire(TWO), "k", "")), Outcome::Answer(false));
}

#[test]
fn a_session_ends_with_what_it_depends_on() {
    let critical = vec![check("c", "", CheckStatus::Critical)];
    for end in [
        register(node("n", None), vec![], critical),
        deregister("n", None, Some("c")),
        deregister("n", None, None),
    ] {
        let mut world = two_sessions();
        world.does(&kv(KvVerb::Acquire(ONE), "k", "a"));
        world.does(&end);
        assert!(world.catalog.session(ONE).is_none());
        assert_eq!(lock(&world, "k").1, None);
        world.catalog.check_invariants();
    }
    let mut world = two_sessions();
    let warning = vec![check("c", "", CheckStatus::Warning)];
    world.does(&register(node("n", None), vec![], warning));
    assert!(world.catalog.session(ONE).is_some(), "a warning ends nothing");
}

#[test]
fn a_ttl_is_told_to_the_timers() {
    let mut world = two_sessions();
    let applied =
        world.apply(&create(SessionCreate { ttl: "1m30s".into(), ..session(5, "n", &[]) }));
    let ttl = Some(Duration::from_secs(90));
    assert_eq!(applied.facts, [Fact::SessionCreated(SessionId(5), ttl)]);
    let again = world.apply(&create(session(5, "n", &[])));
    assert_eq!(again.outcome, Outcome::Session(SessionId(5)));
    assert!(again.facts.is_empty() && again.topics.is_empty());
}
