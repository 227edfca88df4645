//! A group of agents, each on a machine of its own: how they start, die and are seen.

use crate::client::exchange;
use crate::drive::Shelf;
use crate::faults::Tripwire;
use madsim::net::NetSim;
use madsim::runtime::{Handle, NodeHandle};
use madsim::task::NodeId as MachineId;
use proconsul::agent::{Agent, AgentConfig, AgentHandle, StartError};
use proconsul::reload::{Reloaded, Reloading};
use proconsul::witness::{self, Bent, Witness};
use proconsul_core::types::Instant;
use proconsul_core::{Effect, Node, PeerEntry};
use proconsul_sim::referee::Referee;
use proconsul_sim::{Lost, Mark, Op, Options, Request, Response};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const HTTP: u16 = 8500;

/// A machine: what outlives its processes.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: MachineId,
    pub(crate) shelf: Shelf,
    /// How far its time of day is off, in milliseconds.
    pub(crate) wall_ms: i64,
    /// Its process refused to start from what its disk holds.
    pub(crate) refused: bool,
    agent: Option<AgentHandle>,
}

/// Everything that happened so far.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) referee: Referee,
    pub(crate) machines: Vec<Machine>,
    pub(crate) wires: Vec<Tripwire>,
    pub(crate) strikes: usize,
    pub(crate) calm: bool,
    /// Links on which nothing gets through, and since when.
    pub(crate) clogged: BTreeMap<(usize, usize), u64>,
    pub(crate) answers: BTreeMap<u32, Result<Response, Lost>>,
    /// Protocol events, how often each.
    pub(crate) marks: BTreeMap<Mark, u32>,
    asked: u32,
}

/// A world on madsim.
pub(crate) struct Bench {
    state: Mutex<State>,
    began: tokio::time::Instant,
    tells: bool,
    pub(crate) handle: Handle,
    /// Where clients and the nemesis run.
    pub(crate) outside: NodeHandle,
    /// Something happened that a story may wait for.
    pub(crate) news: Notify,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Bench {
    /// Starts a group.
    pub(crate) fn form(seed: u64, options: &Options) -> Arc<Self> {
        let handle = Handle::current();
        let outside = handle.create_node().name("outside").ip([10, 9, 9, 9].into()).build();
        let state = State {
            referee: Referee::new(seed, options),
            machines: Vec::new(),
            wires: Vec::new(),
            strikes: 0,
            calm: false,
            clogged: BTreeMap::new(),
            answers: BTreeMap::new(),
            marks: BTreeMap::new(),
            asked: 0,
        };
        let bench = Arc::new(Self {
            state: Mutex::new(state),
            began: tokio::time::Instant::now(),
            tells: std::env::var_os("MADSIM_TELL").is_some(),
            handle,
            outside,
            news: Notify::new(),
        });
        for (server, (_, address)) in (0..).zip(bench.with(|state| state.referee.addresses())) {
            bench.with(|state| state.begins(server));
            let host = Arc::clone(&bench);
            let bent: &'static Clocks =
                Box::leak(Box::new(Clocks { bench: Arc::clone(&bench), server }));
            let init = move || Arc::clone(&host).live(server, bent);
            let named = bench.handle.create_node().name(format!("s{server}")).ip(address.ip());
            let id = named.init(init).build().id();
            let shelf = Shelf::new(seed.wrapping_add(u64::try_from(server).unwrap()));
            let (wall_ms, refused, agent) = (0, false, None);
            let machine = Machine { id, shelf, wall_ms, refused, agent };
            bench.with(|state| state.machines.push(machine));
        }
        bench
    }

    /// Nanoseconds since the world began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    /// Looks at what happened, or lets something happen. Never call it from inside itself.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.referee.tick(self.now());
        work(&mut state)
    }

    /// Says what happens, if a person asked for it with `MADSIM_TELL`.
    pub(crate) fn tell(&self, text: impl FnOnce() -> String) {
        if self.tells {
            println!("{:>12} {}", self.now() / 1_000, text());
        }
    }

