//! What comes from others and what goes to them: user messages, push/pull, broadcasts.

use super::asked::QUERY_BYTES_MAX;
use super::{QUEUE_MAX_MIN, Queue, Serf, broadcasts};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{Fault, Instant, LamportTime};
use proconsul_wire::serf::{Join, Leave, Message, PushPullState, UserEvent};

impl Serf {
    /// A user message came, by datagram or by stream: the bytes after memberlist's `08`.
    pub(crate) fn on_user(&mut self, now: Instant, bytes: &Bytes) {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.notice(format!("user message that cannot be read: {error}"));
                return;
            }
        };
        let (queue, tell_on) = match message {
            Message::Leave(leave) => (Queue::Intents, self.on_leave_told(now, &leave)),
            Message::Join(join) => (Queue::Intents, self.on_join_intent(now, &join)),
            Message::UserEvent(event) => (Queue::Events, self.on_user_event(&event)),
            Message::Query(_) if bytes.len() > QUERY_BYTES_MAX => {
                self.notice(format!("query of {} bytes is too long", bytes.len()));
                return;
            }
            Message::Query(query) => (Queue::Queries, self.on_query(now, &query)),
            Message::QueryResponse(response) => {
                self.on_response(&response);
                (Queue::Queries, false)
            }
            Message::Relay(relay) => {
                self.send(relay.to, relay.message);
                (Queue::Queries, false)
            }
            Message::PushPull(_) => (Queue::Intents, false),
        };
        if tell_on {
            self.tell(queue, bytes.clone());
        }
        self.settle(now);
    }

    /// A join that someone asked for (`Input::Join`) ended, having met this many.
    pub(crate) fn on_join_done(&mut self, now: Instant, met: usize) {
        if met > 0 && !self.is_leaving() {
            self.announce_join(now);
            self.settle(now);
        }
    }

    /// Serf's part of a push/pull.
    pub(crate) fn local_state(&self) -> PushPullState {
        let mut left: Vec<Arc<str>> = self.members.left().collect();
        if self.planted.is(Fault::PushPullForgetsLeft) {
            left.clear();
        }
        PushPullState {
            time: self.clocks.member,
            status_times: self.members.times(),
            left,
            event_time: self.clocks.event,
            events: self.events.to_vec(),
            query_time: self.clocks.query,
        }
    }

    /// Serf's part of another's push/pull. `ignore_old`: it answers a join of our own whose caller
    /// does not want events from before.
    pub(crate) fn merge(&mut self, now: Instant, state: &PushPullState, ignore_old: bool) {
        for (clock, theirs) in [
            (&mut self.clocks.member, state.time),
            (&mut self.clocks.event, state.event_time),
            (&mut self.clocks.query, state.query_time),
        ] {
            // Their next message will carry that time; the one before may have been used.
            if theirs.0 > 0 {
                super::witness(clock, LamportTime(theirs.0 - 1));
            }
        }
        let status_times = self.members.heard_of(&state.status_times);
        // Who left comes first, so that no join intent passes for news about them.
        let mut left: BTreeMap<&Arc<str>, LamportTime> =
            state.left.iter().map(|node| (node, LamportTime(0))).collect();
        for (node, time) in &status_times {
            if let Some(known) = left.get_mut(node) {
                *known = *time;
            }
        }
        for node in &state.left {
            let time = LamportTime(left.get(node).map_or(0, |time| time.0).saturating_add(1));
            self.on_leave_intent(now, &Leave { time, node: Arc::clone(node), prune: false });
        }
        for (node, time) in &status_times {
            if !left.contains_key(node) {
                self.on_join_held(now, &Join { time: *time, node: Arc::clone(node) });
            }
        }
        let own = status_times.iter().filter(|(node, _)| *node == self.name);
        if let Some(time) = own.map(|(_, time)| *time).max() {
            self.contradict(now, time);
        }
        if ignore_old {
            self.events.min = self.events.min.max(state.event_time);
        }
        for events in &state.events {
            for (name, payload) in &events.events {
                let (name, payload) = (Arc::clone(name), payload.clone());
                self.on_user_event(&UserEvent {
                    time: events.time,
                    name,
                    payload,
                    coalesce: false,
                });
            }
        }
        self.settle(now);
    }

    /// Appends the user messages to piggyback on one packet, each counted as sent once. Each costs
    /// its length and 3 bytes of `room`. Intents go before queries, and those before events.
    pub(crate) fn broadcasts(&mut self, mut room: usize, out: &mut Vec<Bytes>) {
        let limit = self.timing.retransmit_mult * broadcasts::magnitude(self.members.len());
        let through = self.intents_queue.fill(limit, &mut room, out);
        self.queries_queue.fill(limit, &mut room, out);
        self.events_queue.fill(limit, &mut room, out);
        if through {
            self.on_intent_told();
        }
    }

    /// Queues a message for all. One that no packet could carry would wait there for good: it
    /// becomes a notice.
    pub(super) fn tell(&mut self, queue: Queue, bytes: Bytes) {
        self.enqueue(queue, bytes, false);
    }

    /// Queues an intent of this member. `awaited`: [`Self::on_intent_told`] follows, unless no
    /// packet could carry it.
    pub(super) fn tell_intent(&mut self, bytes: Bytes, awaited: bool) {
        self.enqueue(Queue::Intents, bytes, awaited);
    }

    fn enqueue(&mut self, queue: Queue, bytes: Bytes, awaited: bool) {
        if bytes.len() > self.told_bytes_max {
            let length = bytes.len();
            self.notice(format!("user message of {length} bytes is too long for a datagram"));
            return;
        }
        let most = QUEUE_MAX_MIN.max(2 * self.members.len());
        let queue = match queue {
            Queue::Intents => &mut self.intents_queue,
            Queue::Events => &mut self.events_queue,
            Queue::Queries => &mut self.queries_queue,
        };
        queue.push(bytes, awaited, most);
    }
}
