//! What goes into Raft.

use crate::{Member, Membership, Message, SnapshotChunk, SnapshotMeta};
use alloc::collections::BTreeMap;
use bytes::Bytes;
use proconsul_types::{LogIndex, ServerId};

/// The host's name for something it asked; it comes back in exactly one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Single-server membership changes (dissertation section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// Add a server, or make it a voter or non-voter.
    Set(ServerId, Member),
    /// Remove a server.
    Remove(ServerId),
}

/// Everything that can happen to a Raft server. May come late, twice, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A deadline of [`crate::Raft::next_wakeup`] has passed.
    Wake,
    /// A message from another server.
    Message {
        /// Who sent it, as its connection proved.
        from: ServerId,
        /// What it said.
        message: Message,
    },
    /// The connection to a server broke. A follower whose leader's connection breaks may stand for
    /// pre-vote at once: peers that still hear the leader refuse.
    PeerLost(ServerId),
    /// Append a payload. Answered by `Proposed` or `Refused`.
    Propose(Ticket, Bytes),
    /// Change the membership. Answered by `Proposed` or `Refused`.
    Change(Ticket, MembershipChange),
    /// Start with this group, as if [`crate::Boot::bootstrap`] had named it. Ignored unless this
    /// server has never had a group or a log.
    Bootstrap(Membership),
    /// Confirm leadership for a linearizable read. Answered by `ReadReady` or `Refused`.
    Read(Ticket),
    /// Hand leadership to this server, or to the most advanced voter. Answered by `Transferred`
    /// or `Refused`.
    Transfer(Ticket, Option<ServerId>),
    /// A `Persist` of this number, and all before it, are durable.
    Persisted(u64),
    /// The host has applied everything up to here.
    Applied(LogIndex),
    /// The host holds a durable (or, without a disk, complete) snapshot: the log up to it may go.
    SnapshotTaken(SnapshotMeta),
    /// Bytes that an [`crate::Effect::NeedChunk`] asked for.
    Chunk {
        /// For whom.
        to: ServerId,
        /// The bytes; `None` if the snapshot is gone (a newer one exists).
        chunk: Option<SnapshotChunk>,
    },
    /// An [`crate::Effect::StoreChunk`] was taken; `installed` is set on the last one once the
    /// snapshot is in force and synced.
    ChunkStored {
        /// Which snapshot.
        snapshot: SnapshotMeta,
        /// Bytes stored so far.
        offset: u64,
        /// Whether the whole snapshot is in force and durable.
        installed: bool,
    },
    /// What servers of the group wait at least before an election, if the host learned it; servers
    /// tell it in their answers, so this map is only for tests.
    PeerTimeouts(BTreeMap<ServerId, u64>),
}
