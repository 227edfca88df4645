//! Requests between their question and their answer: looked at, held, forwarded, answered.
//!
//! What must never happen: a write whose outcome is unknown is done twice, or reported as not done.

use crate::node::Node;
use crate::open::{Job, Open, Origin, Seen, Stage, Way};
use crate::timers::Timer;
use crate::{Call, CallAnswer, CallId, Effect, Event, PeerMessage};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::Outcome;
use proconsul_http::error::{NO_LEADER, RPC_CLOSED, RPC_EOF, RPC_PREFIX};
use proconsul_http::{self as http, Reply, Request, Response, error};
use proconsul_types::limits::BLOCKING_WAIT_MAX;
use proconsul_types::{Duration, Fault, NodeId, Pool};

/// Calls that are open in either direction.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    /// Names for calls of this life: they grow from a random start.
    next: u64,
    /// Calls to others, and who waits for them here.
    outgoing: BTreeMap<CallId, Origin>,
    /// Calls of others that were seen, so that none is done twice.
    seen: BTreeMap<NodeId, Seen>,
    /// How many calls came; it dates what is seen.
    came: u64,
    /// Requests that wait for a leader.
    held: BTreeSet<Origin>,
    /// Agents whose connection broke and who were not heard since: nothing is forwarded to them.
    silent: BTreeSet<NodeId>,
}

/// So many callers are remembered.
const CALLERS_MAX: usize = 16_384;
/// A call that was forwarded this often already is not passed on: from a client agent to a server,
/// to another datacenter, and there to the leader is the longest way there is.
const PASSES_MAX: u8 = 3;
/// Between two looks at a request whose called server did not lead.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a silent server may keep a call before its outcome counts as unknown: one that need not
/// wait for a change, or whose wait is over.
const SILENCE_MAX: Duration = Duration::from_secs(32);
/// The same for a DNS question: who asked has asked again by then.
const DNS_PATIENCE: Duration = Duration::from_secs(5);

impl Calls {
    /// No calls; their names begin at `start`.
    pub(crate) fn new(start: u64) -> Self {
        Self {
            next: start,
            outgoing: BTreeMap::new(),
            seen: BTreeMap::new(),
            came: 0,
            held: BTreeSet::new(),
            silent: BTreeSet::new(),
        }
    }

    /// Calls to others that have no answer yet.
    pub(crate) fn outgoing_count(&self) -> usize {
        self.outgoing.len()
    }

    /// Requests that wait for a leader.
    pub(crate) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// A name no other call of this life has.
    pub(crate) fn fresh(&mut self) -> CallId {
        let id = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }

    /// Notes a call of `from`; whether it is new.
    fn is_first(&mut self, from: NodeId, id: CallId) -> bool {
        if self.seen.len() >= CALLERS_MAX && !self.seen.contains_key(&from) {
            // Whoever has not called for the longest time has nothing under way.
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.came).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.seen.remove(&oldest);
            }
        }
        self.came += 1;
        let seen = self.seen.entry(from).or_default();
        seen.came = self.came;
        seen.note(id)
    }

    /// Whether the connection to `peer` broke and it was not heard since.
    pub(crate) fn is_silent(&self, peer: NodeId) -> bool {
        self.silent.contains(&peer)
    }

    /// Notes the call under which `origin` is forwarded.
    pub(crate) fn sent(&mut self, id: CallId, origin: Origin) {
        self.outgoing.insert(id, origin);
    }

    /// Who waits for an answer to each call.
    pub(crate) fn outgoing(&self) -> impl Iterator<Item = (&CallId, &Origin)> {
        self.outgoing.iter()
    }

    /// Who waits for a leader.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Origin> {
        self.held.iter()
    }
}

// ---- from the outside ---------------------------------------------------------------------------

impl Node {
    /// A new request. One that is open already is ignored.
    pub(crate) fn accept(&mut self, origin: Origin, job: Job, hops: u8) {
        if let Entry::Vacant(place) = self.opens.entry(origin) {
            place.insert(Open::new(job, hops));
            self.make_ready(origin);
        }
    }

