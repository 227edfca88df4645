//! The failure detector: SWIM with Lifeguard's health and memberlist's full exchanges.
//!
//! [`Swim`] is cut by concern; each file below adds methods to it. Whatever it does happens within
//! one [`Turn`], which carries the time, Serf and the outbox. What it learns of members goes to
//! Serf at once and in order; what Serf wants of it is drained by [`crate::Gossip`].
//!
//! Invariant: news about a member never replace newer ones. The incarnation orders them; among
//! equals, dead beats suspect beats alive.

mod beside;
mod exchange;
mod formula;
mod join;
mod leave;
mod members;
mod news;
mod order;
mod probe;
mod queue;
mod rules;
mod send;
mod streams;
mod suspicion;

pub(crate) use members::{Members, reachable};

use crate::config::Config;
use crate::face::{Effect, Event, StreamId};
use crate::serf::Serf;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use formula::SuspicionSpan;
use join::Join;
use leave::Leaving;
use members::Record;
use news::News;
use order::Order;
use probe::{Probe, Relay};
use proconsul_types::{Duration, Fault, Incarnation, Instant, Liveness, Rng, TimerTable};
use proconsul_wire::crypto::Keyring;
use proconsul_wire::memberlist::Alive;
use queue::Queue;
use send::Nonces;
use streams::Stream;
use suspicion::Suspicions;

/// One step: when it is, who is above, and where what is wanted goes.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: Instant,
    pub(crate) serf: &'a mut Serf,
    pub(crate) out: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    pub(crate) fn tell(&mut self, event: Event) {
        self.out.push(Effect::Event(event));
    }

    pub(crate) fn notice(&mut self, text: String) {
        self.tell(Event::Notice(text));
    }
}

/// What a deadline is for. Those due at once are done in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The probed member did not answer directly.
    ProbeTimeout,
    /// The probed member did not answer at all.
    ProbeEnd,
    /// The next probe.
    Probe,
    /// The next round of gossip.
    Gossip,
    /// The next full exchange.
    PushPull,
    /// Someone did not answer a ping made for another.
    Relay(u32),
    /// A stream takes too long.
    Stream(StreamId),
    /// The own leave was not heard by all in time.
    Leave,
}

/// One pool's failure detector.
#[derive(Clone, Debug)]
pub(crate) struct Swim {
    config: Arc<Config>,
    keyring: Keyring,
    members: Members,
    incarnation: Incarnation,
    health: u32,
    leaving: Leaving,
    silent: bool,
    timers: TimerTable<Timer>,
    /// When suspects should have refuted, by the number of the suspicion.
    refutations: TimerTable<u32>,
    order: Order,
    probe: Option<Probe>,
    tick_missed: bool,
    /// Who is probed besides, when no probe is under way and no tick was missed.
    doubted: VecDeque<Arc<str>>,
    sequence: u32,
    relays: BTreeMap<u32, Relay>,
    /// When rounds of gossip begin: all others are whole intervals later. There is a deadline for
    /// one only while there is something to tell.
    first_round: Instant,
    suspicions: Suspicions,
    /// How long suspicions last in a pool of this size, the last time that was asked.
    span: Option<(usize, SuspicionSpan)>,
    queue: Queue<News>,
    streams: BTreeMap<StreamId, Stream>,
    accepted: usize,
    /// What those that were accepted hold unread.
    held_bytes: usize,
    next_stream: u64,
    joins: BTreeMap<u64, Join>,
    next_join: u64,
    /// What is told when Serf has told what led to it.
    late: Vec<Event>,
    nonces: Nonces,
    order_rng: Rng,
    relay_rng: Rng,
    gossip_rng: Rng,
    exchange_rng: Rng,
    /// Room for draws and for Serf's news, kept so that quiet rounds allocate nothing.
    drawn: Vec<usize>,
    above: Vec<Bytes>,
}

