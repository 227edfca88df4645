//! Planted faults of the cluster: each test tells the sound node from the one that carries it.

use crate::agents::{
    advertising_wan, cluster, faulty, group, health, joining, joining_wan_at, server,
};
use crate::table::{Table, config, text};
use proconsul_core::http::Method;
use proconsul_core::types::{Duration, Fault, Planted};

/// The node without and with `fault`.
fn both(fault: Fault) -> [(bool, Planted); 2] {
    [(false, Planted::none()), (true, Planted::with(fault))]
}

#[test]
fn reconcile_forgets_left() {
    for (planted, fault) in both(Fault::ReconcileForgetsLeft) {
        let mut table = cluster(1, 1, fault);
        table.ask(1, Method::Put, "/v1/agent/leave", "");
        table.run(Duration::from_secs(10));
        assert_eq!(health(&table, "c2").is_some(), planted, "who left is not in the catalog");
    }
}

#[test]
fn apply_depends_on_node() {
    for (planted, fault) in both(Fault::ApplyDependsOnNode) {
        let mut table =
            Table::with((1..=3).map(|number| faulty(config(number, false), fault)).collect());
        let leader = table.elect();
        for number in 0..1_030 {
            table.put(leader, &format!("/v1/kv/{number}"), "v");
        }
        table.run(Duration::from_secs(1));
        let told = |table: &mut Table, at: usize| table.get(at, "/v1/agent/self");
        // Two of three numbers are odd: the one that is even, or both others, differ.
        let differ =
            (0..3).filter(|at| told(&mut table, *at).contains("\"state_hash_agrees\":\"false\""));
        assert_eq!(differ.count() > 0, planted);
        let warned = table.warnings.iter().any(|text| text.contains("differs from the leader's"));
        assert_eq!(warned, planted, "and it is said aloud");
        for at in 0..3 {
            assert!(told(&mut table, at).contains("\"state_hash_index\":\"1024\""));
        }
    }
}

#[test]
fn a_restore_is_left_half_done() {
    for (planted, fault) in both(Fault::RestoreLeftHalfDone) {
        let (is_whole, _) = crate::restore::broken_off(fault);
        assert_eq!(is_whole, !planted, "all or nothing");
    }
}

#[test]
fn an_old_transfer_blocks_snapshots() {
    for (planted, fault) in both(Fault::OldTransferBlocksSnapshots) {
        assert_eq!(crate::disk::transfer_outrun(fault), !planted, "its log grows without end");
    }
}

#[test]
fn reconcile_only_events() {
    for (planted, fault) in both(Fault::ReconcileOnlyEvents) {
        // All servers stop; an agent dies meanwhile; whoever leads then must see it.
        let mut table = cluster(1, 1, Planted::none());
        table.configure(0, |config| config.planted = fault);
        table.kill(0);
        table.kill(1);
        table.run(Duration::from_secs(1));
        table.boot(0);
        table.run(Duration::from_secs(150));
        assert_eq!(health(&table, "c2") == Some("passing"), planted, "the dead do not pass");
    }
}

#[test]
fn autopilot_below_quorum() {
    for (planted, fault) in both(Fault::AutopilotBelowQuorum) {
        let mut table = cluster(3, 0, fault);
        let leader = table.elect();
        table.kill((leader + 1) % 3);
        table.run(Duration::from_secs(60));
        assert_eq!(group(&table).0.len() < 3, planted, "two of three are not safe");
    }
}

#[test]
fn autopilot_promotes_at_once() {
    for (planted, fault) in both(Fault::AutopilotPromotesAtOnce) {
        let mut table = cluster(1, 0, fault);
        table.add(faulty(joining(server(2, "dc1", 0), 1), fault));
        table.run(Duration::from_secs(6));
        assert_eq!(group(&table).0.len() == 2, planted, "a vote is earned by time");
    }
}

#[test]
fn bootstrap_expect_ignores_peers() {
    for (planted, fault) in both(Fault::BootstrapExpectIgnoresPeers) {
        let mut table = cluster(3, 0, fault);
        assert_eq!(table.put(0, "/v1/kv/a", "1"), "true");
        table.run(Duration::from_secs(1));
        // Two of three are lost for good; their replacements know nothing of the group.
        table.kill(1);
        table.kill(2);
        table.run(Duration::from_secs(60));
        table.add(faulty(joining(server(4, "dc1", 3), 1), fault));
        table.add(faulty(joining(server(5, "dc1", 3), 1), fault));
        table.run(Duration::from_secs(60));
        let founded = table.nodes[3..].iter().flatten().any(|node| node.raft().is_leader());
        assert_eq!(founded, planted, "there is a group already, and it holds the data");
    }
}

