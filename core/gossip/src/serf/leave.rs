//! Going in good order, and seeing out those who could not.

use super::{Ask, Serf, Stage, Timer};
use crate::face::Event;
use alloc::sync::Arc;
use proconsul_types::{Fault, Instant, LamportTime};
use proconsul_wire::serf::{Leave, Message};

impl Serf {
    /// Whether this member has begun to leave.
    pub(super) fn is_leaving(&self) -> bool {
        self.stage != Stage::Here
    }

    /// Leaves (`Input::Leave`): first the intent is told, then the death; when both had their time
    /// to spread, [`Event::LeftPool`]. A second call changes nothing.
    pub(crate) fn leave(&mut self, now: Instant) {
        if self.is_leaving() {
            return;
        }
        self.stage = Stage::TellingIntent;
        self.rejoin.leave();
        self.flush();
        let leave = self.next_leave(&Arc::clone(&self.name), false);
        self.on_leave_intent(now, &leave);
        if self.someone_else_here() {
            self.tell_intent(Message::Leave(leave).to_bytes(), true);
            self.timers.set(Timer::Leave, now.after(self.timing.broadcast_timeout));
        } else {
            self.go_on_leaving(now);
        }
        self.settle(now);
    }

    /// The leave intent was sent often enough.
    pub(super) fn on_intent_told(&mut self) {
        if self.stage == Stage::TellingIntent {
            self.tell_death();
        }
    }

    /// The intent goes along once more: those who heard it before may all have been dead already,
    /// and whoever hears of the death alone takes it for a failure.
    fn tell_death(&mut self) {
        self.timers.clear(&Timer::Leave);
        if self.someone_else_here() && !self.planted.is(Fault::LeaveToldBefore) {
            let time = self.members.get(&self.name).map_or(LamportTime(0), |own| own.time);
            let leave = Leave { time, node: Arc::clone(&self.name), prune: false };
            self.tell_intent(Message::Leave(leave).to_bytes(), false);
        }
        self.asks.push_back(Ask::LeaveSwim);
        self.stage = Stage::TellingDeath;
    }

    /// [`Ask::LeaveSwim`] is done, or gave up.
    pub(crate) fn on_swim_left(&mut self, now: Instant) {
        if self.stage == Stage::TellingDeath {
            self.go_on_leaving(now);
        }
    }

    /// The stage after this one.
    pub(super) fn go_on_leaving(&mut self, now: Instant) {
        match self.stage {
            Stage::TellingIntent => self.tell_death(),
            Stage::TellingDeath => {
                self.timers.set(Timer::Leave, now.after(self.timing.leave_propagation));
                self.stage = Stage::Spreading;
            }
            Stage::Spreading => {
                self.flush();
                self.say(Event::LeftPool);
                self.stage = Stage::Gone;
            }
            Stage::Here | Stage::Gone => {}
        }
    }

    /// Tells all that another has left (`Input::ForceLeave`): a failed member counts as left from
    /// then on, a living one refutes. With `prune` it is forgotten as well.
    pub(crate) fn force_leave(&mut self, now: Instant, node: &Arc<str>, prune: bool) {
        let leave = self.next_leave(node, prune);
        self.on_leave_intent(now, &leave);
        if self.someone_else_here() {
            self.tell_intent(Message::Leave(leave).to_bytes(), false);
        }
        self.settle(now);
    }

    fn next_leave(&mut self, node: &Arc<str>, prune: bool) -> Leave {
        let time = self.clocks.member;
        self.clocks.member = LamportTime(time.0.saturating_add(1));
        Leave { time, node: Arc::clone(node), prune }
    }
}
