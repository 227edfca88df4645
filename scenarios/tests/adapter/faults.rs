//! The nemesis: what a fault does to machines, disks, clocks and links on madsim.

use crate::bench::{Bench, State};
use madsim::net::NetSim;
use proconsul_sim::clock::RATE_ONE;
use proconsul_sim::{Action, Fault, Mark, Trip, When};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// What was sent and not acknowledged for so long breaks its connection, as the adapter asks of
/// real systems.
const UNHEARD_MAX: Duration = Duration::from_secs(2);

/// A fault that waits for a protocol event.
#[derive(Clone, Debug)]
pub(crate) struct Tripwire {
    trip: Trip,
    what: Action,
    seen: u32,
}

/// How a fault ends.
#[derive(Clone, Copy, Debug)]
enum Undo {
    Cut(usize),
    Loss,
    Start(usize, u32),
    Resume(usize),
    Fast(usize, u64),
    Unhang(usize),
    Space(usize),
    Rate(usize),
}

impl Bench {
    /// Sets a fault.
    pub(crate) fn arm(self: &Arc<Self>, fault: Fault) {
        match fault.when {
            When::On(trip) => self.with(|state| {
                state.wires.push(Tripwire { trip, what: fault.what, seen: 0 });
            }),
            When::At(at) => {
                let after = (at * 1_000).saturating_sub(self.now());
                self.strike_later(Duration::from_nanos(after), fault.what, (None, None));
            }
        }
    }

    fn strike_later(
        self: &Arc<Self>,
        after: Duration,
        what: Action,
        (actor, other): (Option<usize>, Option<usize>),
    ) {
        let bench = Arc::clone(self);
        self.outside.spawn(async move {
            sleep(after).await;
            bench.with(|state| bench.strike(state, &what, actor, other));
        });
    }

    /// A protocol event happened: which faults waited for it?
    pub(crate) fn trip(
        self: &Arc<Self>,
        state: &mut State,
        server: usize,
        mark: Mark,
        other: Option<usize>,
    ) {
        let mut due = Vec::new();
        state.wires.retain_mut(|wire| {
            let here = wire.trip.server.is_none_or(|only| usize::from(only) == server);
            if wire.trip.event != mark || !here {
                return true;
            }
            wire.seen += 1;
            if wire.seen == wire.trip.nth {
                due.push((wire.trip, wire.what.clone()));
            }
            wire.seen < wire.trip.nth
        });
        for (trip, what) in due {
            if trip.middle && trip.after == 0 {
                // The step is taken, and nothing of what it asks for will be done.
                self.strike(state, &what, Some(server), other);
            } else {
                let after = Duration::from_micros(trip.after);
                self.strike_later(after, what, (Some(server), other));
            }
        }
    }

    /// Does a fault now; `actor` and `other` are those of the event that set it off.
    pub(crate) fn strike(
        self: &Arc<Self>,
        state: &mut State,
        action: &Action,
        actor: Option<usize>,
        other: Option<usize>,
    ) {
        if state.calm && !matches!(action, Action::Heal) {
            return;
        }
        state.strikes += 1;
        let number = state.strikes;
        self.tell(|| format!("fault: {action:?}"));
        let who = |state: &State, target| state.referee.resolve(target, actor, other);
        match action {
            Action::Crash { who: target, down, moved, power } => {
                let Some(server) = who(state, *target) else { return };
                if !state.referee.seats[server].up {
                    return;
                }
                let drawn = state.referee.loses_power(u64::try_from(number).unwrap());
                let power = power.unwrap_or(drawn);
                state.dies(&self.handle, server, power);
                if *moved {
                    state.moves(server);
                }
                let life = state.referee.seats[server].life;
                self.later(*down, Undo::Start(server, life));
            }
            Action::Restart { who: target } => {
                let Some(server) = who(state, *target) else { return };
                state.starts(&self.handle, server);
                state.tell_addresses();
            }
            Action::Pause { who: target, span } => {
                let Some(server) = who(state, *target) else { return };
                state.referee.seats[server].paused += 1;
                self.handle.pause(state.machines[server].id);
                self.later(*span, Undo::Resume(server));
            }
            Action::Cut { span, .. }
            | Action::Isolate { span, .. }
            | Action::Split { span, .. }
            | Action::Bridge { span, .. } => {
                if state.referee.cut(number, action, actor, other).is_some() {
                    self.set_links(state);
                    self.later(*span, Undo::Cut(number));
                }
            }
            Action::Lossy { ppm, span } => {
                NetSim::current().update_config(|net| net.packet_loss_rate = share(*ppm));
                self.later(*span, Undo::Loss);
            }
            Action::Heal => self.heal(state),
            Action::Slow { .. } | Action::Narrow { .. } | Action::Reset { .. } => {
                panic!("madsim cannot do {action:?} to one machine: its story is to be excused")
            }
            Action::DiskSlow { who: target, .. }
            | Action::DiskHang { who: target, .. }
            | Action::DiskFail { who: target }
            | Action::DiskFull { who: target, .. }
            | Action::BitRot { who: target, .. } => {
                let Some(server) = who(state, *target) else { return };
                self.strike_disk(state, action, server, number);
            }
            Action::ClockRate { who: target, .. }
            | Action::ClockJump { who: target, .. }
            | Action::WallJump { who: target, .. } => {
                let Some(server) = who(state, *target) else { return };
                self.strike_clock(state, action, server);
            }
        }
    }

