//! The event loop: machines with one or two pools each, and what happens to them next.

use super::judge::Judge;
use super::plan::{Options, Plan, What, Who};
use super::seats::{Seat, SeatId};
use crate::clock::Clock;
use crate::draw::{draw, ppm, stream};
use crate::links::{Fate, Fates, Network, Place, Streams, WAN_PORT, Ways, address, machine_at};
use crate::log::Lines;
use crate::plans::PlannedWorld;
use crate::queue::Queue;
use crate::run::{Outcome, Telling};
use crate::trace::Trace;
use bytes::Bytes;
use proconsul_core::gossip::{Effect, Founding, Input, QueryId, StreamEvent, StreamId};
use proconsul_core::types::{Planted, Rng, Seed};
use proconsul_core::wire::packet::Datagram;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Datagrams and stream events that wait for a process that stands still; more datagrams are lost,
/// as they are in a socket's buffer.
const BACKLOG_MAX: usize = 500;

/// What will happen.
#[derive(Debug)]
pub(super) enum Ev {
    /// A pool wants to be woken.
    Wake { seat: SeatId, life: u32 },
    /// A datagram comes to an address.
    Datagram { from: SocketAddr, to: SocketAddr, datagram: Datagram },
    /// The same as bytes.
    Packet { from: SocketAddr, to: SocketAddr, bytes: Bytes },
    /// Something happens on a stream of a process.
    Stream { seat: SeatId, life: u32, id: StreamId, event: StreamEvent },
    /// The plan's act of this number.
    Act(usize),
    /// It is over.
    Over(usize),
    /// A machine that crashed starts again.
    Restart { machine: u16, life: u32 },
    /// A pool is told whom to join; if it has met someone, only when `again`.
    Rejoin { seat: SeatId, life: u32, again: bool },
    /// A host answers a query.
    Answer { seat: SeatId, query: QueryId },
    /// A pool has left.
    Gone(SeatId),
    /// The judges look whether a death is known: to all, or to most.
    Known { machine: u16, since: u64, all: bool },
    /// A process that stood still goes on.
    Resume(u16),
    /// The judges look around.
    Look,
    /// The judges look at everyone's view of everyone.
    Compare,
    /// They ask whether a healed world has settled.
    Rest,
    /// Everything is healed.
    Heal,
    /// Operators tell members once more whom to join.
    Help,
}

/// A machine with its process.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) number: u16,
    pub(super) dc: usize,
    pub(super) server: bool,
    pub(super) clock: Clock,
    pub(super) moves: u8,
    pub(super) fate: Fate,
    /// When that changed.
    pub(super) since: u64,
    /// Whether it was forced out by others, or the name or id it has is another's too.
    pub(super) disputed: bool,
    /// Whether it left while nothing was wrong.
    pub(super) left_well: bool,
    /// Under whose name or with whose id it starts.
    pub(super) claims: Option<(u16, bool)>,
    /// Grows with each start.
    pub(super) life: u32,
    pub(super) paused: bool,
    backlog: VecDeque<(SeatId, Input)>,
    /// Its pools: LAN, and WAN if it is a server.
    pub(super) seats: [Option<SeatId>; 2],
}

impl Machine {
    pub(super) fn place(&self) -> Place {
        Place { number: self.number, dc: self.dc }
    }
}

/// A world of pools.
#[derive(Debug)]
pub struct World {
    pub(super) plan: Plan,
    pub(super) now: u64,
    pub(super) queue: Queue<Ev>,
    pub(super) machines: Vec<Machine>,
    pub(super) seats: Vec<Seat>,
    pub(super) network: Network,
    pub(super) streams: Streams,
    pub(super) judge: Judge,
    pub(super) trace: Trace,
    /// Acts whose trouble lasts.
    pub(super) active: Vec<usize>,
    /// Since when nothing is wrong; `None`: something is.
    pub(super) calm_since: Option<u64>,
    /// Since when a healed world's views are right.
    pub(super) right_since: Option<u64>,
    /// When members were last told whom to join.
    pub(super) helped: Option<u64>,
    pub(super) founding: Vec<Founding>,
    out: Vec<Effect>,
    pub(super) planted: Planted,
    /// Datagrams that arrived.
    pub messages: u64,
    /// Messages that went through the codec.
    pub codec_checked: u64,
    pub(super) lines: Lines,
}

