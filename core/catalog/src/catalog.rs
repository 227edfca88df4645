//! The catalog: its tables, and one way to change them.

use crate::autopilot::Autopilot;
use crate::command::Command;
use crate::digest::{self, Digest};
use crate::kv::Filed;
use crate::outcome::{Applied, Fact, Outcome, Rejected};
use crate::places::Place;
use crate::radix::Tree;
use crate::restore::Staged;
use crate::snapshot::SnapshotReader;
use crate::table::Row;
use crate::watch::Topics;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{
    CatalogIndex, Check, Duration, Node, NodeId, Planted, Service, Session, SessionId,
};
use serde::{Deserialize, Serialize};

/// Everything the cluster knows. Cloning is a few reference counts.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) datacenter: Arc<str>,
    pub(crate) planted: Planted,
    /// What tells this node from others; read by a planted fault only.
    pub(crate) salt: u64,
    pub(crate) index: CatalogIndex,
    pub(crate) marks: Marks,
    /// The sum of the hashes of all records.
    pub(crate) sum: u64,
    pub(crate) empty: Arc<str>,
    /// Keys and values.
    pub(crate) kv: Tree<Filed>,
    /// Keys whose lock-delay runs.
    pub(crate) delays: Tree<Row<LockDelay>>,
    /// Nodes by folded name.
    pub(crate) nodes: Tree<Row<NodeEntry>>,
    /// Folded names by node id.
    pub(crate) node_ids: Tree<Row<Arc<str>>>,
    /// Instances by (node, id).
    pub(crate) services: Tree<Row<Arc<Service>>>,
    /// Instances by (service, node, id).
    pub(crate) by_name: Tree<Row<Arc<Service>>>,
    /// Services by name.
    pub(crate) names: Tree<Row<NameEntry>>,
    /// Checks by (node, id).
    pub(crate) checks: Tree<Row<Arc<Check>>>,
    /// Checks by (service, node, service id, id); node checks have an empty service and id.
    pub(crate) by_service: Tree<Row<Arc<Check>>>,
    /// Sessions by id.
    pub(crate) sessions: Tree<Row<Arc<Session>>>,
    /// Session ids by (node, session).
    pub(crate) node_sessions: Tree<Row<SessionId>>,
    /// Keys by (session, key).
    pub(crate) held: Tree<Row<Arc<str>>>,
    /// Session ids by (node, check, session).
    pub(crate) watched: Tree<Row<SessionId>>,
    /// Places by (node, segment).
    pub(crate) places: Tree<Row<Arc<Place>>>,
    /// What autopilot is to do.
    pub(crate) autopilot: Option<Arc<Autopilot>>,
    /// What a restore has brought so far. No part of the state: no snapshot has it, no hash knows
    /// it, and no read sees it.
    pub(crate) staged: Option<Arc<Staged>>,
}

/// The indexes of whole tables. (That of the keys is in their tree.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    /// No index is below this: the last restore.
    pub(crate) floor: u64,
    pub(crate) nodes: u64,
    pub(crate) services: u64,
    pub(crate) checks: u64,
    pub(crate) sessions: u64,
    /// When some service last lost its last instance.
    pub(crate) extinct: u64,
    /// Not in the head of a snapshot, which is older than it, but in a record of its own.
    #[serde(skip)]
    pub(crate) coordinates: u64,
}

/// A node with the index of everything on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeEntry {
    pub(crate) node: Node,
    /// When the node, a service or a check of it last changed.
    pub(crate) touched: CatalogIndex,
}

/// A service with its indexes. It is there while it has instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameEntry {
    pub(crate) name: Arc<str>,
    pub(crate) instances: u64,
    /// When an instance or a node of one last changed.
    pub(crate) touched: CatalogIndex,
    /// When that or a check that counts for it last changed.
    pub(crate) health: CatalogIndex,
}

/// A key that cannot be acquired for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockDelay {
    pub(crate) key: Arc<str>,
    pub(crate) delay: Duration,
}

/// What each kind of record adds to its hash, so that equal bytes in two tables do not cancel out.
pub(crate) mod domain {
    pub(crate) const KV: u64 = 1;
    pub(crate) const DELAY: u64 = 2;
    pub(crate) const NODE: u64 = 3;
    pub(crate) const NAME: u64 = 4;
    pub(crate) const SERVICE: u64 = 5;
    pub(crate) const CHECK: u64 = 6;
    pub(crate) const SESSION: u64 = 7;
    pub(crate) const MARKS: u64 = 8;
    pub(crate) const PLACE: u64 = 9;
    pub(crate) const AUTOPILOT: u64 = 10;
}

