//! How a cluster stands when everything was healed: in every datacenter members see each other,
//! someone leads, all live servers vote, the catalog says of everyone whether it lives and is what
//! live agents offer, no session outlives its node, and every agent can write here and abroad. Each
//! of these rests on those before it, and has a bound of its own from the moment when they held.

use super::asks::Purpose;
use super::config;
use super::machines::Machine;
use super::wires::wide;
use super::world::{Ev, SECOND, World};
use crate::draw::{draw, stream};
use crate::links::{Fate, address};
use crate::pools::bounds::Bounds;
use proconsul_core::Node;
use proconsul_core::catalog::Catalog;
use proconsul_core::gossip::{Member, Timing};
use proconsul_core::http::Method;
use proconsul_core::types::{CheckStatus, MemberStatus, Pool};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The leader looks at everyone this often; who is unknown twice in a row goes.
const FULL_LOOK: u64 = 60 * SECOND;
/// Autopilot takes a server for lost, and lets a new one vote, well within this.
const AUTOPILOT: u64 = 90 * SECOND;
/// Who leaves is gone within this.
const LEAVE: u64 = 60 * SECOND;
/// Servers that know one another agree on a leader within this.
const ELECTION: u64 = 30 * SECOND;
/// What takes no waiting is done within this.
const SOON: u64 = 15 * SECOND;
/// A request is answered, or refused, within this.
const PATIENCE: u64 = 15 * SECOND;
/// A world at rest stays there at least this long.
const STEADY: u64 = 3 * SECOND;

/// What holds at rest, in the order in which one rests on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Leave,
    Lan,
    Leader,
    Group,
    Nodes,
    Services,
    Offer,
    Sessions,
    Wan,
}

impl Rule {
    const ALL: [Self; 9] = [
        Self::Leave,
        Self::Lan,
        Self::Leader,
        Self::Group,
        Self::Nodes,
        Self::Services,
        Self::Offer,
        Self::Sessions,
        Self::Wan,
    ];

    /// As it is reported.
    fn name(self) -> &'static str {
        match self {
            Self::Leave => "rest.leave",
            Self::Lan | Self::Wan => "rest.members",
            Self::Leader => "rest.leader",
            Self::Group => "rest.group",
            Self::Nodes => "rest.nodes",
            Self::Services => "rest.services",
            Self::Offer => "rest.offer",
            Self::Sessions => "rest.sessions",
        }
    }
}

/// What is wrong: the rule, and how.
type Wrong = Option<(Rule, String)>;

impl World {
    fn lan(&self, dc: usize) -> Bounds {
        let options = &self.plan.options;
        let members = options.datacenters.get(dc).map_or(1, |(servers, clients)| servers + clients);
        let latency = options.latency_max * 10_000;
        Bounds::of(&Timing::lan(), u64::from(members), latency, options.loss_ppm)
    }

    /// From a death in a datacenter to its being known to all of its pool.
    pub(super) fn death_known(&self, dc: usize) -> u64 {
        self.lan(dc).known_to_all
    }

    /// How long a datacenter may take for a rule after those that it rests on came to hold.
    fn bound(&self, dc: usize, rule: Rule) -> u64 {
        let options = &self.plan.options;
        if options.bound > 0 {
            return options.bound * 1_000;
        }
        match rule {
            Rule::Leave => LEAVE,
            Rule::Lan => self.lan(dc).settled,
            Rule::Leader => ELECTION,
            Rule::Group => AUTOPILOT + 2 * FULL_LOOK,
            Rule::Nodes => 2 * FULL_LOOK + SOON,
            Rule::Services => 3 * options.anti_entropy_s * SECOND,
            Rule::Offer | Rule::Sessions => SOON,
            Rule::Wan => {
                let servers: u16 = options.datacenters.iter().map(|(servers, _)| *servers).sum();
                let far = options.between.iter().flatten().copied().max().unwrap_or(30_000) * 2_000;
                Bounds::of(&Timing::wan(), u64::from(servers), far, options.loss_max()).settled
            }
        }
    }

