//! Queries of our own: asked, counted, ended.

use super::conflict::Vote;
use super::queries::FLAG_ACK;
use super::{Queue, Serf, Timer, broadcasts};
use crate::face::{Asked, Event, KeyReport, QueryParams};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{Duration, Fault, Instant, LamportTime};
use proconsul_wire::serf::{Message, Query, QueryResponse};

/// Longest encoded query.
pub(super) const QUERY_BYTES_MAX: usize = 1024;
/// A query waits this many rounds of gossip times the order of magnitude of the pool.
const TIMEOUT_MULT: u32 = 16;

/// A query of ours that still runs; its timer ends it.
#[derive(Clone, Debug)]
pub(super) struct Running {
    id: u32,
    purpose: Purpose,
    acked: BTreeSet<Arc<str>>,
    answered: BTreeSet<Arc<str>>,
}

/// What its answers are for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Those above asked.
    Application(Asked),
    /// Whose name is it?
    Conflict(Vote),
    /// A change of keys.
    Keys(Asked, KeyReport),
}

/// How long a query waits unless it says otherwise, in a pool with this many members alive.
pub(super) fn default_timeout(gossip_interval: Duration, alive: usize) -> Duration {
    gossip_interval * TIMEOUT_MULT * broadcasts::magnitude(alive)
}

impl Serf {
    /// Asks a question (`Input::Query`). One that is too long ends at once, with a notice.
    pub(crate) fn query(&mut self, now: Instant, asked: Asked, params: QueryParams) {
        if let Err(reason) = self.ask_all(now, params, Purpose::Application(asked)) {
            self.notice(reason);
            self.say(Event::QueryDone(asked));
        }
        self.settle(now);
    }

    /// Asks all; [`Self::on_response`] takes the answers, [`Self::end_query`] ends it.
    pub(super) fn ask_all(
        &mut self,
        now: Instant,
        params: QueryParams,
        purpose: Purpose,
    ) -> Result<(), String> {
        let timeout = if params.timeout.is_zero() {
            default_timeout(self.timing.gossip_interval, self.members.here())
        } else {
            params.timeout
        };
        let time = self.clocks.query;
        let id = u32::try_from(self.rng.next_u64() >> 33).expect("31 bits are left");
        let query = Query {
            time,
            id,
            reply_to: Some(self.address),
            source_node: Arc::clone(&self.name),
            filters: params.filters,
            flags: if params.ack { FLAG_ACK } else { 0 },
            relay_factor: params.relay_factor,
            timeout_nanos: i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX),
            name: params.name,
            payload: Some(params.payload),
        };
        let bytes = Message::Query(query.clone()).to_bytes();
        if bytes.len() > QUERY_BYTES_MAX {
            return Err(format!("query exceeds limit of {QUERY_BYTES_MAX} bytes"));
        }
        let nobody = BTreeSet::new;
        let running = Running { id, purpose, acked: nobody(), answered: nobody() };
        self.running.insert(time, running);
        self.timers.set(Timer::QueryEnd(time), now.after(timeout));
        self.on_query(now, &query);
        self.tell(Queue::Queries, bytes);
        Ok(())
    }

    /// An answer or an ack came.
    pub(super) fn on_response(&mut self, response: &QueryResponse) {
        let Some(running) = self.running.get_mut(&response.time) else { return };
        if running.id != response.id {
            return;
        }
        let from = &response.from;
        let ack = response.flags & FLAG_ACK != 0;
        let heard = if ack { &mut running.acked } else { &mut running.answered };
        let repeated = !heard.insert(Arc::clone(from));
        if repeated && !self.planted.is(Fault::AnswersCountedTwice) {
            return;
        }
        let payload = response.payload.clone().unwrap_or_default();
        match &mut running.purpose {
            Purpose::Application(asked) => {
                let (asked, from) = (*asked, Arc::clone(from));
                self.say(if ack {
                    Event::Acked(asked, from)
                } else {
                    Event::Response(asked, from, payload)
                });
            }
            Purpose::Conflict(vote) if !ack => vote.count(&payload, self.address),
            Purpose::Keys(_, report) if !ack => {
                super::keys::count(report, from, &payload);
                if report.answered >= report.members {
                    self.end_query(response.time);
                }
            }
            Purpose::Conflict(_) | Purpose::Keys(..) => {}
        }
    }

    /// All have answered, or the time is over.
    pub(super) fn end_query(&mut self, time: LamportTime) {
        self.timers.clear(&Timer::QueryEnd(time));
        let Some(running) = self.running.remove(&time) else { return };
        match running.purpose {
            Purpose::Application(asked) => self.say(Event::QueryDone(asked)),
            Purpose::Conflict(vote) => self.end_vote(vote),
            Purpose::Keys(asked, report) => {
                self.say(Event::Keys(asked, super::keys::conclude(report)));
            }
        }
    }

    /// Whether the pool is being asked whose name ours is.
    pub(super) fn is_voting(&self) -> bool {
        let mut running = self.running.values();
        running.any(|running| matches!(running.purpose, Purpose::Conflict(_)))
    }
}

/// The parameters of a query that Serf asks itself.
pub(super) fn internal(name: &str, payload: Bytes) -> QueryParams {
    let name = Arc::from(format!("{}{name}", super::queries::INTERNAL_PREFIX));
    QueryParams {
        name,
        payload,
        filters: Vec::new(),
        ack: false,
        relay_factor: 0,
        timeout: Duration::ZERO,
    }
}
