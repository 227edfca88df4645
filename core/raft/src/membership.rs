//! Who belongs to the group: in force from the moment it is appended (dissertation 4.1), and back
//! to the earlier one when the entry is cut.

use crate::{Membership, SnapshotMeta};
use alloc::vec::Vec;
use proconsul_types::{Fault, LogIndex, Planted, ServerId};

impl Membership {
    /// A group of these voters.
    #[must_use]
    pub fn of_voters(voters: impl IntoIterator<Item = ServerId>) -> Self {
        let member = crate::Member { voter: true };
        Self { members: voters.into_iter().map(|id| (id, member)).collect() }
    }

    /// Whether `id` belongs to the group.
    #[must_use]
    pub fn contains(&self, id: ServerId) -> bool {
        self.members.contains_key(&id)
    }

    /// Whether the vote of `id` counts.
    #[must_use]
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.members.get(&id).is_some_and(|member| member.voter)
    }

    /// Those whose vote counts.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> {
        self.members.iter().filter(|(_, member)| member.voter).map(|(id, _)| *id)
    }

    /// How many votes there are.
    #[must_use]
    pub fn voter_count(&self) -> usize {
        self.voters().count()
    }

    /// How many voters are a majority.
    #[must_use]
    pub(crate) fn quorum(&self, planted: Planted) -> usize {
        let majority = self.voter_count() / 2 + 1;
        if planted.is(Fault::QuorumOffByOne) {
            return (majority - 1).max(1);
        }
        majority
    }
}

/// A membership and the entry that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) index: LogIndex,
    pub(crate) membership: Membership,
}

/// The memberships of the log: the newest is in force, the others wait for a truncation.
#[derive(Clone, Debug)]
pub(crate) struct Memberships {
    /// Never empty; indexes grow. The first is what held before the oldest entry that matters.
    history: Vec<Recorded>,
    /// Which one is in force: the last, unless a planted fault says otherwise.
    in_force: usize,
    /// Whether the base came from the operator and stands in no log entry.
    base_unrecorded: bool,
    voter_count: usize,
}

impl Memberships {
    pub(crate) fn new(base: Membership, index: LogIndex, base_unrecorded: bool) -> Self {
        let voter_count = base.voter_count();
        let history = alloc::vec![Recorded { index, membership: base }];
        Self { history, in_force: 0, base_unrecorded, voter_count }
    }

    /// The membership in force.
    pub(crate) fn current(&self) -> &Membership {
        &self.history[self.in_force].membership
    }

    /// The index of the entry that brought it.
    pub(crate) fn current_index(&self) -> LogIndex {
        self.history[self.in_force].index
    }

    /// Whether what is in force stands in no log entry, so that others cannot learn it.
    pub(crate) fn is_unrecorded(&self) -> bool {
        self.base_unrecorded && self.history.len() == 1
    }

    /// The membership that comes back if the newest entry is cut.
    pub(crate) fn earlier(&self) -> Option<&Membership> {
        self.history.get(self.in_force.checked_sub(1)?).map(|recorded| &recorded.membership)
    }

    /// The index of the newest membership entry, in force or not.
    pub(crate) fn newest_index(&self) -> LogIndex {
        self.history.last().map_or(LogIndex(0), |recorded| recorded.index)
    }

    /// How many votes there are in the membership in force.
    pub(crate) fn voter_count(&self) -> usize {
        self.voter_count
    }

    /// What was in force at `index`.
    pub(crate) fn at(&self, index: LogIndex) -> &Recorded {
        let later = self.history.iter().rposition(|recorded| recorded.index <= index);
        &self.history[later.unwrap_or(0)]
    }

    /// Sets which one is in force; says whether that changed.
    fn settle(&mut self, in_force: usize) -> bool {
        self.in_force = in_force;
        self.voter_count = self.current().voter_count();
        true
    }

