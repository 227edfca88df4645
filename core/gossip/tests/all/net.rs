//! A network for a handful of pools: virtual time, typed values or their bytes, delay, loss, cuts.

use bytes::Bytes;
use proconsul_gossip::{
    Admission, Asked, Config, Effect, Event, Founding, Gossip, Input, StreamEvent, StreamId, Timing,
};
use proconsul_types::{
    Duration, Incarnation, Instant, Liveness, MemberStatus, Planted, Pool, Rng, Seed, TextMap,
};
use proconsul_wire::crypto::Keyring;
use proconsul_wire::memberlist::Alive;
use proconsul_wire::packet::Datagram;
use proconsul_wire::stream::Sealed;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Whether a datagram from one host to another passes.
pub(crate) type PacketRule = Box<dyn FnMut(usize, usize, &Datagram) -> bool>;
/// Whether streams from one host to another pass.
pub(crate) type StreamRule = Box<dyn FnMut(usize, usize) -> bool>;

/// One agent's place: its process may be down.
struct Host {
    config: Config,
    pool: Option<Gossip>,
    /// Grows with each start, so that what was sent to an earlier process is dropped.
    life: u64,
    remembered: Vec<u8>,
    accepted: u64,
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    host: usize,
    life: u64,
    stream: StreamId,
}

/// What will happen.
enum Due {
    Packet { from: SocketAddr, to: usize, datagram: Datagram },
    Dialled { from: End, to: usize },
    Stream { to: End, event: StreamEvent },
}

