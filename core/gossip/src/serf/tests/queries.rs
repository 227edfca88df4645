//! Queries: filters, acks, answers, relays, deadlines, and the vote about a name.

use super::*;
use crate::face::{Asked, QueryId, QueryParams};
use proconsul_wire::serf::{Filter, Message, QueryResponse};

pub(super) fn params(name: &str) -> QueryParams {
    QueryParams {
        name: Arc::from(name),
        payload: Bytes::from("p"),
        filters: Vec::new(),
        ack: true,
        relay_factor: 0,
        timeout: Duration::ZERO,
    }
}

fn ask(pool: &mut Pool, at: &str, params: QueryParams) {
    pool.forget_events();
    let now = pool.now;
    pool.serf(at).query(now, Asked(7), params);
    pool.settle();
}

/// Everyone who was asked answers with its name.
fn answer(pool: &mut Pool) {
    let now = pool.now;
    for (name, events) in &pool.events {
        for event in events {
            if let Event::Query { id, .. } = event {
                let payload = Bytes::from(name.clone());
                pool.serfs.get_mut(name).unwrap().respond(now, *id, payload);
            }
        }
    }
    pool.settle();
}

/// Who acknowledged and who answered, at the asker.
fn heard(pool: &mut Pool, at: &str) -> (Vec<String>, Vec<String>, usize) {
    let (mut acks, mut answers, mut done) = (Vec::new(), Vec::new(), 0);
    for event in pool.take_events(at) {
        match event {
            Event::Acked(Asked(7), from) => acks.push(from.to_string()),
            Event::Response(Asked(7), from, payload) => {
                assert_eq!(payload, from.as_bytes());
                answers.push(from.to_string());
            }
            Event::QueryDone(Asked(7)) => done += 1,
            _ => {}
        }
    }
    acks.sort();
    answers.sort();
    (acks, answers, done)
}

fn all(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn everyone_is_asked_acknowledges_and_answers_once() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    ask(&mut pool, "a", params("uptime"));
    answer(&mut pool);
    let everyone = all(&["a", "b", "c"]);
    assert_eq!(heard(&mut pool, "a"), (everyone.clone(), everyone, 0));
    assert!(pool.serfs["a"].queue_lengths().queries == 0);
    // 200 ms x 16 x 1.
    pool.pass(Duration::from_millis(3_199));
    assert_eq!(heard(&mut pool, "a").2, 0);
    pool.pass(Duration::from_millis(1));
    assert_eq!(heard(&mut pool, "a").2, 1);
}

#[test]
fn the_default_timeout_grows_with_the_pool() {
    let timeout = |alive| super::super::asked::default_timeout(Duration::from_millis(200), alive);
    let seconds = [1, 9, 10, 99, 100].map(|alive| timeout(alive).as_millis());
    assert_eq!(seconds, [3200, 3200, 6400, 6400, 9600]);
}

#[test]
fn filters_choose_who_answers_and_everyone_passes_on() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    pool.serf("c").set_tags(tags(&[("role", "web-7")])).unwrap();
    pool.settle();
    let nodes = Filter::Nodes([Arc::from("b"), Arc::from("c")].to_vec()).to_bytes();
    let tag = |expression: &str| Filter::Tag {
        tag: "role".to_string(),
        expression: expression.to_string(),
    };
    let missing = Filter::Tag { tag: "none".to_string(), expression: "^$".to_string() };
    for (filters, expected) in [
        (alloc::vec![nodes.clone()], all(&["b", "c"])),
        (alloc::vec![tag("web-[0-9]+").to_bytes()], all(&["c"])),
        (alloc::vec![tag("e").to_bytes(), missing.to_bytes()], all(&["a", "b", "c"])),
        (alloc::vec![nodes, tag("^node$").to_bytes()], all(&["b"])),
        (alloc::vec![tag("(").to_bytes()], all(&[])),
        (alloc::vec![Bytes::from("\x09x")], all(&[])),
        (alloc::vec![Bytes::new()], all(&[])),
    ] {
        ask(&mut pool, "a", QueryParams { filters, ..params("load") });
        answer(&mut pool);
        assert_eq!(heard(&mut pool, "a"), (expected.clone(), expected, 0));
    }
}

#[test]
fn a_member_that_is_not_meant_still_passes_the_query_on() {
    let mut pool = Pool::of(&["a", "b"]);
    let now = pool.now;
    let filters = alloc::vec![Filter::Nodes(Vec::new()).to_bytes()];
    pool.serf("a").query(now, Asked(7), QueryParams { filters, ..params("q") });
    let mut told = Vec::new();
    pool.serf("a").broadcasts(1300, &mut told);
    pool.deliver("b", &told[0]);
    assert_eq!(pool.serfs["b"].queue_lengths().queries, 1);
    pool.deliver("b", &told[0]);
    assert_eq!(pool.serfs["b"].queue_lengths().queries, 1, "but once");
}

#[test]
fn relayed_copies_do_not_count_twice() {
    let mut pool = Pool::of(&["a", "b", "c", "d"]);
    ask(&mut pool, "a", QueryParams { relay_factor: 3, ..params("load") });
    answer(&mut pool);
    let everyone = all(&["a", "b", "c", "d"]);
    assert_eq!(heard(&mut pool, "a"), (everyone.clone(), everyone, 0));
}

