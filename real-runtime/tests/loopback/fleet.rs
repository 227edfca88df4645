//! A fleet of real agents on loopback: servers and client agents of one datacenter, and a server of
//! another, all of them under one gossip key. Agents are killed and started again; what the rest
//! say of them, of services and of keys is looked at.

use crate::process::{Agent, Scratch, free_ports, pause, run};
use crate::web::{ask, ask_dns, dns_counts};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Servers of the first datacenter.
pub(crate) const SERVERS: usize = 3;
/// The seat of the only server of the second datacenter; client agents sit behind it.
pub(crate) const FAR: usize = SERVERS;
/// The first client agent.
pub(crate) const CLIENTS: usize = FAR + 1;
/// The service that every client agent offers.
pub(crate) const WEB: &str = "web";
/// The service of the second datacenter.
pub(crate) const DISTANT: &str = "distant";

const A: u16 = 1;

/// The agents of one run, each on an address of its own.
pub(crate) struct Fleet {
    scratch: Scratch,
    subnet: u8,
    key: String,
    ports: Vec<Vec<u16>>,
    lives: Vec<usize>,
    agents: Vec<Option<Agent>>,
}

impl Fleet {
    /// Starts everyone at once and waits until all know a leader and one another.
    pub(crate) fn form(name: &str, subnet: u8, clients: usize, at_most: Duration) -> Self {
        let seats = CLIENTS + clients;
        let (code, key, _) = run(&["keygen"]);
        assert_eq!(code, 0);
        let mut fleet = Self {
            scratch: Scratch::new(name),
            subnet,
            key: key.trim().to_owned(),
            ports: (0..seats).map(|seat| free_ports(address(subnet, seat), 5)).collect(),
            lives: vec![0; seats],
            agents: (0..seats).map(|_| None).collect(),
        };
        for seat in 0..seats {
            fleet.start(seat);
        }
        fleet.wait("everyone knows everyone", at_most, |fleet| {
            fleet.near().all(|seat| fleet.alive_at(seat, "") == Some(SERVERS + clients))
                && fleet.alive_at(FAR, "") == Some(1)
                && fleet.servers().all(|seat| fleet.alive_at(seat, "?wan=1") == Some(SERVERS + 1))
                && fleet.living().all(|seat| fleet.leader(seat).is_some())
        });
        fleet
    }

    /// Starts the agent of a seat. with what its disk holds.
    pub(crate) fn start(&mut self, seat: usize) {
        let name = node(seat);
        let data = self.scratch.0.join(&name);
        let ports = &self.ports[seat];
        let (lan, wan) = (ports[3].to_string(), ports[4].to_string());
        let seeds: Vec<String> = (0..SERVERS).map(|server| self.gossip(server, 3)).collect();
        let far: Vec<String> = (0..SERVERS).map(|server| self.gossip(server, 4)).collect();
        let mut arguments = vec!["-data-dir", data.to_str().unwrap(), "-node", &name];
        arguments.extend(["-serf-lan-port", &lan, "-serf-wan-port", &wan, "-encrypt", &self.key]);
        arguments.extend(["-retry-interval", "1s", "-retry-interval-wan", "1s"]);
        arguments.extend(["-log-level", "debug"]);
        if seat == FAR {
            arguments.extend(["-server", "-bootstrap", "-datacenter", "dc2"]);
            far.iter().for_each(|seed| arguments.extend(["-retry-join-wan", seed]));
        } else {
            seeds.iter().for_each(|seed| arguments.extend(["-retry-join", seed]));
        }
        if seat < SERVERS {
            arguments.extend(["-server", "-bootstrap-expect", "3"]);
        }
        let log = self.scratch.0.join(format!("{name}.{}.log", self.lives[seat]));
        self.lives[seat] += 1;
        self.agents[seat] = Some(Agent::start(&log, self.address(seat), ports, &arguments));
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, seat: usize) -> Instant {
        self.agents[seat].as_mut().expect("it runs").kill();
        self.agents[seat] = None;
        Instant::now()
    }

    pub(crate) fn agent(&self, seat: usize) -> &Agent {
        self.agents[seat].as_ref().expect("it runs")
    }

    fn address(&self, seat: usize) -> IpAddr {
        address(self.subnet, seat)
    }

    fn gossip(&self, seat: usize, port: usize) -> String {
        SocketAddr::new(self.address(seat), self.ports[seat][port]).to_string()
    }

