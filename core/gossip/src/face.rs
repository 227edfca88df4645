//! What can happen to a pool, and what it can ask for.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use proconsul_types::{Coordinate, Duration, LamportTime, MemberStatus, TextMap};
use proconsul_wire::memberlist::Versions;
use proconsul_wire::packet::Datagram;
use proconsul_wire::stream::Sealed;

/// A connection of this pool. Dialled ones are even and named here; accepted ones are odd and
/// named by the host, growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// The asker's name for something that is answered by an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked(pub u64);

/// Everything that can happen to a pool. Inputs may come late, twice, in any order.
#[derive(Clone, Debug)]
pub enum Input {
    /// A deadline has passed (or may have).
    Wake,
    /// A datagram came, as bytes.
    Packet(SocketAddr, Bytes),
    /// A datagram came, as the value it was (simulated networks; design D7b).
    Datagram(SocketAddr, Datagram),
    /// Something happened on a stream.
    Stream(StreamId, StreamEvent),
    /// The pool should meet these members.
    Join {
        /// Comes back in [`Event::Joined`].
        asked: Asked,
        /// Where.
        seeds: Vec<SocketAddr>,
        /// Whether events from before are wanted as well.
        replay: bool,
    },
    /// This member leaves in good order; [`Event::LeftPool`] says when it may stop.
    Leave,
    /// The leave of a failed member is told to all. With `prune` it is forgotten at once.
    ForceLeave {
        /// Who.
        node: Arc<str>,
        /// Forget it.
        prune: bool,
    },
    /// Something else than the pool says that this member may be gone: it is probed at once.
    /// Nothing is believed for it.
    Doubt(Arc<str>),
    /// This member's tags are now these.
    Tags(TextMap),
    /// A user event is told to all.
    Fire {
        /// Its name.
        name: Arc<str>,
        /// What it carries.
        payload: Bytes,
        /// Whether receivers may merge it with others of its name.
        coalesce: bool,
    },
    /// A question to many; answers come as [`Event::Response`], then [`Event::QueryDone`].
    Query(Asked, QueryParams),
    /// This member's answer to a query it was handed by [`Event::Query`].
    Respond(QueryId, Bytes),
    /// A change of keys, everywhere. The number says how many others pass each answer on as well.
    Keys(Asked, KeyOp, u8),
    /// What was to be remembered could not be written, and nothing is known of what the file holds:
    /// the next [`Effect`] about it is a whole file.
    Unwritten,
}

/// What can happen on a stream.
#[derive(Clone, Debug)]
pub enum StreamEvent {
    /// Another dialled; from where (not who: real agents dial from any address).
    Accepted(SocketAddr),
    /// What was dialled is connected.
    Connected,
    /// Bytes came.
    Bytes(Bytes),
    /// A message came, as the value it was (simulated networks).
    Message(alloc::boxed::Box<Sealed>),
    /// It is closed or broken, or could not be opened.
    Closed,
}

/// A question to many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryParams {
    /// Its name.
    pub name: Arc<str>,
    /// What it carries.
    pub payload: Bytes,
    /// Encoded filters; all must match.
    pub filters: Vec<Bytes>,
    /// Whether acks are wanted.
    pub ack: bool,
    /// How many others pass each answer on as well.
    pub relay_factor: u8,
    /// How long to wait; zero: the pool's default.
    pub timeout: Duration,
}

/// Tells queries apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId {
    /// Query clock.
    pub time: LamportTime,
    /// Random.
    pub id: u32,
}

/// A change of keys on every member, or their list. Keys are raw: 16, 24 or 32 bytes. They never
/// show themselves.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyOp {
    /// Every member accepts this key from now on.
    Install(Bytes),
    /// Every member sends with this key from now on.
    Use(Bytes),
    /// Every member forgets this key.
    Remove(Bytes),
    /// Which keys does who have?
    List,
}

impl fmt::Debug for KeyOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install(_) => "Install",
            Self::Use(_) => "Use",
            Self::Remove(_) => "Remove",
            Self::List => "List",
        })
    }
}

