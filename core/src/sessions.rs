//! The leader's clocks: sessions that must be renewed, keys that may not be locked yet.
//!
//! They live in the leader's memory only. A new leader arms every one of them in full: a session
//! may live longer for it, never shorter.

use crate::node::Node;
use crate::open::Origin;
use crate::proposals::Asked;
use crate::timers::Timer;
use crate::{Effect, Event};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{Command, Fact};
use proconsul_http::Response;
use proconsul_types::{Duration, Fault, SessionId};

/// What the leader has under way about sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    /// Sessions that have a timer or are being ended.
    armed: BTreeSet<SessionId>,
    /// Sessions whose end is proposed.
    expiring: BTreeSet<SessionId>,
    /// Keys that have a timer or whose release is proposed.
    delayed: BTreeSet<Arc<str>>,
    /// Keys whose lock-delay is over and not proposed yet.
    over: Vec<Arc<str>>,
    /// Renewals that came while the end of their session was on its way through the log.
    waiting: Vec<Origin>,
}

/// After a proposal was refused.
const AGAIN: Duration = Duration::from_millis(100);

impl Sessions {
    /// How many sessions have a timer.
    pub(crate) fn armed_count(&self) -> usize {
        self.armed.len()
    }
}

impl Node {
    /// This server leads from now on: every timer starts in full.
    pub(crate) fn sessions_elected(&mut self) {
        self.sessions_deposed();
        if self.planted.is(Fault::SessionTimersNotRearmed) {
            return;
        }
        let sessions: Vec<(SessionId, Duration)> = self
            .catalog
            .sessions()
            .filter_map(|session| Some((session.id, self.catalog.session_ttl(session.id)?)))
            .collect();
        for (id, ttl) in sessions {
            self.arm_session(id, ttl);
        }
        let delays: Vec<(Arc<str>, Duration)> =
            self.catalog.lock_delays().map(|(key, delay)| (Arc::clone(key), delay)).collect();
        for (key, delay) in delays {
            let forgets = self.planted.is(Fault::LockDelayEndsWithLeader);
            let delay = if forgets { Duration::ZERO } else { delay };
            self.arm_lock_delay(key, delay);
        }
    }

    /// This server does not lead: it keeps no clocks.
    pub(crate) fn sessions_deposed(&mut self) {
        for id in core::mem::take(&mut self.sessions.armed) {
            self.timers.clear(&Timer::Session(id));
        }
        for key in core::mem::take(&mut self.sessions.delayed) {
            self.timers.clear(&Timer::LockDelay(key));
        }
        self.sessions.expiring.clear();
        self.sessions.over.clear();
        self.renewals_again();
    }

    fn arm_session(&mut self, id: SessionId, ttl: Duration) {
        let patience = ttl.saturating_mul(self.config.session_ttl_percent) / 100;
        self.sessions.armed.insert(id);
        self.timers.set(Timer::Session(id), self.now.after(patience));
    }

    fn arm_lock_delay(&mut self, key: Arc<str>, delay: Duration) {
        self.timers.set(Timer::LockDelay(Arc::clone(&key)), self.now.after(delay));
        self.sessions.delayed.insert(key);
    }

    /// Something that concerns the clocks was applied.
    pub(crate) fn session_fact(&mut self, fact: Fact) {
        if !self.publisher.is_leader() {
            return;
        }
        match fact {
            Fact::SessionCreated(id, Some(ttl)) => self.arm_session(id, ttl),
            Fact::SessionCreated(_, None) => {}
            Fact::SessionDestroyed(id) => {
                self.sessions.armed.remove(&id);
                self.timers.clear(&Timer::Session(id));
                if self.sessions.expiring.remove(&id) {
                    self.renewals_again();
                }
            }
            Fact::LockDelayed(key, delay) => self.arm_lock_delay(key, delay),
            Fact::LockDelayOver(key) => {
                self.timers.clear(&Timer::LockDelay(Arc::clone(&key)));
                self.sessions.delayed.remove(&key);
            }
            Fact::Restored => self.sessions_elected(),
        }
    }

    /// A client renews a session.
    pub(crate) fn renew(&mut self, origin: Origin, id: SessionId, response: Response) {
        // Its end is in the log already, or may be, from an earlier leader: the answer is what that
        // comes to.
        if !self.has_applied_own_term() || self.sessions.expiring.contains(&id) {
            self.sessions.waiting.push(origin);
            return;
        }
        if let Some(ttl) = self.catalog.session_ttl(id)
            && !self.planted.is(Fault::RenewalKeepsDeadline)
        {
            self.arm_session(id, ttl);
        }
        self.answer(origin, response);
    }

    /// What renewals waited for may have happened: they are looked at again.
    pub(crate) fn renewals_again(&mut self) {
        for origin in core::mem::take(&mut self.sessions.waiting) {
            self.make_ready(origin);
        }
    }

    /// A session was not renewed in time.
    pub(crate) fn session_due(&mut self, id: SessionId) {
        if !self.publisher.is_leader() || self.catalog.session(id).is_none() {
            self.sessions.armed.remove(&id);
            return;
        }
        self.sessions.expiring.insert(id);
        self.answers.push(Effect::Event(Event::SessionExpired(id)));
        self.propose(Asked::Expire(id), Command::SessionDestroy(id));
    }

    /// Its end was not accepted: once more, soon.
    pub(crate) fn expiry_failed(&mut self, id: SessionId) {
        self.sessions.expiring.remove(&id);
        if self.publisher.is_leader() && self.sessions.armed.contains(&id) {
            self.timers.set(Timer::Session(id), self.now.after(AGAIN));
        }
        self.renewals_again();
    }

    /// A key may be locked again.
    pub(crate) fn lock_delay_due(&mut self, key: Arc<str>) {
        if !self.publisher.is_leader() {
            self.sessions.delayed.remove(&key);
        } else if self.has_applied_own_term() {
            self.sessions.over.push(key);
        } else {
            // An earlier leader's end of this delay may be in the log: a second one would end the
            // next delay of the key.
            self.timers.set(Timer::LockDelay(key), self.now.after(AGAIN));
        }
    }

    /// Proposes the end of all lock-delays that are over, as one command.
    pub(crate) fn propose_lock_delays(&mut self) {
        if !self.sessions.over.is_empty() {
            let keys = core::mem::take(&mut self.sessions.over);
            self.propose(Asked::LockDelays(keys.clone()), Command::LockDelayOver(keys));
        }
    }

    /// It was not accepted: once more, soon.
    pub(crate) fn lock_delays_failed(&mut self, keys: Vec<Arc<str>>) {
        for key in keys {
            if self.publisher.is_leader() && self.sessions.delayed.contains(&key) {
                self.timers.set(Timer::LockDelay(key), self.now.after(AGAIN));
            }
        }
    }
}
