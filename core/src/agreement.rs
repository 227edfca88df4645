//! Whether all servers come to the same state from the same log.
//!
//! The leader tells the hash of its state at every 1024th index. A follower compares it with its
//! own at that index, whichever of the two comes first. A difference is a bug or a broken memory:
//! it is said aloud, and it stays visible in `agent/self`.

use crate::node::Node;
use crate::{Effect, Event, PeerMessage};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use proconsul_http::StateCheck;
use proconsul_types::{LogIndex, NodeId};

/// Between two indexes at which states are compared.
const INTERVAL: u64 = 1024;
/// So many of each side are kept.
const KEPT_MAX: usize = 8;

/// Hashes of this server's state, and of what others told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agreement {
    own: VecDeque<(LogIndex, u64)>,
    /// What has not been compared: its index is not applied here yet.
    told: VecDeque<(NodeId, LogIndex, u64)>,
    newest: Option<StateCheck>,
}

impl Agreement {
    /// The newest comparison; one that failed stays.
    pub(crate) fn newest(&self) -> Option<StateCheck> {
        self.newest
    }

    /// Notes a comparison. Whether it is the first that failed.
    fn compared(&mut self, index: LogIndex, hash: u64, agrees: bool) -> bool {
        if self.newest.is_some_and(|newest| !newest.agrees) {
            return false;
        }
        self.newest = Some(StateCheck { index: index.0, hash, agrees });
        !agrees
    }
}

impl Node {
    /// An entry was applied.
    pub(crate) fn compare_states(&mut self, out: &mut Vec<Effect>) {
        let index = self.applied.index;
        if !index.0.is_multiple_of(INTERVAL) {
            return;
        }
        let hash = self.catalog.state_hash();
        keep(&mut self.agreement.own, (index, hash));
        if self.raft.is_leader() {
            self.agreement.compared(index, hash, true);
            self.publisher.leadership_changed();
            let members = self.raft.membership().members.keys().copied();
            let others: Vec<NodeId> = members.filter(|id| *id != self.config.id).collect();
            for other in others {
                self.send_peer(other, PeerMessage::StateHash { index, hash }, out);
            }
        }
        let told = core::mem::take(&mut self.agreement.told);
        for (from, index, hash) in told {
            self.state_told(from, index, hash, out);
        }
    }

    /// A leader tells the hash of its state at `index`.
    pub(crate) fn state_told(
        &mut self,
        from: NodeId,
        index: LogIndex,
        hash: u64,
        out: &mut Vec<Effect>,
    ) {
        if index > self.applied.index {
            keep(&mut self.agreement.told, (from, index, hash));
            return;
        }
        let own = self.agreement.own.iter().find(|(at, _)| *at == index);
        let Some((_, own)) = own.copied() else {
            return; // a snapshot went over it, or it is long ago
        };
        if self.agreement.compared(index, own, own == hash) {
            out.push(Effect::Event(Event::Warning(format!(
                "the state of this server differs from the leader's ({from}) after the same log: \
                 index={} hash={own:016x} leader={hash:016x}; stop this server, remove its data \
                 directory and let it join again, and report this",
                index.0
            ))));
        }
        self.publisher.leadership_changed();
    }
}

fn keep<T>(kept: &mut VecDeque<T>, newest: T) {
    if kept.len() >= KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back(newest);
}
