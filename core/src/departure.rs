//! Leaving: the pools hear of it first, then the group of servers, then the agent stops.

use crate::node::Node;
use crate::open::Origin;
use crate::proposals::{Asked, CHANGE_IN_PROGRESS, TRANSFERRING};
use crate::timers::Timer;
use crate::{Admin, Effect, ExitReason};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use proconsul_gossip::Input;
use proconsul_http::error::{LEADERSHIP_LOST, NO_LEADER};
use proconsul_types::{Duration, Instant, Pool};

/// A departure that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Departure {
    /// Who asked, if a request did.
    pub(crate) origin: Option<Origin>,
    /// Pools that have not heard of it yet.
    pools: BTreeSet<Pool>,
    /// It goes on answering until then.
    until: Instant,
    /// Whether the group does not count on it any more.
    is_out: bool,
}

/// How long a server waits to be taken out of the group.
const REMOVAL_GRACE: Duration = Duration::from_secs(5);
/// Between two requests to be taken out of it.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Refusals that say nothing of the next try.
const PASSING: [&str; 4] = [CHANGE_IN_PROGRESS, TRANSFERRING, NO_LEADER, LEADERSHIP_LOST];

impl Node {
    /// Leaves for good, at the wish of a request or of a signal. A second wish changes nothing.
    pub(crate) fn depart_from_pools(&mut self, origin: Option<Origin>) {
        if let Some(departure) = &mut self.departure {
            departure.origin = departure.origin.or(origin);
            return;
        }
        self.hand_over();
        let mut pools = BTreeSet::new();
        for pool in [Pool::Wan, Pool::Lan] {
            if self.pools.pool(pool).is_some() {
                pools.insert(pool);
                self.pools.tell(pool, Input::Leave);
            }
        }
        let is_server = self.config.facts.server;
        let drain = self.config.cluster.as_ref().map_or(Duration::ZERO, |c| c.leave_drain);
        let until = if is_server { self.now.after(drain) } else { self.now };
        self.departure = Some(Departure { origin, pools, until, is_out: !is_server });
        self.expecting = crate::expect::Expecting::default();
    }

    /// A leader that will go lets another lead while it is still there to help. If none takes over
    /// it leads to its end, and the group elects when it is out.
    fn hand_over(&mut self) {
        if self.publisher.is_leader() && self.raft.membership().members.len() > 1 {
            let ticket = self.proposals.ticket(Asked::Duty(None), None);
            self.raft_input(proconsul_raft::Input::Transfer(ticket, None));
        }
    }

    /// A pool has heard that this agent goes.
    pub(crate) fn left_pool(&mut self, pool: Pool) {
        let Some(departure) = &mut self.departure else {
            return;
        };
        departure.pools.remove(&pool);
        if !departure.pools.is_empty() {
            return;
        }
        if departure.is_out || self.raft.membership().members.len() <= 1 {
            departure.is_out = true;
            self.stop_when_drained();
        } else {
            // The leader removes whoever left; asking for it costs nothing and is sooner.
            self.timers.set(Timer::Departure, self.now.after(REMOVAL_GRACE));
            self.depart();
        }
    }

    /// The leader was asked to take this server out. What is under way elsewhere passes: until the
    /// grace ends it is asked again.
    pub(crate) fn group_answered(&mut self, result: Result<(), String>) {
        let waits = self.departure.as_ref().is_some_and(|departure| !departure.is_out);
        let passes = |text: String| PASSING.iter().any(|end| text.trim_end().ends_with(end));
        if waits && self.raft.membership().contains(self.config.id) && result.is_err_and(passes) {
            self.timers.set(Timer::AskToGo, self.now.after(ASK_AGAIN));
        } else {
            self.out_of_group();
        }
    }

    /// The leader is asked again.
    pub(crate) fn ask_to_go(&mut self) {
        if self.departure.as_ref().is_some_and(|departure| !departure.is_out) {
            self.depart();
        }
    }

    /// The group was told, or cannot be: nobody waits for a server that wants to go.
    pub(crate) fn out_of_group(&mut self) {
        if let Some(departure) = &mut self.departure {
            departure.is_out = true;
            self.stop_when_drained();
        }
    }

    fn stop_when_drained(&mut self) {
        let Some(departure) = &self.departure else {
            return;
        };
        if departure.until <= self.now {
            self.gone();
        } else {
            self.timers.set(Timer::Departure, departure.until);
        }
    }

    /// The deadline of a departure.
    pub(crate) fn departure_due(&mut self) {
        self.out_of_group();
    }

    /// An operator's signal.
    pub(crate) fn signal(&mut self, terminate: bool, out: &mut Vec<Effect>) {
        let leaves = self.config.cluster.as_ref().is_some_and(|cluster| match terminate {
            true => cluster.leave_on_terminate,
            false => !cluster.skip_leave_on_interrupt,
        });
        // The second signal does not wait.
        if leaves && self.departure.is_none() {
            self.depart_from_pools(None);
        } else if self.departure.is_some() {
            self.flush_disk(out);
            self.stop(ExitReason::Stopped, out);
        } else {
            self.admin(Admin::Stop, out);
        }
    }
}
