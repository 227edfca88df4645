//! Judges beside each pool: they see what comes in, what goes out and what is told to the host, and
//! say what must never happen. [`super::views`] compares views with the truth.

use super::bounds::{suspicion_after, suspicion_min};
use super::plan::{Options, Turn, Who};
use super::rounds::Rounds;
use super::seats::{Seat, SeatId, machine_named, timing};
use super::world::{Machine, place, wide};
use crate::judge::Violation;
use crate::links::{Fate, codec_differs};
use crate::plans::Setting;
use bytes::Bytes;
use proconsul_core::gossip::{
    Asked, Clocks, Event, Gossip, Input, KeyReport, Member, StreamEvent, Timing,
};
use proconsul_core::types::{Incarnation, LamportTime, Liveness, MemberStatus};
use proconsul_core::wire::crypto::{Key, Keyring};
use proconsul_core::wire::memberlist::{Message, StreamMessage};
use proconsul_core::wire::packet::{self, Datagram};
use proconsul_core::wire::serf;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Worlds of more machines than this are not judged message by message.
const CLOSELY_MAX: u16 = 400;
/// Two clocks of one machine and rounding may differ by this.
const SLACK: u64 = 20_000_000;

/// A suspicion that a pool told of.
#[derive(Clone, Debug)]
struct Suspected {
    since: u64,
    /// Others that were heard to say the same.
    accusers: BTreeSet<Arc<str>>,
    /// How large the pool was at least.
    members: u64,
}

/// What a pool holds of someone gone.
#[derive(Clone, Debug)]
struct Gone {
    status: MemberStatus,
    since: u64,
    address: SocketAddr,
    /// Whether it may come back elsewhere at once: it said itself that it goes, or may have.
    free: bool,
}

/// What is known of one pool in its present life.
#[derive(Clone, Debug, Default)]
struct Beside {
    life: u32,
    suspected: BTreeMap<Arc<str>, Suspected>,
    gone: BTreeMap<Arc<str>, Gone>,
    /// Whom it was told to forget at once.
    pruned: BTreeSet<Arc<str>>,
    /// Whom it forgot for that, until they come back.
    forgot: BTreeSet<Arc<str>>,
    rounds: Rounds,
    /// Whom it has met in this life.
    met: BTreeSet<Arc<str>>,
    founded: bool,
    /// The newest incarnation of each living member that it told others of.
    told: BTreeMap<Arc<str>, Incarnation>,
    clocks: Clocks,
    newest_event: LamportTime,
    /// Events up to this were seen in a former life.
    seen_before: LamportTime,
    answers: BTreeSet<(Asked, Arc<str>, bool)>,
    ring: Option<Keyring>,
}

/// A word that someone is dead.
#[derive(Clone, Debug)]
struct Death {
    node: Arc<str>,
    incarnation: Incarnation,
    /// Whether it is its own: it leaves.
    own: bool,
}

/// What one step is about.
#[derive(Debug, Default)]
struct Step {
    /// Whether the pool was only woken.
    woken: bool,
    /// Whether what came cannot be read here.
    opaque: bool,
    dead: Vec<Death>,
    accused: Vec<(Arc<str>, Arc<str>)>,
    /// How large the pool was for itself before, if it learns of many at once.
    size: Option<u64>,
    /// Whom the pool began to suspect.
    suspected: Vec<Arc<str>>,
    health: u32,
    /// Whether health may not get worse in this step.
    steady: bool,
}

/// A change of keys.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) pool: usize,
    pub(super) turn: Turn,
    pub(super) key: Key,
    pub(super) asked_at: u64,
    /// How many answered, if all who were asked did and none failed.
    pub(super) done: Option<u32>,
}

/// A user event: its pool, time and payload.
type Fired = (usize, LamportTime, Bytes);

/// When an event was fired, and who was told of it.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub(super) at: u64,
    pub(super) told: BTreeSet<(SeatId, u32)>,
    /// Since when three of four know it.
    pub(super) wide: Option<u64>,
}

