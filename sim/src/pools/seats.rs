//! Pools in their seats: how one starts, is met, loses its streams, and ends.

use super::world::{Ev, Machine, World, place, wide};
use crate::draw::{between, draw, ppm, stream};
use crate::links::{End, Fate, LAN_PORT, Place, WAN_PORT, Way, address, machine_at};
use proconsul_core::gossip::{
    Admission, Asked, Config, Founding, Gossip, Input, StreamEvent, StreamId, Timing,
};
use proconsul_core::types::{Duration, Incarnation, MemberStatus, NodeId, Pool, TextMap};
use proconsul_core::wire::crypto::{Key, Keyring};
use proconsul_core::wire::memberlist::Alive;
use proconsul_core::wire::serf::encode_tags;
use proconsul_core::wire::stream::Sealed;
use std::net::SocketAddr;
use std::sync::Arc;

/// A pool of a machine, by number.
pub(super) type SeatId = u32;

/// The join that hosts ask for until someone is met.
const HOST_JOIN: Asked = Asked(1);
/// How long until a host that met nobody tries again.
const RETRY_NANOS: u64 = 10_000_000_000;
/// How long until an operator looks after a member that is alone with its file.
const HELP_NANOS: u64 = 45_000_000_000;
/// How many others a host is told to join.
const SEEDS: usize = 3;

/// One pool of one machine.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) machine: usize,
    pub(super) wan: bool,
    /// Its pool: the datacenter's number, or [`WAN`].
    pub(super) pool: usize,
    pub(super) name: Arc<str>,
    pub(super) gossip: Option<Box<Gossip>>,
    /// When it will be woken.
    pub(super) wake_at: u64,
    /// When it wants to be woken, as it said after its last step.
    pub(super) wanted: u64,
    accepted: u64,
    /// Its rejoin file.
    pub(super) file: Vec<u8>,
    /// Its keyring file.
    pub(super) keys: Option<Vec<u8>>,
    /// How often its tags changed.
    pub(super) tags: u8,
}

/// The number of the WAN pool.
pub(super) const WAN: usize = 1_000;

impl Seat {
    pub(super) fn new(machine: usize, wan: bool, of: &Machine) -> Self {
        Self {
            machine,
            wan,
            pool: if wan { WAN } else { of.dc },
            name: name_of(of.number, of.dc, of.server, wan),
            gossip: None,
            wake_at: u64::MAX,
            wanted: u64::MAX,
            accepted: 1,
            file: Vec::new(),
            keys: None,
            tags: 0,
        }
    }

    pub(super) fn port(&self) -> u16 {
        if self.wan { WAN_PORT } else { LAN_PORT }
    }
}

/// The name of a machine in a pool.
pub(super) fn name_of(number: u16, dc: usize, server: bool, wan: bool) -> Arc<str> {
    let role = if server { 's' } else { 'n' };
    if wan { format!("{role}{number}.dc{dc}").into() } else { format!("{role}{number}").into() }
}

/// The machine that a name stands for.
pub(super) fn machine_named(name: &str) -> Option<usize> {
    let short = name.split('.').next()?;
    short.get(1..)?.parse().ok()
}

fn tags(number: u16, dc: usize, server: bool, value: u8) -> TextMap {
    let id = NodeId::from_bits(u128::from(number) + 1).to_string();
    let role = if server { "consul" } else { "node" };
    let mut tags = TextMap::new();
    let mut put = |key: &str, value: &str| {
        tags.insert(key.into(), value.into());
    };
    put("role", role);
    put("dc", &format!("dc{dc}"));
    put("id", &id);
    put("segment", "");
    put("build", "1.8.7:");
    put("vsn", "2");
    if server {
        put("port", "8300");
        put("vsn_min", "2");
        put("vsn_max", "3");
        put("raft_vsn", "3");
    }
    if value > 0 {
        put("value", &value.to_string());
    }
    tags
}

/// The key of a number.
pub(super) fn key(number: u8) -> Key {
    Key::new(&[number; 16]).expect("16 bytes are a key")
}