    /// One life of a process.
    async fn live(self: Arc<Self>, server: usize, bent: &'static Clocks) {
        let (config, life) = self.with(|state| {
            let life = state.referee.seats[server].life;
            let address = state.referee.addresses()[server].1;
            let entry = |(id, address)| PeerEntry { id, address, non_voter: false };
            let config = AgentConfig {
                node: state.referee.config(server),
                seed: state.referee.seed_of(server),
                peers: state.referee.addresses().into_iter().map(entry).collect(),
                recover: false,
                storage: state.machines[server].shelf.storage(&self, server, life),
                http: vec![SocketAddr::new(address.ip(), HTTP)],
                dns: Vec::new(),
                rpc: Some(address),
                advertise: None,
                pools: Vec::new(),
                http_conns_per_client_max: 0,
                rpc_conns_per_client_max: 0,
                reloading: self.reloading(),
            };
            (config, life)
        });
        let eyes = Eyes { bench: Arc::clone(&self), server, life };
        let bench = witness::Bench { witness: Some(Box::new(eyes)), bent: Some(bent) };
        match Agent::start_on(config, bench).await {
            Ok(mut agent) => {
                let handle = agent.handle();
                self.with(|state| state.machines[server].agent = Some(handle));
                let ended = agent.ended().await;
                self.with(|state| {
                    if ended.is_err() {
                        state.referee.broken("assert", || format!("s{server}: {ended:?}"));
                    }
                    state.dies(&self.handle, server, false);
                });
            }
            Err(StartError::Boot(error)) => self.with(|state| {
                state.machines[server].refused = true;
                state.referee.refused(server, &error.text);
            }),
            Err(error) => self.with(|state| {
                state.referee.broken("start", || format!("s{server}: {error}"));
            }),
        }
    }

    /// `peers.json`, read again.
    fn reloading(self: &Arc<Self>) -> Reloading {
        let bench = Arc::clone(self);
        Reloading::by(move || {
            let addresses = bench.with(|state| state.referee.addresses());
            let addresses = Some(addresses.into_iter().collect());
            Ok(Reloaded { addresses, ..Reloaded::default() })
        })
    }

    /// Sends a story's request; the number finds the answer.
    pub(crate) fn ask(
        self: &Arc<Self>,
        server: usize,
        request: Request,
        patience: Duration,
    ) -> u32 {
        let (number, to) = self.with(|state| {
            state.asked += 1;
            (state.asked, state.door(server))
        });
        let bench = Arc::clone(self);
        self.outside.spawn(async move {
            let answer = match timeout(patience, exchange(to, &request)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(Lost::Reset),
                Err(_) => Err(Lost::TimedOut),
            };
            bench.with(|state| state.answers.insert(number, answer));
            bench.news.notify_one();
        });
        number
    }

    /// A client's operation, planned before or during the story.
    pub(crate) fn plan(self: &Arc<Self>, op: &Op) {
        let place = self.with(|state| state.referee.plan(op));
        self.outside.spawn(Arc::clone(self).carry_out(place, op.at * 1_000));
    }

    /// One of the last operations, which must go through.
    pub(crate) fn plan_probe(self: &Arc<Self>, op: &Op) {
        let place = self.with(|state| state.referee.plan_probe(op));
        self.outside.spawn(Arc::clone(self).carry_out(place, op.at * 1_000));
    }

    async fn carry_out(self: Arc<Self>, place: usize, at: u64) {
        sleep(Duration::from_nanos(at.saturating_sub(self.now()))).await;
        loop {
            let asked = self.with(|state| {
                let ask = state.referee.ask(place)?;
                let life = state.referee.seats[ask.server].life;
                Some((state.door(ask.server), life, ask))
            });
            let Some((to, life, ask)) = asked else { return };
            self.tell(|| format!("client asks s{} #{place}: {:?}", ask.server, ask.request));
            let patience = ask.deadline.map_or(u64::MAX / 4, |at| at.saturating_sub(self.now()));
            let patience = Duration::from_nanos(patience);
            let answer = timeout(patience, exchange(to, &ask.request)).await;
            self.tell(|| format!("client hears #{place}: {answer:?}"));
            let again = self.with(|state| match answer {
                Ok(Ok(answer)) => state.referee.answered(place, life, &answer),
                Ok(Err(none)) => state.referee.unanswered(place, none.taken),
                Err(_) => {
                    state.referee.gave_up(place);
                    None
                }
            });
            match again {
                Some(wait) => sleep(Duration::from_nanos(wait)).await,
                None => return,
            }
        }
    }
}

impl State {
    /// Where a server answers HTTP.
    fn door(&self, server: usize) -> SocketAddr {
        SocketAddr::new(self.referee.addresses()[server].1.ip(), HTTP)
    }

    /// A process is about to live.
    fn begins(&mut self, server: usize) {
        let seat = &mut self.referee.seats[server];
        seat.life += 1;
        seat.up = true;
    }

