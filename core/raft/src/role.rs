//! What belongs to a role and dies with it.

use crate::Ticket;
use crate::progress::Progress;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use proconsul_types::{Duration, Instant, LogIndex, ServerId};

/// The part a server plays, with what only this part needs. Leaving a role drops its state, so no
/// flag can survive it.
#[derive(Clone, Debug)]
pub(crate) enum RoleState {
    Follower,
    PreCandidate(Ballot),
    Candidate(Ballot),
    Leader(Box<Leading>),
}

impl RoleState {
    pub(crate) fn leader(&self) -> Option<&Leading> {
        match self {
            Self::Leader(leading) => Some(leading),
            Self::Follower | Self::PreCandidate(_) | Self::Candidate(_) => None,
        }
    }

    pub(crate) fn leader_mut(&mut self) -> Option<&mut Leading> {
        match self {
            Self::Leader(leading) => Some(leading),
            Self::Follower | Self::PreCandidate(_) | Self::Candidate(_) => None,
        }
    }
}

/// Votes of one election or pre-election.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ballot {
    /// Who said yes.
    pub(crate) granted: Vec<ServerId>,
    /// The batch that makes our own vote durable; 0 in a pre-election.
    pub(crate) own_vote: u64,
    /// Whether a leader asked us to stand.
    pub(crate) transfer: bool,
}

/// A round of messages: what its answers prove is measured from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) begun_at: Instant,
}

/// A read that waits until leadership is confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingRead {
    pub(crate) ticket: Ticket,
    /// The commit index when it arrived.
    pub(crate) index: LogIndex,
    /// The round that must be confirmed, begun after the read arrived; `None` until one is begun.
    pub(crate) round: Option<u64>,
}

/// A proposal that is appended and not committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proposal {
    pub(crate) index: LogIndex,
    pub(crate) ticket: Ticket,
}

/// A leadership transfer under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handover {
    pub(crate) ticket: Ticket,
    pub(crate) target: ServerId,
    /// Whether the target was told to stand.
    pub(crate) told: bool,
}

/// What only a leader keeps.
#[derive(Clone, Debug)]
pub(crate) struct Leading {
    /// The followers, in the order of their ids.
    pub(crate) peers: Vec<Progress>,
    /// The first entry of this term: until it commits, nothing of older terms is known to be
    /// committed.
    pub(crate) first: LogIndex,
    /// The newest round.
    pub(crate) round: u64,
    /// Rounds that no quorum has answered yet, and the last one that was.
    pub(crate) rounds: VecDeque<Round>,
    /// The newest round that a quorum answered.
    pub(crate) confirmed: u64,
    /// Only rounds from here on count for the lease (a membership change begins anew).
    pub(crate) lease_from: u64,
    /// A target was told to stand in this term; that message may arrive at any time, so there is no
    /// lease any more.
    pub(crate) lease_barred: bool,
    pub(crate) reads: VecDeque<PendingRead>,
    /// Proposals that are appended and not committed.
    pub(crate) tickets: VecDeque<Proposal>,
    pub(crate) handover: Option<Handover>,
    /// Between two rounds of heartbeats.
    pub(crate) beat: Duration,
    /// Room to sort in.
    pub(crate) scratch: Vec<u64>,
}

impl Leading {
    pub(crate) fn new(peers: Vec<Progress>, first: LogIndex, beat: Duration) -> Self {
        Self {
            peers,
            first,
            round: 0,
            rounds: VecDeque::new(),
            confirmed: 0,
            lease_from: 1,
            lease_barred: false,
            reads: VecDeque::new(),
            tickets: VecDeque::new(),
            handover: None,
            beat,
            scratch: Vec::new(),
        }
    }

    /// Where `id` is in `peers`.
    pub(crate) fn position(&self, id: ServerId) -> Option<usize> {
        self.peers.binary_search_by_key(&id, |peer| peer.id).ok()
    }

    /// The shortest election timeout that a voter told.
    pub(crate) fn shortest_patience(&self) -> Option<Duration> {
        let voters = self.peers.iter().filter(|peer| peer.voter);
        voters.filter_map(|peer| peer.election_timeout_min).min().map(Duration::from_nanos)
    }

    /// When `round` was begun, if that is still remembered.
    pub(crate) fn begun_at(&self, round: u64) -> Option<Instant> {
        let found = self.rounds.binary_search_by_key(&round, |begun| begun.number).ok()?;
        Some(self.rounds[found].begun_at)
    }

    /// Whether the value that `quorum` voters have reached is above `bound`: most answers of
    /// followers change nothing about that, and counting is cheaper than sorting.
    pub(crate) fn has_quorum_above(
        &self,
        bound: u64,
        quorum: usize,
        own: Option<u64>,
        value: impl Fn(&Progress) -> u64,
    ) -> bool {
        let peers = self.peers.iter().filter(|peer| peer.voter && value(peer) > bound).count();
        let reached = peers + usize::from(own.is_some_and(|own| own > bound));
        quorum > 0 && reached >= quorum
    }

    /// The largest value that `quorum` voters have reached. `own` is this server's value, if it has
    /// a vote.
    pub(crate) fn quorum_value(
        &mut self,
        quorum: usize,
        own: Option<u64>,
        value: impl Fn(&Progress) -> u64,
    ) -> u64 {
        self.scratch.clear();
        self.scratch.extend(own);
        self.scratch.extend(self.peers.iter().filter(|peer| peer.voter).map(value));
        if quorum == 0 || self.scratch.len() < quorum {
            return 0;
        }
        self.scratch.sort_unstable_by(|a, b| b.cmp(a));
        self.scratch[quorum - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_value_is_reached_by_a_majority() {
        let peer = |id: u128, matched: u64| {
            let id = ServerId::from_bits(id);
            let mut peer = Progress::new(id, true, LogIndex(1), Instant::START);
            peer.matched = LogIndex(matched);
            peer
        };
        let mut learner = peer(9, 100);
        learner.voter = false;
        let peers = alloc::vec![peer(2, 5), peer(3, 7), learner];
        let mut leading = Leading::new(peers, LogIndex(1), Duration::ZERO);
        let matched = |peer: &Progress| peer.matched.0;
        assert_eq!(leading.quorum_value(2, Some(9), matched), 7);
        assert_eq!(leading.quorum_value(2, Some(1), matched), 5);
        assert_eq!(leading.quorum_value(2, None, matched), 5, "a leader without a vote");
        assert_eq!(leading.quorum_value(3, None, matched), 0);
        for (quorum, own) in [(2, Some(9)), (2, Some(1)), (2, None), (3, None), (0, None)] {
            let reached = leading.quorum_value(quorum, own, matched);
            for bound in 0..10 {
                let is_above = leading.has_quorum_above(bound, quorum, own, matched);
                assert_eq!(is_above, reached > bound, "{quorum} {own:?} {bound}");
            }
        }
    }
}