/// The timing of a pool.
pub(super) fn timing(wan: bool, probe_timeout_ms: u64) -> Timing {
    if wan {
        return Timing::wan();
    }
    Timing { probe_timeout: Duration::from_millis(probe_timeout_ms), ..Timing::lan() }
}

impl World {
    /// Builds what founded pools share.
    pub(super) fn found(&mut self) {
        let last = self.machines.len() - usize::from(self.plan.options.late);
        let pools: Vec<usize> = (0..self.plan.options.datacenters.len()).chain([WAN]).collect();
        for pool in pools {
            let everyone: Vec<Arc<Alive>> = (self.seats.iter())
                .filter(|seat| seat.pool == pool && seat.machine < last)
                .map(|seat| {
                    let machine = &self.machines[seat.machine];
                    let at = address(machine.number, 0, seat.port());
                    let tags = tags(machine.number, machine.dc, machine.server, 0);
                    Arc::new(Alive {
                        incarnation: Incarnation(1),
                        node: Arc::clone(&seat.name),
                        address: Some(at.ip()),
                        port: at.port(),
                        meta: Some(encode_tags(&tags)),
                        versions: vec![1, 5, 2, 2, 5, 4],
                    })
                })
                .collect();
            let now = self.machines[0].clock.local(0);
            self.founding.push(Founding::new(everyone, now));
        }
    }

    /// A machine's process starts.
    pub(super) fn start(&mut self, machine: usize, founded: bool) {
        let of = &mut self.machines[machine];
        of.life += 1;
        (of.fate, of.since) = (Fate::Up, self.now);
        let local = if founded { 0 } else { 1_000_000_000 };
        of.clock.begin(self.now, local);
        for seat in of.seats.into_iter().flatten() {
            self.seat(seat, founded);
        }
        // Those who come back after everything was healed are helped like those who came before.
        if self.judge.end < u64::MAX {
            self.queue.push(self.now, Ev::Help);
        }
        self.say(Some(machine), || "starts".into());
    }

    /// A pool of a machine starts.
    fn seat(&mut self, id: SeatId, founded: bool) {
        let config = self.config(id);
        let seat = &self.seats[place(id)];
        let machine = &self.machines[seat.machine];
        let (life, now) = (machine.life, machine.clock.local(self.now));
        let rng = self.chance(id, life);
        let mut out = Vec::new();
        let gossip = if founded {
            let pool = if seat.wan { self.founding.len() - 1 } else { seat.pool };
            Gossip::founded(config, &rng, &self.founding[pool], now, &mut out)
        } else {
            Gossip::new(config, &rng, &seat.file, now, &mut out)
        };
        let known = founded || (life > 1 && !seat.file.is_empty());
        self.judge.started(id, self.now, &seat.file, founded, &gossip);
        let name = config_name(&gossip);
        let seat = &mut self.seats[place(id)];
        seat.name = name;
        seat.gossip = Some(Box::new(gossip));
        seat.wake_at = u64::MAX;
        self.perform(id, &mut out);
        self.arm(id);
        if founded {
            return;
        }
        if known && !self.plan.options.retry_join && self.is_where_it_was(id) {
            // Its file says whom to meet. Should none of them be there, an operator helps.
            self.queue.push(self.now + HELP_NANOS, Ev::Rejoin { seat: id, life, again: false });
        } else {
            self.join_seeds(id, life, false);
        }
        if life == 1 && self.now < HELP_NANOS / 10 {
            // Those who start together may meet in several groups: they are told once more.
            let at = self.now + HELP_NANOS / 2;
            self.queue.push(at, Ev::Rejoin { seat: id, life, again: true });
        }
    }

    /// Whether its file and others' tables still say where it is.
    fn is_where_it_was(&self, id: SeatId) -> bool {
        self.machines[self.seats[place(id)].machine].moves == 0
    }

