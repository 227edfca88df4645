//! What the node tells, as log lines.

use proconsul_core::Event;
use proconsul_core::checks::Synced;
use proconsul_core::raft::Event as Raft;

/// Writes one event to the log.
pub(crate) fn log(event: &Event) {
    match event {
        Event::Raft(event) => raft(event),
        Event::Applied(index) => tracing::trace!(target: "agent.server", "applied: index={index}"),
        Event::SnapshotTaken(index, bytes) => {
            tracing::info!(
                target: "agent.server.raft", "snapshot complete: index={index} bytes={bytes}"
            );
        }
        Event::TailCut { file, offset } => {
            tracing::warn!(
                target: "agent.server.raft",
                "cut what was never acknowledged: file={file} offset={offset}"
            );
        }
        Event::GroupKept => {
            tracing::info!(target: "agent.server", "the group of peers.json is in force");
        }
        Event::SessionExpired(id) => {
            tracing::debug!(target: "agent.server", "Session TTL expired: session={id}");
        }
        Event::Forwarded(to) => {
            tracing::trace!(target: "agent.server.rpc", "forwarded: to={to}");
        }
        Event::CheckChanged(id, status) => {
            tracing::debug!(target: "agent", "Check status updated: check={id} status={status}");
        }
        Event::CheckFailed(id, status) => {
            tracing::warn!(target: "agent", "Check is now {status}: check={id}");
        }
        Event::TtlMissed(id) => {
            tracing::warn!(target: "agent", "Check missed TTL, is now critical: check={id}");
        }
        Event::Synced(told) => synced(told),
        Event::SyncFailed(reason) => {
            tracing::error!(
                target: "agent.anti_entropy", "failed to sync remote state: error=\"{reason}\""
            );
        }
        Event::NewLeader(name) => {
            tracing::info!(target: "agent.server", "New leader elected: payload={name}");
        }
        Event::Notice(text) => tracing::info!(target: "agent", "{text}"),
        Event::Warning(text) => tracing::warn!(target: "agent", "{text}"),
        Event::Member(pool, name, status) => {
            tracing::info!(target: "agent.serf", "member: pool={pool:?} name={name} is={status}");
        }
        Event::Suspected(pool, name) => {
            tracing::debug!(target: "agent.serf", "suspected: pool={pool:?} name={name}");
        }
        Event::Refuted(pool) => {
            tracing::warn!(target: "agent.serf", "refuted a suspicion: pool={pool:?}");
        }
    }
}

fn synced(told: &Synced) {
    match told {
        Synced::Node => tracing::info!(target: "agent", "Synced node info"),
        Synced::Service(id) => tracing::info!(target: "agent", "Synced service: service={id}"),
        Synced::Check(id) => tracing::info!(target: "agent", "Synced check: check={id}"),
        Synced::ServiceGone(id) => {
            tracing::info!(target: "agent", "Deregistered service: service={id}");
        }
        Synced::CheckGone(id) => tracing::info!(target: "agent", "Deregistered check: check={id}"),
    }
}

fn raft(event: &Raft) {
    match event {
        Raft::PreCandidate(term) => {
            tracing::debug!(target: "agent.server.raft", "asking who would vote: term={term}");
        }
        Raft::Candidate(term) => {
            tracing::info!(target: "agent.server.raft", "entering candidate state: term={term}");
        }
        Raft::Leader(term) => {
            tracing::info!(target: "agent.server.raft", "election won: term={term}");
            tracing::info!(target: "agent.server", "cluster leadership acquired");
        }
        Raft::Follower(term, Some(leader)) => {
            tracing::info!(
                target: "agent.server.raft", "entering follower state: term={term} leader={leader}"
            );
        }
        Raft::Follower(term, None) => {
            tracing::info!(
                target: "agent.server.raft", "entering follower state: term={term} leader="
            );
        }
        Raft::SteppedDown(term) => {
            tracing::info!(target: "agent.server", "cluster leadership lost: term={term}");
        }
        Raft::VoteGranted(term, to) => {
            tracing::debug!(target: "agent.server.raft", "vote granted: term={term} to={to}");
        }
        Raft::MembershipChanged(index) => {
            tracing::info!(target: "agent.server.raft", "servers changed: index={index}");
        }
        Raft::SnapshotInstalled(id) => {
            tracing::info!(target: "agent.server.raft", "snapshot installed: id={id}");
        }
        Raft::TransferStarted(to) => {
            tracing::info!(target: "agent.server.raft", "handing leadership over: to={to}");
        }
        Raft::Compacted(index) => {
            tracing::info!(target: "agent.server.raft", "log compacted: up_to={index}");
        }
        Raft::Truncated(index) => {
            tracing::warn!(target: "agent.server.raft", "conflicting tail cut: from={index}");
        }
        Raft::AppendAcked(_) | Raft::AppendSent(..) | Raft::Committed(_) | Raft::ChunkSent(..) => {
            tracing::trace!(target: "agent.server.raft", "{event:?}");
        }
    }
}