/// All judges of a world.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) violation: Option<Violation>,
    /// When the world ends.
    pub(super) end: u64,
    /// Whether clocks ran at other rates.
    pub(super) drifts: bool,
    pub(super) closely: bool,
    quick_nacks: bool,
    unharmed: Option<Who>,
    lan: Timing,
    wan: Timing,
    beside: Vec<Beside>,
    step: Step,
    firing: Option<(SeatId, LamportTime)>,
    /// Events that were fired.
    pub(super) fired: BTreeMap<Fired, Spread>,
    pub(super) changes: BTreeMap<Asked, Change>,
    /// Changes that were just reported.
    pub(super) reported: Vec<Asked>,
    /// Events told to hosts.
    pub(super) told: u64,
}

impl Judge {
    pub(super) fn new(options: &Options) -> Self {
        let room = 2 * options.probe_timeout_ms + (80 * options.latency_max).div_ceil(1_000);
        Self {
            violation: None,
            end: u64::MAX,
            drifts: false,
            closely: options.machines() <= CLOSELY_MAX,
            quick_nacks: room < 1_000 && options.loss_ppm == 0,
            unharmed: options.unharmed,
            lan: timing(false, options.probe_timeout_ms),
            wan: timing(true, options.probe_timeout_ms),
            beside: Vec::new(),
            step: Step::default(),
            firing: None,
            fired: BTreeMap::new(),
            changes: BTreeMap::new(),
            reported: Vec::new(),
            told: 0,
        }
    }

    /// A rule is broken; the first one counts.
    pub(super) fn broken(&mut self, rule: &str, at: u64, text: impl FnOnce() -> String) {
        Violation::note(&mut self.violation, rule, at, text);
    }

    /// A pool starts with this file.
    pub(super) fn started(
        &mut self,
        id: SeatId,
        now: u64,
        file: &[u8],
        founded: bool,
        gossip: &Gossip,
    ) {
        if self.beside.len() <= place(id) {
            self.beside.resize(place(id) + 1, Beside::default());
        }
        let life = self.beside[place(id)].life + 1;
        let names = || gossip.members().map(|member| Arc::clone(&member.name));
        let met = if self.closely && founded { names().collect() } else { BTreeSet::new() };
        // Only what is judged message by message is counted: everyone in everyone's rounds is a
        // square, and the largest part of a large world.
        let rounds = if self.closely {
            Rounds::begin(&gossip.local().name, names())
        } else {
            Rounds::default()
        };
        let last = clocks_of(file);
        self.beside[place(id)] = Beside {
            life,
            seen_before: last.event,
            newest_event: last.event,
            ring: Some(gossip.keyring().clone()),
            founded,
            met,
            rounds,
            ..Beside::default()
        };
        self.step = Step::default();
        if founded || last == Clocks::default() {
            return;
        }
        let clocks = gossip.status().clocks;
        self.never_back(id, now, last, clocks);
    }

    /// A pool's process ended.
    pub(super) fn stopped(&mut self, id: SeatId) {
        if let Some(beside) = self.beside.get_mut(place(id)) {
            *beside = Beside { life: beside.life, ..Beside::default() };
        }
    }

    fn never_back(&mut self, id: SeatId, now: u64, last: Clocks, clocks: Clocks) {
        let back =
            clocks.member < last.member || clocks.event < last.event || clocks.query < last.query;
        if back {
            self.broken("clocks never go back", now, || {
                format!("pool {id} shows {clocks:?} after {last:?}")
            });
        }
    }

    /// What the pool's status says now.
    pub(super) fn clocks(&mut self, id: SeatId, now: u64, clocks: Clocks) {
        let last = std::mem::replace(&mut self.beside[place(id)].clocks, clocks);
        self.never_back(id, now, last, clocks);
    }

