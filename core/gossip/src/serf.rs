//! Serf: what members mean to one another, above the failure detector.
//!
//! The failure detector (`swim`) calls in, everything at once and in order; what Serf wants of it
//! comes back as [`Ask`]s, drained by [`Serf::take_ask`] after each call (after
//! [`Serf::broadcasts`] too). Neither knows more of the other than this file.
//!
//! - `members`, `intents`: statuses under Lamport time, pruning, reaping, reconnecting; what was
//!   said of members before they came.
//! - `events`, `queries`, `asked`: user events; queries of others; queries of our own.
//! - `keys`, `conflict`: what Serf asks itself by queries.
//! - `leave`: going in good order. `exchange`: messages and push/pull.
//! - `rejoin`: the file of who was here. `admission`: who may come in.
//!
//! Invariant: what is told to others is counted in `broadcasts` and nowhere else.

mod admission;
mod asked;
pub(crate) mod broadcasts;
mod conflict;
mod events;
mod exchange;
mod intents;
mod keys;
mod leave;
mod members;
mod queries;
mod rejoin;
#[cfg(test)]
mod tests;

pub(crate) use self::members::Founders;

use self::broadcasts::Broadcasts;
use self::rejoin::{FLUSH_INTERVAL, FileChange, Rejoin};
use crate::config::{Admission, Config, Timing};
use crate::coordinate::Vivaldi;
use crate::face::{Effect, Event, Member, QueryId};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use proconsul_types::{
    Coordinate, Duration, Fault, Instant, LamportTime, Liveness, MemberStatus, Planted, Rng,
    TextMap, TimerTable,
};
use proconsul_wire::crypto::Keyring;
use proconsul_wire::memberlist::Alive;
use proconsul_wire::serf::{decode_coordinate, encode_coordinate, encode_tags};

/// Longest encoded tags.
const META_BYTES_MAX: usize = 512;
/// A queue holds at least this many messages, and at least twice the number of members. So many
/// words about unknown members are kept, too.
const QUEUE_MAX_MIN: usize = 4096;

/// Someone who would be let in: each member of a join, or the one of an alive message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// As it describes itself.
    pub(crate) alive: &'a Alive,
    /// What the sender holds of it; alive for an alive message.
    pub(crate) liveness: Liveness,
}

/// What Serf wants of the failure detector and of the host, in this order.
#[derive(Clone)]
pub(crate) enum Ask {
    /// A user message straight to this address: no piggyback, no checksum.
    Send(SocketAddr, Bytes),
    /// Join these one after another (`Join` = true) until one works; nobody waits for the result,
    /// and [`Serf::on_join_done`] is not called.
    Join(Vec<SocketAddr>),
    /// Tell all that this member is dead by its own word; call [`Serf::on_swim_left`] when that is
    /// sent, or could not be sent within the broadcast timeout.
    LeaveSwim,
    /// This member's meta is now this: a new incarnation says so.
    SetMeta(Bytes),
    /// Seal and open with these keys from now on.
    SetKeys(Keyring),
    /// For the host.
    Effect(Effect),
}

/// Contents of messages stay hidden: one may carry keys.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(to, bytes) => write!(f, "Send({to}, {} bytes)", bytes.len()),
            Self::Join(seeds) => f.debug_tuple("Join").field(seeds).finish(),
            Self::LeaveSwim => f.write_str("LeaveSwim"),
            Self::SetMeta(meta) => f.debug_tuple("SetMeta").field(meta).finish(),
            Self::SetKeys(ring) => f.debug_tuple("SetKeys").field(ring).finish(),
            Self::Effect(effect) => f.debug_tuple("Effect").field(effect).finish(),
        }
    }
}

/// The three clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Of intents.
    pub member: LamportTime,
    /// Of user events.
    pub event: LamportTime,
    /// Of queries.
    pub query: LamportTime,
}

/// How many messages wait to be told to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLengths {
    /// Join and leave intents.
    pub intents: usize,
    /// User events.
    pub events: usize,
    /// Queries.
    pub queries: usize,
}

impl QueueLengths {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intents + self.events + self.queries == 0
    }
}

/// Which queue.
#[derive(Clone, Copy, Debug)]
enum Queue {
    Intents,
    Events,
    Queries,
}

/// How far this member has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not at all.
    Here,
    /// Its leave intent is being told.
    TellingIntent,
    /// Its death is being told.
    TellingDeath,
    /// What it told may still spread.
    Spreading,
    /// It may stop.
    Gone,
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Members and intents to forget.
    Reap,
    /// A failed member to try.
    Reconnect,
    /// Lines for the rejoin file.
    Flush,
    /// The next stage of a leave.
    Leave,
    /// A leaving member that should be forgotten.
    Prune(Arc<str>),
    /// A query of ours.
    QueryEnd(LamportTime),
    /// A query that this agent may answer.
    Answer(QueryId),
}

