//! A kitchen table of servers: virtual time, a network that loses, delays, repeats and reorders,
//! disks that sync late, and a judge.

use crate::judge::Judge;
use crate::server::{Server, config, id};
use proconsul_raft::{Effect, Event, Input, Membership, Message, Refusal, Ticket};
use proconsul_types::{EntryId, LogIndex, Planted, Rng, Seed, ServerId};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const MS: u64 = 1_000_000;

/// Something that will happen.
pub(crate) enum Arrival {
    Input { server: usize, incarnation: u64, input: Input },
    Message { from: usize, to: usize, message: Message },
    Synced { server: usize, incarnation: u64, number: u64 },
}

/// How bad the network and the disks are.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    pub(crate) delay_max: u64,
    pub(crate) sync_max: u64,
}

pub(crate) const CALM: Weather =
    Weather { loss_percent: 0, duplicate_percent: 0, delay_max: 2 * MS, sync_max: 2 * MS };
pub(crate) const STORM: Weather =
    Weather { loss_percent: 5, duplicate_percent: 5, delay_max: 60 * MS, sync_max: 40 * MS };

pub(crate) struct Table {
    pub(crate) now: u64,
    pub(crate) seed: u64,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) servers: Vec<Server>,
    pub(crate) judge: Judge,
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    /// What was acknowledged when a read was asked.
    reads: BTreeMap<Ticket, LogIndex>,
    pub(crate) proposed: BTreeMap<Ticket, EntryId>,
    pub(crate) refused: BTreeMap<Ticket, Refusal>,
    pub(crate) answered: BTreeSet<Ticket>,
    pub(crate) events: Vec<(usize, Event)>,
    /// Crash a server right after it says one of these, with this chance in percent.
    pub(crate) trip_percent: u64,
    tripped: Option<usize>,
    queue: BTreeMap<(u64, u64), Arrival>,
    sequence: u64,
    pub(crate) tickets: u64,
    pub(crate) messages: u64,
}

impl Table {
    /// `count` servers, of which the first `voters` form the group; none is started.
    pub(crate) fn new(seed: u64, count: u128, voters: u128, planted: Planted) -> Self {
        let group = Membership::of_voters((1..=voters).map(id));
        let server = |number: u128| {
            let bootstrap = (number <= voters).then(|| group.clone());
            Server::new(config(number, planted), bootstrap)
        };
        Self {
            now: MS,
            seed,
            rng: Rng::new(Seed(seed)).split("table"),
            weather: CALM,
            servers: (1..=count).map(server).collect(),
            judge: Judge::default(),
            cuts: BTreeSet::new(),
            reads: BTreeMap::new(),
            proposed: BTreeMap::new(),
            refused: BTreeMap::new(),
            answered: BTreeSet::new(),
            events: Vec::new(),
            trip_percent: 0,
            tripped: None,
            queue: BTreeMap::new(),
            sequence: 0,
            tickets: 0,
            messages: 0,
        }
    }

    pub(crate) fn start_all(&mut self) {
        for server in 0..self.servers.len() {
            self.start(server);
        }
    }

    pub(crate) fn start(&mut self, server: usize) {
        if self.servers[server].raft.is_none() {
            let (now, seed) = (self.now, self.seed);
            self.servers[server].start(now, seed);
        }
    }

    /// Power is lost: an arbitrary number of the writes under way has arrived.
    pub(crate) fn crash(&mut self, server: usize) {
        let pending = u64::try_from(self.servers[server].disk.pending.len()).unwrap();
        let arrived = usize::try_from(self.rng.between(0, pending)).unwrap();
        self.servers[server].raft = None;
        self.servers[server].disk.crash(arrived);
    }

    pub(crate) fn position(&self, id: ServerId) -> usize {
        self.servers.iter().position(|server| server.config.id == id).unwrap()
    }

