//! Suspicion: a deadline to refute, shortened by everyone else who suspects as well.

use super::formula::SuspicionSpan;
use super::{Swim, Timer, Turn};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{Fault, Instant};
use proconsul_wire::memberlist::{Accusation, Message};

/// Why a member may soon be dead.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    since: Instant,
    span: SuspicionSpan,
    /// Who began it.
    first: Arc<str>,
    /// Who else suspects, each once; at most as many as are expected.
    confirmed: Vec<Arc<str>>,
}

impl Suspicion {
    fn confirmations(&self) -> u32 {
        u32::try_from(self.confirmed.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_within_bounds(&self) -> bool {
        self.confirmations() <= self.span.expected
    }

    /// Whether all confirmations that are expected have come: more change nothing.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmations() >= self.span.expected
    }

    fn deadline(&self) -> Instant {
        self.since.after(self.span.after(self.confirmations()))
    }
}

impl Swim {
    /// Starts the deadline of someone who just became a suspect.
    pub(super) fn start_suspecting(&mut self, turn: &Turn<'_>, said: &Accusation) {
        let suspicion = Suspicion {
            since: turn.now,
            span: SuspicionSpan::new(&self.config.timing, self.members.len()),
            first: Arc::clone(&said.from),
            confirmed: Vec::new(),
        };
        self.timers.set(Timer::Suspicion(Arc::clone(&said.node)), suspicion.deadline());
        self.suspicions.insert(Arc::clone(&said.node), suspicion);
    }

    /// Someone else suspects a suspect. Only what shortens its deadline is told on.
    pub(super) fn confirm_suspicion(&mut self, turn: &Turn<'_>, said: &Accusation) {
        if self.config.planted.is(Fault::SuspicionNeverConfirmed) {
            return;
        }
        let Some(suspicion) = self.suspicions.get_mut(&said.node) else {
            return;
        };
        let counts_twice = self.config.planted.is(Fault::SuspicionCountsNamesTwice);
        let known = suspicion.first == said.from || suspicion.confirmed.contains(&said.from);
        if suspicion.confirmations() >= suspicion.span.expected || (known && !counts_twice) {
            return;
        }
        suspicion.confirmed.push(Arc::clone(&said.from));
        let deadline = suspicion.deadline().max(turn.now);
        self.timers.set(Timer::Suspicion(Arc::clone(&said.node)), deadline);
        self.tell_all(Message::Suspect(said.clone()));
    }

    /// Nobody refuted in time.
    pub(super) fn suspicion_expired(&mut self, turn: &mut Turn<'_>, name: &Arc<str>) {
        let Some(suspicion) = self.suspicions.remove(name) else {
            return;
        };
        let Some(held) = self.members.get(name) else {
            return;
        };
        let said = Accusation {
            incarnation: held.incarnation(),
            node: Arc::clone(name),
            from: Arc::clone(&self.config.name),
        };
        turn.notice(format!(
            "Marking {name} as failed, suspect timeout reached ({} peer confirmations)",
            suspicion.confirmations()
        ));
        self.dead(turn, &said);
    }
}
