//! What the leader does for the cluster besides ordering writes: it makes the catalog say who is
//! here, brings servers into the group and out of it, and keeps the group safe.
//!
//! - [`reconcile`]: from a member of the pool to a write of the catalog.
//! - [`group`]: which servers belong to the group, and who of them votes.
//! - [`autopilot`]: how the servers are, whom to promote, whom to give up.
//!
//! Each duty is a function over what gossip and the catalog say; this file only says when.

mod autopilot;
mod group;
mod reconcile;

use crate::Effect;
use crate::node::Node;
use crate::proposals::Asked;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use autopilot::Watched;
use proconsul_catalog::{AutopilotChange, Command};
use proconsul_gossip::{Member, server_of};
use proconsul_http::AutopilotHealth;
use proconsul_types::{Duration, Fault, Instant, MemberStatus, NodeId, Pool};

/// What the leader has under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Duties {
    /// Whether this server does them: it leads, and has applied what earlier leaders promised.
    active: bool,
    /// Since when.
    since: Instant,
    /// Members to look at in this step.
    pending: BTreeSet<Arc<str>>,
    /// Members of which a write is under way.
    writing: BTreeSet<Arc<str>>,
    /// Members whose write was refused or lost: looked at again with the next retry.
    again: BTreeSet<Arc<str>>,
    /// A change of the group is under way.
    changing: bool,
    /// Nodes of the catalog that gossip did not know at the last full look.
    unknown: BTreeSet<Arc<str>>,
    /// Servers that left and were forgotten at once, by name, while they have a seat.
    pruned: BTreeMap<Arc<str>, NodeId>,
    /// What autopilot remembers of each server.
    watched: BTreeMap<NodeId, Watched>,
    /// What autopilot last found.
    health: Option<Arc<AutopilotHealth>>,
}

/// Names what a proposal of this part is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// The catalog's entry of a member.
    Member(Arc<str>),
    /// The group of servers.
    Group,
}

/// Between two looks at the whole pool.
const FULL_INTERVAL: Duration = Duration::from_secs(60);
/// Between two looks at the servers.
const AUTOPILOT_INTERVAL: Duration = Duration::from_secs(2);
/// After something was refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Duties {
    /// What autopilot last found; the leader alone knows.
    pub(crate) fn health(&self) -> Option<Arc<AutopilotHealth>> {
        self.health.clone()
    }
}

impl Node {
    /// A leader that knows everything earlier leaders promised begins its duties.
    pub(crate) fn duties_may_begin(&mut self) {
        let has_pools = self.pools.pool(Pool::Lan).is_some();
        if !self.publisher.is_leader() || self.duties.active || !has_pools {
            return;
        }
        self.duties = Duties { active: true, since: self.now, ..Duties::default() };
        self.announce_leader();
        self.store_autopilot();
        if self.planted.is(Fault::ReconcileOnlyEvents) {
            self.timers.set(Timer::Reconcile, Instant::NEVER);
        } else {
            self.timers.set(Timer::Reconcile, self.now);
        }
        self.timers.set(Timer::Autopilot, self.now);
    }

    /// The first leader writes down what autopilot goes by; from then on operators do.
    fn store_autopilot(&mut self) {
        if self.catalog.autopilot().is_none() {
            let change = AutopilotChange { config: self.autopilot_config(), cas: None };
            self.propose(Asked::Duty(None), Command::Autopilot(Box::new(change)));
        }
    }

    /// This server does not lead any more.
    pub(crate) fn duties_end(&mut self) {
        if !self.duties.active {
            return;
        }
        self.duties = Duties::default();
        self.places.forget();
        for timer in [Timer::Reconcile, Timer::Autopilot, Timer::Duty, Timer::Places] {
            self.timers.clear(&timer);
        }
        self.pools.changed();
    }

    /// Something happened to a member.
    pub(crate) fn reconcile_soon(&mut self, name: &Arc<str>) {
        if self.duties.active {
            self.duties.pending.insert(Arc::clone(name));
        }
    }

    /// A member is forgotten: what the catalog has of it goes; its seat in the group too if it
    /// had left.
    pub(crate) fn reap_soon(&mut self, member: &Arc<Member>) {
        self.reconcile_soon(&member.name);
        let group = self.raft.membership();
        self.duties.pruned.retain(|name, id| group.contains(*id) && *name != member.name);
        if self.duties.active
            && member.status == MemberStatus::Left
            && let Some(id) = server_of(member).and_then(|server| server.id)
            && group.contains(id)
        {
            self.duties.pruned.insert(Arc::clone(&member.name), id);
        }
    }