#[test]
fn a_relay_reaches_an_asker_whom_the_answer_does_not() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    let now = pool.now;
    let asked = QueryParams { relay_factor: 2, ack: false, ..params("load") };
    ask(&mut pool, "a", asked);
    let id = pool.events["b"].iter().find_map(|event| match event {
        Event::Query { id, .. } => Some(*id),
        _ => None,
    });
    pool.serf("b").respond(now, id.unwrap(), Bytes::from("b"));
    let mut sent = Vec::new();
    while let Some(ask) = pool.serf("b").take_ask() {
        if let Ask::Send(to, bytes) = ask {
            sent.push((to, bytes));
        }
    }
    assert_eq!(sent.len(), 3, "straight, and by two others");
    assert_eq!(sent[0].0, address("a"));
    for (to, bytes) in &sent[1..] {
        assert_eq!(bytes[0], 9);
        if *to == address("c") {
            pool.deliver("c", bytes);
        }
    }
    pool.settle();
    assert_eq!(heard(&mut pool, "a").1, all(&["b"]));
}

#[test]
fn answers_after_the_deadline_twice_or_too_long_are_not_sent() {
    let mut pool = Pool::of(&["a", "b"]);
    ask(&mut pool, "a", params("q"));
    let id = pool.events["b"].iter().find_map(|event| match event {
        Event::Query { id, .. } => Some(*id),
        _ => None,
    });
    let id = id.unwrap();
    let now = pool.now;
    let respond = |pool: &mut Pool, now, id: QueryId, bytes| {
        pool.forget_events();
        pool.serf("b").respond(now, id, Bytes::from(alloc::vec![b'b'; bytes]));
        pool.settle();
        match pool.take_events("b").pop() {
            Some(Event::Notice(text)) => text,
            _ => String::new(),
        }
    };
    assert_eq!(respond(&mut pool, now, id, 1000), "response exceeds limit of 1024 bytes");
    assert_eq!(respond(&mut pool, now, id, 1), "");
    assert_eq!(respond(&mut pool, now, id, 1), "response is past the deadline");
    ask(&mut pool, "a", params("q"));
    let next = QueryId { time: proconsul_types::LamportTime(2), ..id };
    let id = pool.events["b"].iter().find_map(|event| match event {
        Event::Query { id, .. } => Some(*id),
        _ => None,
    });
    let id = id.unwrap();
    assert_eq!(id.time, next.time);
    let late = now.after(Duration::from_millis(3_201));
    assert_eq!(respond(&mut pool, late, id, 1), "response is past the deadline");
}

#[test]
fn a_query_that_is_too_long_ends_at_once() {
    let mut pool = Pool::of(&["a", "b"]);
    let payload = Bytes::from(alloc::vec![0; 1000]);
    ask(&mut pool, "a", QueryParams { payload, ..params("q") });
    let text = "query exceeds limit of 1024 bytes".to_string();
    let events = pool.take_events("a");
    assert_eq!(events, [Event::Notice(text), Event::QueryDone(Asked(7))]);
    assert_eq!(pool.take_events("b"), []);
}

#[test]
fn answers_to_nobodys_query_are_dropped() {
    let mut pool = Pool::of(&["a", "b"]);
    ask(&mut pool, "a", params("q"));
    heard(&mut pool, "a");
    let response = QueryResponse {
        time: proconsul_types::LamportTime(1),
        id: u32::MAX,
        from: Arc::from("b"),
        flags: 0,
        payload: None,
    };
    pool.deliver("a", &Message::QueryResponse(response).to_bytes());
    pool.settle();
    assert_eq!(heard(&mut pool, "a"), (all(&[]), all(&[]), 0));
}

#[test]
fn reachability_is_an_ack_that_no_application_sees() {
    let mut pool = Pool::of(&["a", "b"]);
    ask(&mut pool, "a", params("_serf_ping"));
    assert_eq!(pool.take_events("b"), []);
    assert_eq!(heard(&mut pool, "a").0, all(&["a", "b"]));
}

/// `a` learns that another claims its name; the others hold that it is at `held`.
fn vote(held: [SocketAddr; 2], resolve: bool) -> Vec<Event> {
    let mut pool = Pool::with(&["a", "b", "c"], |config| config.resolve_conflicts = resolve);
    let now = pool.now;
    for (name, held) in ["b", "c"].into_iter().zip(held) {
        let own = alive(&pool.serfs["a"]);
        pool.serf(name).on_updated(now, &own, VERSIONS, held);
    }
    pool.settle();
    pool.forget_events();
    let (mine, theirs) = (address("a"), address("z"));
    pool.serf("a").on_conflict(now, "a", mine, theirs);
    pool.serf("a").on_conflict(now, "a", mine, theirs);
    pool.settle();
    pool.pass(second(4));
    pool.take_events("a")
}

#[test]
fn who_loses_the_vote_about_its_name_stops() {
    let (mine, theirs) = (address("a"), address("z"));
    let lost = vote([theirs, theirs], true);
    assert_eq!(lost.last(), Some(&Event::LostName));
    let text = "minority in name conflict resolution, quitting [0 / 2]".to_string();
    assert!(lost.contains(&Event::Notice(text)));
    // A tie is lost as well: more than half must agree.
    assert!(vote([mine, theirs], true).contains(&Event::LostName));
    assert!(!vote([mine, mine], true).contains(&Event::LostName));
    assert!(!vote([theirs, theirs], false).contains(&Event::LostName), "Consul never asks");
}
