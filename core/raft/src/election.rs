//! Elections: pre-vote, votes, and when to stand (dissertation 3.4, 3.6, 4.2.3, 9.6).

use crate::role::{Ballot, RoleState};
use crate::{Event, HardState, Message, Raft, Timer};
use alloc::vec::Vec;
use proconsul_types::{Duration, EntryId, Fault, ServerId, Term};

/// A server whose oldest write has been under way for so many election timeouts does not lead.
const STALL_TIMEOUTS: u32 = 8;

impl Raft {
    /// Whether this server's vote counts in the membership it knows.
    pub(crate) fn is_voter(&self) -> bool {
        self.memberships.current().is_voter(self.config.id)
    }

    /// Whether this server may be needed as a leader: a voter, or one whose loss of its vote is not
    /// committed. It may be the only one that holds that entry, and then nobody else can be elected
    /// (4.2.2).
    pub(crate) fn may_stand(&self) -> bool {
        let is_pending = self.memberships.current_index() > self.committed;
        let was_voter = || self.memberships.earlier().is_some_and(|m| m.is_voter(self.config.id));
        self.is_voter() || (is_pending && was_voter())
    }

    /// Whether this server alone decides.
    pub(crate) fn is_only_voter(&self) -> bool {
        self.memberships.voter_count() == 1 && self.is_voter()
    }

    /// How many voters are a majority.
    pub(crate) fn quorum(&self) -> usize {
        self.memberships.current().quorum(self.config.planted)
    }

    /// Whether the disk has been silent for so long that this server is of no use as a leader.
    pub(crate) fn is_disk_stalled(&self) -> bool {
        let limit = self.config.election_timeout_max * STALL_TIMEOUTS;
        self.durable.is_stalled(self.now, limit)
    }

    /// A voter that hears no leader stands after a random time; others wait to be told.
    pub(crate) fn arm_election(&mut self) {
        if self.is_leader() || !self.may_stand() {
            self.timers.clear(Timer::Election);
            return;
        }
        let (min, max) = (self.config.election_timeout_min, self.config.election_timeout_max);
        let deadline = self.now.after(self.rng.duration(min, max));
        self.timers.set(Timer::Election, deadline);
    }

    pub(crate) fn on_election_timeout(&mut self) {
        if self.is_leader() {
            return;
        }
        if !self.may_stand() {
            // Its removal was committed, on its own disk as well, after it had begun to stand.
            if !matches!(self.role, RoleState::Follower) {
                self.become_follower(self.hard.term, None);
            }
            return;
        }
        self.arm_election();
        if self.is_disk_stalled() {
            return;
        }
        if let RoleState::Candidate(ballot) = &self.role
            && ballot.own_vote > self.durable.persisted()
        {
            return; // our own vote is still on its way to the disk: a new term would not be faster
        }
        self.start_pre_vote();
    }

    /// Asks whether an election would succeed, without disturbing anyone (9.6).
    fn start_pre_vote(&mut self) {
        if self.config.planted.is(Fault::PreVoteClearsVote) && self.hard.vote.is_some() {
            self.hard.vote = None;
            self.durable.write_hard_state(self.hard);
        }
        self.leader = None;
        self.heard_at = None;
        self.status_changed = true;
        let stood = Term(self.hard.term.0 + 1);
        let granted = Vec::from([self.config.id]);
        self.role = RoleState::PreCandidate(Ballot { granted, own_vote: 0, transfer: false });
        self.event(Event::PreCandidate(stood));
        self.request_votes(stood, true, false);
        self.count_votes();
    }

    /// Stands for election in a new term.
    pub(crate) fn start_election(&mut self, transfer: bool) {
        assert!(self.may_stand(), "only voters stand for election");
        self.leader = None;
        self.heard_at = None;
        self.status_changed = true;
        let term = Term(self.hard.term.0 + 1);
        self.hard = HardState { term, vote: Some(self.config.id) };
        self.durable.write_hard_state(self.hard);
        self.durable.forget_held();
        let own_vote = self.durable.newest();
        self.role = RoleState::Candidate(Ballot { granted: Vec::new(), own_vote, transfer });
        self.event(Event::Candidate(term));
        self.arm_election();
    }

    /// A candidate asks for votes only once its own vote (and its log) are durable: otherwise a
    /// crash could make it stand twice in one term with different logs, and count late answers
    /// to the first.
    pub(crate) fn on_own_vote_durable(&mut self) {
        let RoleState::Candidate(ballot) = &mut self.role else {
            return;
        };
        if ballot.own_vote > self.durable.persisted() || ballot.granted.contains(&self.config.id) {
            return;
        }
        ballot.granted.push(self.config.id);
        let transfer = ballot.transfer;
        self.request_votes(self.hard.term, false, transfer);
        self.count_votes();
    }

