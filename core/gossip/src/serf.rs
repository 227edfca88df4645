//! Serf: what members mean to one another, above the failure detector.
//!
//! The failure detector (`swim`) calls in, everything at once and in order; what Serf wants of it
//! comes back as [`Ask`]s, drained by [`Serf::take_ask`] after each call. Neither knows more of the
//! other than this file.

use crate::config::Config;
use crate::face::{Asked, Effect, KeyOp, Member, QueryId, QueryParams};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::{Coordinate, Duration, Instant, LamportTime, Liveness, Rng, TextMap};
use proconsul_wire::crypto::Keyring;
use proconsul_wire::memberlist::{Alive, Versions};
use proconsul_wire::serf::PushPullState;

/// Someone who would be let in: each member of a join, or the one of an alive message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// As it describes itself.
    pub(crate) alive: &'a Alive,
    /// What the sender holds of it; alive for an alive message.
    pub(crate) liveness: Liveness,
}

/// What Serf wants of the failure detector and of the host, in this order.
#[derive(Clone, Debug)]
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

/// One pool's Serf.
#[derive(Clone, Debug)]
pub(crate) struct Serf {
    asks: VecDeque<Ask>,
    members: BTreeMap<Arc<str>, Arc<Member>>,
    keyring: Keyring,
    coordinate: Coordinate,
}

impl Serf {
    /// A pool in which nobody is known yet, not even this member: the failure detector reports it
    /// like any other by [`Self::on_joined`]. `remembered` is the rejoin file (empty: none); what
    /// it knows becomes an [`Ask::Join`].
    pub(crate) fn new(config: &Config, rng: &Rng, remembered: &[u8], now: Instant) -> Self {
        let _ = (rng, remembered, now);
        let start = Coordinate { vector: [0.0; 8], error: 1.5, adjustment: 0.0, height: 1e-5 };
        Self {
            asks: VecDeque::new(),
            members: BTreeMap::new(),
            keyring: config.keyring.clone(),
            coordinate: start,
        }
    }

    /// This member's encoded tags, for its first alive message.
    pub(crate) fn meta(&self) -> Bytes {
        Bytes::new()
    }

    /// Whether all of these may come in; otherwise the reason, for the log.
    pub(crate) fn admit(&self, candidates: &[Candidate<'_>]) -> Result<(), String> {
        let _ = candidates;
        Ok(())
    }

    /// Someone is here (again), this member itself included: dead, left or unknown to alive.
    /// `address` has the receiver's port in place of port 0.
    pub(crate) fn on_joined(
        &mut self,
        now: Instant,
        alive: &Arc<Alive>,
        versions: Versions,
        address: SocketAddr,
    ) {
        let _ = (now, alive, versions, address);
    }

    /// The meta, address or versions of someone alive changed, this member itself included.
    pub(crate) fn on_updated(
        &mut self,
        now: Instant,
        alive: &Arc<Alive>,
        versions: Versions,
        address: SocketAddr,
    ) {
        let _ = (now, alive, versions, address);
    }

    /// Someone is dead or left, this member itself included.
    pub(crate) fn on_gone(&mut self, now: Instant, name: &str) {
        let _ = (now, name);
    }

    /// Someone claims `name` from `other`, while it is at `existing`.
    pub(crate) fn on_conflict(
        &mut self,
        now: Instant,
        name: &str,
        existing: SocketAddr,
        other: SocketAddr,
    ) {
        let _ = (now, name, existing, other);
    }

    /// A user message came, by datagram or by stream: the bytes after memberlist's `08`.
    pub(crate) fn on_user(&mut self, now: Instant, bytes: &Bytes) {
        let _ = (now, bytes);
    }

    /// A join that someone asked for (`Input::Join`) ended, having met this many.
    pub(crate) fn on_join_done(&mut self, now: Instant, met: usize) {
        let _ = (now, met);
    }

    /// [`Ask::LeaveSwim`] is done, or gave up.
    pub(crate) fn on_swim_left(&mut self, now: Instant) {
        let _ = now;
    }

    /// Serf's part of a push/pull.
    pub(crate) fn local_state(&self) -> PushPullState {
        PushPullState::default()
    }

    /// Serf's part of another's push/pull. `ignore_old`: it answers a join of our own whose caller
    /// does not want events from before.
    pub(crate) fn merge(&mut self, now: Instant, state: &PushPullState, ignore_old: bool) {
        let _ = (now, state, ignore_old);
    }

    /// Appends the user messages to piggyback on one packet, each counted as sent once. Each costs
    /// its length and 3 bytes of `room`.
    pub(crate) fn broadcasts(&mut self, room: usize, out: &mut Vec<Bytes>) {
        let _ = (room, out);
    }

    /// What an ack of this member carries.
    pub(crate) fn ack_payload(&mut self) -> Bytes {
        Bytes::new()
    }

    /// A direct ack came within the probe timeout, `rtt` after its ping was sent.
    pub(crate) fn on_ack(&mut self, now: Instant, node: &Arc<str>, payload: &[u8], rtt: Duration) {
        let _ = (now, node, payload, rtt);
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: Instant) {
        let _ = now;
    }

    /// When something will be due.
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        None
    }

    /// The next thing asked for, oldest first.
    pub(crate) fn take_ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// `Input::Fire`. The error is for operators ([`crate::Event::Notice`]).
    pub(crate) fn fire(
        &mut self,
        now: Instant,
        name: Arc<str>,
        payload: Bytes,
        coalesce: bool,
    ) -> Result<(), String> {
        let _ = (now, name, payload, coalesce);
        Ok(())
    }

    /// `Input::Query`.
    pub(crate) fn query(&mut self, now: Instant, asked: Asked, params: QueryParams) {
        let _ = (now, asked, params);
    }

    /// `Input::Respond`.
    pub(crate) fn respond(&mut self, now: Instant, id: QueryId, payload: Bytes) {
        let _ = (now, id, payload);
    }

    /// `Input::Keys`.
    pub(crate) fn keys(&mut self, now: Instant, asked: Asked, op: KeyOp) {
        let _ = (now, asked, op);
    }

    /// `Input::ForceLeave`.
    pub(crate) fn force_leave(&mut self, now: Instant, node: &Arc<str>, prune: bool) {
        let _ = (now, node, prune);
    }

    /// `Input::Leave`.
    pub(crate) fn leave(&mut self, now: Instant) {
        let _ = now;
    }

    /// `Input::Tags`. The error is for operators.
    pub(crate) fn set_tags(&mut self, now: Instant, tags: TextMap) -> Result<(), String> {
        let _ = (now, tags);
        Ok(())
    }

    /// Everyone known, of every status, by name.
    pub(crate) fn members(&self) -> impl Iterator<Item = Arc<Member>> {
        self.members.values().map(Arc::clone)
    }

    /// Who has this name, if known.
    pub(crate) fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members.get(name).map(Arc::clone)
    }

    /// This member's place in the network.
    pub(crate) fn coordinate(&self) -> &Coordinate {
        &self.coordinate
    }

    /// Another's place as it last said, or this member's.
    pub(crate) fn coordinate_of(&self, name: &str) -> Option<&Coordinate> {
        let _ = name;
        None
    }

    /// The keys in use.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The three clocks.
    pub(crate) fn clocks(&self) -> Clocks {
        Clocks::default()
    }

    /// The three queues.
    pub(crate) fn queue_lengths(&self) -> QueueLengths {
        QueueLengths::default()
    }

    /// Panics with the broken rule's name.
    pub(crate) fn check_invariants(&self) {}
}
