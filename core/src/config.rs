//! One validated value that says what a node is, and what its disk held.

use crate::Cluster;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_checks::{CheckDefinition, ServiceDefinition};
use proconsul_http::AgentFacts;
use proconsul_types::{Duration, NodeId, Planted};

/// What a node is. The host validates text and builds it; the node trusts it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Identity.
    pub id: NodeId,
    /// Facts shown to others: name, datacenter, addresses, ports, version.
    pub facts: AgentFacts,
    /// Raft's timing and bounds; its `id` and `planted` are set from here.
    pub raft: proconsul_raft::Config,
    /// `dns_config` and friends.
    pub dns: Arc<proconsul_dns::Config>,
    /// Whether there is a data directory. Without one everything "written" is durable at once and
    /// lost at exit (`-dev`).
    pub durable: bool,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// Take a snapshot when the log since the last one has more bytes than this (and more than the
    /// state is estimated to have).
    pub snapshot_log_bytes: u64,
    /// Bytes of a user's snapshot that one command of the log brings when it is restored.
    pub restore_part_bytes: usize,
    /// How long a request waits for a leader.
    pub rpc_hold_timeout: Duration,
    /// Shortest session TTL.
    pub session_ttl_min: Duration,
    /// A session is ended this many percent of its TTL after its last renewal (Consul: 200).
    pub session_ttl_percent: u32,
    /// Between two full anti-entropy runs.
    pub anti_entropy_interval: Duration,
    /// `check_update_interval`: changes of output alone are sent at most this often.
    pub check_update_interval: Duration,
    /// `check_output_max_size`: most bytes of output that are kept of a check.
    pub check_output_bytes_max: usize,
    /// `discard_check_output`.
    pub discard_check_output: bool,
    /// Services from configuration files.
    pub services: Vec<ServiceDefinition>,
    /// Checks from configuration files.
    pub checks: Vec<CheckDefinition>,
    /// The cluster it belongs to. Without it there is no gossip: the node runs alone, or with the
    /// servers that [`Boot::peers`] names. A client agent (`facts.server` is false) needs it.
    pub cluster: Option<Cluster>,
    /// The bug this node carries, if any (test builds only).
    pub planted: Planted,
}

/// What the host found when it started: the only way state crosses a crash.
#[derive(Clone, Debug, Default)]
pub struct Boot {
    /// Every file below the data directory that belongs to a lane, by relative path.
    pub files: BTreeMap<Arc<str>, bytes::Bytes>,
    /// The servers to start with: `-bootstrap` and `-dev` give this server alone, `peers.json` the
    /// whole group.
    pub peers: Vec<PeerEntry>,
    /// Whether `peers` came from `peers.json` and replaces what the disk remembers.
    pub recover: bool,
}

/// One line of `peers.json` (its new format).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerEntry {
    /// Identity.
    pub id: NodeId,
    /// RPC address, where it was last seen.
    pub address: SocketAddr,
    /// Whether it has no vote.
    pub non_voter: bool,
}

/// Why a node cannot start from what its disk holds. The text names the file, the offset and what
/// to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootError {
    /// For the operator.
    pub text: String,
}
