//! Machines and the agents on them: how one starts, is given what happens, has its wishes done, and
//! ends.

use super::config;
use super::world::{Ev, World};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::draw::{between, draw, stream};
use crate::links::{Fate, Place, address};
use crate::machine::{self, BodyCache, Node, View};
use proconsul_core::checks::{CheckOutcome, CheckRun};
use proconsul_core::types::{NodeId, Pool, Seed, WallTime};
use proconsul_core::{Boot, Effect, ExitReason, Input, Lookup, RequestId};
use std::net::IpAddr;
use std::sync::Arc;

/// Nanoseconds in a millisecond.
const MILLI: u64 = 1_000_000;

/// One machine: a disk, a clock, an address, and an agent that comes and goes.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) place: Place,
    pub(super) server: bool,
    pub(super) name: Arc<str>,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    pub(super) node: Option<Box<Node>>,
    pub(super) view: Option<Arc<View>>,
    pub(super) cache: BodyCache,
    pub(super) fate: Fate,
    /// When that changed.
    pub(super) since: u64,
    /// Grows with each start.
    pub(super) life: u32,
    pub(super) moves: u8,
    /// How often its disk was lost: each time it is someone new.
    pub(super) losses: u64,
    /// Whether others may hold it for left or for dead: it was forced out, or went unheard.
    pub(super) forced: bool,
    pub(super) paused: bool,
    pub(super) backlog: Vec<Input>,
    pub(super) open: Vec<RequestId>,
    /// How many streams were accepted, by pool.
    pub(super) accepted: [u64; 2],
    armed: u64,
    steps: u64,
    syncs: u64,
    probes: u64,
}

impl Machine {
    pub(super) fn new(seed: u64, place: Place, server: bool) -> Self {
        Self {
            place,
            server,
            name: config::name_of(place.number, server),
            clock: Clock::new(0),
            disk: Disk::new(draw(seed, stream::NODE, u64::from(place.number), 3)),
            node: None,
            view: None,
            cache: BodyCache::default(),
            fate: Fate::Off,
            since: 0,
            life: 0,
            moves: 0,
            losses: 0,
            forced: false,
            paused: false,
            backlog: Vec::new(),
            open: Vec::new(),
            accepted: [1, 1],
            armed: u64::MAX,
            steps: 0,
            syncs: 0,
            probes: 0,
        }
    }

    /// Who its agent is.
    pub(super) fn id(&self, seed: u64) -> NodeId {
        let (who, number) = (u64::from(self.place.number), 1_000 + 2 * self.losses);
        let high = u128::from(draw(seed, stream::NODE, who, number));
        NodeId::from_bits((high << 64) | u128::from(draw(seed, stream::NODE, who, number + 1)))
    }

    /// Whether its agent runs and is not on its way out.
    pub(super) fn is_up(&self) -> bool {
        self.fate == Fate::Up
    }

    fn who(&self) -> u64 {
        u64::from(self.place.number)
    }
}

impl World {
    /// An agent starts from what its machine's disk holds.
    pub(super) fn start(&mut self, number: usize) {
        self.disturbed();
        let seed = self.plan.seed;
        if self.machines[number].fate == Fate::Left || self.machines[number].forced {
            self.judge.may_have_left(number, true, self.now);
        }
        let machine = &mut self.machines[number];
        machine.life += 1;
        (machine.fate, machine.since, machine.forced) = (Fate::Up, self.now, false);
        let (who, life) = (machine.who(), u64::from(machine.life));
        let late = draw(seed, stream::NODE, who, 1_000_000 + life);
        machine.clock.begin(self.now, between(late, 0, 3 * MILLI));
        let config = config::config(machine, machine.id(seed), &self.plan.options);
        let boot = Boot { files: machine.disk.files(), peers: Vec::new(), recover: false };
        let drawn = Seed(draw(seed, stream::NODE, who, 100 + life));
        self.trace.event(self.now, who, 1, life);
        match machine::start(config, drawn, boot) {
            Ok(node) => {
                machine.view = Some(node.view());
                machine.cache = BodyCache::default();
                machine.node = Some(Box::new(node));
                machine.armed = u64::MAX;
                machine.paused = false;
                let wall = WallTime(machine.clock.wall_ms(self.now));
                self.say(Some(number), || "starts".into());
                self.feed(number, Input::WallClock(wall));
            }
            Err(error) => {
                let text = error.text;
                self.judge.broken("boot", self.now, || format!("m{number} cannot start: {text}"));
            }
        }
    }

