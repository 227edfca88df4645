//! What a plan's acts do to a world, and what pools tell their hosts.

use super::judge::Change;
use super::plan::{Held, Turn, What, Who};
use super::seats::{SeatId, key};
use super::views::CALM_NANOS;
use super::world::{Ev, World, place, wide};
use crate::links::{Fate, LAN_PORT, Trouble, WAN_PORT, address};
use bytes::Bytes;
use proconsul_core::gossip::{Asked, Event, Input, KeyOp, QueryParams};
use proconsul_core::types::{Duration, MemberStatus};
use proconsul_core::wire::crypto::Key;
use std::sync::Arc;

/// The join of a member that strays into another pool.
const STRAY_JOIN: Asked = Asked(2);

impl World {
    /// The act of this number happens.
    pub(super) fn act(&mut self, number: usize) {
        let what = self.what(number);
        self.trace.event(self.now, 0, 20, wide(number));
        if self.lines.are_kept() {
            self.say(None, || format!("fault {what:?}"));
        }
        match what {
            What::Crash { who, down, moved, lost } => self.crash(who, down, moved, lost),
            What::Start { who } => {
                for machine in self.machines_of(who) {
                    let fate = self.machines[machine].fate;
                    if matches!(fate, Fate::Off | Fate::Down | Fate::Left) {
                        self.start(machine, false);
                    }
                }
            }
            What::Leave { who } => self.leave(who),
            What::ForceLeave { by, who, prune } => self.force_leave(by, who, prune),
            What::Pause { who, span } => {
                self.begin(number, span);
                for machine in self.machines_of(who) {
                    self.machines[machine].paused = self.machines[machine].fate != Fate::Down;
                }
            }
            What::Slow { who, extra, span } => {
                self.trouble(number, Trouble::Slow { who, extra }, span);
            }
            What::Cut { from, to, carrier, span } => {
                self.trouble(number, Trouble::Cut { from, to, carrier }, span);
            }
            What::Split { side, span } => self.trouble(number, Trouble::Split { side }, span),
            What::Lossy { ppm, span } => self.trouble(number, Trouble::Lossy { ppm }, span),
            What::ClockRate { who, rate, span } => {
                self.begin(number, span);
                self.judge.drifts = true;
                self.set_rate(who, rate);
            }
            What::Fire { by, again } => self.fire(by, again, number),
            What::Ask { by, relay } => self.ask(by, relay, number),
            What::Keys { by, turn, key } => self.turn_keys(by, turn, key, number),
            What::Tags { who, value } => self.retag(who, value),
            What::Claim { by, of, name } => self.claim(by, of, name),
            What::Trespass { by, to, wan } => self.trespass(by, to, wan),
            What::Expect { by, about, held, wan } => self.expect(by, about, held, wan),
            What::ExpectKeys { by, primary, absent } => self.expect_keys(by, primary, absent),
        }
    }

    /// Something is wrong from now on.
    fn begin(&mut self, number: usize, span: u64) {
        self.active.push(number);
        self.calm_since = None;
        if span > 0 {
            self.queue.push(self.now + span * 1_000, Ev::Over(number));
        }
    }

    fn trouble(&mut self, number: usize, trouble: Trouble, span: u64) {
        self.begin(number, span);
        self.network.troubles.push((number, trouble));
    }

    /// What the act of this number did is over.
    pub(super) fn over(&mut self, number: usize) {
        if !self.active.contains(&number) {
            return;
        }
        self.active.retain(|other| *other != number);
        self.network.troubles.retain(|(other, _)| *other != number);
        match self.what(number) {
            What::Pause { who, .. } => {
                for machine in self.machines_of(who) {
                    self.queue.push(self.now, Ev::Resume(self.machines[machine].number));
                }
            }
            What::ClockRate { who, .. } => self.set_rate(who, crate::clock::RATE_ONE),
            What::Crash { .. }
            | What::Start { .. }
            | What::Leave { .. }
            | What::ForceLeave { .. }
            | What::Slow { .. }
            | What::Cut { .. }
            | What::Split { .. }
            | What::Lossy { .. }
            | What::Fire { .. }
            | What::Ask { .. }
            | What::Keys { .. }
            | What::Tags { .. }
            | What::Claim { .. }
            | What::Trespass { .. }
            | What::Expect { .. }
            | What::ExpectKeys { .. } => {}
        }
        if self.active.is_empty() {
            self.calm();
        }
    }