    /// A pool is about to take this input.
    pub(super) fn before(&mut self, id: SeatId, gossip: &Gossip, input: &Input) {
        if !self.closely {
            return;
        }
        self.step = Step { health: gossip.health_score(), ..Step::default() };
        self.beside[place(id)].rounds.stepped();
        if may_accuse_and_join(input) {
            self.step.size = Some(alive_count(gossip));
        }
        match input {
            Input::Wake => self.step.woken = true,
            Input::Datagram(_, datagram) => self.reads(id, &datagram.messages),
            Input::Packet(_, bytes) => match packet::open(bytes, gossip.keyring(), "", false) {
                Ok(opened) => self.reads(id, &opened.messages),
                Err(_) => self.step.opaque = true,
            },
            Input::Stream(_, StreamEvent::Bytes(_)) => self.step.opaque = true,
            Input::Stream(_, StreamEvent::Message(sealed)) => {
                if let StreamMessage::PushPull(theirs) = &sealed.message {
                    let left = theirs.nodes.iter().filter(|node| node.liveness == Liveness::Left);
                    let words = left.map(|node| Death {
                        node: Arc::clone(&node.alive.node),
                        incarnation: node.alive.incarnation,
                        own: true,
                    });
                    self.step.dead.extend(words);
                }
            }
            Input::ForceLeave { node, prune: true } => {
                self.beside[place(id)].pruned.insert(Arc::clone(node));
            }
            Input::Stream(..)
            | Input::Join { .. }
            | Input::Leave
            | Input::ForceLeave { .. }
            | Input::Doubt(_)
            | Input::Tags(_)
            | Input::Fire { .. }
            | Input::Query(..)
            | Input::Respond(..)
            | Input::Keys(..)
            | Input::Unwritten => {}
        }
    }

    fn reads(&mut self, id: SeatId, messages: &[Message]) {
        let beside = &mut self.beside[place(id)];
        for message in messages {
            match message {
                Message::Dead(said) => {
                    self.step.dead.push(Death {
                        node: Arc::clone(&said.node),
                        incarnation: said.incarnation,
                        own: said.from == said.node,
                    });
                }
                Message::Suspect(said) => {
                    if let Some(suspected) = beside.suspected.get_mut(&said.node) {
                        suspected.accusers.insert(Arc::clone(&said.from));
                    }
                    self.step.accused.push((Arc::clone(&said.node), Arc::clone(&said.from)));
                }
                Message::IndirectPing(please) => beside.rounds.asked(&please.node),
                Message::User(bytes) => {
                    if let Some(node) = pruned_by(bytes) {
                        beside.pruned.insert(node);
                    }
                }
                Message::Alive(_) | Message::Ping(_) | Message::Ack(_) | Message::Nack { .. } => {}
            }
        }
    }

    /// It has taken it, and shows this health.
    pub(super) fn after(&mut self, id: SeatId, gossip: &Gossip, now: u64) {
        let health = gossip.health_score();
        if !self.step.suspected.is_empty() {
            let members = alive_count(gossip).min(self.step.size.unwrap_or(u64::MAX));
            for name in std::mem::take(&mut self.step.suspected) {
                if let Some(suspected) = self.beside[place(id)].suspected.get_mut(&name) {
                    suspected.members = members;
                }
            }
        }
        if self.step.steady && health > self.step.health {
            let before = self.step.health;
            self.broken("helpers' nacks count", now, || {
                format!("pool {id} went from {before} to {health} although all helpers answered")
            });
        }
        self.step.steady = false;
    }

