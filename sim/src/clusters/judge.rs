//! What must hold at any time.
//!
//! - `one.leader`: a term has one leader. `same.state`: servers that applied as much hold the same.
//! - `read.*` ([`super::reads`]), `create.denied`: no acknowledged write is lost, none done twice.
//! - `offer.*`, `death.told`: what the catalog says of agents ([`super::told`]).
//! - `must.write`: what must succeed does, in time ([`super::asks`]).
//! - `vote.early`, `vote.taken`: a vote is earned by time, and the dead lose theirs only where the
//!   rest is a safe majority of those that were. `seat.taken`: who lives and is missed by nobody
//!   stays in the group.

use super::asks::{Asked, Purpose};
use super::config;
use super::machines::Machine;
use super::plan::Options;
use super::reads::Keys;
use super::rest::Rule;
use super::told::{Missed, SHOWN_MAX};
use super::world::{SECOND, World};
use crate::judge::Violation;
use crate::links::Fate;
use crate::machine::{View, catalog_index, state_hash};
use proconsul_core::Event;
use proconsul_core::raft;
use proconsul_core::types::{MemberStatus, NodeId, Pool, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many states are remembered for comparison.
const STATES_MAX: usize = 4_000;
/// A server votes no sooner than this after it was let in: autopilot's stabilization time, less
/// what the looks in between may miss.
const VOTE_EARNED: u64 = 7 * SECOND;

/// Nothing has been wrong for so long that nothing is left of it.
pub(super) const CALM: u64 = 60 * SECOND;
/// A death is known after this long, in a small pool without trouble.
const KNOWN_DEAD: u64 = 30 * SECOND;

/// A leave that others say of someone reaches every leader within this.
const LEAVE_UNHEARD: u64 = 5 * SECOND;

/// What an agent is known to offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// The request that said so last.
    number: u64,
    /// The port; `None`: nothing.
    pub(super) port: Option<u16>,
    /// Whether the request was answered.
    pub(super) sure: bool,
    /// When.
    pub(super) at: u64,
    /// What the catalog shows counts from then on: what was told before may be on its way still.
    pub(super) from: u64,
}

/// The group of a datacenter, as committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Since when each is a member, and whether it votes.
    members: BTreeMap<NodeId, (u64, bool)>,
    pub(super) term: Term,
    at: u64,
}

#[derive(Debug)]
pub(super) struct Judge {
    pub(super) violation: Option<Violation>,
    pub(super) keys: Keys,
    pub(super) offers: BTreeMap<(usize, u8), Offer>,
    pub(super) healed_at: Option<u64>,
    /// When each rule of rest held last, or when what it rests on came to hold, by datacenter.
    pub(super) waits: BTreeMap<(usize, Rule), u64>,
    /// When a healed world was first seen at rest.
    pub(super) rested_at: Option<u64>,
    /// Agents of a world at rest that could not write in a datacenter.
    pub(super) ask_again: Vec<(usize, usize)>,
    /// Requests that were answered with 200.
    pub(super) answered: u64,
    /// Who comes back after its crash.
    returning: BTreeSet<usize>,
    /// How often each datacenter lost everything.
    eras: Vec<u64>,
    /// Servers with something of their datacenter's state.
    keeping: BTreeSet<usize>,
    states: BTreeMap<(usize, u64, u64), u64>,
    leaders: BTreeMap<(usize, u64, Term), NodeId>,
    /// Services that were in a catalog, with the index they were first seen at.
    pub(super) seen: BTreeMap<(usize, u8), u64>,
    /// Agents that a server of their datacenter, or its leader, does not hold for alive, and when
    /// their offers may leave the catalog at the earliest.
    pub(super) missed: BTreeMap<usize, Missed>,
    /// The term in which a leader held each agent for alive last.
    pub(super) met: BTreeMap<usize, Term>,
    /// When one did so again.
    pub(super) met_at: BTreeMap<usize, u64>,
    /// When something was wrong last.
    pub(super) disturbed_at: u64,
    /// Who died in a calm world, and when.
    pub(super) deaths: Vec<(usize, u64)>,
    /// Services that someone took out by hand.
    pub(super) meddled: BTreeSet<(usize, u8)>,
    pub(super) groups: Vec<Group>,
}

