//! Agents that know one another by gossip alone.

use crate::agents::{
    advertising_wan, client, cluster, group, health, joining, joining_wan, joining_wan_at, passing,
    server,
};
use crate::table::{Table, node_id, text};
use proconsul_core::http::Method;
use proconsul_core::types::{Duration, Planted, Pool};
use proconsul_core::{Admin, Input};

const WEB: &str = r#"{"Name":"web","Port":80}"#;

fn sound(servers: usize, clients: usize) -> Table {
    cluster(servers, clients, Planted::none())
}

#[test]
fn three_expected_servers_find_one_another_and_serve_a_client() {
    let mut table = sound(3, 1);
    let (voters, others) = group(&table);
    assert_eq!((voters, others), (vec![0, 1, 2], vec![]));
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
    assert_eq!(table.get(3, "/v1/kv/a?raw"), "1");
    assert_eq!(table.get(0, "/v1/kv/a?raw"), "1");
    table.put(3, "/v1/agent/service/register", WEB);
    table.run(Duration::from_secs(1));
    for agent in 0..4 {
        let seen = table.get(agent, "/v1/health/service/web?passing");
        assert!(seen.contains("\"Node\":\"c4\""), "agent {agent} sees {seen}");
    }
    let health = table.get(3, "/v1/health/node/s1");
    assert!(health.contains("Agent alive and reachable"), "{health}");
    let service = table.get(3, "/v1/catalog/service/consul");
    assert!(service.contains("\"ServicePort\":8300"), "{service}");
    let autopilot = table.leader().and_then(|leader| {
        let view = table.nodes[leader].as_ref()?.view();
        view.pools.autopilot.clone()
    });
    assert_eq!(autopilot.map(|health| health.servers.len()), Some(3));
}

#[test]
fn a_client_watches_through_a_server_and_survives_its_end() {
    let mut table = sound(3, 1);
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
    let first = table.ask(3, Method::Get, "/v1/kv/a", "");
    let index = crate::table::index(&first);
    let watch = table.send(3, Method::Get, &format!("/v1/kv/a?index={index}&wait=40s"), "");
    table.run(Duration::from_secs(1));
    assert!(!table.answers.contains_key(&watch), "nothing changed yet");
    // Every server but one dies in turn and comes back; the watch moves on.
    for number in 0..3 {
        table.kill(number);
        table.run(Duration::from_millis(500));
        table.boot(number);
        table.elect();
        table.run(Duration::from_secs(2));
    }
    assert_eq!(table.put(0, "/v1/kv/a", "2"), "true");
    table.until(|table| table.answers.contains_key(&watch));
    let answer = &table.answers[&watch];
    assert_eq!(answer.status, 200, "{}", text(answer));
    assert!(text(answer).contains("\"Value\":\"Mg==\""), "{}", text(answer));
}

#[test]
fn a_client_without_servers_says_so() {
    let mut table = Table::with(vec![client(1, "dc1")]);
    let answer = table.ask(0, Method::Get, "/v1/kv/a", "");
    assert_eq!((answer.status, text(&answer)), (500, "No known Consul servers".into()));
    table.put(0, "/v1/agent/service/register", WEB);
    let services = table.get(0, "/v1/agent/services");
    assert!(services.contains("web"), "what it offers is its own: {services}");
}

#[test]
fn a_search_for_a_server_ends() {
    let mut table = sound(3, 1);
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
    (0..3).for_each(|server| table.kill(server));
    let begun = table.now;
    let lost = table.ask(3, Method::Get, "/v1/kv/a", "");
    assert_eq!((lost.status, text(&lost)), (500, "rpc error making call: EOF".into()));
    assert!(table.now.since(begun) <= Duration::from_secs(8), "the hold and one attempt more");
}

#[test]
fn the_catalog_says_who_lives() {
    let mut table = sound(3, 1);
    table.put(3, "/v1/agent/service/register", WEB);
    table.run(Duration::from_secs(1));
    table.kill(3);
    table.until(|table| health(table, "c4") == Some("critical"));
    let leader = table.elect();
    let output = table.get(leader, "/v1/health/node/c4");
    assert!(output.contains("Agent not live or unreachable"), "{output}");
    assert_ne!(table.get(leader, "/v1/catalog/service/web"), "[]", "it is still there");
    table.boot(3);
    table.until(|table| health(table, "c4") == Some("passing"));
    let left = table.ask(3, Method::Put, "/v1/agent/leave", "");
    assert_eq!(left.status, 200);
    table.until(|table| health(table, "c4").is_none());
    assert_eq!(table.gone.len(), 1);
    assert_eq!(table.get(leader, "/v1/catalog/service/web"), "[]");
}

