//! Joins: full exchanges with seeds, several at once or one after another.

use super::streams::Purpose;
use super::{Swim, Turn};
use crate::face::{Asked, Event};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Seeds of one join that are met at once: a dead one must not hold up the others.
const AT_ONCE: usize = 8;

/// A join under way.
#[derive(Clone, Debug)]
pub(super) struct Join {
    /// Who is told; nobody for Serf's own.
    asked: Option<Asked>,
    ignore_old: bool,
    /// One success is enough (and one seed at a time).
    one: bool,
    waiting: VecDeque<SocketAddr>,
    running: usize,
    met: usize,
    failures: Vec<(SocketAddr, String)>,
}

impl Swim {
    /// Someone asked for this join: every seed is to be met.
    pub(crate) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        asked: Asked,
        seeds: Vec<SocketAddr>,
        replay: bool,
    ) {
        self.start_join(turn, Some(asked), seeds, !replay);
    }

    /// Serf wants to meet one of these.
    pub(crate) fn join_one(&mut self, turn: &mut Turn<'_>, seeds: Vec<SocketAddr>) {
        self.start_join(turn, None, seeds, false);
    }

    fn start_join(
        &mut self,
        turn: &mut Turn<'_>,
        asked: Option<Asked>,
        seeds: Vec<SocketAddr>,
        ignore_old: bool,
    ) {
        let number = self.next_join;
        self.next_join += 1;
        let join = Join {
            asked,
            ignore_old,
            one: asked.is_none(),
            waiting: seeds.into(),
            running: 0,
            met: 0,
            failures: Vec::new(),
        };
        self.joins.insert(number, join);
        self.advance_join(turn, number);
    }

    pub(super) fn ignores_old(&self, join: u64) -> bool {
        self.joins.get(&join).is_some_and(|join| join.ignore_old)
    }

    /// Meets the next seeds of a join, or ends it.
    fn advance_join(&mut self, turn: &mut Turn<'_>, number: u64) {
        loop {
            let Some(join) = self.joins.get_mut(&number) else {
                return;
            };
            let limit = if join.one { 1 } else { AT_ONCE };
            let enough = join.one && join.met > 0;
            if join.running >= limit || enough {
                break;
            }
            let Some(seed) = join.waiting.pop_front() else {
                break;
            };
            join.running += 1;
            let deadline = turn.now.after(self.config.timing.stream_timeout);
            self.dial(turn, seed, Purpose::Exchange { join: Some((number, seed)) }, deadline);
        }
        let running = self.joins.get(&number).is_some_and(|join| join.running > 0);
        if running {
            return;
        }
        if let Some(join) = self.joins.remove(&number)
            && let Some(asked) = join.asked
        {
            turn.serf.on_join_done(turn.now, join.met);
            self.late.push(Event::JoinDone(asked, join.met, join.failures));
        }
    }

    /// A seed of a join was met, or was not.
    pub(super) fn seed_done(
        &mut self,
        turn: &mut Turn<'_>,
        number: u64,
        seed: SocketAddr,
        result: Result<(), String>,
    ) {
        if let Some(join) = self.joins.get_mut(&number) {
            join.running -= 1;
            match result {
                Ok(()) => join.met += 1,
                Err(reason) => join.failures.push((seed, reason)),
            }
        }
        self.advance_join(turn, number);
    }
}