    /// A pool sends this.
    pub(super) fn sent(&mut self, id: SeatId, datagram: &Datagram, now: u64) {
        if !self.closely {
            return;
        }
        let (mut worse, mut over) = (None, None);
        let Beside { told, rounds, .. } = &mut self.beside[place(id)];
        for message in &datagram.messages {
            let (node, incarnation, alive) = match message {
                Message::Alive(alive) => (&alive.node, alive.incarnation, true),
                Message::Suspect(said) | Message::Dead(said) => {
                    (&said.node, said.incarnation, false)
                }
                Message::Ping(ping) => {
                    let passed_over = rounds.pinged(&ping.node);
                    over = over.or(passed_over);
                    continue;
                }
                Message::IndirectPing(_)
                | Message::Ack(_)
                | Message::Nack { .. }
                | Message::User(_) => continue,
            };
            let before = told.get(node).copied();
            if before.is_some_and(|before| incarnation < before) {
                worse = Some((Arc::clone(node), before, incarnation));
            } else if alive {
                told.insert(Arc::clone(node), incarnation);
            }
        }
        if let Some((node, fewer)) = over {
            self.broken("a round probes everyone", now, || {
                format!("pool {id} has probed {node} {fewer} times less than another")
            });
        }
        if let Some((node, before, incarnation)) = worse {
            self.broken("news never go back", now, || {
                format!("pool {id} tells {incarnation:?} of {node} after {before:?}")
            });
        }
    }

    /// A datagram travels as bytes.
    pub(super) fn codec(&mut self, datagram: &Datagram, bytes: &Bytes, now: u64) {
        if let Some(difference) = codec_differs(datagram, bytes) {
            self.broken("bytes say the same", now, || difference);
        }
    }

    /// A pool stored its keys.
    pub(super) fn saved(&mut self, id: SeatId, ring: &Keyring, now: u64) {
        let Some(beside) = self.beside.get_mut(place(id)) else { return };
        let before = beside.ring.replace(ring.clone());
        let known = before.as_ref().is_none_or(|before| {
            ring.primary().is_none_or(|primary| before.keys().contains(primary))
        });
        if !known {
            self.broken("keys are installed before they are used", now, || {
                format!("pool {id} sends with a key that it was not given before")
            });
        }
    }

    /// A pool is about to fire an event.
    pub(super) fn fires(&mut self, id: SeatId) {
        self.firing = Some((id, self.beside[place(id)].newest_event));
    }

    /// It has done so, and told its own host first.
    pub(super) fn fired(&mut self, id: SeatId, now: u64) {
        if self.firing.take().is_some() {
            self.broken("events are told", now, || {
                format!("pool {id} fired an event and did not tell its own host")
            });
        }
    }

    /// A change of keys is asked for.
    pub(super) fn turned(&mut self, asked: Asked, change: Change) {
        self.changes.insert(asked, change);
    }

    /// A pool tells its host something.
    pub(super) fn event(
        &mut self,
        id: SeatId,
        event: &Event,
        now: u64,
        machines: &[Machine],
        seats: &[Seat],
        calm_since: Option<u64>,
    ) {
        let seat = &seats[place(id)];
        match event {
            Event::Suspected(name) => self.suspects(id, name, now, machines, seats, calm_since),
            Event::Joined(member) => self.joins(id, member, now),
            Event::Failed(member) => self.fails(id, member, now, machines, seat),
            Event::Left(member) => {
                let (status, address) = (MemberStatus::Left, member.address);
                let gone = Gone { status, since: now, address, free: true };
                let beside = &mut self.beside[place(id)];
                beside.gone.insert(Arc::clone(&member.name), gone);
                beside.rounds.gone(&member.name);
            }
            Event::Reaped(member) => self.forgets(id, member, now, machines, seat),
            Event::User { time, payload, .. } => {
                self.told += 1;
                self.hears(id, seat.pool, *time, payload, now);
            }
            Event::Acked(asked, name) => self.counts(id, *asked, name, true, now),
            Event::Response(asked, name, _) => self.counts(id, *asked, name, false, now),
            Event::Keys(asked, report) => self.reports(*asked, report),
            Event::Updated(_)
            | Event::JoinDone(..)
            | Event::Query { .. }
            | Event::QueryDone(_)
            | Event::LeftPool
            | Event::LostName
            | Event::Notice(_)
            | Event::Refuted => {}
        }
    }

