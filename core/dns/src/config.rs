//! What decides how questions are answered: `dns_config` and friends.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_types::Duration;
use serde::{Deserialize, Serialize};

/// `dns_config`, `domain` and `alt_domain`, with Consul's defaults. An agent that has no catalog
/// tells it to the server that answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The domain answered for, with or without the dot at its end.
    pub domain: String,
    /// A second one; empty for none.
    pub alt_domain: String,
    /// TTL of answers about nodes.
    pub node_ttl: Duration,
    /// TTL of answers about services: by name, by prefix (`web*`), for all (`*`).
    pub service_ttl: BTreeMap<String, Duration>,
    /// Whether warning instances are dropped as well as critical ones.
    pub only_passing: bool,
    /// Whether a cut answer says so (TC).
    pub enable_truncate: bool,
    /// Most answers over UDP to a client without EDNS.
    pub udp_answer_limit: usize,
    /// Most A, AAAA and ANY answers over any transport; 0 for no limit.
    pub a_record_limit: usize,
    /// Whether names are written in full.
    pub disable_compression: bool,
    /// Whether node metadata comes along as TXT.
    pub enable_additional_node_meta_txt: bool,
    /// Name servers to ask what is not ours to answer, in this order.
    pub recursors: Vec<SocketAddr>,
    /// How long each of them may take.
    pub recursor_timeout: Duration,
    /// SOA.
    pub soa: Soa,
    /// `translate_wan_addrs`, as the datacenter of the agent that was asked: in any other one,
    /// addresses are those by which the WAN reaches them. Empty for never.
    pub translate_beyond: String,
}

/// `dns_config.soa`, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of an SOA record")]
pub struct Soa {
    pub refresh: u32,
    pub retry: u32,
    pub expire: u32,
    pub min_ttl: u32,
}

impl Default for Soa {
    fn default() -> Self {
        Self { refresh: 3600, retry: 600, expire: 86400, min_ttl: 0 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: "consul.".into(),
            alt_domain: String::new(),
            node_ttl: Duration::ZERO,
            service_ttl: BTreeMap::new(),
            only_passing: false,
            enable_truncate: false,
            udp_answer_limit: 3,
            a_record_limit: 0,
            disable_compression: false,
            enable_additional_node_meta_txt: true,
            recursors: Vec::new(),
            recursor_timeout: Duration::from_secs(2),
            soa: Soa::default(),
            translate_beyond: String::new(),
        }
    }
}

/// What the answering agent knows beside the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The catalog's datacenter.
    pub datacenter: Arc<str>,
    /// Seconds since the Unix epoch: the serial of the zone.
    pub unix_seconds: i64,
    /// Whether the catalog can be trusted to be one: false until a leader was ever heard of, and
    /// then questions inside the domain get SERVFAIL.
    pub ready: bool,
    /// This agent's node, which stands in as name server while the catalog lists no servers.
    pub node: Arc<str>,
    /// Its address.
    pub address: Arc<str>,
}
