//! Restarts: who was here is met again, no time is used twice, nothing old is told again.

use super::*;
use crate::face::Asked;

/// A pool in which something has happened, and the restart of `b`.
pub(super) fn restarted(change: impl Fn(&mut Config)) -> Pool {
    let mut pool = Pool::with(&["a", "b", "c"], &change);
    let now = pool.now;
    for number in 0..5 {
        let name = Arc::from(alloc::format!("e{number}"));
        pool.serf("a").fire(now, name, Bytes::new(), false).unwrap();
        pool.settle();
    }
    pool.serf("a").query(now, Asked(7), queries::params("q"));
    pool.settle();
    pool.pass(second(1));
    pool.die("b");
    pool.joins.clear();
    pool.forget_events();
    pool.cut_off.clear();
    let mut config = config("b");
    change(&mut config);
    pool.start(config);
    pool.settle();
    pool
}

#[test]
fn those_who_were_here_are_asked_in_random_order() {
    let pool = restarted(|_| {});
    let (name, mut seeds) = pool.joins[0].clone();
    seeds.sort();
    let mut expected = [address("a"), address("c")];
    expected.sort();
    assert_eq!((name.as_str(), seeds.as_slice()), ("b", expected.as_slice()));
    assert_eq!(pool.joins.len(), 1);
}

#[test]
fn no_time_is_used_twice_and_no_event_is_told_twice() {
    let mut pool = restarted(|_| {});
    let clocks = pool.serfs["b"].clocks();
    assert_eq!((clocks.event.0, clocks.query.0), (6, 2));
    pool.meet("b");
    pool.exchange("b", "a");
    assert_eq!(pool.user_events("b"), [""; 0], "old events stay old");
    let now = pool.now;
    pool.serf("b").fire(now, Arc::from("new"), Bytes::new(), false).unwrap();
    pool.settle();
    assert_eq!(pool.user_events("a"), ["new@6"]);
}

#[test]
fn after_a_leave_nobody_is_asked_unless_told_otherwise() {
    for rejoin_after_leave in [false, true] {
        let change = |config: &mut Config| config.rejoin_after_leave = rejoin_after_leave;
        let mut pool = Pool::with(&["a", "b"], change);
        pool.pass(second(1));
        let now = pool.now;
        pool.serf("b").leave(now);
        pool.settle();
        pool.pass(second(4));
        pool.joins.clear();
        let file = String::from_utf8(pool.files["b"].clone()).unwrap();
        assert!(file.contains("\nleave\n"), "{file}");
        let mut again = config("b");
        change(&mut again);
        pool.start(again);
        pool.settle();
        let rejoins = if rejoin_after_leave { 1 } else { 0 };
        assert_eq!(pool.joins.len(), rejoins, "{file}");
    }
}

#[test]
fn the_file_is_serfs() {
    let mut pool = Pool::of(&["a", "b"]);
    let now = pool.now;
    pool.serf("b").fire(now, Arc::from("e"), Bytes::new(), false).unwrap();
    pool.serf("b").on_join_done(now, 1);
    pool.settle();
    pool.die("b");
    pool.pass(second(1));
    let file = String::from_utf8(pool.files["a"].clone()).unwrap();
    let (a, b) = (address("a"), address("b"));
    let expected =
        alloc::format!("alive: a {a}\nalive: b {b}\nevent-clock: 1\nnot-alive: b\nclock: 1\n");
    assert_eq!(file, expected);
}

#[test]
fn nothing_is_remembered_without_a_data_directory() {
    let mut pool = Pool::with(&["a", "b"], |config| config.durable = false);
    pool.die("b");
    pool.pass(second(10));
    assert!(pool.files.is_empty() && pool.joins.is_empty());
}