    /// Another agent calls.
    pub(crate) fn called(&mut self, from: NodeId, id: CallId, hops: u8, call: Call) {
        if !self.calls.is_first(from, id) {
            return;
        }
        let (job, may_pass) = match call {
            Call::Http(request) => (Job::Http(request), false),
            Call::Apply(command) => (Job::Apply(command), false),
            Call::Serve(request) => (Job::Http(request), true),
            Call::Submit(command) => (Job::Apply(command), true),
            Call::Node(name) => (Job::Node(name), true),
            Call::Place(place) => (Job::Place(place), true),
            Call::Dns(stream, question, config) => (Job::Dns(stream, question, config), true),
            Call::Keys(op) => (Job::Keys(op, None), true),
            Call::Peers => {
                let peers = self.raft.membership().members.keys().copied().collect();
                self.reply(from, id, CallAnswer::Peers(peers));
                return;
            }
        };
        let origin = Origin::Peer(from, id);
        self.accept(origin, job, hops);
        if let Some(open) = self.opens.get_mut(&origin) {
            open.may_pass = may_pass && hops < PASSES_MAX;
        }
    }

    /// Another agent answers.
    pub(crate) fn replied(
        &mut self,
        from: NodeId,
        id: CallId,
        answer: CallAnswer,
        out: &mut Vec<Effect>,
    ) {
        if self.peers_told(id, &answer, out) {
            return;
        }
        let Some(origin) = self.calls.outgoing.get(&id).copied() else {
            return;
        };
        let asked = self.opens.get(&origin).map(|open| &open.stage);
        if asked != Some(&Stage::Forwarded(id, from)) {
            return;
        }
        self.calls.outgoing.remove(&id);
        self.timers.clear(&Timer::Call(origin));
        if self.opens.get(&origin).is_some_and(|open| open.way == Way::Server)
            && knows_no_leader(&answer)
        {
            // Another server may be on the other side of whatever separates this one.
            self.servers.failed(from);
        }
        match answer {
            CallAnswer::Http(response) => {
                let response = error::forwarded(self.publisher.peek(), response);
                self.answer(origin, response);
            }
            CallAnswer::Applied(outcome) => self.answer_applied(origin, outcome),
            CallAnswer::NotLeader(_) => self.hold(origin, Some(LOOK_AGAIN)),
            CallAnswer::Failed(text) => self.fail(origin, &format!("{RPC_PREFIX}{text}")),
            CallAnswer::Done => self.answer_applied(origin, Outcome::Done),
            CallAnswer::Node(node) => self.answer_node(origin, node),
            CallAnswer::Dns(answer) => self.answer_dns(origin, answer),
            CallAnswer::Keys(answers) => self.answer_keys(origin, answers),
            CallAnswer::Peers(_) => {}
        }
    }

    /// The connection to `peer` broke. Nobody there wants an answer any more, and what it owes
    /// will not come.
    pub(crate) fn peer_lost(&mut self, peer: NodeId, out: &mut Vec<Effect>) {
        self.forget_calls_of(peer, out);
        self.peer_unreached(peer, &[]);
    }

    /// Nobody at `peer` wants an answer any more.
    pub(crate) fn forget_calls_of(&mut self, peer: NodeId, out: &mut Vec<Effect>) {
        let theirs: Vec<Origin> = self
            .opens
            .range(Origin::Peer(peer, CallId(0))..=Origin::Peer(peer, CallId(u64::MAX)))
            .map(|(origin, _)| *origin)
            .collect();
        for origin in theirs {
            self.forget(origin, out);
        }
    }

    /// Nothing reaches `peer` where it was dialled, and what it owes will not come. The calls in
    /// `unsent` never left. What it asks stands: it may be elsewhere by now, on a connection of its
    /// own that nobody saw break.
    pub(crate) fn peer_unreached(&mut self, peer: NodeId, unsent: &[CallId]) {
        self.raft_input(proconsul_raft::Input::PeerLost(peer));
        // Nothing is ever forwarded to strangers.
        let is_stranger = self.pools.pool(Pool::Lan).is_some()
            && !self.raft.membership().contains(peer)
            && !self.servers.knows(peer);
        if is_stranger {
            self.addresses.ended(peer);
        } else {
            self.calls.silent.insert(peer);
        }
        self.servers.failed(peer);
        self.doubt(peer);
        for origin in self.forwarded_to(|to| to == peer) {
            self.call_lost(origin, unsent);
        }
    }

