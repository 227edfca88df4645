//! What a catalog must say of agents while a world runs.
//!
//! - `offer.stays`: what an agent offers does not leave the catalog because the agent, a server or
//!   a link was away for a while. A server that the pool holds for failed is given up with all it
//!   offers at autopilot's next look; an agent that a new leader has not met for long is forgotten.
//! - `offer.shown`, `death.told`: where nothing else is wrong, what an agent was told to offer is
//!   in the leader's catalog within seconds, and who died is critical there as soon as the pool
//!   knows.

use super::judge::{CALM, Offer};
use super::machines::Machine;
use super::world::{SECOND, World};
use crate::links::Fate;
use proconsul_core::catalog::Catalog;
use proconsul_core::types::{CheckStatus, MemberStatus, Pool};
use std::sync::Arc;

/// What an agent is told to offer is in the catalog within this.
pub(super) const SHOWN_MAX: u64 = 10 * SECOND;
/// Seconds until an agent that could not compare itself tries again.
const RETRIED_MAX: u64 = 30;
/// What the pool knows of a death is in the catalog within this.
const WRITTEN_MAX: u64 = 5 * SECOND;

/// A leader that has just started knows nothing of who is away, and lets them go after its second
/// full look: a client that its pool has missed for less than this is not forgotten.
const MISSED_MAX: u64 = 45 * SECOND;

/// An agent that is missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missed {
    /// When its offers may leave the catalog at the earliest: under a leader that has never met it,
    /// or (`any`) under any.
    pub(super) at: u64,
    pub(super) any: bool,
    /// It left and came back. A leader that holds it for failed has heard of that.
    pub(super) back: bool,
    /// Until then it is of no account that a leader still holds it for alive.
    pub(super) until: u64,
}

impl World {
    /// Whom a leader holds for alive, nobody misses any more.
    pub(super) fn look_for_missed(&mut self, leader: usize) {
        let dc = self.machines[leader].place.dc;
        let pool = self.machines[leader].node.as_ref().and_then(|node| node.pool(Pool::Lan));
        let Some(pool) = pool else { return };
        let is_held = |machine: &&Machine| {
            let held = pool.member(&machine.name).map(|member| member.status);
            held == Some(MemberStatus::Alive)
        };
        let here = self.machines.iter().filter(|machine| machine.place.dc == dc);
        let (held, missed): (Vec<&Machine>, Vec<&Machine>) = here.partition(is_held);
        let term = self.judge.groups[dc].term;
        for machine in held {
            let number = usize::from(machine.place.number);
            self.judge.met.insert(number, term);
            let over = |missed: &Missed| self.now >= missed.until;
            if self.judge.missed.get(&number).is_some_and(over) {
                self.judge.missed.remove(&number);
                self.judge.met_at.insert(number, self.now);
            }
        }
        let missed: Vec<(usize, bool)> = missed
            .iter()
            .map(|machine| {
                let held = pool.member(&machine.name).map(|member| member.status);
                (usize::from(machine.place.number), held == Some(MemberStatus::Failed))
            })
            .collect();
        for (number, failed) in missed {
            if failed && self.judge.missed.get(&number).is_some_and(|missed| missed.back) {
                self.judge.missed.remove(&number);
            }
            self.missed(number);
        }
    }

    /// An agent is not held for alive. Servers lose their offers with their seats.
    pub(super) fn missed(&mut self, number: usize) {
        let Some(machine) = self.machines.get(number) else { return };
        let (patience, any) = if machine.server { (0, true) } else { (MISSED_MAX, false) };
        let missed = Missed { at: self.now + patience, any, back: false, until: self.now };
        self.judge.missed.entry(number).or_insert(missed);
    }

    /// Deaths of a calm world are in the catalog as soon as the pool must know of them.
    pub(super) fn look_at_deaths(&mut self) {
        for (number, died) in std::mem::take(&mut self.judge.deaths) {
            let machine = &self.machines[number];
            let dc = machine.place.dc;
            let here = || self.machines.iter().filter(|other| other.place.dc == dc);
            let gone = here().filter(|other| other.fate == Fate::Down).count();
            // So many at once are not one death, and what else went wrong since may delay it.
            let alone = self.judge.disturbed_at == died && gone * 4 <= here().count();
            if !alone || !self.has_quorum(dc) {
                continue;
            }
            if self.now < died + self.death_known(dc) + WRITTEN_MAX {
                self.judge.deaths.push((number, died));
                continue;
            }
            let leader = self.leader_of(dc).and_then(|leader| self.machines[leader].node.as_ref());
            let held = leader.map(|node| {
                let check = node.catalog().check(&machine.name, "serfHealth");
                check.map(|check| check.status)
            });
            if !matches!(held, Some(None | Some(CheckStatus::Critical))) {
                let name = Arc::clone(&machine.name);
                let late = (self.now - died) / SECOND;
                self.judge.broken("death.told", self.now, || {
                    format!("{name} is dead for {late} s, and dc{dc} holds it for {held:?}")
                });
            }
        }
    }

    /// Whether what an agent was told to offer had all the time that it needs.
    fn is_late(&self, number: usize, offer: &Offer) -> bool {
        // Whom a leader had forgotten compares itself at its next full look.
        let full_look = (2 * self.plan.options.anti_entropy_s + RETRIED_MAX) * SECOND;
        let met = self.judge.met_at.get(&number).map_or(0, |at| at + full_look);
        let waited = self.now > met.max(offer.at + SHOWN_MAX) && self.is_calm_for(CALM);
        waited && self.machines[number].is_up() && !self.judge.missed.contains_key(&number)
    }

    pub(super) fn look_at_offers(&mut self, dc: usize, catalog: &Catalog) {
        let index = catalog.index().0;
        let offers: Vec<((usize, u8), Offer)> =
            self.judge.offers.iter().map(|(key, offer)| (*key, *offer)).collect();
        for ((number, service), offer) in offers {
            let machine = &self.machines[number];
            let stays = match machine.fate {
                Fate::Up => true,
                Fate::Down => !machine.forced,
                Fate::Off | Fate::Leaving | Fate::Left => false,
            };
            let term = self.judge.groups[dc].term;
            let missed = self.judge.missed.get(&number);
            let stays = stays
                && missed.is_none_or(|missed| {
                    let met = self.judge.met.get(&number) == Some(&term);
                    self.now < missed.at || (met && !missed.any)
                });
            let stays = stays && !self.judge.meddled.contains(&(number, service));
            if machine.place.dc != dc || !stays || !offer.sure || offer.port.is_none() {
                self.judge.seen.remove(&(number, service));
                continue;
            }
            // Under its name there may be one that it was before it lost its disk.
            let is_it = catalog.node(&machine.name).and_then(|node| node.id)
                == Some(machine.id(self.plan.seed));
            let there = is_it && catalog.service(&machine.name, &format!("web{service}")).is_some();
            let seen = self.judge.seen.get(&(number, service)).copied();
            match (there, seen) {
                (true, None) if self.now >= offer.from => {
                    self.judge.seen.insert((number, service), index);
                }
                (false, Some(at)) if index >= at => {
                    let name = Arc::clone(&machine.name);
                    self.judge.broken("offer.stays", self.now, || {
                        format!("web{service} of {name} is gone from the catalog of dc{dc}")
                    });
                }
                (false, None) if self.is_late(number, &offer) => {
                    let name = Arc::clone(&machine.name);
                    self.judge.broken("offer.shown", self.now, || {
                        format!("web{service} of {name} does not come into the catalog of dc{dc}")
                    });
                }
                (true | false, _) => {}
            }
        }
    }
}
