//! Suspicion: a deadline to refute, shortened by everyone else who suspects as well.

use super::formula::SuspicionSpan;
use super::members::Record;
use super::news::News;
use super::{Swim, Turn};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{Fault, Instant};
use proconsul_wire::memberlist::Accusation;

/// Why a member may soon be dead.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    since: Instant,
    span: SuspicionSpan,
    /// Who began it, and about whom.
    first: Arc<Accusation>,
    /// Who else suspects, each once; at most as many as are expected.
    confirmed: Vec<Arc<Accusation>>,
}

impl Suspicion {
    /// Who is suspected.
    pub(super) fn node(&self) -> &Arc<str> {
        &self.first.node
    }

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

    /// Whether the one who says this is one of those heard so far.
    fn heard(&self, said: &Arc<Accusation>) -> bool {
        let all = || core::iter::once(&self.first).chain(&self.confirmed);
        // what is told again is mostly the very same value
        all().any(|other| Arc::ptr_eq(other, said)) || all().any(|other| other.from == said.from)
    }

    fn deadline(&self) -> Instant {
        self.since.after(self.span.after(self.confirmations()))
    }
}

/// Suspicions by number. Numbers grow, so those that last lie side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspicions {
    /// The number of the first one in the row.
    first: u32,
    row: VecDeque<Option<Suspicion>>,
}

impl Suspicions {
    fn place(&self, number: u32) -> usize {
        usize::try_from(number.wrapping_sub(self.first)).unwrap_or(usize::MAX)
    }

    /// Files a suspicion; under which number.
    fn add(&mut self, suspicion: Suspicion) -> u32 {
        let behind = u32::try_from(self.row.len()).expect("fewer than 2^32 suspicions at once");
        self.row.push_back(Some(suspicion));
        self.first.wrapping_add(behind)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Suspicion> {
        self.row.get(self.place(number))?.as_ref()
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Suspicion> {
        let place = self.place(number);
        self.row.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Suspicion> {
        let place = self.place(number);
        let gone = self.row.get_mut(place)?.take();
        while self.row.front().is_some_and(Option::is_none) {
            self.row.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        gone
    }

    /// All with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Suspicion)> {
        let numbered = (0_u32..).zip(&self.row);
        numbered.filter_map(|(behind, suspicion)| {
            Some((self.first.wrapping_add(behind), suspicion.as_ref()?))
        })
    }

    /// Forgets all of them, for good.
    pub(super) fn clear(&mut self) {
        self.row.clear();
    }
}

impl Swim {
    /// Starts the deadline of someone of whom this is held from now on.
    pub(super) fn start_suspecting(
        &mut self,
        turn: &Turn<'_>,
        said: &Arc<Accusation>,
        record: Record,
    ) {
        let suspicion = Suspicion {
            since: turn.now,
            span: self.span(),
            first: Arc::clone(said),
            confirmed: Vec::new(),
        };
        let (confirmed, deadline) = (suspicion.is_confirmed(), suspicion.deadline());
        let number = self.suspicions.add(suspicion);
        self.members.set(Record { suspicion: number, confirmed, ..record });
        self.refutations.set(number, deadline);
    }

    /// How long a suspicion lasts in a pool of this size.
    fn span(&mut self) -> SuspicionSpan {
        let members = self.members.len();
        match self.span {
            Some((size, span)) if size == members => span,
            Some(_) | None => {
                let span = SuspicionSpan::new(&self.config.timing, members);
                self.span = Some((members, span));
                span
            }
        }
    }

    /// Someone else suspects a suspect. Only what shortens its deadline is told on.
    pub(super) fn confirm_suspicion(
        &mut self,
        turn: &Turn<'_>,
        number: u32,
        said: &Arc<Accusation>,
    ) {
        if self.config.planted.is(Fault::SuspicionNeverConfirmed) {
            return;
        }
        let Some(suspicion) = self.suspicions.get_mut(number) else {
            return;
        };
        let counts_twice = self.config.planted.is(Fault::SuspicionCountsNamesTwice);
        if suspicion.is_confirmed() || (suspicion.heard(said) && !counts_twice) {
            return;
        }
        suspicion.confirmed.push(Arc::clone(said));
        let deadline = suspicion.deadline().max(turn.now);
        self.refutations.set(number, deadline);
        if suspicion.is_confirmed()
            && let Some(held) = self.members.get(&said.node).cloned()
        {
            self.members.set(Record { confirmed: true, ..held });
        }
        self.tell_all(News::Suspect(Arc::clone(said)));
    }

    /// Nobody refuted in time.
    pub(super) fn suspicion_expired(&mut self, turn: &mut Turn<'_>, number: u32) {
        let Some(suspicion) = self.suspicions.remove(number) else {
            return;
        };
        let name = suspicion.node();
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
        self.dead(turn, &Arc::new(said));
    }
}