    /// Nothing is wrong any more.
    fn calm(&mut self) {
        self.calm_since = Some(self.now);
        let settled = self.settled_max();
        self.queue.push(self.now + settled, Ev::Compare);
    }

    /// Everything is whole again; who is down for good stays down.
    pub(super) fn heal(&mut self) {
        for number in self.active.clone() {
            self.over(number);
        }
        let settled = self.settled_max();
        let rest = self.plan.options.rest * 1_000;
        let end = self.now + if rest == 0 { settled } else { rest };
        self.judge.end = end + 1;
        self.say(None, || "everything is healed".into());
        self.help();
        self.queue.push(end, Ev::Compare);
        if rest == 0 {
            self.queue.push(self.now, Ev::Rest);
        }
    }

    /// Those who restarted while others were away may have met each other only, and be forgotten by
    /// the rest: their operators tell them once more whom to join.
    pub(super) fn help(&mut self) {
        if self.helped.replace(self.now) == Some(self.now) {
            return;
        }
        for machine in 0..self.machines.len() {
            let of = &self.machines[machine];
            let (life, since) = (of.life, of.since);
            if of.fate != Fate::Up || since == 0 {
                continue;
            }
            for seat in of.seats.into_iter().flatten() {
                let again = Ev::Rejoin { seat, life, again: true };
                self.queue.push(self.now + 1_000_000_000, again);
            }
        }
    }

    fn set_rate(&mut self, who: Who, rate: u32) {
        for machine in self.machines_of(who) {
            self.machines[machine].clock.set_rate(self.now, rate);
            for seat in self.machines[machine].seats.into_iter().flatten() {
                self.seats[place(seat)].wake_at = u64::MAX;
                self.arm(seat);
            }
        }
    }

    fn crash(&mut self, who: Who, down: u64, moved: bool, lost: bool) {
        for machine in self.machines_of(who) {
            if !matches!(self.machines[machine].fate, Fate::Up | Fate::Leaving) {
                continue;
            }
            let up_since = self.machines[machine].since;
            self.stop(machine, Fate::Down);
            if moved {
                self.machines[machine].moves = self.machines[machine].moves.wrapping_add(1);
            }
            if lost {
                for seat in self.machines[machine].seats.into_iter().flatten() {
                    self.seats[place(seat)].file.clear();
                }
            }
            let of = &self.machines[machine];
            let (number, life) = (of.number, of.life);
            if down > 0 {
                let again = Ev::Restart { machine: number, life };
                self.queue.push(self.now + down * 1_000, again);
            } else {
                self.watch_death(machine, up_since);
            }
        }
    }

    fn leave(&mut self, who: Who) {
        for machine in self.machines_of(who) {
            if self.machines[machine].fate == Fate::Up {
                self.machines[machine].left_well = self.all_quiet();
                self.machines[machine].fate = Fate::Leaving;
                self.machines[machine].since = self.now;
                for seat in self.machines[machine].seats.into_iter().flatten() {
                    self.deliver(seat, Input::Leave);
                }
            }
        }
    }

    /// Whether nothing has happened for so long that members know one another: a leave is told a
    /// few times, to whom the leaver holds to be here, and never again.
    fn all_quiet(&self) -> bool {
        let long_ago = |since: u64| since == 0 || since + CALM_NANOS < self.now;
        self.calm_since.is_some_and(long_ago)
            && self.machines.iter().all(|machine| long_ago(machine.since))
    }

    /// The LAN pool of a machine that is up.
    fn lan(&self, machine: u16) -> Option<SeatId> {
        let machine = self.machines.get(usize::from(machine))?;
        let seat = machine.seats[0]?;
        (machine.fate == Fate::Up && self.seats[place(seat)].gossip.is_some()).then_some(seat)
    }

    fn force_leave(&mut self, by: u16, who: u16, prune: bool) {
        let Some(of) = self.machines.get_mut(usize::from(who)) else { return };
        of.disputed |= of.fate != Fate::Up;
        let Some(seat) = of.seats[0] else { return };
        let node = Arc::clone(&self.seats[place(seat)].name);
        if let Some(seat) = self.lan(by) {
            self.deliver(seat, Input::ForceLeave { node, prune });
        }
    }