impl World {
    /// The world of a plan, at its beginning.
    fn new(plan: &Plan, telling: Telling) -> Self {
        let mut world = Self {
            now: 0,
            queue: Queue::default(),
            machines: Vec::new(),
            seats: Vec::new(),
            network: Network::new(plan.seed, ways(&plan.options)),
            streams: Streams::default(),
            judge: Judge::new(&plan.options),
            trace: Trace::default(),
            active: Vec::new(),
            calm_since: Some(0),
            right_since: None,
            helped: None,
            founding: Vec::new(),
            out: Vec::new(),
            planted: crate::machine::planted(&plan.options.planted),
            messages: 0,
            codec_checked: 0,
            lines: Lines::new(telling),
            plan: plan.clone(),
        };
        world.populate();
        for (number, act) in plan.acts.iter().enumerate() {
            world.queue.push(act.at * 1_000, Ev::Act(number));
        }
        world.queue.push(plan.options.length * 1_000, Ev::Heal);
        world.queue.push(1_000_000_000, Ev::Look);
        world
    }

    /// Where machines are, in order, and who lives there.
    fn populate(&mut self) {
        let options = self.plan.options.clone();
        let mut number = 0;
        for (dc, (servers, clients)) in options.datacenters.iter().enumerate() {
            for place in 0..servers + clients {
                let machine = Machine {
                    number,
                    dc,
                    server: place < *servers,
                    clock: Clock::new(0),
                    moves: 0,
                    fate: Fate::Off,
                    since: 0,
                    disputed: false,
                    left_well: false,
                    claims: None,
                    life: 0,
                    paused: false,
                    backlog: VecDeque::new(),
                    seats: [None, None],
                };
                self.machines.push(machine);
                number += 1;
            }
        }
        for machine in 0..self.machines.len() {
            let wan = options.wan && self.machines[machine].server;
            for pool in 0..=usize::from(wan) {
                let seat = SeatId::try_from(self.seats.len()).expect("fewer than 2^32 pools");
                self.seats.push(Seat::new(machine, pool == 1, &self.machines[machine]));
                self.machines[machine].seats[pool] = Some(seat);
            }
        }
        if options.founded {
            self.found();
        }
        let last = self.machines.len() - usize::from(options.late);
        for machine in 0..last {
            if options.founded {
                self.start(machine, true);
            } else {
                // One after another, within the first seconds.
                let at = draw(self.plan.seed, stream::NODE, 7, wide(machine)) % 3_000_000_000;
                let machine = u16::try_from(machine).unwrap_or(u16::MAX);
                self.queue.push(at, Ev::Restart { machine, life: 0 });
            }
        }
    }

