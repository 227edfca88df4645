//! A host performs one node's effects as the adapter does: reads on the published view first, then
//! the event loop; effects in order; files by lane; wake-ups on time, of its own clock.

use super::{Engine, Ev, MILLI, small};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::draw::{between, draw, ppm, stream};
use crate::judge::Seen;
use crate::machine::{self, BodyCache, Node, PeerMessage, Plan, View};
use crate::net::Fate;
use crate::options::Options;
use crate::schedule::Mark;
use proconsul_core::checks::{CheckOutcome, CheckRun};
use proconsul_core::http::Request;
use proconsul_core::types::{Instant, NodeId, Seed, WallTime};
use proconsul_core::{Admin, Boot, Config, Effect, ExitReason, Input, PeerEntry, RequestId};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Whether a process runs.
#[derive(Debug)]
pub enum Life {
    /// It runs.
    Up(Box<Node>),
    /// It is dead and may start again.
    Down,
    /// It refuses to start from what its disk holds.
    Refused(String),
    /// It stopped by itself, for this reason.
    Stopped(ExitReason),
}

/// One machine: a disk, a clock, an address, and a process that comes and goes.
#[derive(Debug)]
pub struct Host {
    /// The process.
    pub life: Life,
    /// How often it was started.
    pub starts: u32,
    /// What every thread of it may read.
    pub view: Arc<View>,
    /// Where it is reached.
    pub address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    pub(crate) config: Config,
    pub(crate) paused: u32,
    pub(crate) backlog: Vec<Input>,
    pub(crate) open: Vec<RequestId>,
    /// Requests whose client went away: an answer on its way to them is no fault.
    pub(crate) gone: Vec<RequestId>,
    pub(crate) hung: u32,
    pub(crate) stalled: Vec<usize>,
    pub(crate) slow: u64,
    armed: u64,
    steps: u64,
    syncs: u64,
    probes: u64,
    moves: u8,
    cache: BodyCache,
}

impl Seen for Host {
    fn is_up(&self) -> bool {
        matches!(self.life, Life::Up(_))
    }

    fn node(&self) -> Option<&Node> {
        if let Life::Up(node) = &self.life { Some(node) } else { None }
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn local(&self, now: u64) -> Instant {
        self.clock.local(now)
    }

    fn is_paused(&self) -> bool {
        self.paused > 0
    }

    fn disk_bytes(&self) -> u64 {
        u64::try_from(self.disk.bytes()).unwrap_or(u64::MAX)
    }

    fn standing(&self) -> String {
        machine::standing(self)
    }
}

/// The identity of a server.
pub(crate) fn id_of(seed: u64, server: usize) -> NodeId {
    let who = u64::try_from(server).unwrap_or(0);
    let bits = u128::from(draw(seed, stream::NODE, who, 0)) << 64;
    NodeId(bits | u128::from(draw(seed, stream::NODE, who, 1)))
}

/// Where a server is reached after so many moves.
pub(crate) fn address_of(server: usize, moves: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, moves, small(server) + 1), 8300))
}

/// The seed of a server's n-th life.
pub(crate) fn seed_of(seed: u64, server: usize, life: u32) -> Seed {
    Seed(draw(seed, stream::NODE, u64::from(small(server)), 100 + u64::from(life)))
}

/// How long a server's n-th sync takes, in nanoseconds.
pub(crate) fn sync_time(seed: u64, server: usize, number: u64, options: &Options) -> u64 {
    let drawn = draw(seed, stream::SYNC, u64::from(small(server)), number);
    between(drawn, options.sync_min * 1_000, options.sync_max * 1_000)
}

/// Whether the n-th fault of a world, a crash, takes the power with it.
pub(crate) fn loses_power(seed: u64, fault: u64) -> bool {
    !draw(seed, stream::TEAR, 9_999, fault).is_multiple_of(3)
}

impl Host {
    pub(crate) fn new(seed: u64, server: usize, options: &Options) -> Self {
        let who = u64::try_from(server).unwrap_or(0);
        let config = machine::config(id_of(seed, server), server, options);
        Self {
            life: Life::Down,
            starts: 0,
            view: Arc::new(machine::first_view(&config)),
            address: address_of(server, 0),
            clock: Clock::new(0),
            disk: Disk::new(draw(seed, stream::NODE, who, 3)),
            config,
            paused: 0,
            backlog: Vec::new(),
            open: Vec::new(),
            gone: Vec::new(),
            hung: 0,
            stalled: Vec::new(),
            slow: 0,
            armed: u64::MAX,
            steps: 0,
            syncs: 0,
            probes: 0,
            moves: 0,
            cache: BodyCache::default(),
        }
    }
}

