//! The node: one way in, one way out, and the order in which everything inside happens.
//!
//! A step has three acts. The input is routed; the bus is drained until raft is quiet, then every
//! request that is ready is looked at, until nothing is left; then the new view is published, and
//! only after it the answers that depend on it leave.

use crate::addresses::Addresses;
use crate::agent::Agent;
use crate::agreement::Agreement;
use crate::blocking::Blocking;
use crate::calls::Calls;
use crate::departure::Departure;
use crate::durable::Durable;
use crate::events::Events;
use crate::expect::Expecting;
use crate::joining::Joins;
use crate::keys::KeyOps;
use crate::leader::Duties;
use crate::open::{Job, Open, Origin};
use crate::places::Places;
use crate::pools::Pools;
use crate::proposals::Proposals;
use crate::publish::Publisher;
use crate::reads::Reads;
use crate::restoring::Restoring;
use crate::servers::Servers;
use crate::sessions::Sessions;
use crate::snapshots::Snapshots;
use crate::timers::Timer;
use crate::{Config, Effect, Event, ExitReason, Input, PeerMessage};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::Catalog;
use proconsul_gossip as gossip;
use proconsul_http::{BodyCache, View};
use proconsul_raft::Raft;
use proconsul_types::{EntryId, Fault, Instant, Planted, Rng, TimerTable, WallTime};

/// One server: raft, catalog, disk, checks and everything between them. Cloning it is cheap and
/// gives a second, independent future.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) config: Arc<Config>,
    pub(crate) planted: Planted,
    pub(crate) now: Instant,
    pub(crate) wall: WallTime,
    pub(crate) rng: Rng,
    pub(crate) stopped: bool,
    /// Stops as soon as this step's answers are out.
    pub(crate) leaving: bool,
    /// Randomness for DNS answers.
    pub(crate) dns_rng: Rng,
    // the machines
    pub(crate) raft: Raft,
    pub(crate) catalog: Catalog,
    pub(crate) agent: Agent,
    pub(crate) pools: Pools,
    // the cluster
    pub(crate) servers: Servers,
    pub(crate) joins: Joins,
    pub(crate) expecting: Expecting,
    pub(crate) duties: Duties,
    pub(crate) events: Events,
    pub(crate) key_ops: KeyOps,
    pub(crate) places: Places,
    pub(crate) departure: Option<Departure>,
    /// Whether the pools were told whom to meet.
    pub(crate) met: bool,
    // what joins them
    pub(crate) durable: Durable,
    pub(crate) applied: EntryId,
    /// The group is that of `peers.json`, and nothing applied is known to say so yet.
    pub(crate) forming: bool,
    pub(crate) agreement: Agreement,
    pub(crate) snapshots: Snapshots,
    pub(crate) restoring: Option<Restoring>,
    pub(crate) sessions: Sessions,
    pub(crate) publisher: Publisher,
    pub(crate) addresses: Addresses,
    // requests
    pub(crate) opens: BTreeMap<Origin, Open>,
    pub(crate) calls: Calls,
    pub(crate) proposals: Proposals,
    pub(crate) reads: Reads,
    pub(crate) blocking: Blocking,
    /// Encoded bodies of reads.
    pub(crate) bodies: BodyCache,
    // one step
    pub(crate) timers: TimerTable<Timer>,
    pub(crate) bus: VecDeque<proconsul_raft::Input>,
    pub(crate) ready: VecDeque<Origin>,
    pub(crate) answers: Vec<Effect>,
    pub(crate) raft_effects: Vec<proconsul_raft::Effect>,
}

/// More internal facts than this in one step means that they chase one another in a circle.
const ROUNDS_MAX: usize = 1_000_000;

