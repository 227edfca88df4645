//! What must hold after every step, whatever happened. Cheap enough to be asked every time.

use crate::role::RoleState;
use crate::{Raft, Role, Timer};
use proconsul_types::{Fault, Instant, LogIndex};

impl Raft {
    /// Panics with the broken rule's name.
    pub fn check_invariants(&self) {
        self.check_pointers();
        self.check_role();
        assert!(self.durable.is_clean(), "a step hands over all it has for the disk");
        assert!(self.out.is_empty(), "a step hands over all its effects");
    }

    fn check_pointers(&self) {
        let last = self.log.last().index;
        assert!(self.log.before().index <= self.snapshot.index, "no hole behind the snapshot");
        assert!(self.snapshot.index <= self.applied, "a snapshot covers what is applied");
        assert!(self.applied <= self.delivered, "only what was handed over is applied");
        assert!(self.delivered <= self.committed, "only what is committed is handed over");
        assert!(self.committed <= self.commit_target, "the group commits first");
        assert!(self.commit_target <= last, "only entries that exist are committed");
        assert!(self.durable.last() <= last, "only entries that exist are durable");
        if !self.config.planted.is(Fault::OwnMatchBeforeSync) {
            assert!(self.committed <= self.durable.last(), "what is committed is durable here");
        }
        assert!(self.log.last().term <= self.hard.term, "no entry is newer than the term");
        assert!(self.log.before().term <= self.log.last().term, "terms never fall along the log");
        assert!(self.covered_bytes <= self.log.bytes(), "covered bytes are bytes of the log");
        assert!(self.uncommitted_bytes <= self.log.bytes(), "so are uncommitted bytes");
        let newest = self.memberships.newest_index();
        assert!(
            newest <= last || newest == LogIndex(0) || newest <= self.snapshot.index,
            "a membership comes from an entry that exists"
        );
        if !self.config.planted.is(Fault::MembershipOnApply) {
            assert!(self.memberships.newest_is_in_force(), "the newest membership is in force");
        }
        assert!(self.memberships.len() > 0, "some membership is in force");
    }

    fn check_role(&self) {
        let own = self.config.id;
        let election = self.timers.get(Timer::Election);
        match &self.role {
            RoleState::Follower => {
                assert!(self.leader != Some(own), "a follower does not follow itself");
            }
            RoleState::PreCandidate(_) => {
                assert!(self.leader.is_none(), "a pre-candidate has no leader");
                assert!(election.is_some(), "a pre-election ends some time");
            }
            RoleState::Candidate(_) => {
                assert!(self.leader.is_none(), "a candidate has no leader");
                assert!(self.hard.vote == Some(own), "a candidate voted for itself");
                assert!(election.is_some(), "an election ends some time");
            }
            RoleState::Leader(leading) => {
                assert!(self.leader == Some(own), "a leader knows that it leads");
                assert!(self.hard.vote == Some(own), "a leader voted for itself");
                assert!(election.is_none(), "a leader does not stand for election");
                assert!(
                    leading.peers.is_empty() || self.timers.get(Timer::Heartbeat).is_some(),
                    "a leader with followers beats"
                );
                assert!(leading.first <= self.log.last().index, "a term begins with an entry");
                assert!(leading.confirmed <= leading.round, "only rounds that began are confirmed");
                let last = self.log.last().index;
                leading.peers.iter().for_each(|peer| peer.check_invariants(last));
            }
        }
        if self.role() != Role::Leader {
            assert!(self.lease_until == Instant::START, "only a leader has a lease");
            assert!(!self.has_notice(), "only a leader gives notice");
        }
    }
}