impl Judge {
    pub(super) fn new(options: &Options) -> Self {
        let count = options.datacenters.len();
        Self {
            violation: None,
            keys: Keys::default(),
            offers: BTreeMap::new(),
            healed_at: None,
            waits: BTreeMap::new(),
            rested_at: None,
            ask_again: Vec::new(),
            answered: 0,
            returning: BTreeSet::new(),
            eras: vec![0; count],
            keeping: BTreeSet::new(),
            states: BTreeMap::new(),
            leaders: BTreeMap::new(),
            seen: BTreeMap::new(),
            missed: BTreeMap::new(),
            met: BTreeMap::new(),
            met_at: BTreeMap::new(),
            disturbed_at: 0,
            deaths: Vec::new(),
            meddled: BTreeSet::new(),
            groups: vec![Group::default(); count],
        }
    }

    /// A rule is broken; the first one counts.
    pub(super) fn broken(&mut self, rule: &str, at: u64, text: impl FnOnce() -> String) {
        Violation::note(&mut self.violation, rule, at, text);
    }

    pub(super) fn crashed(&mut self, machine: usize, returns: bool) {
        if returns {
            self.returning.insert(machine);
        } else {
            self.returning.remove(&machine);
        }
    }

    pub(super) fn returns(&self, machine: usize) -> bool {
        self.returning.contains(&machine)
    }

    /// A machine lost its disk. If no server of its datacenter keeps anything, all is lost there.
    pub(super) fn lost(&mut self, machine: usize, machines: &[Machine], now: u64) {
        self.offers.retain(|(of, _), _| *of != machine);
        self.seen.retain(|(of, _), _| *of != machine);
        let dc = machines[machine].place.dc;
        if !self.keeping.remove(&machine) {
            return;
        }
        let keeps = |other: &usize| machines[*other].place.dc == dc;
        if !self.keeping.iter().any(keeps) {
            self.eras[dc] += 1;
            self.keys.lose(u8::try_from(dc).unwrap_or(u8::MAX), now);
            self.seen.retain(|(of, _), _| machines[*of].place.dc != dc);
            self.groups[dc] = Group::default();
            // Terms begin anew: that a former leader of the same one met someone says nothing.
            self.met.retain(|of, _| machines[*of].place.dc != dc);
        }
    }

    /// How often a datacenter lost everything.
    pub(super) fn era(&self, dc: usize) -> u64 {
        self.eras.get(dc).copied().unwrap_or(0)
    }

    /// Whether the pool of its servers does not hold an agent for alive.
    pub(super) fn is_missed(&self, machine: usize) -> bool {
        self.missed.contains_key(&machine)
    }

    /// Someone is forced out, or comes `back` from a leave. Until a leader has heard that it is
    /// here, it may be forgotten at once; and a leader may hear of the leave late.
    pub(super) fn may_have_left(&mut self, machine: usize, back: bool, now: u64) {
        let until = if back { now } else { now + LEAVE_UNHEARD };
        self.missed.insert(machine, Missed { at: 0, any: true, back, until });
    }

    /// Someone takes a service out of the catalog: it need not stay, but come back.
    pub(super) fn meddled(&mut self, of: usize, service: u8) {
        self.meddled.insert((of, service));
    }

    pub(super) fn begins(&mut self, number: u64, asked: &Asked) {
        match asked.purpose {
            Purpose::Put { dc, key } => self.keys.begins((dc, key), number, asked.invoked),
            Purpose::Offer { service, port } => {
                let key = (asked.by, service);
                let (at, before) = (asked.invoked, self.offers.get(&key));
                let from = match before {
                    Some(before) if before.port.is_none() => at + SHOWN_MAX,
                    Some(before) => before.from,
                    None => 0,
                };
                self.offers.insert(key, Offer { number, port, sure: false, at, from });
                self.seen.remove(&key);
            }
            Purpose::Meddle { of, service } => self.meddled(of, service),
            Purpose::Read { .. }
            | Purpose::Create
            | Purpose::Must { .. }
            | Purpose::Watch { .. }
            | Purpose::Session
            | Purpose::Probe { .. }
            | Purpose::Plain => {}
        }
    }

