//! What this agent offers, and that the catalog says so: own services and checks, anti-entropy,
//! and this server's own entry.

use crate::entry;
use crate::node::Node;
use crate::open::{Job, Origin, Stage};
use crate::timers::Timer;
use crate::{Config, Configured, Effect, Event, RequestId, Wakeup};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::{Catalog, Command, Deregister, NodeRegistration, Outcome, Register};
use proconsul_checks::{
    CheckOutcome, CheckRun, Local, LocalConfig, LocalEffect, LocalError, LocalWakeup, SyncId,
    Ticket,
};
use proconsul_disk::{IoError, IoToken};
use proconsul_http::{LocalOp, Method, Request};
use proconsul_types::{
    CatalogIndex, CheckStatus, Duration, Instant, NodeId, Pool, Rng, ServiceRegistration, WallTime,
};

/// The part that knows what this agent offers, and its writes on their way to the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    local: Local,
    effects: Vec<LocalEffect>,
    /// Names for writes of this agent.
    next: u64,
    /// Writes on their way.
    writes: BTreeMap<u64, Write>,
    /// Requests that are answered when a change is durable.
    settling: BTreeMap<Ticket, Origin>,
    /// Anti-entropy has something to say.
    sync_due: bool,
    /// The leader that was told of everything.
    leader: Option<NodeId>,
    /// Who asked this server to leave.
    departing: Option<Origin>,
    /// A new leader must be compared with, once its catalog is the one here too.
    leader_is_new: bool,
    /// What the servers last said of this node (client agents).
    known: Catalog,
}

/// What a write of this agent is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// Anti-entropy.
    Sync(SyncId),
    /// This server's own entry.
    Registration,
    /// The end of that entry, because this server leaves.
    Farewell,
    /// The end of its membership.
    Departure,
    /// What the servers know of this node (client agents).
    Fetch,
}

/// First completion token of this part's files.
const FIRST_TOKEN: u64 = 1 << 62;

impl Agent {
    /// Offers what the disk and the configuration say.
    pub(crate) fn new(config: &Config, rng: Rng, files: &BTreeMap<Arc<str>, Bytes>) -> Self {
        let mut local_config = LocalConfig::new(node_registration(config));
        local_config.server = config.facts.server;
        local_config.durable = config.durable;
        local_config.sync_interval = config.anti_entropy_interval;
        local_config.check_update_interval = config.check_update_interval;
        local_config.output_bytes_max = config.check_output_bytes_max;
        local_config.discard_output = config.discard_check_output;
        local_config.script_checks = config.facts.script_checks;
        local_config.first_token = FIRST_TOKEN;
        local_config.planted = config.planted;
        let mut effects = Vec::new();
        let mut local = Local::new(local_config, rng, files, Instant::START, &mut effects);
        let configured = local.configure(
            config.services.clone(),
            config.checks.clone(),
            Instant::START,
            &mut effects,
        );
        if let Err(error) = configured {
            effects.push(LocalEffect::Notice(error.text));
        }
        Self {
            local,
            effects,
            next: 0,
            writes: BTreeMap::new(),
            settling: BTreeMap::new(),
            sync_due: false,
            leader: None,
            departing: None,
            leader_is_new: config.facts.server,
            known: Catalog::new(Arc::clone(&config.facts.datacenter), config.planted),
        }
    }

    /// When it wants to be woken, and why.
    pub(crate) fn next_wakeup(&self) -> Option<(Instant, Wakeup)> {
        let (at, why) = self.local.next_wakeup()?;
        // Without a leader there is nobody to tell; the next leader wakes anti-entropy.
        let wakeup = match why {
            LocalWakeup::Check => Wakeup::Check,
            LocalWakeup::Sync => Wakeup::Sync,
        };
        Some((at, wakeup))
    }

    /// What others may see.
    pub(crate) fn view(&self) -> Arc<proconsul_checks::LocalView> {
        self.local.view()
    }

    /// Whether a completion is one of this part's.
    pub(crate) fn owns(token: IoToken) -> bool {
        token.0 >= FIRST_TOKEN
    }

