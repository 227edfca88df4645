//! A server of one for tests: plans, applies, renders. No log, no clock but the one it is given.

use bytes::Bytes;
use proconsul_catalog::{Catalog, Command, NodeRegistration, Register};
use proconsul_checks::{Local, LocalConfig, LocalEffect};
use proconsul_http::{
    AgentFacts, BodyCache, HostOp, KeyringAnswer, KeyringOp, Leadership, LocalOp, LogPosition,
    Method, Plan, PlanContext, Request, Response, Server, UserEvent, View, done, event_fired,
    keys_answered, local_refused, plan, read, render,
};
use proconsul_types::{
    CatalogIndex, EntryId, Fault, Instant, LogIndex, NodeId, Planted, Rng, Seed, Term, WallTime,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One server, its catalog and what it offers.
pub(crate) struct World {
    pub(crate) view: View,
    pub(crate) now: Instant,
    pub(crate) cache: BodyCache,
    pub(crate) rng: Rng,
    pub(crate) local: Local,
    /// What the pools answer to a change of keys.
    pub(crate) keys: fn(&KeyringOp) -> Vec<KeyringAnswer>,
    index: u64,
}

impl World {
    /// A server called `kit1` that leads and is registered.
    pub(crate) fn new() -> Self {
        Self::carrying(None)
    }

    /// The same with a planted fault.
    pub(crate) fn carrying(fault: Option<Fault>) -> Self {
        let planted = fault.map_or_else(Planted::none, with);
        let id = NodeId::from_bits(0x5f40_40b1_4f76_a6f5_f303_bccf_084d_f4ec);
        let text = |text: &str| -> Arc<str> { text.into() };
        let facts = AgentFacts {
            id: Some(id),
            name: text("kit1"),
            datacenter: text("dc1"),
            address: text("127.0.0.1"),
            meta: [(text("consul-network-segment"), text(""))].into(),
            server: true,
            version: text("1.8.7"),
            debug_config: text(r#"{"DevMode":false}"#),
            serf_lan_port: 8301,
            serf_wan_port: 8302,
            server_port: 8300,
            kv_value_bytes_max: 64,
            txn_bytes_max: 4096,
            ui: true,
            planted,
            ..AgentFacts::default()
        };
        let server = Server {
            id,
            name: text("kit1"),
            address: Some(([127, 0, 0, 1], 8300).into()),
            voter: true,
        };
        let leadership = Leadership {
            term: Term(2),
            leader: Some(id),
            is_leader: true,
            servers: vec![server],
            membership_index: 1,
            state: None,
        };
        let node = NodeRegistration {
            id: Some(id),
            name: text("kit1"),
            address: text("127.0.0.1"),
            datacenter: text("dc1"),
            tagged_addresses: [(text("lan"), text("127.0.0.1"))].into(),
            meta: facts.meta.clone(),
        };
        let mut effects = Vec::new();
        let config = LocalConfig::new(node.clone());
        let rng = Rng::new(Seed(7));
        let local =
            Local::new(config, rng.split("local"), &BTreeMap::new(), Instant::START, &mut effects);
        let view = View {
            catalog: Catalog::new(text("dc1"), Planted::none()),
            leadership: Arc::new(leadership),
            lease_until: Instant::NEVER,
            last_contact: None,
            log: LogPosition {
                last: EntryId { term: Term(2), index: LogIndex(12) },
                committed: LogIndex(11),
                applied: LogIndex(9),
                snapshot: EntryId { term: Term(1), index: LogIndex(5) },
            },
            local: local.view(),
            agent: Arc::new(facts),
            pools: Arc::default(),
            wall: WallTime(0),
        };
        let (now, cache) = (Instant(1_000_000_000), BodyCache::new());
        let mut world = Self { view, now, cache, rng, local, keys: |_| Vec::new(), index: 9 };
        let health = proconsul_catalog::CheckRegistration {
            id: text("serfHealth"),
            name: text("Serf Health Status"),
            status: proconsul_types::CheckStatus::Passing,
            output: text("Agent alive and reachable"),
            ..Default::default()
        };
        let register =
            Register { node, skip_node_update: false, services: vec![], checks: vec![health] };
        world.apply(&Command::Register(Box::new(register)));
        world
    }

    /// Changes what is known of the leader.
    pub(crate) fn follow(&mut self, last_contact: Option<Instant>) {
        let mut leadership = (*self.view.leadership).clone();
        leadership.is_leader = false;
        self.view.leadership = Arc::new(leadership);
        self.view.last_contact = last_contact;
        self.view.lease_until = Instant::START;
    }

    pub(crate) fn apply(&mut self, command: &Command) -> proconsul_catalog::Outcome {
        self.index += 1;
        self.view.catalog.apply(CatalogIndex(self.index), command).outcome
    }

    /// What a worker thread would do.
    pub(crate) fn read(&mut self, request: &Request) -> Plan {
        read(&self.view, self.now, request, &mut self.cache)
    }

    /// What the event loop would do.
    pub(crate) fn plan(&mut self, request: &Request, confirmed: bool, expired: bool) -> Plan {
        let mut context =
            PlanContext { rng: &mut self.rng, cache: &mut self.cache, confirmed, expired };
        plan(&self.view, self.now, request, &mut context)
    }

    /// The whole way of a request: worker, loop, log, answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        let first = self.read(request);
        if let Plan::Answer(response) = first {
            return response;
        }
        if let Plan::Host(HostOp::Snapshot { head }) = first {
            return head;
        }
        assert_eq!(first, Plan::Enter, "a worker answers or hands over");
        let mut confirmed = false;
        let mut expired = false;
        loop {
            match self.plan(request, confirmed, expired) {
                Plan::Answer(response) | Plan::Renew(_, response) => return response,
                Plan::Enter | Plan::Host(_) => panic!("the loop never hands over"),
                Plan::Leader => {
                    return proconsul_http::error::no_leader(&self.view, request);
                }
                Plan::Confirm => confirmed = true,
                Plan::Park(_) => expired = true,
                Plan::Write(command, reply) => {
                    let outcome = self.apply(&command);
                    return render(reply, &outcome, &self.view, request);
                }
                Plan::Local(LocalOp::FireEvent(event)) => {
                    let id = "9ffd7c69-da7b-6884-9cac-55d28ca9e833".into();
                    let event = UserEvent { id, ..*event };
                    return event_fired(&self.view, request, &event);
                }
                Plan::Local(LocalOp::Keys(op)) => {
                    return keys_answered(&self.view, request, op.action, &(self.keys)(&op));
                }
                Plan::Local(op) => return self.offer(op),
                // No server ever says this.
                Plan::Elsewhere(datacenter) => {
                    let text = format!("(a server of {datacenter} answers)");
                    return proconsul_http::error::plain(&self.view, 299, &text);
                }
                Plan::SnapshotSave | Plan::SnapshotRestore(_) | Plan::Operator(_) => {
                    return done(&self.view);
                }
            }
        }
    }

    fn offer(&mut self, op: LocalOp) -> Response {
        let mut out: Vec<LocalEffect> = Vec::new();
        let (now, out) = (self.now, &mut out);
        let result = match op {
            LocalOp::RegisterService(service, replace) => {
                self.local.register_service(*service, replace, now, out).map(|_| ())
            }
            LocalOp::DeregisterService(id) => {
                self.local.deregister_service(&id, now, out).map(|_| ())
            }
            LocalOp::RegisterCheck(check) => {
                self.local.register_check(*check, now, out).map(|_| ())
            }
            LocalOp::DeregisterCheck(id) => self.local.deregister_check(&id, now, out).map(|_| ()),
            LocalOp::UpdateTtl(id, status, note) => {
                self.local.update_ttl(&id, status, &note, now, out).map(|_| ())
            }
            LocalOp::ServiceMaintenance(id, enable, reason) => {
                self.local.service_maintenance(&id, enable, &reason, now, out).map(|_| ())
            }
            LocalOp::NodeMaintenance(enable, reason) => {
                self.local.node_maintenance(enable, &reason, now, out).map(|_| ())
            }
            LocalOp::Reload
            | LocalOp::Leave
            | LocalOp::Join { .. }
            | LocalOp::ForceLeave { .. }
            | LocalOp::FireEvent(_)
            | LocalOp::Keys(_) => Ok(()),
        };
        self.view.local = self.local.view();
        match result {
            Ok(()) => done(&self.view),
            Err(reason) => local_refused(&self.view, &reason),
        }
    }
}

#[cfg(feature = "planted")]
fn with(fault: Fault) -> Planted {
    Planted::with(fault)
}

#[cfg(not(feature = "planted"))]
fn with(_fault: Fault) -> Planted {
    Planted::none()
}

/// A request from `GET /v1/..` and a body.
pub(crate) fn request(line: &str, body: &str) -> Request {
    let (method, target) = line.split_once(' ').expect("a request line is a method and a target");
    let method = match method {
        "GET" => Method::Get,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.into()),
    };
    Request::new(method, target, Bytes::copy_from_slice(body.as_bytes()))
}