    pub(super) fn offered(
        &mut self,
        by: usize,
        service: u8,
        port: Option<u16>,
        (number, done): (u64, bool),
        now: u64,
    ) {
        if let Some(offer) = self.offers.get_mut(&(by, service))
            && offer.number == number
        {
            (offer.port, offer.sure, offer.at) = (port, done, now);
        }
    }

    /// A server shows a catalog.
    fn shown(&mut self, (machine, dc): (usize, usize), view: &View, now: u64) {
        let index = catalog_index(view);
        if index == 0 {
            return;
        }
        self.keeping.insert(machine);
        let hash = state_hash(view);
        let known = *self.states.entry((dc, self.eras[dc], index)).or_insert(hash);
        if known != hash {
            self.broken("same.state", now, || {
                format!("m{machine} holds something else at index {index} than others of dc{dc}")
            });
        }
        if self.states.len() > STATES_MAX {
            self.states.pop_first();
        }
    }

    fn leads(&mut self, (machine, dc): (usize, usize), id: NodeId, term: Term, now: u64) {
        let known = *self.leaders.entry((dc, self.eras[dc], term)).or_insert(id);
        if known != id {
            self.broken("one.leader", now, || {
                format!("m{machine} leads dc{dc} in term {term}, which another led")
            });
        }
    }
}

impl World {
    /// Something goes wrong, or ends to do so.
    pub(super) fn disturbed(&mut self) {
        self.judge.disturbed_at = self.now;
    }

    /// Whether nothing has been wrong for so long.
    pub(super) fn is_calm_for(&self, time: u64) -> bool {
        let perfect = self.plan.options.loss_max() == 0 && self.active.is_empty();
        perfect && self.now >= self.judge.disturbed_at + time
    }

    pub(super) fn published(&mut self, number: usize, view: &Arc<View>) {
        let machine = &self.machines[number];
        if machine.server {
            self.judge.shown((number, machine.place.dc), view, self.now);
        }
    }

    pub(super) fn happened(&mut self, number: usize, event: &Event) {
        let machine = &self.machines[number];
        if let Event::Raft(raft::Event::Leader(term)) = event {
            let (id, dc) = (machine.id(self.plan.seed), machine.place.dc);
            self.judge.leads((number, dc), id, *term, self.now);
            // It begins to look at nodes.
            self.judge.waits.remove(&(dc, Rule::Nodes));
        }
        if let Event::Member(Pool::Lan, name, status) = event
            && *status != MemberStatus::Alive
            && machine.server
            && let Some(of) = config::number_of(name)
        {
            self.missed(of.into());
        }
    }

    /// Once a second.
    pub(super) fn look(&mut self) {
        self.look_at_asked();
        self.look_at_watches();
        self.look_at_deaths();
        for dc in 0..self.plan.options.datacenters.len() {
            let Some(leader) = self.leader_of(dc) else { continue };
            let Some(node) = &self.machines[leader].node else { continue };
            let catalog = node.catalog().clone();
            let raft = node.raft();
            if raft.term() < self.judge.groups[dc].term {
                // One that leads in its own eyes only.
                continue;
            }
            let membership = raft.membership();
            let knows = node.applied().term == raft.term();
            if knows && raft.committed() >= raft.membership_index() {
                let members = membership.members.iter();
                let members = members.map(|(id, member)| (*id, member.voter)).collect();
                self.look_at_group(dc, raft.term(), &members);
            }
            self.look_at_offers(dc, &catalog);
            if knows {
                self.look_for_missed(leader);
            }
        }
    }