    /// Looks whether a healed world has come to rest; then, whether it works.
    pub(super) fn rest(&mut self) {
        let Some(healed) = self.judge.healed_at else { return };
        let mut rests = true;
        for dc in 0..self.plan.options.datacenters.len() {
            let wrong = self.unsettled_in(dc);
            let open = wrong.as_ref().map(|(rule, _)| *rule);
            let now = self.now;
            for rule in Rule::ALL {
                if open.is_none_or(|open| rule < open) {
                    self.judge.waits.insert((dc, rule), now);
                } else if open == Some(rule) {
                    self.judge.waits.entry((dc, rule)).or_insert(now);
                } else {
                    self.judge.waits.remove(&(dc, rule));
                }
            }
            let Some((rule, text)) = wrong else { continue };
            rests = false;
            let since = self.judge.waits.get(&(dc, rule)).copied().unwrap_or(healed);
            let bound = self.bound(dc, rule);
            let all: u64 = Rule::ALL.iter().map(|rule| self.bound(dc, *rule)).sum();
            if now > since + bound || now > healed + all {
                let (late, waited) = ((now - healed) / SECOND, (now - since) / SECOND);
                self.judge.broken(rule.name(), now, || {
                    format!(
                        "{late} s after all was whole, {waited} s after that could hold: {text}"
                    )
                });
            }
        }
        if !rests {
            self.queue.push(self.now + SECOND, Ev::Rest);
            return;
        }
        for (number, dc) in std::mem::take(&mut self.judge.ask_again) {
            self.probe(number, dc);
        }
        match self.judge.rested_at {
            None => {
                self.judge.rested_at = Some(self.now);
                self.say(None, || "everything is at rest".into());
                self.try_everyone();
            }
            Some(at) if self.probes_open() == 0 && self.now >= at + STEADY => {
                self.finish();
                return;
            }
            Some(at) if self.now > at + PATIENCE => {
                let open = self.probes_open();
                self.judge.broken("rest.request", self.now, || {
                    format!("{open} requests to agents at rest have no answer")
                });
            }
            Some(_) => {}
        }
        self.queue.push(self.now + SECOND, Ev::Rest);
    }

    /// Every agent writes in its own datacenter, and in another.
    fn try_everyone(&mut self) {
        let count = self.plan.options.datacenters.len();
        for number in 0..self.machines.len() {
            let machine = &self.machines[number];
            if !machine.is_up() {
                continue;
            }
            let own = machine.place.dc;
            let drawn = draw(self.plan.seed, stream::CLIENT, wide(number), 5);
            let other = usize::try_from(drawn).unwrap_or(0) % count;
            let mut abroad = vec![own, other];
            abroad.dedup();
            for dc in abroad {
                if self.leader_of(dc).is_none() {
                    continue;
                }
                self.probe(number, dc);
            }
        }
    }

    /// An agent writes in a datacenter.
    fn probe(&mut self, number: usize, dc: usize) {
        let target = format!("/v1/kv/probe/{number}?dc=dc{dc}");
        self.ask(number, Purpose::Probe { dc }, Method::Put, &target, "1");
    }

    /// Whether those who try a world at rest wait on.
    pub(super) fn has_patience(&self) -> bool {
        self.judge.rested_at.is_some_and(|at| self.now < at + PATIENCE)
    }

    /// What is not as it should be at rest, and rests on nothing else that is not.
    fn unsettled_in(&self, dc: usize) -> Wrong {
        let here: Vec<&Machine> =
            self.machines.iter().filter(|machine| machine.place.dc == dc).collect();
        let leaving = here.iter().find(|machine| machine.fate == Fate::Leaving);
        if let Some(machine) = leaving {
            return Some((Rule::Leave, format!("{} has not left", machine.name)));
        }
        let members = |pool| here.iter().find_map(|machine| self.wrong_members(machine, pool));
        let servers: Vec<&Machine> =
            here.iter().copied().filter(|machine| machine.server && machine.is_up()).collect();
        if servers.is_empty() {
            return None;
        }
        let leader = self.leader_of(dc).map(|leader| &self.machines[leader]);
        if !self.has_quorum(dc) {
            // Those that remain of the group wait for an operator; nobody founds another beside it.
            let text = |leader: &Machine| format!("{} leads a second group", leader.name);
            let second = leader.map(|leader| (Rule::Group, text(leader)));
            return members(Pool::Lan).or(second).or_else(|| members(Pool::Wan));
        }
        if let Some(wrong) = members(Pool::Lan) {
            return Some(wrong);
        }
        let Some(leader) = leader else {
            return Some((Rule::Leader, format!("nobody leads dc{dc}")));
        };
        let id = leader.id(self.plan.seed);
        let node = leader.node.as_ref().expect("who leads runs");
        // Who left unheard and came back before it was missed has no seat until the next full look.
        let has_seat =
            |server: &&&Machine| node.raft().membership().contains(server.id(self.plan.seed));
        for server in servers.iter().filter(has_seat) {
            let view = server.view.as_ref().expect("who is up shows something");
            if view.leadership.leader != Some(id) {
                let text = format!("{} follows {:?}", server.name, view.leadership.leader);
                return Some((Rule::Leader, text));
            }
        }
        self.wrong_group(node, &servers)
            .or_else(|| self.wrong_nodes(node.catalog(), &here))
            .or_else(|| wrong_offers(node.catalog(), &here))
            .or_else(|| self.wrong_offer(&here))
            .or_else(|| wrong_sessions(node.catalog(), &here))
            .or_else(|| members(Pool::Wan))
    }