impl Swim {
    /// A pool with these members; this member's own record may be among them. Nothing is said yet.
    pub(crate) fn new(config: Arc<Config>, rng: &Rng, now: Instant, members: Members) -> Self {
        let mut order_rng = rng.split("gossip.order");
        let order = Order::new(&mut order_rng, members.len());
        let incarnation = members.get(&config.name).map_or(Incarnation(0), Record::incarnation);
        let mut timers = TimerTable::default();
        let mut phase = rng.split("gossip.phase");
        let timing = &config.timing;
        let exchange = formula::push_pull_interval(timing, members.len());
        let mut first = |interval| now.after(phase.duration(Duration::ZERO, interval));
        timers.set(Timer::Probe, first(timing.probe_interval));
        let first_round = first(timing.gossip_interval);
        timers.set(Timer::PushPull, first(exchange));
        Self {
            keyring: config.keyring.clone(),
            members,
            incarnation,
            health: 0,
            leaving: Leaving::No,
            silent: false,
            timers,
            refutations: TimerTable::default(),
            order,
            probe: None,
            tick_missed: false,
            doubted: VecDeque::new(),
            sequence: 0,
            relays: BTreeMap::new(),
            first_round,
            suspicions: Suspicions::default(),
            span: None,
            queue: Queue::default(),
            streams: BTreeMap::new(),
            accepted: 0,
            held_bytes: 0,
            next_stream: 0,
            joins: BTreeMap::new(),
            next_join: 0,
            late: Vec::new(),
            nonces: Nonces::new(rng.split("gossip.nonce")),
            order_rng,
            relay_rng: rng.split("gossip.relay"),
            gossip_rng: rng.split("gossip.spread"),
            exchange_rng: rng.split("gossip.exchange"),
            drawn: Vec::new(),
            above: Vec::new(),
            config,
        }
    }

    /// Speaks for this member: at its start, and when its meta changes.
    pub(crate) fn announce(&mut self, turn: &mut Turn<'_>, meta: Bytes) {
        self.incarnation = Incarnation(self.incarnation.0.saturating_add(1));
        let alive = Arc::new(self.own_alive(meta));
        self.alive(turn, &alive, true);
    }

    /// This member as it describes itself with this meta.
    fn own_alive(&self, meta: Bytes) -> Alive {
        let dialect = self.config.delegate_version;
        Alive {
            incarnation: self.incarnation,
            node: Arc::clone(&self.config.name),
            address: Some(self.config.advertised.ip()),
            port: self.config.advertised.port(),
            meta: Some(meta),
            versions: alloc::vec![1, 5, 2, 2, 5, dialect],
        }
    }

    /// The own record. There is one from the first announcement on.
    pub(crate) fn own(&self) -> Option<&Record> {
        self.members.get(&self.config.name)
    }

    pub(crate) fn is_own(&self, name: &str) -> bool {
        // names are mostly shared, and then need not be read
        core::ptr::eq(&*self.config.name, name) || *self.config.name == *name
    }

    /// Everyone known: who, whether it answers, and how often it spoke for itself.
    pub(crate) fn detected(&self) -> impl Iterator<Item = (&Arc<str>, Liveness, Incarnation)> {
        self.members.iter().map(|record| (record.name(), record.liveness, record.incarnation()))
    }

    pub(crate) fn detected_of(&self, name: &str) -> Option<(Liveness, Incarnation)> {
        self.members.get(name).map(|record| (record.liveness, record.incarnation()))
    }