    fn fire(&mut self, by: u16, again: bool, number: usize) {
        let Some(seat) = self.lan(by) else { return };
        if self.machines[usize::from(by)].paused {
            return;
        }
        let payload = if again { Bytes::new() } else { Bytes::from(number.to_string()) };
        self.judge.fires(seat);
        self.step(seat, Input::Fire { name: "deploy".into(), payload, coalesce: false });
        self.judge.fired(seat, self.now);
    }

    fn ask(&mut self, by: u16, relay: u8, number: usize) {
        let Some(seat) = self.lan(by) else { return };
        let params = QueryParams {
            name: "who".into(),
            payload: Bytes::new(),
            filters: Vec::new(),
            ack: true,
            relay_factor: relay,
            timeout: Duration::ZERO,
        };
        self.deliver(seat, Input::Query(Asked(1_000 + wide(number)), params));
    }

    fn turn_keys(&mut self, by: u16, turn: Turn, number: u8, act: usize) {
        let Some(seat) = self.lan(by) else { return };
        let bytes = Bytes::copy_from_slice(key(number).as_bytes());
        let op = match turn {
            Turn::Install => KeyOp::Install(bytes),
            Turn::Use => KeyOp::Use(bytes),
            Turn::Remove => KeyOp::Remove(bytes),
        };
        if self.is_early(turn, &key(number)) {
            return;
        }
        let asked = Asked(1_000 + wide(act));
        let pool = self.seats[place(seat)].pool;
        let change = Change { pool, turn, key: key(number), asked_at: self.now, done: None };
        self.judge.turned(asked, change);
        self.deliver(seat, Input::Keys(asked, op, 0));
    }

    /// Whether a step of a rotation comes before the last one is complete: operators wait then. To
    /// use a key that was never installed is a mistake that they do make.
    fn is_early(&self, turn: Turn, key: &Key) -> bool {
        let up = self.machines.iter().filter(|machine| machine.fate == Fate::Up).count();
        let changes = self.judge.changes.values().filter(|change| match turn {
            Turn::Install => false,
            Turn::Use => change.turn == Turn::Install && change.key == *key,
            Turn::Remove => change.turn == Turn::Use && change.key != *key,
        });
        let all = |done: u32| usize::try_from(done).is_ok_and(|done| done >= up);
        changes.clone().next().is_some()
            && !changes.into_iter().any(|change| change.done.is_some_and(all))
    }

    fn retag(&mut self, who: Who, value: u8) {
        for machine in self.machines_of(who) {
            let Some(seat) = self.lan(self.machines[machine].number) else { continue };
            self.seats[place(seat)].tags = value;
            let gossip = self.seats[place(seat)].gossip.as_ref().expect("its machine is up");
            let mut tags = (*gossip.local().tags).clone();
            tags.insert("value".into(), value.to_string().into());
            self.deliver(seat, Input::Tags(tags));
        }
    }

    fn claim(&mut self, by: u16, of: u16, name: bool) {
        let (claimer, owner) = (usize::from(by), usize::from(of));
        if claimer >= self.machines.len() || owner >= self.machines.len() {
            return;
        }
        if matches!(self.machines[claimer].fate, Fate::Off | Fate::Down) {
            self.machines[claimer].claims = Some((of, name));
            self.machines[claimer].disputed = true;
            self.machines[owner].disputed |= name;
            self.start(claimer, false);
        }
    }

    fn trespass(&mut self, by: u16, to: u16, wan: bool) {
        let Some(to) = self.machines.get(usize::from(to)) else { return };
        let home = self.machines.get(usize::from(by)).is_some_and(|by| by.dc == to.dc);
        if home && !wan {
            return;
        }
        let port = if wan { WAN_PORT } else { LAN_PORT };
        let seeds = vec![address(to.number, to.moves, port)];
        if let Some(seat) = self.lan(by) {
            self.deliver(seat, Input::Join { asked: STRAY_JOIN, seeds, replay: false });
        }
    }

