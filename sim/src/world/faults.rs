//! The nemesis: what a fault does to a world, at its time or when a protocol event sets it off, and
//! how its end is reached.

use super::host::loses_power;
use super::{Engine, Ev, Life, MICRO, small};
use crate::clock::RATE_ONE;
use crate::net::Trouble;
use crate::schedule::{Action, Fault, Mark, Target, Trip, When};
use proconsul_core::Input;
use proconsul_core::types::WallTime;

/// A fault that waits for a protocol event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tripwire {
    pub(crate) fault: u32,
    pub(crate) trip: Trip,
    pub(crate) seen: u32,
}

/// How a fault ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Undo {
    Net(usize),
    Restart(u8, u32),
    Resume(u8),
    DiskSlow(u8, u64),
    Unhang(u8),
    Space(u8),
    Rate(u8),
    Strike(u32, u8, Option<u8>),
}

impl Engine {
    /// Does a fault now; `actor` and `other` are those of the event that set it off.
    pub(crate) fn strike(&mut self, action: &Action, actor: Option<usize>, other: Option<usize>) {
        if self.calm && !matches!(action, Action::Heal) {
            return;
        }
        self.strikes += 1;
        let number = self.strikes;
        self.trace.event(self.now, 0, 9, number_of(number));
        self.note(None, || format!("fault {number}: {action:?}"));
        let who = |engine: &Self, target: &Target| engine.resolve(*target, actor, other);
        match action {
            Action::Crash { who: target, down, moved, power } => {
                let Some(server) = who(self, target) else { return };
                let power = power.unwrap_or_else(|| loses_power(self.seed, number_of(number)));
                self.crash(server, *down, *moved, power);
            }
            Action::Pause { who: target, span } => {
                let Some(server) = who(self, target) else { return };
                self.hosts[server].paused += 1;
                self.later(*span, Undo::Resume(small(server)));
            }
            Action::Cut { from, to, span } => {
                let (Some(from), Some(to)) = (who(self, from), who(self, to)) else { return };
                self.trouble(number, Trouble::Cut(from, to), *span);
            }
            Action::Isolate { who: target, span } => {
                let Some(server) = who(self, target) else { return };
                self.trouble(number, Trouble::Isolated(server), *span);
            }
            Action::Split { side, span } => {
                self.trouble(number, Trouble::Split { side: *side, middle: None }, *span);
            }
            Action::Bridge { middle, side, span } => {
                let middle = who(self, middle);
                self.trouble(number, Trouble::Split { side: *side, middle }, *span);
            }
            Action::Slow { who: target, extra, span } => {
                let Some(server) = who(self, target) else { return };
                self.trouble(number, Trouble::Slow(server, extra * MICRO), *span);
            }
            Action::Lossy { ppm, span } => self.trouble(number, Trouble::Lossy(*ppm), *span),
            Action::Narrow { who: target, bytes_per_second, span } => {
                let Some(server) = who(self, target) else { return };
                let line = (*bytes_per_second).max(1);
                self.trouble(number, Trouble::Narrow(server, line), *span);
            }
            Action::Reset { who: target } => {
                let Some(server) = who(self, target) else { return };
                self.break_all(server);
            }
            Action::Heal => self.heal_now(),
            Action::Restart { who: target } => {
                let Some(server) = who(self, target) else { return };
                self.restart(server);
            }
            Action::DiskSlow { .. }
            | Action::DiskHang { .. }
            | Action::DiskFail { .. }
            | Action::DiskFull { .. }
            | Action::BitRot { .. } => self.strike_disk(action, actor, other),
            Action::ClockRate { .. } | Action::ClockJump { .. } | Action::WallJump { .. } => {
                self.strike_clock(action, actor, other);
            }
        }
    }

    /// Lets the fault of a schedule say itself what chance decides about it as it strikes now: when
    /// others before it are gone, it still does the same (design D12b).
    fn pin(&mut self, fault: u32) -> Action {
        let (seed, next) = (self.seed, number_of(self.strikes + 1));
        let calm = self.calm;
        let what = &mut self.faults[place(fault)].what;
        if !calm {
            what.pin(loses_power(seed, next), next);
        }
        what.clone()
    }

