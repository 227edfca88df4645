//! memberlist's messages as values: what the failure detector says by datagram and by stream.
//!
//! Numbers, fields and their order are memberlist's (`message` numbers in [`Message`]); the codec
//! of single messages is in `body`, the layers around them in `packet` and `stream`.

pub(crate) mod body;
mod push_pull;

pub use crate::msgpack::DecodeError;
pub(crate) use body::kind;
pub(crate) use push_pull::Header;

use crate::serf::PushPullState;
use crate::shared::SharedList;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use proconsul_types::{Incarnation, Liveness};

/// Lowest, highest and current version of memberlist's protocol and of its delegate's. Always six
/// on the wire: fewer have crashed old peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Versions {
    /// Protocol: lowest understood.
    pub protocol_min: u8,
    /// Protocol: highest understood.
    pub protocol_max: u8,
    /// Protocol: spoken.
    pub protocol: u8,
    /// Serf's: lowest understood.
    pub delegate_min: u8,
    /// Serf's: highest understood.
    pub delegate_max: u8,
    /// Serf's: spoken.
    pub delegate: u8,
}

/// One message of a datagram.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// 0: answer if you are `node`.
    Ping(Box<Ping>),
    /// 1: ping another for me.
    IndirectPing(Box<IndirectPing>),
    /// 2: yes.
    Ack(Ack),
    /// 3: it did not answer.
    Suspect(Arc<Accusation>),
    /// 4: I am here (or: it said so).
    Alive(Arc<Alive>),
    /// 5: it is gone. `from == node` means it left on purpose.
    Dead(Arc<Accusation>),
    /// 8: for Serf.
    User(Bytes),
    /// 11: I asked it for you, and it did not answer.
    Nack {
        /// The requester's ping number.
        sequence: u32,
    },
}

/// Body of a ping. The source fields are left out when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ping {
    /// The number that the answer repeats.
    pub sequence: u32,
    /// Who should answer; empty: anyone.
    pub node: Arc<str>,
    /// Where the answer goes; without it, to the datagram's source.
    pub source: Option<SocketAddr>,
    /// Who asks.
    pub source_node: Arc<str>,
}

/// Body of an indirect ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndirectPing {
    /// The requester's ping number.
    pub sequence: u32,
    /// Whom to probe.
    pub node: Arc<str>,
    /// Where it is; `None` when the address was no address.
    pub target: Option<IpAddr>,
    /// Its port; 0 stands for the receiver's own.
    pub port: u16,
    /// Whether a nack is wanted.
    pub nack: bool,
    /// Where the answer goes.
    pub source: Option<SocketAddr>,
    /// Who asks.
    pub source_node: Arc<str>,
}

/// Body of an ack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// The ping's number.
    pub sequence: u32,
    /// The delegate's: Serf's coordinate. `None` and empty are told apart on the wire.
    pub payload: Option<Bytes>,
}

/// Body of suspect and dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accusation {
    /// The incarnation that is meant.
    pub incarnation: Incarnation,
    /// Who is meant.
    pub node: Arc<str>,
    /// Who says so.
    pub from: Arc<str>,
}

/// Body of alive: a member as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    /// How often it has spoken for itself.
    pub incarnation: Incarnation,
    /// Its name.
    pub node: Arc<str>,
    /// Its address; `None` when the bytes were none (stored, never sent to).
    pub address: Option<IpAddr>,
    /// Its port; 0 stands for the receiver's own.
    pub port: u16,
    /// Serf's tags, encoded; at most 512 bytes. `None` and empty are told apart on the wire.
    pub meta: Option<Bytes>,
    /// Its versions, as sent: any number of bytes on input, six on output.
    pub versions: Vec<u8>,
}

/// One member in a push/pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// What it said of itself.
    pub alive: Arc<Alive>,
    /// What the sender holds of it.
    pub liveness: Liveness,
}

/// One message of a stream. Each connection carries one each way.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamMessage {
    /// 0: a probe where datagrams fail.
    Ping(Ping),
    /// 2: its answer.
    Ack(Ack),
    /// 6: everything one side knows.
    PushPull(PushPull),
    /// 8: for Serf.
    User(Bytes),
    /// 13: why there is no other answer.
    Error(String),
}

/// Everything one side knows.
#[derive(Clone, Debug, PartialEq)]
pub struct PushPull {
    /// Whether the dialler joins (an answer repeats it).
    pub join: bool,
    /// Every member the sender knows, itself included.
    pub nodes: SharedList<NodeState>,
    /// Serf's part, decoded; `None` if there was none.
    pub user: Option<PushPullState>,
}
