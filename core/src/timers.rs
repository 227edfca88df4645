//! Why and when the node wakes: the minimum over its parts, with a name.

use crate::node::Node;
use crate::open::Origin;
use crate::{Effect, Wakeup};
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{Instant, Pool, SessionId};

/// What a deadline of the node itself is for. Raft and the checks keep their own tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A held or forwarded request: look again, or give up.
    Call(Origin),
    /// A blocking query's wait is over.
    Blocking(Origin),
    /// A session was not renewed in time.
    Session(SessionId),
    /// A key may be locked again.
    LockDelay(Arc<str>),
    /// The next piece of a snapshot.
    Snapshot,
    /// Whether the disk has room for the log again.
    Room,
    /// Whether the catalog still shows this server as it is.
    Registration,
    /// Another attempt to meet the list of a pool.
    Join(Pool),
    /// Whether all expected servers are here.
    Expect,
    /// Servers of the LAN that the WAN lacks.
    Flood,
    /// This agent's place in the network is told.
    Place,
    /// The leader writes down what places it was told.
    Places,
    /// The leader looks at the whole pool.
    Reconcile,
    /// The leader looks at the servers.
    Autopilot,
    /// What was refused to the leader gets another try.
    Duty,
    /// A departure waited long enough.
    Departure,
    /// A departing server asks again to be taken out of the group.
    AskToGo,
    /// A client agent compares itself with the servers.
    AntiEntropy,
    /// A client agent looks for another server.
    Rebalance,
    /// What is shown of the pools is made anew.
    PoolView,
    /// The next command of a restore gets another try.
    Restore,
}

impl Timer {
    fn wakeup(&self) -> Wakeup {
        match self {
            Self::Call(_) => Wakeup::Call,
            Self::Blocking(_) => Wakeup::Blocking,
            Self::Session(_) | Self::LockDelay(_) => Wakeup::Session,
            Self::Snapshot | Self::Restore => Wakeup::Snapshot,
            Self::Registration | Self::AntiEntropy => Wakeup::Sync,
            Self::Join(_)
            | Self::Expect
            | Self::Room
            | Self::Flood
            | Self::Place
            | Self::Places
            | Self::Reconcile
            | Self::Autopilot
            | Self::Duty
            | Self::Departure
            | Self::AskToGo
            | Self::Rebalance
            | Self::PoolView => Wakeup::Duty,
        }
    }
}

impl Node {
    /// When to wake the node next, and why.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<(Instant, Wakeup)> {
        if self.stopped {
            return None;
        }
        if self.durable.must_start() {
            return Some((Instant::START, Wakeup::Raft));
        }
        let mut next: Option<(Instant, Wakeup)> = None;
        let mut offer = |candidate: Option<(Instant, Wakeup)>| {
            if let Some((at, _)) = candidate
                && next.is_none_or(|(earliest, _)| at < earliest)
            {
                next = candidate;
            }
        };
        if self.durable.is_open() {
            offer(self.raft.next_wakeup().map(|(at, _)| (at, Wakeup::Raft)));
        }
        offer(self.timers.next().map(|(at, timer)| (at, timer.wakeup())));
        offer(self.agent.next_wakeup());
        offer(self.pools.next_wakeup());
        next
    }

    /// Whatever is due.
    pub(crate) fn wake(&mut self, out: &mut Vec<Effect>) {
        if self.raft.next_wakeup().is_some_and(|(at, _)| at <= self.now) {
            self.raft_input(proconsul_raft::Input::Wake);
        }
        // A timer set while timers are handled is due in the next step at the earliest.
        let mut budget = self.timers.len();
        while budget > 0
            && let Some(timer) = self.timers.pop_due(self.now)
        {
            budget -= 1;
            match timer {
                Timer::Call(origin) => self.call_due(origin, out),
                Timer::Blocking(origin) => self.wait_over(origin),
                Timer::Session(id) => self.session_due(id),
                Timer::LockDelay(key) => self.lock_delay_due(key),
                Timer::Snapshot => self.snapshot_due(out),
                Timer::Room => self.look_for_room(out),
                Timer::Registration => self.check_registration(),
                Timer::Join(pool) => self.retry_join(pool, out),
                Timer::Expect => self.look_for_group(out),
                Timer::Flood => self.flood(),
                Timer::Place => self.tell_place(),
                Timer::Places => self.write_places(out),
                Timer::Reconcile => self.reconcile_all(),
                Timer::Autopilot => self.autopilot(out),
                Timer::Duty => self.duties_again(),
                Timer::Departure => self.departure_due(),
                Timer::AskToGo => self.ask_to_go(),
                Timer::AntiEntropy => self.compare_with_servers(),
                Timer::Rebalance => self.rebalance(),
                Timer::PoolView => self.pools.changed(),
                Timer::Restore => self.restore_next(),
            }
        }
        self.propose_lock_delays();
        self.wake_pools();
        self.agent_wake(out);
    }
}