    fn config(&self, id: SeatId) -> Config {
        let options = &self.plan.options;
        let seat = &self.seats[place(id)];
        let machine = &self.machines[seat.machine];
        let (mut name_as, mut id_as) = (machine.number, machine.number);
        if let Some((of, name)) = machine.claims {
            if name { name_as = of } else { id_as = of }
        }
        let server = self.machines[usize::from(name_as)].server;
        let name = name_of(name_as, machine.dc, server, seat.wan);
        let advertised = address(machine.number, machine.moves, seat.port());
        let tags = tags(id_as, machine.dc, machine.server, seat.tags);
        let admission = if seat.wan {
            Admission::Servers
        } else {
            Admission::Datacenter {
                datacenter: format!("dc{}", machine.dc).into(),
                segment: "".into(),
                id: NodeId::from_bits(u128::from(id_as) + 1),
            }
        };
        let sealed = options.encrypted && !seat.wan;
        let stored = seat.keys.as_ref().and_then(|ring| std::str::from_utf8(ring).ok());
        let stored = stored.and_then(|text| Keyring::from_json(text).ok());
        let first = || Keyring::new(vec![key(0)]);
        Config {
            pool: if seat.wan { Pool::Wan } else { Pool::Lan },
            name: if *name == *seat.name { Arc::clone(&seat.name) } else { name },
            advertised,
            bind_port: seat.port(),
            tags,
            admission,
            keyring: if sealed { stored.unwrap_or_else(first) } else { Keyring::default() },
            verify_incoming: sealed,
            verify_outgoing: sealed,
            label: "".into(),
            compress: false,
            delegate_version: 4,
            durable: options.durable,
            rejoin_after_leave: true,
            resolve_conflicts: options.resolve_conflicts,
            allowed: Vec::new(),
            event_bytes_max: 9 * 1024,
            timing: timing(seat.wan, options.probe_timeout_ms),
            planted: self.planted,
        }
    }

    /// A host tells its pool whom to join: a few others of it, drawn, and some other datacenter's
    /// first server in the WAN.
    pub(super) fn join_seeds(&mut self, id: SeatId, life: u32, again: bool) {
        let seat = &self.seats[place(id)];
        let Some(gossip) = &seat.gossip else { return };
        let met = gossip.members().filter(|member| member.status == MemberStatus::Alive).count();
        if (met > 1 && !again) || self.machines[seat.machine].life != life {
            return;
        }
        let others: Vec<&Seat> = (self.seats.iter())
            .filter(|other| other.pool == seat.pool && other.machine != seat.machine)
            .filter(|other| self.machines[other.machine].claims.is_none())
            .collect();
        if others.is_empty() {
            return;
        }
        let mut seeds: Vec<SocketAddr> = Vec::new();
        for count in 0..wide(SEEDS) {
            // The first two of a pool are everyone's seeds: so all meet.
            let drawn = draw(self.plan.seed, stream::RETRY, u64::from(id), self.now ^ count);
            let last = wide(others.len() - 1);
            let chosen = if count == 0 { 0 } else { between(drawn, 0, last) };
            let other = others[usize::try_from(chosen).unwrap_or(0)];
            let machine = &self.machines[other.machine];
            let at = address(machine.number, machine.moves, other.port());
            if !seeds.contains(&at) {
                seeds.push(at);
            }
        }
        let join = Input::Join { asked: HOST_JOIN, seeds, replay: false };
        self.deliver(id, join);
    }

    /// A join that the host asked for ended.
    pub(super) fn joined(&mut self, id: SeatId, asked: Asked, met: usize) {
        if asked == HOST_JOIN && met == 0 {
            let life = self.machines[self.seats[place(id)].machine].life;
            let again = Ev::Rejoin { seat: id, life, again: false };
            self.queue.push(self.now + RETRY_NANOS, again);
        }
    }

    /// A machine's process ends, whatever it was doing.
    pub(super) fn stop(&mut self, machine: usize, fate: Fate) {
        self.drop_backlog(machine);
        for id in self.machines[machine].seats.into_iter().flatten() {
            self.unseat(id);
        }
        (self.machines[machine].fate, self.machines[machine].since) = (fate, self.now);
        self.say(Some(machine), || format!("ends: {fate:?}"));
    }

    /// One pool of a process ends.
    pub(super) fn unseat(&mut self, id: SeatId) {
        let life = self.machines[self.seats[place(id)].machine].life;
        self.seats[place(id)].gossip = None;
        self.judge.stopped(id);
        self.seats[place(id)].wake_at = u64::MAX;
        for stream in self.streams.of(id, life) {
            self.close(id, stream, self.now ^ (stream.0 << 50));
        }
    }

