//! Linearizable reads without a log entry (6.4): one round confirms every read that waits.
//!
//! A read is confirmed only by a round that was begun after it arrived. Rounds are numbered by us
//! and never reused in a term, so a late answer to an earlier round proves nothing for a later read
//! (etcd-io/etcd#20418).

use crate::role::PendingRead;
use crate::{Effect, Raft, Refusal, Ticket};
use proconsul_types::Fault;

impl Raft {
    pub(crate) fn on_read(&mut self, ticket: Ticket) {
        let (index, planted) = (self.committed, self.config.planted);
        let hint = self.leader;
        let Some(leading) = self.role.leader_mut() else {
            self.out.push(Effect::Refused(ticket, Refusal::NotLeader(hint)));
            return;
        };
        if planted.is(Fault::ReadWithoutQuorum) {
            self.out.push(Effect::ReadReady(ticket, index));
            return;
        }
        // With a round under way for earlier reads, later ones wait for the next.
        let is_first = leading.reads.is_empty();
        leading.reads.push_back(PendingRead { ticket, index, round: None });
        if is_first {
            self.begin_read_round();
        }
    }

    fn begin_read_round(&mut self) {
        self.begin_round();
        self.attach_reads();
        self.broadcast_heartbeat();
        self.confirm_rounds();
    }

    /// The newest round, which was just begun, will confirm every read that has none.
    pub(crate) fn attach_reads(&mut self) {
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let round = leading.round;
        for read in leading.reads.iter_mut().rev() {
            if read.round.is_some() {
                break;
            }
            read.round = Some(round);
        }
    }

    /// Finds the newest round that a quorum answered; reads and the lease follow.
    pub(crate) fn confirm_rounds(&mut self) {
        let (quorum, is_voter) = (self.quorum(), self.is_voter());
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let own = is_voter.then_some(leading.round);
        if !leading.has_quorum_above(leading.confirmed, quorum, own, |peer| peer.acked_round) {
            return;
        }
        let confirmed = leading.quorum_value(quorum, own, |peer| peer.acked_round);
        leading.confirmed = confirmed;
        while leading.rounds.front().is_some_and(|round| round.number < confirmed) {
            leading.rounds.pop_front();
        }
        self.update_lease();
        self.answer_reads();
    }

    /// Answers reads whose round is confirmed. Before an entry of this term is committed the leader
    /// does not know what is.
    pub(crate) fn answer_reads(&mut self) {
        let (committed, planted) = (self.committed, self.config.planted);
        loop {
            let Some(leading) = self.role.leader_mut() else {
                return;
            };
            let Some(read) = leading.reads.front().copied() else {
                return;
            };
            let early = planted.is(Fault::ReadBeforeOwnCommit);
            if committed < leading.first && !early {
                return;
            }
            match read.round {
                Some(round) if round <= leading.confirmed => {
                    leading.reads.pop_front();
                    let index = if early { read.index } else { read.index.max(leading.first) };
                    self.out.push(Effect::ReadReady(read.ticket, index));
                }
                Some(_) => return,
                None => {
                    self.begin_read_round();
                    return;
                }
            }
        }
    }
}