/// One pool's Serf.
#[derive(Clone, Debug)]
pub(crate) struct Serf {
    name: Arc<str>,
    address: SocketAddr,
    tags: TextMap,
    admission: Admission,
    timing: Timing,
    event_bytes_max: usize,
    /// Longest message that any packet could carry.
    told_bytes_max: usize,
    resolve_conflicts: bool,
    planted: Planted,
    stage: Stage,
    /// The time of the last join that this member told of itself.
    announced: LamportTime,
    /// When it last did so because others had a later word.
    contradicted: Option<Instant>,
    rng: Rng,
    timers: TimerTable<Timer>,
    asks: VecDeque<Ask>,
    clocks: Clocks,
    members: members::Members,
    events: events::EventRing,
    heard: queries::Heard,
    running: BTreeMap<LamportTime, asked::Running>,
    intents_queue: Broadcasts,
    events_queue: Broadcasts,
    queries_queue: Broadcasts,
    keyring: Keyring,
    vivaldi: Vivaldi,
    ack: Option<Bytes>,
    rejoin: Rejoin,
}

impl Serf {
    /// A pool in which nobody is known yet, not even this member: the failure detector reports it
    /// like any other by [`Self::on_joined`]. `remembered` is the rejoin file (empty: none); those
    /// whom it knows become an [`Ask::Join`].
    pub(crate) fn new(config: &Config, rng: &Rng, remembered: &[u8], now: Instant) -> Self {
        let first = LamportTime(1);
        // Keys are changed, but none are ever the first or the last.
        let room = config.packet_room(!config.keyring.is_empty());
        let mut serf = Self {
            name: Arc::clone(&config.name),
            address: config.advertised,
            tags: config.tags.clone(),
            admission: config.admission.clone(),
            timing: config.timing.clone(),
            event_bytes_max: config.event_bytes_max,
            told_bytes_max: room.saturating_sub(broadcasts::OVERHEAD),
            resolve_conflicts: config.resolve_conflicts,
            planted: config.planted,
            stage: Stage::Here,
            announced: LamportTime(0),
            contradicted: None,
            rng: rng.split("gossip.serf"),
            timers: TimerTable::default(),
            asks: VecDeque::new(),
            clocks: Clocks { member: first, event: first, query: first },
            members: members::Members::default(),
            events: events::EventRing::default(),
            heard: queries::Heard::default(),
            running: BTreeMap::new(),
            intents_queue: Broadcasts::default(),
            events_queue: Broadcasts::default(),
            queries_queue: Broadcasts::default(),
            keyring: config.keyring.clone(),
            vivaldi: Vivaldi::new(rng.split("gossip.coordinate")),
            ack: None,
            rejoin: Rejoin::new(config.durable, config.rejoin_after_leave, remembered),
        };
        if config.durable {
            serf.resume(now);
        }
        serf
    }

    /// Goes on where the rejoin file ends: no time is used twice, no event is seen twice.
    fn resume(&mut self, now: Instant) {
        let last = self.rejoin.last();
        if !self.planted.is(Fault::RejoinReusesClock) {
            witness(&mut self.clocks.member, last.member);
            witness(&mut self.clocks.event, last.event);
            witness(&mut self.clocks.query, last.query);
        }
        self.events.min = LamportTime(last.event.0.saturating_add(1));
        self.heard.min = LamportTime(last.query.0.saturating_add(1));
        let others = self.rejoin.known().filter(|(name, _)| **name != self.name);
        let mut seeds: Vec<SocketAddr> = others.map(|(_, address)| address).collect();
        self.rng.shuffle(&mut seeds);
        self.ask_join(seeds);
        self.settle(now);
    }

    /// This member's encoded tags, for its first alive message.
    pub(crate) fn meta(&self) -> Bytes {
        encode_tags(&self.tags)
    }

    /// Changes this member's tags (`Input::Tags`). The error is for operators.
    pub(crate) fn set_tags(&mut self, tags: TextMap) -> Result<(), String> {
        let meta = encode_tags(&tags);
        if meta.len() > META_BYTES_MAX {
            return Err(format!("Encoded length of tags exceeds limit of {META_BYTES_MAX} bytes"));
        }
        if tags != self.tags {
            self.tags = tags;
            self.asks.push_back(Ask::SetMeta(meta));
        }
        Ok(())
    }

    /// What an ack of this member carries.
    pub(crate) fn ack_payload(&mut self) -> Bytes {
        self.ack.get_or_insert_with(|| encode_coordinate(self.vivaldi.own())).clone()
    }