    pub(crate) fn after(&mut self, delay: u64, arrival: Arrival) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), arrival);
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Lets a server do one step.
    pub(crate) fn step(&mut self, position: usize, input: Input) {
        let mut effects = Vec::new();
        let server = &mut self.servers[position];
        let clock = server.clock(self.now);
        let Some(raft) = &mut server.raft else {
            return;
        };
        raft.step(clock, input, &mut effects);
        raft.check_invariants();
        for effect in effects {
            self.perform(position, effect);
        }
        let server = &mut self.servers[position];
        let (applied, incarnation) = (server.applied.index, server.incarnation);
        if server.told_applied != applied {
            server.told_applied = applied;
            let input = Input::Applied(applied);
            self.after(MS, Arrival::Input { server: position, incarnation, input });
        }
        if self.tripped.take() == Some(position) {
            self.crash(position);
        }
    }

    fn perform(&mut self, position: usize, effect: Effect) {
        let incarnation = self.servers[position].incarnation;
        match effect {
            Effect::Send(to, message) => self.post(position, to, message),
            Effect::Persist(batch) => {
                let number = batch.number;
                self.servers[position].disk.pending.push_back(batch);
                let delay = self.rng.between(0, self.weather.sync_max);
                self.after(delay, Arrival::Synced { server: position, incarnation, number });
            }
            Effect::Commit(entries) => {
                let server = &mut self.servers[position];
                let leads = server.raft.as_ref().is_some_and(proconsul_raft::Raft::is_leader);
                for entry in &entries {
                    server.apply(entry);
                    self.judge.applied(entry, server.state, leads);
                }
                if leads {
                    self.lease_reads();
                }
            }
            Effect::Proposed(ticket, id) => {
                self.proposed.insert(ticket, id);
            }
            Effect::Refused(ticket, refusal) => {
                self.refused.insert(ticket, refusal);
                self.reads.remove(&ticket);
            }
            Effect::ReadReady(ticket, index) => {
                self.answered.insert(ticket);
                let known = self.reads.remove(&ticket).unwrap_or_default();
                self.judge.read("consistent", index, known);
            }
            Effect::Transferred(ticket, _) => {
                self.answered.insert(ticket);
            }
            Effect::NeedChunk { to, snapshot, offset } => {
                let chunk = self.servers[position].read_chunk(snapshot.as_ref(), offset);
                let input = Input::Chunk { to, chunk };
                self.after(MS, Arrival::Input { server: position, incarnation, input });
            }
            Effect::StoreChunk(chunk) => self.store(position, &chunk),
            Effect::Compact(index) => {
                let disk = &mut self.servers[position].disk;
                disk.entries.retain(|entry| entry.id.index > index);
            }
            Effect::Event(event) => self.on_event(position, event),
            Effect::StatusChanged | Effect::Lease(_) | Effect::Membership(_) => {}
        }
    }

    fn store(&mut self, position: usize, chunk: &proconsul_raft::SnapshotChunk) {
        let incarnation = self.servers[position].incarnation;
        let (offset, installed) = self.servers[position].store_chunk(chunk);
        if installed {
            let state = self.servers[position].state;
            self.judge.installed(chunk.snapshot.last, state);
        }
        let snapshot = chunk.snapshot.clone();
        let input = Input::ChunkStored { snapshot, offset, installed };
        let delay = self.rng.between(0, self.weather.sync_max);
        self.after(delay, Arrival::Input { server: position, incarnation, input });
    }

    fn on_event(&mut self, position: usize, event: Event) {
        if let (Event::Leader(_), Some(raft)) = (event, &self.servers[position].raft) {
            self.judge.elected(raft);
        }
        let may_trip =
            matches!(event, Event::VoteGranted(..) | Event::AppendAcked(_) | Event::AppendSent(..));
        if may_trip && self.trip_percent > 0 && self.rng.chance(self.trip_percent, 1000) {
            self.tripped = Some(position);
        }
        self.events.push((position, event));
    }

    /// Puts a message on the network.
    fn post(&mut self, from: usize, to: ServerId, message: Message) {
        self.messages += 1;
        let to = self.position(to);
        if self.rng.chance(self.weather.loss_percent, 100) {
            return;
        }
        let delay = self.rng.between(MS / 10, self.weather.delay_max);
        if self.rng.chance(self.weather.duplicate_percent, 100) {
            let late = self.rng.between(MS / 10, self.weather.delay_max * 8);
            self.after(late, Arrival::Message { from, to, message: message.clone() });
        }
        self.after(delay, Arrival::Message { from, to, message });
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Input { server, incarnation, input } => {
                if self.servers[server].incarnation == incarnation {
                    self.step(server, input);
                }
            }
            Arrival::Message { from, to, message } => {
                if !self.cuts.contains(&(from, to)) {
                    let from = self.servers[from].config.id;
                    self.step(to, Input::Message { from, message });
                }
            }
            Arrival::Synced { server, incarnation, number } => {
                let is_up = self.servers[server].raft.is_some();
                if is_up && self.servers[server].incarnation == incarnation {
                    self.servers[server].disk.sync_to(number);
                    self.step(server, Input::Persisted(number));
                }
            }
        }
    }

    /// Lets the next thing happen, if it happens before `end`.
    pub(crate) fn tick(&mut self, end: u64) -> bool {
        let wakeup = |server: &Server| {
            let (at, _) = server.raft.as_ref()?.next_wakeup()?;
            Some(server.true_time(at))
        };
        let wakeups = self.servers.iter().enumerate();
        let wake = wakeups.filter_map(|(place, server)| Some((wakeup(server)?, place))).min();
        let next = self.queue.first_key_value().map(|(key, _)| key.0);
        let at = next.unwrap_or(u64::MAX).min(wake.map_or(u64::MAX, |(at, _)| at));
        if at > end {
            self.now = self.now.max(end);
            return false;
        }
        self.now = self.now.max(at);
        match wake {
            Some((at, place)) if next.is_none_or(|next| at < next) => {
                self.step(place, Input::Wake);
            }
            Some(_) | None => {
                if let Some((_, arrival)) = self.queue.pop_first() {
                    self.arrive(arrival);
                }
            }
        }
        true
    }

    pub(crate) fn run(&mut self, duration: u64) {
        let end = self.now + duration;
        while self.judge.broken.is_none() && self.tick(end) {}
    }

    /// The leader with the newest term.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leaders = self.servers.iter().enumerate().filter_map(|(place, server)| {
            let raft = server.raft.as_ref()?;
            raft.is_leader().then_some((raft.term(), place))
        });
        leaders.max().map(|(_, place)| place)
    }

    pub(crate) fn propose(&mut self, server: usize) -> Ticket {
        let ticket = self.ticket();
        let payload = ticket.0.to_le_bytes().to_vec().into();
        self.step(server, Input::Propose(ticket, payload));
        ticket
    }

    pub(crate) fn read(&mut self, server: usize) -> Ticket {
        let ticket = self.ticket();
        self.reads.insert(ticket, self.judge.acknowledged);
        self.step(server, Input::Read(ticket));
        ticket
    }

    /// Default reads everywhere: served from the applied state where a lease holds.
    pub(crate) fn lease_reads(&mut self) {
        for server in &self.servers {
            if let Some(raft) = &server.raft
                && server.clock(self.now) < raft.lease_until()
            {
                self.judge.read("default", server.applied.index, self.judge.acknowledged);
            }
        }
    }

    /// Cuts every link of a server, both ways.
    pub(crate) fn isolate(&mut self, server: usize) {
        for other in 0..self.servers.len() {
            self.cuts.insert((server, other));
            self.cuts.insert((other, server));
        }
    }

    /// Tells both ends of every cut link that the connection broke.
    pub(crate) fn break_connections(&mut self) {
        for (from, to) in self.cuts.clone() {
            let lost = self.servers[from].config.id;
            self.step(to, Input::PeerLost(lost));
        }
    }
}
