//! What is between agents: connections on which they call one another, datagrams and streams of
//! their pools.

use super::machines::Machine;
use super::world::{Ev, World};
use crate::draw::{between, draw, ppm, stream};
use crate::links::{Fates, WAN_PORT, Way, address, codec_differs, machine_at};
use crate::machine::{self, PeerMessage};
use proconsul_core::gossip::{StreamEvent, StreamId};
use proconsul_core::types::{NodeId, Pool};
use proconsul_core::wire::packet::Datagram;
use proconsul_core::wire::stream::Sealed;
use proconsul_core::{CallId, Input};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How long silence lasts before a connection counts as broken, at most.
const SILENCE: u64 = 1_500_000_000;

/// What could not be sent to an agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsent {
    calls: Vec<CallId>,
    /// Whether there is something among it that the agent waits for.
    answers: bool,
}

impl Unsent {
    fn add(&mut self, message: &PeerMessage) {
        self.calls.extend(message.call());
        self.answers |= matches!(message, PeerMessage::Reply { .. });
    }

    fn of(message: &PeerMessage) -> Self {
        let mut unsent = Self::default();
        unsent.add(message);
        unsent
    }
}

/// A connection between two agents.
#[derive(Clone, Debug, Default)]
struct Wire {
    epoch: u32,
    open: bool,
    breaking: bool,
    /// Who is at the ends, the lower machine first.
    who: Option<[NodeId; 2]>,
    /// The last arrival, by direction.
    last: [u64; 2],
    /// By direction: who is dialled in vain, and what waits for it.
    dialled: [Option<(NodeId, Unsent)>; 2],
    sent: u64,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Wires {
    wires: BTreeMap<(usize, usize), Wire>,
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

impl World {
    pub(super) fn send_peer(
        &mut self,
        from: usize,
        to: NodeId,
        at: SocketAddr,
        message: PeerMessage,
    ) {
        let seed = self.plan.seed;
        let target = machine_at(at).and_then(|(number, moves)| {
            let machine = self.machines.get(usize::from(number))?;
            (machine.moves == moves).then_some(usize::from(number))
        });
        let Some(other) = target.filter(|other| *other != from) else {
            // Nobody has that address: silence.
            let drawn = draw(seed, stream::BREAK, self.now, wide(from));
            let life = self.machines[from].life;
            let at = self.now + between(drawn, SILENCE / 3, SILENCE);
            let unsent = Unsent::of(&message);
            self.queue.push(at, Ev::Lost { machine: from, life, who: to, unsent });
            return;
        };
        self.through_codec(from, &message);
        let key = pair(from, other);
        let ids = [self.machines[key.0].id(seed), self.machines[key.1].id(seed)];
        let wire = self.wires.wires.entry(key).or_default();
        let way = usize::from(from > other);
        if let Some((who, unsent)) = &mut wire.dialled[way] {
            // Whoever waits for another one there waits in vain, too.
            if *who == to {
                unsent.add(&message);
            }
            return;
        }
        if wire.breaking {
            return;
        }
        if !wire.open {
            (wire.who, wire.last) = (Some(ids), [0, 0]);
        }
        wire.sent += 1;
        let number = wire.sent;
        let (one, two) = (&self.machines[from], &self.machines[other]);
        let drawn = draw(seed, stream::BREAK, wide(key.0 << 16 | key.1), number);
        let is_linked = self.network.linked(one.place, two.place, Way::Tcp);
        let answers = two.node.is_some() && two.id(seed) == to;
        if !is_linked || !answers {
            let late = if is_linked { 30_000_000 } else { SILENCE };
            let at = self.now + between(drawn, 1_000_000, late);
            let (life, unsent) = (one.life, Unsent::of(&message));
            if wire.open {
                let is_between_them = wire.who.is_some_and(|who| who.contains(&to));
                if !is_linked || is_between_them {
                    wire.breaking = true;
                    self.queue.push(at, Ev::Broken { between: key, epoch: wire.epoch });
                }
                if !is_between_them {
                    // Someone else answers there.
                    self.queue.push(at, Ev::Lost { machine: from, life, who: to, unsent });
                }
            } else {
                wire.dialled[way] = Some((to, unsent));
                self.queue.push(at, Ev::Undialled { from, life, to: other });
            }
            return;
        }
        let time = self.network.streamed(one.place, two.place, number);
        let at = (self.now + time).max(wire.last[way] + 1);
        wire.last[way] = at;
        let opened = !std::mem::replace(&mut wire.open, true);
        let (epoch, message) = (wire.epoch, Box::new(message));
        self.queue.push(at, Ev::Peer { from, to: other, epoch, opened, message });
    }

    pub(super) fn peer(
        &mut self,
        (from, to): (usize, usize),
        epoch: u32,
        opened: bool,
        message: PeerMessage,
    ) {
        let Some(wire) = self.wires.wires.get(&pair(from, to)) else { return };
        if wire.epoch != epoch || wire.breaking {
            return;
        }
        let Some(who) = wire.who else { return };
        let id = who[usize::from(from > to)];
        self.trace.event(self.now, wide(to), 4, wide(from) ^ (machine::fingerprint(&message) << 8));
        self.messages += 1;
        if self.lines.are_kept() {
            self.say(Some(to), || format!("<- m{from} {}", machine::describe(&message)));
        }
        if opened {
            let machine = &self.machines[from];
            let at = address(machine.place.number, machine.moves, 8300);
            self.feed(to, Input::PeerAt(id, at));
        }
        self.feed(to, Input::Peer { from: id, message });
    }

    /// Who dialled in vain hears so: nothing of what waited was sent.
    pub(super) fn undialled(&mut self, from: usize, life: u32, to: usize) {
        let Some(wire) = self.wires.wires.get_mut(&pair(from, to)) else { return };
        // What a process waited for ended with it.
        if self.machines[from].life == life
            && let Some((who, unsent)) = wire.dialled[usize::from(from > to)].take()
        {
            self.unsent(from, who, unsent);
        }
    }

    /// An agent learns that something could not be sent. Whoever waits for an answer that is among
    /// it sees its own connection end, as the adapter has it.
    pub(super) fn unsent(&mut self, from: usize, who: NodeId, unsent: Unsent) {
        let (seed, answers) = (self.plan.seed, unsent.answers);
        self.feed(from, Input::PeerUnreached(who, unsent.calls));
        let mut wires = self.wires.wires.iter_mut().filter(|(key, _)| {
            (key.0 == from && self.machines[key.1].id(seed) == who)
                || (key.1 == from && self.machines[key.0].id(seed) == who)
        });
        if let Some((key, wire)) = wires.find(|(_, wire)| answers && wire.open && !wire.breaking) {
            wire.breaking = true;
            self.queue.push(self.now, Ev::Broken { between: *key, epoch: wire.epoch });
        }
    }

    /// Both ends of a connection notice that it is broken.
    pub(super) fn broken(&mut self, between: (usize, usize), epoch: u32) {
        let Some(wire) = self.wires.wires.get_mut(&between) else { return };
        if wire.epoch != epoch {
            return;
        }
        let who = wire.who;
        let dialled = std::mem::take(&mut wire.dialled);
        *wire = Wire { epoch: epoch + 1, sent: wire.sent, dialled, ..Wire::default() };
        self.trace.event(self.now, wide(between.0), 3, wide(between.1));
        let Some([low, high]) = who else { return };
        self.feed(between.0, Input::PeerLost(high));
        self.feed(between.1, Input::PeerLost(low));
    }

    /// A process is gone: its connections and streams end.
    pub(super) fn hang_up(&mut self, number: usize) {
        let mut ends = Vec::new();
        for (key, wire) in &mut self.wires.wires {
            if key.0 == number || key.1 == number {
                wire.dialled[usize::from(key.1 == number)] = None;
            }
            if (key.0 == number || key.1 == number) && wire.open && !wire.breaking {
                wire.breaking = true;
                ends.push((*key, wire.epoch));
            }
        }
        for (between_them, epoch) in ends {
            let (one, two) = (&self.machines[between_them.0], &self.machines[between_them.1]);
            let heard = self.network.linked(one.place, two.place, Way::Tcp);
            let drawn = draw(self.plan.seed, stream::BREAK, self.now, wide(between_them.1));
            let at = self.now + between(drawn, 0, if heard { 30_000_000 } else { SILENCE });
            self.queue.push(at, Ev::Broken { between: between_them, epoch });
        }
        for pool in [Pool::Lan, Pool::Wan] {
            let life = self.machines[number].life;
            for stream in self.streams.of(Self::pool_number(number, pool), life) {
                self.close(number, pool, stream);
            }
        }
    }

    fn through_codec(&mut self, from: usize, message: &PeerMessage) {
        let drawn = draw(self.plan.seed, stream::CODEC, wide(from), self.trace.events());
        if ppm(drawn, self.plan.options.codec_ppm) {
            self.codec_checked += 1;
            if let Some(text) = machine::codec_differs(message) {
                self.judge.broken("wire.round-trip", self.now, || text);
            }
        }
    }

    /// Who listens at an address of a pool.
    fn listener(&self, to: SocketAddr) -> Option<(usize, Pool)> {
        let (number, moves) = machine_at(to)?;
        let machine = self.machines.get(usize::from(number))?;
        let pool = if to.port() == WAN_PORT { Pool::Wan } else { Pool::Lan };
        let listens = machine.moves == moves && (machine.server || pool == Pool::Lan);
        (listens && machine.node.is_some()).then_some((usize::from(number), pool))
    }

    pub(super) fn send_datagram(
        &mut self,
        number: usize,
        pool: Pool,
        to: SocketAddr,
        datagram: Datagram,
        count: u64,
    ) {
        let Some((other, _)) = machine_at(to) else { return };
        let Some(other) = self.machines.get(usize::from(other)) else { return };
        let from = &self.machines[number];
        let draw_number = self.now ^ (count << 46);
        let fates: Fates = self.network.datagram(from.place, other.place, draw_number);
        let source = gossip_address(from, pool);
        let drawn = draw(self.plan.seed, stream::CODEC, wide(number), draw_number);
        if ppm(drawn, self.plan.options.codec_ppm) {
            self.codec_checked += 1;
            let differs = codec_differs(&datagram, &datagram.to_bytes());
            if let Some(text) = differs {
                self.judge.broken("wire.round-trip", self.now, || text);
            }
        }
        let [first, again] = fates;
        if let Some(latency) = again {
            let datagram = datagram.clone();
            self.queue.push(self.now + latency, Ev::Datagram { from: source, to, datagram });
        }
        if let Some(latency) = first {
            self.queue.push(self.now + latency, Ev::Datagram { from: source, to, datagram });
        }
    }

    pub(super) fn datagram(&mut self, from: SocketAddr, to: SocketAddr, datagram: Datagram) {
        if let Some((number, pool)) = self.listener(to) {
            self.messages += 1;
            self.trace.event(self.now, wide(number), 3, u64::from(from.port()));
            self.feed(number, Input::Datagram(pool, from, datagram));
        }
    }

    pub(super) fn dial(&mut self, number: usize, pool: Pool, stream: StreamId, to: SocketAddr) {
        let machine = &self.machines[number];
        let here = (Self::pool_number(number, pool), machine.life, stream);
        let draw_number = self.now ^ (stream.0 << 40);
        let Some((other, _)) = machine_at(to) else { return };
        let Some(other) = self.machines.get(usize::from(other)) else { return };
        let (one, two) = (machine.place, other.place);
        let ahead = self.network.streamed(one, two, draw_number);
        let back = self.network.latency(two, one, draw_number ^ 1);
        if !self.network.linked(one, two, Way::Tcp) {
            return;
        }
        let Some((there, pool)) = self.listener(to) else {
            // A machine without an agent refuses; an address that is nobody's says nothing.
            if machine_at(to).is_some_and(|(_, moves)| moves == other.moves) {
                self.tell(here, self.now + ahead + back, StreamEvent::Closed);
            }
            return;
        };
        let machine = &mut self.machines[there];
        let accepted = &mut machine.accepted[usize::from(pool == Pool::Wan)];
        let end = (Self::pool_number(there, pool), machine.life, StreamId(*accepted));
        *accepted += 2;
        let (at_there, at_here) = (self.now + ahead, self.now + ahead + back);
        let drawn = draw(self.plan.seed, stream::CODEC, wide(number), draw_number ^ 2);
        let as_bytes = ppm(drawn, self.plan.options.codec_ppm.saturating_mul(4));
        self.streams.open((here, at_here), (end, at_there), as_bytes);
        let port = 40_000 + u16::try_from(stream.0 % 20_000).unwrap_or(0);
        let machine = &self.machines[number];
        let from = address(machine.place.number, machine.moves, port);
        self.tell(end, at_there, StreamEvent::Accepted(from));
        self.tell(here, at_here, StreamEvent::Connected);
    }

    fn tell(&mut self, end: crate::links::End, at: u64, event: StreamEvent) {
        self.queue.push(at, Ev::Stream { end, event });
    }

    pub(super) fn write(&mut self, number: usize, pool: Pool, stream: StreamId, sealed: Sealed) {
        let end = (Self::pool_number(number, pool), self.machines[number].life, stream);
        let Some(other) = self.streams.other(end) else { return };
        let (one, two) = (self.machines[number].place, self.machines[machine_of(other.0)].place);
        let along = (&self.network, one, two);
        let draw_number = self.now ^ (stream.0 << 40);
        if let Some((at, event)) = self.streams.write(end, sealed, self.now, along, draw_number) {
            self.codec_checked += u64::from(matches!(event, StreamEvent::Bytes(_)));
            self.tell(other, at, event);
        }
    }

    pub(super) fn close(&mut self, number: usize, pool: Pool, stream: StreamId) {
        let end = (Self::pool_number(number, pool), self.machines[number].life, stream);
        let Some(other) = self.streams.other(end) else { return };
        let (one, two) = (self.machines[number].place, self.machines[machine_of(other.0)].place);
        let along = (&self.network, one, two);
        let draw_number = self.now ^ (stream.0 << 50);
        if let Some(at) = self.streams.close(end, self.now, along, draw_number) {
            self.tell(other, at, StreamEvent::Closed);
        }
    }

    pub(super) fn stream(&mut self, end: crate::links::End, event: StreamEvent) {
        let (number, life, stream) = (machine_of(end.0), end.1, end.2);
        let machine = &self.machines[number];
        if machine.life != life || machine.node.is_none() {
            return;
        }
        if matches!(event, StreamEvent::Closed) {
            self.streams.forget(end);
        }
        let pool = if end.0.is_multiple_of(2) { Pool::Lan } else { Pool::Wan };
        self.trace.event(self.now, wide(number), 7, stream.0);
        self.feed(number, Input::Stream(pool, stream, event));
    }
}

fn machine_of(pool: u32) -> usize {
    usize::try_from(pool / 2).expect("32 bits fit an index")
}

fn gossip_address(machine: &Machine, pool: Pool) -> SocketAddr {
    let port = if pool == Pool::Lan { crate::links::LAN_PORT } else { WAN_PORT };
    address(machine.place.number, machine.moves, port)
}

pub(super) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