    fn crash(&mut self, server: usize, down: u64, moved: bool, power: bool) {
        if !matches!(self.hosts[server].life, Life::Up(_)) {
            return;
        }
        self.kill(server, power);
        if moved {
            self.move_host(server);
        }
        if down > 0 {
            self.later(down, Undo::Restart(small(server), self.hosts[server].starts));
        }
    }

    fn strike_disk(&mut self, action: &Action, actor: Option<usize>, other: Option<usize>) {
        match action {
            Action::DiskSlow { who, extra, span } => {
                let Some(server) = self.resolve(*who, actor, other) else { return };
                self.hosts[server].slow += extra * MICRO;
                self.later(*span, Undo::DiskSlow(small(server), extra * MICRO));
            }
            Action::DiskHang { who, span } => {
                let Some(server) = self.resolve(*who, actor, other) else { return };
                self.hosts[server].hung += 1;
                self.later(*span, Undo::Unhang(small(server)));
            }
            Action::DiskFail { who } => {
                let Some(server) = self.resolve(*who, actor, other) else { return };
                if self.within_budget(server) {
                    self.hosts[server].disk.fail_next();
                }
            }
            Action::DiskFull { who, span } => {
                let Some(server) = self.resolve(*who, actor, other) else { return };
                self.hosts[server].disk.set_full(true);
                self.later(*span, Undo::Space(small(server)));
            }
            Action::BitRot { who, drawn } => {
                let Some(server) = self.resolve(*who, actor, other) else { return };
                // A rotten log is a lost copy: never more of them than the group can bear.
                if self.judge.may_rot(server) {
                    let drawn = drawn.unwrap_or_else(|| number_of(self.strikes));
                    if let Some(file) = self.hosts[server].disk.rot(drawn) {
                        self.judge.rots(server);
                        self.note(Some(server), || format!("a bit of {file} flips"));
                    }
                }
            }
            Action::Crash { .. }
            | Action::Pause { .. }
            | Action::Cut { .. }
            | Action::Isolate { .. }
            | Action::Split { .. }
            | Action::Bridge { .. }
            | Action::Slow { .. }
            | Action::Lossy { .. }
            | Action::Narrow { .. }
            | Action::Reset { .. }
            | Action::Restart { .. }
            | Action::ClockRate { .. }
            | Action::ClockJump { .. }
            | Action::WallJump { .. }
            | Action::Heal => {}
        }
    }

    fn strike_clock(&mut self, action: &Action, actor: Option<usize>, other: Option<usize>) {
        if let Action::ClockRate { who, rate, span } = action {
            let Some(server) = self.resolve(*who, actor, other) else { return };
            self.hosts[server].clock.set_rate(self.now, *rate);
            self.later(*span, Undo::Rate(small(server)));
            self.reset_alarm(server);
        } else if let Action::ClockJump { who, by } = action {
            let Some(server) = self.resolve(*who, actor, other) else { return };
            self.hosts[server].clock.jump(self.now, by * MICRO);
            self.reset_alarm(server);
        } else if let Action::WallJump { who, by_ms } = action {
            let Some(server) = self.resolve(*who, actor, other) else { return };
            self.hosts[server].clock.jump_wall(*by_ms);
            let wall = WallTime(self.hosts[server].clock.wall_ms(self.now));
            self.feed(server, Input::WallClock(wall));
        }
    }

    /// After a change of its clock a host looks at its deadlines anew.
    fn reset_alarm(&mut self, server: usize) {
        self.rearm(server);
        self.feed(server, Input::Wake);
    }

    fn trouble(&mut self, number: usize, trouble: Trouble, span: u64) {
        self.net.add(number, trouble);
        self.judge.network_changed(self.now, &self.net);
        self.later(span, Undo::Net(number));
    }

