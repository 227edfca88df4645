//! A cluster in trouble: names that change, servers that fall silent, calls that must not be done.

use crate::agents::{client, cluster, group, health, joining, server};
use crate::table::{Table, index, node_id, text};
use bytes::Bytes;
use proconsul_core::catalog::Place;
use proconsul_core::http::{Method, Request};
use proconsul_core::types::{Coordinate, Duration, Planted};
use proconsul_core::{Call, CallId, Input, PeerMessage};

fn sound(servers: usize, clients: usize) -> Table {
    cluster(servers, clients, Planted::none())
}

/// `from` calls `to`, in so many words.
fn call(table: &mut Table, from: usize, to: usize, id: u64, call: Call) {
    let message = PeerMessage::Call { id: CallId(id), hops: 0, call: Box::new(call) };
    table.step(to, Input::Peer { from: node_id(from + 1), message });
}

#[test]
fn the_old_name_of_a_living_server_does_not_cost_its_seat() {
    let mut table = sound(3, 0);
    let leader = table.elect();
    let moved = (leader + 1) % 3;
    table.kill(moved);
    let old = format!("s{}", moved + 1);
    table.until(|table| health(table, &old) == Some("critical"));
    table.configure(moved, |config| {
        config.facts.name = "renamed".into();
        let cluster = config.cluster.as_mut().unwrap();
        cluster.lan.name = "renamed".into();
        cluster.wan.as_mut().unwrap().name = "renamed.dc1".into();
    });
    table.boot(moved);
    table.until(|table| health(table, "renamed") == Some("passing"));
    let leader = table.elect();
    let target = format!("/v1/agent/force-leave/{old}");
    assert_eq!(table.ask(leader, Method::Put, &target, "").status, 200);
    // Long enough to be taken out; too short to have come back and earned a vote again.
    for _ in 0..8 {
        table.run(Duration::from_secs(1));
        assert_eq!(group(&table), (vec![0, 1, 2], vec![]), "it is the same server");
    }
    assert_eq!(health(&table, &old), None, "the name is gone all the same");
}

#[test]
fn a_forgotten_server_keeps_its_seat_while_the_rest_is_not_safe_without_it() {
    let configs = (1..=3).map(|number| {
        let mut config = joining(server(number, "dc1", 3), 1);
        let timing = &mut config.cluster.as_mut().unwrap().lan.timing;
        timing.reconnect_timeout = Duration::from_secs(5);
        timing.reap_interval = Duration::from_secs(5);
        config
    });
    let mut table = Table::with(configs.collect());
    let leader = table.elect();
    table.run(Duration::from_secs(10));
    assert_eq!(group(&table).0.len(), 3);
    let lost = (leader + 1) % 3;
    let name = format!("s{}", lost + 1);
    table.kill(lost);
    table.until(|table| health(table, &name) == Some("critical"));
    table.until(|table| health(table, &name).is_none());
    table.run(Duration::from_secs(90));
    assert_eq!(group(&table).0.len(), 3, "two of three are no safe group of two");
}

