//! Leaving in good order: telling that it is on purpose, and waiting until that is told.

use super::{Swim, Timer, Turn};
use alloc::sync::Arc;
use proconsul_wire::memberlist::Accusation;

/// How far a leave has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// This member stays.
    No,
    /// It says so.
    Telling,
    /// It has said so.
    Told,
}

impl Leaving {
    pub(super) fn has_begun(self) -> bool {
        match self {
            Self::Telling | Self::Told => true,
            Self::No => false,
        }
    }
}

impl Swim {
    /// Says that this member goes. Serf hears when that was told, or when the time for it is over;
    /// until it stops, the member goes on answering.
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_>) {
        match self.leaving {
            Leaving::Telling => return,
            Leaving::Told => {
                turn.serf.on_swim_left(turn.now);
                return;
            }
            Leaving::No => self.leaving = Leaving::Telling,
        }
        let alone = !self.anyone_alive();
        let name = Arc::clone(&self.config.name);
        let incarnation = self.incarnation;
        let said = Accusation { incarnation, node: Arc::clone(&name), from: name };
        self.dead(turn, &Arc::new(said));
        if alone {
            self.leave_told(turn);
        } else {
            let patience = self.config.timing.broadcast_timeout;
            self.timers.set(Timer::Leave, turn.now.after(patience));
        }
    }

    /// Looks whether the leave was told as often as news are.
    pub(crate) fn look_after_leave(&mut self, turn: &mut Turn<'_>) {
        if self.leaving == Leaving::Telling && !self.queue.holds(&self.config.name) {
            self.leave_told(turn);
        }
    }

    /// The leave was told, or the time for it is over.
    pub(super) fn leave_told(&mut self, turn: &mut Turn<'_>) {
        self.timers.clear(&Timer::Leave);
        if self.leaving == Leaving::Telling {
            self.leaving = Leaving::Told;
            turn.serf.on_swim_left(turn.now);
        }
    }
}