    /// Ends something after `span` microseconds; 0 means at the end of all faults.
    fn later(&mut self, span: u64, undo: Undo) {
        if span > 0 {
            self.queue.push(self.now + span * MICRO, Ev::Undo { undo });
        }
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        if let Undo::Strike(fault, actor, other) = undo {
            let action = self.pin(fault);
            self.strike(&action, Some(actor.into()), other.map(usize::from));
            return;
        }
        if self.calm {
            return;
        }
        self.note(None, || format!("fault over: {}", undo.words()));
        match undo {
            Undo::Net(number) => {
                self.judge.lonely_leaders(&self.hosts);
                let narrow = self.net.narrowed();
                self.net.remove(number);
                self.widen(&narrow);
                self.judge.network_changed(self.now, &self.net);
            }
            Undo::Restart(server, starts) => {
                let server = usize::from(server);
                if self.hosts[server].starts == starts {
                    self.restart(server);
                }
            }
            Undo::Resume(server) => self.resume(server.into()),
            Undo::DiskSlow(server, extra) => {
                let host = &mut self.hosts[usize::from(server)];
                host.slow = host.slow.saturating_sub(extra);
            }
            Undo::Unhang(server) => self.unhang(server.into()),
            Undo::Space(server) => self.hosts[usize::from(server)].disk.set_full(false),
            Undo::Rate(server) => {
                let now = self.now;
                self.hosts[usize::from(server)].clock.set_rate(now, RATE_ONE);
                self.reset_alarm(server.into());
            }
            Undo::Strike(..) => {}
        }
    }

    /// A line that is no longer narrow: what still waits to go through it, for minutes perhaps,
    /// goes with its connection.
    fn widen(&mut self, narrow: &[usize]) {
        let still = self.net.narrowed();
        for server in narrow.iter().filter(|server| !still.contains(server)) {
            self.break_all(*server);
        }
    }

    /// Starts a dead process, unless its disk was found bad.
    pub(crate) fn restart(&mut self, server: usize) {
        if matches!(self.hosts[server].life, Life::Down | Life::Stopped(_)) {
            self.start(server);
            self.tell_addresses();
        }
    }

    /// Lets a paused process go on: first what waited for it, then the clock.
    pub(crate) fn resume(&mut self, server: usize) {
        let host = &mut self.hosts[server];
        if host.paused == 0 {
            return;
        }
        host.paused -= 1;
        if host.paused > 0 {
            return;
        }
        let backlog = std::mem::take(&mut host.backlog);
        self.note(Some(server), || "goes on".into());
        self.feed(server, Input::Wake);
        for input in backlog {
            self.feed(server, input);
        }
    }

    fn unhang(&mut self, server: usize) {
        let host = &mut self.hosts[server];
        host.hung = host.hung.saturating_sub(1);
        if host.hung == 0 {
            let life = host.starts;
            for lane in std::mem::take(&mut host.stalled) {
                let lane = small(lane);
                self.queue.push(self.now, Ev::Synced { host: small(server), life, lane });
            }
        }
    }

    /// The end of all faults, as the schedule says.
    pub(crate) fn heal(&mut self) {
        // From here on no protocol event sets off anything: not even those of healing itself.
        self.calm = true;
        self.calm_at = Some(self.now);
        self.tripwires.clear();
        self.heal_now();
        let bound = self.options.bound * MICRO;
        self.queue.push(self.now + bound, Ev::Probe);
        let end = self.now + self.options.liveness * MICRO;
        self.queue.push(end.max(self.now + 2 * bound), Ev::Verdict);
    }

    /// Everything broken so far is whole again.
    pub(crate) fn heal_now(&mut self) {
        self.note(None, || "everything is whole again".into());
        self.trace.event(self.now, 0, 10, 0);
        self.judge.lonely_leaders(&self.hosts);
        let narrow = self.net.narrowed();
        self.net.heal();
        self.widen(&narrow);
        self.judge.network_changed(self.now, &self.net);
        for server in 0..self.hosts.len() {
            let now = self.now;
            let host = &mut self.hosts[server];
            host.clock.set_rate(now, RATE_ONE);
            host.slow = 0;
            host.disk.heal();
            host.hung = host.hung.min(1);
            host.paused = host.paused.min(1);
            self.unhang(server);
            self.resume(server);
        }
        for server in 0..self.hosts.len() {
            if matches!(self.hosts[server].life, Life::Down | Life::Stopped(_)) {
                self.start(server);
            }
        }
        self.tell_addresses();
        for server in 0..self.hosts.len() {
            self.reset_alarm(server);
        }
    }

