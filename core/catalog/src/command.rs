//! What can be written. Commands are what the Raft log carries; nothing else changes the catalog.

use crate::{AutopilotChange, Place};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{
    CatalogIndex, Check, CheckStatus, Duration, Node, NodeId, ServiceRegistration, SessionBehavior,
    SessionId, TextMap,
};
use serde::{Deserialize, Serialize};

/// A write. Whatever depends on time or chance (ids, expiry) was decided before it was proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// One KV write.
    Kv(KvOp),
    /// All or nothing (`/v1/txn`).
    Txn(Vec<TxnOp>),
    /// Register a node with any number of services and checks.
    Register(Box<Register>),
    /// Remove a node, a service or a check.
    Deregister(Deregister),
    /// Create a session with this id.
    SessionCreate(Box<SessionCreate>),
    /// End a session: by its owner, by the leader's clock, or because its TTL ran out.
    SessionDestroy(SessionId),
    /// The lock-delays of these keys have passed (the leader's clock says so). Until this command
    /// comes, acquiring them is refused.
    LockDelayOver(Vec<Arc<str>>),
    /// Replace everything by a snapshot, encoded as the catalog encodes itself: how logs of before
    /// `RestoreBegin` have it.
    Restore(Bytes),
    /// Where agents are; the leader gathers what they tell. Those of unknown nodes are left out.
    Coordinates(Vec<Place>),
    /// What autopilot is to do.
    Autopilot(Box<AutopilotChange>),
    /// A restore begins: what its parts bring is kept beside everything until its end. Any other
    /// that was under way is over.
    RestoreBegin,
    /// The next part of a restore.
    RestorePart(RestorePart),
    /// The restore that began with this command has all its parts: replace everything by them.
    RestoreEnd(CatalogIndex),
}

/// Some bytes of a snapshot that is being restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePart {
    /// The index of its [`Command::RestoreBegin`].
    pub begun: CatalogIndex,
    /// How many bytes came before.
    pub offset: u64,
    /// The bytes.
    #[serde(deserialize_with = "crate::codec::copied")]
    pub bytes: Bytes,
}

/// A KV write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvOp {
    /// What to do.
    pub verb: KvVerb,
    /// Which key, or which prefix for `DeleteTree`.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub key: Arc<str>,
    /// The new value, for the verbs that write one.
    #[serde(with = "crate::codec::value")]
    pub value: Arc<[u8]>,
    /// The new flags, for the verbs that write one.
    pub flags: u64,
}

/// What a KV write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvVerb {
    /// Write.
    Set,
    /// Write if the key's modify index is this; 0 means: if there is no such key.
    Cas(u64),
    /// Delete.
    Delete,
    /// Delete if the key's modify index is this.
    DeleteCas(u64),
    /// Delete everything with this prefix.
    DeleteTree,
    /// Write and take the lock.
    Acquire(SessionId),
    /// Write and give the lock back.
    Release(SessionId),
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TxnOp {
    /// A KV write; its pair is in the result unless it deletes.
    Write(KvOp),
    /// The pair under this key; the transaction fails if there is none.
    Get(Arc<str>),
    /// All pairs with this prefix.
    GetTree(Arc<str>),
    /// Fails unless the key's modify index is this.
    CheckIndex(Arc<str>, u64),
    /// Fails unless the key is held by this session.
    CheckSession(Arc<str>, SessionId),
    /// Fails if the key exists.
    CheckNotExists(Arc<str>),
    /// Fails unless the key's holder is written like this: empty for nobody. A text that is no
    /// session's id never holds.
    CheckHolder(Arc<str>, Arc<str>),
    /// A node. `Get` finds it by its id if one is given, else by name.
    Node(RecordVerb, Box<NodeRegistration>),
    /// An instance on the node of this name. `Get` and the deletions look at its id alone.
    Service(RecordVerb, Arc<str>, Box<ServiceRegistration>),
    /// A check on the node of this name. `Get` and the deletions look at its id alone.
    Check(RecordVerb, Arc<str>, Box<CheckRegistration>),
}