    fn suspects(
        &mut self,
        id: SeatId,
        name: &Arc<str>,
        now: u64,
        machines: &[Machine],
        seats: &[Seat],
        calm_since: Option<u64>,
    ) {
        if !self.closely {
            return;
        }
        let seat = &seats[place(id)];
        let peers = || seats.iter().filter(|other| other.pool == seat.pool);
        let accusers = (self.step.accused.iter())
            .filter(|(node, _)| node == name)
            .map(|(_, from)| Arc::clone(from))
            .collect();
        let suspected = Suspected { since: now, accusers, members: 0 };
        self.beside[place(id)].suspected.insert(Arc::clone(name), suspected);
        self.step.suspected.push(Arc::clone(name));
        // Everyone but the accused has been well for a minute: all helpers answer.
        let well = |machine: &Machine| {
            machine.fate == Fate::Up && machine.moves == 0 && machine.since + 60_000_000_000 < now
        };
        let others = peers().filter(|other| other.name != *name);
        let all_well =
            others.clone().all(|other| well(&machines[other.machine])) && others.count() >= 5;
        let calm = calm_since.is_some_and(|since| since == 0 || since + 60_000_000_000 < now);
        self.step.steady =
            self.step.woken && !seat.wan && all_well && calm && self.quick_nacks && !self.drifts;
    }

    fn joins(&mut self, id: SeatId, member: &Member, now: u64) {
        let reclaim = u64::try_from(self.lan.dead_reclaim.as_nanos()).unwrap_or(0);
        let drifts = self.drifts;
        let closely = self.closely;
        let beside = &mut self.beside[place(id)];
        if closely {
            beside.met.insert(Arc::clone(&member.name));
            beside.rounds.joined(&member.name);
        }
        beside.suspected.remove(&member.name);
        beside.told.remove(&member.name);
        beside.forgot.remove(&member.name);
        let Some(gone) = beside.gone.remove(&member.name) else { return };
        let held = gone.status == MemberStatus::Failed && !gone.free;
        let early = now - gone.since + SLACK < reclaim;
        if held && early && gone.address != member.address && !drifts {
            self.broken("names are not given away early", now, || {
                let after = (now - gone.since) / 1_000_000;
                format!(
                    "pool {id} lets {} move from {} to {} after {after} ms",
                    member.name, gone.address, member.address
                )
            });
        }
    }

    fn fails(&mut self, id: SeatId, member: &Member, now: u64, machines: &[Machine], seat: &Seat) {
        let name = &member.name;
        let subject = machine_named(name).and_then(|number| machines.get(number));
        if let (Some(subject), Some(unharmed)) = (subject, self.unharmed)
            && subject.fate == Fate::Up
            && !subject.disputed
            && unharmed.names(subject.place())
        {
            self.broken("the living are not held for failed", now, || {
                format!("{} holds {name} for failed, which is well", seat.name)
            });
        }
        if !self.closely {
            return;
        }
        let timing = if seat.wan { self.wan.clone() } else { self.lan.clone() };
        let beside = &mut self.beside[place(id)];
        let words = || self.step.dead.iter().filter(|death| death.node == *name);
        // Whoever says of itself that it goes gives its name away; that Serf calls it failed, not
        // having heard an intent, changes nothing.
        let free = self.step.opaque || words().any(|death| death.own);
        let (status, address) = (MemberStatus::Failed, member.address);
        beside.gone.insert(Arc::clone(name), Gone { status, since: now, address, free });
        beside.rounds.gone(name);
        let suspected = beside.suspected.remove(name);
        let word = words().map(|death| death.incarnation).max();
        if let (Some(word), Some(newer)) = (word, beside.told.get(name).copied())
            && word < newer
        {
            self.broken("old deaths are not believed", now, || {
                format!("{} believes the death of {name} at {word:?}, knowing {newer:?}", seat.name)
            });
        }
        if word.is_some() || self.step.opaque {
            return;
        }
        let Some(suspected) = suspected else {
            self.broken("a death is told or suspected first", now, || {
                format!("{} holds {name} for failed at once", seat.name)
            });
            return;
        };
        let heard = wide(suspected.accusers.len());
        let least = suspicion_after(&timing, suspected.members, heard)
            .max(suspicion_min(&timing, suspected.members));
        let lasted = now - suspected.since;
        if lasted + SLACK < least && !self.drifts {
            self.broken("suspicions last", now, || {
                format!(
                    "{} gave {name} {} ms to refute, not {} ms, having heard {heard} accusers",
                    seat.name,
                    lasted / 1_000_000,
                    least / 1_000_000
                )
            });
        }
    }

