//! The loop: wait, collect what happened up to a budget, step the node, perform its effects.
//!
//! One task owns the node. A turn steps every input that is there first and performs afterwards, in
//! the order given, so that a burst of writes becomes one view and one write to the disk.

use crate::dns::Resolver;
use crate::events;
use crate::limit::ClientLimit;
use crate::net;
use crate::peers::Peers;
use crate::pool::{Heard, PoolInput, Sockets};
use crate::probe::Probes;
use crate::reload::Reloading;
use crate::shared::{Inbound, Shared};
use crate::storage::Storage;
use crate::witness::Witness;
use bytes::Bytes;
use proconsul_core::http::Response;
use proconsul_core::types::{Duration, Instant, Pool};
use proconsul_core::{
    Admin, Configured, Effect, Event, ExitReason, Input, Lookup, Node, RequestId,
};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

/// Inputs of one turn: enough to batch, few enough that a heartbeat is not late.
const TURN_INPUTS_MAX: usize = 512;
/// Of these, what came from the pools.
const TURN_HEARD_MAX: usize = 256;
/// How often the node is told the time of day.
const WALL_CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// What the loop works on besides the node.
pub(crate) struct Outside {
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) peers: Peers,
    pub(crate) pools: BTreeMap<Pool, Sockets>,
    pub(crate) reloading: Reloading,
    pub(crate) http_limit: Arc<ClientLimit>,
    pub(crate) rpc_limit: Arc<ClientLimit>,
    pub(crate) resolver: Arc<Resolver>,
}

/// Where the loop hears what happened.
pub(crate) struct Inboxes {
    pub(crate) inputs: mpsc::UnboundedReceiver<Inbound>,
    /// From the sockets of the pools.
    pub(crate) heard: mpsc::Receiver<(Pool, Heard)>,
    /// Keeps it open where there are no pools.
    pub(crate) _ear: mpsc::Sender<(Pool, Heard)>,
}