    /// All live servers vote; the dead are gone where the rest is safe without them.
    fn wrong_group(&self, node: &Node, servers: &[&Machine]) -> Wrong {
        let members = &node.raft().membership().members;
        for server in servers {
            match members.get(&server.id(self.plan.seed)) {
                Some(member) if member.voter => {}
                Some(_) => return Some((Rule::Group, format!("{} has no vote", server.name))),
                None => return Some((Rule::Group, format!("{} is no member", server.name))),
            }
        }
        let is_up = |id| servers.iter().any(|server| server.id(self.plan.seed) == id);
        let voters = members.values().filter(|member| member.voter).count();
        let dead: Vec<_> = members.iter().filter(|(id, _)| !is_up(**id)).collect();
        let dead_voters = dead.iter().filter(|(_, member)| member.voter).count();
        let left = dead.iter().find_map(|(id, member)| {
            let machine = self.machine_of(**id).map(|number| &self.machines[number]);
            // Those who heard of it may all have lost what they knew before anyone led.
            let known = |machine: &Machine| {
                let held = node.pool(Pool::Lan).and_then(|pool| pool.member(&machine.name));
                held.is_some_and(|member| member.status == MemberStatus::Left)
            };
            let left = machine.is_some_and(|machine| {
                machine.fate == Fate::Left && !machine.forced && known(machine)
            });
            let safe = dead_voters < voters / 2;
            (!member.voter || safe || left).then_some(**id)
        });
        left.map(|id| {
            let who = self.machine_of(id).map(|number| Arc::clone(&self.machines[number].name));
            (Rule::Group, format!("{id} ({who:?}) is still a member, of {voters} voters"))
        })
    }

    /// Who lives passes, who died is critical or forgotten, who left is not there.
    fn wrong_nodes(&self, catalog: &Catalog, here: &[&Machine]) -> Wrong {
        for machine in here {
            let name = &machine.name;
            let node = catalog.node(name);
            let health = catalog.check(name, "serfHealth").map(|check| check.status);
            let right = match machine.fate {
                Fate::Up => {
                    let at = at_now(machine).to_string();
                    health == Some(CheckStatus::Passing)
                        && node.is_some_and(|node| {
                            *node.address == *at && node.id == Some(machine.id(self.plan.seed))
                        })
                }
                Fate::Down => node.is_none() || health == Some(CheckStatus::Critical),
                Fate::Left if machine.forced => {
                    node.is_none() || health == Some(CheckStatus::Critical)
                }
                Fate::Left | Fate::Off => node.is_none(),
                Fate::Leaving => true,
            };
            if !right {
                let at = node.map(|node| Arc::clone(&node.address));
                let (dc, fate) = (machine.place.dc, machine.fate);
                let text = format!("dc{dc} holds {name} for {health:?} at {at:?}; it is {fate:?}");
                return Some((Rule::Nodes, text));
            }
        }
        let stranger = catalog.nodes().find(|node| here.iter().all(|m| m.name != node.name));
        stranger.map(|node| (Rule::Nodes, format!("nobody is called {}", node.name)))
    }

    /// Agents know what they were told to offer.
    fn wrong_offer(&self, here: &[&Machine]) -> Wrong {
        for machine in here.iter().filter(|machine| machine.is_up()) {
            let offers = offers_of(machine);
            let number = usize::from(machine.place.number);
            let known = (number, 0)..=(number, u8::MAX);
            for ((_, service), offer) in self.judge.offers.range(known) {
                let has = offers.get(&*format!("web{service}")).copied();
                if offer.sure && has != offer.port.map(i32::from) {
                    let (name, port) = (&machine.name, offer.port);
                    let text = format!("{name} was told web{service} {port:?} and has {has:?}");
                    return Some((Rule::Offer, text));
                }
            }
        }
        None
    }