    pub(super) fn dial(&mut self, id: SeatId, stream: StreamId, to: SocketAddr, number: u64) {
        let machine = &self.machines[self.seats[place(id)].machine];
        let (from, life) = (machine.place(), machine.life);
        let Some((other, _)) = machine_at(to) else { return };
        let Some(other) = self.machines.get(usize::from(other)) else { return };
        let (target, peer_life) = (other.place(), other.life);
        let ahead = self.network.streamed(from, target, number);
        let back = self.network.latency(target, from, number ^ 1);
        let Some(peer) = self.seat_at(to) else {
            // A machine that is on refuses; one that is off, or an address that is nobody's, says
            // nothing.
            let drawn = draw(self.plan.seed, stream::BREAK, u64::from(id), number);
            if self.network.reaches(from, target, Way::Tcp) && ppm(drawn, 500_000) {
                let event = StreamEvent::Closed;
                let refused = Ev::Stream { seat: id, life, id: stream, event };
                self.queue.push(self.now + ahead + back, refused);
            }
            return;
        };
        if !self.network.linked(from, target, Way::Tcp) {
            return;
        }
        let seat = &mut self.seats[place(peer)];
        let accepted = StreamId(seat.accepted);
        seat.accepted += 2;
        let drawn = draw(self.plan.seed, stream::CODEC, u64::from(id), number ^ 2);
        let as_bytes = ppm(drawn, self.plan.options.codec_ppm.saturating_mul(4));
        let (there, here) = (self.now + ahead, self.now + ahead + back);
        let ends = ((id, life, stream), (peer, peer_life, accepted));
        self.streams.open((ends.0, here), (ends.1, there), as_bytes);
        let port = 40_000 + u16::try_from(stream.0 % 20_000).unwrap_or(0);
        let machine = &self.machines[self.seats[place(id)].machine];
        let from = address(machine.number, machine.moves, port);
        self.tell(ends.1, there, StreamEvent::Accepted(from));
        self.tell(ends.0, here, StreamEvent::Connected);
    }

    /// Something will happen at an end of a stream.
    fn tell(&mut self, (seat, life, id): End, at: u64, event: StreamEvent) {
        self.queue.push(at, Ev::Stream { seat, life, id, event });
    }

    /// The end of this name, and the other one with the machines of both.
    fn ends(&self, id: SeatId, stream: StreamId) -> Option<(End, End, [Place; 2])> {
        let machine = &self.machines[self.seats[place(id)].machine];
        let end = (id, machine.life, stream);
        let other = self.streams.other(end)?;
        let there = &self.machines[self.seats[place(other.0)].machine];
        Some((end, other, [machine.place(), there.place()]))
    }

    pub(super) fn write(&mut self, id: SeatId, stream: StreamId, sealed: Sealed, number: u64) {
        let Some((end, other, [from, to])) = self.ends(id, stream) else { return };
        let along = (&self.network, from, to);
        if let Some((at, event)) = self.streams.write(end, sealed, self.now, along, number) {
            self.codec_checked += u64::from(matches!(event, StreamEvent::Bytes(_)));
            self.tell(other, at, event);
        }
    }

    pub(super) fn close(&mut self, id: SeatId, stream: StreamId, number: u64) {
        let Some((end, other, [from, to])) = self.ends(id, stream) else { return };
        let along = (&self.network, from, to);
        if let Some(at) = self.streams.close(end, self.now, along, number) {
            self.tell(other, at, StreamEvent::Closed);
        }
    }

    pub(super) fn stream(&mut self, id: SeatId, life: u32, stream: StreamId, event: StreamEvent) {
        let seat = &self.seats[place(id)];
        if self.machines[seat.machine].life != life || seat.gossip.is_none() {
            return;
        }
        if matches!(event, StreamEvent::Closed) {
            self.streams.forget((id, life, stream));
        }
        self.deliver(id, Input::Stream(stream, event));
    }
}

fn config_name(gossip: &Gossip) -> Arc<str> {
    Arc::clone(&gossip.local().name)
}
