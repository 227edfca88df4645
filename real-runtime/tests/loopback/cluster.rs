//! Three real servers: formed by `peers.json`, their leader killed in the middle of writes.

use crate::process::{Agent, Scratch, free_ports, pause};
use crate::web::{ask, get};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const IDS: [&str; 3] = [
    "859dd897-9323-16ec-ed85-14e0cca3dd82",
    "eb3af95e-886d-bef0-de5d-5e8d9364505c",
    "8161e954-0742-0367-9b32-fdcf58f2e4de",
];

struct Group {
    scratch: Scratch,
    addresses: Vec<IpAddr>,
    ports: Vec<Vec<u16>>,
    servers: Vec<Agent>,
}

impl Group {
    fn form(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let addresses: Vec<IpAddr> =
            (0..3_u8).map(|server| IpAddr::from([127, 0, 0, server + 11])).collect();
        let ports: Vec<Vec<u16>> =
            addresses.iter().map(|&address| free_ports(address, 3)).collect();
        let mut group = Self { scratch, addresses, ports, servers: Vec::new() };
        for server in 0..3 {
            group.name(server, &[0, 1, 2]);
            let started = group.start(server);
            group.servers.push(started);
        }
        group
    }

    /// Gives a server its group.
    fn name(&self, server: usize, among: &[usize]) {
        let lines: Vec<String> = among
            .iter()
            .map(|&peer| {
                let rpc = SocketAddr::new(self.addresses[peer], self.ports[peer][2]);
                format!(r#"{{"id": "{}", "address": "{rpc}"}}"#, IDS[peer])
            })
            .collect();
        let text = format!("[{}]", lines.join(","));
        self.scratch.file(&format!("s{server}/raft/peers.json"), &text);
    }

    /// Whether the file that gave a server its group is still to be taken.
    fn is_named(&self, server: usize) -> bool {
        self.scratch.0.join(format!("s{server}/raft/peers.json")).exists()
    }

    fn restart(&mut self, server: usize) {
        self.servers[server].kill();
        let started = self.start(server);
        self.servers[server] = started;
    }

    /// Waits until a server's own log says who belongs to its group.
    fn wait_for_log(&self, server: usize) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.is_named(server) {
            assert!(Instant::now() < until, "{}", self.servers[server].log());
            pause();
        }
    }

    fn start(&self, server: usize) -> Agent {
        let data = self.scratch.0.join(format!("s{server}"));
        let name = format!("s{server}");
        let arguments = [
            "-server",
            "-data-dir",
            data.to_str().unwrap(),
            "-node",
            &name,
            "-node-id",
            IDS[server],
            "-log-level",
            "debug",
        ];
        let log = self.scratch.0.join(format!("s{server}.log"));
        Agent::start(&log, self.addresses[server], &self.ports[server], &arguments)
    }

    /// Every server's own copy comes to hold all these keys, each with its value.
    fn each_holds(&self, keys: &BTreeSet<usize>) {
        for server in &self.servers {
            let until = Instant::now() + Duration::from_secs(20);
            loop {
                // Stale reads are answered from the copy of whoever is asked.
                let answer = ask(server.http, "GET", "/v1/kv/w/?recurse&stale", "").unwrap();
                let found =
                    if answer.status == 200 { pairs(&answer.json()) } else { BTreeMap::new() };
                for (key, value) in &found {
                    assert_eq!(key, value, "each key was written once, with its own name");
                }
                let missing: Vec<_> =
                    keys.iter().filter(|key| !found.contains_key(&key.to_string())).collect();
                if missing.is_empty() {
                    break;
                }
                assert!(Instant::now() < until, "{} lacks acknowledged {missing:?}", server.http);
                pause();
            }
        }
    }

    /// The place of the leader, once all of `among` agree.
    fn leader(&self, among: &[usize]) -> usize {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let named: Vec<String> = among
                .iter()
                .map(|&server| self.servers[server].wait_for_leader(Duration::from_secs(20)))
                .collect();
            let found = among.iter().find(|&&server| {
                named[0]
                    == SocketAddr::new(self.addresses[server], self.ports[server][2]).to_string()
            });
            if let (Some(&found), true) = (found, named.iter().all(|name| *name == named[0])) {
                return found;
            }
            assert!(Instant::now() < until, "no agreement on a leader: {named:?}");
            pause();
        }
    }
}