    /// Where a seat serves HTTP.
    pub(crate) fn http(&self, seat: usize) -> SocketAddr {
        SocketAddr::new(self.address(seat), self.ports[seat][0])
    }

    /// Seats with a running agent.
    pub(crate) fn living(&self) -> impl Iterator<Item = usize> {
        (0..self.agents.len()).filter(|&seat| self.agents[seat].is_some())
    }

    /// Those of the first datacenter.
    pub(crate) fn near(&self) -> impl Iterator<Item = usize> {
        self.living().filter(|&seat| seat != FAR)
    }

    /// The servers among them.
    fn servers(&self) -> impl Iterator<Item = usize> {
        self.living().take_while(|&seat| seat < SERVERS)
    }

    /// The server that this one says leads.
    fn leader(&self, seat: usize) -> Option<String> {
        let answer = ask(self.http(seat), "GET", "/v1/status/leader", "").ok()?;
        let leader = answer.body.trim().trim_matches('"').to_owned();
        (answer.status == 200 && !leader.is_empty()).then_some(leader)
    }

    /// The seat of the leader that all servers agree on.
    pub(crate) fn wait_for_leader(&self, at_most: Duration) -> usize {
        let begun = Instant::now();
        loop {
            let named: Vec<_> = self.servers().map(|seat| self.leader(seat)).collect();
            let found = self.servers().find(|&seat| {
                let rpc = SocketAddr::new(self.address(seat), self.ports[seat][2]).to_string();
                named.iter().all(|leader| leader.as_deref() == Some(rpc.as_str()))
            });
            if let Some(found) = found {
                return found;
            }
            assert!(begun.elapsed() < at_most, "no leader: {named:?}\n{}", self.logs());
            pause();
        }
    }

    /// How many members a seat sees alive.
    fn alive_at(&self, seat: usize, wan: &str) -> Option<usize> {
        let answer = ask(self.http(seat), "GET", &format!("/v1/agent/members{wan}"), "").ok()?;
        let members = (answer.status == 200).then(|| answer.json())?;
        Some(members.as_array()?.iter().filter(|member| member["Status"] == 1).count())
    }