/// What every member answered to a [`KeyOp`]. Its `Debug` counts keys and does not show them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyReport {
    /// Why a member failed, by name.
    pub messages: alloc::collections::BTreeMap<Arc<str>, String>,
    /// How many have each key (base64).
    pub keys: alloc::collections::BTreeMap<String, u32>,
    /// How many send with each key (base64).
    pub primary_keys: alloc::collections::BTreeMap<String, u32>,
    /// Members asked.
    pub members: u32,
    /// Members that answered.
    pub answered: u32,
    /// Members that answered with a failure.
    pub failed: u32,
    /// The whole in one text, if not all succeeded.
    pub error: Option<String>,
}

impl fmt::Debug for KeyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyReport")
            .field("messages", &self.messages)
            .field("keys", &self.keys.len())
            .field("primary_keys", &self.primary_keys.len())
            .field("members", &self.members)
            .field("answered", &self.answered)
            .field("failed", &self.failed)
            .field("error", &self.error)
            .finish()
    }
}

/// Everything a pool can ask of its host, in this order.
#[derive(Clone)]
pub enum Effect {
    /// Send a datagram; it may get lost.
    Send(SocketAddr, Datagram),
    /// Open a stream; then say `Connected` or `Closed`.
    Dial(StreamId, SocketAddr),
    /// Write a message to a stream.
    Write(StreamId, alloc::boxed::Box<Sealed>),
    /// Close a stream, after what was written to it is sent.
    Close(StreamId),
    /// Append to the rejoin file. It need not be synced before anything else happens.
    Remember(Bytes),
    /// Replace the rejoin file, whole.
    Compact(Bytes),
    /// Replace the keyring file (JSON) and sync it.
    SaveKeys(Bytes),
    /// For those above.
    Event(Event),
}

/// The keyring file stays hidden.
impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(to, datagram) => f.debug_tuple("Send").field(to).field(datagram).finish(),
            Self::Dial(stream, to) => f.debug_tuple("Dial").field(stream).field(to).finish(),
            Self::Write(stream, sealed) => {
                f.debug_tuple("Write").field(stream).field(sealed).finish()
            }
            Self::Close(stream) => f.debug_tuple("Close").field(stream).finish(),
            Self::Remember(lines) => f.debug_tuple("Remember").field(lines).finish(),
            Self::Compact(whole) => f.debug_tuple("Compact").field(whole).finish(),
            Self::SaveKeys(_) => f.write_str("SaveKeys"),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// What a pool tells those above.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Someone is here (again).
    Joined(Arc<Member>),
    /// Someone went away without a word.
    Failed(Arc<Member>),
    /// Someone left.
    Left(Arc<Member>),
    /// Someone's tags, address or versions changed.
    Updated(Arc<Member>),
    /// Someone is forgotten.
    Reaped(Arc<Member>),
    /// A join ended: how many were met, and why the others were not.
    JoinDone(Asked, usize, Vec<(SocketAddr, String)>),
    /// A user event, once.
    User {
        /// Event clock.
        time: LamportTime,
        /// Its name.
        name: Arc<str>,
        /// What it carries.
        payload: Bytes,
        /// Whether it may be merged with others of its name.
        coalesce: bool,
    },
    /// A question to this member (never an internal one).
    Query {
        /// For [`Input::Respond`].
        id: QueryId,
        /// Its name.
        name: Arc<str>,
        /// What it carries.
        payload: Bytes,
        /// Who asks.
        source: Arc<str>,
    },
    /// Someone acknowledged a query of ours.
    Acked(Asked, Arc<str>),
    /// Someone answered a query of ours.
    Response(Asked, Arc<str>, Bytes),
    /// Its time is over.
    QueryDone(Asked),
    /// A change of keys ended.
    Keys(Asked, KeyReport),
    /// This member has left: the host may stop it.
    LeftPool,
    /// Another claims this member's name, and the pool sides with it: stop.
    LostName,
    /// For operators, in words.
    Notice(String),
    /// For coverage and judges: a probe failed, a suspicion began or was refuted.
    Suspected(Arc<str>),
    /// This member refuted what was said of it.
    Refuted,
}

/// A member as others see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// Where.
    pub address: SocketAddr,
    /// Its tags.
    pub tags: Arc<TextMap>,
    /// Its status.
    pub status: MemberStatus,
    /// Its versions.
    pub versions: Versions,
}

/// A member's place in the network, as last heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Who.
    pub node: Arc<str>,
    /// Where.
    pub coordinate: Coordinate,
}