    /// Panics with the rule in words if it contradicts itself.
    pub(crate) fn check_invariants(&self) {
        self.local.check_invariants();
    }
}

/// This node as it must stand in the catalog.
fn node_registration(config: &Config) -> NodeRegistration {
    NodeRegistration {
        id: Some(config.id),
        name: Arc::clone(&config.facts.name),
        address: Arc::clone(&config.facts.address),
        datacenter: Arc::clone(&config.facts.datacenter),
        tagged_addresses: config.facts.tagged_addresses.clone(),
        meta: config.facts.meta.clone(),
    }
}

// ---- inputs -------------------------------------------------------------------------------------

impl Node {
    pub(crate) fn agent_wake(&mut self, out: &mut Vec<Effect>) {
        if self.agent.local.next_wakeup().is_some_and(|(at, _)| at <= self.now) {
            self.agent.local.on_wake(self.now, &mut self.agent.effects);
            self.agent_settle(out);
        }
    }

    pub(crate) fn agent_wall_clock(&mut self, wall: WallTime) {
        self.agent.local.on_wall_clock(wall, self.now, &mut self.agent.effects);
    }

    pub(crate) fn check_done(&mut self, run: CheckRun, outcome: &CheckOutcome) {
        self.agent.local.on_check_done(run, outcome, self.now, &mut self.agent.effects);
    }

    /// A file operation of the local lane completed.
    pub(crate) fn agent_io(&mut self, token: IoToken, result: Result<(), IoError>) {
        self.agent.local.on_io(token, result, &mut self.agent.effects);
    }

    /// A request that changes what this agent offers.
    pub(crate) fn local_op(&mut self, origin: Origin, op: LocalOp, out: &mut Vec<Effect>) {
        if matches!(origin, Origin::Peer(..)) && !is_for_others(&op) {
            let text = String::from("only the agent's own clients may ask this of it");
            self.refuse(origin, &LocalError { status: 403, text });
            return;
        }
        let now = self.now;
        let Agent { local, effects, .. } = &mut self.agent;
        let done: Result<Option<Ticket>, LocalError> = match op {
            LocalOp::RegisterService(definition, replace) => {
                local.register_service(*definition, replace, now, effects)
            }
            LocalOp::DeregisterService(id) => local.deregister_service(&id, now, effects),
            LocalOp::RegisterCheck(definition) => local.register_check(*definition, now, effects),
            LocalOp::DeregisterCheck(id) => local.deregister_check(&id, now, effects),
            LocalOp::UpdateTtl(id, status, note) => {
                local.update_ttl(&id, status, &note, now, effects)
            }
            LocalOp::ServiceMaintenance(id, enable, reason) => {
                local.service_maintenance(&id, enable, &reason, now, effects)
            }
            LocalOp::NodeMaintenance(enable, reason) => {
                local.node_maintenance(enable, &reason, now, effects)
            }
            LocalOp::Reload => {
                if let Some(open) = self.opens.get_mut(&origin) {
                    open.stage = Stage::Writing;
                }
                let request = match origin {
                    Origin::Client(id) => Some(id),
                    Origin::Peer(..) | Origin::Agent(_) => None,
                };
                out.push(Effect::Reload(request));
                return;
            }
            LocalOp::Leave => {
                self.leave(origin);
                return;
            }
            LocalOp::Join { address, wan } => {
                self.join(origin, &address, wan, out);
                return;
            }
            LocalOp::ForceLeave { node, prune, wan } => {
                self.force_leave(origin, &node, prune, wan);
                return;
            }
            LocalOp::FireEvent(event) => {
                self.fire_event(origin, *event);
                return;
            }
            LocalOp::Keys(op) => {
                self.change_keys(origin, &op, false);
                return;
            }
        };
        match done {
            Ok(None) => self.answer_empty(origin),
            Ok(Some(ticket)) => {
                if let Some(open) = self.opens.get_mut(&origin) {
                    open.stage = Stage::Writing;
                }
                self.agent.settling.insert(ticket, origin);
            }
            Err(error) => self.refuse(origin, &error),
        }
    }

