//! One look at one request: what does it need, and who gives it that.

use crate::node::Node;
use crate::open::{Job, Origin, Stage};
use crate::proposals::Asked;
use crate::{Admin, DnsTransport, Effect, ExitReason, RequestId};
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_http::{OperatorOp, Plan, PlanContext};
use proconsul_raft::MembershipChange;
use proconsul_types::WallTime;

impl Node {
    /// Looks at a request that is ready. Its plan is made on the newest state.
    pub(crate) fn run(&mut self, origin: Origin, out: &mut Vec<Effect>) {
        self.publisher.show_lease(self.now);
        self.publish_if_changed(out);
        let Some(open) = self.opens.get(&origin) else {
            return;
        };
        if open.stage != Stage::Ready {
            return;
        }
        let request = match &open.job {
            Job::Http(request) => request,
            Job::Apply(command) => {
                if self.publisher.is_leader() {
                    let command = command.clone();
                    self.propose(Asked::Apply(origin), command);
                } else {
                    self.need_leader(origin, out);
                }
                return;
            }
            Job::Node(_) | Job::Place(_) | Job::Dns(..) | Job::Keys(..) => {
                self.run_for_agents(origin, out);
                return;
            }
        };
        let mut context = PlanContext {
            rng: &mut self.rng,
            cache: &mut self.bodies,
            confirmed: open.confirmed,
            expired: open.expired,
        };
        let plan = proconsul_http::plan(self.publisher.peek(), self.now, request, &mut context);
        self.follow(origin, plan, out);
    }

    fn follow(&mut self, origin: Origin, plan: Plan, out: &mut Vec<Effect>) {
        match plan {
            Plan::Answer(response) => self.answer(origin, response),
            Plan::Enter => unreachable!("the event loop is never told to enter itself"),
            Plan::Host(_) => unreachable!("the event loop has no host around it"),
            Plan::Leader => self.need_leader(origin, out),
            Plan::Confirm => self.confirm(origin),
            Plan::Park(wait) => self.park(origin, wait),
            Plan::Write(command, reply) => self.propose(Asked::Write(origin, reply), command),
            Plan::Renew(id, response) => self.renew(origin, id, response),
            Plan::Local(op) => self.local_op(origin, op, out),
            Plan::SnapshotSave => self.save(origin),
            Plan::SnapshotRestore(state) => self.restore(origin, state),
            Plan::Operator(op) => self.operate(origin, op),
            Plan::Elsewhere(datacenter) => self.go_elsewhere(origin, &datacenter, out),
        }
    }

    fn operate(&mut self, origin: Origin, op: OperatorOp) {
        match op {
            OperatorOp::RemovePeer(id) => {
                self.propose_change(origin, MembershipChange::Remove(id));
            }
            OperatorOp::TransferLeader(target) => {
                if let Some(open) = self.opens.get_mut(&origin) {
                    open.stage = Stage::Writing;
                }
                let ticket = self.proposals.ticket(Asked::Transfer(origin), None);
                self.raft_input(proconsul_raft::Input::Transfer(ticket, target));
            }
        }
    }

    /// A DNS question that needs this loop (they are answered on any thread otherwise).
    pub(crate) fn dns(&mut self, id: RequestId, transport: DnsTransport, question: &bytes::Bytes) {
        let tcp = transport == DnsTransport::Tcp;
        let config = Arc::clone(&self.config.dns);
        if !self.config.facts.server || self.name_elsewhere(&config, question).is_some() {
            // A client agent has no catalog, and other datacenters have their own.
            self.accept(Origin::Client(id), Job::Dns(tcp, question.clone(), config), 0);
            return;
        }
        if let Some(answer) = self.resolve_name(&config, tcp, question) {
            self.answers.push(Effect::Reply(id, answer.into()));
        }
    }

    /// The other datacenter that knows the answer to a DNS question, if servers of it are known.
    pub(crate) fn name_elsewhere(
        &self,
        config: &proconsul_dns::Config,
        question: &[u8],
    ) -> Option<Arc<str>> {
        let own = &self.config.facts.datacenter;
        let named = proconsul_dns::other_datacenter(config, own, question)?;
        let mut known = self.servers.datacenters();
        known.find(|known| known.eq_ignore_ascii_case(&named)).cloned()
    }

    /// Answers a DNS question from this server's catalog, as `config` says.
    pub(crate) fn resolve_name(
        &mut self,
        config: &proconsul_dns::Config,
        tcp: bool,
        question: &[u8],
    ) -> Option<Vec<u8>> {
        let facts = self.dns_facts();
        self.read_name(config, &facts, tcp, question)
    }

    /// The answer to a DNS question that nobody could answer.
    pub(crate) fn name_failed(&mut self, tcp: bool, question: &[u8]) -> Vec<u8> {
        let facts = proconsul_dns::Facts { ready: false, ..self.dns_facts() };
        let config = Arc::clone(&self.config.dns);
        self.read_name(&config, &facts, tcp, question).unwrap_or_default()
    }

    fn read_name(
        &mut self,
        config: &proconsul_dns::Config,
        facts: &proconsul_dns::Facts,
        tcp: bool,
        question: &[u8],
    ) -> Option<Vec<u8>> {
        proconsul_dns::read(&self.catalog, config, facts, &mut self.dns_rng, tcp, question)
    }

    fn dns_facts(&self) -> proconsul_dns::Facts {
        proconsul_dns::Facts {
            datacenter: Arc::clone(&self.config.facts.datacenter),
            unix_seconds: self.wall.0 / 1000,
            ready: self.publisher.peek().is_catalog_known(),
            node: Arc::clone(&self.config.facts.name),
            address: Arc::clone(&self.config.facts.address),
        }
    }

    pub(crate) fn wall_clock(&mut self, wall: WallTime) {
        self.wall = wall;
        self.agent_wall_clock(wall);
    }

    pub(crate) fn admin(&mut self, admin: Admin, out: &mut Vec<Effect>) {
        match admin {
            Admin::Stop => {
                self.flush_disk(out);
                self.stop(ExitReason::Stopped, out);
            }
            Admin::Interrupt => self.signal(false, out),
            Admin::Terminate => self.signal(true, out),
            Admin::Reload(configured, answer) => self.reload(*configured, answer),
            Admin::ReloadFailed(answer, reason) => {
                if let Some(id) = answer {
                    self.fail(Origin::Client(id), &reason);
                }
            }
            Admin::Addresses(addresses) => self.new_addresses(addresses),
        }
    }
}