    fn look_at_group(&mut self, dc: usize, term: Term, members: &BTreeMap<NodeId, bool>) {
        let now = self.now;
        let before = std::mem::take(&mut self.judge.groups[dc]);
        if term < before.term {
            // One that leads in its own eyes only.
            self.judge.groups[dc] = before;
            return;
        }
        let mut after = Group { members: BTreeMap::new(), term, at: now };
        for (id, voter) in members {
            let known = before.members.get(id);
            let since = known.map_or(now, |(since, _)| *since);
            after.members.insert(*id, (since, *voter));
            let voted = known.is_some_and(|(_, voter)| *voter);
            if *voter && !voted && !before.members.is_empty() && now < since + VOTE_EARNED {
                let who = self.machine_of(*id);
                self.judge.broken("vote.early", now, || {
                    format!(
                        "{who:?} votes in dc{dc} {} ms after it came",
                        (now - since) / 1_000_000
                    )
                });
            }
        }
        self.judge.groups[dc] = after;
        let lives = |number: &usize| {
            let machine = &self.machines[*number];
            machine.is_up() && machine.since < before.at && !self.judge.missed.contains_key(number)
        };
        let gone = before.members.keys().filter(|id| !members.contains_key(*id));
        let robbed = gone.filter_map(|id| self.machine_of(*id)).find(lives);
        if let Some(number) = robbed {
            self.judge.broken("seat.taken", now, || format!("m{number} lost its seat in dc{dc}"));
            return;
        }
        let voters: Vec<NodeId> =
            before.members.iter().filter(|(_, (_, voter))| *voter).map(|(id, _)| *id).collect();
        let taken = |id: &&NodeId| !members.contains_key(*id) && self.is_dead(**id, 0);
        if !voters.iter().any(|id| taken(&id)) {
            return;
        }
        // Of those who died just now the leader may not know.
        let dead = |id: &&NodeId| taken(id) || self.is_dead(**id, KNOWN_DEAD);
        let dead = voters.iter().filter(dead).count();
        if dead >= voters.len() / 2 && now < before.at + 2 * SECOND {
            self.judge.broken("vote.taken", now, || {
                format!(
                    "{dead} of {} voters of dc{dc} are dead, and one lost its vote",
                    voters.len()
                )
            });
        }
    }

    /// Whether a majority of those who voted in a datacenter last is still there.
    pub(super) fn has_quorum(&self, dc: usize) -> bool {
        let members = self.judge.groups[dc].members.iter();
        let mut voters: Vec<NodeId> =
            members.filter(|(_, (_, voter))| *voter).map(|(id, _)| *id).collect();
        if voters.is_empty() {
            // It may have come and gone between two looks, or was founded and never led: those who
            // keep it know.
            let here = self.machines.iter().filter(|machine| machine.place.dc == dc);
            let kept = here.filter_map(|machine| machine.node.as_ref());
            let kept = kept.filter(|node| !node.raft().membership().members.is_empty());
            let kept = kept.max_by_key(|node| node.raft().membership_index());
            voters.extend(kept.iter().flat_map(|node| node.raft().membership().voters()));
        }
        let is_there = |id: &&NodeId| {
            let machine = self.machine_of(**id).map(|number| &self.machines[number]);
            machine.is_some_and(|machine| matches!(machine.fate, Fate::Up | Fate::Leaving))
        };
        voters.is_empty() || voters.iter().filter(is_there).count() > voters.len() / 2
    }

    /// Who has an identity now.
    pub(super) fn machine_of(&self, id: NodeId) -> Option<usize> {
        let seed = self.plan.seed;
        self.machines.iter().position(|machine| machine.id(seed) == id)
    }

    /// Whether a server is dead for so long without anybody having said that it may go: not left,
    /// not forced out, not someone new under its old name.
    fn is_dead(&self, id: NodeId, since: u64) -> bool {
        self.machine_of(id).is_some_and(|number| {
            let machine = &self.machines[number];
            machine.fate == Fate::Down && !machine.forced && self.now >= machine.since + since
        })
    }
}
