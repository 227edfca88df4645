//! Blocking queries: parked until something they depend on changes, one evaluation for all that
//! ask the same.
//!
//! What must never happen: a change between the evaluation of a query and its registration. Both
//! happen on the same catalog, in one piece, here.

use crate::Effect;
use crate::node::Node;
use crate::open::{Job, Origin, Stage};
use crate::timers::Timer;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use proconsul_catalog::{Topic, Topics, Waiters};
use proconsul_http::{Plan, Response, Wait};
use proconsul_types::{CatalogIndex, Fault};

/// Names a group of parked requests that ask the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct GroupId(u64);

/// All parked requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocking {
    watchers: Waiters<GroupId>,
    next: u64,
    by_key: BTreeMap<String, GroupId>,
    groups: BTreeMap<GroupId, Group>,
    group_of: BTreeMap<Origin, GroupId>,
    /// Groups that wait for a change of what this agent offers: they name no topic.
    local: BTreeSet<GroupId>,
    /// Groups that must be looked at in this step.
    woken: Vec<GroupId>,
    /// Everything was replaced: everyone is answered, whatever their index says.
    woken_all: bool,
    /// Planted fault only: requests that are registered one step late.
    late: Vec<(Origin, Wait, bool)>,
}

/// Requests that ask the same and wait.
#[derive(Clone, Debug)]
struct Group {
    key: String,
    topics: Vec<Topic>,
    /// Who waits, and the index each has seen.
    members: BTreeMap<Origin, CatalogIndex>,
}

impl Blocking {
    /// How many requests are parked.
    pub(crate) fn parked_count(&self) -> usize {
        self.group_of.len()
    }

    /// How many different queries they ask.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Who is parked.
    pub(crate) fn parked(&self) -> impl Iterator<Item = &Origin> {
        self.group_of.keys()
    }

    /// Something changed.
    pub(crate) fn touched(&mut self, topics: &Topics) {
        if self.groups.is_empty() {
            return;
        }
        if topics.iter().any(|topic| *topic == Topic::All) {
            self.touched_all();
        } else if !topics.is_empty() {
            self.woken.extend(self.watchers.woken(topics));
        }
    }

    /// What this agent offers changed.
    pub(crate) fn touched_local(&mut self) {
        self.woken.extend(&self.local);
    }

    /// Everything was replaced.
    pub(crate) fn touched_all(&mut self) {
        self.woken_all = true;
        self.woken.extend(self.groups.keys());
    }

    /// Takes everyone out.
    pub(crate) fn take_all(&mut self) -> Vec<Origin> {
        let origins = self.group_of.keys().copied().collect();
        self.group_of.clear();
        self.groups.clear();
        self.by_key.clear();
        self.local.clear();
        self.woken.clear();
        self.watchers = Waiters::default();
        origins
    }

    fn register(&mut self, origin: Origin, wait: Wait) {
        let id = match self.by_key.get(&wait.key) {
            Some(id) => *id,
            None => {
                self.next += 1;
                let id = GroupId(self.next);
                self.by_key.insert(wait.key.clone(), id);
                let group = Group { key: wait.key, topics: Vec::new(), members: BTreeMap::new() };
                self.groups.insert(id, group);
                id
            }
        };
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        group.members.insert(origin, wait.min_index);
        self.group_of.insert(origin, id);
        self.watch(id, wait.topics);
    }

    /// Makes the group wait for these topics.
    fn watch(&mut self, id: GroupId, topics: Vec<Topic>) {
        if topics.is_empty() {
            self.local.insert(id);
        }
        if let Some(group) = self.groups.get_mut(&id)
            && group.topics != topics
        {
            let old = core::mem::replace(&mut group.topics, topics);
            for topic in &old {
                self.watchers.remove(topic, &id);
            }
            for topic in &group.topics {
                self.watchers.insert(topic, id);
            }
        }
    }

    fn remove(&mut self, origin: Origin) {
        let Some(id) = self.group_of.remove(&origin) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        group.members.remove(&origin);
        if group.members.is_empty()
            && let Some(group) = self.groups.remove(&id)
        {
            self.by_key.remove(&group.key);
            self.local.remove(&id);
            for topic in &group.topics {
                self.watchers.remove(topic, &id);
            }
        }
    }
}