impl TxnOp {
    /// Whether it may change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::Write(_) => true,
            Self::Get(_)
            | Self::GetTree(_)
            | Self::CheckIndex(..)
            | Self::CheckSession(..)
            | Self::CheckNotExists(_)
            | Self::CheckHolder(..) => false,
            Self::Node(verb, _) | Self::Service(verb, ..) | Self::Check(verb, ..) => {
                *verb != RecordVerb::Get
            }
        }
    }
}

/// What a transaction does with a node, a service or a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordVerb {
    /// Show it; the transaction fails if there is none.
    Get,
    /// Register it.
    Set,
    /// Register it if its modify index is this; 0 means: if there is none.
    Cas(u64),
    /// Remove it if it is there.
    Delete,
    /// Remove it; the transaction fails unless it is there with this modify index.
    DeleteCas(u64),
}

/// `/v1/catalog/register`, and what agents send about themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The node it is about.
    pub node: NodeRegistration,
    /// Do not change an existing node's own fields.
    pub skip_node_update: bool,
    /// Instances to register on it.
    pub services: Vec<ServiceRegistration>,
    /// Checks to register on it.
    pub checks: Vec<CheckRegistration>,
}

/// A node as registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRegistration {
    /// Identity, if given. A name whose live node has another id is refused.
    pub id: Option<NodeId>,
    /// Name.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub name: Arc<str>,
    /// Address.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub address: Arc<str>,
    /// The catalog's datacenter.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub datacenter: Arc<str>,
    /// Addresses by tag.
    pub tagged_addresses: TextMap,
    /// Metadata.
    pub meta: TextMap,
}

impl From<&Node> for NodeRegistration {
    fn from(node: &Node) -> Self {
        Self {
            id: node.id,
            name: Arc::clone(&node.name),
            address: Arc::clone(&node.address),
            datacenter: Arc::clone(&node.datacenter),
            tagged_addresses: node.tagged_addresses.clone(),
            meta: node.meta.clone(),
        }
    }
}

/// A check as registered. Fields as in [`proconsul_types::Check`]; the service's name and tags are
/// filled in by the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of proconsul_types::Check")]
pub struct CheckRegistration {
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub id: Arc<str>,
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub name: Arc<str>,
    pub status: CheckStatus,
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub notes: Arc<str>,
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub output: Arc<str>,
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub service_id: Arc<str>,
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub kind: Arc<str>,
    pub definition: Option<Arc<str>>,
}

impl From<&Check> for CheckRegistration {
    fn from(check: &Check) -> Self {
        Self {
            id: Arc::clone(&check.id),
            name: Arc::clone(&check.name),
            status: check.status,
            notes: Arc::clone(&check.notes),
            output: Arc::clone(&check.output),
            service_id: Arc::clone(&check.service_id),
            kind: Arc::clone(&check.kind),
            definition: check.definition.clone(),
        }
    }
}

/// `/v1/catalog/deregister`: the narrowest thing named is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deregister {
    /// The node.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub node: Arc<str>,
    /// This service of it and its checks, if named.
    pub service_id: Option<Arc<str>>,
    /// This check of it, if named (and no service is).
    pub check_id: Option<Arc<str>>,
}

/// `/v1/session/create`, with the id already drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCreate {
    /// Identity; never used before.
    pub id: SessionId,
    /// Text for people.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub name: Arc<str>,
    /// The node it lives with.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub node: Arc<str>,
    /// How long its keys stay unlockable after it ends.
    pub lock_delay: Duration,
    /// What becomes of its keys.
    pub behavior: SessionBehavior,
    /// TTL as the client wrote it; empty for none.
    #[serde(deserialize_with = "proconsul_types::texts::shared")]
    pub ttl: Arc<str>,
    /// Node checks.
    pub node_checks: Box<[Arc<str>]>,
    /// Service checks.
    pub service_checks: Box<[Arc<str>]>,
}
