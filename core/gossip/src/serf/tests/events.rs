//! User events: once, everywhere, whatever way they come.

use super::*;
use proconsul_types::LamportTime;
use proconsul_wire::serf::{Message, UserEvent};

fn fire(pool: &mut Pool, at: &str, name: &str) {
    let now = pool.now;
    pool.serf(at).fire(now, Arc::from(name), Bytes::from("v"), true).unwrap();
    pool.settle();
}

fn event(time: u64, name: &str) -> Bytes {
    let time = LamportTime(time);
    let name = Arc::from(name);
    Message::UserEvent(UserEvent { time, name, payload: None, coalesce: false }).to_bytes()
}

#[test]
fn everyone_is_told_once_in_the_order_of_the_clock() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    fire(&mut pool, "a", "one");
    fire(&mut pool, "b", "two");
    fire(&mut pool, "b", "two");
    for _ in 0..3 {
        pool.exchange("a", "c");
        pool.exchange("b", "c");
    }
    for name in ["a", "b", "c"] {
        assert_eq!(pool.user_events(name), ["one@1", "two@2", "two@3"], "at {name}");
    }
}

#[test]
fn who_missed_an_event_hears_it_by_an_exchange() {
    let mut pool = Pool::of(&["a", "b"]);
    pool.cut_off.insert("b".to_string());
    fire(&mut pool, "a", "one");
    fire(&mut pool, "a", "two");
    pool.cut_off.clear();
    pool.exchange("b", "a");
    assert_eq!(pool.user_events("b"), ["one@1", "two@2"]);
    assert_eq!(pool.serfs["b"].clocks().event, LamportTime(3));
}

#[test]
fn a_join_may_ignore_what_was_before() {
    let mut pool = Pool::of(&["a"]);
    fire(&mut pool, "a", "old");
    fire(&mut pool, "a", "older than the join");
    let state = pool.serfs["a"].local_state();
    pool.start(config("b"));
    let now = pool.now;
    pool.serf("b").merge(now, &state, true);
    pool.deliver("b", &event(3, "of that very time"));
    pool.deliver("b", &event(2, "old"));
    pool.settle();
    assert_eq!(pool.user_events("b"), ["of that very time@3"]);
}

#[test]
fn times_share_slots_and_are_not_confused() {
    let mut pool = Pool::of(&["a"]);
    for time in [7, 7 + 512, 7, 6, 8] {
        pool.deliver("a", &event(time, "x"));
    }
    pool.deliver("a", &event(519, "y"));
    pool.deliver("a", &event(519, "x"));
    pool.settle();
    // The clock shows 520: what is before 8 is too old, even if its slot is another's now.
    assert_eq!(pool.user_events("a"), ["x@7", "x@519", "x@8", "y@519"]);
}

#[test]
fn the_length_of_an_event_is_limited_before_and_after_encoding() {
    let mut pool = Pool::of(&["a"]);
    let now = pool.now;
    let mut fire = |bytes: usize| {
        let payload = Bytes::from(alloc::vec![0; bytes]);
        pool.serf("a").fire(now, Arc::from("n"), payload, false)
    };
    let before = "user event exceeds configured limit of 512 bytes before encoding";
    let after = "encoded user event exceeds configured limit of 512 bytes after encoding";
    assert_eq!(fire(512), Err(before.to_string()));
    assert_eq!(fire(500), Err(after.to_string()));
    assert_eq!(fire(450), Ok(()));
    let mut pool = Pool::with(&["a"], |config| config.event_bytes_max = usize::MAX);
    let payload = Bytes::from(alloc::vec![0; 9300]);
    let refused = pool.serf("a").fire(now, Arc::from("n"), payload, false);
    let sane = "user event exceeds sane limit of 9216 bytes before encoding";
    assert_eq!(refused, Err(sane.to_string()));
}

#[test]
fn intents_go_before_queries_and_those_before_events() {
    let mut pool = Pool::of(&["a", "b"]);
    let now = pool.now;
    let serf = pool.serf("a");
    serf.fire(now, Arc::from("e"), Bytes::new(), false).unwrap();
    serf.query(now, crate::Asked(1), queries::params("q"));
    serf.force_leave(now, &Arc::from("nobody"), false);
    let mut told = Vec::new();
    serf.broadcasts(1300, &mut told);
    let kinds: Vec<u8> = told.iter().map(|bytes| bytes[0]).collect();
    assert_eq!(kinds, [0, 4, 3]);
    let lengths = serf.queue_lengths();
    assert_eq!((lengths.intents, lengths.queries, lengths.events), (1, 1, 1));
    // Two members: each message is sent four times.
    for _ in 0..4 {
        serf.broadcasts(1300, &mut told);
    }
    assert_eq!((told.len(), serf.queue_lengths()), (12, crate::QueueLengths::default()));
}