/// Everything the loop owns.
pub(crate) struct Driver {
    node: Node,
    shared: Arc<Shared>,
    inboxes: Inboxes,
    outside: Outside,
    probes: Probes,
    waiting: BTreeMap<RequestId, oneshot::Sender<Response>>,
    /// Who asked a name.
    asking: BTreeMap<RequestId, oneshot::Sender<Bytes>>,
    exit: Option<ExitReason>,
    witness: Option<Box<dyn Witness>>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Driver {
    pub(crate) fn new(
        node: Node,
        shared: Arc<Shared>,
        inboxes: Inboxes,
        outside: Outside,
        witness: Option<Box<dyn Witness>>,
    ) -> Self {
        Self {
            node,
            shared,
            inboxes,
            outside,
            probes: Probes::default(),
            waiting: BTreeMap::new(),
            asking: BTreeMap::new(),
            exit: None,
            witness,
        }
    }

    /// Runs until the node says that it is done.
    pub(crate) async fn run(mut self) -> ExitReason {
        let mut turn = Vec::with_capacity(TURN_INPUTS_MAX);
        let mut heard = Vec::new();
        let mut effects = Vec::new();
        let mut alarm = Alarm::new(&self.shared);
        let mut next_wall = Instant::START;
        loop {
            let now = self.shared.clock.now();
            if now >= next_wall {
                next_wall = now.after(WALL_CLOCK_INTERVAL);
                let wall = self.shared.clock.wall();
                self.feed(now, Input::WallClock(wall), &mut effects);
            }
            for inbound in turn.drain(..) {
                self.step(now, inbound, &mut effects);
            }
            for (pool, heard) in heard.drain(..) {
                self.hear(now, pool, heard, &mut effects);
            }
            if self.node.next_wakeup().is_some_and(|(at, _)| at <= now) {
                self.feed(now, Input::Wake, &mut effects);
            }
            self.perform(&mut effects);
            if let Some(reason) = self.exit.take() {
                return reason;
            }
            // Whoever was just answered may run before the next turn begins.
            if !self.inboxes.inputs.is_empty() {
                tokio::task::yield_now().await;
            }
            let deadline = self.node.next_wakeup().map_or(next_wall, |(at, _)| at.min(next_wall));
            alarm.set(deadline, &self.shared);
            tokio::select! {
                biased;
                received = self.inboxes.inputs.recv_many(&mut turn, TURN_INPUTS_MAX) => {
                    assert!(received > 0, "the loop itself keeps its inbox open");
                    // Neither may keep the other waiting.
                    while heard.len() < TURN_HEARD_MAX
                        && let Ok(one) = self.inboxes.heard.try_recv()
                    {
                        heard.push(one);
                    }
                }
                received = self.inboxes.heard.recv_many(&mut heard, TURN_HEARD_MAX) => {
                    assert!(received > 0, "the loop itself keeps its ears open");
                }
                () = alarm.ring() => {}
            }
        }
    }

    fn step(&mut self, now: Instant, inbound: Inbound, effects: &mut Vec<Effect>) {
        match inbound {
            Inbound::Http(id, request, answer) => {
                self.waiting.insert(id, answer);
                self.feed(now, Input::Http(id, request), effects);
            }
            Inbound::HttpGone(id) => {
                if self.waiting.remove(&id).is_some() {
                    self.feed(now, Input::HttpGone(id), effects);
                }
            }
            Inbound::Dns(id, transport, question, answer) => {
                self.asking.insert(id, answer);
                self.feed(now, Input::Dns(id, transport, question), effects);
            }
            Inbound::Input(input) => self.feed(now, input, effects),
            Inbound::Peer(from, message, room) => {
                self.feed(now, Input::Peer { from, message }, effects);
                drop(room);
            }
            Inbound::Reload => self.reload(None),
            Inbound::HangUp(peer) => self.outside.peers.hang_up(peer),
        }
    }

    fn hear(&mut self, now: Instant, pool: Pool, heard: Heard, effects: &mut Vec<Effect>) {
        let sockets = self.outside.pools.get_mut(&pool);
        let input = match sockets.and_then(|sockets| sockets.hear(heard)) {
            Some(PoolInput::Packet(from, bytes)) => Input::Packet(pool, from, bytes),
            Some(PoolInput::Stream(id, event)) => Input::Stream(pool, id, event),
            None => return,
        };
        self.feed(now, input, effects);
    }

    /// One step of the node.
    fn feed(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        let before = effects.len();
        self.node.step(now, input, effects);
        if let Some(witness) = &mut self.witness {
            witness.stepped(&self.node, &effects[before..]);
        }
    }

    /// The sockets of a pool do what the node says.
    fn at_pool(&mut self, pool: Pool, order: impl FnOnce(&mut Sockets)) {
        let sockets = self.outside.pools.get_mut(&pool);
        order(sockets.expect("a node speaks in the pools it was made with"));
    }

    /// Looks a host up, aside; the addresses are an input.
    fn resolve(&self, lookup: Lookup, host: Arc<str>) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let found = net::addresses_of(&host).await;
            shared.input(Input::Resolved(lookup, found));
        });
    }

    fn perform(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::SendPeer { to, address, message } => {
                    self.outside.peers.send(to, address, message)
                }
                Effect::Send { pool, to, datagram } => {
                    self.at_pool(pool, |sockets| sockets.send(to, datagram));
                }
                Effect::Dial { pool, stream, to } => {
                    self.at_pool(pool, |sockets| sockets.dial(stream, to));
                }
                Effect::Write { pool, stream, message } => {
                    self.at_pool(pool, |sockets| sockets.write(stream, message));
                }
                Effect::Close { pool, stream } => {
                    self.at_pool(pool, |sockets| sockets.close(stream));
                }
                Effect::Resolve(lookup, host) => self.resolve(lookup, host),
                Effect::Respond(id, response) => {
                    if let Some(waiting) = self.waiting.remove(&id) {
                        // The client may have gone in this very moment.
                        drop(waiting.send(response));
                    }
                }
                Effect::Io(op) => self.outside.storage.submit(op),
                Effect::RunCheck(run, spec) => self.probes.run(run, spec, &self.shared),
                Effect::StopCheck(run) => self.probes.stop(run),
                Effect::Publish(view) => self.shared.view.store(view),
                Effect::Reload(answer) => self.reload(answer),
                Effect::Event(event) => {
                    events::log(&event);
                    if event == Event::GroupKept {
                        self.shared.group_kept.notify_one();
                    }
                }
                Effect::Exit(reason) => {
                    self.exit = Some(reason);
                    return;
                }
                Effect::Reply(id, answer) => {
                    if let Some(asking) = self.asking.remove(&id) {
                        // Whoever asked may have stopped listening.
                        drop(asking.send(answer));
                    }
                }
                other => tracing::error!(target: "agent", "effect not known: {other:?}"),
            }
        }
    }

    /// Reads configuration again; what came of it is the loop's next input.
    fn reload(&mut self, answer: Option<RequestId>) {
        tracing::info!(target: "agent", "Reloading configuration...");
        match self.outside.reloading.read() {
            Ok(reloaded) => {
                if let Some(dns) = &reloaded.dns {
                    self.outside.resolver.reconfigure(Arc::clone(dns));
                }
                if let Some(max) = reloaded.http_conns_per_client_max {
                    self.outside.http_limit.set(max);
                }
                if let Some(max) = reloaded.rpc_conns_per_client_max {
                    self.outside.rpc_limit.set(max);
                }
                if let Some(addresses) = reloaded.addresses {
                    self.shared.input(Input::Admin(Admin::Addresses(addresses)));
                }
                let configured = Configured {
                    services: reloaded.services,
                    checks: reloaded.checks,
                    node_meta: reloaded.node_meta,
                    dns: reloaded.dns,
                    discard_check_output: reloaded.discard_check_output,
                };
                self.shared.input(Input::Admin(Admin::Reload(Box::new(configured), answer)));
            }
            Err(reason) => {
                tracing::error!(target: "agent", "Reload failed: {reason}");
                self.shared.input(Input::Admin(Admin::ReloadFailed(answer, reason)));
            }
        }
    }
}

/// One timer, moved only when it would ring too late: most turns do not touch it.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    rings_at: Instant,
}

impl Alarm {
    fn new(shared: &Shared) -> Self {
        let now = shared.clock.now();
        Self { sleep: Box::pin(tokio::time::sleep_until(shared.clock.at(now))), rings_at: now }
    }

    /// Rings at `deadline`, or before it.
    fn set(&mut self, deadline: Instant, shared: &Shared) {
        if deadline < self.rings_at || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(shared.clock.at(deadline));
            self.rings_at = deadline;
        }
    }

    async fn ring(&mut self) {
        self.sleep.as_mut().await;
    }
}