    pub(crate) fn health(&self) -> u32 {
        self.health
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn set_keys(&mut self, keyring: Keyring) {
        self.keyring = keyring;
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        [self.timers.next_at(), self.refutations.next_at()].into_iter().flatten().min()
    }

    /// Tells what comes after everything that Serf had to tell.
    pub(crate) fn tell_late(&mut self, turn: &mut Turn<'_>) {
        turn.out.extend(self.late.drain(..).map(Effect::Event));
    }

    /// Falls silent for good: nothing is due any more.
    pub(crate) fn stop(&mut self, turn: &mut Turn<'_>) {
        self.silent = true;
        self.timers.clear_all();
        self.refutations.clear_all();
        self.probe = None;
        self.doubted.clear();
        self.relays.clear();
        self.suspicions.clear();
        self.joins.clear();
        let open = core::mem::take(&mut self.streams);
        self.accepted = 0;
        self.held_bytes = 0;
        turn.out.extend(open.into_keys().map(Effect::Close));
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, turn: &mut Turn<'_>) {
        loop {
            let (timer, refutation) = (self.timers.next_at(), self.refutations.next_at());
            if refutation.is_some_and(|at| timer.is_none_or(|timer| at < timer)) {
                let Some(number) = self.refutations.pop_due(turn.now) else {
                    return;
                };
                self.suspicion_expired(turn, number);
                continue;
            }
            let Some(timer) = self.timers.pop_due(turn.now) else {
                return;
            };
            match timer {
                Timer::Probe => self.probe_tick(turn),
                Timer::ProbeTimeout => self.probe_indirectly(turn),
                Timer::ProbeEnd => self.probe_ended(turn),
                Timer::Gossip => self.gossip_round(turn),
                Timer::PushPull => self.exchange_round(turn),
                Timer::Relay(sequence) => self.relay_expired(turn, sequence),
                Timer::Stream(stream) => self.stream_expired(turn, stream),
                Timer::Leave => self.leave_told(turn),
            }
        }
    }

    /// Raises or lowers the health score; 0 is the best.
    fn strain(&mut self, change: i32) {
        let worst = self.config.timing.awareness_max.saturating_sub(1);
        self.health = self.health.saturating_add_signed(change).min(worst);
    }

    /// Panics with the broken rule's name.
    pub(crate) fn check_invariants(&self) {
        self.members.check_invariants();
        let replaced = !self.config.planted.is(Fault::BroadcastNotInvalidated);
        self.queue.check_invariants(replaced);
        assert!(
            self.health < self.config.timing.awareness_max.max(1),
            "the health is in its range"
        );
        for (number, suspicion) in self.suspicions.iter() {
            let record = self.members.get(suspicion.node());
            let suspect = record.filter(|record| record.liveness == Liveness::Suspect);
            let same = suspect.is_some_and(|record| record.suspicion == number);
            assert!(same, "a suspicion is about a suspect");
            let confirmed = suspect.is_some_and(|record| record.confirmed);
            assert!(confirmed == suspicion.is_confirmed(), "a suspect shows what it waits for");
            let timer = self.refutations.get(&number);
            assert!(timer.is_some(), "a suspicion has a deadline");
            assert!(suspicion.is_within_bounds(), "nobody confirms more than is expected");
        }
        for record in self.members.iter() {
            let suspected = record.liveness == Liveness::Suspect;
            let known = self.suspicions.get(record.suspicion).is_some();
            assert!(!suspected || known || self.silent, "a suspect has a suspicion");
            assert!(suspected || !record.confirmed, "only a suspicion is confirmed");
            assert!(!suspected || !self.is_own(record.name()), "nobody suspects itself");
        }
        if let Some(own) = self.own() {
            assert!(own.incarnation() <= self.incarnation, "others never lead the own incarnation");
        }
        let accepted = self.streams.keys().filter(|stream| stream.0 % 2 == 1).count();
        assert!(accepted == self.accepted, "accepted streams are counted");
        let held: usize = self.streams.values().map(Stream::held_bytes).sum();
        assert!(held == self.held_bytes, "what accepted streams hold is counted");
        for stream in self.streams.keys() {
            let timer = self.timers.get(&Timer::Stream(*stream));
            assert!(timer.is_some(), "a stream has a deadline");
        }
        for relay in self.relays.keys() {
            assert!(self.timers.get(&Timer::Relay(*relay)).is_some(), "a relay has a deadline");
        }
    }
}