    /// Gossip says that a server failed, or that it left. Reads that it has are asked again. Writes
    /// may still be answered: who leaves works for a while, and who is held for failed may be well,
    /// behind datagrams that are lost. If it is not, its connection breaks.
    pub(crate) fn server_away(&mut self, server: NodeId) {
        self.calls.silent.insert(server);
        for origin in self.forwarded_to(|to| to == server) {
            let is_read = self.opens.get(&origin).is_some_and(|open| open.job.is_read());
            if is_read || self.planted.is(Fault::FailureTakesWrites) {
                self.call_lost(origin, &[]);
            } else {
                self.wait_no_longer(origin);
            }
        }
    }

    /// An agent speaks: it is there.
    pub(crate) fn heard(&mut self, peer: NodeId) {
        if !self.calls.silent.is_empty() && self.calls.silent.remove(&peer) {
            self.look_again_at_held();
        }
    }

    /// Nobody wants an answer to this any more.
    pub(crate) fn forget(&mut self, origin: Origin, out: &mut Vec<Effect>) {
        if let Some(open) = self.close(origin)
            && let Stage::Forwarded(id, to) = open.stage
        {
            self.send_peer(to, PeerMessage::Abandon(id), out);
        }
    }

    /// The deadline of a held or forwarded request.
    pub(crate) fn call_due(&mut self, origin: Origin, out: &mut Vec<Effect>) {
        let Some(open) = self.opens.get_mut(&origin) else {
            return;
        };
        match open.stage {
            Stage::Held if open.hold_until.is_none_or(|until| until <= self.now) => {
                let text = if open.way == Way::Server { RPC_EOF } else { NO_LEADER };
                self.fail(origin, text);
            }
            Stage::Held => {
                self.calls.held.remove(&origin);
                open.stage = Stage::Ready;
                self.make_ready(origin);
            }
            Stage::Forwarded(id, to) => {
                self.servers.failed(to);
                self.send_peer(to, PeerMessage::Abandon(id), out);
                self.calls.outgoing.remove(&id);
                self.fail(origin, RPC_EOF);
            }
            Stage::Ready
            | Stage::Parked
            | Stage::Confirming(_)
            | Stage::Applying(_)
            | Stage::Writing
            | Stage::Saving => {}
        }
    }
}

// ---- towards the leader -------------------------------------------------------------------------

impl Node {
    /// This request needs the leader, and this server cannot act as it now.
    pub(crate) fn need_leader(&mut self, origin: Origin, out: &mut Vec<Effect>) {
        if !self.config.facts.server {
            self.need_server(origin, out);
            return;
        }
        let leader = self.publisher.leader();
        let may_pass = self.opens.get(&origin).is_some_and(|open| open.may_pass);
        if leader == Some(self.config.id) {
            // The lease is over or not yet there: it comes back with the next round, or leadership
            // goes.
            self.hold(origin, None);
        } else if !may_pass && matches!(origin, Origin::Peer(..)) {
            self.not_leader(origin);
        } else if let Some(leader) = leader
            && self.addresses.get(leader).is_some()
            && !self.calls.silent.contains(&leader)
        {
            self.forward(origin, leader, Way::Leader, out);
        } else {
            self.hold(origin, None);
        }
    }

