//! Three servers.

use crate::table::{Table, index, text};
use proconsul_core::http::Method;
use proconsul_core::types::Duration;

#[test]
fn three_elect_replicate_and_forward() {
    let mut table = Table::new(3, false);
    let leader = table.elect();
    let follower = (leader + 1) % 3;
    assert_eq!(table.put(follower, "/v1/kv/a", "1"), "true");
    assert_eq!(table.get(follower, "/v1/kv/a?raw"), "1");
    assert_eq!(table.get(follower, "/v1/kv/a?raw&consistent"), "1");
    table.run(Duration::from_secs(2));
    assert_eq!(table.get(follower, "/v1/kv/a?raw&stale"), "1");
    table.converge();
    for name in ["s1", "s2", "s3"] {
        let health = table.get(follower, &format!("/v1/health/node/{name}"));
        assert!(health.contains("serfHealth"), "every server registers itself: {health}");
    }
    let bad = table.ask(follower, Method::Put, "/v1/session/create", r#"{"Checks":["none"]}"#);
    assert_eq!(bad.status, 500);
    assert!(text(&bad).starts_with("rpc error making call: "), "{}", text(&bad));
    let servers = table.get(follower, "/v1/operator/raft/configuration");
    assert!(servers.contains("\"Node\":\"s3\""), "{servers}");
}

#[test]
fn the_loss_of_a_leader_is_survived() {
    let mut table = Table::new(3, true);
    let leader = table.elect();
    let follower = (leader + 1) % 3;
    table.put(follower, "/v1/kv/before", "1");
    table.run(Duration::from_secs(1));
    table.kill(leader);
    let killed_at = table.now;
    assert_eq!(table.put(follower, "/v1/kv/after", "2"), "true");
    assert!(table.now.since(killed_at) < Duration::from_secs(2));
    assert_eq!(table.get(follower, "/v1/kv/before?raw"), "1");
    table.boot(leader);
    table.converge();
    assert_eq!(table.get(leader, "/v1/kv/after?raw&stale"), "2");
}

#[test]
fn a_held_request_waits_for_a_leader_and_gives_up() {
    let mut table = Table::new(3, false);
    table.elect();
    table.kill(1);
    table.kill(2);
    table.run(Duration::from_secs(2));
    let start = table.now;
    let answer = table.ask(0, Method::Put, "/v1/kv/x", "1");
    assert_eq!((answer.status, text(&answer).as_str()), (500, "No cluster leader"));
    let waited = table.now.since(start);
    assert!(waited >= Duration::from_secs(7) && waited < Duration::from_secs(8), "{waited:?}");
}

#[test]
fn an_isolated_leader_promises_nothing() {
    let mut table = Table::new(3, false);
    let old = table.elect();
    table.put(old, "/v1/kv/x", "1");
    table.run(Duration::from_secs(1));
    table.cut.insert(old);
    let write = table.send(old, Method::Put, "/v1/kv/x", "2");
    table.run(Duration::from_secs(2));
    let answer = &table.answers[&write];
    assert_eq!(answer.status, 500);
    assert_eq!(text(answer), "leadership lost while committing log");
    let new = table.elect();
    assert_ne!(new, old);
    table.put(new, "/v1/kv/x", "3");
    let read = table.send(old, Method::Get, "/v1/kv/x?raw", "");
    table.run(Duration::from_secs(1));
    assert!(!table.answers.contains_key(&read), "a deposed leader does not answer default reads");
    table.cut.clear();
    table.until(|table| table.answers.contains_key(&read));
    assert_eq!(text(&table.answers[&read]), "3");
    table.converge();
}

#[test]
fn a_watch_through_a_follower_survives_the_leader() {
    let mut table = Table::new(3, true);
    let leader = table.elect();
    let follower = (leader + 1) % 3;
    table.put(follower, "/v1/kv/w", "1");
    let seen = index(&table.ask(follower, Method::Get, "/v1/kv/w", ""));
    let watch =
        table.send(follower, Method::Get, &format!("/v1/kv/w?raw&index={seen}&wait=60s"), "");
    table.run(Duration::from_secs(1));
    table.kill(leader);
    table.run(Duration::from_secs(3));
    assert!(!table.answers.contains_key(&watch));
    let other = (leader + 2) % 3;
    table.put(other, "/v1/kv/w", "2");
    table.until(|table| table.answers.contains_key(&watch));
    assert_eq!(text(&table.answers[&watch]), "2");
}

#[test]
fn session_clocks_start_again_on_a_new_leader() {
    let mut table = Table::new(3, true);
    let leader = table.elect();
    let follower = (leader + 1) % 3;
    table.run(Duration::from_secs(1));
    let made = table.put(follower, "/v1/session/create", r#"{"TTL":"10s"}"#);
    let session = made.split('"').nth(3).unwrap().to_string();
    table.run(Duration::from_secs(15));
    table.kill(leader);
    table.run(Duration::from_secs(15));
    let target = format!("/v1/session/info/{session}");
    assert_ne!(table.get(follower, &target), "[]", "armed in full");
    table.run(Duration::from_secs(10));
    assert_eq!(table.get(follower, &target), "[]", "and not for ever");
}

#[test]
fn leadership_is_handed_over_and_a_server_removed() {
    let mut table = Table::new(3, false);
    let leader = table.elect();
    table.run(Duration::from_secs(1));
    let gone = (leader + 1) % 3;
    let id = table.nodes[gone].as_ref().unwrap().status().id;
    let target = format!("/v1/operator/raft/peer?id={id}");
    let answer = table.ask(leader, Method::Delete, &target, "");
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let servers = table.get(leader, "/v1/operator/raft/configuration");
    assert!(!servers.contains(&id.to_string()), "{servers}");
}

#[test]
fn a_server_that_leaves_is_forgotten() {
    let mut table = Table::new(3, false);
    let leader = table.elect();
    table.run(Duration::from_secs(1));
    table.put(leader, "/v1/agent/leave", "");
    assert_eq!(table.left, Some(leader), "even the leader may");
    table.kill(leader);
    let other = (leader + 1) % 3;
    assert_eq!(table.put(other, "/v1/kv/after", "1"), "true");
    let nodes = table.get(other, "/v1/catalog/nodes");
    assert!(!nodes.contains(&format!("\"s{}\"", leader + 1)), "{nodes}");
    let peers = table.get(other, "/v1/status/peers");
    assert!(!peers.contains(&format!("10.0.0.{}:", leader + 1)), "{peers}");
}
