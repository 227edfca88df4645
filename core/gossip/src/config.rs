//! What a pool is: its name, its tags, its timing.

use crate::network::Network;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_types::{Duration, NodeId, Planted, Pool, TextMap};
use proconsul_wire::crypto::Keyring;

/// Bytes before the parts of a compound message, and before each part.
pub(crate) const COMPOUND_BYTES: usize = 2;
/// Bytes that encryption adds.
const SEAL_BYTES: usize = 29;

/// What one pool of one agent is. The host validates text and builds it; the pool trusts it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which pool.
    pub pool: Pool,
    /// This member's name: `node` in the LAN, `node.dc` in the WAN.
    pub name: Arc<str>,
    /// Where others reach it (datagrams and streams).
    pub advertised: SocketAddr,
    /// The port it listens on: what others' port 0 stands for.
    pub bind_port: u16,
    /// Its tags at start (`role`, `dc`, `id`, ...).
    pub tags: TextMap,
    /// Whom it lets in.
    pub admission: Admission,
    /// The networks in which others may be, and from which they may speak of others; empty: any.
    pub allowed: Vec<Network>,
    /// Keys; an empty ring means that nothing is encrypted.
    pub keyring: Keyring,
    /// Refuse plaintext (`encrypt_verify_incoming`).
    pub verify_incoming: bool,
    /// Send no plaintext (`encrypt_verify_outgoing`).
    pub verify_outgoing: bool,
    /// Label of every packet; empty: none.
    pub label: Arc<str>,
    /// Compress what becomes smaller by it.
    pub compress: bool,
    /// The highest Serf version it speaks: 4 in Consul's pools, 5 in Serf's.
    pub delegate_version: u8,
    /// Whether there is a data directory to remember members in (`serf/local.snapshot`).
    pub durable: bool,
    /// Whether a member that left rejoins at its next start.
    pub rejoin_after_leave: bool,
    /// Whether it asks the pool who is right when another claims its name, and stops if it is not
    /// (Serf: yes; Consul: no).
    pub resolve_conflicts: bool,
    /// Whether it takes user events of others without an own limit: longest encoded event.
    pub event_bytes_max: usize,
    /// Timing and fan-out.
    pub timing: Timing,
    /// The bug this node carries, if any (test builds only).
    pub planted: Planted,
}

/// Whom a pool lets in: run over each member of a join, and over each alive message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Everyone (plain Serf).
    Anyone,
    /// Agents of this datacenter and segment whose id is nobody else's.
    Datacenter {
        /// `dc` must be this.
        datacenter: Arc<str>,
        /// `segment` must be this.
        segment: Arc<str>,
        /// This agent's id.
        id: NodeId,
    },
    /// Servers of any datacenter, named `node.dc`.
    Servers,
}

/// Timing and fan-out of the failure detector and of Serf (`gossip_lan`, `gossip_wan`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two probes.
    pub probe_interval: Duration,
    /// How long a direct answer may take.
    pub probe_timeout: Duration,
    /// How many others are asked to probe when it did not come.
    pub indirect_checks: usize,
    /// A message is sent this often times the order of magnitude of the pool.
    pub retransmit_mult: u32,
    /// Suspicion lasts at least this many probe intervals times the order of magnitude.
    pub suspicion_mult: u32,
    /// And at most this many times that.
    pub suspicion_max_mult: u32,
    /// Between two rounds of gossip.
    pub gossip_interval: Duration,
    /// To how many.
    pub gossip_nodes: usize,
    /// For how long the dead still hear of it.
    pub gossip_to_the_dead: Duration,
    /// Between two full exchanges, in a small pool.
    pub push_pull_interval: Duration,
    /// Deadline of a stream.
    pub stream_timeout: Duration,
    /// Bound of the health score, exclusive.
    pub awareness_max: u32,
    /// After this long, a dead name may be taken by another address; zero: never.
    pub dead_reclaim: Duration,
    /// Bytes of a datagram.
    pub datagram_bytes: usize,
    /// Between two looks for members to forget.
    pub reap_interval: Duration,
    /// Between two tries to reach a failed member.
    pub reconnect_interval: Duration,
    /// How long failed members are kept.
    pub reconnect_timeout: Duration,
    /// How long members that left are kept.
    pub tombstone_timeout: Duration,
    /// How long an intent about an unknown member is kept.
    pub intent_timeout: Duration,
    /// How long a leave waits to be sent.
    pub broadcast_timeout: Duration,
    /// How long it goes on answering after that.
    pub leave_propagation: Duration,
}

impl Config {
    /// Bytes that parts may take in one datagram. `keys`: whether there are any to seal it with.
    pub(crate) fn packet_room(&self, keys: bool) -> usize {
        let label = if self.label.is_empty() { 0 } else { 2 + self.label.len() };
        let seal = if self.verify_outgoing && keys { SEAL_BYTES } else { 0 };
        self.timing.datagram_bytes.saturating_sub(COMPOUND_BYTES + label + seal)
    }
}

impl Timing {
    /// Consul's LAN values.
    #[must_use]
    pub fn lan() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_checks: 3,
            retransmit_mult: 4,
            suspicion_mult: 4,
            suspicion_max_mult: 6,
            gossip_interval: Duration::from_millis(200),
            gossip_nodes: 3,
            gossip_to_the_dead: Duration::from_secs(30),
            push_pull_interval: Duration::from_secs(30),
            stream_timeout: Duration::from_secs(10),
            awareness_max: 8,
            dead_reclaim: Duration::from_secs(30),
            datagram_bytes: 1400,
            reap_interval: Duration::from_secs(15),
            reconnect_interval: Duration::from_secs(30),
            reconnect_timeout: Duration::from_secs(72 * 3600),
            tombstone_timeout: Duration::from_secs(24 * 3600),
            intent_timeout: Duration::from_secs(300),
            broadcast_timeout: Duration::from_secs(5),
            leave_propagation: Duration::from_secs(3),
        }
    }

    /// Consul's WAN values.
    #[must_use]
    pub fn wan() -> Self {
        Self {
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
            suspicion_mult: 6,
            gossip_interval: Duration::from_millis(500),
            gossip_to_the_dead: Duration::from_secs(60),
            push_pull_interval: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(30),
            ..Self::lan()
        }
    }

    /// `base` as Consul makes it for `-dev`, where nobody wants to wait.
    #[must_use]
    pub fn dev(base: &Self) -> Self {
        Self {
            probe_interval: Duration::from_millis(100),
            probe_timeout: Duration::from_millis(100),
            suspicion_mult: 3,
            gossip_interval: Duration::from_millis(100),
            ..base.clone()
        }
    }
}