    /// An entry at `index` brought `membership`. Says whether another one is in force now.
    pub(crate) fn push(
        &mut self,
        index: LogIndex,
        membership: Membership,
        planted: Planted,
    ) -> bool {
        assert!(
            index > self.newest_index() || self.newest_index() == LogIndex(0),
            "memberships come in the order of the log"
        );
        self.history.push(Recorded { index, membership });
        if planted.is(Fault::MembershipOnApply) {
            return false;
        }
        self.settle(self.history.len() - 1)
    }

    /// The log was cut from `from` on. Says whether another membership is in force now.
    pub(crate) fn truncate(&mut self, from: LogIndex) -> bool {
        let before = self.in_force;
        while self.history.len() > 1 && self.newest_index() >= from {
            self.history.pop();
        }
        before >= self.history.len() && self.settle(self.history.len() - 1)
    }

    /// The host applied up to `index`: the moment that matters only to a planted fault.
    pub(crate) fn applied(&mut self, index: LogIndex) -> bool {
        let found = self.history.iter().rposition(|recorded| recorded.index <= index);
        match found {
            Some(found) if found > self.in_force => self.settle(found),
            Some(_) | None => false,
        }
    }

    /// The planted opposite of [`Self::push`] at boot: what is not applied is not in force.
    pub(crate) fn take_back(&mut self, applied: LogIndex) {
        let found = self.history.iter().rposition(|recorded| recorded.index <= applied);
        self.settle(found.unwrap_or(0));
    }

    /// A snapshot covers the log up to `index`: what held before no longer matters.
    pub(crate) fn compact(&mut self, index: LogIndex) {
        let keep = self.history.iter().rposition(|recorded| recorded.index <= index).unwrap_or(0);
        let drop = keep.min(self.in_force);
        self.history.drain(..drop);
        self.base_unrecorded &= drop == 0;
        self.in_force -= drop;
    }

    /// The log was replaced by a snapshot: only its membership holds.
    pub(crate) fn replace(&mut self, meta: &SnapshotMeta) -> bool {
        let changed = self.current() != &meta.membership;
        *self = Self::new(meta.membership.clone(), meta.membership_index, false);
        changed
    }

    /// Whether no remembered membership has another server than `id`.
    pub(crate) fn is_alone(&self, id: ServerId) -> bool {
        let mut others =
            self.history.iter().flat_map(|recorded| recorded.membership.members.keys());
        others.all(|member| *member == id)
    }

    /// How many memberships are remembered.
    pub(crate) fn len(&self) -> usize {
        self.history.len()
    }

    /// Whether the newest one is in force, as it must be.
    pub(crate) fn newest_is_in_force(&self) -> bool {
        self.in_force + 1 == self.history.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(ids: &[u128]) -> Membership {
        Membership::of_voters(ids.iter().map(|id| ServerId::from_bits(*id)))
    }

    #[test]
    fn truncation_restores_the_earlier_membership() {
        let mut memberships = Memberships::new(voters(&[1, 2]), LogIndex(0), true);
        assert!(memberships.push(LogIndex(5), voters(&[1, 2, 3]), Planted::none()));
        assert!(memberships.push(LogIndex(9), voters(&[1, 2, 3, 4]), Planted::none()));
        assert!(!memberships.truncate(LogIndex(10)));
        assert!(memberships.truncate(LogIndex(9)));
        assert_eq!(memberships.current(), &voters(&[1, 2, 3]));
        assert_eq!(memberships.at(LogIndex(4)).membership, voters(&[1, 2]));
        memberships.compact(LogIndex(6));
        assert_eq!((memberships.len(), memberships.current_index()), (1, LogIndex(5)));
        assert!(!memberships.truncate(LogIndex(5)), "the base stays");
    }

    #[test]
    fn a_quorum_is_a_majority() {
        for (count, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
            let ids: Vec<u128> = (1..=count).collect();
            assert_eq!(voters(&ids).quorum(Planted::none()), quorum);
        }
    }
}
