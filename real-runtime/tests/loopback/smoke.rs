//! One `-dev` agent: a little of everything.

use crate::process::{Agent, Scratch, pause};
use crate::web::{ask, dns, dns_counts, dns_tcp, get, get_with, put, read};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const A: u16 = 1;
const SRV: u16 = 33;

#[test]
fn keys_catalog_health_dns() {
    let scratch = Scratch::new("smoke");
    let agent = Agent::dev(&scratch, &[]);
    let missing = ask(agent.http, "GET", "/v1/kv/app/cfg", "").unwrap();
    assert_eq!(missing.status, 404);
    assert_eq!(put(agent.http, "/v1/kv/app/cfg", "hello").body.trim(), "true");
    let read = get(agent.http, "/v1/kv/app/cfg");
    assert_eq!(read.json()[0]["Value"], "aGVsbG8=");
    assert!(read.header("X-Consul-Index").is_some(), "{:?}", read.headers);
    assert_eq!(read.header("X-Consul-Knownleader"), Some("true"));
    assert!(read.header("Date").is_some());

    let service = r#"{"Name":"web","Port":80,"Tags":["v1"],"Check":{"TTL":"30s"}}"#;
    put(agent.http, "/v1/agent/service/register", service);
    put(agent.http, "/v1/agent/check/pass/service:web", "");
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let found = get(agent.http, "/v1/health/service/web?passing").json();
        if found.as_array().is_some_and(|found| found.len() == 1) {
            break;
        }
        assert!(Instant::now() < until, "the service never reached the catalog");
        pause();
    }
    assert_eq!(get(agent.http, "/v1/catalog/services").json()["web"][0], "v1");
    assert_eq!(dns_counts(&dns(agent.dns, "web.service.consul", A)), (1, 0));
    assert_eq!(dns_counts(&dns_tcp(agent.dns, "web.service.consul", SRV)), (1, 0));
    assert_eq!(dns_counts(&dns(agent.dns, "nosuch.service.consul", A)), (0, 3));

    let unknown = ask(agent.http, "GET", "/v1/nosuch", "").unwrap();
    assert_eq!((unknown.status, unknown.body.as_str()), (404, ""));
}

