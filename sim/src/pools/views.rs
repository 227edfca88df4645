//! Views against the truth: who is dead must be known, who is alive must be seen, events must have
//! come, keys must be the same, tables must stay small and pools apart.

use super::bounds::{Bounds, exchange};
use super::plan::Turn;
use super::seats::{Seat, SeatId, WAN, machine_named, timing};
use super::world::{Ev, World, place, wide};
use crate::links::Fate;
use proconsul_core::gossip::{Asked, Gossip};
use proconsul_core::types::MemberStatus;

/// Serf's queues hold at least this many.
const QUEUE_MAX: usize = 4_096;
/// How long a world must have been calm before deaths are timed: those who believe to be slow have
/// found out by then that they are not.
pub(super) const CALM_NANOS: u64 = 60_000_000_000;
/// Longer than a leave takes.
const LEAVE_NANOS: u64 = 15_000_000_000;
/// Pools whose internal rules are looked at in one look.
const LOOKS: usize = 40;
/// Looks until each pool of a small world had its turn.
const TURNS: usize = 4;
/// How often it is asked which events nearly all know.
const WIDE_NANOS: u64 = 5_000_000_000;
/// How often it is asked whether a healed world has settled.
const REST_NANOS: u64 = 10_000_000_000;

impl World {
    /// The bounds of a pool.
    fn bounds(&self, pool: usize) -> Bounds {
        let options = &self.plan.options;
        let members = self.seats.iter().filter(|seat| seat.pool == pool).count();
        let far = options.between.iter().flatten().max().copied().unwrap_or(30_000) * 2;
        let wan = pool == WAN;
        let latency = if wan { far } else { 10 * options.latency_max } * 1_000;
        let timing = timing(wan, options.probe_timeout_ms);
        Bounds::of(&timing, wide(members), latency, options.loss_ppm)
    }

    fn pools(&self) -> impl Iterator<Item = usize> {
        let wan = self.plan.options.wan.then_some(WAN);
        (0..self.plan.options.datacenters.len()).chain(wan)
    }

    /// The longest that any pool may take to settle.
    pub(super) fn settled_max(&self) -> u64 {
        self.pools().map(|pool| self.bounds(pool).settled).max().unwrap_or(0)
    }

    /// How long views must have been true until nothing is expected to disturb them: a suspicion
    /// that had begun before is over, and old news have come by a full exchange.
    fn quiet(&self) -> u64 {
        let of = |pool: usize| {
            let members = self.seats.iter().filter(|seat| seat.pool == pool).count();
            let timing = timing(pool == WAN, self.plan.options.probe_timeout_ms);
            self.bounds(pool).suspicion.1 + exchange(&timing, wide(members))
        };
        self.pools().map(of).max().unwrap_or(0)
    }

    /// A healed world ends early once everything has been right for long enough: what is left of
    /// its bounds would show nothing new.
    pub(super) fn rest(&mut self) {
        let pools: Vec<usize> = self.pools().collect();
        if pools.into_iter().any(|pool| self.wrong(pool, 0).is_some()) {
            self.right_since = None;
        } else {
            let since = *self.right_since.get_or_insert(self.now);
            let last = self.plan.acts.iter().map(|act| act.at).max().unwrap_or(0) * 1_000;
            if self.now >= since.max(last) + self.quiet() {
                self.judge.end = self.now;
                return;
            }
        }
        self.queue.push(self.now + REST_NANOS, Ev::Rest);
    }

    /// A machine that ran since `up` has died for good: its death is to be known in time.
    pub(super) fn watch_death(&mut self, machine: usize, up: u64) {
        if self.now < up + CALM_NANOS && up > 0 {
            return;
        }
        let of = &self.machines[machine];
        let (number, since, server) = (of.number, of.since, of.server && self.plan.options.wan);
        let wan = server.then_some(WAN);
        let slower = |one: u64, other: u64| if one > other { one } else { other };
        let bounds = [Some(of.dc), wan].into_iter().flatten().map(|pool| self.bounds(pool));
        let (known, all) = bounds.fold((0, 0), |(known, all), bounds| {
            (slower(known, bounds.known), slower(all, bounds.known_to_all))
        });
        let within = self.plan.options.deaths_within * 1_000;
        let all_within = if within > 0 { all.min(within) } else { all };
        for (time, all) in [(known, false), (all_within, true)] {
            self.queue.push(self.now + time, Ev::Known { machine: number, since, all });
        }
    }