    /// Refuses a request in the words of the part that did.
    pub(crate) fn refuse(&mut self, origin: Origin, error: &LocalError) {
        let response = proconsul_http::local_refused(self.publisher.peek(), error);
        self.answer(origin, response);
    }

    /// Configuration files were read again.
    pub(crate) fn reload(&mut self, configured: Configured, answer: Option<RequestId>) {
        let Configured { services, checks, node_meta, dns, discard_check_output } = configured;
        let Agent { local, effects, .. } = &mut self.agent;
        let done = local.configure(services, checks, self.now, effects);
        if done.is_ok() {
            if let Some(dns) = dns {
                Arc::make_mut(&mut self.config).dns = dns;
            }
            if let Some(discard) = discard_check_output {
                local.discard_output(discard);
            }
            if let Some(meta) = node_meta {
                Arc::make_mut(&mut self.config).facts.meta = meta.clone();
                self.publisher.agent_changed(&self.config.facts);
                local.set_node_meta(meta, self.now);
            }
        }
        if let Some(id) = answer {
            match done {
                Ok(()) => self.answer_empty(Origin::Client(id)),
                Err(error) => self.refuse(Origin::Client(id), &error),
            }
        }
    }

    /// Who leads now; a new leader is told everything it does not know.
    pub(crate) fn leader_for_agent(&mut self, leader: Option<NodeId>) {
        if leader != self.agent.leader {
            self.agent.leader = leader;
            self.agent.leader_is_new = true;
            self.compare_with_new_leader();
        }
    }

    /// What a catalog lacks that has everything earlier leaders acknowledged is worth writing.
    pub(crate) fn compare_with_new_leader(&mut self) {
        let Agent { leader, leader_is_new, .. } = &self.agent;
        if *leader_is_new && leader.is_some() && self.has_applied_own_term() {
            self.agent.leader_is_new = false;
            self.agent.local.sync_soon(self.now, true);
            self.check_registration();
        }
    }
}

// ---- effects ------------------------------------------------------------------------------------

impl Node {
    /// Performs what the agent's part asked for.
    pub(crate) fn agent_settle(&mut self, out: &mut Vec<Effect>) {
        while !self.agent.effects.is_empty() {
            let mut effects = core::mem::take(&mut self.agent.effects);
            for effect in effects.drain(..) {
                self.agent_effect(effect, out);
            }
            if self.agent.effects.is_empty() {
                self.agent.effects = effects;
            }
            if core::mem::take(&mut self.agent.sync_due) {
                self.tell_catalog();
            }
        }
    }

    fn agent_effect(&mut self, effect: LocalEffect, out: &mut Vec<Effect>) {
        match effect {
            LocalEffect::RunCheck(run, probe) => out.push(Effect::RunCheck(run, probe)),
            LocalEffect::StopCheck(run) => out.push(Effect::StopCheck(run)),
            LocalEffect::File(op) => out.push(Effect::Io(op)),
            LocalEffect::Settled(ticket, result) => {
                let Some(origin) = self.agent.settling.remove(&ticket) else {
                    return;
                };
                match result {
                    Ok(()) => self.answer_empty(origin),
                    Err(reason) => self.fail(origin, &reason),
                }
            }
            LocalEffect::Changed => {
                self.publisher.local_changed(self.agent.local.view());
                self.blocking.touched_local();
            }
            LocalEffect::CheckChanged(id, status) => {
                out.push(Effect::Event(Event::CheckChanged(String::from(&*id), status)));
            }
            LocalEffect::SyncDue => self.agent.sync_due = true,
            LocalEffect::CheckFailed(id, status) => {
                out.push(Effect::Event(Event::CheckFailed(id, status)));
            }
            LocalEffect::TtlMissed(id) => out.push(Effect::Event(Event::TtlMissed(id))),
            LocalEffect::Synced(synced) => out.push(Effect::Event(Event::Synced(synced))),
            LocalEffect::SyncFailed(reason) => out.push(Effect::Event(Event::SyncFailed(reason))),
            LocalEffect::Notice(text) => out.push(Effect::Event(Event::Notice(text))),
            LocalEffect::Warning(text) => out.push(Effect::Event(Event::Warning(text))),
        }
    }

