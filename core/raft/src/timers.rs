//! The deadlines of a Raft server: five fixed slots, so that setting one costs a store.

use proconsul_types::Instant;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The first step after boot: tell the host what is committed and who belongs to the group.
    Boot,
    /// A voter without a leader stands for election.
    Election,
    /// A leader begins a round: heartbeats, check-quorum, retransmission.
    Heartbeat,
    /// A leader tells followers that are otherwise silent what is committed.
    Notice,
    /// A leadership transfer has taken too long.
    Transfer,
}

const ALL: [Timer; 5] =
    [Timer::Boot, Timer::Election, Timer::Heartbeat, Timer::Notice, Timer::Transfer];

/// The one place where this part keeps deadlines; setting a timer replaces it.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    at: [Instant; 5],
}

impl Default for Timers {
    fn default() -> Self {
        Self { at: [Instant::NEVER; 5] }
    }
}

impl Timers {
    fn slot(timer: Timer) -> usize {
        match timer {
            Timer::Boot => 0,
            Timer::Election => 1,
            Timer::Heartbeat => 2,
            Timer::Notice => 3,
            Timer::Transfer => 4,
        }
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.at[Self::slot(timer)] = at;
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.at[Self::slot(timer)] = Instant::NEVER;
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        let at = self.at[Self::slot(timer)];
        (at != Instant::NEVER).then_some(at)
    }

    /// The earliest deadline; of equal ones, the first in the order of [`Timer`].
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        let mut next: Option<(Instant, Timer)> = None;
        for timer in ALL {
            let at = self.at[Self::slot(timer)];
            if at != Instant::NEVER && next.is_none_or(|(earliest, _)| at < earliest) {
                next = Some((at, timer));
            }
        }
        next
    }

    /// Removes and returns the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.next()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_again_replaces_and_due_ones_come_in_order() {
        let mut timers = Timers::default();
        timers.set(Timer::Heartbeat, Instant(10));
        timers.set(Timer::Election, Instant(5));
        timers.set(Timer::Heartbeat, Instant(3));
        assert_eq!(timers.next(), Some((Instant(3), Timer::Heartbeat)));
        assert_eq!(timers.pop_due(Instant(5)), Some(Timer::Heartbeat));
        assert_eq!(timers.pop_due(Instant(5)), Some(Timer::Election));
        assert_eq!(timers.pop_due(Instant(5)), None);
        assert_eq!(timers.get(Timer::Heartbeat), None);
    }
}
