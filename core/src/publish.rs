//! The picture other threads read (design D8): rebuilt only when it changed, published before any
//! answer that depends on it.

use crate::node::Node;
use crate::open::Stage;
use crate::{Config, Effect};
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::Catalog;
use proconsul_http::{AgentFacts, Leadership, LogPosition, PoolView, Server, View};
use proconsul_raft::Membership;
use proconsul_types::{Duration, Instant, NodeId, Term, WallTime};

/// The published view and what is newer than it.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    view: Arc<View>,
    /// Something that readers must see changed.
    changed: bool,
    /// The group, its names or its addresses changed.
    leadership_changed: bool,
    membership: Membership,
    membership_index: u64,
    term: Term,
    leader: Option<NodeId>,
    is_leader: bool,
    /// The newest lease; the published one may be a little shorter.
    lease_until: Instant,
    last_contact: Option<Instant>,
    local: Arc<proconsul_checks::LocalView>,
    pools: Arc<PoolView>,
    /// How far the published moment of last contact may lag behind the newest one.
    lag_max: Duration,
}

impl Publisher {
    /// What is shown before anything happened.
    pub(crate) fn new(config: &Config, catalog: &Catalog, membership: Membership) -> Self {
        let agent: Arc<AgentFacts> = Arc::new(config.facts.clone());
        let view = View {
            catalog: catalog.clone(),
            leadership: Arc::new(Leadership::default()),
            lease_until: Instant::START,
            last_contact: None,
            log: LogPosition::default(),
            local: Arc::default(),
            pools: Arc::default(),
            agent,
            wall: WallTime::default(),
        };
        Self {
            local: view.local.clone(),
            pools: view.pools.clone(),
            view: Arc::new(view),
            changed: true,
            leadership_changed: true,
            membership,
            membership_index: 0,
            term: Term::default(),
            leader: None,
            is_leader: false,
            lease_until: Instant::START,
            last_contact: None,
            lag_max: config.raft.heartbeat_interval * 4,
        }
    }

    /// The newest published view.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// The same, without a count.
    pub(crate) fn peek(&self) -> &View {
        &self.view
    }

    /// Who leads, if known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Whether this server leads.
    pub(crate) fn is_leader(&self) -> bool {
        self.is_leader
    }

    /// Until when default reads may be answered here.
    pub(crate) fn lease_until(&self) -> Instant {
        self.lease_until
    }

    /// Before a request is looked at: a lease that is only newer than the published one counts.
    pub(crate) fn show_lease(&mut self, now: Instant) {
        self.changed |= self.view.lease_until <= now && self.lease_until > now;
    }

    /// What the agent knows of itself changed.
    pub(crate) fn agent_changed(&mut self, facts: &AgentFacts) {
        if *self.view.agent != *facts {
            Arc::make_mut(&mut self.view).agent = Arc::new(facts.clone());
            self.changed = true;
        }
    }

    /// The catalog changed.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// The group, its names or its addresses changed.
    pub(crate) fn leadership_changed(&mut self) {
        self.leadership_changed = true;
        self.changed = true;
    }

    /// Members, events, or what else gossip knows changed.
    pub(crate) fn pools_changed(&mut self, pools: Arc<PoolView>) {
        self.pools = pools;
        self.changed = true;
    }

    /// This agent's own services and checks changed.
    pub(crate) fn local_changed(&mut self, local: Arc<proconsul_checks::LocalView>) {
        self.local = local;
        self.changed = true;
    }
}

impl Node {
    /// Raft's role, term, leader or membership changed.
    pub(crate) fn status_changed(&mut self, out: &mut Vec<Effect>) {
        let (term, leader) = (self.raft.term(), self.raft.leader());
        let led = self.publisher.is_leader;
        let leads = self.raft.is_leader();
        let old = (self.publisher.leader, self.publisher.term, led);
        self.publisher.term = term;
        self.publisher.leader = leader;
        self.publisher.is_leader = leads;
        self.publisher.last_contact = match (leads, led) {
            (true, _) => None,
            // Who led until now was in contact with the leader until now.
            (false, true) => Some(self.now),
            (false, false) => self.raft.heard_at().or(self.publisher.last_contact),
        };
        self.publisher.leadership_changed();
        let new = (self.publisher.leader, self.publisher.term, leads);
        if old == new {
            return;
        }
        let same_reign = led && leads && old.1 == new.1;
        if !same_reign {
            self.publisher.lease_until = Instant::START;
            if led {
                self.deposed();
            }
            if leads {
                self.elected();
            }
        }
        self.forwarded_to_old_leader(leader);
        self.look_again_at_held();
        self.leader_for_agent(leader);
        if led && !leads {
            // Other threads must not go on answering for a leader that is none.
            self.publish_if_changed(out);
        }
    }