impl Engine {
    /// Starts a process from what its disk holds.
    pub(crate) fn start(&mut self, server: usize) {
        let peers = (self.ids.iter().zip(&self.hosts))
            .map(|(id, host)| PeerEntry { id: *id, address: host.address, non_voter: false })
            .collect();
        let host = &mut self.hosts[server];
        host.starts += 1;
        let boot = Boot { files: host.disk.files(), peers, recover: false };
        let who = u64::try_from(server).unwrap_or(0);
        // A process counts time from its own start (`Instant::START`); reading its disk takes some.
        let late = draw(self.seed, stream::NODE, who, 1_000_000 + u64::from(host.starts));
        host.clock.begin(self.now, between(late, 0, 3 * MILLI));
        let seed = seed_of(self.seed, server, host.starts);
        self.trace.event(self.now, who, 1, u64::from(host.starts));
        match machine::start(host.config.clone(), seed, boot) {
            Ok(node) => {
                host.view = node.view();
                self.judge.remembers(server, &node);
                host.life = Life::Up(Box::new(node));
                host.armed = u64::MAX;
                host.paused = 0;
                let wall = WallTime(host.clock.wall_ms(self.now));
                self.note(Some(server), || "starts".into());
                self.judge.started(server);
                self.feed(server, Input::WallClock(wall));
            }
            Err(error) => {
                self.note(Some(server), || format!("refuses to start: {}", error.text));
                self.judge.refused(server, &error.text);
                self.hosts[server].life = Life::Refused(error.text);
            }
        }
    }

    /// The host comes back under another address, and everyone is told.
    pub(crate) fn move_host(&mut self, server: usize) {
        let host = &mut self.hosts[server];
        host.moves += 1;
        host.address = address_of(server, host.moves);
    }

    /// Tells every server where all of them are.
    pub(crate) fn tell_addresses(&mut self) {
        let book: BTreeMap<NodeId, SocketAddr> =
            self.ids.iter().zip(&self.hosts).map(|(id, host)| (*id, host.address)).collect();
        for server in 0..self.hosts.len() {
            self.feed(server, Input::Admin(Admin::Addresses(book.clone())));
        }
    }

    /// Kills a process. Its disk keeps what it keeps; its connections break.
    pub(crate) fn kill(&mut self, server: usize, power: bool) {
        let host = &mut self.hosts[server];
        if !matches!(host.life, Life::Up(_)) {
            return;
        }
        host.life = Life::Down;
        self.bury(server, power);
    }

    /// What is left to do when a process is gone.
    fn bury(&mut self, server: usize, power: bool) {
        let host = &mut self.hosts[server];
        host.disk.crash(power);
        host.paused = 0;
        host.backlog.clear();
        host.stalled.clear();
        host.armed = u64::MAX;
        let open = std::mem::take(&mut host.open);
        host.gone.clear();
        self.note(Some(server), || format!("dies{}", if power { " with its power" } else { "" }));
        self.trace.event(self.now, u64::from(small(server)), 2, u64::from(power));
        for request in open {
            self.hang_up_on_client(request);
        }
        self.break_all(server);
        self.judge.died(server);
    }

    /// All connections of a server break: the others notice soon.
    pub(crate) fn break_all(&mut self, server: usize) {
        for other in 0..self.hosts.len() {
            if other == server {
                continue;
            }
            if let Some(epoch) = self.net.hang_up(server, other) {
                let drawn = draw(self.seed, stream::BREAK, self.now, u64::from(small(other)));
                let late = if self.net.hears(server, other) { 30 } else { 1_500 };
                let at = self.now + between(drawn, 0, late * MILLI);
                let (one, other) = (small(server), small(other));
                self.queue.push(at, Ev::Broken { one, other, epoch });
            }
        }
    }

    pub(crate) fn broken(&mut self, one: usize, other: usize, epoch: u32) {
        if self.net.epoch(one, other) != epoch {
            return;
        }
        self.net.break_connection(one, other);
        self.note(Some(one), || format!("its connection with s{other} is gone, as both see now"));
        self.trace.event(self.now, u64::from(small(one)), 3, u64::from(small(other)));
        self.feed(one, Input::PeerLost(self.ids[other]));
        self.feed(other, Input::PeerLost(self.ids[one]));
    }