    /// The time is over in which a death had to be known to all, or to most.
    pub(super) fn known(&mut self, machine: usize, since: u64, all: bool) {
        let of = &self.machines[machine];
        let in_time = self.calm_since.is_some_and(|calm| calm == 0 || calm + CALM_NANOS < since);
        if of.fate != Fate::Down || of.since != since || !in_time || of.disputed {
            return;
        }
        for id in of.seats.into_iter().flatten() {
            let subject = &self.seats[place(id)];
            let peers = || self.seats.iter().filter(|seat| seat.pool == subject.pool);
            let fates = || peers().map(|seat| &self.machines[seat.machine]);
            // So many at once are not one death.
            let gone = fates().filter(|other| other.fate == Fate::Down && other.since > 0);
            if gone.count() * 4 > peers().count() {
                continue;
            }
            let (mut missing, mut first) = (0, None);
            let mut watching = 0;
            for seat in peers() {
                let observer = &self.machines[seat.machine];
                let settled = observer.since == 0 || observer.since + CALM_NANOS < since;
                let Some(gossip) = seat.gossip.as_ref().filter(|_| settled) else { continue };
                if observer.fate != Fate::Up {
                    continue;
                }
                watching += 1;
                let status = gossip.standing(&subject.name).map(|(status, _)| status);
                if matches!(status, Some(MemberStatus::Alive | MemberStatus::Leaving)) {
                    missing += 1;
                    first = first.or_else(|| Some((seat.name.clone(), status)));
                }
            }
            // Who is alone, or has just come, accuses alone and believes to be slow itself.
            if watching * 4 < (peers().count() - 1) * 3 {
                continue;
            }
            let most = if all { 0 } else { watching / 10 };
            if missing > most {
                let rule = if all { "deaths are known to all" } else { "deaths are known to most" };
                let name = subject.name.clone();
                let after = (self.now - since) / 1_000_000;
                self.judge.broken(rule, self.now, || {
                    format!(
                        "{missing} of {watching} hold {name} for alive {after} ms after its \
                             death, {first:?} among them"
                    )
                });
            }
        }
    }

    /// The judges look around: clocks, sizes, names, inner rules.
    pub(super) fn look(&mut self) {
        let reported = std::mem::take(&mut self.judge.reported);
        for asked in reported {
            self.keys_done(asked);
        }
        if self.now % WIDE_NANOS < 1_000_000_000 {
            self.judge.note_wide(&self.up(), self.now);
        }
        if !self.judge.closely {
            return;
        }
        let count = self.seats.len();
        let second = usize::try_from(self.now / 1_000_000_000).unwrap_or(0);
        let step = count.div_ceil(LOOKS).max(TURNS);
        for number in (second % step..count).step_by(step) {
            let id = SeatId::try_from(number).expect("fewer than 2^32 pools");
            let Some(gossip) = self.seats[number].gossip.take() else { continue };
            gossip.check_invariants();
            let status = gossip.status();
            self.judge.clocks(id, self.now, status.clocks);
            if let Some((rule, text)) = self.too_much(&self.seats[number], &gossip) {
                self.judge.broken(rule, self.now, || text);
            }
            self.seats[number].gossip = Some(gossip);
        }
    }

    /// What is too large in a pool's tables, or does not belong there.
    fn too_much(&self, seat: &Seat, gossip: &Gossip) -> Option<(&'static str, String)> {
        let name = &seat.name;
        let names = self.seats.iter().filter(|other| other.pool == seat.pool).count();
        let status = gossip.status();
        let queues = status.queues;
        let most = QUEUE_MAX.max(2 * names);
        let stranger = gossip.members().find(|member| {
            let known = machine_named(&member.name).and_then(|number| self.machines.get(number));
            !known.is_some_and(|machine| {
                let mut seats = machine.seats.into_iter().flatten();
                seats.any(|id| {
                    let other = &self.seats[place(id)];
                    other.pool == seat.pool && other.wan == member.name.contains('.')
                })
            })
        });
        if let Some(stranger) = stranger {
            let text = format!("{name} holds {} for a member", stranger.name);
            return Some(("pools do not mix", text));
        }
        if status.members > names {
            let members = status.members;
            return Some(("tables are bounded", format!("{name} holds {members} members")));
        }
        if status.member_news > names {
            let news = status.member_news;
            return Some(("one news a member", format!("{name} tells {news} news of {names}")));
        }
        if queues.intents > most || queues.events > most || queues.queries > most {
            return Some(("queues are bounded", format!("{name}: {queues:?}")));
        }
        None
    }

