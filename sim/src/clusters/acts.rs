//! What a plan's acts do to a world.

use super::asks::Purpose;
use super::judge::CALM;
use super::plan::{Fact, What, Who};
use super::wires::wide;
use super::world::{Ev, SECOND, World};
use crate::disk::Disk;
use crate::draw::{draw, stream};
use crate::links::{Fate, LAN_PORT, Trouble, WAN_PORT, address};
use crate::schedule::Freshness;
use proconsul_core::http::Method;
use proconsul_core::types::CheckStatus;

impl World {
    /// The act of this number happens.
    pub(super) fn act(&mut self, number: usize) {
        let what = self.settled(number);
        self.trace.event(self.now, 0, 20, wide(number));
        if self.lines.are_kept() {
            self.say(None, || format!("act {what:?}"));
        }
        match what {
            What::Crash { who, down, moved, lost } => self.crash(who, (down, moved, lost), number),
            What::Start { who } => {
                for machine in self.machines_of(who) {
                    let fate = self.machines[machine].fate;
                    if matches!(fate, Fate::Off | Fate::Left | Fate::Down) {
                        self.start(machine);
                    }
                }
            }
            What::Leave { who } => {
                self.disturbed();
                for machine in self.machines_of(who) {
                    if self.machines[machine].is_up() {
                        let missed = self.judge.is_missed(machine);
                        let cut = |(_, trouble): &(usize, Trouble)| {
                            matches!(trouble, Trouble::Cut { .. } | Trouble::Split { .. })
                        };
                        let cut = self.network.troubles.iter().any(cut);
                        let of = &mut self.machines[machine];
                        (of.since, of.fate) = (self.now, Fate::Leaving);
                        // Its leave and its refutation of its death pass each other, or its leave
                        // is not heard.
                        of.forced |= of.paused || missed || cut;
                        self.ask(machine, Purpose::Plain, Method::Put, "/v1/agent/leave", "");
                    }
                }
            }
            What::ForceLeave { by, who } => {
                self.disturbed();
                let Some(of) = self.machines.get_mut(usize::from(who)) else { return };
                of.forced |= of.fate != Fate::Up;
                self.judge.may_have_left(who.into(), false, self.now);
                let target = format!("/v1/agent/force-leave/{}", of.name);
                self.ask(by.into(), Purpose::Plain, Method::Put, &target, "");
            }
            What::Join { by, to, wan } => {
                self.disturbed();
                self.join(by.into(), to.into(), wan);
            }
            What::Pause { who, span } => {
                self.begin(number, span);
                for machine in self.machines_of(who) {
                    self.machines[machine].paused = self.machines[machine].node.is_some();
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
            What::Put { by, dc, key } => self.put(by.into(), dc, key),
            What::Read { by, dc, key, how } => {
                let how_text = match how {
                    Freshness::Default => "",
                    Freshness::Consistent => "&consistent",
                    Freshness::Stale => "&stale",
                };
                let target = format!("/v1/kv/k/{key}?raw&dc=dc{dc}{how_text}");
                self.ask(by.into(), Purpose::Read { dc, key, how }, Method::Get, &target, "");
            }
            What::Create { by, dc } => {
                let target = format!("/v1/kv/c/{number}?cas=0&dc=dc{dc}");
                self.ask(by.into(), Purpose::Create, Method::Put, &target, "mine");
            }
            What::Must { by, dc } => {
                let target = format!("/v1/kv/must/{number}?dc=dc{dc}");
                self.ask(by.into(), Purpose::Must { dc }, Method::Put, &target, "1");
            }
            What::Watch { by, dc, key } => self.watch(by.into(), (dc, key)),
            What::Register { by, service, port } => {
                let body = format!(r#"{{"Name":"web{service}","Port":{port}}}"#);
                let purpose = Purpose::Offer { service, port: Some(port) };
                let target = "/v1/agent/service/register";
                self.ask(by.into(), purpose, Method::Put, target, &body);
            }
            What::Deregister { by, service } => {
                let target = format!("/v1/agent/service/deregister/web{service}");
                let purpose = Purpose::Offer { service, port: None };
                self.ask(by.into(), purpose, Method::Put, &target, "");
            }
            What::Meddle { by, of, service } => self.meddle(by.into(), of.into(), service),
            What::Hold { by } => {
                let body = r#"{"Behavior":"delete","LockDelay":"0s"}"#;
                let target = "/v1/session/create";
                self.ask(by.into(), Purpose::Session, Method::Put, target, body);
            }
            What::Expect { dc, fact } => self.expect(dc.into(), fact),
        }
    }

    /// What an act is, now that it happens: it is about whoever leads at this moment.
    fn settled(&mut self, number: usize) -> What {
        let mut what = self.plan.acts[number].what.clone();
        for who in what.about() {
            if let Who::Leader(dc) = *who {
                let leader = self.leader_of(dc.into()).map(|leader| &self.machines[leader]);
                *who = leader.map_or(Who::Span(0, 0), |leader| Who::One(leader.place.number));
            }
        }
        self.plan.acts[number].what = what.clone();
        what
    }

    /// Something is wrong from now on.
    fn begin(&mut self, number: usize, span: u64) {
        self.disturbed();
        self.active.push(number);
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
        self.disturbed();
        self.active.retain(|other| *other != number);
        self.network.troubles.retain(|(other, _)| *other != number);
        if let What::Pause { who, .. } = self.plan.acts[number].what {
            for machine in self.machines_of(who) {
                self.queue.push(self.now, Ev::Resume(machine));
            }
        }
    }

    /// Everything is whole again; who is down for good stays down.
    pub(super) fn heal(&mut self) {
        self.say(None, || "everything is whole again".into());
        for number in self.active.clone() {
            self.over(number);
        }
        for machine in 0..self.machines.len() {
            if self.machines[machine].fate == Fate::Down && self.judge.returns(machine) {
                self.start(machine);
            }
        }
        self.judge.healed_at = Some(self.now);
        self.help();
        self.queue.push(self.now + 2 * SECOND, Ev::Rest);
    }

    /// Where some moved while others were away, they may not have met again: operators tell
    /// everyone once more whom to meet.
    fn help(&mut self) {
        for machine in 0..self.machines.len() {
            let dc = self.machines[machine].place.dc;
            let mut here = self.machines.iter().filter(|other| other.place.dc == dc);
            if !self.machines[machine].is_up() || here.all(|other| other.moves == 0) {
                continue;
            }
            let others = self.machines.iter().filter(|other| other.place.dc == dc && other.server);
            let others: Vec<usize> = others.map(|other| other.place.number.into()).collect();
            for other in others {
                self.join(machine, other, false);
            }
        }
    }

    fn crash(&mut self, who: Who, (down, moved, lost): (u64, bool, bool), number: usize) {
        let calm = self.is_calm_for(CALM);
        for machine in self.machines_of(who) {
            let fate = self.machines[machine].fate;
            let drawn = draw(self.plan.seed, stream::TEAR, wide(machine), wide(number));
            let runs = matches!(fate, Fate::Up | Fate::Leaving);
            if runs {
                self.end(machine, Fate::Down, !drawn.is_multiple_of(3));
            }
            if lost && (runs || fate == Fate::Down) {
                let of = &mut self.machines[machine];
                of.losses += 1;
                of.disk = Disk::new(drawn);
                self.judge.lost(machine, &self.machines, self.now);
            }
            if !runs {
                continue;
            }
            let of = &mut self.machines[machine];
            // Who dies while it leaves may be taken for either.
            of.forced = fate == Fate::Leaving;
            of.moves = of.moves.wrapping_add(u8::from(moved));
            self.judge.crashed(machine, down > 0);
            if calm && fate == Fate::Up {
                self.judge.deaths.push((machine, self.now));
            }
            let life = self.machines[machine].life;
            if down > 0 {
                self.queue.push(self.now + down * 1_000, Ev::Restart { machine, life });
            }
        }
    }

    fn join(&mut self, by: usize, to: usize, wan: bool) {
        let Some(other) = self.machines.get(to) else { return };
        let port = if wan { WAN_PORT } else { LAN_PORT };
        let at = address(other.place.number, other.moves, port);
        let target = format!("/v1/agent/join/{at}{}", if wan { "?wan=1" } else { "" });
        self.ask(by, Purpose::Plain, Method::Put, &target, "");
    }

    fn put(&mut self, by: usize, dc: u8, key: u8) {
        let target = format!("/v1/kv/k/{key}?dc=dc{dc}");
        let value = self.next_request.to_string();
        self.ask(by, Purpose::Put { dc, key }, Method::Put, &target, &value);
    }

    fn meddle(&mut self, by: usize, of: usize, service: u8) {
        let Some(machine) = self.machines.get(of) else { return };
        let (name, dc) = (&machine.name, machine.place.dc);
        let body =
            format!(r#"{{"Datacenter":"dc{dc}","Node":"{name}","ServiceID":"web{service}"}}"#);
        let target = "/v1/catalog/deregister";
        self.ask(by, Purpose::Meddle { of, service }, Method::Put, target, &body);
    }

    fn expect(&mut self, dc: usize, fact: Fact) {
        let held = self.holds(dc, fact);
        if let Err(found) = held {
            let text = format!("dc{dc}: {fact:?} is expected, and {found}");
            self.judge.broken("expected", self.now, || text);
        }
    }

    fn holds(&self, dc: usize, fact: Fact) -> Result<(), String> {
        let leader = self.leader_of(dc);
        match fact {
            Fact::Led => return leader.map(|_| ()).ok_or_else(|| "nobody leads".into()),
            Fact::Leaderless => {
                return leader.map_or(Ok(()), |leader| Err(format!("m{leader} leads")));
            }
            Fact::Voters(_)
            | Fact::Passing(_)
            | Fact::Critical(_)
            | Fact::Gone(_)
            | Fact::Offered(..)
            | Fact::Sessions(_) => {}
        }
        let node = leader.and_then(|leader| self.machines[leader].node.as_ref());
        let Some(node) = node else { return Err("nobody leads".into()) };
        let catalog = node.catalog();
        let health = |number: u16| {
            let name = &self.machines.get(usize::from(number))?.name;
            catalog.check(name, "serfHealth").map(|check| check.status)
        };
        let equal = |found: usize, wanted: u16| {
            let same = found == usize::from(wanted);
            if same { Ok(()) } else { Err(format!("there are {found}")) }
        };
        let is = |found: Option<CheckStatus>, wanted: Option<CheckStatus>| {
            if found == wanted { Ok(()) } else { Err(format!("its health is {found:?}")) }
        };
        match fact {
            Fact::Led | Fact::Leaderless => Ok(()),
            Fact::Voters(count) => equal(node.raft().membership().voter_count(), count),
            Fact::Passing(number) => is(health(number), Some(CheckStatus::Passing)),
            Fact::Critical(number) => is(health(number), Some(CheckStatus::Critical)),
            Fact::Gone(number) => is(health(number), None),
            Fact::Offered(service, count) => {
                let name = format!("web{service}");
                let offers = catalog.nodes().flat_map(|node| catalog.node_services(&node.name));
                equal(offers.filter(|service| *service.registration.name == *name).count(), count)
            }
            Fact::Sessions(count) => equal(catalog.sessions().count(), count),
        }
    }

    /// Who leads a datacenter: in the newest term, if several say that they do.
    pub(super) fn leader_of(&self, dc: usize) -> Option<usize> {
        let mut best = None;
        for (number, machine) in self.machines.iter().enumerate() {
            let Some(view) = machine.view.as_ref().filter(|_| machine.node.is_some()) else {
                continue;
            };
            let leadership = &view.leadership;
            let leads = machine.place.dc == dc && leadership.is_leader;
            if leads && best.is_none_or(|(term, _)| leadership.term > term) {
                best = Some((leadership.term, number));
            }
        }
        best.map(|(_, number)| number)
    }
}
