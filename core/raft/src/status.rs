//! What a Raft server says of itself: for operators, metrics and judges.

use crate::progress::Mode;
use crate::role::RoleState;
use crate::{Entry, Membership, Raft, SnapshotMeta};
use alloc::vec::Vec;
use proconsul_types::{EntryId, Instant, LogIndex, ServerId, Term};

/// The part a server plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// How a leader reaches a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationMode {
    /// Looking for the place where the logs agree.
    Probe,
    /// Sending entries ahead of the answers.
    Replicate,
    /// Sending a snapshot; so many bytes have arrived.
    Snapshot(u64),
}

/// One follower, as its leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Who.
    pub id: ServerId,
    /// Whether its vote counts.
    pub voter: bool,
    /// Its log agrees and is durable up to here.
    pub matched: LogIndex,
    /// The next entry to send.
    pub next: LogIndex,
    /// How entries are sent.
    pub mode: ReplicationMode,
    /// Messages of entries on the way.
    pub inflight_count: usize,
    /// Bytes of entries on the way.
    pub inflight_bytes: usize,
    /// When it last answered.
    pub heard_at: Instant,
}

/// Everything worth knowing of a server at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who this is.
    pub id: ServerId,
    /// The part it plays.
    pub role: Role,
    /// The newest term it knows.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<ServerId>,
    /// The leader of that term, if known.
    pub leader: Option<ServerId>,
    /// When it last heard that leader (followers).
    pub heard_at: Option<Instant>,
    /// Its last entry.
    pub last: EntryId,
    /// Its log is on its disk up to here.
    pub durable: LogIndex,
    /// It knows that entries up to here are committed.
    pub committed: LogIndex,
    /// Its host has applied up to here.
    pub applied: LogIndex,
    /// What the newest snapshot covers.
    pub snapshot: EntryId,
    /// The first entry it still holds.
    pub first_index: LogIndex,
    /// Bytes of entries it holds.
    pub log_bytes: usize,
    /// Bytes of those that are not committed.
    pub uncommitted_bytes: usize,
    /// Who belongs to the group.
    pub membership: Membership,
    /// The entry that said so.
    pub membership_index: LogIndex,
    /// Default reads may be served until then.
    pub lease_until: Instant,
    /// Whether leadership is being handed over.
    pub transferring: bool,
    /// Reads that wait for a round.
    pub reads_waiting: usize,
    /// Messages that wait for the disk.
    pub held_count: usize,
    /// A leader's followers.
    pub followers: Vec<FollowerStatus>,
}

impl Raft {
    /// Everything worth knowing. Copies the membership: see the single getters for hot paths.
    #[must_use]
    pub fn status(&self) -> Status {
        let leading = self.role.leader();
        Status {
            id: self.config.id,
            role: self.role(),
            term: self.hard.term,
            vote: self.hard.vote,
            leader: self.leader,
            heard_at: self.heard_at,
            last: self.log.last(),
            durable: self.durable.last(),
            committed: self.committed,
            applied: self.applied,
            snapshot: self.snapshot,
            first_index: self.log.first_index(),
            log_bytes: self.log.bytes(),
            uncommitted_bytes: self.uncommitted_bytes,
            membership: self.memberships.current().clone(),
            membership_index: self.memberships.current_index(),
            lease_until: self.lease_until,
            transferring: leading.is_some_and(|leading| leading.handover.is_some()),
            reads_waiting: leading.map_or(0, |leading| leading.reads.len()),
            held_count: self.durable.held_count(),
            followers: leading.map_or_else(Vec::new, |leading| {
                leading
                    .peers
                    .iter()
                    .map(|peer| FollowerStatus {
                        id: peer.id,
                        voter: peer.voter,
                        matched: peer.matched,
                        next: peer.next,
                        mode: match &peer.mode {
                            Mode::Probe { .. } => ReplicationMode::Probe,
                            Mode::Replicate => ReplicationMode::Replicate,
                            Mode::Snapshot(sending) => ReplicationMode::Snapshot(sending.offset),
                        },
                        inflight_count: peer.inflight_count(),
                        inflight_bytes: peer.inflight_bytes,
                        heard_at: peer.heard_at,
                    })
                    .collect()
            }),
        }
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> ServerId {
        self.config.id
    }

    /// The part it plays.
    #[must_use]
    pub fn role(&self) -> Role {
        match &self.role {
            RoleState::Follower => Role::Follower,
            RoleState::PreCandidate(_) => Role::PreCandidate,
            RoleState::Candidate(_) => Role::Candidate,
            RoleState::Leader(_) => Role::Leader,
        }
    }

    /// Whether it leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.role.leader().is_some()
    }

    /// The newest term it knows.
    #[must_use]
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// The leader of that term, if known.
    #[must_use]
    pub fn leader(&self) -> Option<ServerId> {
        self.leader
    }

    /// Its last entry.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.log.last()
    }

    /// Its log is on its disk up to here.
    #[must_use]
    pub fn durable(&self) -> LogIndex {
        self.durable.last()
    }

    /// It knows that entries up to here are committed.
    #[must_use]
    pub fn committed(&self) -> LogIndex {
        self.committed
    }

    /// Its host has applied up to here.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The first entry it still holds (or the next one, if it holds none).
    #[must_use]
    pub fn first_index(&self) -> LogIndex {
        self.log.first_index()
    }

    /// Default reads may be served until then.
    #[must_use]
    pub fn lease_until(&self) -> Instant {
        self.lease_until
    }

    /// When the leader of that term was last heard.
    #[must_use]
    pub fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    /// The entry that brought the membership in force.
    #[must_use]
    pub fn membership_index(&self) -> LogIndex {
        self.memberships.current_index()
    }

    /// Who belongs to the group.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        self.memberships.current()
    }

    /// Whether this leader is sending a snapshot to `peer`.
    #[must_use]
    pub fn sends_snapshot(&self, peer: ServerId) -> bool {
        let leading = self.role.leader();
        let peer = leading.and_then(|leading| Some(&leading.peers[leading.position(peer)?]));
        peer.is_some_and(|peer| matches!(peer.mode, Mode::Snapshot(_)))
    }

    /// The entry at `index`, if it is still held.
    #[must_use]
    pub fn entry(&self, index: LogIndex) -> Option<&Entry> {
        self.log.get(index)
    }

    /// The id of the entry at `index`, if it is known.
    #[must_use]
    pub fn entry_id(&self, index: LogIndex) -> Option<EntryId> {
        self.log.id(index).or_else(|| (index == self.snapshot.index).then_some(self.snapshot))
    }

    /// What a snapshot of the state after applying `index` stands for: the id and the membership
    /// belong to the same moment. `None` if that entry is not known any more or not committed.
    #[must_use]
    pub fn snapshot_meta(&self, index: LogIndex) -> Option<SnapshotMeta> {
        if index > self.committed {
            return None;
        }
        let last = self.entry_id(index)?;
        let recorded = self.memberships.at(index);
        Some(SnapshotMeta {
            last,
            membership: recorded.membership.clone(),
            membership_index: recorded.index,
        })
    }
}