    /// Runs until the end of the plan or the first broken rule.
    fn run(&mut self) {
        while self.judge.violation.is_none() {
            let Some((at, event)) = self.queue.pop() else { break };
            if at > self.judge.end {
                break;
            }
            self.now = at;
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Ev) {
        match event {
            Ev::Wake { seat, life } => self.wake(seat, life),
            Ev::Datagram { from, to, datagram } => {
                if let Some(seat) = self.seat_at(to) {
                    self.messages += 1;
                    self.deliver(seat, Input::Datagram(from, datagram));
                }
            }
            Ev::Packet { from, to, bytes } => {
                if let Some(seat) = self.seat_at(to) {
                    self.messages += 1;
                    self.deliver(seat, Input::Packet(from, bytes));
                }
            }
            Ev::Stream { seat, life, id, event } => self.stream(seat, life, id, event),
            Ev::Act(number) => self.act(number),
            Ev::Over(number) => self.over(number),
            Ev::Restart { machine, life } => {
                let machine = usize::from(machine);
                let is_off = matches!(self.machines[machine].fate, Fate::Down | Fate::Off);
                if is_off && self.machines[machine].life == life {
                    self.start(machine, false);
                }
            }
            Ev::Rejoin { seat, life, again } => self.join_seeds(seat, life, again),
            Ev::Answer { seat, query } => {
                self.deliver(seat, Input::Respond(query, Bytes::from_static(b"here")));
            }
            Ev::Gone(seat) => self.gone(seat),
            Ev::Known { machine, since, all } => self.known(usize::from(machine), since, all),
            Ev::Resume(machine) => self.resume(usize::from(machine)),
            Ev::Look => {
                self.look();
                self.queue.push(self.now + 1_000_000_000, Ev::Look);
            }
            Ev::Compare => self.compare(),
            Ev::Rest => self.rest(),
            Ev::Heal => self.heal(),
            Ev::Help => self.help(),
        }
    }

    /// The pool that listens at an address.
    pub(super) fn seat_at(&self, to: SocketAddr) -> Option<SeatId> {
        let (number, moves) = machine_at(to)?;
        let machine = self.machines.get(usize::from(number))?;
        if machine.moves != moves {
            return None;
        }
        let pool = usize::from(to.port() == WAN_PORT);
        let seat = machine.seats[pool]?;
        self.seats[place(seat)].gossip.is_some().then_some(seat)
    }

    /// Hands something to a process, or lets it wait while the process stands still.
    pub(super) fn deliver(&mut self, seat: SeatId, input: Input) {
        let machine = self.seats[place(seat)].machine;
        let machine = &mut self.machines[machine];
        if !machine.paused {
            self.step(seat, input);
        } else if machine.backlog.len() < BACKLOG_MAX || matches!(input, Input::Stream(..)) {
            machine.backlog.push_back((seat, input));
        }
    }

    fn resume(&mut self, machine: usize) {
        self.machines[machine].paused = false;
        let waiting = std::mem::take(&mut self.machines[machine].backlog);
        for (seat, input) in waiting {
            self.deliver(seat, input);
        }
        for seat in self.machines[machine].seats.into_iter().flatten() {
            if self.seats[place(seat)].gossip.is_some() {
                self.step(seat, Input::Wake);
            }
        }
    }

    /// What waits for a dead process is lost.
    pub(super) fn drop_backlog(&mut self, machine: usize) {
        self.machines[machine].backlog.clear();
        self.machines[machine].paused = false;
    }

    fn wake(&mut self, id: SeatId, life: u32) {
        let seat = &mut self.seats[place(id)];
        let machine = &self.machines[seat.machine];
        if seat.wake_at != self.now || machine.life != life {
            return;
        }
        seat.wake_at = u64::MAX;
        if machine.paused || seat.gossip.is_none() {
            return;
        }
        if seat.wanted <= self.now {
            self.step(id, Input::Wake);
        } else if seat.wanted < u64::MAX {
            seat.wake_at = seat.wanted;
            self.queue.push(seat.wanted, Ev::Wake { seat: id, life });
        }
    }

    /// One step of one pool.
    pub(super) fn step(&mut self, id: SeatId, input: Input) {
        let seat = &mut self.seats[place(id)];
        let machine = &self.machines[seat.machine];
        let Some(gossip) = &mut seat.gossip else { return };
        let local = machine.clock.local(self.now);
        let kind = kind_of(&input);
        self.judge.before(id, gossip, &input);
        let mut out = std::mem::take(&mut self.out);
        gossip.step(local, input, &mut out);
        self.trace.event(self.now, u64::from(id), kind, wide(out.len()));
        self.perform(id, &mut out);
        self.out = out;
        if let Some(gossip) = &self.seats[place(id)].gossip {
            self.judge.after(id, gossip, self.now);
        }
        self.arm(id);
    }

    /// Sees to it that a pool is woken in time.
    pub(super) fn arm(&mut self, id: SeatId) {
        let seat = &mut self.seats[place(id)];
        let machine = &self.machines[seat.machine];
        let next = seat.gossip.as_ref().and_then(|gossip| gossip.next_wakeup());
        let at = next.map_or(u64::MAX, |next| machine.clock.world(next).max(self.now));
        seat.wanted = at;
        if at < seat.wake_at {
            seat.wake_at = at;
            self.queue.push(at, Ev::Wake { seat: id, life: machine.life });
        }
    }

    /// Does what a pool asks for, in order.
    pub(super) fn perform(&mut self, id: SeatId, out: &mut Vec<Effect>) {
        for (number, effect) in out.drain(..).enumerate() {
            let number = self.now ^ (wide(number) << 46);
            match effect {
                Effect::Send(to, datagram) => self.send(id, to, datagram, number),
                Effect::Dial(stream, to) => self.dial(id, stream, to, number),
                Effect::Write(stream, sealed) => self.write(id, stream, *sealed, number),
                Effect::Close(stream) => self.close(id, stream, number),
                Effect::Remember(lines) => self.seats[place(id)].file.extend_from_slice(&lines),
                Effect::Compact(whole) => self.seats[place(id)].file = whole.to_vec(),
                Effect::SaveKeys(ring) => {
                    self.seats[place(id)].keys = Some(ring.to_vec());
                    if let Some(gossip) = &self.seats[place(id)].gossip {
                        self.judge.saved(id, gossip.keyring(), self.now);
                    }
                }
                Effect::Event(event) => self.happened(id, &event),
            }
        }
    }

    fn send(&mut self, id: SeatId, to: SocketAddr, datagram: Datagram, number: u64) {
        let seat = &self.seats[place(id)];
        let from = &self.machines[seat.machine];
        self.judge.sent(id, &datagram, self.now);
        let Some((other, _)) = machine_at(to) else { return };
        let Some(other) = self.machines.get(usize::from(other)) else { return };
        let fates: Fates = self.network.datagram(from.place(), other.place(), number);
        let source = address(from.number, from.moves, seat.port());
        let share = self.plan.options.codec_ppm;
        let drawn = draw(self.plan.seed, stream::CODEC, u64::from(id), number);
        let bytes = ppm(drawn, share).then(|| datagram.to_bytes());
        if let Some(bytes) = &bytes {
            self.codec_checked += 1;
            self.judge.codec(&datagram, bytes, self.now);
        }
        let mut rest = Some(datagram);
        for (at, last) in [(fates[1], false), (fates[0], true)] {
            let Some(latency) = at else { continue };
            let event = match (&bytes, last) {
                (Some(bytes), _) => Ev::Packet { from: source, to, bytes: bytes.clone() },
                (None, true) => {
                    let Some(datagram) = rest.take() else { continue };
                    Ev::Datagram { from: source, to, datagram }
                }
                (None, false) => {
                    let Some(datagram) = rest.clone() else { continue };
                    Ev::Datagram { from: source, to, datagram }
                }
            };
            self.queue.push(self.now + latency, event);
        }
    }

    /// Says something, if anyone listens.
    pub(super) fn say(&mut self, machine: Option<usize>, text: impl FnOnce() -> String) {
        self.lines.say(self.now, machine, text);
    }

    /// Whom an act is about.
    pub(super) fn machines_of(&self, who: Who) -> Vec<usize> {
        let named = |machine: &&Machine| who.names(machine.place());
        self.machines.iter().filter(named).map(|machine| usize::from(machine.number)).collect()
    }

    /// What the act of this number is.
    pub(super) fn what(&self, number: usize) -> What {
        self.plan.acts[number].what.clone()
    }

    /// The stream of random numbers of one life of one pool.
    pub(super) fn chance(&self, seat: SeatId, life: u32) -> Rng {
        let who = (u64::from(life) << 32) | u64::from(seat);
        Rng::new(Seed(draw(self.plan.seed, stream::NODE, who, 1)))
    }
}

impl PlannedWorld<Options> for World {
    fn begin(plan: &Plan, telling: Telling) -> Self {
        Self::new(plan, telling)
    }