/// Names below `w/` and their values, decoded.
fn pairs(listed: &serde_json::Value) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let one = |pair: &serde_json::Value| {
        let value = STANDARD.decode(text(&pair["Value"])).unwrap();
        let key = text(&pair["Key"]).strip_prefix("w/").unwrap().to_owned();
        (key, String::from_utf8(value).unwrap())
    };
    listed.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_leader_is_killed() {
    let mut group = Group::form("cluster");
    let first = group.leader(&[0, 1, 2]);
    let everywhere: Vec<SocketAddr> = group.servers.iter().map(|server| server.http).collect();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (acknowledged, stop, next) =
                (Arc::clone(&acknowledged), Arc::clone(&stop), Arc::clone(&next));
            let everywhere = everywhere.clone();
            thread::spawn(move || {
                let mut server = writer;
                while !stop.load(Ordering::Relaxed) {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    let target = format!("/v1/kv/w/{key}");
                    let to = everywhere[server % everywhere.len()];
                    match ask(to, "PUT", &target, &key.to_string()) {
                        Ok(answer) if answer.status == 200 => {
                            acknowledged.lock().unwrap().push(key);
                        }
                        Ok(_) | Err(_) => server += 1,
                    }
                }
            })
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    let wait_for = |wanted: usize, logs: &dyn Fn() -> String| {
        let until = Instant::now() + Duration::from_secs(30);
        while count() < wanted {
            assert!(Instant::now() < until, "{} of {wanted} writes\n{}", count(), logs());
            pause();
        }
    };
    let logs =
        |group: &Group| group.servers.iter().map(Agent::log).collect::<Vec<_>>().join("\n----\n");
    wait_for(200, &|| logs(&group));
    group.servers[first].kill();
    let killed_at = Instant::now();
    let before = count();
    wait_for(before + 200, &|| logs(&group));
    let survivors: Vec<usize> = (0..3).filter(|&server| server != first).collect();
    let second = group.leader(&survivors);
    assert_ne!(first, second);
    let revived = group.start(first);
    group.servers[first] = revived;
    group.servers[first].wait_for_leader(Duration::from_secs(20));
    let before = count();
    wait_for(before + 100, &|| logs(&group));
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    assert!(killed_at.elapsed() < Duration::from_secs(60));

    let acknowledged: BTreeSet<usize> = acknowledged.lock().unwrap().iter().copied().collect();
    group.each_holds(&acknowledged);
    for server in &mut group.servers {
        server.kill();
    }
    for server in 0..3 {
        let revived = group.start(server);
        group.servers[server] = revived;
    }
    group.leader(&[0, 1, 2]);
    group.each_holds(&acknowledged);
}

#[test]
fn a_group_is_recovered_from_what_is_left_of_it() {
    let mut group = Group::form("recovered");
    let first = group.leader(&[0, 1, 2]);
    let kept = |group: &Group, server: usize| {
        get(group.servers[server].http, "/v1/kv/kept?raw&consistent").body
    };
    assert_eq!(ask(group.servers[first].http, "PUT", "/v1/kv/kept", "1").unwrap().status, 200);
    assert_eq!(kept(&group, 0), "1");
    (0..3).for_each(|server| group.wait_for_log(server));
    (0..3).for_each(|server| group.servers[server].kill());

    // The third is lost for good. The first starts before the second, in vain, and starts again.
    (0..2).for_each(|server| group.name(server, &[0, 1]));
    group.restart(0);
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        pause();
    }
    assert!(group.is_named(0), "nothing is decided before the second is there");
    group.restart(0);
    group.restart(1);
    group.leader(&[0, 1]);
    (0..2).for_each(|server| group.wait_for_log(server));
    assert_eq!(kept(&group, 0), "1");

    // The second is lost, too.
    (0..2).for_each(|server| group.servers[server].kill());
    group.name(0, &[0]);
    group.restart(0);
    group.restart(0);
    group.servers[0].wait_for_leader(Duration::from_secs(20));
    assert_eq!(kept(&group, 0), "1");
    group.wait_for_log(0);
    group.restart(0);
    group.servers[0].wait_for_leader(Duration::from_secs(20));
    assert_eq!(ask(group.servers[0].http, "PUT", "/v1/kv/kept", "2").unwrap().status, 200);
    assert_eq!(kept(&group, 0), "2");
}