    /// Registers what each client agent and the far server offer.
    pub(crate) fn register(&self) {
        for seat in self.living().filter(|&seat| seat >= FAR) {
            let name = if seat == FAR { DISTANT } else { WEB };
            let body = format!(r#"{{"Name": "{name}", "ID": "{name}-{seat}", "Port": 80}}"#);
            crate::web::put(self.http(seat), "/v1/agent/service/register", &body);
        }
    }

    /// How many instances of a service `seat` finds in a datacenter.
    fn instances(&self, seat: usize, service: &str, query: &str) -> Option<usize> {
        instances(self.http(seat), service, query)
    }

    /// Whether `seat` finds so many passing instances of [`WEB`], by HTTP and by DNS, and that of
    /// the other datacenter.
    pub(crate) fn sees(&self, seat: usize, web: usize) -> bool {
        let finds = |name: &str| {
            ask_dns(self.agent(seat).dns, name, A).is_ok_and(|answer| {
                let (answers, code) = dns_counts(&answer);
                answers > 0 && code == 0
            })
        };
        self.instances(seat, WEB, "passing&dc=dc1") == Some(web)
            && self.instances(seat, DISTANT, "passing&dc=dc2") == Some(1)
            && finds("web.service.dc1.consul")
            && finds("distant.service.dc2.consul")
    }

    /// The check of `of`'s agent, as `seat` knows it.
    pub(crate) fn serf_health(&self, seat: usize, of: usize) -> Option<String> {
        let target = format!("/v1/health/node/{}?dc=dc1", node(of));
        let answer = ask(self.http(seat), "GET", &target, "").ok()?;
        let checks = (answer.status == 200).then(|| answer.json())?;
        let mut checks = checks.as_array()?.iter();
        let own = checks.find(|check| check["CheckID"] == "serfHealth")?;
        own["Status"].as_str().map(str::to_owned)
    }

    /// Waits until all living agents, in both datacenters, know this of the agent of a seat.
    pub(crate) fn wait_told(&self, of: usize, status: &str, at_most: Duration) -> Duration {
        self.wait(&format!("{} is {status} everywhere", node(of)), at_most, |fleet| {
            fleet.living().all(|seat| fleet.serf_health(seat, of).as_deref() == Some(status))
        })
    }

    /// Waits until all living agents, in both datacenters, see so many instances of [`WEB`].
    pub(crate) fn wait_seen(&self, web: usize, at_most: Duration) -> Duration {
        self.wait(&format!("{web} services seen everywhere"), at_most, |fleet| {
            fleet.living().all(|seat| fleet.sees(seat, web))
        })
    }

    /// Waits until all servers of the first datacenter are there, and vote.
    pub(crate) fn wait_whole(&self, at_most: Duration) -> Duration {
        self.wait("all servers vote", at_most, |fleet| {
            let target = "/v1/operator/raft/configuration";
            let answer = ask(fleet.http(CLIENTS), "GET", target, "");
            answer.is_ok_and(|answer| {
                answer.status == 200 && answer.body.matches(r#""Voter":true"#).count() == SERVERS
            }) && fleet.servers().count() == SERVERS
                && fleet.servers().all(|seat| fleet.leader(seat).is_some())
        })
    }

    /// Looks until `look` says that it holds; how long that took.
    pub(crate) fn wait(
        &self,
        what: &str,
        at_most: Duration,
        look: impl Fn(&Self) -> bool,
    ) -> Duration {
        let begun = Instant::now();
        while !look(self) {
            assert!(begun.elapsed() < at_most, "{what}: not in {at_most:?}\n{}", self.logs());
            pause();
        }
        begun.elapsed()
    }

    /// What the living said.
    fn logs(&self) -> String {
        let logs: Vec<String> = self
            .living()
            .map(|seat| format!("---- {}\n{}", node(seat), self.agent(seat).log()))
            .collect();
        logs.join("\n")
    }
}

/// The name of the agent of a seat.
pub(crate) fn node(seat: usize) -> String {
    format!("n{seat}")
}

fn address(subnet: u8, seat: usize) -> IpAddr {
    IpAddr::from([127, 2, subnet, u8::try_from(seat + 1).expect("a fleet is small")])
}

fn instances(at: SocketAddr, service: &str, query: &str) -> Option<usize> {
    let answer = ask(at, "GET", &format!("/v1/health/service/{service}?{query}"), "").ok()?;
    let found = (answer.status == 200).then(|| answer.json())?;
    Some(found.as_array()?.len())
}

/// Someone who looks at the catalog all the time: every answer must hold every registration.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(usize, usize)>,
}

impl Witness {
    /// Looks at the agent of a seat.until it is stopped.
    pub(crate) fn at(fleet: &Fleet, seat: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (at, stopped) = (fleet.http(seat), Arc::clone(&stop));
        let task = thread::spawn(move || {
            let (mut answers, mut fewest) = (0, usize::MAX);
            while !stopped.load(Ordering::Relaxed) {
                if let Some(found) = instances(at, WEB, "dc=dc1") {
                    answers += 1;
                    fewest = fewest.min(found);
                }
                pause();
            }
            (answers, fewest)
        });
        Self { stop, task }
    }

    /// How many answers it got, and the fewest registrations in any of them.
    pub(crate) fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().unwrap()
    }
}

/// Someone who writes keys all the time through one agent.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<Vec<usize>>,
}

impl Writer {
    /// Writes at the agent of a seat.until it is stopped.
    pub(crate) fn at(fleet: &Fleet, seat: usize) -> Self {
        let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (at, stopped, count) = (fleet.http(seat), Arc::clone(&stop), Arc::clone(&accepted));
        let task = thread::spawn(move || {
            let mut written = Vec::new();
            for key in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let answer = ask(at, "PUT", &format!("/v1/kv/w/{key}"), &key.to_string());
                if answer.is_ok_and(|answer| answer.status == 200 && answer.body.trim() == "true") {
                    written.push(key);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                thread::park_timeout(Duration::from_millis(2));
            }
            written
        });
        Self { stop, accepted, task }
    }

    /// How long after `killed` the first write was accepted that was asked for later than that.
    pub(crate) fn resumed(&self, killed: Instant, at_most: Duration) -> Duration {
        // The write under way when the leader died may still be answered: the next one counts.
        let wanted = self.accepted.load(Ordering::Relaxed) + 2;
        while self.accepted.load(Ordering::Relaxed) < wanted {
            assert!(killed.elapsed() < at_most, "no write is accepted after {at_most:?}");
            thread::park_timeout(Duration::from_millis(1));
        }
        killed.elapsed()
    }

    /// The keys that were accepted.
    pub(crate) fn end(self) -> Vec<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().unwrap()
    }
}
