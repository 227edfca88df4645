//! Transactions: every reason is told, and nothing happens for any of them.

use crate::support::{World, check, create, kv, kv_op, node, register, service, session};
use proconsul_catalog::{
    CheckRegistration, Command, KvOp, KvVerb, NodeRegistration, Outcome, RecordVerb, TxnOp,
    TxnResult,
};
use proconsul_types::{CatalogIndex, CheckStatus, KvPair, ServiceRegistration, SessionId};

fn write(verb: KvVerb, key: &str) -> TxnOp {
    TxnOp::Write(kv_op(verb, key, "new"))
}

fn errors(world: &mut World, ops: Vec<TxnOp>) -> Vec<(u32, String)> {
    let outcome = world.does(&Command::Txn(ops));
    let Outcome::TxnFailed(errors) = outcome else {
        panic!("it did not fail: {outcome:?}");
    };
    errors.into_iter().map(|error| (error.op, error.text)).collect()
}

#[test]
fn all_writes_share_an_index_and_reads_see_them() {
    let mut world = World::new();
    world.set("t/z", "old");
    let applied = world.apply(&Command::Txn(vec![
        TxnOp::Write(KvOp { flags: 7, ..kv_op(KvVerb::Set, "t/a", "hi") }),
        TxnOp::Get("t/a".into()),
        write(KvVerb::Delete, "t/zz"),
        write(KvVerb::Set, "t/b"),
        TxnOp::GetTree("t/".into()),
        TxnOp::CheckNotExists("t/c".into()),
    ]));
    let index = CatalogIndex(world.next - 1);
    let Outcome::Txn(results) = applied.outcome else {
        panic!("it failed: {applied:?}");
    };
    let pairs: Vec<(&KvPair, bool)> = results
        .iter()
        .map(|result| match result {
            TxnResult::Pair { pair, with_value } => (pair, *with_value),
            TxnResult::Node(_) | TxnResult::Service(_) | TxnResult::Check(_) => panic!("a record"),
        })
        .collect();
    let shown: Vec<_> = pairs
        .iter()
        .map(|(pair, with_value)| (&*pair.key, pair.value.len(), *with_value))
        .collect();
    assert_eq!(
        shown,
        [
            ("t/a", 0, false),
            ("t/a", 2, true),
            ("t/b", 0, false),
            ("t/a", 2, true),
            ("t/b", 3, true),
            ("t/z", 3, true)
        ]
    );
    assert_eq!(pairs[0].0.flags, 7);
    assert!(pairs[..5].iter().all(|(pair, _)| pair.modified == index));
}