    fn run(&mut self) {
        self.run();
    }

    fn outcome(mut self) -> Outcome {
        Outcome {
            violation: self.judge.violation,
            trace: self.trace.hash(),
            events: self.trace.events(),
            messages: self.messages,
            codec_checked: self.codec_checked,
            committed: self.judge.told,
            simulated: self.now,
            lines: self.lines.take(),
            ..Outcome::default()
        }
    }
}

fn ways(options: &Options) -> Ways {
    Ways {
        latency: (options.latency_min, options.latency_max),
        between: options.between.clone(),
        jitter_ppm: options.jitter_ppm,
        loss_ppm: options.loss_ppm,
        between_loss_ppm: Vec::new(),
        duplicate_ppm: options.duplicate_ppm,
    }
}

fn kind_of(input: &Input) -> u64 {
    match input {
        Input::Wake => 1,
        Input::Packet(..) => 2,
        Input::Datagram(..) => 3,
        Input::Stream(..) => 4,
        Input::Join { .. } => 5,
        Input::Leave => 6,
        Input::ForceLeave { .. } => 7,
        Input::Tags(_) => 8,
        Input::Fire { .. } => 9,
        Input::Query(..) => 10,
        Input::Respond(..) => 11,
        Input::Keys(..) => 12,
        Input::Doubt(_) => 13,
        Input::Unwritten => 14,
    }
}

pub(super) fn place(seat: SeatId) -> usize {
    usize::try_from(seat).expect("32 bits fit an index")
}

pub(super) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
