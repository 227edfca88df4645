//! Three servers that find one another and a client agent, as processes: what is registered at the
//! client is seen everywhere; a server that is killed is told of, and writes go on.

use crate::process::{Agent, Scratch, free_ports, pause, run};
use crate::web::{ask, get, put};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The agents of one test, each on an address of its own.
struct Cluster {
    scratch: Scratch,
    subnet: u8,
    ports: Vec<Vec<u16>>,
}

impl Cluster {
    fn new(name: &str, subnet: u8, agents: u8) -> Self {
        let address = |agent| IpAddr::from([127, 2, subnet, agent + 1]);
        let ports = (0..agents).map(|agent| free_ports(address(agent), 5)).collect();
        Self { scratch: Scratch::new(name), subnet, ports }
    }

    fn address(&self, agent: usize) -> IpAddr {
        IpAddr::from([127, 2, self.subnet, u8::try_from(agent + 1).unwrap()])
    }

    /// Where `agent` gossips with its datacenter.
    fn lan(&self, agent: usize) -> String {
        format!("{}:{}", self.address(agent), self.ports[agent][3])
    }

    /// Starts agent number `agent` as `n<agent>`; all know where the first three may be met.
    fn start(&self, agent: usize, more: &[&str]) -> Agent {
        let name = format!("n{agent}");
        let data = self.scratch.0.join(&name);
        let (lan, wan) = (self.ports[agent][3].to_string(), self.ports[agent][4].to_string());
        let seeds: Vec<String> = (0..3).map(|server| self.lan(server)).collect();
        let mut arguments = vec!["-data-dir", data.to_str().unwrap(), "-node", &name];
        arguments.extend(["-serf-lan-port", &lan, "-serf-wan-port", &wan]);
        arguments.extend(["-retry-interval", "1s", "-log-level", "debug"]);
        seeds.iter().for_each(|seed| arguments.extend(["-retry-join", seed]));
        arguments.extend_from_slice(more);
        let log = self.scratch.0.join(format!("{name}.log"));
        Agent::start(&log, self.address(agent), &self.ports[agent], &arguments)
    }
}

/// Looks until `look` says that it holds; how long that took.
fn until(what: &str, at_most: Duration, agents: &[&Agent], look: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !look() {
        if begun.elapsed() > at_most {
            let logs: Vec<String> = agents.iter().map(|agent| agent.log()).collect();
            panic!("{what}: not within {at_most:?}; the logs:\n{}", logs.join("\n----\n"));
        }
        pause();
    }
    begun.elapsed()
}

fn lists_service(agent: &Agent, service: &str) -> bool {
    ask(agent.http, "GET", &format!("/v1/health/service/{service}?stale"), "")
        .is_ok_and(|answer| answer.status == 200 && answer.body.contains(service))
}

/// The status of the node's own check, as `at` knows it.
fn serf_health(at: &Agent, node: &str) -> Option<String> {
    let answer = ask(at.http, "GET", &format!("/v1/health/node/{node}"), "").ok()?;
    let checks = (answer.status == 200).then(|| answer.json())?;
    let own = checks.as_array()?.iter().find(|check| check["CheckID"] == "serfHealth")?.clone();
    own["Status"].as_str().map(str::to_owned)
}

#[test]
fn servers_find_one_another_and_a_client_agent_serves() {
    let cluster = Cluster::new("gossip", 1, 4);
    let server = ["-server", "-bootstrap-expect", "3"];
    let mut servers: Vec<Agent> = (0..3).map(|agent| cluster.start(agent, &server)).collect();
    let client = cluster.start(3, &[]);
    for agent in servers.iter().chain([&client]) {
        agent.wait_for_leader(Duration::from_secs(30));
    }
    let all = |servers: &[Agent]| -> Vec<String> {
        servers.iter().chain([&client]).map(Agent::log).collect()
    };
    // Everyone is a member, as everyone sees it.
    for agent in servers.iter().chain([&client]) {
        until("four members", Duration::from_secs(20), &[agent, &client], || {
            let listed = get(agent.http, "/v1/agent/members").json();
            listed.as_array().is_some_and(|members| {
                members.len() == 4 && members.iter().all(|member| member["Status"] == 1)
            })
        });
    }
    let (code, shown, _) = run(&["members", &format!("-http-addr={}", client.http)]);
    assert_eq!(code, 0);
    assert_eq!(shown.matches(" server ").count(), 3, "{shown}");
    assert_eq!(shown.matches(" client ").count(), 1, "{shown}");

    // What is registered at the client is seen at every agent.
    put(client.http, "/v1/agent/service/register", r#"{"Name":"web","Port":80}"#);
    for agent in servers.iter().chain([&client]) {
        until("the service everywhere", Duration::from_secs(15), &[agent, &client], || {
            lists_service(agent, "web")
        });
    }
    until("the client's own check", Duration::from_secs(15), &[&client], || {
        serf_health(&client, "n3").as_deref() == Some("passing")
    });
    assert_eq!(put(client.http, "/v1/kv/k", "before").body.trim(), "true");

    // The leader is killed: writes go on, and the catalog tells.
    let leader = servers[0].wait_for_leader(Duration::from_secs(10));
    let killed = (0..3)
        .find(|&agent| leader.starts_with(&format!("{}:", cluster.address(agent))))
        .unwrap_or_else(|| panic!("{leader} leads:\n{}", all(&servers).join("\n----\n")));
    servers[killed].kill();
    let mut living: Vec<&Agent> = servers.iter().collect();
    living.remove(killed);
    living.push(&client);
    until("writes", Duration::from_secs(15), &living, || {
        ask(client.http, "PUT", "/v1/kv/k", "after")
            .is_ok_and(|answer| answer.status == 200 && answer.body.trim() == "true")
    });
    let name = format!("n{killed}");
    until("the dead is told of", Duration::from_secs(25), &living, || {
        serf_health(&client, &name).as_deref() == Some("critical")
    });
    for agent in &living {
        assert!(lists_service(agent, "web"), "a registration was lost");
    }
    assert_eq!(get(client.http, "/v1/kv/k?raw").body, "after");

    // It comes back, and then the client leaves.
    let back = cluster.start(killed, &server);
    until("the dead is back", Duration::from_secs(25), &[&back, living[0], living[1]], || {
        serf_health(&client, &name).as_deref() == Some("passing")
    });
    client.signal("TERM");
    until("the client is gone", Duration::from_secs(25), &[&back, living[0], living[1]], || {
        get(living[0].http, "/v1/catalog/node/n3").body.trim() == "null"
    });
}
