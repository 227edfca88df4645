//! Everything that can happen to a node.

use crate::{CallId, PeerMessage};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use proconsul_checks::{CheckDefinition, CheckOutcome, CheckRun, ServiceDefinition};
use proconsul_disk::{IoError, IoToken};
use proconsul_gossip::{StreamEvent, StreamId};
use proconsul_http::Request;
use proconsul_types::{NodeId, Pool, TextMap, WallTime};
use proconsul_wire::packet::Datagram;

/// The host's name for an open request; it comes back in exactly one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a look-up of a host name; it comes back with the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lookup(pub u64);

/// How a DNS question came: decides how long the answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsTransport {
    /// Datagram: cut to 512 bytes or what EDNS allows.
    Udp,
    /// Stream: up to 64 KiB.
    Tcp,
}

/// Everything that can happen to a node. Inputs may come late, twice, in any order.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline of `next_wakeup` has passed (or may have).
    Wake,
    /// A message from another agent. The adapter decoded it, the simulator moved it (design D7b).
    Peer {
        /// Who sent it, as the connection's greeting said.
        from: NodeId,
        /// What.
        message: PeerMessage,
    },
    /// The connection on which an agent is heard broke, and it knows; answers still owed by it will
    /// not come.
    PeerLost(NodeId),
    /// An agent cannot be dialled, or what was dialled broke; answers still owed by it will not
    /// come. These calls were certainly never sent to it: no byte of them left this machine. A host
    /// that is not certain does not name a call.
    PeerUnreached(NodeId, Vec<CallId>),
    /// A greeting told where an agent can be reached now.
    PeerAt(NodeId, SocketAddr),
    /// An HTTP request that `http::read` did not answer.
    Http(RequestId, Request),
    /// Its client went away: no answer is wanted.
    HttpGone(RequestId),
    /// A DNS question that `dns::read` did not answer.
    Dns(RequestId, DnsTransport, Bytes),
    /// A datagram came for a pool, as bytes.
    Packet(Pool, SocketAddr, Bytes),
    /// A datagram came for a pool, as the value it was (simulated networks; design D7b).
    Datagram(Pool, SocketAddr, Datagram),
    /// Something happened on a stream of a pool. Accepted ones are named by the host: odd numbers,
    /// growing, per pool.
    Stream(Pool, StreamId, StreamEvent),
    /// What a name stands for, or why it is not known.
    Resolved(Lookup, Result<Vec<IpAddr>, String>),
    /// A file operation completed.
    Io(IoToken, Result<(), IoError>),
    /// A probe ended.
    CheckDone(CheckRun, CheckOutcome),
    /// An operator asked.
    Admin(Admin),
    /// The wall clock, once a second and at start.
    WallClock(WallTime),
}

/// What configuration may change while the agent runs. `None` leaves what was in force.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// Services from files: all there are.
    pub services: Vec<ServiceDefinition>,
    /// Checks from files: all there are.
    pub checks: Vec<CheckDefinition>,
    /// Metadata of the node, whole.
    pub node_meta: Option<TextMap>,
    /// `dns_config` and friends.
    pub dns: Option<Arc<proconsul_dns::Config>>,
    /// `discard_check_output`.
    pub discard_check_output: Option<bool>,
}

/// What an operator can ask of a running agent besides the API.
#[derive(Clone, Debug)]
pub enum Admin {
    /// Stop in good order: flush, answer what can be answered, exit.
    Stop,
    /// SIGINT: leave or stop, as the configuration says. The second one stops at once.
    Interrupt,
    /// SIGTERM: likewise.
    Terminate,
    /// What a re-read of configuration says. This request is answered with 200 when done, if an API
    /// call asked.
    Reload(Box<Configured>, Option<RequestId>),
    /// A re-read failed; answer this request with the reason.
    ReloadFailed(Option<RequestId>, String),
    /// Where servers can be reached now. Gossip will say this later; until then `peers.json` and
    /// greetings do.
    Addresses(BTreeMap<NodeId, SocketAddr>),
}
