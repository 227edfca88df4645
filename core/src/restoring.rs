//! A user's restore on its way through the log: begun, brought in parts, ended.
//!
//! One command after the other: the next is proposed when the last is applied, so heartbeats and
//! the writes of others go on between them, and no part is ever missing. Nothing of it is seen
//! until the end is applied; whatever ends it earlier leaves everything as it was.

use crate::node::Node;
use crate::open::{Origin, Stage};
use crate::proposals::{Asked, BUSY_PAUSE};
use crate::timers::Timer;
use alloc::format;
use bytes::Bytes;
use proconsul_catalog::{Command, Outcome, RestorePart};
use proconsul_http::Reply;
use proconsul_http::error::LEADERSHIP_LOST;
use proconsul_raft::Refusal;
use proconsul_types::{CatalogIndex, Term};

/// The restore that this leader brings.
#[derive(Clone, Debug)]
pub(crate) struct Restoring {
    origin: Origin,
    /// The term in which it began: in another, nobody has what came so far.
    term: Term,
    state: Bytes,
    next: Next,
}

/// What is proposed next, or under way.
#[derive(Clone, Copy, Debug)]
enum Next {
    Begin,
    /// The part at this offset, of the restore begun there.
    Part(CatalogIndex, usize),
    End(CatalogIndex),
}

const BUSY: &str = "another restore is in progress, try again later";

impl Node {
    /// `PUT /v1/snapshot`.
    pub(crate) fn restore(&mut self, origin: Origin, state: Bytes) {
        if self.restoring.is_some() {
            self.fail(origin, BUSY);
            return;
        }
        if let Some(text) = self.lacks_room() {
            self.fail(origin, &text);
            return;
        }
        if let Some(open) = self.opens.get_mut(&origin) {
            open.stage = Stage::Writing;
        }
        let term = self.raft.term();
        self.restoring = Some(Restoring { origin, term, state, next: Next::Begin });
        self.restore_next();
    }

    /// Proposes what comes next.
    pub(crate) fn restore_next(&mut self) {
        let part_bytes = self.config.restore_part_bytes;
        let Some(restoring) = &self.restoring else {
            return;
        };
        if restoring.term != self.raft.term() {
            self.restore_again();
            return;
        }
        let command = match restoring.next {
            Next::Begin => Command::RestoreBegin,
            Next::Part(begun, at) => {
                let end = restoring.state.len().min(at + part_bytes);
                let offset = u64::try_from(at).expect("a length fits 64 bits");
                let bytes = restoring.state.slice(at..end);
                Command::RestorePart(RestorePart { begun, offset, bytes })
            }
            Next::End(begun) => Command::RestoreEnd(begun),
        };
        self.propose(Asked::Restore(restoring.origin), command);
    }

    /// What was proposed is applied.
    pub(crate) fn restore_advanced(&mut self, outcome: Outcome) {
        let Some(restoring) = &mut self.restoring else {
            return;
        };
        if let Outcome::Rejected(why) = &outcome {
            let (origin, text) =
                (restoring.origin, format!("failed to restore snapshot: {}", why.text));
            self.restoring = None;
            self.fail(origin, &text);
            return;
        }
        let (begun, from) = match restoring.next {
            Next::Begin => (CatalogIndex(self.applied.index.0), 0),
            Next::Part(begun, at) => (begun, at + self.config.restore_part_bytes),
            Next::End(_) => {
                let origin = restoring.origin;
                self.restoring = None;
                self.finish(origin, Reply::Empty, outcome);
                return;
            }
        };
        restoring.next =
            if from < restoring.state.len() { Next::Part(begun, from) } else { Next::End(begun) };
        self.restore_next();
    }

    /// Raft did not take the next command.
    pub(crate) fn restore_refused(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Overloaded | Refusal::Transferring => {
                self.timers.set(Timer::Restore, self.now.after(BUSY_PAUSE));
            }
            Refusal::NotLeader(_)
            | Refusal::LeadershipLost
            | Refusal::ChangeInProgress
            | Refusal::Invalid
            | Refusal::TimedOut => self.restore_again(),
        }
    }

    /// Leadership ended. Unless it was the end that was under way, nothing was or will be done.
    pub(crate) fn restore_unknown(&mut self) {
        if let Some(restoring) = self.restoring.take_if(|it| matches!(it.next, Next::End(_))) {
            self.fail(restoring.origin, LEADERSHIP_LOST);
        } else {
            self.restore_again();
        }
    }

    /// From the start, by whoever leads.
    fn restore_again(&mut self) {
        if let Some(restoring) = self.restoring.take() {
            self.timers.clear(&Timer::Restore);
            self.hold(restoring.origin, Some(BUSY_PAUSE));
        }
    }
}
