//! Rules that hold between steps. The simulator checks Raft's after every one, and all of them
//! after every thirty-second.

use crate::node::Node;
use crate::open::{Origin, Stage};
use crate::timers::Timer;

impl Node {
    /// Panics with the broken rule in words.
    pub fn check_invariants(&self) {
        self.raft.check_invariants();
        self.agent.check_invariants();
        self.pools.check_invariants();
        if self.stopped {
            return;
        }
        assert!(self.bus.is_empty() || !self.durable.is_open(), "a step drains the bus");
        assert!(self.ready.is_empty(), "a step looks at every request that is ready");
        assert!(
            self.raft.applied() == self.applied.index,
            "raft knows what is applied: {} is, raft says {}",
            self.applied.index,
            self.raft.applied(),
        );
        assert!(
            self.applied.index.0 >= self.catalog.index().0,
            "the catalog is never ahead of the log"
        );
        assert!(
            self.publisher.is_leader() == self.raft.is_leader(),
            "what is published of leadership is what raft says"
        );
        self.check_requests();
        self.check_leader();
    }

    fn check_requests(&self) {
        let stage = |origin: &Origin| self.opens.get(origin).map(|open| &open.stage);
        for origin in self.calls.held() {
            assert!(stage(origin) == Some(&Stage::Held), "who is held is open and held");
            assert!(
                self.timers.get(&Timer::Call(*origin)).is_some(),
                "whoever is held has a deadline"
            );
        }
        for (id, origin) in self.calls.outgoing() {
            let waits = matches!(stage(origin), Some(Stage::Forwarded(call, _)) if call == id);
            assert!(waits, "every call to another agent has someone here who waits for it");
            assert!(
                self.timers.get(&Timer::Call(*origin)).is_some(),
                "whoever waits for another agent has a deadline"
            );
        }
        for origin in self.blocking.parked() {
            assert!(stage(origin) == Some(&Stage::Parked), "who is registered is parked");
            assert!(
                self.timers.get(&Timer::Blocking(*origin)).is_some(),
                "whoever is parked has a deadline"
            );
        }
    }

    fn check_leader(&self) {
        if self.publisher.is_leader() {
            let mut last = None;
            for place in self.proposals.places() {
                assert!(last < Some(place), "a leader's proposals stand in the order of the log");
                last = Some(place);
            }
            return;
        }
        assert!(self.proposals.places().next().is_none(), "only a leader has open proposals");
        assert!(self.sessions.armed_count() == 0, "only the leader keeps clocks of sessions");
    }
}
