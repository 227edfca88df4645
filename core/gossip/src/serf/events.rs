//! User events: each once, to everyone here, in the order of their clock where that is known.

use super::{Queue, Serf};
use crate::face::Event;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{Fault, Instant, LamportTime};
use proconsul_wire::serf::{EventsAt, Message, UserEvent};

/// For how many ticks of its clock an event or a query is remembered.
pub(super) const RING_SLOTS: u64 = 512;
/// No event is longer, whatever the configuration says.
const EVENT_BYTES_MAX: usize = 9 * 1024;
/// At most so many messages of one tick are told apart; more can only be hostile.
pub(super) const PER_SLOT_MAX: usize = 1024;

/// All remembered events together take at most this many bytes: one of the longest for each of
/// the [`RING_SLOTS`] ticks.
const RING_BYTES_MAX: usize = 512 * EVENT_BYTES_MAX;
/// What an event costs beside its name and payload.
const EVENT_OVERHEAD: usize = 64;

/// The events of late.
#[derive(Clone, Debug, Default)]
pub(super) struct EventRing {
    slots: BTreeMap<u64, EventsAt>,
    /// What all of them cost.
    bytes: usize,
    /// Events before this time are none of ours.
    pub(super) min: LamportTime,
}

/// Whether something of `time` is too old for a ring whose clock shows `clock`.
pub(super) fn is_too_old(time: LamportTime, clock: LamportTime) -> bool {
    clock.0 > RING_SLOTS && time.0 < clock.0 - RING_SLOTS
}

impl EventRing {
    /// All that is remembered, by time.
    pub(super) fn to_vec(&self) -> Vec<EventsAt> {
        let mut all: Vec<EventsAt> = self.slots.values().cloned().collect();
        all.sort_by_key(|events| events.time);
        all
    }

    /// Takes an event in; whether it is new.
    fn insert(&mut self, event: &UserEvent, forgets_time: bool) -> bool {
        let slot = self.slots.entry(event.time.0 % RING_SLOTS);
        let slot = slot.or_insert_with(|| EventsAt { time: event.time, events: Vec::new() });
        if slot.time != event.time && !forgets_time {
            slot.time = event.time;
            self.bytes -= slot.events.drain(..).map(|old| cost(&old)).sum::<usize>();
        }
        let payload = |payload: &Option<Bytes>| payload.clone().unwrap_or_default();
        let same = |(name, old): &(Arc<str>, Option<Bytes>)| {
            *name == event.name && payload(old) == payload(&event.payload)
        };
        if slot.events.len() >= PER_SLOT_MAX || slot.events.iter().any(same) {
            return false;
        }
        let event = (Arc::clone(&event.name), event.payload.clone());
        self.bytes += cost(&event);
        slot.events.push(event);
        while self.bytes > RING_BYTES_MAX {
            self.forget_oldest();
        }
        true
    }

    /// Forgets the oldest time that is remembered. Nothing of it counts as new from then on.
    fn forget_oldest(&mut self) {
        let oldest = self.slots.iter().min_by_key(|(_, events)| events.time);
        let Some(slot) = oldest.map(|(slot, _)| *slot) else { return };
        if let Some(events) = self.slots.remove(&slot) {
            self.bytes -= events.events.iter().map(cost).sum::<usize>();
            self.min = self.min.max(LamportTime(events.time.0.saturating_add(1)));
        }
    }

    /// Panics with the broken rule's name.
    pub(super) fn check_invariants(&self) {
        let events = self.slots.values().flat_map(|events| &events.events);
        assert_eq!(events.map(cost).sum::<usize>(), self.bytes, "the bytes of events are counted");
        assert!(self.bytes <= RING_BYTES_MAX, "events take no more memory than they may");
    }
}

/// Bytes that a remembered event takes.
fn cost((name, payload): &(Arc<str>, Option<Bytes>)) -> usize {
    EVENT_OVERHEAD + name.len() + payload.as_ref().map_or(0, Bytes::len)
}

impl Serf {
    /// Tells all of a user event (`Input::Fire`). The error is for operators.
    pub(crate) fn fire(
        &mut self,
        now: Instant,
        name: Arc<str>,
        payload: Bytes,
        coalesce: bool,
    ) -> Result<(), String> {
        check_length(name.len() + payload.len(), self.event_bytes_max, "user event", "before")?;
        let time = self.clocks.event;
        let event = UserEvent { time, name, payload: Some(payload), coalesce };
        let bytes = Message::UserEvent(event.clone()).to_bytes();
        check_length(bytes.len(), self.event_bytes_max, "encoded user event", "after")?;
        self.on_user_event(&event);
        self.tell(Queue::Events, bytes);
        self.settle(now);
        Ok(())
    }

    /// An event came: whether it should be told on.
    pub(super) fn on_user_event(&mut self, event: &UserEvent) -> bool {
        let length = event.name.len() + event.payload.as_ref().map_or(0, Bytes::len);
        if length > EVENT_BYTES_MAX {
            self.notice(format!("user event of {length} bytes is too long"));
            return false;
        }
        super::witness(&mut self.clocks.event, event.time);
        if event.time < self.events.min || is_too_old(event.time, self.clocks.event) {
            return false;
        }
        if !self.events.insert(event, self.planted.is(Fault::EventRingForgetsTime)) {
            return false;
        }
        self.rejoin.on_event(event.time);
        self.say(Event::User {
            time: event.time,
            name: Arc::clone(&event.name),
            payload: event.payload.clone().unwrap_or_default(),
            coalesce: event.coalesce,
        });
        true
    }
}

fn check_length(length: usize, most: usize, what: &str, when: &str) -> Result<(), String> {
    for (most, limit) in [(most, "configured"), (EVENT_BYTES_MAX, "sane")] {
        if length > most {
            return Err(format!("{what} exceeds {limit} limit of {most} bytes {when} encoding"));
        }
    }
    Ok(())
}