    /// Sends a request on, to `to`.
    pub(crate) fn forward(&mut self, origin: Origin, to: NodeId, way: Way, out: &mut Vec<Effect>) {
        let id = self.calls.fresh();
        let anew = self.planted.is(Fault::WaitBeginsAnew);
        let Some(open) = self.opens.get_mut(&origin) else {
            return;
        };
        let (call, patience) = match &open.job {
            Job::Http(request) => {
                let times = self.config.facts.query_times;
                // Who answers may let a query wait longer that does not say how long.
                let wait_max = times.max.max(BLOCKING_WAIT_MAX);
                let again = open.wait_until.filter(|_| !anew);
                let mut request = http::forward(self.publisher.peek(), request);
                if let Some(until) = again {
                    request = shortened(request, until.since(self.now));
                } else if let Some(wait) = http::wait_asked(&request, times.default) {
                    open.wait_until = Some(self.now.after(wait.min(wait_max)));
                }
                let wait = http::wait_asked(&request, wait_max).unwrap_or(Duration::ZERO);
                let patience = wait.min(wait_max) * 17 / 16 + SILENCE_MAX;
                if way == Way::Server && self.planted.is(Fault::ForwardDropsIndex) {
                    request.query = request.query.replace("index=", "_=");
                }
                let call = match way {
                    Way::Leader => Call::Http(request),
                    Way::Server => Call::Serve(request),
                };
                (call, patience)
            }
            Job::Apply(command) => {
                let call = match way {
                    Way::Leader => Call::Apply(command.clone()),
                    Way::Server => Call::Submit(command.clone()),
                };
                (call, SILENCE_MAX)
            }
            Job::Node(name) => (Call::Node(Arc::clone(name)), SILENCE_MAX),
            Job::Place(place) => (Call::Place(place.clone()), SILENCE_MAX),
            Job::Dns(stream, question, config) => {
                (Call::Dns(*stream, question.clone(), Arc::clone(config)), DNS_PATIENCE)
            }
            Job::Keys(op, _) => (Call::Keys(op.clone()), SILENCE_MAX),
        };
        open.stage = Stage::Forwarded(id, to);
        open.way = way;
        open.sent = self.now;
        open.last_chance = self.calls.silent.contains(&to);
        let hops = open.hops.saturating_add(1);
        self.calls.sent(id, origin);
        self.timers.set(Timer::Call(origin), self.now.after(patience));
        out.push(Effect::Event(Event::Forwarded(to)));
        self.send_peer(to, PeerMessage::Call { id, hops, call: Box::new(call) }, out);
    }

    /// Keeps a request until there is a leader, and looks again after `pause` at the latest.
    pub(crate) fn hold(&mut self, origin: Origin, pause: Option<Duration>) {
        let Some(open) = self.opens.get_mut(&origin) else {
            return;
        };
        open.stage = Stage::Held;
        open.confirmed = false;
        let until =
            *open.hold_until.get_or_insert_with(|| self.now.after(self.config.rpc_hold_timeout));
        let look = pause.map_or(until, |pause| self.now.after(pause).min(until));
        self.timers.set(Timer::Call(origin), look.max(self.now));
        self.calls.held.insert(origin);
    }

    /// A leader appeared, or its lease, or its address: held requests get another look.
    pub(crate) fn look_again_at_held(&mut self) {
        while let Some(origin) = self.calls.held.pop_first() {
            self.timers.clear(&Timer::Call(origin));
            if let Some(open) = self.opens.get_mut(&origin) {
                open.stage = Stage::Ready;
                self.make_ready(origin);
            }
        }
    }

    /// Leadership moved: what was forwarded to another server than the leader may never come back.
    pub(crate) fn forwarded_to_old_leader(&mut self, leader: Option<NodeId>) {
        let Some(leader) = leader else {
            return;
        };
        let by_leader =
            |origin: &Origin| self.opens.get(origin).is_some_and(|open| open.way == Way::Leader);
        let mut lost = self.forwarded_to(|to| to != leader);
        lost.retain(by_leader);
        for origin in lost {
            let is_read = self.opens.get(&origin).is_some_and(|open| open.job.is_read());
            if is_read {
                self.call_lost(origin, &[]);
            } else {
                self.wait_no_longer(origin);
            }
        }
    }

    /// Whoever has this write may still answer; it does not get long.
    fn wait_no_longer(&mut self, origin: Origin) {
        let until = self.now.after(self.config.rpc_hold_timeout);
        let due = self.timers.get(&Timer::Call(origin)).map_or(until, |at| at.min(until));
        self.timers.set(Timer::Call(origin), due);
    }