    pub(crate) fn deliver(
        &mut self,
        from: usize,
        to: usize,
        epoch: u32,
        opened: bool,
        message: PeerMessage,
    ) {
        if !self.net.alive(from, to, epoch) {
            if self.lines.are_kept() {
                let what = machine::describe(&message);
                self.note(Some(to), || format!("lost on its way from s{from}: {what}"));
            }
            return;
        }
        let detail = u64::from(small(from)) ^ (machine::fingerprint(&message) << 8);
        self.trace.event(self.now, u64::from(small(to)), 4, detail);
        self.messages += 1;
        if self.lines.are_kept() {
            self.note(Some(to), || format!("<- s{from} {}", machine::describe(&message)));
        }
        let from_id = self.ids[from];
        if opened {
            self.feed(to, Input::PeerAt(from_id, self.hosts[from].address));
        }
        self.feed(to, Input::Peer { from: from_id, message });
    }

    pub(crate) fn wake(&mut self, server: usize, life: u32, at: u64) {
        let host = &mut self.hosts[server];
        if host.starts != life || host.armed != at {
            return;
        }
        host.armed = u64::MAX;
        let Life::Up(node) = &host.life else { return };
        let now = host.clock.local(self.now);
        if node.next_wakeup().is_some_and(|(deadline, _)| deadline > now) {
            self.rearm(server);
            return;
        }
        let why = node.next_wakeup().map(|(_, why)| why);
        self.note(Some(server), || why.map_or_else(String::new, |why| format!("wakes: {why:?}")));
        self.trace.event(self.now, u64::from(small(server)), 5, 0);
        self.feed(server, Input::Wake);
    }

    /// Sets the host's alarm for its node's next deadline, if that is earlier than the one set.
    pub(crate) fn rearm(&mut self, server: usize) {
        let host = &mut self.hosts[server];
        let Life::Up(node) = &host.life else { return };
        let Some((deadline, _)) = node.next_wakeup() else { return };
        let at = host.clock.world(deadline).max(self.now);
        if at < host.armed {
            host.armed = at;
            self.queue.push(at, Ev::Wake { host: small(server), life: host.starts, at });
        }
    }

    pub(crate) fn synced(&mut self, server: usize, life: u32, lane: usize) {
        let host = &mut self.hosts[server];
        if host.starts != life || !matches!(host.life, Life::Up(_)) {
            return;
        }
        if host.hung > 0 {
            host.stalled.push(lane);
            self.note(Some(server), || format!("a sync in lane {lane} hangs"));
            return;
        }
        let (completion, next) = host.disk.complete(lane);
        if next {
            self.begin_sync(server, lane);
        }
        if let Some(done) = completion {
            self.note(Some(server), || match &done.result {
                Ok(()) => format!("sync {} in lane {lane} is done", done.token.0),
                Err(error) => format!("sync {} in lane {lane} fails: {error:?}", done.token.0),
            });
            self.trace.event(self.now, u64::from(small(server)), 6, done.token.0);
            self.feed(server, Input::Io(done.token, done.result));
        }
    }

    fn begin_sync(&mut self, server: usize, lane: usize) {
        let host = &mut self.hosts[server];
        host.syncs += 1;
        let at = self.now + sync_time(self.seed, server, host.syncs, &self.options) + host.slow;
        let (host, life) = (small(server), host.starts);
        self.queue.push(at, Ev::Synced { host, life, lane: small(lane) });
    }

    pub(crate) fn probed(
        &mut self,
        server: usize,
        life: u32,
        run: CheckRun,
        outcome: CheckOutcome,
    ) {
        if self.hosts[server].starts == life {
            self.note(Some(server), || format!("check run {}: {:?}", run.0, outcome.status));
            self.trace.event(self.now, u64::from(small(server)), 7, run.0);
            self.feed(server, Input::CheckDone(run, outcome));
        }
    }

    /// A request arrives: a worker thread looks at the published view first.
    pub(crate) fn serve(&mut self, server: usize, id: RequestId, request: Request) {
        let host = &mut self.hosts[server];
        host.open.push(id);
        let now = host.clock.local(self.now);
        if host.paused == 0 {
            let plan = machine::read(&host.view, now, &request, &mut host.cache);
            if let Plan::Answer(response) = plan {
                self.respond(server, id, response);
                return;
            }
        }
        self.feed(server, Input::Http(id, request));
    }