    fn forgets(
        &mut self,
        id: SeatId,
        member: &Member,
        now: u64,
        machines: &[Machine],
        seat: &Seat,
    ) {
        self.beside[place(id)].rounds.gone(&member.name);
        let patience = match member.status {
            MemberStatus::Failed => self.lan.reconnect_timeout,
            MemberStatus::Left => self.lan.tombstone_timeout,
            MemberStatus::None | MemberStatus::Alive | MemberStatus::Leaving => return,
        };
        let subject = machine_named(&member.name).and_then(|number| machines.get(number));
        if subject.is_some_and(|subject| subject.disputed) || self.drifts {
            return;
        }
        let beside = &mut self.beside[place(id)];
        let gone = beside.gone.remove(&member.name);
        if beside.pruned.remove(&member.name) {
            beside.forgot.insert(Arc::clone(&member.name));
            return;
        }
        let since = gone.map_or(0, |gone| gone.since);
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        if now - since + SLACK < patience {
            self.broken("who is gone is kept in mind", now, || {
                format!("{} forgets {} too early", seat.name, member.name)
            });
        }
    }

    fn hears(&mut self, id: SeatId, pool: usize, time: LamportTime, payload: &Bytes, now: u64) {
        let what = (pool, time, payload.clone());
        let beside = &mut self.beside[place(id)];
        let (life, seen_before) = (beside.life, beside.seen_before);
        beside.newest_event = beside.newest_event.max(time);
        if let Some((by, newest)) = self.firing.take() {
            assert!(by == id, "a pool tells its own host of what it fires");
            if time <= newest && newest.0 > 0 {
                self.broken("events come in clock order", now, || {
                    format!("pool {id} fires an event of {time:?} after it saw {newest:?}")
                });
            }
            let spread = || Spread { at: now, told: BTreeSet::new(), wide: None };
            self.fired.entry(what.clone()).or_insert_with(spread);
        }
        if seen_before.0 > 0 && time <= seen_before {
            self.broken("events are told once", now, || {
                format!("pool {id} is told of {time:?} again, having stored {seen_before:?}")
            });
        }
        match self.fired.get_mut(&what) {
            Some(spread) => {
                if !spread.told.insert((id, life)) {
                    self.broken("events are told once", now, || {
                        format!("pool {id} is told of {time:?} twice")
                    });
                }
            }
            None => self.broken("events are of members", now, || {
                format!("pool {id} is told of an event {time:?} that nobody fired")
            }),
        }
    }

    fn counts(&mut self, id: SeatId, asked: Asked, name: &Arc<str>, ack: bool, now: u64) {
        if !self.beside[place(id)].answers.insert((asked, Arc::clone(name), ack)) {
            self.broken("answers count once", now, || {
                format!("pool {id} counts the answer of {name} twice")
            });
        }
    }

    fn reports(&mut self, asked: Asked, report: &KeyReport) {
        let complete =
            report.error.is_none() && report.failed == 0 && report.answered == report.members;
        if let Some(change) = self.changes.get_mut(&asked) {
            change.done = complete.then_some(report.answered);
            self.reported.push(asked);
        }
    }
}