#[test]
fn blocking_queries_wake_on_change_and_clients_may_leave() {
    let scratch = Scratch::new("blocking");
    let agent = Agent::dev(&scratch, &[]);
    put(agent.http, "/v1/kv/watched", "1");
    let index = get(agent.http, "/v1/kv/watched").header("X-Consul-Index").unwrap().to_owned();
    let target = format!("/v1/kv/watched?index={index}&wait=10s");

    let started = Instant::now();
    let mut gone = TcpStream::connect(agent.http).unwrap();
    write!(gone, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut waiting = TcpStream::connect(agent.http).unwrap();
    write!(waiting, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    drop(gone);
    pause();
    put(agent.http, "/v1/kv/other", "x");
    put(agent.http, "/v1/kv/watched", "2");
    let answer = read(&mut BufReader::new(waiting)).unwrap();
    assert_eq!(answer.json()[0]["Value"], "Mg==");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_ne!(answer.header("X-Consul-Index"), Some(index.as_str()));

    let quiet = get(agent.http, "/v1/kv/watched?index=999999&wait=100ms");
    assert_eq!(quiet.status, 200);
}

#[test]
fn signals_end_it_in_consuls_way() {
    let scratch = Scratch::new("signals");
    for name in ["INT", "TERM"] {
        let mut agent = Agent::dev(&scratch, &[]);
        agent.signal(name);
        assert_eq!(agent.ended(Duration::from_secs(10)).code(), Some(1), "{}", agent.log());
    }
}

#[test]
fn data_survive_a_restart() {
    let scratch = Scratch::new("restart");
    let data = scratch.0.join("data");
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let ports = crate::process::free_ports(address, 3);
    let arguments = ["-server", "-bootstrap", "-data-dir", data.to_str().unwrap(), "-node", "s1"];
    let log = scratch.0.join("server.log");
    let mut id = String::new();
    for life in 0..3 {
        let mut agent = Agent::start(&log, address, &ports, &arguments);
        agent.wait_for_leader(Duration::from_secs(10));
        let kept = std::fs::read_to_string(data.join("node-id")).unwrap();
        assert!(id.is_empty() || id == kept);
        id = kept;
        for earlier in 0..life {
            let read = get(agent.http, &format!("/v1/kv/life/{earlier}?raw"));
            assert_eq!(read.body, "here");
            assert_eq!(get(agent.http, "/v1/agent/services").json()["kept"]["Port"], 7);
        }
        put(agent.http, &format!("/v1/kv/life/{life}"), "here");
        put(agent.http, "/v1/agent/service/register", r#"{"Name":"kept","Port":7}"#);
        agent.kill();
    }
}

#[test]
fn health_is_told_as_text_to_who_accepts_it() {
    let scratch = Scratch::new("text");
    let agent = Agent::dev(&scratch, &[]);
    let service = r#"{"Name":"web","Check":{"TTL":"30s","Status":"warning"}}"#;
    put(agent.http, "/v1/agent/service/register", service);
    for target in ["/v1/agent/health/service/id/web", "/v1/agent/health/service/name/web"] {
        let json = ask(agent.http, "GET", target, "").unwrap();
        assert_eq!((json.status, json.header("Content-Type")), (429, Some("application/json")));
        for text in [
            get_with(agent.http, target, "Accept: text/plain").unwrap(),
            get_with(agent.http, &format!("{target}?format=text"), "Accept: */*").unwrap(),
        ] {
            assert_eq!((text.status, text.body.as_str()), (429, "warning"), "{target}");
            assert_eq!(text.header("Content-Type"), Some("text/plain"));
        }
    }
}

#[test]
fn a_wish_to_reload_while_it_starts_ends_nothing() {
    let scratch = Scratch::new("early");
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let ports = crate::process::free_ports(address, 3);
    for _ in 0..5 {
        let log = scratch.0.join("dev.log");
        let mut agent = Agent::start(&log, address, &ports, &["-dev"]);
        while !agent.log().contains("==> Starting") {
            std::thread::yield_now();
        }
        agent.signal("HUP");
        agent.wait_for_leader(Duration::from_secs(10));
        let until = Instant::now() + Duration::from_secs(5);
        while !agent.log().contains("Reloading configuration") {
            assert!(Instant::now() < until, "the wish was not heard: {}", agent.log());
            pause();
        }
        agent.kill();
    }
}

#[test]
fn programs_run_for_clients_where_the_operator_says_so() {
    let scratch = Scratch::new("scripts");
    let body = r#"{"Name":"c","Args":["/bin/sh","-c","echo out; exit 1"],"Interval":"1s"}"#;
    let agent = Agent::dev(&scratch, &["-enable-local-script-checks"]);
    let refused = ask(agent.http, "PUT", "/v1/agent/check/register", body).unwrap();
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("configure 'enable_script_checks' to true"), "{}", refused.body);
    drop(agent);
    let agent = Agent::dev(&scratch, &["-enable-script-checks"]);
    put(agent.http, "/v1/agent/check/register", body);
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let check = get(agent.http, "/v1/agent/checks").json()["c"].clone();
        if check["Status"] == "warning" {
            assert_eq!(check["Output"], "out\n");
            break;
        }
        assert!(Instant::now() < until, "{check}\n{}", agent.log());
        pause();
    }
    assert!(agent.log().contains("DANGEROUS"));
}

#[test]
fn a_reload_changes_the_nodes_metadata_and_outputs() {
    let scratch = Scratch::new("reload-meta");
    let file = |rack: &str, discard: bool| {
        let text = format!(
            r#"{{"node_meta": {{"rack": "{rack}"}}, "discard_check_output": {discard},
                "check": {{"name": "c", "ttl": "60s"}}}}"#
        );
        scratch.file("meta.json", &text)
    };
    let path = file("r1", false);
    let agent = Agent::dev(&scratch, &["-node", "s1", "-config-file", path.to_str().unwrap()]);
    let meta = |target: &str| get(agent.http, target).json();
    let wait_for = |rack: &str| {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let (own, told) = (meta("/v1/agent/self"), meta("/v1/catalog/node/s1"));
            if own["Meta"]["rack"] == rack && told["Node"]["Meta"]["rack"] == rack {
                assert_eq!(told["Node"]["Meta"]["consul-network-segment"], "");
                return;
            }
            assert!(Instant::now() < until, "{own}\n{told}\n{}", agent.log());
            pause();
        }
    };
    let output = |note: &str| {
        put(agent.http, &format!("/v1/agent/check/pass/c?note={note}"), "");
        get(agent.http, "/v1/agent/checks").json()["c"]["Output"].clone()
    };
    wait_for("r1");
    assert_eq!(output("one"), "one");
    file("r2", true);
    put(agent.http, "/v1/agent/reload", "");
    wait_for("r2");
    assert_eq!(output("two"), "");
}

#[test]
fn a_reload_brings_services_and_takes_them_away() {
    let scratch = Scratch::new("reload");
    let file = scratch.file("svc.json", r#"{"service": {"name": "one", "port": 1}}"#);
    let mut agent = Agent::dev(&scratch, &["-config-file", file.to_str().unwrap()]);
    assert_eq!(get(agent.http, "/v1/agent/services").json()["one"]["Port"], 1);
    scratch.file("svc.json", r#"{"service": {"name": "two", "port": 2}}"#);
    agent.signal("HUP");
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let services = get(agent.http, "/v1/agent/services").json();
        if services["two"]["Port"] == 2 && services["one"].is_null() {
            break;
        }
        assert!(Instant::now() < until, "{services}\n{}", agent.log());
        pause();
    }
    scratch.file("svc.json", "{ broken");
    let refused = ask(agent.http, "PUT", "/v1/agent/reload", "").unwrap();
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(refused.body.contains("svc.json"), "{}", refused.body);
    assert_eq!(get(agent.http, "/v1/agent/services").json()["two"]["Port"], 2);
    agent.kill();
}