    fn forwarded_to(&self, matches: impl Fn(NodeId) -> bool) -> Vec<Origin> {
        let concerns = |origin: &Origin| match self.opens.get(origin).map(|open| &open.stage) {
            Some(Stage::Forwarded(_, to)) => matches(*to),
            Some(_) | None => false,
        };
        self.calls.outgoing.values().copied().filter(concerns).collect()
    }

    /// No answer will come to a forwarded request. A read is asked again, and so is a write that is
    /// among the `unsent`; any other write may have been done, so it is not.
    fn call_lost(&mut self, origin: Origin, unsent: &[CallId]) {
        let Some(open) = self.opens.get_mut(&origin) else {
            return;
        };
        let Stage::Forwarded(id, to) = open.stage else {
            return;
        };
        let waits = matches!(&open.job, Job::Http(request)
            if http::wait_asked(request, BLOCKING_WAIT_MAX).is_some());
        if waits && self.planted.is(Fault::LostServerKeepsWatches) {
            return;
        }
        self.calls.outgoing.remove(&id);
        self.timers.clear(&Timer::Call(origin));
        let address = self.addresses.get(to).filter(|_| unsent.contains(&id));
        let text =
            address.map_or_else(|| Cow::Borrowed(RPC_CLOSED), |to| error::undialled(to).into());
        if open.job.is_read() || unsent.contains(&id) {
            let over = open.hold_until.is_some_and(|until| until <= self.now);
            let briefly = self.now.since(open.sent) < self.config.rpc_hold_timeout;
            let afar = open.way == Way::Server && self.servers.get(to).is_none();
            if open.way == Way::Server && ((over && briefly) || (afar && open.last_chance)) {
                // The search has gone on for too long, or a datacenter whose servers are known to
                // be silent was asked once more, in vain.
                self.fail(origin, &text);
                return;
            }
            if open.way == Way::Leader || over {
                // Whoever was asked had it for long: a new search begins.
                open.hold_until = None;
            }
            self.hold(origin, Some(LOOK_AGAIN));
        } else if self.planted.is(Fault::UnknownReportedAsFailed)
            || (open.way == Way::Server && self.planted.is(Fault::ForwardRetriesWrite))
        {
            self.hold(origin, Some(LOOK_AGAIN));
        } else {
            self.fail(origin, &text);
        }
    }
}

// ---- answers ------------------------------------------------------------------------------------

impl Node {
    /// Takes a request out of every place it may stand in.
    pub(crate) fn close(&mut self, origin: Origin) -> Option<Open> {
        let open = self.opens.remove(&origin)?;
        match open.stage {
            Stage::Ready | Stage::Confirming(_) | Stage::Applying(_) => {}
            Stage::Writing => self.keys_abandoned(origin),
            Stage::Held => {
                self.calls.held.remove(&origin);
                self.timers.clear(&Timer::Call(origin));
            }
            Stage::Parked => self.unpark(origin),
            Stage::Forwarded(id, _) => {
                self.calls.outgoing.remove(&id);
                self.timers.clear(&Timer::Call(origin));
            }
            Stage::Saving => self.snapshots.abandon(origin),
        }
        if open.wait_until.is_some() {
            self.timers.clear(&Timer::Blocking(origin));
        }
        Some(open)
    }

    /// Answers an HTTP request.
    pub(crate) fn answer(&mut self, origin: Origin, response: Response) {
        if self.close(origin).is_none() {
            return;
        }
        match origin {
            Origin::Client(id) => self.answers.push(Effect::Respond(id, response)),
            Origin::Peer(peer, id) => self.reply(peer, id, CallAnswer::Http(response)),
            Origin::Agent(id) if response.status == 200 => {
                self.agent_written(id, Ok(Outcome::Done));
            }
            Origin::Agent(id) => {
                let text = String::from_utf8_lossy(&response.body).into_owned();
                self.agent_written(id, Err(text));
            }
        }
    }

