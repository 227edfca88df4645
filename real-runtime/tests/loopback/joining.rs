//! Joining, giving up and leaving, as the flags say: exit codes and words are Consul's.

use crate::process::{Agent, Scratch, free_ports, pause, run};
use crate::web::{get, put};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

fn at(host: u8) -> IpAddr {
    IpAddr::from([127, 2, 4, host])
}

/// Runs an agent that finds nobody to its end; its log.
fn lonely(name: &str, host: u8, arguments: &[&str]) -> String {
    let scratch = Scratch::new(name);
    let data = scratch.0.join("data");
    let log = scratch.0.join("agent.log");
    let mut all = vec!["-data-dir", data.to_str().unwrap(), "-node", name];
    all.extend_from_slice(arguments);
    let mut agent = Agent::start(&log, at(host), &free_ports(at(host), 3), &all);
    assert_eq!(agent.ended(SOON).code(), Some(1), "{}", agent.log());
    agent.log()
}

#[test]
fn who_finds_nobody_gives_up_as_often_as_told() {
    let refused = "Failed to join 127.2.4.99: dial tcp 127.2.4.99:1: connect: connection refused";
    let retried = ["-retry-join", "127.2.4.99:1", "-retry-max", "2", "-retry-interval", "100ms"];
    let log = lonely("retries", 1, &retried);
    assert_eq!(log.matches(refused).count(), 3, "{log}");
    assert_eq!(log.matches("Join cluster failed, will retry: cluster=LAN").count(), 2, "{log}");
    let exhausted = "Retry join failed: error=\"agent: max join LAN retry exhausted, exiting\"";
    assert!(log.contains(exhausted) && log.contains("Exit code: code=1"), "{log}");

    let server = ["-server", "-bootstrap", "-retry-join-wan", "127.2.4.99:1", "-retry-max-wan=1"];
    let log = lonely("wan", 2, &[&server[..], &["-retry-interval-wan", "100ms"]].concat());
    assert_eq!(log.matches(refused).count(), 2, "{log}");
    assert!(log.contains("max join WAN retry exhausted, exiting"), "{log}");

    let log = lonely("once", 3, &["-join", "127.2.4.99:1"]);
    assert_eq!(log.matches(refused).count(), 1, "{log}");
}

#[test]
fn the_wrong_key_and_none_are_told_apart() {
    let scratch = Scratch::new("keys");
    let keys = [run(&["keygen"]).1, run(&["keygen"]).1];
    let ports = free_ports(at(4), 5);
    let (lan, wan) = (ports[3].to_string(), ports[4].to_string());
    let arguments = ["-dev", "-node", "s1", "-serf-lan-port", &lan, "-serf-wan-port", &wan];
    let with_key = [&arguments[..], &["-encrypt", keys[0].trim()]].concat();
    let server = Agent::start(&scratch.0.join("s1.log"), at(4), &ports, &with_key);
    server.wait_for_leader(SOON);
    let seed = format!("{}:{lan}", at(4));
    let log = lonely("other", 5, &["-join", &seed, "-encrypt", keys[1].trim()]);
    assert!(log.contains("No installed keys could decrypt the message"), "{log}");
    let log = lonely("plain", 6, &["-join", &seed]);
    assert!(log.contains("Remote state is encrypted and encryption is not configured"), "{log}");
    assert_eq!(get(server.http, "/v1/agent/members").json().as_array().map(Vec::len), Some(1));
}

#[test]
fn the_keys_of_the_file_come_first() {
    let scratch = Scratch::new("ring");
    let keys = [run(&["keygen"]).1, run(&["keygen"]).1];
    let (data, log) = (scratch.0.join("s1"), scratch.0.join("s1.log"));
    let ports = free_ports(at(9), 3);
    for (life, key) in keys.iter().enumerate() {
        let arguments = ["-server", "-bootstrap", "-data-dir", data.to_str().unwrap()];
        let all = [&arguments[..], &["-node", "s1", "-encrypt", key.trim()]].concat();
        let mut server = Agent::start(&log, at(9), &ports, &all);
        server.wait_for_leader(SOON);
        let (code, shown, stderr) =
            run(&["keyring", "-list", &format!("-http-addr={}", server.http)]);
        assert_eq!(code, 0, "{stderr}");
        assert!(shown.contains(keys[0].trim()) && !shown.contains(keys[1].trim()), "{shown}");
        let warned = "keyring doesn't include key provided with -encrypt, using keyring";
        assert_eq!(server.log().matches(warned).count(), 2 * life, "{}", server.log());
        server.kill();
    }
}

#[test]
fn who_leaves_is_answered_and_rejoins_when_told_to() {
    let scratch = Scratch::new("rejoin");
    let ports = free_ports(at(7), 5);
    let (lan, wan) = (ports[3].to_string(), ports[4].to_string());
    let arguments = ["-dev", "-node", "s1", "-serf-lan-port", &lan, "-serf-wan-port", &wan];
    let server = Agent::start(&scratch.0.join("s1.log"), at(7), &ports, &arguments);
    server.wait_for_leader(SOON);
    let data = scratch.0.join("c1");
    let own = ["-data-dir", data.to_str().unwrap(), "-node", "c1", "-rejoin"];
    let seed = format!("{}:{lan}", at(7));
    let (log, ports) = (scratch.0.join("c1.log"), free_ports(at(8), 3));
    for life in 0..2 {
        // Only the first life is told where the others are.
        let seeds = ["-retry-join", seed.as_str()];
        let more: &[&str] = if life == 0 { &seeds } else { &[] };
        let mut client = Agent::start(&log, at(8), &ports, &[&own[..], more].concat());
        client.wait_for_leader(SOON);
        put(client.http, "/v1/agent/service/register", r#"{"Name":"web","Port":80}"#);
        let begun = Instant::now();
        while !get(server.http, "/v1/catalog/service/web").body.contains("c1") {
            assert!(begun.elapsed() < SOON, "{}", client.log());
            pause();
        }
        let (code, stdout, stderr) = run(&["leave", &format!("-http-addr={}", client.http)]);
        assert_eq!((code, stdout.as_str()), (0, "Graceful leave complete\n"), "{stderr}");
        assert_eq!(client.ended(SOON).code(), Some(0), "{}", client.log());
    }
}