    fn request_votes(&mut self, term: Term, pre: bool, transfer: bool) {
        let last = self.log.last();
        let (own, current) = (self.config.id, self.memberships.current());
        for voter in current.voters().filter(|voter| *voter != own) {
            let message = Message::RequestVote { term, last, pre, transfer };
            self.out.push(crate::Effect::Send(voter, message));
        }
    }

    /// Whether a candidate's log holds at least everything ours does, as far as that can be told
    /// from its end (3.6.1).
    fn is_up_to_date(&self, candidate: EntryId) -> bool {
        if self.config.planted.is(Fault::VoteWithoutLogCheck) {
            return true;
        }
        let last = self.log.last();
        if self.config.planted.is(Fault::LogComparedByLength) {
            return (candidate.index, candidate.term) >= (last.index, last.term);
        }
        candidate >= last
    }

    /// Whether a leader may count on this server not to vote (4.2.3, 6.4.1).
    fn is_bound(&self) -> bool {
        self.is_leader() || self.now < self.promise_until
    }

    pub(crate) fn on_request_pre_vote(&mut self, from: ServerId, stood: Term, last: EntryId) {
        let granted = stood > self.hard.term && !self.is_bound() && self.is_up_to_date(last);
        let vote = Message::Vote { term: self.hard.term, stood, granted, pre: true };
        self.send_when_durable(self.durable.needed_for_term(), from, vote);
    }

    pub(crate) fn on_request_vote(
        &mut self,
        from: ServerId,
        stood: Term,
        last: EntryId,
        transfer: bool,
    ) {
        let bound = self.is_bound() && !transfer;
        if stood > self.hard.term && !bound {
            self.become_follower(stood, None);
        }
        let free = self.hard.vote.is_none_or(|vote| vote == from);
        let granted = stood == self.hard.term
            && free
            && !bound
            && self.leader.is_none()
            && matches!(self.role, RoleState::Follower | RoleState::PreCandidate(_))
            && self.is_up_to_date(last);
        if !granted {
            let term = self.hard.term;
            let vote = Message::Vote { term, stood, granted: false, pre: false };
            self.send_when_durable(self.durable.needed_for_term(), from, vote);
            return;
        }
        if self.hard.vote.is_none() {
            self.hard.vote = Some(from);
            self.durable.write_hard_state(self.hard);
        }
        assert!(self.hard.vote == Some(from), "one vote in a term");
        self.role = RoleState::Follower;
        self.event(Event::VoteGranted(stood, from));
        self.arm_election();
        let vote = Message::Vote { term: stood, stood, granted: true, pre: false };
        if self.config.planted.is(Fault::VoteNotPersisted) {
            self.send(from, vote);
            return;
        }
        self.send_when_durable(self.durable.needed_for_term(), from, vote);
    }

    pub(crate) fn on_vote(
        &mut self,
        from: ServerId,
        term: Term,
        stood: Term,
        granted: bool,
        pre: bool,
    ) {
        if term > self.hard.term && !granted {
            self.become_follower(term, None);
            return;
        }
        let current = self.hard.term;
        let ballot = match &mut self.role {
            RoleState::PreCandidate(ballot) if pre && stood.0 == current.0 + 1 => ballot,
            RoleState::Candidate(ballot) if !pre && stood == current => ballot,
            RoleState::PreCandidate(_)
            | RoleState::Candidate(_)
            | RoleState::Follower
            | RoleState::Leader(_) => return,
        };
        if !granted {
            return;
        }
        let twice = self.config.planted.is(Fault::VotesCountedTwice);
        if twice || !ballot.granted.contains(&from) {
            ballot.granted.push(from);
        }
        self.count_votes();
    }

    /// Goes on if a majority of the voters said yes.
    fn count_votes(&mut self) {
        let (ballot, pre) = match &self.role {
            RoleState::PreCandidate(ballot) => (ballot, true),
            RoleState::Candidate(ballot) => (ballot, false),
            RoleState::Follower | RoleState::Leader(_) => return,
        };
        let current = self.memberships.current();
        let votes = ballot.granted.iter().filter(|id| current.is_voter(**id)).count();
        if votes < self.quorum() {
            return;
        }
        if pre {
            self.start_election(false);
        } else if ballot.granted.contains(&self.config.id) {
            self.become_leader();
        }
    }

    /// The connection to `peer` broke. If it was the leader's, it may be dead: stand as soon as the
    /// promise made to it allows, and a little later than that so that one of us is first.
    pub(crate) fn on_peer_lost(&mut self, peer: ServerId) {
        self.on_follower_lost(peer);
        if self.leader != Some(peer) || self.is_leader() || !self.may_stand() {
            return;
        }
        let spread =
            self.config.election_timeout_max.saturating_sub(self.config.election_timeout_min) / 4;
        let delay = self.rng.duration(Duration::ZERO, spread);
        let deadline = self.now.max(self.promise_until).after(delay);
        if self.timers.get(Timer::Election).is_none_or(|set| deadline < set) {
            self.timers.set(Timer::Election, deadline);
        }
    }
}
