//! User events: fired here, heard from everywhere, listed for as long as there is room.

use crate::node::Node;
use crate::open::Origin;
use crate::timers::Timer;
use crate::{Effect, Event};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_checks::LocalError;
use proconsul_gossip::Input;
use proconsul_http::UserEvent;
use proconsul_types::{Duration, LamportTime, NodeId, Pool, Rng};
use proconsul_wire::{consul_event, serf};
use regex::{Regex, RegexBuilder};

/// The newest events that this agent matched.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    ring: VecDeque<Arc<UserEvent>>,
    listed: Arc<Vec<Arc<UserEvent>>>,
    rng: Rng,
}

/// So many are listed.
const LISTED_MAX: usize = 256;
/// Bound of a compiled filter.
const FILTER_BYTES_MAX: usize = 1 << 20;
/// By this event a new leader makes itself known to every agent of its datacenter.
pub(crate) const NEW_LEADER: &str = "consul:new-leader";
/// Agents compare themselves with a new leader within this time, times the pool's scale.
const NEW_LEADER_SPREAD: Duration = Duration::from_secs(3);

impl Events {
    /// None yet; ids are drawn from `rng`.
    pub(crate) fn new(rng: Rng) -> Self {
        Self { ring: VecDeque::new(), listed: Arc::default(), rng }
    }

    /// Oldest first.
    pub(crate) fn listed(&self) -> Arc<Vec<Arc<UserEvent>>> {
        Arc::clone(&self.listed)
    }

    fn push(&mut self, event: UserEvent) {
        if self.ring.len() == LISTED_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back(Arc::new(event));
        self.listed = Arc::new(self.ring.iter().cloned().collect());
    }
}

/// A filter of an event; `None` if it cannot be read, or is too large when it is compiled.
fn expression(filter: &str) -> Option<Regex> {
    RegexBuilder::new(filter).size_limit(FILTER_BYTES_MAX).build().ok()
}

/// Why an event is not told: `what` of it is over the limit, `when` it is encoded.
fn too_long(what: &str, limit: usize, when: &str) -> String {
    format!(
        "1 error occurred:\n\t* error broadcasting event to segment \"\": {what} exceeds \
         configured limit of {limit} bytes {when} encoding\n\n"
    )
}

impl Node {
    /// A request to tell everyone of an event.
    pub(crate) fn fire_event(&mut self, origin: Origin, mut event: UserEvent) {
        event.id = NodeId(self.events.rng.next_u128()).to_string().into();
        event.version = i64::from(consul_event::VERSION);
        event.time = LamportTime(0);
        let name = format!("{}{}", consul_event::NAME_PREFIX, event.name);
        let payload = consul_event::encode(&consul_event::Event {
            id: event.id.to_string(),
            name: event.name.to_string(),
            payload: event.payload.clone(),
            node_filter: event.node_filter.to_string(),
            service_filter: event.service_filter.to_string(),
            tag_filter: event.tag_filter.to_string(),
            version: consul_event::VERSION,
        });
        // What Serf will make of it now, so that nobody hears of success who is refused after.
        let time =
            self.pools.pool(Pool::Lan).map_or(LamportTime(0), |lan| lan.status().clocks.event);
        let encoded = serf::Message::UserEvent(serf::UserEvent {
            time,
            name: name.as_str().into(),
            payload: Some(payload.clone()),
            coalesce: false,
        });
        let limit = self.config.cluster.as_ref().map_or(0, |cluster| cluster.lan.event_bytes_max);
        let refusal = if self.pools.pool(Pool::Lan).is_none() {
            Some(String::from("this agent runs without gossip"))
        } else if name.len() + payload.len() > limit {
            Some(too_long("user event", limit, "before"))
        } else if encoded.to_bytes().len() > limit {
            Some(too_long("encoded user event", limit, "after"))
        } else {
            None
        };
        if let Some(text) = refusal {
            self.refuse(origin, &LocalError { status: 500, text });
            return;
        }
        self.pools.tell(Pool::Lan, Input::Fire { name: name.into(), payload, coalesce: false });
        let request = self.request(origin);
        let view = self.publisher.peek();
        if let Some(request) = request {
            let response = proconsul_http::event_fired(view, &request, &event);
            self.answer(origin, response);
        }
    }

    /// An event came through a pool.
    pub(crate) fn user_event(
        &mut self,
        pool: Pool,
        time: LamportTime,
        name: &str,
        payload: &Bytes,
        out: &mut Vec<Effect>,
    ) {
        if pool != Pool::Lan {
            return;
        }
        if name == NEW_LEADER {
            let name = String::from_utf8_lossy(payload).into_owned();
            out.push(Effect::Event(Event::NewLeader(name)));
            self.leader_announced();
            return;
        }
        if !name.starts_with(consul_event::NAME_PREFIX) {
            return;
        }
        let Ok(event) = consul_event::decode(payload) else {
            return;
        };
        let event = UserEvent {
            id: event.id.into(),
            name: event.name.into(),
            payload: event.payload,
            node_filter: event.node_filter.into(),
            service_filter: event.service_filter.into(),
            tag_filter: event.tag_filter.into(),
            version: i64::from(event.version),
            time,
        };
        if self.is_meant(&event) {
            self.events.push(event);
            self.pools.changed();
            self.blocking.touched_local();
        }
    }

    /// Whether the filters of an event match this agent. One that cannot be read matches nobody.
    fn is_meant(&self, event: &UserEvent) -> bool {
        let node = &event.node_filter;
        let is_here = |filter: Regex| filter.is_match(&self.config.facts.name);
        if !node.is_empty() && !expression(node).is_some_and(is_here) {
            return false;
        }
        if event.service_filter.is_empty() {
            return true;
        }
        let Some(service) = expression(&event.service_filter) else {
            return false;
        };
        let tag = match &*event.tag_filter {
            "" => None,
            filter => match expression(filter) {
                Some(tag) => Some(tag),
                None => return false,
            },
        };
        self.agent.view().services.values().any(|offered| {
            let offered = &offered.definition.registration;
            let is_tagged = |tag: &Regex| offered.tags.iter().any(|text| tag.is_match(text));
            service.is_match(&offered.name) && tag.as_ref().is_none_or(is_tagged)
        })
    }

    /// A new leader said so: what this agent offers is compared with what it knows. Agents do not
    /// all come at once. (A server notices the change of leader by itself.)
    fn leader_announced(&mut self) {
        if !self.config.facts.server {
            self.server_found();
        }
    }

    /// There may be news between this client agent and the servers: it compares itself soon.
    pub(crate) fn server_found(&mut self) {
        let spread = NEW_LEADER_SPREAD * self.anti_entropy_scale();
        let stagger = self.events.rng.duration(Duration::ZERO, spread);
        let at = self.now.after(stagger);
        if self.timers.get(&Timer::AntiEntropy).is_none_or(|set| at < set) {
            self.timers.set(Timer::AntiEntropy, at);
        }
    }

    /// Tells every agent who leads.
    pub(crate) fn announce_leader(&mut self) {
        let payload: Vec<u8> = self.config.facts.name.bytes().collect();
        let fire =
            Input::Fire { name: NEW_LEADER.into(), payload: Bytes::from(payload), coalesce: false };
        self.pools.tell(Pool::Lan, fire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_a_size() {
        assert!(expression("^web-[0-9]{1,3}$").is_some_and(|filter| filter.is_match("web-12")));
        assert!(expression("(").is_none());
        let large = "[ab]{30000}";
        assert!(Regex::new(large).is_ok(), "it can be read");
        assert!(expression(large).is_none(), "but is too large to be kept ready");
    }
}