    /// A dead process starts again, unless its disk was found bad.
    pub(crate) fn starts(&mut self, handle: &Handle, server: usize) {
        if self.referee.seats[server].up || self.machines[server].refused {
            return;
        }
        self.begins(server);
        handle.restart(self.machines[server].id);
    }

    /// A process dies, of itself or by force.
    pub(crate) fn dies(&mut self, handle: &Handle, server: usize, power: bool) {
        if !self.referee.seats[server].up {
            return;
        }
        handle.kill(self.machines[server].id);
        self.machines[server].agent = None;
        self.machines[server].shelf.crash(power);
        self.referee.died(server);
    }

    /// Its machine gets another address.
    pub(crate) fn moves(&mut self, server: usize) {
        self.referee.seats[server].moves += 1;
        let address = self.referee.addresses()[server].1;
        NetSim::current().set_ip(self.machines[server].id, address.ip());
    }

    /// Every server that runs reads where all of them are.
    pub(crate) fn tell_addresses(&self) {
        for agent in self.machines.iter().filter_map(|machine| machine.agent.as_ref()) {
            agent.reload();
        }
    }

    /// The links are as the referee's table says. Returns those that are cut from `now` on.
    pub(crate) fn set_links(&mut self, now: u64) -> Vec<(usize, usize)> {
        let net = NetSim::current();
        let mut cut = Vec::new();
        for from in 0..self.machines.len() {
            for to in (0..self.machines.len()).filter(|to| *to != from) {
                let (one, other) = (self.machines[from].id, self.machines[to].id);
                if self.referee.hears(from, to) {
                    if self.clogged.remove(&(from, to)).is_some() {
                        net.unclog_link(one, other);
                    }
                } else if !self.clogged.contains_key(&(from, to)) {
                    self.clogged.insert((from, to), now);
                    net.clog_link(one, other);
                    cut.push((from, to));
                }
            }
        }
        cut
    }

    /// Links that are still cut as they were at `since`: the system of the sender gives up the
    /// connection.
    pub(crate) fn give_up(&self, links: &[(usize, usize)], since: u64) {
        let addresses = self.referee.addresses();
        for (from, to) in links {
            if self.clogged.get(&(*from, *to)) == Some(&since)
                && let Some(agent) = &self.machines[*from].agent
            {
                agent.hang_up(addresses[*to].0);
            }
        }
    }

    /// Bytes on all disks, for who looks at them.
    pub(crate) fn weigh(&mut self) {
        for (seat, machine) in self.referee.seats.iter_mut().zip(&self.machines) {
            seat.disk_bytes = u64::try_from(machine.shelf.lock().disk.bytes()).unwrap();
        }
    }
}

/// Sees each step of one life of a process.
struct Eyes {
    bench: Arc<Bench>,
    server: usize,
    life: u32,
}

impl Eyes {
    fn look(&self, work: impl FnOnce(&mut State)) {
        self.bench.with(|state| {
            let seat = &state.referee.seats[self.server];
            if seat.up && seat.life == self.life {
                work(state);
            }
        });
    }
}

impl Witness for Eyes {
    fn started(&mut self, node: &Node) {
        self.look(|state| state.referee.started(self.server, node));
    }

    fn stepped(&mut self, node: &Node, effects: &[Effect]) {
        for effect in effects {
            if matches!(effect, Effect::SendPeer { .. } | Effect::Event(_)) {
                self.bench.tell(|| format!("s{}: {effect:?}", self.server));
            }
        }
        self.look(|state| {
            for (mark, other) in state.referee.stepped(self.server, node, effects) {
                *state.marks.entry(mark).or_default() += 1;
                self.bench.trip(state, self.server, mark, other);
            }
        });
    }
}

/// The clocks of one machine, bent as its seat says.
#[derive(Debug)]
struct Clocks {
    bench: Arc<Bench>,
    server: usize,
}

impl Bent for Clocks {
    fn now(&self) -> Instant {
        let now = self.bench.now();
        self.bench.with(|state| state.referee.seats[self.server].clock.local(now))
    }

    fn until(&self, moment: Instant) -> Duration {
        let now = self.bench.now();
        let at = self.bench.with(|state| state.referee.seats[self.server].clock.world(moment));
        Duration::from_nanos(at.saturating_sub(now))
    }

    fn wall_ms(&self) -> i64 {
        self.bench.with(|state| state.machines[self.server].wall_ms)
    }
}
