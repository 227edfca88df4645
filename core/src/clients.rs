//! Between agents: a client agent and the servers it asks, a server and other datacenters.

use crate::node::Node;
use crate::open::{Job, Origin, Way};
use crate::servers::NoWay;
use crate::{CallAnswer, Effect};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::{Catalog, Outcome, Register};
use proconsul_checks::LocalError;
use proconsul_http::error::{NO_PATH_TO_DATACENTER, NO_SERVERS};
use proconsul_http::{KeyringAnswer, Request};
use proconsul_types::{Fault, NodeId, Pool};

/// Every server of the datacenter failed.
const DATACENTER_UNREACHABLE: &str = "Remote DC has no server currently reachable";

impl Node {
    /// Whether raft hears `from`: a server of this group or of this datacenter. (Servers of other
    /// datacenters may call, but belong to another group.)
    pub(crate) fn is_of_group(&self, from: NodeId) -> bool {
        self.config.facts.server
            && (self.pools.pool(Pool::Lan).is_none()
                || self.raft.membership().contains(from)
                || self.servers.get(from).is_some())
    }

    /// The HTTP request behind an open one.
    pub(crate) fn request(&self, origin: Origin) -> Option<Request> {
        match self.opens.get(&origin).map(|open| &open.job) {
            Some(Job::Http(request)) => Some(request.clone()),
            Some(Job::Apply(_) | Job::Node(_) | Job::Place(_) | Job::Dns(..) | Job::Keys(..))
            | None => None,
        }
    }

    /// This request needs a server, and this agent is none.
    pub(crate) fn need_server(&mut self, origin: Origin, out: &mut Vec<Effect>) {
        match self.preferred_server() {
            Some(server) => self.forward(origin, server, Way::Server, out),
            None => self.fail(origin, NO_SERVERS),
        }
    }

    /// This request needs a server of another datacenter.
    pub(crate) fn go_elsewhere(&mut self, origin: Origin, datacenter: &str, out: &mut Vec<Effect>) {
        let may_pass = self.opens.get(&origin).is_some_and(|open| open.may_pass);
        if !may_pass {
            self.fail(origin, NO_PATH_TO_DATACENTER);
            return;
        }
        match self.server_of_datacenter(datacenter) {
            Ok(server) => self.forward(origin, server, Way::Server, out),
            Err(NoWay::Unknown) => self.fail(origin, NO_PATH_TO_DATACENTER),
            Err(NoWay::Unreachable) => self.fail(origin, DATACENTER_UNREACHABLE),
        }
    }

    /// What agents ask of servers besides HTTP and commands.
    pub(crate) fn run_for_agents(&mut self, origin: Origin, out: &mut Vec<Effect>) {
        let Some(job) = self.opens.get(&origin).map(|open| open.job.clone()) else {
            return;
        };
        let leads = self.publisher.is_leader();
        match job {
            Job::Node(name) => {
                let holds_lease = self.now < self.publisher.lease_until();
                let trusts = self.planted.is(Fault::SyncTrustsOldServer);
                if self.config.facts.server && ((leads && holds_lease) || trusts) {
                    let node = described(&self.catalog, &name);
                    self.answer_node(origin, node);
                } else {
                    self.need_leader(origin, out);
                }
            }
            Job::Place(place) => match leads.then(|| self.note_place(*place)) {
                None => self.need_leader(origin, out),
                Some(Ok(())) => self.answer_done(origin),
                Some(Err(text)) => self.fail(origin, text),
            },
            Job::Dns(stream, question, config) => {
                if !self.config.facts.server {
                    self.need_server(origin, out);
                } else if let Some(datacenter) = self.name_elsewhere(&config, &question) {
                    self.go_elsewhere(origin, &datacenter, out);
                } else {
                    let answer = self.resolve_name(&config, stream, &question);
                    let answer = answer.unwrap_or_default();
                    self.answer_dns(origin, answer.into());
                }
            }
            Job::Keys(op, datacenter) => self.run_keys(origin, &op, datacenter, out),
            Job::Http(_) | Job::Apply(_) => {
                unreachable!("requests and commands have ways of their own")
            }
        }
    }

    fn answer_done(&mut self, origin: Origin) {
        if let Origin::Peer(peer, id) = origin {
            if self.close(origin).is_some() {
                self.reply(peer, id, CallAnswer::Done);
            }
        } else {
            self.answer_applied(origin, Outcome::Done);
        }
    }

    /// What the catalog says of a node goes to whoever asked.
    pub(crate) fn answer_node(&mut self, origin: Origin, node: Option<Box<Register>>) {
        if self.close(origin).is_none() {
            return;
        }
        match origin {
            Origin::Peer(peer, id) => self.reply(peer, id, CallAnswer::Node(node)),
            Origin::Agent(id) => self.fetched(id, node),
            Origin::Client(_) => {}
        }
    }

    /// An answer of DNS goes to whoever asked; an empty one is none.
    pub(crate) fn answer_dns(&mut self, origin: Origin, answer: Bytes) {
        let Some(open) = self.close(origin) else {
            return;
        };
        match (origin, open.job) {
            (Origin::Peer(peer, id), _) => self.reply(peer, id, CallAnswer::Dns(answer)),
            (Origin::Client(id), Job::Dns(stream, question, _)) => {
                let answer = match answer.is_empty() {
                    true => self.name_failed(stream, &question).into(),
                    false => answer,
                };
                self.answers.push(Effect::Reply(id, answer));
            }
            (Origin::Client(_) | Origin::Agent(_), _) => {}
        }
    }

    /// What other datacenters said of their keys.
    pub(crate) fn answer_keys(&mut self, origin: Origin, answers: Vec<KeyringAnswer>) {
        if self.close(origin).is_some()
            && let Origin::Agent(part) = origin
        {
            self.keys_from_afar(part, Ok(answers));
        }
    }

    /// A request to tell everyone that a failed member has left.
    pub(crate) fn force_leave(&mut self, origin: Origin, node: &str, prune: bool, wan: bool) {
        let datacenter = Arc::clone(&self.config.facts.datacenter);
        let known = if wan {
            let known = self.pools.member(Pool::Wan, node).is_some();
            if known {
                let node = node.into();
                self.pools.tell(Pool::Wan, proconsul_gossip::Input::ForceLeave { node, prune });
            }
            known
        } else {
            self.pools.member(Pool::Lan, node).is_some()
                && self.force_leave_everywhere(node, &datacenter, prune)
        };
        if known {
            self.answer_empty(origin);
        } else {
            let text = alloc::format!("agent: No node found with name '{node}'");
            self.refuse(origin, &LocalError { status: 500, text });
        }
    }
}

/// A node with everything on it, as a registration.
fn described(catalog: &Catalog, name: &str) -> Option<Box<Register>> {
    let node = catalog.node(name)?;
    Some(Box::new(Register {
        node: node.into(),
        skip_node_update: false,
        services: catalog.node_services(name).map(|service| service.registration.clone()).collect(),
        checks: catalog.node_checks(name).map(Into::into).collect(),
    }))
}
