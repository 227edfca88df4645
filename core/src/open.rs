//! Open requests: who asked, for what, and how far it has come.

use crate::{CallId, RequestId};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::Bytes;
use proconsul_catalog::{Command, Place};
use proconsul_http::{KeyringOp, Method, Request};
use proconsul_raft::Ticket;
use proconsul_types::{Instant, LogIndex, NodeId};

/// Who wants an answer. It is the request's name inside the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A client of this agent.
    Client(RequestId),
    /// Another agent.
    Peer(NodeId, CallId),
    /// This agent itself: what it offers must reach the catalog.
    Agent(u64),
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// An HTTP request, answered by a response.
    Http(Request),
    /// A command, answered by its outcome.
    Apply(Command),
    /// What the catalog says of a node.
    Node(Arc<str>),
    /// An agent's place in the network.
    Place(Box<Place>),
    /// A DNS question; whether it came over a stream, and what the agent that was asked says of how
    /// questions are answered.
    Dns(bool, Bytes, Arc<proconsul_dns::Config>),
    /// A change of keys in the LAN of a datacenter: of another one, or of this one for another.
    Keys(KeyringOp, Option<Arc<str>>),
}

impl Job {
    /// Whether asking twice is the same as asking once. Anything else must not be asked again
    /// while the outcome of the first time is unknown.
    pub(crate) fn is_read(&self) -> bool {
        match self {
            Self::Http(request) => request.method == Method::Get,
            Self::Node(_) | Self::Dns(..) | Self::Place(_) => true,
            Self::Apply(_) | Self::Keys(..) => false,
        }
    }
}

/// Where an open request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the queue of requests to look at.
    Ready,
    /// Waits for a leader (or for this leader's lease).
    Held,
    /// Waits for a change (`index=`).
    Parked,
    /// Waits for the quorum round of this ticket.
    Confirming(Ticket),
    /// Waits until this index is applied.
    Applying(LogIndex),
    /// Waits for its own entry to commit.
    Writing,
    /// Waits for another agent.
    Forwarded(CallId, NodeId),
    /// Its snapshot is being encoded.
    Saving,
}

/// By what way a request was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the leader, who must act as such.
    Leader,
    /// To a server that does what is needed.
    Server,
}

/// An open request.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// What is asked.
    pub(crate) job: Job,
    /// How often it was forwarded before it came here.
    pub(crate) hops: u8,
    /// Whether it may be passed on: whoever asked for the leader wants no one else.
    pub(crate) may_pass: bool,
    /// By what way it was last forwarded.
    pub(crate) way: Way,
    /// Where it stands.
    pub(crate) stage: Stage,
    /// When it was last forwarded.
    pub(crate) sent: Instant,
    /// Whether it was last forwarded to an agent whose connection had broken before.
    pub(crate) last_chance: bool,
    /// When holding it is given up; set when it is first held.
    pub(crate) hold_until: Option<Instant>,
    /// When its blocking wait is over; set when it is first parked or forwarded, and kept from then
    /// on, so that whoever is asked next lets it wait for the rest only.
    pub(crate) wait_until: Option<Instant>,
    /// Whether a quorum round confirmed the state it is about to read.
    pub(crate) confirmed: bool,
    /// Whether its wait is over: it is answered with what is.
    pub(crate) expired: bool,
}

impl Open {
    /// A request nobody has looked at yet.
    pub(crate) fn new(job: Job, hops: u8) -> Self {
        Self {
            job,
            hops,
            may_pass: true,
            way: Way::Leader,
            stage: Stage::Ready,
            sent: Instant::START,
            last_chance: false,
            hold_until: None,
            wait_until: None,
            confirmed: false,
            expired: false,
        }
    }
}

/// Which calls of one agent were seen: a call that comes twice must not be done twice.
///
/// Call ids of one life of an agent grow from a random start, so a new life's ids are far from an
/// old one's and open a new window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    newest: u64,
    bits: [u64; WORDS],
    any: bool,
    /// When its newest call came, counted in calls of everyone.
    pub(crate) came: u64,
}

const WORDS: usize = 16;
/// How many calls back a repetition is told from a new call.
const WIDTH: u64 = 1024;
/// Ids this far below the newest belong to the same life.
const LIFE: u64 = 1 << 32;

impl Seen {
    /// Notes `id`; whether it is new. What is older than the window counts as seen.
    pub(crate) fn note(&mut self, id: CallId) -> bool {
        let id = id.0;
        let ahead = id.wrapping_sub(self.newest);
        let behind = self.newest.wrapping_sub(id);
        if !self.any || (ahead > LIFE && behind > LIFE) {
            *self = Self { newest: id, bits: [0; WORDS], any: true, came: self.came };
        } else if behind <= LIFE {
            if behind >= WIDTH {
                return false;
            }
            let (word, bit) = place(id);
            let was = self.bits[word] & bit != 0;
            self.bits[word] |= bit;
            return !was;
        } else {
            for step in 1..=ahead.min(WIDTH) {
                let (word, bit) = place(self.newest.wrapping_add(step));
                self.bits[word] &= !bit;
            }
            self.newest = id;
        }
        let (word, bit) = place(id);
        self.bits[word] |= bit;
        true
    }
}

fn place(id: u64) -> (usize, u64) {
    let slot = id % WIDTH;
    let word = usize::try_from(slot / 64).expect("a word of the window");
    (word, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_once() {
        let mut seen = Seen::default();
        assert!(seen.note(CallId(u64::MAX - 1)));
        assert!(!seen.note(CallId(u64::MAX - 1)));
        assert!(seen.note(CallId(1)), "ids wrap around");
        assert!(seen.note(CallId(0)), "and may come out of order");
        assert!(!seen.note(CallId(0)));
        assert!(seen.note(CallId(5000)));
        assert!(!seen.note(CallId(1)), "too old to tell");
        assert!(seen.note(CallId(1 << 60)), "a new life");
        assert!(!seen.note(CallId(1 << 60)));
    }
}
