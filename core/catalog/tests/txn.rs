//! Transactions: every reason is told, and nothing happens for any of them.

use crate::support::{World, create, kv, kv_op, node, register, session};
use proconsul_catalog::{Command, KvOp, KvVerb, Outcome, TxnOp};
use proconsul_types::{CatalogIndex, SessionId};

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
    let shown: Vec<_> = results
        .iter()
        .map(|result| (&*result.pair.key, result.pair.value.len(), result.with_value))
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
    assert_eq!(results[0].pair.flags, 7);
    assert!(results[..5].iter().all(|result| result.pair.modified == index));
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