/// Several pools, and everything between them.
pub(crate) struct Net {
    pub(crate) now: Instant,
    hosts: Vec<Host>,
    due: BTreeMap<(Instant, u64), Due>,
    next_due: u64,
    peers: BTreeMap<End, End>,
    /// When the last thing sent on this end arrives.
    flushed: BTreeMap<End, Instant>,
    rng: Rng,
    /// One way, least and most.
    pub(crate) delay: (Duration, Duration),
    /// Datagrams lost, of a thousand.
    pub(crate) loss: u64,
    /// Whether bytes travel instead of values.
    pub(crate) as_bytes: bool,
    pub(crate) packets_pass: PacketRule,
    pub(crate) streams_pass: StreamRule,
    /// Everything that pools told, in order.
    pub(crate) told: Vec<(Instant, usize, Event)>,
    /// Everything that was sent by datagram, in order.
    pub(crate) sent: Vec<(Instant, usize, SocketAddr, Datagram)>,
    /// A hash over every effect.
    digest: DefaultHasher,
}

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::START,
            hosts: Vec::new(),
            due: BTreeMap::new(),
            next_due: 0,
            peers: BTreeMap::new(),
            flushed: BTreeMap::new(),
            rng: Rng::new(Seed(seed)).split("net"),
            delay: (Duration::from_micros(200), Duration::from_millis(2)),
            loss: 0,
            as_bytes: false,
            packets_pass: Box::new(|_, _, _| true),
            streams_pass: Box::new(|_, _| true),
            told: Vec::new(),
            sent: Vec::new(),
            digest: DefaultHasher::new(),
        }
    }

    /// `count` members of one pool that have all met.
    pub(crate) fn pool(seed: u64, count: usize, adjust: impl Fn(&mut Config)) -> Self {
        let mut net = Self::new(seed);
        for _ in 0..count {
            net.start(&adjust);
        }
        for host in 1..count {
            net.join(host, &[0]);
        }
        let met = net.until(Duration::from_secs(60), Self::all_see_all);
        assert!(met.is_some(), "a pool forms within a minute");
        net
    }

    pub(crate) fn address(host: usize) -> SocketAddr {
        let low = u32::try_from(host + 1).unwrap();
        SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + low), 8301))
    }

    pub(crate) fn name(host: usize) -> String {
        format!("n{host}")
    }

    /// What a host is before anyone adjusts it.
    pub(crate) fn config(host: usize) -> Config {
        Config {
            pool: Pool::Lan,
            name: Self::name(host).into(),
            advertised: Self::address(host),
            bind_port: 8301,
            tags: TextMap::default(),
            admission: Admission::Anyone,
            keyring: Keyring::default(),
            verify_incoming: true,
            verify_outgoing: true,
            label: "".into(),
            compress: true,
            delegate_version: 4,
            durable: true,
            rejoin_after_leave: false,
            resolve_conflicts: false,
            allowed: Vec::new(),
            event_bytes_max: 512,
            timing: Timing::lan(),
            planted: Planted::none(),
        }
    }

    /// A new host whose pool starts at once; gives its number.
    pub(crate) fn start(&mut self, adjust: impl Fn(&mut Config)) -> usize {
        let host = self.hosts.len();
        let mut config = Self::config(host);
        adjust(&mut config);
        let remembered = Vec::new();
        self.hosts.push(Host { config, pool: None, life: 0, remembered, accepted: 0 });
        self.restart(host);
        host
    }

    /// `count` members of one pool that begin with knowing each other.
    pub(crate) fn founded(seed: u64, count: usize, adjust: impl Fn(&mut Config)) -> Self {
        let mut net = Self::new(seed);
        let everyone = (0..count).map(|host| {
            let meta = Some(proconsul_wire::serf::encode_tags(&TextMap::default()));
            Arc::new(Alive { meta, ..Alive::clone(&crate::solo::alive(host, 1)) })
        });
        let founding = Founding::new(everyone, net.now);
        for host in 0..count {
            let mut config = Self::config(host);
            adjust(&mut config);
            let rng = Rng::new(Seed(net.rng.next_u64()));
            let mut out = Vec::new();
            let pool = Gossip::founded(config.clone(), &rng, &founding, net.now, &mut out);
            assert!(out.is_empty(), "a founded pool has nothing to say");
            let remembered = Vec::new();
            let pool = Some(pool);
            net.hosts.push(Host { config, pool, life: 1, remembered, accepted: 0 });
        }
        net
    }

    /// Starts the process of a host that is down. It has its rejoin file, if it is durable.
    pub(crate) fn restart(&mut self, host: usize) {
        let place = &mut self.hosts[host];
        assert!(place.pool.is_none(), "only a host that is down starts");
        place.life += 1;
        let seed = self.rng.next_u64();
        let rng = Rng::new(Seed(seed));
        let remembered = if place.config.durable { place.remembered.clone() } else { Vec::new() };
        let mut out = Vec::new();
        let pool = Gossip::new(place.config.clone(), &rng, &remembered, self.now, &mut out);
        place.pool = Some(pool);
        self.perform(host, out);
    }

    /// Changes what a host that is down will start with.
    pub(crate) fn reconfigure(&mut self, host: usize, change: impl FnOnce(&mut Config)) {
        assert!(self.hosts[host].pool.is_none(), "only a host that is down is changed");
        change(&mut self.hosts[host].config);
    }

    /// Ends the process of a host without a word.
    pub(crate) fn kill(&mut self, host: usize) {
        let life = self.hosts[host].life;
        self.hosts[host].pool = None;
        let gone = |end: &End| end.host == host && end.life == life;
        let broken: Vec<(End, End)> =
            self.peers.iter().filter(|(end, _)| gone(end)).map(|(a, b)| (*a, *b)).collect();
        for (own, other) in broken {
            self.peers.remove(&own);
            self.peers.remove(&other);
            self.later(self.now, Due::Stream { to: other, event: StreamEvent::Closed });
        }
    }

    pub(crate) fn get(&self, host: usize) -> &Gossip {
        self.hosts[host].pool.as_ref().expect("the host is up")
    }

    pub(crate) fn is_up(&self, host: usize) -> bool {
        self.hosts[host].pool.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }

    pub(crate) fn input(&mut self, host: usize, input: Input) {
        let Some(pool) = &mut self.hosts[host].pool else {
            return;
        };
        let mut out = Vec::new();
        pool.step(self.now, input, &mut out);
        pool.check_invariants();
        self.perform(host, out);
    }

    pub(crate) fn join(&mut self, host: usize, seeds: &[usize]) {
        let seeds = seeds.iter().map(|seed| Self::address(*seed)).collect();
        self.input(host, Input::Join { asked: Asked(0), seeds, replay: false });
    }

    fn host_at(&self, address: SocketAddr) -> Option<usize> {
        self.hosts.iter().position(|host| host.pool.is_some() && host.config.advertised == address)
    }

    fn later(&mut self, at: Instant, due: Due) {
        self.due.insert((at, self.next_due), due);
        self.next_due += 1;
    }

    fn arrival(&mut self) -> Instant {
        let (low, high) = self.delay;
        self.now.after(self.rng.duration(low, high))
    }

    fn perform(&mut self, host: usize, out: Vec<Effect>) {
        for effect in out {
            self.digest.write(format!("{} {host} {effect:?}", self.now.0).as_bytes());
            match effect {
                Effect::Send(to, datagram) => self.send(host, to, datagram),
                Effect::Dial(stream, to) => self.dial(host, stream, to),
                Effect::Write(stream, message) => self.write(host, stream, *message),
                Effect::Close(stream) => self.close(host, stream),
                Effect::Remember(bytes) => self.hosts[host].remembered.extend_from_slice(&bytes),
                Effect::Compact(bytes) => self.hosts[host].remembered = bytes.to_vec(),
                Effect::SaveKeys(_) => {}
                Effect::Event(event) => self.told.push((self.now, host, event)),
            }
        }
    }

    fn send(&mut self, host: usize, to: SocketAddr, datagram: Datagram) {
        self.sent.push((self.now, host, to, datagram.clone()));
        let Some(target) = self.hosts.iter().position(|other| other.config.advertised == to) else {
            return;
        };
        let lost = self.rng.chance(self.loss, 1000);
        let at = self.arrival();
        if !lost && (self.packets_pass)(host, target, &datagram) {
            let from = self.hosts[host].config.advertised;
            self.later(at, Due::Packet { from, to: target, datagram });
        }
    }

    fn dial(&mut self, host: usize, stream: StreamId, to: SocketAddr) {
        let from = End { host, life: self.hosts[host].life, stream };
        let at = self.arrival();
        match self.host_at(to) {
            Some(target) if (self.streams_pass)(host, target) => {
                self.later(at, Due::Dialled { from, to: target });
            }
            // nobody answers across a cut; nobody listens where nobody is
            Some(_) => {}
            None => self.later(at, Due::Stream { to: from, event: StreamEvent::Closed }),
        }
    }

    fn end(&self, host: usize, stream: StreamId) -> End {
        End { host, life: self.hosts[host].life, stream }
    }

    /// When what is sent now from this end arrives: never before what was sent earlier.
    fn in_order(&mut self, from: End) -> Instant {
        let at = self.arrival().max(self.flushed.get(&from).copied().unwrap_or_default());
        self.flushed.insert(from, at);
        at
    }

    fn write(&mut self, host: usize, stream: StreamId, message: Sealed) {
        let from = self.end(host, stream);
        let Some(to) = self.peers.get(&from).copied() else {
            return;
        };
        let at = self.in_order(from);
        if !(self.streams_pass)(host, to.host) {
            return;
        }
        if self.as_bytes {
            let bytes = message.to_bytes();
            let middle = self.rng.index(bytes.len());
            for part in [bytes.slice(..middle), bytes.slice(middle..)] {
                self.later(at, Due::Stream { to, event: StreamEvent::Bytes(part) });
            }
        } else {
            self.later(at, Due::Stream { to, event: StreamEvent::Message(Box::new(message)) });
        }
    }

    fn close(&mut self, host: usize, stream: StreamId) {
        let from = self.end(host, stream);
        if let Some(to) = self.peers.remove(&from) {
            let at = self.in_order(from);
            self.later(at, Due::Stream { to, event: StreamEvent::Closed });
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Packet { from, to, datagram } => {
                let input = if self.as_bytes {
                    Input::Packet(from, datagram.to_bytes())
                } else {
                    Input::Datagram(from, datagram)
                };
                self.input(to, input);
            }
            Due::Dialled { from, to } => {
                if !self.is_up(to) {
                    self.later(self.now, Due::Stream { to: from, event: StreamEvent::Closed });
                    return;
                }
                let place = &mut self.hosts[to];
                let stream = StreamId(2 * place.accepted + 1);
                place.accepted += 1;
                let accepted = End { host: to, life: place.life, stream };
                self.peers.insert(from, accepted);
                self.peers.insert(accepted, from);
                // real agents dial from any port and address
                let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
                self.input(to, Input::Stream(stream, StreamEvent::Accepted(source)));
                let at = self.arrival();
                self.later(at, Due::Stream { to: from, event: StreamEvent::Connected });
            }
            Due::Stream { to, event } => {
                if self.hosts[to.host].life == to.life {
                    self.input(to.host, Input::Stream(to.stream, event));
                }
            }
        }
    }

    /// When the next thing happens.
    fn next(&self) -> Option<Instant> {
        let wake = self.hosts.iter().filter_map(|host| host.pool.as_ref()?.next_wakeup()).min();
        let due = self.due.keys().next().map(|(at, _)| *at);
        [wake, due].into_iter().flatten().min()
    }

    /// Lets everything happen that happens next, at one moment. False: nothing will.
    fn advance(&mut self, limit: Instant) -> bool {
        let Some(at) = self.next().filter(|at| *at <= limit) else {
            return false;
        };
        self.now = self.now.max(at);
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let due = entry.remove();
            self.happen(due);
        }
        for host in 0..self.hosts.len() {
            let woken = self.hosts[host].pool.as_ref().and_then(Gossip::next_wakeup);
            if woken.is_some_and(|at| at <= self.now) {
                self.input(host, Input::Wake);
            }
        }
        true
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.advance(end) {}
        self.now = end;
    }

    /// Runs until `happened`, at most for `time`; gives how long it took.
    pub(crate) fn until(
        &mut self,
        time: Duration,
        mut happened: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        let end = start.after(time);
        loop {
            if happened(self) {
                return Some(self.now.since(start));
            }
            if !self.advance(end) {
                self.now = end;
                return None;
            }
        }
    }

    /// What `host`'s failure detector holds of `about`.
    pub(crate) fn held(&self, host: usize, about: usize) -> Option<(Liveness, Incarnation)> {
        self.get(host).detected_of(&Self::name(about))
    }

    pub(crate) fn liveness(&self, host: usize, about: usize) -> Option<Liveness> {
        self.held(host, about).map(|(liveness, _)| liveness)
    }

    /// What users of `host` see of `about`.
    pub(crate) fn status(&self, host: usize, about: usize) -> Option<MemberStatus> {
        self.get(host).member(&Self::name(about)).map(|member| member.status)
    }

    /// Whether everyone who is up holds all who are up for alive.
    pub(crate) fn all_see_all(&self) -> bool {
        let up: Vec<usize> = (0..self.len()).filter(|host| self.is_up(*host)).collect();
        let sees = |a: &usize| up.iter().all(|b| self.liveness(*a, *b) == Some(Liveness::Alive));
        up.iter().all(sees)
    }

    /// Whether everyone who is up, but `about` itself, holds this of `about`.
    pub(crate) fn all_hold(&self, about: usize, liveness: Liveness) -> bool {
        (0..self.len())
            .filter(|host| *host != about && self.is_up(*host))
            .all(|host| self.liveness(host, about) == Some(liveness))
    }

    /// How often someone told something since `since`.
    pub(crate) fn count(&self, since: Instant, what: impl Fn(usize, &Event) -> bool) -> usize {
        let later = self.told.iter().filter(|(at, _, _)| *at >= since);
        later.filter(|(_, host, event)| what(*host, event)).count()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }
}

/// Bytes from text, for payloads.
pub(crate) fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