    /// Looks at every member, and for nodes that are no members any more.
    pub(crate) fn reconcile_all(&mut self) {
        if !self.duties.active {
            return;
        }
        self.timers.set(Timer::Reconcile, self.now.after(FULL_INTERVAL));
        let Some(lan) = self.pools.pool(Pool::Lan) else {
            return;
        };
        let names: Vec<Arc<str>> = lan.members().map(|member| Arc::clone(&member.name)).collect();
        let strangers: BTreeSet<Arc<str>> = reconcile::strangers(&self.catalog, |name| {
            lan.member(name).is_some_and(|member| member.status != MemberStatus::None)
        });
        self.duties.pending.extend(names);
        // A leader that has just started may know less than the pool does: whoever is missed once
        // gets until the next full look to show up.
        let missed_twice: Vec<Arc<str>> =
            strangers.intersection(&self.duties.unknown).cloned().collect();
        self.duties.pending.extend(missed_twice);
        self.duties.unknown = strangers;
    }

    /// What was refused or lost gets another try.
    pub(crate) fn duties_again(&mut self) {
        let again = core::mem::take(&mut self.duties.again);
        self.duties.pending.extend(again);
    }

    /// Whether there is something to look at.
    pub(crate) fn has_duties(&self) -> bool {
        !self.duties.pending.is_empty()
    }

    /// Looks at every member about which there may be something to do.
    pub(crate) fn do_duties(&mut self, out: &mut Vec<Effect>) {
        while let Some(name) = self.duties.pending.pop_first() {
            if !self.duties.active {
                self.duties.pending.clear();
                return;
            }
            if self.duties.writing.contains(&name) {
                self.again_soon(name);
                continue;
            }
            self.look_at_member(&name, out);
        }
    }

    fn look_at_member(&mut self, name: &Arc<str>, out: &mut Vec<Effect>) {
        let member = self.pools.member(Pool::Lan, name);
        if member.as_deref().is_some_and(|member| self.is_of_the_past(member)) {
            self.again_soon(Arc::clone(name));
            return;
        }
        if self.reconcile_group(name, member.as_deref(), out) == group::Standing::Later {
            self.again_soon(Arc::clone(name));
        }
        let context = reconcile::Context {
            catalog: &self.catalog,
            own: &self.config.facts.name,
            datacenter: &self.config.facts.datacenter,
            planted: self.planted,
        };
        let plan = match &member {
            Some(member) => reconcile::plan(member, &context),
            None => reconcile::gone(name, &context),
        };
        if let Some(command) = plan {
            let is_alive = member.is_some_and(|member| member.status == MemberStatus::Alive);
            if is_alive && matches!(command, Command::Deregister(_)) {
                // Its name was another's: once that is gone, it gets it.
                self.again_soon(Arc::clone(name));
            }
            self.duties.writing.insert(Arc::clone(name));
            self.propose(Asked::Duty(Some(Duty::Member(Arc::clone(name)))), command);
        }
    }

    fn again_soon(&mut self, name: Arc<str>) {
        self.duties.again.insert(name);
        if self.timers.get(&Timer::Duty).is_none() {
            self.timers.set(Timer::Duty, self.now.after(RETRY_AFTER));
        }
    }

    /// A proposal of this part came to its end. What the catalog rejected stays as it is until
    /// something else changes; what was not proposed or lost is tried again.
    pub(crate) fn duty_ended(&mut self, duty: Option<Duty>, done: bool) {
        match duty {
            Some(Duty::Member(name)) => {
                self.duties.writing.remove(&name);
                if !done && self.duties.active {
                    self.again_soon(name);
                }
            }
            Some(Duty::Group) => {
                self.duties.changing = false;
                if self.duties.active {
                    // Whoever waited for this change gets its turn.
                    self.duties_again();
                    if !done && self.timers.get(&Timer::Duty).is_none() {
                        self.timers.set(Timer::Duty, self.now.after(RETRY_AFTER));
                    }
                }
            }
            None => {}
        }
    }

    /// Looks how the servers are, and does what autopilot says.
    pub(crate) fn autopilot(&mut self, out: &mut Vec<Effect>) {
        if !self.duties.active {
            return;
        }
        self.timers.set(Timer::Autopilot, self.now.after(AUTOPILOT_INTERVAL));
        self.watch_servers();
        self.promote_or_give_up(out);
    }
}