    fn strike_disk(
        self: &Arc<Self>,
        state: &mut State,
        action: &Action,
        server: usize,
        number: usize,
    ) {
        let shelf = state.machines[server].shelf.clone();
        if let Action::DiskSlow { extra, span, .. } = action {
            shelf.lock().slow += extra * 1_000;
            self.later(*span, Undo::Fast(server, extra * 1_000));
        } else if let Action::DiskHang { span, .. } = action {
            shelf.lock().hung += 1;
            self.later(*span, Undo::Unhang(server));
        } else if let Action::DiskFull { span, .. } = action {
            shelf.lock().disk.set_full(true);
            self.later(*span, Undo::Space(server));
        } else if matches!(action, Action::DiskFail { .. }) {
            shelf.lock().disk.fail_next();
        } else if let Action::BitRot { drawn, .. } = action
            && state.referee.may_rot(server)
            && let drawn = drawn.unwrap_or_else(|| u64::try_from(number).unwrap())
            && shelf.lock().disk.rot(drawn).is_some()
        {
            state.referee.rots(server);
        }
    }

    fn strike_clock(self: &Arc<Self>, state: &mut State, action: &Action, server: usize) {
        let now = self.now();
        let clock = &mut state.referee.seats[server].clock;
        if let Action::ClockRate { rate, span, .. } = action {
            clock.set_rate(now, *rate);
            self.later(*span, Undo::Rate(server));
        } else if let Action::ClockJump { by, .. } = action {
            clock.jump(now, by * 1_000);
        } else if let Action::WallJump { by_ms, .. } = action {
            state.machines[server].wall_ms += by_ms;
        }
    }

    /// Ends something after `span` microseconds; 0 means at the end of all faults.
    fn later(self: &Arc<Self>, span: u64, undo: Undo) {
        if span > 0 {
            let bench = Arc::clone(self);
            self.outside.spawn(async move {
                sleep(Duration::from_micros(span)).await;
                bench.with(|state| bench.undo(state, undo));
            });
        }
    }

    fn undo(self: &Arc<Self>, state: &mut State, undo: Undo) {
        if state.calm {
            return;
        }
        match undo {
            Undo::Cut(number) => {
                state.referee.mend(number);
                self.set_links(state);
            }
            Undo::Loss => usual_loss(state),
            Undo::Start(server, life) => {
                if state.referee.seats[server].life == life {
                    state.starts(&self.handle, server);
                    state.tell_addresses();
                }
            }
            Undo::Resume(server) => self.resume(state, server),
            Undo::Fast(server, extra) => {
                let mut drive = state.machines[server].shelf.lock();
                drive.slow = drive.slow.saturating_sub(extra);
            }
            Undo::Unhang(server) => {
                let mut drive = state.machines[server].shelf.lock();
                drive.hung = drive.hung.saturating_sub(1);
            }
            Undo::Space(server) => state.machines[server].shelf.lock().disk.set_full(false),
            Undo::Rate(server) => {
                state.referee.seats[server].clock.set_rate(self.now(), RATE_ONE);
            }
        }
    }

    /// The links are as the referee's table says. madsim's connections bear any cut: what is sent
    /// again after ever longer pauses breaks here as it does on a real system.
    fn set_links(self: &Arc<Self>, state: &mut State) {
        let since = self.now();
        let cut = state.set_links(since);
        if !cut.is_empty() {
            let bench = Arc::clone(self);
            self.outside.spawn(async move {
                sleep(UNHEARD_MAX).await;
                bench.with(|state| state.give_up(&cut, since));
            });
        }
    }

    fn resume(&self, state: &mut State, server: usize) {
        let seat = &mut state.referee.seats[server];
        if seat.paused > 0 {
            seat.paused -= 1;
            if seat.paused == 0 {
                self.handle.resume(state.machines[server].id);
            }
        }
    }

    /// Everything broken so far is whole again.
    fn heal(self: &Arc<Self>, state: &mut State) {
        state.referee.mend_all();
        self.set_links(state);
        usual_loss(state);
        for server in 0..state.machines.len() {
            {
                let mut drive = state.machines[server].shelf.lock();
                (drive.slow, drive.hung) = (0, 0);
                drive.disk.heal();
            }
            let seat = &mut state.referee.seats[server];
            seat.clock.set_rate(self.now(), RATE_ONE);
            seat.paused = seat.paused.min(1);
            self.resume(state, server);
            state.starts(&self.handle, server);
        }
        state.tell_addresses();
    }

    /// The end of all faults: from here on nothing sets off anything.
    pub(crate) fn calm(self: &Arc<Self>) {
        self.with(|state| {
            state.calm = true;
            state.wires.clear();
            self.strike(state, &Action::Heal, None, None);
        });
    }
}

fn usual_loss(state: &State) {
    let usual = share(state.referee.options().loss_ppm);
    NetSim::current().update_config(|net| net.packet_loss_rate = usual);
}

/// Millionths as madsim wants them.
pub(crate) fn share(ppm: u32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}