    /// An agent's process ends, whatever it was doing.
    pub(super) fn end(&mut self, number: usize, fate: Fate, power: bool) {
        self.disturbed();
        let machine = &mut self.machines[number];
        machine.node = None;
        machine.disk.crash(power);
        machine.paused = false;
        machine.backlog.clear();
        machine.armed = u64::MAX;
        (machine.fate, machine.since) = (fate, self.now);
        let open = std::mem::take(&mut machine.open);
        self.trace.event(self.now, self.machines[number].who(), 2, u64::from(power));
        self.say(Some(number), || format!("ends: {fate:?}"));
        for request in open {
            self.unanswered(request);
        }
        self.hang_up(number);
    }

    /// Gives an agent an input and does what it asks for.
    pub(super) fn feed(&mut self, number: usize, input: Input) {
        let machine = &mut self.machines[number];
        let Some(node) = &mut machine.node else { return };
        if machine.paused {
            if !matches!(input, Input::Wake) {
                machine.backlog.push(input);
            }
            return;
        }
        let mut effects = std::mem::take(&mut self.scratch);
        node.step(machine.clock.local(self.now), input, &mut effects);
        machine.steps += 1;
        machine::check(node, machine.steps);
        let life = machine.life;
        for (count, effect) in (0_u64..).zip(effects.drain(..)) {
            let machine = &self.machines[number];
            if machine.life == life && machine.node.is_some() {
                self.perform(number, effect, count);
            }
        }
        self.scratch = effects;
        if self.machines[number].life == life {
            self.rearm(number);
        }
    }

    /// A process that stood still goes on.
    pub(super) fn resume(&mut self, number: usize) {
        if !std::mem::take(&mut self.machines[number].paused) {
            return;
        }
        let backlog = std::mem::take(&mut self.machines[number].backlog);
        self.feed(number, Input::Wake);
        for input in backlog {
            self.feed(number, input);
        }
    }

    pub(super) fn wake(&mut self, number: usize, life: u32, at: u64) {
        let machine = &mut self.machines[number];
        if machine.life != life || machine.armed != at {
            return;
        }
        machine.armed = u64::MAX;
        let Some(node) = &machine.node else { return };
        let now = machine.clock.local(self.now);
        if node.next_wakeup().is_some_and(|(deadline, _)| deadline > now) {
            self.rearm(number);
            return;
        }
        self.trace.event(self.now, machine.who(), 5, 0);
        self.feed(number, Input::Wake);
    }

    /// Sets the alarm for the agent's next deadline, if that is earlier than the one set.
    fn rearm(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        let Some(node) = &machine.node else { return };
        let Some((deadline, _)) = node.next_wakeup() else { return };
        let at = machine.clock.world(deadline).max(self.now);
        if at < machine.armed {
            machine.armed = at;
            self.queue.push(at, Ev::Wake { machine: number, life: machine.life, at });
        }
    }

    pub(super) fn synced(&mut self, number: usize, life: u32, lane: usize) {
        let machine = &mut self.machines[number];
        if machine.life != life || machine.node.is_none() {
            return;
        }
        let (completion, next) = machine.disk.complete(lane);
        if next {
            self.begin_sync(number, lane);
        }
        if let Some(done) = completion {
            self.trace.event(self.now, self.machines[number].who(), 6, done.token.0);
            self.feed(number, Input::Io(done.token, done.result));
        }
    }