#[test]
fn the_texts_are_those_that_clients_match() {
    let mut world = World::new();
    world.does(&register(node("n", None), vec![], vec![]));
    let (one, two) = (SessionId::from_bits(1), SessionId::from_bits(2));
    let none = "00000000-0000-0000-0000-000000000009";
    world.does(&create(session(1, "n", &[])));
    world.does(&create(session(2, "n", &[])));
    world.does(&kv(KvVerb::Acquire(one), "lk", "v"));
    let locked = world.next - 1;
    let before = world.catalog.clone();
    let texts = errors(
        &mut world,
        vec![
            write(KvVerb::Set, "fine"),
            write(KvVerb::Cas(1), "absent"),
            write(KvVerb::DeleteCas(5), "absent"),
            write(KvVerb::DeleteCas(1), "lk"),
            write(KvVerb::Acquire(SessionId::from_bits(9)), "absent"),
            write(KvVerb::Acquire(two), "lk"),
            write(KvVerb::Release(two), "lk"),
            TxnOp::Get("q\"\u{1}".into()),
            TxnOp::CheckIndex("lk".into(), 999),
            TxnOp::CheckIndex("absent".into(), 3),
            TxnOp::CheckSession("lk".into(), two),
            TxnOp::CheckSession("fine".into(), two),
            TxnOp::CheckSession("absent".into(), two),
            TxnOp::CheckNotExists("lk".into()),
            TxnOp::CheckNotExists("fine".into()),
            TxnOp::CheckHolder("lk".into(), "".into()),
            TxnOp::CheckHolder("lk".into(), "a\"b".into()),
            TxnOp::CheckHolder("fine".into(), "".into()),
            TxnOp::CheckHolder("absent".into(), "".into()),
        ],
    );
    let held = "lock isn't held, or is held by another session";
    let expected: Vec<(u32, String)> = vec![
        (1, "failed to set key \"absent\", index is stale".into()),
        (3, "failed to delete key \"lk\", index is stale".into()),
        (4, format!("invalid session \"{none}\"")),
        (5, "failed to lock key \"lk\", lock is already held".into()),
        (6, format!("failed to unlock key \"lk\", {held}")),
        (7, "key \"q\\\"\\x01\" doesn't exist".into()),
        (8, format!("failed index check for key \"lk\", current modify index {locked} != 999")),
        (9, "failed to check index, key \"absent\" doesn't exist".into()),
        (
            10,
            format!("failed session check for key \"lk\", current session \"{one}\" != \"{two}\""),
        ),
        (11, format!("failed session check for key \"fine\", current session \"\" != \"{two}\"")),
        (12, "failed to check session, key \"absent\" doesn't exist".into()),
        (13, "key \"lk\" exists".into()),
        (14, "key \"fine\" exists".into()),
        (15, format!("failed session check for key \"lk\", current session \"{one}\" != \"\"")),
        (
            16,
            format!("failed session check for key \"lk\", current session \"{one}\" != \"a\\\"b\""),
        ),
        (18, "failed to check session, key \"absent\" doesn't exist".into()),
    ];
    assert_eq!(texts, expected);
    assert_eq!(world.catalog.kv_get("fine"), None);
    assert_eq!(world.catalog.kv_get("lk"), before.kv_get("lk"));
    world.does(&Command::SessionDestroy(one));
    let texts = errors(&mut world, vec![write(KvVerb::Acquire(two), "lk")]);
    assert_eq!(texts, [(0, "failed to lock key \"lk\" due to lock delay".into())]);
}

#[test]
fn a_transaction_of_reads_needs_no_log() {
    let mut world = World::new();
    world.set("a", "1");
    let hash = world.catalog.state_hash();
    let ops = [TxnOp::Get("a".into()), TxnOp::GetTree("".into())];
    assert!(matches!(world.catalog.txn_read(&ops), Outcome::Txn(results) if results.len() == 2));
    let ops = [TxnOp::Get("b".into())];
    assert!(matches!(world.catalog.txn_read(&ops), Outcome::TxnFailed(_)));
    assert_eq!(world.catalog.state_hash(), hash);
    assert_eq!(world.does(&Command::Txn(vec![])), Outcome::Txn(vec![]));
}

fn on_node(verb: RecordVerb, new: NodeRegistration) -> TxnOp {
    TxnOp::Node(verb, Box::new(new))
}

fn on_service(verb: RecordVerb, on: &str, new: ServiceRegistration) -> TxnOp {
    TxnOp::Service(verb, on.into(), Box::new(new))
}

fn on_check(verb: RecordVerb, on: &str, new: CheckRegistration) -> TxnOp {
    TxnOp::Check(verb, on.into(), Box::new(new))
}

fn passing(id: &str, of: &str) -> CheckRegistration {
    check(id, of, CheckStatus::Passing)
}

#[test]
fn records_come_and_go_with_keys() {
    let mut world = World::new();
    let outcome = world.does(&Command::Txn(vec![
        on_node(RecordVerb::Set, node("n", Some(7))),
        on_service(RecordVerb::Cas(0), "N", service("s", "web")),
        on_check(RecordVerb::Set, "n", passing("c", "s")),
        write(KvVerb::Set, "k"),
        on_node(RecordVerb::Get, NodeRegistration { name: "other".into(), ..node("", Some(7)) }),
        on_service(RecordVerb::Get, "n", service("s", "")),
        on_check(RecordVerb::Get, "n", passing("c", "")),
    ]));
    let made = world.next - 1;
    let Outcome::Txn(results) = outcome else { panic!("it failed: {outcome:?}") };
    let catalog = &world.catalog;
    let found = (
        catalog.node("n").unwrap().clone(),
        catalog.service("n", "s").unwrap().clone(),
        catalog.check("n", "c").unwrap().clone(),
    );
    assert_eq!(found.2.service_name, "web".into());
    assert!(results[0] == results[4] && results[1] == results[5] && results[2] == results[6]);
    assert_eq!(results[0], TxnResult::Node(Box::new(found.0)));
    assert_eq!(results[1], TxnResult::Service(Box::new(found.1)));
    assert_eq!(results[2], TxnResult::Check(Box::new(found.2)));
    let outcome = world.does(&Command::Txn(vec![
        on_check(RecordVerb::DeleteCas(made), "n", passing("c", "")),
        on_service(RecordVerb::DeleteCas(made), "n", service("s", "")),
        on_service(RecordVerb::Delete, "n", service("none", "")),
        on_node(RecordVerb::Cas(made), node("n", Some(7))),
        on_node(RecordVerb::Delete, node("n", None)),
    ]));
    let Outcome::Txn(results) = outcome else { panic!("it failed: {outcome:?}") };
    assert!(matches!(&results[..], [TxnResult::Node(_)]), "deletions show nothing");
    assert_eq!(world.catalog.nodes().count(), 0);
    world.catalog.check_invariants();
}

