//! One server alone, as `-dev` starts it.

use crate::table::{Table, index, text};
use proconsul_core::http::Method;
use proconsul_core::types::Duration;

#[test]
fn a_dev_agent_answers_kv_and_shows_itself() {
    let mut table = Table::new(1, false);
    assert_eq!(table.put(0, "/v1/kv/a/b", "hello"), "true");
    let answer = table.ask(0, Method::Get, "/v1/kv/a/b", "");
    assert_eq!(answer.status, 200);
    assert!(text(&answer).contains("\"Value\":\"aGVsbG8=\""), "{}", text(&answer));
    assert_eq!(table.ask(0, Method::Get, "/v1/kv/nothing", "").status, 404);
    let nodes = table.get(0, "/v1/catalog/nodes");
    assert!(nodes.contains("\"Node\":\"s1\""), "{nodes}");
    let health = table.get(0, "/v1/health/node/s1");
    assert!(health.contains("serfHealth") && health.contains("passing"), "{health}");
    assert!(health.contains("Agent alive and reachable"), "{health}");
    let consul = table.get(0, "/v1/catalog/service/consul");
    assert!(consul.contains("\"ServicePort\":8300"), "{consul}");
    assert!(table.get(0, "/v1/status/leader").contains("10.0.0.1:8300"));
}

#[test]
fn a_write_is_answered_in_the_step_that_brought_it() {
    let mut table = Table::new(1, false);
    table.elect();
    let id = table.send(0, Method::Put, "/v1/kv/now", "x");
    assert_eq!(text(&table.answers[&id]), "true");
}

#[test]
fn a_blocking_query_wakes_and_another_times_out() {
    let mut table = Table::new(1, false);
    table.put(0, "/v1/kv/watched", "1");
    let first = table.ask(0, Method::Get, "/v1/kv/watched", "");
    let target = format!("/v1/kv/watched?index={}&wait=30s", index(&first));
    let waiting = [0; 5].map(|_| table.send(0, Method::Get, &target, ""));
    table.put(0, "/v1/kv/other", "1");
    table.run(Duration::from_secs(1));
    let status = table.nodes[0].as_ref().unwrap().status();
    assert_eq!((status.parked_count, status.watched_count), (5, 1));
    table.put(0, "/v1/kv/watched", "2");
    for id in waiting {
        assert!(index(&table.answers[&id]) > index(&first));
    }
    let start = table.now;
    let late = table.ask(0, Method::Get, "/v1/kv/none?index=1000000&wait=2s", "");
    assert_eq!(late.status, 404);
    let waited = table.now.since(start);
    assert!(waited >= Duration::from_secs(2) && waited < Duration::from_millis(2200), "{waited:?}");
}

#[test]
fn a_session_expires_and_its_lock_is_handed_over() {
    let mut table = Table::new(1, false);
    table.elect();
    table.run(Duration::from_secs(1));
    let session = |table: &mut Table| {
        let made = table.put(0, "/v1/session/create", r#"{"TTL":"10s","LockDelay":"1s"}"#);
        made.split('"').nth(3).unwrap().to_string()
    };
    let (one, two) = (session(&mut table), session(&mut table));
    assert_eq!(table.put(0, &format!("/v1/kv/lock?acquire={one}"), "one"), "true");
    assert_eq!(table.put(0, &format!("/v1/kv/lock?acquire={two}"), "two"), "false");
    for _ in 0..3 {
        table.run(Duration::from_secs(8));
        table.put(0, &format!("/v1/session/renew/{two}"), "");
    }
    assert_eq!(table.get(0, &format!("/v1/session/info/{one}")), "[]");
    assert_eq!(table.put(0, &format!("/v1/kv/lock?acquire={two}"), "two"), "true");
}

#[test]
fn a_lock_delay_is_kept_and_ends() {
    let mut table = Table::new(1, false);
    table.elect();
    table.run(Duration::from_secs(1));
    let session = |table: &mut Table| {
        let made = table.put(0, "/v1/session/create", r#"{"LockDelay":"5s"}"#);
        made.split('"').nth(3).unwrap().to_string()
    };
    let (one, two) = (session(&mut table), session(&mut table));
    assert_eq!(table.put(0, &format!("/v1/kv/lock?acquire={one}"), ""), "true");
    table.put(0, &format!("/v1/session/destroy/{one}"), "");
    table.run(Duration::from_secs(4));
    assert_eq!(table.put(0, &format!("/v1/kv/lock?acquire={two}"), ""), "false");
    table.run(Duration::from_secs(2));
    assert_eq!(table.put(0, &format!("/v1/kv/lock?acquire={two}"), ""), "true");
}

#[test]
fn a_registered_service_reaches_the_catalog() {
    let mut table = Table::new(1, false);
    table.elect();
    table.put(0, "/v1/agent/service/register", r#"{"Name":"web","Port":80,"Check":{"TTL":"30s"}}"#);
    table.run(Duration::from_secs(1));
    assert!(table.get(0, "/v1/catalog/services").contains("\"web\""));
    table.put(0, "/v1/agent/check/pass/service:web", "");
    table.run(Duration::from_secs(1));
    let health = table.get(0, "/v1/health/service/web?passing");
    assert!(health.contains("\"Port\":80"), "{health}");
    table.put(0, "/v1/agent/service/deregister/web", "");
    table.run(Duration::from_secs(1));
    assert!(!table.get(0, "/v1/catalog/services").contains("\"web\""));
}

#[test]
fn a_snapshot_saved_is_a_snapshot_restored() {
    let mut table = Table::new(1, false);
    table.put(0, "/v1/kv/kept", "old");
    let saved = table.ask(0, Method::Get, "/v1/snapshot", "");
    assert_eq!(saved.status, 200);
    table.put(0, "/v1/kv/kept", "new");
    table.put(0, "/v1/kv/more", "new");
    let before = table.ask(0, Method::Get, "/v1/kv/more", "");
    let target = format!("/v1/kv/more?index={}", index(&before));
    let waiting = table.send(0, Method::Get, &target, "");
    table.restore(0, saved.body);
    assert_eq!(table.answers[&waiting].status, 404, "a restore wakes every watcher");
    assert_eq!(table.get(0, "/v1/kv/kept?raw"), "old");
}

#[test]
fn nobody_is_answered_twice_and_late_inputs_are_harmless() {
    use proconsul_core::http::Request;
    use proconsul_core::types::NodeId;
    use proconsul_core::{CallAnswer, CallId, Input, PeerMessage, RequestId};
    let mut table = Table::new(1, true);
    table.elect();
    let id = RequestId(77);
    let request = Request::new(Method::Get, "/v1/kv/x?index=1000&wait=5s", Vec::new().into());
    table.step(0, Input::Http(id, request.clone()));
    table.step(0, Input::Http(id, request));
    table.step(0, Input::HttpGone(RequestId(5)));
    let answer = Box::new(CallAnswer::NotLeader(None));
    let stale = PeerMessage::Reply { id: CallId(9), answer };
    table.step(0, Input::Peer { from: NodeId(9), message: stale });
    table.step(0, Input::Io(proconsul_core::disk::IoToken(1), Ok(())));
    table.step(0, Input::PeerLost(NodeId(9)));
    table.run(Duration::from_secs(6));
    assert_eq!(table.answers[&id].status, 404);
    table.step(0, Input::HttpGone(id));
}