    /// Whether a view of a member says that it is here: alive, who and where it is; of one that is
    /// not here, anything but that it is gone.
    fn is_held_for_here(&self, member: &Member) -> bool {
        let other = config::number_of(member.name.split('.').next().unwrap_or_default())
            .and_then(|number| self.machines.get(usize::from(number)));
        match (member.status, other) {
            (MemberStatus::Alive, Some(other)) if other.is_up() => {
                let id = other.id(self.plan.seed).to_string();
                let is_it = member.tags.get("id").is_some_and(|told| **told == *id);
                is_it && member.address.ip() == at_now(other)
            }
            (MemberStatus::Leaving, Some(other)) => !other.is_up(),
            (MemberStatus::Alive, _) => true,
            (MemberStatus::Leaving, None) => true,
            (MemberStatus::None | MemberStatus::Left | MemberStatus::Failed, _) => false,
        }
    }

    /// Everyone who is up sees everyone of its pool who is up, and nobody else.
    fn wrong_members(&self, machine: &Machine, pool: Pool) -> Wrong {
        let node = machine.node.as_ref().filter(|_| machine.is_up())?;
        let rule = if pool == Pool::Lan { Rule::Lan } else { Rule::Wan };
        if let Some(gossip) = node.pool(pool) {
            let wanted: BTreeSet<Arc<str>> = (self.machines.iter())
                .filter(|other| other.is_up())
                .filter(|other| match pool {
                    Pool::Lan => other.place.dc == machine.place.dc,
                    Pool::Wan => other.server,
                })
                .map(|other| match pool {
                    Pool::Lan => Arc::clone(&other.name),
                    Pool::Wan => format!("{}.dc{}", other.name, other.place.dc).into(),
                })
                .collect();
            let held: BTreeSet<Arc<str>> = gossip
                .members()
                .filter(|member| self.is_held_for_here(member))
                .map(|member| Arc::clone(&member.name))
                .collect();
            if held != wanted {
                let as_held = |name: &Arc<str>| {
                    let member = gossip.member(name);
                    let held = member.map(|member| {
                        (member.status, member.address.ip(), member.tags.get("id").cloned())
                    });
                    (Arc::clone(name), held)
                };
                let missing: Vec<_> = wanted.difference(&held).map(as_held).collect();
                let extra: Vec<_> = held.difference(&wanted).collect();
                let name = &machine.name;
                let text = format!("{name} ({pool:?}) misses {missing:?}, and holds {extra:?}");
                return Some((rule, text));
            }
        }
        None
    }
}

/// Where a machine is.
fn at_now(machine: &Machine) -> IpAddr {
    address(machine.place.number, machine.moves, 0).ip()
}

/// What an agent offers: the ports by service.
fn offers_of(machine: &Machine) -> BTreeMap<Arc<str>, i32> {
    let view = machine.view.as_ref().expect("who is up shows something");
    let services = view.local.services.iter();
    services.map(|(id, service)| (Arc::clone(id), service.definition.registration.port)).collect()
}

/// The catalog has what live agents offer.
fn wrong_offers(catalog: &Catalog, here: &[&Machine]) -> Wrong {
    for machine in here.iter().filter(|machine| machine.is_up()) {
        let offers = offers_of(machine);
        let listed = catalog
            .node_services(&machine.name)
            .filter(|service| &*service.registration.id != "consul");
        let listed: BTreeMap<Arc<str>, i32> = listed
            .map(|service| (Arc::clone(&service.registration.id), service.registration.port))
            .collect();
        if offers != listed {
            let name = &machine.name;
            let text = format!("{name} offers {offers:?}, and the catalog has {listed:?}");
            return Some((Rule::Services, text));
        }
    }
    None
}

/// A session ends with its node.
fn wrong_sessions(catalog: &Catalog, here: &[&Machine]) -> Wrong {
    let orphan = catalog.sessions().find(|session| {
        let machine = here.iter().find(|machine| machine.name == session.node);
        machine.is_none_or(|machine| !machine.is_up())
    });
    orphan.map(|session| (Rule::Sessions, format!("a session of {} is open", session.node)))
}
