//! What every thread may read: one consistent picture, published by one pointer (design D8).

use crate::PoolView;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_catalog::Catalog;
use proconsul_checks::LocalView;
use proconsul_types::{
    CatalogIndex, Duration, EntryId, Instant, LogIndex, NodeId, Planted, Term, TextMap, WallTime,
    limits,
};

/// A consistent picture of one agent at one moment. Cloning is a few reference counts.
#[derive(Clone, Debug)]
pub struct View {
    /// The catalog after everything applied so far.
    pub catalog: Catalog,
    /// Who leads, and whether default reads may be answered here.
    pub leadership: Arc<Leadership>,
    /// Default reads may be answered here until this moment of the local clock; `START` if never.
    pub lease_until: Instant,
    /// When this server last heard from the leader (its own clock); `NEVER` while it leads.
    pub last_contact: Option<Instant>,
    /// Raft's log as this server has it (servers).
    pub log: LogPosition,
    /// This agent's own services and checks.
    pub local: Arc<LocalView>,
    /// Members, events and what else gossip knows.
    pub pools: Arc<PoolView>,
    /// What does not change while the agent runs, or only on reload.
    pub agent: Arc<AgentFacts>,
    /// The wall clock when the view was published: for dates in answers only.
    pub wall: WallTime,
}

impl View {
    /// Whether this server's catalog is one that a group agreed on: it knows a leader, or has
    /// applied something. Stale questions may be answered from then on, leader or not.
    #[must_use]
    pub fn is_catalog_known(&self) -> bool {
        self.leadership.leader.is_some() || self.catalog.index() > CatalogIndex(0)
    }
}

/// How far a server's log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// Its last entry.
    pub last: EntryId,
    /// Entries up to here are known to be committed.
    pub committed: LogIndex,
    /// Entries up to here are in the catalog.
    pub applied: LogIndex,
    /// What the newest snapshot covers.
    pub snapshot: EntryId,
}

/// How long a blocking query may wait for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTimes {
    /// `default_query_time`: of a query that does not say.
    pub default: Duration,
    /// `max_query_time`: a longer wait is cut to this.
    pub max: Duration,
}

impl Default for QueryTimes {
    fn default() -> Self {
        Self { default: limits::BLOCKING_WAIT_DEFAULT, max: limits::BLOCKING_WAIT_MAX }
    }
}

/// The group as this server sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The newest term seen.
    pub term: Term,
    /// Who leads, if known.
    pub leader: Option<NodeId>,
    /// Whether that is this server.
    pub is_leader: bool,
    /// All servers of the group.
    pub servers: Vec<Server>,
    /// Index of the membership entry in force.
    pub membership_index: u64,
    /// When this server's state was last compared with the leader's.
    pub state: Option<StateCheck>,
}

/// The state of a server at one index, and whether the leader's is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCheck {
    /// The index.
    pub index: u64,
    /// The hash of the state after it.
    pub hash: u64,
    /// Whether the leader told the same.
    pub agrees: bool,
}

/// A server of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Identity.
    pub id: NodeId,
    /// Node name, if known; else the id's text.
    pub name: Arc<str>,
    /// RPC address, if known.
    pub address: Option<SocketAddr>,
    /// Whether it votes.
    pub voter: bool,
}

/// The machine under an agent, in Go's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its architecture: `amd64`, `arm64`, ...
    pub arch: Arc<str>,
    /// Its system: `linux`, `darwin`, ...
    pub os: Arc<str>,
    /// Processors that the agent may use.
    pub cpu_count: usize,
    /// Threads on which the agent works at once.
    pub thread_count: usize,
}

/// What an agent knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// Identity.
    pub id: Option<NodeId>,
    /// Node name.
    pub name: Arc<str>,
    /// Datacenter.
    pub datacenter: Arc<str>,
    /// Advertised address.
    pub address: Arc<str>,
    /// Addresses by tag.
    pub tagged_addresses: TextMap,
    /// Node metadata.
    pub meta: TextMap,
    /// Whether this agent is a server.
    pub server: bool,
    /// Whether this is a `-dev` agent: its JSON is pretty-printed.
    pub dev: bool,
    /// Whether the group was bootstrapped by this server alone.
    pub bootstrap: bool,
    /// `Version` of `/v1/agent/self`: the Consul version whose API this is.
    pub version: Arc<str>,
    /// The machine it runs on.
    pub host: HostFacts,
    /// The whole configuration as JSON, for `DebugConfig`; computed by the host.
    pub debug_config: Arc<str>,
    /// Ports and addresses for `/v1/agent/self`: LAN gossip port, RPC port, ..
    pub serf_lan_port: u16,
    /// WAN gossip port.
    pub serf_wan_port: u16,
    /// Server RPC port.
    pub server_port: u16,
    /// `limits.kv_max_value_size`.
    pub kv_value_bytes_max: usize,
    /// `limits.txn_max_req_len` (defaults to the former).
    pub txn_bytes_max: usize,
    /// `session_ttl_min`; the API's own bound if `None`.
    pub session_ttl_min: Option<Duration>,
    /// `translate_wan_addrs`: clients are told WAN addresses of what is in another datacenter.
    pub translate_wan_addrs: bool,
    /// `http_config.response_headers`.
    pub response_headers: Vec<(String, String)>,
    /// `http_config.block_endpoints`: paths that begin like this are refused.
    pub block_endpoints: Vec<String>,
    /// How long blocking queries wait.
    pub query_times: QueryTimes,
    /// `enable_script_checks`: whether clients may have programs run.
    pub script_checks: bool,
    /// Whether the UI is served.
    pub ui: bool,
    /// The bug these functions carry, if any (test builds only).
    pub planted: Planted,
}

impl AgentFacts {
    /// Whether a request that names this datacenter, or none, means the agent's own.
    pub(crate) fn is_in(&self, named: &str) -> bool {
        named.is_empty() || named == &*self.datacenter
    }
}