    /// Answers with the outcome of a command.
    pub(crate) fn answer_applied(&mut self, origin: Origin, outcome: Outcome) {
        if self.close(origin).is_none() {
            return;
        }
        match origin {
            Origin::Client(_) => {}
            Origin::Peer(peer, id) => self.reply(peer, id, CallAnswer::Applied(outcome)),
            Origin::Agent(id) => self.agent_written(id, Ok(outcome)),
        }
    }

    /// Answers that it failed. The text says whether it may have been done all the same.
    pub(crate) fn fail(&mut self, origin: Origin, text: &str) {
        let Some(open) = self.close(origin) else {
            return;
        };
        match (origin, open.job) {
            (Origin::Client(id), Job::Http(request)) => {
                let response = error::server(&self.publisher.view(), &request, text);
                self.answers.push(Effect::Respond(id, response));
            }
            (Origin::Peer(peer, id), Job::Http(request)) => {
                let response = error::server(&self.publisher.view(), &request, text);
                self.reply(peer, id, CallAnswer::Http(response));
            }
            (Origin::Peer(peer, id), Job::Dns(..)) => {
                self.reply(peer, id, CallAnswer::Dns(Bytes::new()));
            }
            (
                Origin::Peer(peer, id),
                Job::Apply(_) | Job::Node(_) | Job::Place(_) | Job::Keys(..),
            ) => {
                self.reply(peer, id, CallAnswer::Failed(text.to_string()));
            }
            (Origin::Agent(id), _) => self.agent_written(id, Err(text.to_string())),
            (Origin::Client(id), Job::Dns(stream, question, _)) => {
                let answer = self.name_failed(stream, &question);
                self.answers.push(Effect::Reply(id, answer.into()));
            }
            (Origin::Client(_), Job::Apply(_) | Job::Node(_) | Job::Place(_) | Job::Keys(..)) => {}
        }
    }

    /// Answers 200 with nothing.
    pub(crate) fn answer_empty(&mut self, origin: Origin) {
        let response = http::done(self.publisher.peek());
        self.answer(origin, response);
    }

    /// Answers an HTTP request with the outcome of what it asked.
    pub(crate) fn render(&mut self, origin: Origin, reply: Reply, outcome: &Outcome) {
        let Some(Job::Http(request)) = self.opens.get(&origin).map(|open| &open.job) else {
            return;
        };
        let response = http::render(reply, outcome, &self.publisher.view(), request);
        self.answer(origin, response);
    }

    /// Tells a caller that this server does not lead. Nothing was done: the caller may try again.
    pub(crate) fn not_leader(&mut self, origin: Origin) {
        if let Origin::Peer(peer, id) = origin
            && self.close(origin).is_some()
        {
            let leader = self.publisher.leader();
            self.reply(peer, id, CallAnswer::NotLeader(leader));
        }
    }

    /// Answers another agent.
    pub(crate) fn reply(&mut self, to: NodeId, id: CallId, answer: CallAnswer) {
        if let Some(address) = self.addresses.get(to) {
            let message = PeerMessage::Reply { id, answer: Box::new(answer) };
            self.answers.push(Effect::SendPeer { to, address, message });
        }
    }
}

/// Whether the server that answered knows no leader.
fn knows_no_leader(answer: &CallAnswer) -> bool {
    match answer {
        CallAnswer::Http(response) => {
            response.status == 500 && response.body.ends_with(NO_LEADER.as_bytes())
        }
        CallAnswer::Failed(text) => text.ends_with(NO_LEADER),
        CallAnswer::Applied(_)
        | CallAnswer::NotLeader(_)
        | CallAnswer::Done
        | CallAnswer::Node(_)
        | CallAnswer::Peers(_)
        | CallAnswer::Dns(_)
        | CallAnswer::Keys(_) => false,
    }
}

/// The request with its `wait` cut to what is `left` of it. The first value of a parameter counts.
fn shortened(mut request: Request, left: Duration) -> Request {
    request.query = format!("wait={}ms&{}", left.as_millis().max(1), request.query);
    request
}
