//! Queries of others: heard once, told on, and answered by those whom they mean.

use super::events::{PER_SLOT_MAX, RING_SLOTS, is_too_old};
use super::members::Known;
use super::{Serf, Timer};
use crate::face::{Event, QueryId};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::{Duration, Instant, LamportTime, MemberStatus};
use proconsul_wire::serf::{Filter, Message, Query, QueryResponse, Relay};
use regex::RegexBuilder;

/// Flag of a query: acks wanted. Flag of a response: it is one.
pub(super) const FLAG_ACK: u32 = 1;
/// Flag of a query: it is not told on.
const FLAG_NO_BROADCAST: u32 = 2;
/// Longest encoded response.
pub(super) const RESPONSE_BYTES_MAX: usize = 1024;
/// At most so many queries wait for this agent's answer; more can only be hostile.
const OPEN_MAX: usize = 1024;
/// Bound of a compiled filter.
const FILTER_BYTES_MAX: usize = 1 << 20;
/// Lowest memberlist version of a member that can relay.
const RELAY_PROTOCOL_MIN: u8 = 5;
/// Names of queries that Serf asks itself begin so.
pub(super) const INTERNAL_PREFIX: &str = "_serf_";

/// The queries of late, and those that this agent may still answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    slots: BTreeMap<u64, (LamportTime, Vec<u32>)>,
    open: BTreeMap<QueryId, Open>,
    /// Queries before this time are none of ours.
    pub(super) min: LamportTime,
}

/// A query that waits for an answer, until its timer fires.
#[derive(Clone, Debug)]
pub(super) struct Open {
    id: QueryId,
    reply_to: SocketAddr,
    source: Arc<str>,
    relay_factor: u8,
}

impl Heard {
    /// Takes a query in; whether it is new.
    fn insert(&mut self, query: &Query) -> bool {
        let slot = self.slots.entry(query.time.0 % RING_SLOTS).or_default();
        if slot.0 != query.time {
            *slot = (query.time, Vec::new());
        }
        let new = slot.1.len() < PER_SLOT_MAX && !slot.1.contains(&query.id);
        if new {
            slot.1.push(query.id);
        }
        new
    }
}

impl Serf {
    /// A query came, or is our own: whether it should be told on.
    pub(super) fn on_query(&mut self, now: Instant, query: &Query) -> bool {
        super::witness(&mut self.clocks.query, query.time);
        if query.time < self.heard.min || is_too_old(query.time, self.clocks.query) {
            return false;
        }
        if !self.heard.insert(query) {
            return false;
        }
        let tell_on = query.flags & FLAG_NO_BROADCAST == 0;
        if !query.filters.iter().all(|filter| self.matches(filter)) {
            return tell_on;
        }
        let id = QueryId { time: query.time, id: query.id };
        let open = query.reply_to.map(|reply_to| Open {
            id,
            reply_to,
            source: Arc::clone(&query.source_node),
            relay_factor: query.relay_factor,
        });
        if let Some(open) = &open
            && query.flags & FLAG_ACK != 0
        {
            let ack = self.response(open, FLAG_ACK, None);
            self.send_response(open, &ack);
        }
        self.rejoin.on_query(query.time);
        if let Some(internal) = query.name.strip_prefix(INTERNAL_PREFIX) {
            if let Some(open) = open {
                self.on_internal(internal, query, &open);
            }
            return tell_on;
        }
        if let Some(open) = open {
            self.keep_open(now, open, query.timeout_nanos);
        }
        self.say(Event::Query {
            id,
            name: Arc::clone(&query.name),
            payload: query.payload.clone().unwrap_or_default(),
            source: Arc::clone(&query.source_node),
        });
        tell_on
    }

    /// Waits for this agent's answer for as long as the asker does.
    fn keep_open(&mut self, now: Instant, open: Open, timeout_nanos: i64) {
        if self.heard.open.len() >= OPEN_MAX
            && let Some((oldest, _)) = self.heard.open.pop_first()
        {
            self.timers.clear(&Timer::Answer(oldest));
        }
        let timeout = Duration::from_nanos(u64::try_from(timeout_nanos).unwrap_or(0));
        self.timers.set(Timer::Answer(open.id), now.after(timeout));
        self.heard.open.insert(open.id, open);
    }