    /// Writes what the catalog does not know of this agent yet.
    fn tell_catalog(&mut self) {
        if self.agent.leader_is_new || self.agent.departing.is_some() {
            return; // everything is compared once a new leader has its predecessors' state
        }
        if self.agent.local.compares_next() {
            // The leader is asked, not the catalog here, which may lag.
            self.fetch();
            return;
        }
        self.write_differences();
    }

    /// Writes what is marked as out of sync.
    fn write_differences(&mut self) {
        let Agent { local, effects, known, .. } = &mut self.agent;
        let plan = local.sync_plan(self.now, known, effects);
        for (id, command) in plan {
            self.agent_write(Write::Sync(id), command);
        }
    }

    fn agent_write(&mut self, write: Write, command: Command) {
        self.agent.next += 1;
        let id = self.agent.next;
        self.agent.writes.insert(id, write);
        self.accept(Origin::Agent(id), Job::Apply(command), 0);
    }

    /// A write of this agent was applied, or was not.
    pub(crate) fn agent_written(&mut self, id: u64, result: Result<Outcome, String>) {
        if self.is_part_of_keys(id) {
            let text = result.err().unwrap_or_default();
            self.keys_from_afar(id, Err(text));
            return;
        }
        let result = match result {
            Ok(Outcome::Rejected(rejected)) => Err(rejected.text),
            Ok(_) => Ok(()),
            Err(text) => Err(text),
        };
        match self.agent.writes.remove(&id) {
            Some(Write::Sync(sync)) => {
                let Agent { local, effects, .. } = &mut self.agent;
                local.on_synced(sync, result, self.now, effects);
            }
            // Whether they succeeded or not: nobody waits for a server that wants to go.
            Some(Write::Farewell) => self.depart(),
            Some(Write::Departure) if self.departure.is_some() => self.group_answered(result),
            Some(Write::Departure) => self.gone(),
            Some(Write::Fetch) => {
                let reason = result.err().unwrap_or_default();
                let Agent { local, effects, .. } = &mut self.agent;
                local.compare_failed(&reason, self.now, effects);
            }
            Some(Write::Registration) | None => {}
        }
    }
}

// ---- client agents and the servers --------------------------------------------------------------

impl Agent {
    /// A name for a request of this agent.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Node {
    /// Asks the servers what they know of this node.
    fn fetch(&mut self) {
        if self.agent.writes.values().any(|write| *write == Write::Fetch) {
            return;
        }
        let id = self.agent.fresh();
        self.agent.writes.insert(id, Write::Fetch);
        let name = Arc::clone(&self.config.facts.name);
        self.accept(Origin::Agent(id), Job::Node(name), 0);
    }

    /// The servers said what they know of this node: what differs is written.
    pub(crate) fn fetched(&mut self, id: u64, node: Option<Box<Register>>) {
        if self.agent.writes.remove(&id) != Some(Write::Fetch) {
            return;
        }
        let facts = &self.config.facts;
        let mut known = Catalog::new(Arc::clone(&facts.datacenter), self.planted);
        if let Some(register) = node {
            known.apply(CatalogIndex(1), &Command::Register(register));
        }
        self.agent.known = known;
        self.write_differences();
    }

    /// There may be news between this client agent and the servers.
    pub(crate) fn compare_with_servers(&mut self) {
        self.agent.local.sync_soon(self.now, true);
    }

    /// How much more rarely than in a small pool each agent compares everything: 1 up to 128
    /// members, and one more for each doubling.
    pub(crate) fn anti_entropy_scale(&self) -> u32 {
        let members = self.pools.lan_count();
        let doublings = members.max(1).next_power_of_two().trailing_zeros();
        1 + doublings.saturating_sub(7)
    }

    /// The pool has grown or shrunk.
    pub(crate) fn scale_anti_entropy(&mut self) {
        let interval: Duration = self.config.anti_entropy_interval * self.anti_entropy_scale();
        self.agent.local.set_sync_interval(interval);
    }
}