    fn begin_sync(&mut self, number: usize, lane: usize) {
        let machine = &mut self.machines[number];
        machine.syncs += 1;
        let drawn = draw(self.plan.seed, stream::SYNC, machine.who(), machine.syncs);
        let options = &self.plan.options;
        let at = self.now + between(drawn, options.sync_min * 1_000, options.sync_max * 1_000);
        self.queue.push(at, Ev::Synced { machine: number, life: machine.life, lane });
    }

    pub(super) fn probed(&mut self, number: usize, life: u32, run: CheckRun, out: CheckOutcome) {
        if self.machines[number].life == life {
            self.feed(number, Input::CheckDone(run, out));
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "effects may be added: they are told")]
    fn perform(&mut self, number: usize, effect: Effect, count: u64) {
        match effect {
            Effect::SendPeer { to, address, message } => {
                self.send_peer(number, to, address, message);
            }
            Effect::Send { pool, to, datagram } => {
                self.send_datagram(number, pool, to, datagram, count);
            }
            Effect::Dial { pool, stream, to } => self.dial(number, pool, stream, to),
            Effect::Write { pool, stream, message } => {
                self.write(number, pool, stream, *message);
            }
            Effect::Close { pool, stream } => self.close(number, pool, stream),
            Effect::Resolve(lookup, name) => self.resolve(number, lookup, &name),
            Effect::Respond(id, response) => self.answered(number, id, &response),
            Effect::Io(op) => {
                if let Some(lane) = self.machines[number].disk.submit(op) {
                    self.begin_sync(number, lane);
                }
            }
            Effect::Publish(view) => {
                self.published(number, &view);
                self.machines[number].view = Some(view);
            }
            Effect::Event(event) => {
                if self.lines.are_kept() {
                    self.say(Some(number), || machine::tell(&event));
                }
                self.happened(number, &event);
            }
            Effect::RunCheck(run, _) => self.run_check(number, run),
            Effect::Exit(reason) => self.exits(number, &reason),
            other => self.say(Some(number), || format!("asks for {other:?}")),
        }
    }

    fn exits(&mut self, number: usize, reason: &ExitReason) {
        self.say(Some(number), || format!("stops: {reason:?}"));
        match reason {
            ExitReason::Left => {
                self.end(number, Fate::Left, false);
                // Whose leave no leader heard may be taken for dead: those who start later are told
                // nothing of strangers that are gone.
                let leader = self.leader_of(self.machines[number].place.dc);
                self.machines[number].forced |= leader.is_none() || !self.active.is_empty();
            }
            ExitReason::Stopped
            | ExitReason::Disk(_)
            | ExitReason::Join(_)
            | ExitReason::JoinRetried(_)
            | ExitReason::LostName
            | ExitReason::Log(_) => {
                self.judge.broken("exit", self.now, || format!("m{number} stops: {reason:?}"));
            }
        }
    }

    fn run_check(&mut self, number: usize, run: CheckRun) {
        let machine = &mut self.machines[number];
        machine.probes += 1;
        let (late, outcome) = machine::probe(self.plan.seed, machine.who(), machine.probes);
        let at = self.now + late;
        self.queue.push(at, Ev::Probed { machine: number, life: machine.life, run, outcome });
    }

    /// A name is looked up: machines are found by theirs, wherever they are now.
    fn resolve(&mut self, number: usize, lookup: Lookup, name: &str) {
        let found = config::number_of(name).and_then(|other| {
            let other = self.machines.get(usize::from(other))?;
            let at: IpAddr = address(other.place.number, other.moves, 0).ip();
            Some(vec![at])
        });
        let found = found.ok_or_else(|| format!("lookup {name}: no such host"));
        let machine = &self.machines[number];
        let drawn = draw(self.plan.seed, stream::CLIENT, machine.who(), lookup.0);
        let at = self.now + between(drawn, MILLI, 20 * MILLI);
        self.queue.push(at, Ev::Resolved { machine: number, life: machine.life, lookup, found });
    }

    /// One pool of a machine, as the links name it.
    pub(super) fn pool_number(number: usize, pool: Pool) -> u32 {
        let number = u32::try_from(number).expect("fewer than 2^16 machines");
        number * 2 + u32::from(pool == Pool::Wan)
    }
}