    /// The asker of this query waits no longer.
    pub(super) fn close(&mut self, id: QueryId) {
        self.heard.open.remove(&id);
    }

    /// Answers a query that this agent was handed (`Input::Respond`). One answer counts; what
    /// cannot be sent becomes a notice.
    pub(crate) fn respond(&mut self, now: Instant, id: QueryId, payload: Bytes) {
        let in_time = self.timers.get(&Timer::Answer(id)).is_some_and(|deadline| now <= deadline);
        let Some(open) = self.heard.open.get(&id).filter(|_| in_time).cloned() else {
            self.notice("response is past the deadline".to_string());
            return;
        };
        let response = self.response(&open, 0, Some(payload));
        let length = Message::QueryResponse(response.clone()).encoded_len();
        if length > RESPONSE_BYTES_MAX {
            self.notice(format!("response exceeds limit of {RESPONSE_BYTES_MAX} bytes"));
            return;
        }
        self.timers.clear(&Timer::Answer(id));
        self.close(id);
        self.send_response(&open, &response);
        self.settle(now);
    }

    /// An answer of this member, not yet sent.
    pub(super) fn response(
        &self,
        open: &Open,
        flags: u32,
        payload: Option<Bytes>,
    ) -> QueryResponse {
        let from = Arc::clone(&self.name);
        QueryResponse { time: open.id.time, id: open.id.id, from, flags, payload }
    }

    /// Sends an answer straight to the asker, and by as many others as it wishes.
    pub(super) fn send_response(&mut self, open: &Open, response: &QueryResponse) {
        let bytes = Message::QueryResponse(response.clone()).to_bytes();
        if open.reply_to == self.address {
            self.on_response(response);
        } else {
            self.send(open.reply_to, bytes.clone());
        }
        if open.relay_factor > 0 {
            self.relay(open, bytes);
        }
    }

    fn relay(&mut self, open: &Open, message: Bytes) {
        let factor = usize::from(open.relay_factor);
        if self.members.len() < factor + 1 {
            return;
        }
        let relay = Relay { name: Arc::clone(&open.source), to: open.reply_to, message };
        let bytes = Message::Relay(relay).to_bytes();
        if bytes.len() > RESPONSE_BYTES_MAX {
            self.notice(format!("relayed response exceeds limit of {RESPONSE_BYTES_MAX} bytes"));
            return;
        }
        let can = |known: &Known<'_>| {
            known.status == MemberStatus::Alive
                && known.versions().protocol_max >= RELAY_PROTOCOL_MIN
                && *known.name() != self.name
        };
        let mut relays: Vec<SocketAddr> =
            self.members.iter().filter(can).map(|known| known.address()).collect();
        self.rng.shuffle(&mut relays);
        relays.truncate(factor);
        for relay in relays {
            self.send(relay, bytes.clone());
        }
    }

    /// Whether an encoded filter means this member. One that cannot be read means nobody.
    fn matches(&self, filter: &[u8]) -> bool {
        match Filter::decode(filter) {
            Ok(Filter::Nodes(names)) => names.contains(&self.name),
            Ok(Filter::Tag { tag, expression }) => {
                let value = self.tags.get(tag.as_str()).map_or("", AsRef::as_ref);
                RegexBuilder::new(&expression)
                    .size_limit(FILTER_BYTES_MAX)
                    .build()
                    .is_ok_and(|expression| expression.is_match(value))
            }
            Err(_) => false,
        }
    }

    /// A query that Serf asks itself; the application never sees it.
    fn on_internal(&mut self, name: &str, query: &Query, open: &Open) {
        let payload = query.payload.clone().unwrap_or_default();
        match name {
            // The ack was the answer.
            "ping" => {}
            "conflict" => self.answer_conflict(&payload, open),
            "install-key" | "use-key" | "remove-key" | "list-keys" => {
                self.answer_keys(name, &payload, open);
            }
            other => {
                let text: String = other.chars().take(64).collect();
                self.notice(format!("internal query that is not known: {text}"));
            }
        }
    }
}