// ---- leaving ------------------------------------------------------------------------------------

impl Node {
    /// Leaves for good: out of the catalog, out of the group, then the answer, then the end. A
    /// server that is alone has nobody to tell.
    fn leave(&mut self, origin: Origin) {
        if let Some(open) = self.opens.get_mut(&origin) {
            open.stage = Stage::Writing;
        }
        if self.pools.pool(Pool::Lan).is_some() {
            self.depart_from_pools(Some(origin));
            return;
        }
        let first = self.agent.departing.replace(origin).is_none();
        if self.raft.membership().members.len() <= 1 {
            self.gone();
        } else if first {
            let node = Arc::clone(&self.config.facts.name);
            let deregister = Deregister { node, service_id: None, check_id: None };
            self.agent_write(Write::Farewell, Command::Deregister(deregister));
        }
    }

    /// Asks the leader to take this server out of the group.
    pub(crate) fn depart(&mut self) {
        let target = format!("/v1/operator/raft/peer?id={}", self.config.id);
        let request = Request::new(Method::Delete, &target, Bytes::new());
        self.agent.next += 1;
        let id = self.agent.next;
        self.agent.writes.insert(id, Write::Departure);
        self.accept(Origin::Agent(id), Job::Http(request), 0);
    }

    /// Nothing holds this agent any more: whoever asked for it is answered, then it stops.
    pub(crate) fn gone(&mut self) {
        let asked = self.departure.as_ref().and_then(|departure| departure.origin);
        if let Some(origin) = self.agent.departing.or(asked) {
            self.answer_empty(origin);
        }
        self.leaving = true;
    }
}

/// Whether one agent may ask this of another. Everything else is between an agent and its clients.
fn is_for_others(op: &LocalOp) -> bool {
    match op {
        LocalOp::FireEvent(_) | LocalOp::Keys(_) => true,
        LocalOp::RegisterService(..)
        | LocalOp::DeregisterService(_)
        | LocalOp::RegisterCheck(_)
        | LocalOp::DeregisterCheck(_)
        | LocalOp::UpdateTtl(..)
        | LocalOp::ServiceMaintenance(..)
        | LocalOp::NodeMaintenance(..)
        | LocalOp::Reload
        | LocalOp::Leave
        | LocalOp::Join { .. }
        | LocalOp::ForceLeave { .. } => false,
    }
}

// ---- this server's own entry --------------------------------------------------------------------

impl Node {
    /// Compares this server's entry with what it should be, and writes it if it differs. Until
    /// gossip tells the leader who is alive, each server speaks for itself.
    pub(crate) fn check_registration(&mut self) {
        if self.pools.pool(Pool::Lan).is_some() {
            return; // the leader sees who is here
        }
        self.timers.set(Timer::Registration, self.now.after(self.config.anti_entropy_interval));
        let under_way = self.agent.writes.values().any(|write| *write == Write::Registration);
        let departs = self.agent.departing.is_some();
        if !self.config.facts.server || under_way || departs || self.is_registered() {
            return;
        }
        let command = Command::Register(Box::new(Register {
            node: node_registration(&self.config),
            skip_node_update: false,
            services: Vec::from([self.servers_service()]),
            checks: Vec::from([entry::serf_health(CheckStatus::Passing)]),
        }));
        self.agent_write(Write::Registration, command);
    }

    fn is_registered(&self) -> bool {
        let facts = &self.config.facts;
        let place = (Some(self.config.id), &*facts.address);
        entry::is_there(&self.catalog, &facts.name, place, Some(&self.servers_service()))
    }

    fn servers_service(&self) -> ServiceRegistration {
        let words = [
            ("non_voter", "false".into()),
            ("raft_version", "3".into()),
            ("serf_protocol_current", "2".into()),
            ("serf_protocol_max", "5".into()),
            ("serf_protocol_min", "1".into()),
            ("version", Arc::clone(&self.config.facts.version)),
        ];
        entry::servers_service(self.config.facts.server_port, words)
    }
}