    /// This server led and does not any more.
    fn deposed(&mut self) {
        self.proposals_lost(None);
        self.reads_lost();
        self.end_transfers();
        self.sessions_deposed();
        self.duties_end();
        self.look_again_at_parked();
    }

    /// This server leads from now on.
    fn elected(&mut self) {
        self.sessions_elected();
    }

    /// Default reads may be answered here until `until`.
    pub(crate) fn lease(&mut self, until: Instant) {
        let over = self.publisher.lease_until <= self.now;
        self.publisher.lease_until = until;
        // Readers need not see every extension, only never run out.
        let shown = self.publisher.view.lease_until;
        if until < shown || shown.since(self.now) * 2 < until.since(self.now) {
            self.publisher.changed = true;
        }
        if over && until > self.now {
            self.publisher.changed = true;
            self.look_again_at_held();
        }
    }

    /// The membership in force changed.
    pub(crate) fn membership_changed(&mut self, membership: Membership) {
        self.publisher.membership = membership;
        self.publisher.membership_index = self.raft.membership_index().0;
        self.publisher.leadership_changed();
    }

    /// Notes when the leader was last heard; shown once it lags behind enough to matter. That there
    /// is no leader any more does not undo when one was heard: stale reads go on.
    fn refresh_last_contact(&mut self) {
        if self.publisher.is_leader {
            return;
        }
        let heard = self.raft.heard_at().or(self.publisher.last_contact);
        if heard == self.publisher.last_contact {
            return;
        }
        self.publisher.last_contact = heard;
        let lags = match (heard, self.publisher.view.last_contact) {
            (Some(heard), Some(shown)) => heard.since(shown) >= self.publisher.lag_max,
            (Some(_), None) | (None, Some(_)) => true,
            (None, None) => false,
        };
        self.publisher.changed |= lags;
    }

    /// Publishes a new view if readers would see anything new in it.
    pub(crate) fn publish_if_changed(&mut self, out: &mut Vec<Effect>) {
        self.refresh_last_contact();
        self.refresh_pool_view();
        // Entries that are neither applied nor committed are no news to readers.
        let shown = self.publisher.view.log;
        self.publisher.changed |=
            shown.applied != self.applied.index || shown.snapshot != self.snapshots.newest();
        if !self.publisher.changed {
            return;
        }
        self.publisher.changed = false;
        let leadership = if self.publisher.leadership_changed {
            self.publisher.leadership_changed = false;
            let leadership = self.leadership();
            if leadership == *self.publisher.view.leadership {
                Arc::clone(&self.publisher.view.leadership)
            } else {
                Arc::new(leadership)
            }
        } else {
            Arc::clone(&self.publisher.view.leadership)
        };
        let view = Arc::new(View {
            catalog: self.catalog.clone(),
            leadership,
            lease_until: self.publisher.lease_until,
            last_contact: self.publisher.last_contact,
            log: self.log_position(),
            local: Arc::clone(&self.publisher.local),
            pools: Arc::clone(&self.publisher.pools),
            agent: Arc::clone(&self.publisher.view.agent),
            wall: self.wall,
        });
        self.publisher.view = Arc::clone(&view);
        out.push(Effect::Publish(view));
    }

    fn log_position(&self) -> LogPosition {
        LogPosition {
            last: self.raft.last(),
            committed: self.raft.committed(),
            applied: self.applied.index,
            snapshot: self.snapshots.newest(),
        }
    }

    fn leadership(&self) -> Leadership {
        let servers = self.publisher.membership.members.iter().map(|(id, member)| {
            let name = if *id == self.config.id {
                Arc::clone(&self.config.facts.name)
            } else {
                match (self.catalog.node_by_id(*id), self.servers.get(*id)) {
                    (Some(node), _) => Arc::clone(&node.name),
                    (None, Some(server)) => Arc::clone(&server.name),
                    (None, None) => alloc::format!("{id}").into(),
                }
            };
            Server { id: *id, name, address: self.addresses.get(*id), voter: member.voter }
        });
        Leadership {
            term: self.publisher.term,
            leader: self.publisher.leader,
            is_leader: self.publisher.is_leader,
            servers: servers.collect(),
            membership_index: self.publisher.membership_index,
            state: self.agreement.newest(),
        }
    }

    /// Parked requests of a server that lost its office are looked at again: stale ones park
    /// again, the others go where the leader is.
    fn look_again_at_parked(&mut self) {
        for origin in self.blocking.take_all() {
            if let Some(open) = self.opens.get_mut(&origin)
                && open.stage == Stage::Parked
            {
                open.stage = Stage::Ready;
                open.confirmed = false;
                self.make_ready(origin);
            }
        }
    }
}