    /// Everyone's view of everyone, and what should have come by now.
    pub(super) fn compare(&mut self) {
        for pool in self.pools().collect::<Vec<_>>() {
            let settled = self.bounds(pool).settled;
            if let Some((rule, text)) = self.wrong(pool, settled) {
                self.judge.broken(rule, self.now, || text);
                return;
            }
        }
    }

    /// What is wrong in a pool that had so long to settle.
    fn wrong(&self, pool: usize, settled: u64) -> Option<(&'static str, String)> {
        let calm = self.calm_since?;
        if self.shares_an_id(pool) {
            return None;
        }
        let seats: Vec<usize> =
            (0..self.seats.len()).filter(|seat| self.seats[*seat].pool == pool).collect();
        // In a large world, a few look for all.
        let step = if self.judge.closely { 1 } else { seats.len().div_ceil(50) };
        for observer in seats.iter().step_by(step) {
            for subject in &seats {
                if let Some(text) = self.mistaken(*observer, *subject, calm, settled) {
                    return Some(("views converge", text));
                }
            }
            if let Some(text) = self.unheard(*observer, calm, settled) {
                return Some(("events reach all", text));
            }
        }
        self.rings(&seats).map(|text| ("keyrings converge", text))
    }

    /// Whether two who live have one id. Until people stop one of them, whoever knows both refuses
    /// every full exchange with others who do, and those who moved find nobody to meet.
    fn shares_an_id(&self, pool: usize) -> bool {
        let mut up = self.seats.iter().filter(|seat| seat.pool == pool && seat.gossip.is_some());
        up.any(|seat| match self.machines[seat.machine].claims {
            Some((of, false)) => self.machines[usize::from(of)].fate == Fate::Up,
            Some((_, true)) | None => false,
        })
    }

    /// How one pool is wrong about another, if it should know better.
    fn mistaken(&self, one: usize, other: usize, calm: u64, settled: u64) -> Option<String> {
        let (seat, subject) = (&self.seats[one], &self.seats[other]);
        let observer = &self.machines[seat.machine];
        let machine = &self.machines[subject.machine];
        let gossip = seat.gossip.as_ref()?;
        let since = calm.max(observer.since).max(machine.since);
        if observer.fate != Fate::Up
            || observer.disputed
            || machine.disputed
            || self.now < since + settled
        {
            return None;
        }
        let held = gossip.standing(&subject.name);
        let status = held.map(|(status, _)| status);
        // Who has never met someone knows nothing of it. A leave takes some seconds.
        let id = SeatId::try_from(one).ok()?;
        let met = self.judge.has_met(id, &subject.name);
        let pruned = self.judge.has_pruned(id, &subject.name);
        let younger = !met || observer.since + LEAVE_NANOS > machine.since && observer.since > 0;
        let right = match machine.fate {
            Fate::Up => {
                let port = subject.port();
                let at = crate::links::address(machine.number, machine.moves, port);
                held == Some((MemberStatus::Alive, at))
            }
            Fate::Down => match status {
                Some(MemberStatus::Failed) => true,
                None => younger || pruned,
                Some(MemberStatus::None | MemberStatus::Left) => younger,
                Some(MemberStatus::Alive | MemberStatus::Leaving) => false,
            },
            Fate::Left => match status {
                Some(MemberStatus::Left) => true,
                Some(MemberStatus::Failed) => {
                    younger || !(machine.left_well || self.is_known_to_have_left(subject))
                }
                None => younger || pruned,
                Some(MemberStatus::None) => younger,
                Some(MemberStatus::Alive | MemberStatus::Leaving) => false,
            },
            Fate::Off => status.is_none(),
            Fate::Leaving => true,
        };
        if right {
            return None;
        }
        let fate = machine.fate;
        let (name, about) = (&seat.name, &subject.name);
        let held = held.map(|(status, at)| format!("{status:?} at {at}"));
        let for_ms = (self.now - since) / 1_000_000;
        Some(format!("{name} holds {about} for {held:?}, which is {fate:?} for {for_ms} ms"))
    }

    /// Whether anyone has heard that a member left: it tells the others.
    fn is_known_to_have_left(&self, subject: &Seat) -> bool {
        let peers = self.seats.iter().filter(|seat| seat.pool == subject.pool);
        let mut up = peers.filter(|seat| {
            let machine = &self.machines[seat.machine];
            machine.fate == Fate::Up && !machine.disputed
        });
        up.any(|seat| {
            let held = seat.gossip.as_ref().and_then(|gossip| gossip.standing(&subject.name));
            held.is_some_and(|(status, _)| status == MemberStatus::Left)
        })
    }

