//! What a node says of itself: for operators, metrics, judges.

use crate::node::Node;
use proconsul_raft::Status as RaftStatus;
use proconsul_types::{CatalogIndex, EntryId, Instant, NodeId};

/// Everything worth knowing of a node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who this is.
    pub id: NodeId,
    /// Raft's part.
    pub raft: RaftStatus,
    /// The last entry applied.
    pub applied: EntryId,
    /// The last command applied.
    pub catalog_index: CatalogIndex,
    /// A number that is equal on all servers that applied the same entries.
    pub state_hash: u64,
    /// Default reads may be answered here until then.
    pub lease_until: Instant,
    /// What the newest complete snapshot covers.
    pub snapshot: EntryId,
    /// Bytes of the log on disk.
    pub disk_log_bytes: u64,
    /// Open requests.
    pub open_count: usize,
    /// Those that wait for a leader.
    pub held_count: usize,
    /// Those that another server works on.
    pub forwarded_count: usize,
    /// Those that wait for a change.
    pub parked_count: usize,
    /// Different queries among these.
    pub watched_count: usize,
    /// Proposals without an outcome.
    pub proposed_count: usize,
    /// Sessions whose TTL clock runs here.
    pub session_timer_count: usize,
    /// Whether it stopped.
    pub stopped: bool,
}

impl Node {
    /// Everything worth knowing. Not for hot paths.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            id: self.config.id,
            raft: self.raft.status(),
            applied: self.applied,
            catalog_index: self.catalog.index(),
            state_hash: self.catalog.state_hash(),
            lease_until: self.publisher.lease_until(),
            snapshot: self.snapshots.newest(),
            disk_log_bytes: self.durable.log_bytes(),
            open_count: self.opens.len(),
            held_count: self.calls.held_count(),
            forwarded_count: self.calls.outgoing_count(),
            parked_count: self.blocking.parked_count(),
            watched_count: self.blocking.group_count(),
            proposed_count: self.proposals.count(),
            session_timer_count: self.sessions.armed_count(),
            stopped: self.stopped,
        }
    }

    /// A pool this node is in, for judges that compare what members hold of one another.
    #[must_use]
    pub fn pool(&self, pool: proconsul_types::Pool) -> Option<&proconsul_gossip::Gossip> {
        self.pools.pool(pool)
    }

    /// Raft itself, for judges that compare logs.
    #[must_use]
    pub fn raft(&self) -> &proconsul_raft::Raft {
        &self.raft
    }

    /// The catalog as applied, published or not.
    #[must_use]
    pub fn catalog(&self) -> &proconsul_catalog::Catalog {
        &self.catalog
    }

    /// The last entry applied: with [`Self::digest`], what judges compare between servers.
    #[must_use]
    pub fn applied(&self) -> EntryId {
        self.applied
    }

    /// A hash of the state: equal on servers that applied the same entries.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.catalog.state_hash()
    }
}