    /// Whether the group could still elect and commit if this server were lost for good.
    fn within_budget(&self, server: usize) -> bool {
        let lost = (self.hosts.iter().enumerate())
            .filter(|(other, host)| *other != server && matches!(host.life, Life::Refused(_)))
            .count();
        (lost + 1) * 2 < self.hosts.len()
    }

    pub(crate) fn resolve(
        &self,
        target: Target,
        actor: Option<usize>,
        other: Option<usize>,
    ) -> Option<usize> {
        resolve(target, (self.leader(), self.hosts.len()), (actor, other))
    }

    pub(crate) fn strike_numbered(&mut self, fault: u32) {
        let action = self.pin(fault);
        self.strike(&action, None, None);
    }

    /// A protocol event happened: which faults waited for it?
    pub(crate) fn trip(&mut self, server: usize, mark: Mark, other: Option<usize>) {
        if self.tripwires.is_empty() || self.calm {
            return;
        }
        let mut due = Vec::new();
        self.tripwires.retain_mut(|wire| {
            let here = wire.trip.server.is_none_or(|only| usize::from(only) == server);
            if wire.trip.event != mark || !here {
                return true;
            }
            wire.seen += 1;
            if wire.seen < wire.trip.nth {
                return true;
            }
            due.push((wire.fault, wire.trip));
            false
        });
        for (fault, trip) in due {
            let crash = matches!(self.faults[place(fault)].what, Action::Crash { .. });
            if trip.middle && trip.after == 0 && crash {
                let action = self.pin(fault);
                self.strike(&action, Some(server), other);
            } else {
                self.struck.push((fault, trip.after, server, other));
            }
        }
    }

    /// Faults set off by the step that has just ended.
    pub(crate) fn strike_due(&mut self) {
        while let Some((fault, after, actor, other)) = self.struck.pop() {
            if after == 0 {
                let action = self.pin(fault);
                self.strike(&action, Some(actor), other);
            } else {
                self.later(after, Undo::Strike(fault, small(actor), other.map(small)));
            }
        }
    }

    /// Does something now and writes it down, so that a story is a schedule, too.
    pub fn act(&mut self, action: Action) {
        let fault = u32::try_from(self.faults.len()).expect("few faults");
        self.faults.push(Fault { when: When::At(self.now.div_ceil(MICRO)), what: action });
        self.strike_numbered(fault);
    }
}

impl Undo {
    /// What ends, in a few words.
    fn words(self) -> String {
        match self {
            Self::Net(number) => format!("fault {number} of the network"),
            Self::Restart(server, _) => format!("s{server} may start again"),
            Self::Resume(server) => format!("s{server} may go on"),
            Self::DiskSlow(server, _) => format!("the disk of s{server} is as fast as before"),
            Self::Unhang(server) => format!("the disk of s{server} answers again"),
            Self::Space(server) => format!("the disk of s{server} has room again"),
            Self::Rate(server) => format!("the clock of s{server} runs as it should"),
            Self::Strike(fault, ..) => format!("waiting for fault {fault}"),
        }
    }
}

fn place(fault: u32) -> usize {
    usize::try_from(fault).expect("32 bits fit an index")
}

fn number_of(strike: usize) -> u64 {
    u64::try_from(strike).unwrap_or(0)
}

/// Whom a fault strikes, in a group with this leader and so many servers.
pub(crate) fn resolve(
    target: Target,
    (leader, servers): (Option<usize>, usize),
    (actor, other): (Option<usize>, Option<usize>),
) -> Option<usize> {
    let server = match target {
        Target::Server(server) => Some(usize::from(server)),
        Target::Leader => leader,
        Target::Follower(nth) => {
            let others = (0..servers).filter(|server| Some(*server) != leader);
            others.cycle().nth(usize::from(nth))
        }
        Target::Actor => actor,
        Target::Other => other,
    };
    server.filter(|server| *server < servers)
}