impl Node {
    /// Takes one input and pushes what the host must do, in order.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Effect>) {
        if self.stopped {
            return;
        }
        // Inputs may come late; time inside the node never runs backwards.
        self.now = self.now.max(now);
        if self.durable.must_start() {
            self.start_disk(out);
        }
        if !self.met {
            self.met = true;
            self.start_joining(out);
        }
        self.route(input, out);
        self.settle(out);
    }

    /// What this server shows to other threads.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.publisher.view()
    }

    fn route(&mut self, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Wake => self.wake(out),
            Input::Peer { from, message } => self.peer(from, message, out),
            Input::PeerLost(peer) => self.peer_lost(peer, out),
            Input::PeerUnreached(peer, unsent) => {
                if self.planted.is(Fault::UnreachedIsForgotten) {
                    self.forget_calls_of(peer, out);
                }
                self.peer_unreached(peer, &unsent);
            }
            Input::PeerAt(peer, address) => self.greeted(peer, address),
            Input::Http(id, request) => {
                self.accept(Origin::Client(id), Job::Http(request), 0);
            }
            Input::HttpGone(id) => self.forget(Origin::Client(id), out),
            Input::Dns(id, transport, question) => self.dns(id, transport, &question),
            Input::Packet(pool, from, bytes) => {
                self.pools.tell(pool, gossip::Input::Packet(from, bytes));
            }
            Input::Datagram(pool, from, datagram) => {
                self.pools.tell(pool, gossip::Input::Datagram(from, datagram));
            }
            Input::Stream(pool, stream, event) => {
                self.pools.tell(pool, gossip::Input::Stream(stream, event));
            }
            Input::Resolved(lookup, found) => self.resolved(lookup, found, out),
            Input::Io(token, result) => self.io(token, result, out),
            Input::CheckDone(run, outcome) => self.check_done(run, &outcome),
            Input::Admin(admin) => self.admin(admin, out),
            Input::WallClock(wall) => self.wall_clock(wall),
        }
    }

    fn peer(&mut self, from: proconsul_types::NodeId, message: PeerMessage, out: &mut Vec<Effect>) {
        self.heard(from);
        match message {
            PeerMessage::Raft(message) if self.is_of_group(from) => {
                self.raft_input(proconsul_raft::Input::Message { from, message });
            }
            PeerMessage::Raft(_) => {}
            PeerMessage::Call { id, hops, call } => self.called(from, id, hops, *call),
            PeerMessage::Reply { id, answer } => self.replied(from, id, *answer, out),
            PeerMessage::Abandon(id) => self.forget(Origin::Peer(from, id), out),
            PeerMessage::StateHash { index, hash } if self.is_of_group(from) => {
                self.state_told(from, index, hash, out);
            }
            PeerMessage::StateHash { .. } => {}
        }
    }

    /// Puts a fact for raft on the bus.
    pub(crate) fn raft_input(&mut self, input: proconsul_raft::Input) {
        self.bus.push_back(input);
    }

    /// Puts a request in the queue of those to be looked at.
    pub(crate) fn make_ready(&mut self, origin: Origin) {
        self.ready.push_back(origin);
    }

    /// Drains everything the input caused, then publishes, then answers.
    fn settle(&mut self, out: &mut Vec<Effect>) {
        let mut rounds = 0;
        loop {
            self.close_round();
            while let Some(input) = self.next_for_raft() {
                rounds += 1;
                assert!(rounds < ROUNDS_MAX, "one step comes to an end");
                self.step_raft(input, out);
            }
            self.agent_settle(out);
            self.step_pools(out);
            self.do_duties(out);
            self.wake_watchers(out);
            if self.ready.is_empty() && !self.may_step_raft() && !self.is_cluster_busy() {
                break;
            }
            while let Some(origin) = self.ready.pop_front() {
                rounds += 1;
                assert!(rounds < ROUNDS_MAX, "one step comes to an end");
                self.run(origin, out);
            }
        }
        self.tell_group_kept(out);
        self.publish_if_changed(out);
        self.answer_finished();
        out.append(&mut self.answers);
        self.register_late_watchers();
        self.stop_if_disk_failed(out);
        if self.leaving {
            self.flush_disk(out);
            self.stop(ExitReason::Left, out);
        }
    }

    /// Until the disk is open, nothing that rests on it may be promised: raft does not hear of
    /// anything, and what peers say meanwhile is lost, as messages may be.
    fn next_for_raft(&mut self) -> Option<proconsul_raft::Input> {
        if !self.durable.is_open() {
            let is_message = |input: &proconsul_raft::Input| {
                matches!(input, proconsul_raft::Input::Message { .. })
            };
            self.bus.retain(|input| !is_message(input));
            return None;
        }
        self.bus.pop_front()
    }

    /// Whether gossip or the leader's duties have something to do in this step.
    fn is_cluster_busy(&self) -> bool {
        self.pools.is_busy() || self.has_duties()
    }

    fn may_step_raft(&self) -> bool {
        !self.bus.is_empty() && self.durable.is_open()
    }

    /// Raft takes one input; what comes out is performed at once, in order.
    fn step_raft(&mut self, input: proconsul_raft::Input, out: &mut Vec<Effect>) {
        let mut effects = core::mem::take(&mut self.raft_effects);
        self.raft.step(self.now, input, &mut effects);
        for effect in effects.drain(..) {
            self.raft_effect(effect, out);
        }
        self.raft_effects = effects;
    }

    fn raft_effect(&mut self, effect: proconsul_raft::Effect, out: &mut Vec<Effect>) {
        use proconsul_raft::Effect as Raft;
        match effect {
            Raft::Send(to, message) => self.send_peer(to, PeerMessage::Raft(message), out),
            Raft::Persist(persist) => self.persist(persist, out),
            Raft::Commit(entries) => self.commit(entries, out),
            Raft::Proposed(ticket, id) => self.proposed(ticket, id),
            Raft::Refused(ticket, refusal) => self.refused(ticket, refusal),
            Raft::ReadReady(ticket, index) => self.read_ready(ticket, index),
            Raft::Transferred(ticket, _) => self.transferred(ticket),
            Raft::StatusChanged => self.status_changed(out),
            Raft::Lease(until) => self.lease(until),
            Raft::NeedChunk { to, snapshot, offset } => self.need_chunk(to, snapshot, offset),
            Raft::StoreChunk(chunk) => self.store_chunk(chunk, out),
            Raft::Compact(index) => self.compact(index, out),
            Raft::Membership(membership) => self.membership_changed(membership),
            Raft::Event(event) => out.push(Effect::Event(Event::Raft(event))),
        }
    }

    /// Stops for good. Nothing comes out after this.
    pub(crate) fn stop(&mut self, reason: ExitReason, out: &mut Vec<Effect>) {
        if !self.stopped {
            self.stopped = true;
            out.push(Effect::Exit(reason));
        }
    }
}