#[test]
fn a_server_that_leaves_loses_its_seat_and_a_new_one_earns_a_vote() {
    let mut table = sound(3, 0);
    let leader = table.elect();
    let leaver = (leader + 1) % 3;
    assert_eq!(table.ask(leaver, Method::Put, "/v1/agent/leave", "").status, 200);
    table.nodes[leaver] = None;
    table.run(Duration::from_secs(2));
    assert_eq!(group(&table).0.len(), 2);
    assert_eq!(health(&table, &format!("s{}", leaver + 1)), None);
    let seed = leader + 1;
    let new = table.add(joining(server(4, "dc1", 3), seed));
    table.run(Duration::from_secs(5));
    assert_eq!(group(&table).1, vec![new], "it listens first");
    table.run(Duration::from_secs(15));
    assert_eq!((group(&table).0.len(), group(&table).1.len()), (3, 0), "then it votes");
}

#[test]
fn a_voter_that_returns_keeps_its_vote() {
    let mut table = sound(3, 0);
    let leader = table.elect();
    let other = (leader + 1) % 3;
    table.kill(other);
    let name = format!("s{}", other + 1);
    table.until(|table| health(table, &name) == Some("critical"));
    table.run(Duration::from_secs(30));
    assert_eq!(group(&table).0.len(), 3, "two are not safe without the third");
    table.boot(other);
    table.until(|table| health(table, &name) == Some("passing"));
    assert_eq!(group(&table), (vec![0, 1, 2], vec![]));
}

#[test]
fn the_leaders_end_is_told_by_the_next_one() {
    let mut table = sound(3, 1);
    let leader = table.elect();
    table.kill(leader);
    table.run(Duration::from_secs(1));
    let next = table.elect();
    assert_ne!(next, leader);
    let name = format!("s{}", leader + 1);
    table.until(|table| health(table, &name) == Some("critical"));
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
}