impl Node {
    /// Parks a request that was just evaluated on the catalog as it is.
    pub(crate) fn park(&mut self, origin: Origin, wait: Wait) {
        let Some(open) = self.opens.get_mut(&origin) else {
            return;
        };
        open.stage = Stage::Parked;
        open.confirmed = false;
        let until = *open.wait_until.get_or_insert_with(|| self.now.after(wait.at_most));
        self.timers.set(Timer::Blocking(origin), until.max(self.now));
        if self.planted.is(Fault::LostWakeup) {
            self.blocking.late.push((origin, wait, true));
        } else {
            self.blocking.register(origin, wait);
        }
    }

    /// Takes a request out of the register.
    pub(crate) fn unpark(&mut self, origin: Origin) {
        self.blocking.remove(origin);
    }

    /// Planted fault only: what was parked in the step before this one is registered now.
    pub(crate) fn register_late_watchers(&mut self) {
        if self.blocking.late.is_empty() {
            return;
        }
        for (origin, wait, fresh) in core::mem::take(&mut self.blocking.late) {
            let parked = self.opens.get(&origin).is_some_and(|open| open.stage == Stage::Parked);
            if fresh {
                self.blocking.late.push((origin, wait, false));
            } else if parked {
                self.blocking.register(origin, wait);
            }
        }
    }

    /// The wait of a blocking query is over: it is answered with what is.
    pub(crate) fn wait_over(&mut self, origin: Origin) {
        let Some(open) = self.opens.get_mut(&origin) else {
            return;
        };
        open.expired = true;
        if open.stage == Stage::Parked {
            open.stage = Stage::Ready;
            self.blocking.remove(origin);
            self.make_ready(origin);
        }
    }

    /// Looks at every query that something applied in this step may have changed: once per query,
    /// however many wait for it and however often it was touched.
    pub(crate) fn wake_watchers(&mut self, out: &mut Vec<Effect>) {
        if self.blocking.woken.is_empty() {
            self.blocking.woken_all = false;
            return;
        }
        self.publish_if_changed(out);
        let mut woken = core::mem::take(&mut self.blocking.woken);
        let all = core::mem::take(&mut self.blocking.woken_all);
        woken.sort_unstable();
        woken.dedup();
        for id in &woken {
            self.look_at_group(*id, all);
        }
        woken.clear();
        if self.blocking.woken.is_empty() {
            // Keeps the allocation for the next step.
            self.blocking.woken = woken;
        }
    }

    fn look_at_group(&mut self, id: GroupId, all: bool) {
        let Some(group) = self.blocking.groups.get(&id) else {
            return;
        };
        // The one that has seen least: if it has nothing new to learn, nobody has.
        let Some((first, _)) = group.members.iter().min_by_key(|(_, seen)| **seen) else {
            return;
        };
        let first = *first;
        let Some(Job::Http(request)) = self.opens.get(&first).map(|open| &open.job) else {
            return;
        };
        let mut context = proconsul_http::PlanContext {
            rng: &mut self.rng,
            cache: &mut self.bodies,
            confirmed: false,
            expired: all,
        };
        let view = self.publisher.peek();
        match proconsul_http::plan(view, self.now, request, &mut context) {
            Plan::Answer(response) => self.answer_group(id, &response, all),
            Plan::Park(wait) => self.blocking.watch(id, wait.topics),
            Plan::Enter
            | Plan::Leader
            | Plan::Confirm
            | Plan::Write(..)
            | Plan::Renew(..)
            | Plan::Local(_)
            | Plan::SnapshotSave
            | Plan::SnapshotRestore(_)
            | Plan::Operator(_)
            | Plan::Host(_)
            | Plan::Elsewhere(_) => self.release_group(id),
        }
    }

    /// Gives `response` to everyone who has not seen its index.
    fn answer_group(&mut self, id: GroupId, response: &Response, all: bool) {
        let Some(group) = self.blocking.groups.get(&id) else {
            return;
        };
        let index = response.header("X-Consul-Index").and_then(|text| text.parse().ok());
        let index = index.map_or(CatalogIndex(u64::MAX), CatalogIndex);
        let told: Vec<Origin> = group
            .members
            .iter()
            .filter(|(_, seen)| all || **seen < index)
            .map(|(origin, _)| *origin)
            .collect();
        for origin in told {
            self.answer(origin, response.clone());
        }
    }

    /// Each of them must be looked at by itself (a quorum round first, or another server).
    fn release_group(&mut self, id: GroupId) {
        let Some(group) = self.blocking.groups.get(&id) else {
            return;
        };
        let members: Vec<Origin> = group.members.keys().copied().collect();
        for origin in members {
            self.blocking.remove(origin);
            if let Some(open) = self.opens.get_mut(&origin) {
                open.stage = Stage::Ready;
                self.make_ready(origin);
            }
        }
    }
}
