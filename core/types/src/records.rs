//! Plain records of the catalog: nodes, services, checks, keys, sessions.
//!
//! Texts that repeat across records (names, tags) are `Arc<str>`, so one copy serves all.

use crate::{CatalogIndex, CheckStatus, Duration, NodeId, SessionId};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// Small text-to-text maps: metadata and tagged addresses. Empty ones allocate nothing.
pub type TextMap = BTreeMap<Arc<str>, Arc<str>>;

/// A machine, as the catalog knows it (`/v1/catalog/node`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Stable identity, if the registration named one.
    pub id: Option<NodeId>,
    /// Unique name, compared without case.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub name: Arc<str>,
    /// Address that services inherit.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub address: Arc<str>,
    /// Where it is; always the datacenter of this catalog.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub datacenter: Arc<str>,
    /// Addresses by tag (`lan`, `wan`, ..).
    pub tagged_addresses: TextMap,
    /// Operator's metadata.
    pub meta: TextMap,
    /// When it was first registered.
    pub created: CatalogIndex,
    /// When it last changed.
    pub modified: CatalogIndex,
}

/// What kind of service an instance is. Only typical ones are meshed with nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ServiceKind {
    /// An ordinary service; the empty word in the API.
    #[default]
    Typical,
    /// `connect-proxy`
    ConnectProxy,
    /// `mesh-gateway`
    MeshGateway,
    /// `terminating-gateway`
    TerminatingGateway,
    /// `ingress-gateway`
    IngressGateway,
}

/// An address of a service under some tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddress {
    /// Host or IP.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub address: Arc<str>,
    /// Port; 0 when unset.
    pub port: i32,
}

/// How DNS SRV weighs an instance by its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// Weight while passing.
    pub passing: i32,
    /// Weight while warning.
    pub warning: i32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// An instance of a service as its owner describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRegistration {
    /// Unique on its node, case-sensitive.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub id: Arc<str>,
    /// What clients look for, compared without case.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub name: Arc<str>,
    /// What kind it is.
    pub kind: ServiceKind,
    /// Tags, in the order given.
    pub tags: Box<[Arc<str>]>,
    /// Own address; empty means the node's.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub address: Arc<str>,
    /// Addresses by tag.
    pub tagged_addresses: BTreeMap<Arc<str>, ServiceAddress>,
    /// Port; 0 when it has none.
    pub port: i32,
    /// Operator's metadata.
    pub meta: TextMap,
    /// DNS weights.
    pub weights: Weights,
    /// Whether catalog writes may change the tags against the agent's will.
    pub enable_tag_override: bool,
    /// Connect proxy configuration as canonical JSON, kept verbatim; `None` for ordinary services.
    pub proxy: Option<Arc<str>>,
    /// Whether the service speaks Connect itself.
    pub connect_native: bool,
}

/// One instance of a service on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The node that offers it (its catalog name).
    #[serde(deserialize_with = "crate::texts::shared")]
    pub node: Arc<str>,
    /// What was registered.
    pub registration: ServiceRegistration,
    /// When it was first registered.
    pub created: CatalogIndex,
    /// When it last changed.
    pub modified: CatalogIndex,
}

/// A health check on a node or on one of its services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The node it is about.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub node: Arc<str>,
    /// Unique on its node, case-sensitive.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub id: Arc<str>,
    /// Text for people.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub name: Arc<str>,
    /// What it last said.
    pub status: CheckStatus,
    /// Text for people.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub notes: Arc<str>,
    /// What the probe printed.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub output: Arc<str>,
    /// The service it is about; empty for a check of the whole node.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub service_id: Arc<str>,
    /// That service's name; empty for a check of the whole node.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub service_name: Arc<str>,
    /// That service's tags.
    pub service_tags: Box<[Arc<str>]>,
    /// `ttl`, `http`, `tcp`, ..; empty when registered straight into the catalog.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub kind: Arc<str>,
    /// The `Definition` object as canonical JSON, kept verbatim; `None` when it was empty.
    pub definition: Option<Arc<str>>,
    /// When it was first registered.
    pub created: CatalogIndex,
    /// When it last changed.
    pub modified: CatalogIndex,
}

/// A key and what is stored under it (`/v1/kv`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvPair {
    /// The key: any bytes that are UTF-8, case-sensitive.
    pub key: Arc<str>,
    /// The value, opaque.
    pub value: Arc<[u8]>,
    /// Client's number, opaque.
    pub flags: u64,
    /// How often the key was locked.
    pub lock_index: u64,
    /// The session that holds it.
    pub session: Option<SessionId>,
    /// When the key was created.
    pub created: CatalogIndex,
    /// When it last changed.
    pub modified: CatalogIndex,
}

/// What becomes of a session's keys when it ends.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum SessionBehavior {
    /// They are unlocked.
    #[default]
    Release,
    /// They are deleted.
    Delete,
}

/// A lock owner (`/v1/session`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// Text for people.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub name: Arc<str>,
    /// The node it lives and dies with.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub node: Arc<str>,
    /// How long its keys stay unlockable after it ends.
    pub lock_delay: Duration,
    /// What becomes of its keys.
    pub behavior: SessionBehavior,
    /// TTL as the client wrote it; empty for none.
    #[serde(deserialize_with = "crate::texts::shared")]
    pub ttl: Arc<str>,
    /// Node checks that end it when critical.
    pub node_checks: Box<[Arc<str>]>,
    /// Service checks that end it when critical, with their namespace (always empty here).
    pub service_checks: Box<[Arc<str>]>,
    /// When it was created.
    pub created: CatalogIndex,
    /// When it last changed.
    pub modified: CatalogIndex,
}

impl crate::radix::Keyed for KvPair {
    fn key(&self) -> &[u8] {
        self.key.as_bytes()
    }

    fn index(&self) -> u64 {
        self.modified.0
    }
}