#[test]
fn what_concerns_an_agent_is_never_done_by_another() {
    let mut table = sound(1, 2);
    // However it is written, it means the agent that is asked.
    assert_eq!(table.ask(2, Method::Put, "/v1/%61gent/leave", "").status, 200);
    assert_eq!(table.gone.iter().copied().collect::<Vec<_>>(), [2]);
    for (id, target, body) in [
        (1, "/v1/agent/service/register", r#"{"Name":"web"}"#),
        (2, "/v1/agent/maintenance?enable=true", ""),
        (3, "/v1/agent/leave", ""),
    ] {
        let request = Request::new(Method::Put, target, Bytes::copy_from_slice(body.as_bytes()));
        call(&mut table, 1, 0, id, Call::Serve(request));
    }
    table.run(Duration::from_secs(10));
    assert!(!table.gone.contains(&0), "a server does not leave at another's wish");
    assert_eq!(table.get(0, "/v1/agent/services"), "{}");
    assert_eq!(table.get(0, "/v1/agent/checks"), "{}");
}

#[test]
fn a_watch_leaves_a_server_that_fell_silent() {
    let mut table = sound(3, 1);
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
    let first = table.ask(3, Method::Get, "/v1/kv/a", "");
    let target = format!("/v1/kv/a?index={}&wait=10m", index(&first));
    let watch = table.send(3, Method::Get, &target, "");
    table.run(Duration::from_millis(100));
    let silent = table.called.expect("it asked a server");
    // No connection breaks: messages are lost.
    table.cut.insert(silent);
    let name = format!("s{}", silent + 1);
    table.until(|table| health(table, &name) == Some("critical"));
    table.run(Duration::from_secs(10));
    let leader = table.elect();
    assert_eq!(table.put(leader, "/v1/kv/a", "2"), "true");
    table.until(|table| table.answers.contains_key(&watch));
    let answer = text(&table.answers[&watch]);
    assert!(answer.contains("\"Value\":\"Mg==\""), "{answer}");
}

#[test]
fn a_watch_that_is_asked_again_waits_for_the_rest() {
    let mut table = sound(3, 1);
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
    let first = table.ask(3, Method::Get, "/v1/kv/a", "");
    let target = format!("/v1/kv/a?index={}&wait=30s", index(&first));
    let watch = table.send(3, Method::Get, &target, "");
    table.run(Duration::from_secs(20));
    assert!(!table.answers.contains_key(&watch), "nothing changed");
    table.kill(table.called.expect("it asked a server"));
    table.run(Duration::from_secs(13));
    assert_eq!(text(&table.answers[&watch]), text(&first));
}

#[test]
fn places_are_written_after_leadership_came_back() {
    let mut table = Table::with(
        (1..=2)
            .map(|number| joining(server(number, "dc1", 2), 1))
            .chain([joining(client(3, "dc1"), 1)])
            .collect(),
    );
    let leader = table.elect();
    table.until(|table| health(table, "c3") == Some("passing"));
    let other = 1 - leader;
    let place = |x: f64, node: &str| {
        let vector = [x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let coordinate = Coordinate { vector, error: 1.5, adjustment: 0.0, height: 1e-5 };
        Call::Place(Box::new(Place { node: node.into(), segment: "".into(), coordinate }))
    };
    call(&mut table, 2, leader, 1, place(0.25, "c3"));
    call(&mut table, 2, leader, 2, place(0.25, "nobody"));
    for (from, to) in [(leader, other), (other, leader)] {
        let target = format!("/v1/operator/raft/transfer-leader?id={}", node_id(to + 1));
        assert_eq!(table.ask(from, Method::Put, &target, "").status, 200);
        table.until(|table| table.leader() == Some(to));
        table.run(Duration::from_millis(100));
    }
    call(&mut table, 2, leader, 3, place(0.75, "c3"));
    table.run(Duration::from_secs(6));
    let told = table.get(leader, "/v1/coordinate/node/c3");
    assert!(told.contains("0.75"), "{told}");
}

#[test]
fn two_of_three_leave_at_once_and_the_third_goes_on() {
    let mut table = sound(3, 0);
    let leader = table.elect();
    let (other, last) = ((leader + 1) % 3, (leader + 2) % 3);
    table.send(leader, Method::Put, "/v1/agent/leave", "");
    table.send(other, Method::Put, "/v1/agent/leave", "");
    table.until(|table| table.gone.contains(&leader) && table.gone.contains(&other));
    table.nodes[leader] = None;
    table.nodes[other] = None;
    table.run(Duration::from_secs(5));
    assert_eq!(table.leader(), Some(last));
    assert_eq!(group(&table), (vec![last], vec![]));
    assert_eq!(table.put(last, "/v1/kv/a", "1"), "true");
}

#[test]
fn an_event_is_told_or_refused_and_never_both() {
    let mut table = sound(1, 1);
    let mut refusals = [0, 0];
    let mut told = 0;
    for length in 300..500 {
        let fired = table.ask(1, Method::Put, "/v1/event/fire/deploy", &"x".repeat(length));
        let answer = text(&fired);
        if fired.status == 200 {
            told += 1;
            table.run(Duration::from_secs(1));
            let view = table.nodes[0].as_ref().unwrap().view();
            assert_eq!(view.pools.events.len(), told, "length {length}");
            continue;
        }
        let start = "1 error occurred:\n\t* error broadcasting event to segment \"\": ";
        let refusal = answer.strip_prefix(start).unwrap();
        let before = "user event exceeds configured limit of 512 bytes before encoding\n\n";
        let after = "encoded user event exceeds configured limit of 512 bytes after encoding\n\n";
        assert!(refusal == before || refusal == after, "{refusal}");
        refusals[usize::from(refusal == before)] += 1;
    }
    assert!(told > 0 && refusals[0] > 0 && refusals[1] > 0, "{told} {refusals:?}");
}
