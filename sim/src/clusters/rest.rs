//! How a cluster stands when everything was healed: within a bound, in every datacenter, someone
//! leads, all live servers vote, the catalog is what live agents offer and says of everyone whether
//! it lives, no session outlives its node, members see each other, and every agent can write here
//! and abroad.

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
/// A request is answered, or refused, within this.
const PATIENCE: u64 = 15 * SECOND;
/// A world at rest stays there at least this long.
const STEADY: u64 = 3 * SECOND;

/// What is wrong: the rule, and how.
type Wrong = Option<(&'static str, String)>;

impl World {
    /// How long a healed world may take.
    fn bound(&self) -> u64 {
        let options = &self.plan.options;
        if options.bound > 0 {
            return options.bound * 1_000;
        }
        let sizes = options.datacenters.iter().map(|(servers, clients)| servers + clients);
        let most = u64::from(sizes.max().unwrap_or(1));
        let servers: u16 = options.datacenters.iter().map(|(servers, _)| *servers).sum();
        let latency = options.latency_max * 10_000;
        let far = options.between.iter().flatten().copied().max().unwrap_or(30_000) * 2_000;
        let lan = Bounds::of(&Timing::lan(), most, latency, options.loss_ppm).settled;
        let wan = Bounds::of(&Timing::wan(), u64::from(servers), far, options.loss_ppm).settled;
        let sync = 3 * options.anti_entropy_s * SECOND;
        lan.max(wan) + 2 * FULL_LOOK + AUTOPILOT + sync
    }

    /// Looks whether a healed world has come to rest; then, whether it works.
    pub(super) fn rest(&mut self) {
        let Some(healed) = self.judge.healed_at else { return };
        let wrong = self.unsettled();
        if let Some((rule, text)) = wrong {
            let due = healed + self.bound();
            if self.now > due {
                let late = (self.now - healed) / SECOND;
                self.judge
                    .broken(rule, self.now, || format!("{late} s after all was whole: {text}"));
            }
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

    /// What is not as it should be at rest.
    fn unsettled(&self) -> Wrong {
        (0..self.plan.options.datacenters.len()).find_map(|dc| self.unsettled_in(dc))
    }

    fn unsettled_in(&self, dc: usize) -> Wrong {
        let here: Vec<&Machine> =
            self.machines.iter().filter(|machine| machine.place.dc == dc).collect();
        let leaving = here.iter().find(|machine| machine.fate == Fate::Leaving);
        if let Some(machine) = leaving {
            return Some(("rest.leave", format!("{} has not left", machine.name)));
        }
        let servers: Vec<&Machine> =
            here.iter().copied().filter(|machine| machine.server && machine.is_up()).collect();
        if servers.is_empty() {
            return None;
        }
        let leader = self.leader_of(dc).map(|leader| &self.machines[leader]);
        if !self.has_quorum(dc) {
            // Those that remain of the group wait for an operator; nobody founds another beside it.
            let text = |leader: &Machine| format!("{} leads a second group", leader.name);
            let second = leader.map(|leader| ("rest.group", text(leader)));
            return second.or_else(|| here.iter().find_map(|machine| self.wrong_members(machine)));
        }
        let Some(leader) = leader else {
            return Some(("rest.leader", format!("nobody leads dc{dc}")));
        };
        let id = leader.id(self.plan.seed);
        for server in &servers {
            let view = server.view.as_ref().expect("who is up shows something");
            if view.leadership.leader != Some(id) {
                let text = format!("{} follows {:?}", server.name, view.leadership.leader);
                return Some(("rest.leader", text));
            }
        }
        let node = leader.node.as_ref().expect("who leads runs");
        self.wrong_group(node, &servers)
            .or_else(|| self.wrong_nodes(node.catalog(), &here))
            .or_else(|| wrong_offers(node.catalog(), &here))
            .or_else(|| self.wrong_offer(&here))
            .or_else(|| wrong_sessions(node.catalog(), &here))
            .or_else(|| here.iter().find_map(|machine| self.wrong_members(machine)))
    }

    /// All live servers vote; the dead are gone where the rest is safe without them.
    fn wrong_group(&self, node: &Node, servers: &[&Machine]) -> Wrong {
        let members = &node.raft().membership().members;
        for server in servers {
            match members.get(&server.id(self.plan.seed)) {
                Some(member) if member.voter => {}
                Some(_) => return Some(("rest.group", format!("{} has no vote", server.name))),
                None => return Some(("rest.group", format!("{} is no member", server.name))),
            }
        }
        let is_up = |id| servers.iter().any(|server| server.id(self.plan.seed) == id);
        let voters = members.values().filter(|member| member.voter).count();
        let dead: Vec<_> = members.iter().filter(|(id, _)| !is_up(**id)).collect();
        let dead_voters = dead.iter().filter(|(_, member)| member.voter).count();
        let left = dead.iter().find_map(|(id, member)| {
            let machine = self.machine_of(**id).map(|number| &self.machines[number]);
            let gone = machine.is_none_or(|machine| machine.fate == Fate::Left);
            let safe = dead_voters < voters / 2;
            (!member.voter || safe || (gone && machine.is_some())).then_some(**id)
        });
        left.map(|id| {
            let who = self.machine_of(id).map(|number| Arc::clone(&self.machines[number].name));
            ("rest.group", format!("{id} ({who:?}) is still a member, of {voters} voters"))
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
                return Some(("rest.nodes", text));
            }
        }
        let stranger = catalog.nodes().find(|node| here.iter().all(|m| m.name != node.name));
        stranger.map(|node| ("rest.nodes", format!("nobody is called {}", node.name)))
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
                    return Some(("rest.offer", text));
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

    /// Everyone who is up sees everyone of its pools who is up, and nobody else.
    fn wrong_members(&self, machine: &Machine) -> Wrong {
        let node = machine.node.as_ref().filter(|_| machine.is_up())?;
        for pool in [Pool::Lan, Pool::Wan] {
            let Some(gossip) = node.pool(pool) else { continue };
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
                return Some(("rest.members", text));
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
            return Some(("rest.services", text));
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
    orphan.map(|session| ("rest.sessions", format!("a session of {} is open", session.node)))
}