    /// A direct ack came within the probe timeout, `rtt` after its ping was sent.
    pub(crate) fn on_ack(&mut self, node: &Arc<str>, payload: &[u8], rtt: Duration) {
        if payload.is_empty() {
            return;
        }
        let place = match decode_coordinate(payload) {
            Ok(place) => place,
            Err(error) => {
                self.notice(format!("ack of {node} carries no coordinate: {error}"));
                return;
            }
        };
        match self.vivaldi.observe(node, &place, rtt) {
            Ok(()) => self.ack = None,
            Err(refusal) => self.notice(format!("ack of {node}: {refusal}")),
        }
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Reap => self.reap(now),
                Timer::Reconnect => self.reconnect(),
                Timer::Flush => self.flush(),
                Timer::Leave => self.go_on_leaving(now),
                Timer::Prune(name) => self.finish_prune(now, &name),
                Timer::QueryEnd(time) => self.end_query(time),
                Timer::Answer(id) => self.close(id),
            }
            self.settle(now);
        }
    }

    /// When something will be due.
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.timers.next_at()
    }

    /// The next thing asked for, oldest first.
    pub(crate) fn take_ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// Everyone known, of every status, by name.
    pub(crate) fn members(&self) -> impl Iterator<Item = Arc<Member>> {
        self.members.iter().map(|known| known.member())
    }

    /// How many are known, of every status.
    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Who has this name, if known.
    pub(crate) fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members.get(name).map(|known| known.member())
    }

    /// How someone stands and where it is, if known.
    pub(crate) fn standing(&self, name: &str) -> Option<(MemberStatus, SocketAddr)> {
        self.members.get(name).map(|known| (known.status, known.address()))
    }

    /// This member's place in the network.
    pub(crate) fn coordinate(&self) -> &Coordinate {
        self.vivaldi.own()
    }

    /// How often this member's place became invalid and started anew.
    pub(crate) fn coordinate_resets(&self) -> u64 {
        self.vivaldi.resets()
    }

    /// Another's place as it last said, or this member's.
    pub(crate) fn coordinate_of(&self, name: &str) -> Option<&Coordinate> {
        if name == &*self.name { Some(self.vivaldi.own()) } else { self.vivaldi.peer(name) }
    }

    /// The keys in use.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The three clocks.
    pub(crate) fn clocks(&self) -> Clocks {
        self.clocks
    }

    /// The three queues.
    pub(crate) fn queue_lengths(&self) -> QueueLengths {
        QueueLengths {
            intents: self.intents_queue.len(),
            events: self.events_queue.len(),
            queries: self.queries_queue.len(),
        }
    }

    /// Panics with the broken rule's name.
    pub(crate) fn check_invariants(&self) {
        self.members.check_invariants();
        self.events.check_invariants();
        for time in self.running.keys() {
            let timer = self.timers.get(&Timer::QueryEnd(*time));
            assert!(timer.is_some(), "a query of ours has an end");
        }
        let unwritten = self.rejoin.is_pending() || self.rejoin.is_behind(self.clocks.member);
        assert!(
            !unwritten || self.timers.get(&Timer::Flush).is_some(),
            "what is to be remembered will be written"
        );
        assert!(
            self.members.failed_count() == 0 || self.timers.get(&Timer::Reap).is_some(),
            "who failed will be forgotten"
        );
    }

    /// Sets the timers that what just happened needs.
    fn settle(&mut self, now: Instant) {
        self.settle_members(now);
        let unwritten = self.rejoin.is_pending() || self.rejoin.is_behind(self.clocks.member);
        if unwritten && self.timers.get(&Timer::Flush).is_none() {
            self.timers.set(Timer::Flush, now.after(FLUSH_INTERVAL));
        }
    }

    /// What was written last may not be there.
    pub(crate) fn unwritten(&mut self) {
        self.rejoin.unwritten();
    }

    /// Writes what is to be remembered.
    fn flush(&mut self) {
        self.rejoin.on_member_clock(self.clocks.member);
        let effect = match self.rejoin.flush() {
            Some(FileChange::Append(lines)) => Effect::Remember(lines),
            Some(FileChange::Replace(whole)) => Effect::Compact(whole),
            None => return,
        };
        self.asks.push_back(Ask::Effect(effect));
    }

    fn witness_member(&mut self, time: LamportTime) {
        witness(&mut self.clocks.member, time);
    }

    fn say(&mut self, event: Event) {
        self.asks.push_back(Ask::Effect(Effect::Event(event)));
    }

    fn notice(&mut self, text: String) {
        self.say(Event::Notice(text));
    }

    fn send(&mut self, to: SocketAddr, bytes: Bytes) {
        self.asks.push_back(Ask::Send(to, bytes));
    }

    fn ask_join(&mut self, seeds: Vec<SocketAddr>) {
        if !seeds.is_empty() {
            self.asks.push_back(Ask::Join(seeds));
        }
    }
}

/// Moves `clock` behind a time that was seen.
fn witness(clock: &mut LamportTime, seen: LamportTime) {
    if seen >= *clock {
        clock.0 = seen.0.saturating_add(1);
    }
}