    /// An event that a pool should have been told of.
    fn unheard(&self, one: usize, calm: u64, settled: u64) -> Option<String> {
        let seat = &self.seats[one];
        let machine = &self.machines[seat.machine];
        if machine.fate != Fate::Up || machine.disputed || seat.gossip.is_none() {
            return None;
        }
        let id = SeatId::try_from(one).ok()?;
        let up = self.up();
        // Only the last 512 ticks are kept for those who were away.
        let newest = self.judge.fired.keys().map(|(_, time, _)| time.0).max().unwrap_or(0);
        // Who is told whom to join does not ask for what was before.
        let member = machine.since == 0;
        for ((pool, time, _), spread) in &self.judge.fired {
            let kept = time.0 + 500 > newest;
            let since = spread.wide.map(|wide| wide.max(calm).max(spread.at));
            let due = since.is_some_and(|since| self.now >= since + settled);
            if *pool == seat.pool
                && member
                && kept
                && due
                && !self.judge.was_told(id, spread)
                && self.judge.is_wide(&up, *pool, spread)
            {
                return Some(format!("{} was not told of the event of {time:?}", seat.name));
            }
        }
        None
    }

    /// Everyone who runs, and in which pool.
    fn up(&self) -> Vec<(SeatId, usize)> {
        let seats = self.seats.iter().enumerate().filter(|(_, seat)| seat.gossip.is_some());
        seats.filter_map(|(id, seat)| Some((SeatId::try_from(id).ok()?, seat.pool))).collect()
    }

    /// A change of keys that was reported complete while it was not.
    fn keys_done(&mut self, asked: Asked) {
        let Some(change) = self.judge.changes.get(&asked).cloned() else { return };
        let Some(answered) = change.done else { return };
        let seats: Vec<usize> =
            (0..self.seats.len()).filter(|seat| self.seats[*seat].pool == change.pool).collect();
        let up = |seat: &usize| {
            let machine = &self.machines[self.seats[*seat].machine];
            machine.fate == Fate::Up && machine.since < change.asked_at
        };
        if usize::try_from(answered).ok() != Some(seats.iter().filter(|seat| up(seat)).count()) {
            return;
        }
        for seat in seats.iter().filter(|seat| up(seat)) {
            let Some(gossip) = &self.seats[*seat].gossip else { continue };
            let ring = gossip.keyring();
            let has = ring.keys().contains(&change.key);
            let right = match change.turn {
                Turn::Install => has,
                Turn::Use => has && ring.primary() == Some(&change.key),
                Turn::Remove => !has,
            };
            // A later change may have undone it.
            let last = self.judge.changes.values().all(|other| other.asked_at <= change.asked_at);
            if !right && last {
                let name = self.seats[*seat].name.clone();
                self.judge.broken("changes of keys are complete", self.now, || {
                    format!("{:?} was reported complete and is not at {name}", change.turn)
                });
                return;
            }
        }
    }

    /// How keyrings differ although the last change of each was complete.
    fn rings(&self, seats: &[usize]) -> Option<String> {
        let pool = self.seats[*seats.first()?].pool;
        let changes = || self.judge.changes.values().filter(|change| change.pool == pool);
        let first = changes().map(|change| change.asked_at).min()?;
        let all = seats.len();
        let last = changes().max_by_key(|change| change.asked_at)?;
        if last.done.and_then(|answered| usize::try_from(answered).ok()) != Some(all) {
            return None;
        }
        // For each key, what was asked last of it must have been done by all.
        let whole = changes().all(|change| {
            change.done.and_then(|answered| usize::try_from(answered).ok()) == Some(all)
                || changes().any(|later| {
                    later.asked_at > change.asked_at
                        && later.key == change.key
                        && later.turn == change.turn
                })
        });
        if !whole {
            return None;
        }
        let mut one: Option<(&Seat, &Gossip)> = None;
        for seat in seats.iter().map(|seat| &self.seats[*seat]) {
            let machine = &self.machines[seat.machine];
            let Some(gossip) = seat.gossip.as_deref() else { continue };
            if machine.since > first {
                continue;
            }
            let Some((other, reference)) = one else {
                one = Some((seat, gossip));
                continue;
            };
            let sorted = |gossip: &Gossip| {
                let mut keys: Vec<String> =
                    gossip.keyring().keys().iter().map(|key| key.to_base64()).collect();
                keys.sort();
                keys
            };
            let same = sorted(gossip) == sorted(reference)
                && gossip.keyring().primary() == reference.keyring().primary();
            if !same {
                return Some(format!("{} and {} have different keys", seat.name, other.name));
            }
        }
        None
    }
}