    /// Gives a node an input and performs what it asks.
    pub(crate) fn feed(&mut self, server: usize, input: Input) {
        let host = &mut self.hosts[server];
        let Life::Up(node) = &mut host.life else { return };
        if host.paused > 0 {
            if !matches!(input, Input::Wake) {
                host.backlog.push(input);
            }
            return;
        }
        let mut effects = std::mem::take(&mut self.scratch);
        node.step(host.clock.local(self.now), input, &mut effects);
        host.steps += 1;
        machine::check(node, host.steps);
        let life = host.starts;
        for effect in effects.drain(..) {
            // A crash in the middle of a step: what comes later was never done.
            if self.hosts[server].starts == life && matches!(self.hosts[server].life, Life::Up(_)) {
                self.perform(server, effect);
            }
        }
        self.scratch = effects;
        if self.hosts[server].starts == life {
            self.rearm(server);
        }
        self.strike_due();
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "effects may be added: they are told")]
    fn perform(&mut self, server: usize, effect: Effect) {
        match effect {
            Effect::SendPeer { to, address, message } => {
                self.send(server, to, address, message);
            }
            Effect::Respond(id, response) => self.respond(server, id, response),
            Effect::Io(op) => {
                if let Some(lane) = self.hosts[server].disk.submit(op) {
                    self.begin_sync(server, lane);
                }
            }
            Effect::Publish(view) => {
                self.judge.published(server, &self.hosts[server].view, &view);
                self.hosts[server].view = view;
            }
            Effect::Event(event) => self.happened(server, &event),
            Effect::RunCheck(run, _) => self.run_check(server, run),
            Effect::Exit(reason) => {
                self.note(Some(server), || format!("stops: {reason:?}"));
                self.hosts[server].life = Life::Stopped(reason);
                self.bury(server, false);
            }
            other => self.note(Some(server), || format!("asks for {other:?}")),
        }
    }

    fn run_check(&mut self, server: usize, run: CheckRun) {
        let host = &mut self.hosts[server];
        host.probes += 1;
        let (late, outcome) = machine::probe(self.seed, u64::from(small(server)), host.probes);
        let at = self.now + late;
        let life = host.starts;
        self.queue.push(at, Ev::Probed { host: small(server), life, run, outcome });
    }

    fn send(&mut self, from: usize, to: NodeId, address: SocketAddr, message: PeerMessage) {
        let Some(to) = self.ids.iter().position(|id| *id == to) else { return };
        let up = matches!(self.hosts[to].life, Life::Up(_));
        let reachable = up && self.hosts[to].address == address;
        if let (PeerMessage::Raft(said), Life::Up(node)) = (&message, &self.hosts[from].life) {
            self.judge.sends(from, to, said, node);
        }
        self.through_codec(from, &message);
        let now = self.now;
        let kind = machine::kind(&message);
        let fate = self.net.send(now, from, to, reachable, kind, || machine::size(&message));
        if let (Fate::Lost { why, .. }, true) = (fate, self.lines.are_kept()) {
            let what = machine::describe(&message);
            self.note(Some(from), || format!("lost -> s{to} {what}: {}", why.words()));
        }
        let (sender, receiver) = (small(from), small(to));
        match fate {
            Fate::Arrives { at, again, epoch, opened } => {
                if let Some(at) = again {
                    let message = message.clone();
                    let (from, to) = (sender, receiver);
                    self.queue.push(at, Ev::Message { from, to, epoch, opened, message });
                }
                let (from, to) = (sender, receiver);
                self.queue.push(at, Ev::Message { from, to, epoch, opened, message });
            }
            Fate::Lost { noticed, .. } => {
                if let Some(at) = noticed {
                    let epoch = self.net.epoch(from, to);
                    self.queue.push(at, Ev::Broken { one: sender, other: receiver, epoch });
                }
            }
        }
    }

    /// A share of messages is encoded and decoded, and must come out as it went in (design D7b).
    fn through_codec(&mut self, from: usize, message: &PeerMessage) {
        let drawn = draw(self.seed, stream::CODEC, u64::from(small(from)), self.trace.events());
        if ppm(drawn, self.options.codec_ppm) {
            self.codec_checked += 1;
            if let Some(text) = machine::codec_differs(message) {
                self.judge.broken("wire.round-trip", || text);
            }
        }
    }

    fn happened(&mut self, server: usize, event: &proconsul_core::Event) {
        if self.lines.are_kept() {
            self.note(Some(server), || machine::tell(event));
        }
        if let Life::Up(node) = &self.hosts[server].life {
            self.judge.event(server, event, node, &self.hosts);
        }
        if let Some((mark, other)) = machine::mark(event) {
            *self.marks.entry(mark).or_default() += 1;
            let detail = mark_number(mark);
            self.trace.event(self.now, u64::from(small(server)), 8, detail);
            let other = other.and_then(|other| self.ids.iter().position(|id| *id == other));
            self.trip(server, mark, other);
        }
    }
}

fn mark_number(mark: Mark) -> u64 {
    Mark::ALL
        .iter()
        .position(|other| *other == mark)
        .and_then(|at| u64::try_from(at).ok())
        .unwrap_or(0)
}