impl Judge {
    /// Whether a pool has met a member in its present life.
    pub(super) fn has_met(&self, id: SeatId, name: &str) -> bool {
        let beside = self.beside.get(place(id));
        beside.is_some_and(|beside| beside.met.contains(name) || (beside.founded && !self.closely))
    }

    /// Whether a pool was told to forget a member, and did.
    pub(super) fn has_pruned(&self, id: SeatId, name: &str) -> bool {
        self.beside.get(place(id)).is_some_and(|beside| beside.forgot.contains(name))
    }

    /// Whether a pool was told of an event in its present life.
    pub(super) fn was_told(&self, id: SeatId, spread: &Spread) -> bool {
        self.beside.get(place(id)).is_some_and(|beside| spread.told.contains(&(id, beside.life)))
    }

    /// Whether three of four of those that are `up` in a pool know an event.
    ///
    /// From then on two or more exchanges in each interval bring it to the rest. One that few know,
    /// since those it was told first were cut off or died, is promised to nobody: who has just
    /// joined does not ask for what was before, so those few meet one another seldom.
    pub(super) fn is_wide(&self, up: &[(SeatId, usize)], pool: usize, spread: &Spread) -> bool {
        let peers = || up.iter().filter(|(_, other)| *other == pool);
        let knowing = peers().filter(|(id, _)| self.was_told(*id, spread)).count();
        knowing * 4 >= peers().count() * 3
    }

    /// Notes which events three of four know by now.
    pub(super) fn note_wide(&mut self, up: &[(SeatId, usize)], now: u64) {
        let narrow = self.fired.iter().filter(|(_, spread)| spread.wide.is_none());
        let wide: Vec<Fired> = narrow
            .filter(|((pool, ..), spread)| self.is_wide(up, *pool, spread))
            .map(|(what, _)| what.clone())
            .collect();
        for what in wide {
            self.fired.entry(what).and_modify(|spread| spread.wide = Some(now));
        }
    }
}

/// Whether one input may bring an accusation and someone who joins: the pool is counted before it
/// as well, for the accusation may come first.
fn may_accuse_and_join(input: &Input) -> bool {
    let accuses = |message: &Message| matches!(message, Message::Suspect(_));
    matches!(input, Input::Stream(..) | Input::Packet(..))
        || matches!(input, Input::Datagram(_, told) if told.messages.iter().any(accuses))
}

/// How large a pool is for itself, up to ten: the shortest suspicion is the same up to that.
fn alive_count(gossip: &Gossip) -> u64 {
    let alive = |member: &Arc<Member>| member.status == MemberStatus::Alive;
    wide(gossip.members().filter(alive).take(10).count())
}

/// Whom a user message says to forget at once.
fn pruned_by(bytes: &Bytes) -> Option<Arc<str>> {
    match serf::Message::decode(bytes) {
        Ok(serf::Message::Leave(leave)) if leave.prune => Some(leave.node),
        Ok(
            serf::Message::Leave(_)
            | serf::Message::Join(_)
            | serf::Message::PushPull(_)
            | serf::Message::UserEvent(_)
            | serf::Message::Query(_)
            | serf::Message::QueryResponse(_)
            | serf::Message::Relay(_),
        )
        | Err(_) => None,
    }
}

/// The clocks that a rejoin file ends with.
fn clocks_of(file: &[u8]) -> Clocks {
    let mut clocks = Clocks::default();
    let text = String::from_utf8_lossy(file);
    for line in text.lines() {
        let Some((what, value)) = line.split_once(": ") else { continue };
        let Ok(value) = value.parse() else { continue };
        match what {
            "clock" => clocks.member = LamportTime(value),
            "event-clock" => clocks.event = LamportTime(value),
            "query-clock" => clocks.query = LamportTime(value),
            _ => {}
        }
    }
    clocks
}