#[test]
fn records_that_fail_say_why_and_leave_nothing() {
    let mut world = World::new();
    world.does(&register(node("n", Some(1)), vec![service("s", "web")], vec![passing("c", "s")]));
    world.does(&register(node("m", Some(2)), vec![], vec![passing("serfHealth", "")]));
    let hash = world.catalog.state_hash();
    let ops = vec![
        on_node(RecordVerb::Set, node("x", None)),
        on_node(RecordVerb::Get, node("none", None)),
        on_node(RecordVerb::Get, node("n", Some(9))),
        on_node(RecordVerb::Cas(0), node("n", Some(1))),
        on_node(RecordVerb::Cas(4), node("none", None)),
        on_node(RecordVerb::DeleteCas(0), node("none", None)),
        on_node(RecordVerb::Set, node("m", Some(1))),
        on_service(RecordVerb::Get, "n", service("none", "")),
        on_service(RecordVerb::Set, "none", service("s", "web")),
        on_service(RecordVerb::Set, "n", service("", "")),
        on_service(RecordVerb::Cas(9), "n", service("s", "web")),
        on_service(RecordVerb::DeleteCas(9), "n", service("s", "web")),
        on_check(RecordVerb::Get, "n", passing("none", "")),
        on_check(RecordVerb::Set, "none", passing("c", "")),
        on_check(RecordVerb::Set, "n", passing("d", "none")),
        on_check(RecordVerb::Set, "n", passing("", "")),
        on_check(RecordVerb::Cas(0), "n", passing("c", "s")),
        on_check(RecordVerb::DeleteCas(0), "n", passing("none", "")),
    ];
    let trial = world.catalog.txn_trial(&ops);
    let texts = errors(&mut world, ops);
    let told: Vec<_> = trial.into_iter().map(|error| (error.op, error.text)).collect();
    assert_eq!(texts, told, "a trial says the same");
    let ids = [1_u128, 2].map(|id| proconsul_types::NodeId::from_bits(id).to_string());
    let expected = [
        "node \"none\" doesn't exist",
        "node \"n\" doesn't exist",
        "failed to set node \"n\", index is stale",
        "failed to set node \"none\", index is stale",
        "failed to delete node \"none\", index is stale",
        &format!(
            "Error while renaming Node ID: \"{}\" (10.0.0.1): Node name m is reserved by node {} \
             with name m (10.0.0.1)",
            ids[0], ids[1]
        ),
        "service \"none\" on node \"n\" doesn't exist",
        "Missing node registration",
        "failed inserting service: object missing primary index",
        "failed to set service \"s\" on node \"n\", index is stale",
        "failed to delete service \"s\" on node \"n\", index is stale",
        "check \"none\" on node \"n\" doesn't exist",
        "Missing node registration",
        "Missing service registration",
        "failed inserting check: object missing primary index",
        "failed to set check \"c\" on node \"n\", index is stale",
        "failed to delete check \"none\" on node \"n\", index is stale",
    ];
    let expected: Vec<_> = (1..).zip(expected.map(String::from)).collect();
    assert_eq!(texts, expected);
    assert!(world.catalog.node("x").is_none());
    assert_ne!(world.catalog.state_hash(), hash, "its index counts");
    world.catalog.check_invariants();
}