/// What a command did besides changing tables.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) topics: Topics,
    pub(crate) facts: Vec<Fact>,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new(datacenter: Arc<str>, planted: Planted) -> Self {
        Self {
            datacenter,
            planted,
            salt: 0,
            index: CatalogIndex(0),
            marks: Marks::default(),
            sum: 0,
            empty: Arc::from(""),
            kv: Tree::default(),
            delays: Tree::default(),
            nodes: Tree::default(),
            node_ids: Tree::default(),
            services: Tree::default(),
            by_name: Tree::default(),
            names: Tree::default(),
            checks: Tree::default(),
            by_service: Tree::default(),
            sessions: Tree::default(),
            node_sessions: Tree::default(),
            held: Tree::default(),
            watched: Tree::default(),
            places: Tree::default(),
            autopilot: None,
            staged: None,
        }
    }

    /// Tells nodes apart for [`proconsul_types::Fault::ApplyDependsOnNode`]; nothing else reads it.
    pub fn set_salt(&mut self, salt: u64) {
        self.salt = salt;
    }

    /// Which datacenter this is.
    #[must_use]
    pub fn datacenter(&self) -> &Arc<str> {
        &self.datacenter
    }

    /// The index of the last command applied; 0 before the first.
    #[must_use]
    pub fn index(&self) -> CatalogIndex {
        self.index
    }

    /// Applies the next command. Indexes only grow.
    pub fn apply(&mut self, index: CatalogIndex, command: &Command) -> Applied {
        assert!(index > self.index, "commands are applied in the order of the log");
        self.index = index;
        let mut effects = Effects::default();
        let outcome = match command {
            Command::Kv(op) => self.apply_kv(index, op, &mut effects),
            Command::Txn(ops) => self.apply_txn(index, ops, &mut effects),
            Command::Register(register) => match self.register(index, register, &mut effects) {
                Ok(()) => Outcome::Done,
                Err(text) => reject(text),
            },
            Command::Deregister(deregister) => {
                self.deregister(index, deregister, &mut effects);
                Outcome::Done
            }
            Command::SessionCreate(create) => self.session_create(index, create, &mut effects),
            Command::SessionDestroy(id) => {
                self.session_destroy(index, *id, &mut effects);
                Outcome::Done
            }
            Command::LockDelayOver(keys) => {
                self.lock_delays_over(keys, &mut effects);
                Outcome::Done
            }
            Command::Coordinates(places) => {
                self.update_places(index, places, &mut effects);
                Outcome::Done
            }
            Command::Autopilot(change) => self.configure_autopilot(index, change),
            Command::Restore(bytes) => {
                let read = crate::restore::read(self, index, bytes);
                self.become_restored(index, read, &mut effects)
            }
            Command::RestoreBegin => {
                self.restore_begin(index);
                Outcome::Done
            }
            Command::RestorePart(part) => self.restore_part(part),
            Command::RestoreEnd(begun) => self.restore_end(index, *begun, &mut effects),
        };
        Applied { outcome, topics: effects.topics, facts: effects.facts }
    }

    /// A reader of everything as it is now, whatever is applied later.
    #[must_use]
    pub fn snapshot(&self) -> SnapshotReader {
        SnapshotReader::new(Self { staged: None, ..self.clone() })
    }

    /// A number that differs when the contents do: equal on all servers at equal indexes.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut digest = Digest::new(domain::MARKS);
        digest.number(self.index.0);
        digest.number(self.sum);
        digest.number(self.kv.top());
        let Marks { floor, nodes, services, checks, sessions, extinct, coordinates } = self.marks;
        for mark in [floor, nodes, services, checks, sessions, extinct, coordinates] {
            digest.number(mark);
        }
        digest.finish()
    }

    /// What readers see of an index: at least 1, and never below the last restore.
    pub(crate) fn shown(&self, index: u64) -> CatalogIndex {
        CatalogIndex(index.max(self.marks.floor).max(1))
    }

    pub(crate) fn count_in<T: Serialize>(&mut self, domain: u64, record: &T) {
        self.sum = self.sum.wrapping_add(digest::of(domain, record));
    }

    pub(crate) fn count_out<T: Serialize>(&mut self, domain: u64, record: &T) {
        self.sum = self.sum.wrapping_sub(digest::of(domain, record));
    }
}

/// A refusal with this text.
pub(crate) fn reject(text: impl Into<String>) -> Outcome {
    Outcome::Rejected(Rejected { text: text.into() })
}

/// The key under which a node id is filed.
pub(crate) fn id_key(id: NodeId) -> [u8; 16] {
    id.0.to_be_bytes()
}
