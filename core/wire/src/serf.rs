//! Serf's messages as values: what travels inside memberlist's user messages.

mod body;
mod payload;

pub use crate::msgpack::DecodeError;
pub use payload::{
    decode_conflict, decode_coordinate, decode_tags, encode_conflict, encode_coordinate,
    encode_tags,
};

use crate::memberlist::Versions;
use crate::shared::SharedList;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use proconsul_types::{LamportTime, TextMap};

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// 0: a member will leave, or is forced out.
    Leave(Leave),
    /// 1: a member has joined.
    Join(Join),
    /// 2: everything Serf knows; only inside a push/pull.
    PushPull(PushPullState),
    /// 3: something happened.
    UserEvent(UserEvent),
    /// 4: a question to many.
    Query(Query),
    /// 5: an answer (or an ack) to a question.
    QueryResponse(QueryResponse),
    /// 9: please pass this on.
    Relay(Relay),
}

/// A leave intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// Member clock.
    pub time: LamportTime,
    /// Who.
    pub node: Arc<str>,
    /// Whether to forget it at once.
    pub prune: bool,
}

/// A join intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Member clock.
    pub time: LamportTime,
    /// Who.
    pub node: Arc<str>,
}

/// A user event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEvent {
    /// Event clock.
    pub time: LamportTime,
    /// Its name.
    pub name: Arc<str>,
    /// What it carries.
    pub payload: Option<Bytes>,
    /// Whether receivers may merge it with others of its name.
    pub coalesce: bool,
}

/// A query. `flags` bit 0: acks wanted; bit 1: do not gossip on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Query clock.
    pub time: LamportTime,
    /// Tells queries of one time apart.
    pub id: u32,
    /// Where answers go.
    pub reply_to: Option<SocketAddr>,
    /// Who asks.
    pub source_node: Arc<str>,
    /// Who should answer; each is an encoded [`Filter`] (unknown ones are kept as bytes).
    pub filters: Vec<Bytes>,
    /// See above.
    pub flags: u32,
    /// How many others pass each answer on as well.
    pub relay_factor: u8,
    /// How long the asker waits, in nanoseconds.
    pub timeout_nanos: i64,
    /// Its name.
    pub name: Arc<str>,
    /// What it carries.
    pub payload: Option<Bytes>,
}

/// Who should answer a query. All filters must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// 0: one of these nodes.
    Nodes(Vec<Arc<str>>),
    /// 1: a tag whose value matches this regular expression; a missing tag is empty.
    Tag {
        /// The tag.
        tag: String,
        /// The expression, unanchored.
        expression: String,
    },
}

/// An answer to a query. `flags` bit 0: it is only an ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryResponse {
    /// The query's time.
    pub time: LamportTime,
    /// The query's id.
    pub id: u32,
    /// Who answers.
    pub from: Arc<str>,
    /// See above.
    pub flags: u32,
    /// The answer.
    pub payload: Option<Bytes>,
}

/// A message to pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// To whom (may be empty).
    pub name: Arc<str>,
    /// Where.
    pub to: SocketAddr,
    /// The whole message, type byte first, unchanged.
    pub message: Bytes,
}

/// Everything Serf knows, as exchanged by a push/pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushPullState {
    /// Member clock.
    pub time: LamportTime,
    /// When each member was last heard of, in member time.
    pub status_times: SharedList<(Arc<str>, LamportTime)>,
    /// Who left.
    pub left: Vec<Arc<str>>,
    /// Event clock.
    pub event_time: LamportTime,
    /// Recent events, by time. (Real senders ship their whole ring, empty slots included; those
    /// are dropped on input and never sent.)
    pub events: Vec<EventsAt>,
    /// Query clock.
    pub query_time: LamportTime,
}

/// The events of one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsAt {
    /// Event clock.
    pub time: LamportTime,
    /// Name and payload of each.
    pub events: Vec<(Arc<str>, Option<Bytes>)>,
}

/// What a key query carries.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyRequest {
    /// The key itself, not Base64; empty where none is meant (list).
    pub key: Bytes,
}

/// The key stays hidden.
impl fmt::Debug for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRequest")
    }
}

/// Who has a name, in an answer to a name conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConflictMember {
    /// The name.
    pub name: Arc<str>,
    /// Where; `None` when the bytes were no address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// Its tags.
    pub tags: TextMap,
    /// Its status, by the number of `MemberStatus`.
    pub status: u8,
    /// Its versions.
    pub versions: Versions,
}

/// What is answered to a key query.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyResponse {
    /// Whether it was done.
    pub result: bool,
    /// Why not, or a warning.
    pub message: String,
    /// Base64, primary first (list only).
    pub keys: Vec<String>,
    /// Base64 (list only).
    pub primary: String,
}

/// The keys stay hidden.
impl fmt::Debug for KeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyResponse")
            .field("result", &self.result)
            .field("message", &self.message)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}