    fn expect(&mut self, by: Who, about: Who, held: Held, wan: bool) {
        for observer in self.machines_of(by) {
            let Some(seat) = self.machines[observer].seats[usize::from(wan)] else { continue };
            for subject in self.machines_of(about) {
                let Some(other) = self.machines[subject].seats[usize::from(wan)] else { continue };
                let (seat, other) = (&self.seats[place(seat)], &self.seats[place(other)]);
                let Some(gossip) = &seat.gossip else { continue };
                if seat.pool != other.pool || observer == subject {
                    continue;
                }
                let found = gossip.member(&other.name).map(|member| member.status);
                if found_as(found) != held {
                    let text =
                        format!("{} holds {} for {found:?}, not {held:?}", seat.name, other.name);
                    self.judge.broken("expected", self.now, || text);
                    return;
                }
            }
        }
    }

    fn expect_keys(&mut self, by: Who, primary: u8, absent: u8) {
        let (primary, absent) = (key(primary), key(absent));
        for machine in self.machines_of(by) {
            let seat = self.machines[machine].seats[0].map(|seat| &self.seats[place(seat)]);
            let Some((seat, gossip)) = seat.and_then(|seat| Some((seat, seat.gossip.as_ref()?)))
            else {
                continue;
            };
            let ring = gossip.keyring();
            if ring.primary() != Some(&primary) || ring.keys().contains(&absent) {
                let keys: Vec<String> = ring.keys().iter().map(Key::to_base64).collect();
                let wanted = (primary.to_base64(), absent.to_base64());
                let text = format!(
                    "{} has the keys {keys:?}, the first of them primary; it should be {}, and {} \
                     gone",
                    seat.name, wanted.0, wanted.1
                );
                self.judge.broken("expected", self.now, || text);
                return;
            }
        }
    }

    /// A pool told its host something.
    pub(super) fn happened(&mut self, id: SeatId, event: &Event) {
        let machine = self.seats[place(id)].machine;
        self.judge.event(id, event, self.now, &self.machines, &self.seats, self.calm_since);
        if self.lines.are_kept() {
            let wan = if self.seats[place(id)].wan { "wan " } else { "" };
            self.say(Some(machine), || format!("{wan}{}", words(event)));
        }
        match event {
            Event::JoinDone(asked, met, _) => self.joined(id, *asked, *met),
            Event::LeftPool => self.queue.push(self.now, Ev::Gone(id)),
            Event::LostName => self.queue.push(self.now, Ev::Gone(id)),
            Event::Query { id: query, .. } => {
                self.queue.push(self.now, Ev::Answer { seat: id, query: *query });
            }
            Event::Joined(_)
            | Event::Failed(_)
            | Event::Left(_)
            | Event::Updated(_)
            | Event::Reaped(_)
            | Event::User { .. }
            | Event::Acked(..)
            | Event::Response(..)
            | Event::QueryDone(_)
            | Event::Keys(..)
            | Event::Notice(_)
            | Event::Suspected(_)
            | Event::Refuted => {}
        }
    }

    /// A pool of a machine has left; when all have, the process ends.
    pub(super) fn gone(&mut self, id: SeatId) {
        let machine = self.seats[place(id)].machine;
        self.unseat(id);
        let seats = self.machines[machine].seats;
        if seats.iter().flatten().all(|seat| self.seats[place(*seat)].gossip.is_none()) {
            self.stop(machine, Fate::Left);
        }
    }
}

/// A status, as a plan knows it.
pub(super) fn found_as(found: Option<MemberStatus>) -> Held {
    match found {
        None | Some(MemberStatus::None) => Held::Nothing,
        Some(MemberStatus::Alive | MemberStatus::Leaving) => Held::Alive,
        Some(MemberStatus::Left) => Held::Left,
        Some(MemberStatus::Failed) => Held::Failed,
    }
}

fn words(event: &Event) -> String {
    match event {
        Event::Joined(member) => format!("sees {} join at {}", member.name, member.address),
        Event::Failed(member) => format!("sees {} fail", member.name),
        Event::Left(member) => format!("sees {} leave", member.name),
        Event::Reaped(member) => format!("forgets {}", member.name),
        Event::Updated(member) => format!("sees {} change", member.name),
        Event::Suspected(name) => format!("suspects {name}"),
        Event::Notice(text) => text.clone(),
        other @ (Event::JoinDone(..)
        | Event::User { .. }
        | Event::Query { .. }
        | Event::Acked(..)
        | Event::Response(..)
        | Event::QueryDone(_)
        | Event::Keys(..)
        | Event::LeftPool
        | Event::LostName
        | Event::Refuted) => format!("{other:?}"),
    }
}
