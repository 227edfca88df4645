//! Three servers that find one another, client agents and a second datacenter, as processes: what
//! is registered anywhere is seen everywhere; each role is killed in turn, and everyone is told.
//!
//! The full size, with numbers, is `cargo ci cluster`.

use crate::fleet::{CLIENTS, FAR, Fleet, SERVERS, Witness, Writer, node};
use crate::process::run;
use crate::web::{ask, get, put};
use std::time::Duration;

/// Client agents.
const CLIENT_COUNT: usize = 3;
/// The formulas bound a death among 6 members so: the probe that meets it begins within 9 s (the
/// order of probes is drawn anew each round), ends within 1 s, and a suspicion nobody confirms
/// lasts 24 s. The processes of other tests take their time besides.
const TOLD_MAX: Duration = Duration::from_secs(40);
/// For what takes a second or two on a quiet machine.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn each_role_is_killed_and_nothing_is_lost() {
    let mut fleet = Fleet::form("gossip", 1, CLIENT_COUNT, SOON);
    let (witness, writer) = (CLIENTS, CLIENTS + 1);
    let client = format!("-http-addr={}", fleet.http(witness));
    let (code, shown, _) = run(&["members", &client]);
    assert_eq!(code, 0);
    assert_eq!(shown.matches(" server ").count(), SERVERS, "{shown}");
    assert_eq!(shown.matches(" client ").count(), CLIENT_COUNT, "{shown}");
    let (code, shown, _) = run(&["members", "-wan", &format!("-http-addr={}", fleet.http(0))]);
    assert_eq!(code, 0);
    assert_eq!(shown.matches(".dc1 ").count(), SERVERS, "{shown}");
    assert_eq!(shown.matches(".dc2 ").count(), 1, "{shown}");

    fleet.register();
    fleet.wait_seen(CLIENT_COUNT, SOON);
    let looking = Witness::at(&fleet, witness);
    let writing = Writer::at(&fleet, writer);

    // A client agent and the other datacenter.
    let lost = CLIENTS + 2;
    fleet.kill(lost);
    fleet.kill(FAR);
    let unreachable = ask(fleet.http(witness), "GET", "/v1/kv/k?dc=dc2", "").unwrap();
    assert_eq!(unreachable.status, 500, "{}", unreachable.body);
    fleet.wait_told(lost, "critical", TOLD_MAX);
    fleet.start(lost);
    fleet.start(FAR);
    fleet.wait_told(lost, "passing", SOON);
    fleet.wait_seen(CLIENT_COUNT, SOON);

    // A follower, and the leader.
    for leads in [false, true] {
        let leader = fleet.wait_for_leader(SOON);
        let seat = if leads { leader } else { (leader + 1) % SERVERS };
        let killed = fleet.kill(seat);
        writing.resumed(killed, SOON);
        let body = format!(r#"{{"Name": "late-{leads}", "Port": 1}}"#);
        put(fleet.http(witness), "/v1/agent/service/register", &body);
        fleet.wait_told(seat, "critical", TOLD_MAX);
        fleet.start(seat);
        fleet.wait_told(seat, "passing", SOON);
        fleet.wait_whole(SOON);
    }
    fleet.wait_seen(CLIENT_COUNT, SOON);

    let (answers, fewest) = looking.end();
    assert!(answers > 0);
    assert_eq!(fewest, CLIENT_COUNT, "a registration was lost");
    let written = writing.end();
    for seat in fleet.near() {
        let kept = get(fleet.http(seat), "/v1/kv/w/?keys&consistent").json();
        let kept: std::collections::BTreeSet<&str> =
            kept.as_array().unwrap().iter().filter_map(|key| key.as_str()).collect();
        for key in &written {
            assert!(kept.contains(format!("w/{key}").as_str()), "acknowledged key {key} is lost");
        }
        let services = get(fleet.http(seat), "/v1/catalog/services").body;
        assert!(services.contains("late-false") && services.contains("late-true"), "{services}");
    }

    // A client agent that is told to stop leaves.
    fleet.agent(lost).signal("TERM");
    let gone = format!("/v1/catalog/node/{}", node(lost));
    fleet.wait("the client is gone", SOON, |fleet| {
        get(fleet.http(witness), &gone).body.trim() == "null"
    });
}