#[test]
fn forward_retries_write() {
    for (planted, fault) in both(Fault::ForwardRetriesWrite) {
        let mut table = cluster(3, 1, fault);
        let id = table.send(3, Method::Put, "/v1/kv/a?cas=0", "1");
        let written = |table: &Table| {
            let leader = table.leader().expect("someone leads");
            table.nodes[leader].as_ref().unwrap().catalog().kv_get("a").is_some()
        };
        table.until(written);
        // The server in between dies with the answer.
        let between = table.called.expect("the client called a server");
        table.kill(between);
        table.until(|table| table.answers.contains_key(&id));
        let answer = table.answers[&id].clone();
        let denied = answer.status == 200 && text(&answer) == "false";
        assert_eq!(denied, planted, "{}: {}", answer.status, text(&answer));
    }
}

#[test]
fn sync_trusts_old_server() {
    for (planted, fault) in both(Fault::SyncTrustsOldServer) {
        let mut table = cluster(3, 1, fault);
        table.kill(3);
        table.configure(3, |config| {
            config.anti_entropy_interval = Duration::from_secs(10);
            // Nothing else may tell the agent that its server is cut off.
            if let Some(cluster) = &mut config.cluster {
                cluster.coordinates = None;
            }
        });
        table.boot(3);
        table.put(3, "/v1/agent/service/register", r#"{"Name":"web","Port":80}"#);
        table.run(Duration::from_secs(15));
        let asked = table.called.expect("the client called a server");
        let others: Vec<usize> = (0..3).filter(|number| *number != asked).collect();
        for other in &others {
            table.cut_pairs.insert((asked.min(*other), asked.max(*other)));
        }
        table.run(Duration::from_secs(2));
        let leader = *others
            .iter()
            .find(|n| table.nodes[**n].as_ref().unwrap().raft().is_leader())
            .expect("the others elect");
        let gone = r#"{"Node":"c4","ServiceID":"web"}"#;
        table.put(leader, "/v1/catalog/deregister", gone);
        table.run(Duration::from_secs(80));
        let there = table.nodes[leader]
            .as_ref()
            .unwrap()
            .catalog()
            .node_services("c4")
            .any(|service| &*service.registration.id == "web");
        assert_eq!(!there, planted, "an agent's offer stays in the catalog");
    }
}

#[test]
fn greeting_beats_gossip() {
    for (planted, fault) in both(Fault::GreetingBeatsGossip) {
        let far = advertising_wan(server(2, "dc2", 1), 2);
        let mut table = Table::with(vec![
            faulty(advertising_wan(server(1, "dc1", 1), 1), fault),
            faulty(joining_wan_at(far, "10.9.0.1"), fault),
        ]);
        table.until(|table| {
            let node = |n: usize| table.nodes[n].as_ref().unwrap();
            (0..2)
                .all(|n| node(n).raft().is_leader() && node(n).view().pools.datacenters.len() == 2)
        });
        assert_eq!(table.put(0, "/v1/kv/a?dc=dc2", "1"), "true");
        let answered_at = table.dialled[&(1, 0)];
        let lan = "10.0.0.1:8300".parse().unwrap();
        assert_eq!(answered_at == lan, planted, "dc2 answers where dc1 is to be reached from it");
    }
}

/// A session whose end is up to time alone.
fn session(table: &mut Table, number: usize, wish: &str) -> String {
    let made = table.put(number, "/v1/session/create", wish);
    made.split('"').nth(3).expect("a session is answered by its id").to_string()
}

#[test]
fn renewal_keeps_deadline() {
    for (planted, fault) in both(Fault::RenewalKeepsDeadline) {
        let mut table = cluster(1, 0, fault);
        let id = session(&mut table, 0, r#"{"TTL":"10s","Checks":[]}"#);
        table.run(Duration::from_secs(15));
        table.put(0, &format!("/v1/session/renew/{id}"), "");
        table.run(Duration::from_secs(8));
        let lives = table.get(0, &format!("/v1/session/info/{id}")) != "[]";
        assert_eq!(!lives, planted, "a session lives for its TTL after each renewal");
    }
}

#[test]
fn lock_delay_ends_with_leader() {
    for (planted, fault) in both(Fault::LockDelayEndsWithLeader) {
        let mut table = cluster(3, 0, fault);
        let old = table.elect();
        let next = (old + 1) % 3;
        let wish = r#"{"LockDelay":"30s","Checks":[]}"#;
        let (one, two) = (session(&mut table, next, wish), session(&mut table, next, wish));
        assert_eq!(table.put(next, &format!("/v1/kv/lock?acquire={one}"), ""), "true");
        table.put(next, &format!("/v1/session/destroy/{one}"), "");
        table.converge();
        table.kill(old);
        table.elect();
        table.run(Duration::from_secs(5));
        let taken = table.put(next, &format!("/v1/kv/lock?acquire={two}"), "") == "true";
        assert_eq!(taken, planted, "a lock-delay outlives its leader");
    }
}