#[test]
fn datacenters_ask_one_another() {
    let mut table = Table::with(vec![
        server(1, "dc1", 1),
        joining_wan(server(2, "dc2", 1), 1),
        joining(client(3, "dc1"), 1),
    ]);
    table.until(|table| {
        let leads = |n: usize| table.nodes[n].as_ref().unwrap().raft().is_leader();
        let knows = |n: usize| table.nodes[n].as_ref().unwrap().view().pools.datacenters.len();
        leads(0) && leads(1) && knows(0) == 2 && knows(1) == 2
    });
    table.run(Duration::from_secs(2));
    assert_eq!(table.put(0, "/v1/kv/a?dc=dc2", "far"), "true");
    assert_eq!(table.get(1, "/v1/kv/a?raw"), "far");
    assert_eq!(table.get(2, "/v1/kv/a?raw&dc=dc2"), "far");
    assert_eq!(table.ask(0, Method::Get, "/v1/kv/a", "").status, 404);
    let nowhere = table.ask(0, Method::Get, "/v1/kv/a?dc=dc9", "");
    assert_eq!((nowhere.status, text(&nowhere)), (500, "No path to datacenter".into()));
    let nowhere = table.ask(2, Method::Get, "/v1/kv/a?dc=dc9", "");
    let through_a_server = "rpc error making call: No path to datacenter";
    assert_eq!((nowhere.status, text(&nowhere)), (500, through_a_server.into()));
    let refused = table.ask(0, Method::Put, "/v1/session/create?dc=dc2", r#"{"Node":"none"}"#);
    assert!(text(&refused).starts_with("rpc error making call: "), "{}", text(&refused));
    for (asker, name) in [(0, "near"), (2, "through-a-server")] {
        let fired = table.put(asker, &format!("/v1/event/fire/{name}?dc=dc2"), "now");
        assert!(fired.contains(name), "{fired}");
        table.run(Duration::from_secs(1));
        assert!(table.get(1, "/v1/event/list").contains(name), "{name} was told there");
        assert!(!table.get(0, "/v1/event/list").contains(name), "{name} was told there alone");
    }
    let nowhere = table.ask(2, Method::Put, "/v1/event/fire/x?dc=dc9", "");
    assert_eq!((nowhere.status, text(&nowhere)), (500, through_a_server.into()));
    // Before the pool knows, whoever asks learns at once that nobody is there.
    table.kill(1);
    for asker in [0, 2, 0] {
        let begun = table.now;
        let lost = table.ask(asker, Method::Get, "/v1/kv/a?dc=dc2", "");
        let refused = "rpc error getting client: failed to get conn: dial tcp 10.0.0.2:8300: \
                       connect: connection refused";
        assert!(text(&lost).ends_with(refused), "{}", text(&lost));
        assert!(table.now.since(begun) < Duration::from_secs(1));
    }
    table.run(Duration::from_secs(120));
    let cut = table.ask(0, Method::Get, "/v1/kv/a?dc=dc2", "");
    let unreachable = "Remote DC has no server currently reachable";
    assert_eq!((cut.status, text(&cut)), (500, unreachable.into()));
}

#[test]
fn a_write_that_was_never_sent_goes_to_another_server() {
    // Whichever server of the other datacenter is asked first, in one of these worlds it is gone.
    for victim in 1..=3 {
        let mut table = Table::with(vec![
            server(1, "dc1", 1),
            joining_wan(server(2, "dc2", 3), 1),
            joining(server(3, "dc2", 3), 2),
            joining(server(4, "dc2", 3), 2),
        ]);
        table.until(|table| {
            let node = |n: usize| table.nodes[n].as_ref().unwrap();
            let leads = |n: usize| node(n).raft().is_leader();
            let seen = node(0).view().pools.wan.as_ref().map_or(0, |wan| wan.members.len());
            leads(0) && (1..=3).any(leads) && seen == 4
        });
        table.run(Duration::from_secs(5));
        // It goes without a word, and no connection to it was open.
        table.nodes[victim] = None;
        for key in ["a", "b"] {
            let written = table.put(0, &format!("/v1/kv/{key}?dc=dc2&cas=0"), "1");
            assert_eq!(written, "true", "server {victim} is gone");
        }
        // Nor is anyone there when all are gone: that is said, and at once.
        (1..=3).for_each(|number| table.nodes[number] = None);
        let begun = table.now;
        let lost = table.ask(0, Method::Put, "/v1/kv/c?dc=dc2", "1");
        let refused = text(&lost);
        assert!(refused.starts_with("rpc error getting client: failed to get conn: dial tcp 10.0"));
        assert!(lost.status == 500 && refused.ends_with(":8300: connect: connection refused"));
        assert!(table.now.since(begun) < Duration::from_secs(1));
    }
}

#[test]
fn servers_of_one_lan_meet_in_the_wan() {
    let mut table = Table::with(vec![
        server(1, "dc1", 2),
        joining(server(2, "dc1", 2), 1),
        joining_wan(server(3, "dc2", 1), 1),
    ]);
    table.until(|table| {
        (0..3).all(|number| {
            let view = table.nodes[number].as_ref().unwrap().view();
            view.pools.wan.as_ref().is_some_and(|wan| wan.members.len() == 3)
        })
    });
}

#[test]
fn an_event_reaches_those_it_is_meant_for() {
    let mut table = sound(1, 2);
    table.put(1, "/v1/agent/service/register", WEB);
    let listed = |table: &Table, number: usize| {
        table.nodes[number].as_ref().unwrap().view().pools.events.len()
    };
    let origin = proconsul_core::http::UserEvent {
        id: "".into(),
        name: "deploy".into(),
        payload: bytes::Bytes::from_static(b"x"),
        node_filter: "".into(),
        service_filter: "^w".into(),
        tag_filter: "".into(),
        version: 1,
        time: proconsul_core::types::LamportTime(0),
    };
    let fired = table.ask(2, Method::Put, "/v1/event/fire/deploy?service=%5Ew", &origin.name);
    assert_eq!(fired.status, 200, "{}", text(&fired));
    assert!(text(&fired).contains("\"ServiceFilter\":\"^w\""), "{}", text(&fired));
    table.until(|table| listed(table, 1) == 1);
    table.run(Duration::from_secs(5));
    assert_eq!([listed(&table, 0), listed(&table, 1), listed(&table, 2)], [0, 1, 0]);
}

#[test]
fn signals_do_what_the_configuration_says() {
    let mut table = sound(1, 1);
    table.step(1, Input::Admin(Admin::Terminate));
    table.until(|table| table.gone.contains(&1));
    table.until(|table| health(table, "c2").is_none());
    assert_eq!(passing(&table), 1);
}

#[test]
fn servers_that_lost_everything_learn_it_again_from_their_agents() {
    let mut table = sound(1, 1);
    table.put(1, "/v1/agent/service/register", WEB);
    table.run(Duration::from_secs(1));
    assert!(table.get(0, "/v1/catalog/service/web").contains("c2"));
    table.kill(0);
    table.files[0].clear();
    table.boot(0);
    table.elect();
    assert_eq!(table.get(0, "/v1/catalog/service/web"), "[]");
    // No later than the next full comparison, which comes within two intervals.
    table.run(Duration::from_secs(125));
    assert!(table.get(0, "/v1/catalog/service/web").contains("c2"), "nobody registered it again");
}

#[test]
fn a_name_that_must_be_looked_up_is_asked_for() {
    let mut node = server(1, "dc1", 1);
    if let Some(cluster) = &mut node.cluster {
        cluster.join.retry = vec!["a.example".into()];
        cluster.join.interval = Duration::from_secs(5);
    }
    let mut table = Table::with(vec![node]);
    table.run(Duration::from_secs(1));
    let (lookup, name) = table.lookups.pop().expect("the host is asked");
    assert_eq!(&*name, "a.example");
    table.step(0, Input::Resolved(lookup, Err("no such host".into())));
    table.run(Duration::from_secs(6));
    assert_eq!(table.lookups.len(), 1, "it tries again");
}

#[test]
fn a_leader_hands_over_before_it_leaves() {
    let mut table = sound(3, 1);
    let leader = table.elect();
    let begun = table.now;
    table.send(leader, Method::Put, "/v1/agent/leave", "");
    table.until(|table| table.leader().is_some_and(|next| next != leader));
    assert!(table.now.since(begun) < Duration::from_millis(100), "nobody waits for an election");
    assert!(table.nodes[leader].as_ref().unwrap().raft().membership().members.len() == 3);
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
    assert!(table.now.since(begun) < Duration::from_millis(500), "writes go on");
}

#[test]
fn a_leader_that_leaves_is_forgotten_by_the_next_one() {
    let mut table = sound(3, 1);
    let leader = table.elect();
    assert_eq!(table.ask(leader, Method::Put, "/v1/agent/leave", "").status, 200);
    table.nodes[leader] = None;
    let name = format!("s{}", leader + 1);
    table.until(|table| table.leader().is_some() && health(table, &name).is_none());
    assert_eq!(group(&table).0.len(), 2);
    assert_eq!(table.put(3, "/v1/kv/a", "1"), "true");
}

#[test]
fn a_deregistration_that_fails_is_tried_again() {
    let mut table = sound(3, 1);
    table.put(3, "/v1/agent/service/register", WEB);
    table.run(Duration::from_secs(1));
    for number in 0..3 {
        table.kill(number);
    }
    assert_eq!(table.ask(3, Method::Put, "/v1/agent/service/deregister/web", "").status, 200);
    table.run(Duration::from_secs(20));
    for number in 0..3 {
        table.boot(number);
    }
    let leader = table.elect();
    table.run(Duration::from_secs(60));
    assert_eq!(table.get(leader, "/v1/catalog/service/web"), "[]");
}

#[test]
fn sessions_end_with_their_node() {
    let mut table = sound(1, 1);
    let made = table.put(1, "/v1/session/create", r#"{"LockDelay":"0s"}"#);
    let id = made.split('"').nth(3).unwrap().to_string();
    assert_eq!(table.put(1, &format!("/v1/kv/lock?acquire={id}"), "x"), "true");
    table.kill(1);
    table.until(|table| health(table, "c2") == Some("critical"));
    table.run(Duration::from_secs(1));
    assert_eq!(table.get(0, "/v1/session/list"), "[]");
    assert!(!table.get(0, "/v1/kv/lock").contains("Session"), "the lock is free");
}

#[test]
fn an_operator_gives_a_failed_agent_up() {
    let mut table = sound(1, 1);
    let unknown = table.ask(0, Method::Put, "/v1/agent/force-leave/nope", "");
    let text = text(&unknown);
    assert_eq!((unknown.status, &*text), (500, "agent: No node found with name 'nope'"));
    table.kill(1);
    table.until(|table| health(table, "c2") == Some("critical"));
    assert_eq!(table.ask(0, Method::Put, "/v1/agent/force-leave/c2", "").status, 200);
    table.until(|table| health(table, "c2").is_none());
}

#[test]
fn an_operator_joins_agents() {
    let mut table = Table::with(vec![server(1, "dc1", 1), client(2, "dc1")]);
    table.elect();
    let nobody = table.ask(1, Method::Put, "/v1/agent/join/10.0.0.99", "");
    assert_eq!(nobody.status, 500);
    assert!(text(&nobody).starts_with("1 error occurred:\n\t* Failed to join 10.0.0.99: "));
    assert_eq!(table.ask(1, Method::Put, "/v1/agent/join/10.0.0.1", "").status, 200);
    table.until(|table| passing(table) == 2);
    let wan = table.ask(1, Method::Put, "/v1/agent/join/10.0.0.1?wan=1", "");
    assert_eq!(text(&wan), "Must be a server to join WAN cluster");
}

#[test]
fn keys_change_in_every_pool_of_every_datacenter() {
    use proconsul_core::wire::crypto::{Key, Keyring};
    let keyed = |mut node: proconsul_core::Config| {
        let ring = Keyring::new(vec![Key::new(&[7; 16]).unwrap()]);
        if let Some(cluster) = &mut node.cluster {
            cluster.lan.keyring = ring.clone();
            if let Some(wan) = &mut cluster.wan {
                wan.keyring = ring;
            }
        }
        node
    };
    let mut table = Table::with(vec![
        keyed(server(1, "dc1", 1)),
        keyed(joining_wan(server(2, "dc2", 1), 1)),
        keyed(joining(client(3, "dc1"), 1)),
    ]);
    table.until(|table| {
        let leads = |n: usize| table.nodes[n].as_ref().unwrap().raft().is_leader();
        let knows = |n: usize| table.nodes[n].as_ref().unwrap().view().pools.datacenters.len();
        leads(0) && leads(1) && knows(0) == 2 && knows(1) == 2
    });
    table.run(Duration::from_secs(5));
    let new = Key::new(&[8; 16]).unwrap().to_base64();
    let body = format!(r#"{{"Key":"{new}"}}"#);
    let added = table.ask(2, Method::Post, "/v1/operator/keyring", &body);
    assert_eq!((added.status, text(&added)), (200, String::new()));
    let list = table.get(0, "/v1/operator/keyring");
    let pools: Vec<&str> = list.matches("\"NumNodes\":").collect();
    assert_eq!(pools.len(), 3, "one WAN, two LANs: {list}");
    assert_eq!(list.matches(&format!("\"{new}\":2")).count(), 2, "{list}");
    assert_eq!(list.matches(&format!("\"{new}\":1")).count(), 1, "{list}");
    let files = &table.files[0];
    let kept = String::from_utf8(files["serf/local.keyring"].clone()).unwrap();
    assert!(kept.contains(&new), "the file has the new key: {kept}");
    // A restart goes on with the file's keys, not the configuration's.
    table.kill(0);
    table.boot(0);
    table.run(Duration::from_secs(30));
    assert_eq!(table.get(0, "/v1/operator/keyring"), list);
}

#[test]
fn names_are_looked_up_through_servers_and_datacenters() {
    use proconsul_core::{DnsTransport, RequestId};
    let mut table = Table::with(vec![
        server(1, "dc1", 1),
        joining_wan(server(2, "dc2", 1), 1),
        joining(client(3, "dc1"), 1),
    ]);
    table.until(|table| {
        let leads = |n: usize| table.nodes[n].as_ref().unwrap().raft().is_leader();
        let knows = |n: usize| table.nodes[n].as_ref().unwrap().view().pools.datacenters.len();
        leads(0) && leads(1) && knows(0) == 2 && knows(1) == 2
    });
    table.run(Duration::from_secs(5));
    for (number, name, wanted) in
        [(2, "s1.node.consul", [10, 0, 0, 1]), (2, "s2.node.dc2.consul", [10, 0, 0, 2])]
    {
        let id = RequestId(9000 + u64::from(wanted[3]));
        let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend_from_slice(label.as_bytes());
        }
        question.extend_from_slice(&[0, 0, 1, 0, 1]);
        table.step(number, Input::Dns(id, DnsTransport::Udp, question.into()));
        table.until(|table| table.replies.contains_key(&id));
        let answer = &table.replies[&id];
        assert!(answer.windows(4).any(|part| part == wanted), "{name}: {answer:?}");
    }
}

#[test]
fn a_client_agent_is_answered_as_it_is_configured() {
    use proconsul_core::dns::Config;
    use proconsul_core::{Admin, Configured, DnsTransport, RequestId};
    let mut asking = joining(client(2, "dc1"), 1);
    let config = |seconds| Config {
        domain: "kit.test".into(),
        node_ttl: Duration::from_secs(seconds),
        ..Config::default()
    };
    asking.dns = config(7).into();
    let mut table = Table::with(vec![server(1, "dc1", 1), asking]);
    table.until(|table| table.nodes[0].as_ref().unwrap().raft().is_leader());
    table.run(Duration::from_secs(5));
    let ttl_of = |table: &mut Table, number: u64| {
        let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend_from_slice(b"\x02s1\x04node\x03kit\x04test\x00\x00\x01\x00\x01");
        let end = question.len();
        let id = RequestId(9000 + number);
        table.step(1, Input::Dns(id, DnsTransport::Udp, question.into()));
        table.until(|table| table.replies.contains_key(&id));
        let answer = &table.replies[&id];
        assert_eq!((answer[3] & 15, answer[7]), (0, 1), "{answer:?}");
        answer[end + 6..end + 10].to_vec()
    };
    assert_eq!(ttl_of(&mut table, 1), [0, 0, 0, 7]);
    // So it is after a re-read, too.
    let configured = Configured { dns: Some(config(9).into()), ..Configured::default() };
    table.step(1, Input::Admin(Admin::Reload(Box::new(configured), None)));
    assert_eq!(ttl_of(&mut table, 2), [0, 0, 0, 9]);
}

#[test]
fn a_server_that_lost_its_leader_still_knows_its_catalog() {
    let known = |table: &Table| {
        let view = table.nodes[0].as_ref().unwrap().view();
        (view.leadership.leader.is_some(), view.is_catalog_known())
    };
    let mut table = sound(3, 0);
    assert_eq!(known(&table), (true, true));
    table.until(|table| table.nodes[0].as_ref().unwrap().applied().index.0 > 1);
    table.kill(1);
    table.kill(2);
    table.until(|table| !known(table).0);
    assert_eq!(known(&table), (false, true));
    // A life alone that has applied nothing: what it would answer is no group's.
    let mut table = sound(3, 0);
    for number in 0..3 {
        table.kill(number);
    }
    table.boot(0);
    table.run(Duration::from_secs(5));
    assert_eq!(known(&table), (false, false));
}

#[test]
fn all_servers_come_back_elsewhere_and_elect() {
    let mut table = sound(3, 0);
    assert_eq!(table.put(0, "/v1/kv/a", "1"), "true");
    table.run(Duration::from_secs(1));
    for number in 0..3 {
        table.kill(number);
    }
    for number in 0..3 {
        table.configure(number, |config| {
            let moved = format!("10.0.1.{}", number + 1);
            config.facts.address = moved.as_str().into();
            config.facts.tagged_addresses = [("lan".into(), moved.into())].into();
            let cluster = config.cluster.as_mut().unwrap();
            cluster.join.retry = vec!["10.0.1.1".into()];
            let moved = |port: u16| format!("10.0.1.{}:{port}", number + 1).parse().unwrap();
            cluster.lan.advertised = moved(8301);
            cluster.wan.as_mut().unwrap().advertised = moved(8302);
        });
        table.boot(number);
    }
    let leader = table.elect();
    assert_eq!(table.get(leader, "/v1/kv/a?raw"), "1");
    table.run(Duration::from_secs(20));
    let leader = table.leader().unwrap_or(leader);
    let nodes = table.get(leader, "/v1/catalog/nodes");
    assert!(nodes.contains("10.0.1.2") && !nodes.contains("10.0.0.2"), "{nodes}");
}

#[test]
fn servers_of_other_datacenters_are_dialled_where_the_wan_says() {
    let far = advertising_wan(server(3, "dc2", 1), 3);
    let mut table = Table::with(vec![
        advertising_wan(server(1, "dc1", 2), 1),
        joining(advertising_wan(server(2, "dc1", 2), 2), 1),
        joining_wan_at(far, "10.9.0.1"),
    ]);
    let servers = |table: &Table, number: usize| {
        let view = table.nodes[number].as_ref().unwrap().view();
        view.pools.wan.as_ref().map_or(0, |wan| wan.members.len())
    };
    table.until(|table| (0..3).all(|number| servers(table, number) == 3));
    table.until(|table| (0..3).all(|n| table.nodes[n].as_ref().unwrap().raft().leader().is_some()));
    for asker in [0, 1] {
        assert_eq!(table.put(asker, "/v1/kv/a?dc=dc2", "far"), "true");
    }
    let place = |wan: bool, number: usize| {
        let subnet = if wan { 9 } else { 0 };
        Some(format!("10.{subnet}.0.{}:8300", number + 1).parse().unwrap())
    };
    let dialled = |table: &Table, from, to| table.dialled.get(&(from, to)).copied();
    // Every greeting here names the LAN, as Consul's servers do.
    for (from, to) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
        assert_eq!(dialled(&table, from, to), place(true, to), "{from} dials {to}");
    }
    for (from, to) in [(0, 1), (1, 0)] {
        assert_eq!(dialled(&table, from, to), place(false, to), "{from} dials {to}");
    }
    // Nor does a greeting move a server of the own datacenter that is alive where it is.
    table.step(0, Input::PeerAt(node_id(2), "10.0.0.99:8300".parse().unwrap()));
    table.dialled.clear();
    table.run(Duration::from_secs(1));
    assert_eq!(dialled(&table, 0, 1), place(false, 1));
}

#[test]
fn consul_info_says_how_things_are() {
    let mut table = sound(3, 1);
    let script = r#"{"Name":"s","Interval":"9s","ScriptArgs":["x"]}"#;
    table.configure(3, |config| {
        use proconsul_core::checks::parse::{Origin, check_definition};
        use proconsul_core::syntax::document::{Format, parse};
        let read = parse("s.json", Format::Json, script).unwrap();
        let check = check_definition(&read.into(), Origin::File);
        config.checks.push(check.unwrap());
    });
    table.kill(3);
    table.boot(3);
    assert_eq!(table.put(0, "/v1/kv/a", "1"), "true");
    table.run(Duration::from_secs(30));
    for agent in 0..4 {
        let about = table.get(agent, "/v1/agent/self");
        let node = table.nodes[agent].as_ref().unwrap();
        let lan = node.pool(Pool::Lan).unwrap().status();
        let mut told = vec![("member_time", lan.clocks.member.0)];
        told.push(("event_time", lan.clocks.event.0));
        told.push(("check_monitors", u64::from(agent == 3)));
        if agent < 3 {
            let raft = node.raft();
            told.push(("commit_index", raft.committed().0));
            told.push(("last_log_index", raft.last().index.0));
            told.push(("last_log_term", raft.last().term.0));
            told.push(("applied_index", raft.committed().0));
            assert_eq!(about.matches("{Suffrage:Voter ID:").count(), 3, "{about}");
        }
        for (name, number) in told {
            assert!(about.contains(&format!("\"{name}\":\"{number}\"")), "{name}: {about}");
        }
        let leads = node.raft().is_leader();
        let contact = if leads { "\"last_contact\":\"0\"" } else { "ms\",\"last_log" };
        assert!(agent == 3 || about.contains(contact), "{about}");
    }
}
