//! A follower: hears its leader, repairs its log, acknowledges what is durable (3.5).

use crate::role::RoleState;
use crate::{Entry, Event, Message, Payload, Raft};
use alloc::vec::Vec;
use proconsul_types::{EntryId, Fault, LogIndex, ServerId, Term};

impl Raft {
    /// Follows in `term`, which is the current one or a newer one.
    pub(crate) fn become_follower(&mut self, term: Term, leader: Option<ServerId>) {
        assert!(term >= self.hard.term, "terms only grow");
        let was_leader = self.is_leader();
        if was_leader {
            self.step_down();
        }
        let is_news = term > self.hard.term
            || self.leader != leader
            || !matches!(self.role, RoleState::Follower);
        if term > self.hard.term {
            self.adopt_term(term);
        }
        self.role = RoleState::Follower;
        self.leader = leader;
        if is_news {
            self.status_changed = true;
            self.event(Event::Follower(term, leader));
            self.on_leader_known();
        }
        self.arm_election();
    }

    /// The leader of the current term spoke: it may count on us for an election timeout.
    pub(crate) fn on_contact(&mut self, leader: ServerId, term: Term) {
        self.become_follower(term, Some(leader));
        self.heard_at = Some(self.now);
        self.promise_until = self.now.after(self.config.election_timeout_min);
    }

    fn election_timeout_min_nanos(&self) -> u64 {
        u64::try_from(self.config.election_timeout_min.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The answer to an append or a heartbeat.
    fn appended(&self, round: u64, outcome: Result<LogIndex, EntryId>) -> Message {
        Message::Appended {
            term: self.hard.term,
            round,
            outcome,
            election_timeout_min: self.election_timeout_min_nanos(),
        }
    }

    pub(crate) fn on_append(
        &mut self,
        from: ServerId,
        term: Term,
        previous: EntryId,
        entries: Vec<Entry>,
        committed: LogIndex,
        round: u64,
    ) {
        if term < self.hard.term {
            let answer = self.appended(round, Err(self.log.last()));
            self.send_when_durable(self.durable.needed_for_term(), from, answer);
            return;
        }
        let second_leader = term == self.hard.term
            && (self.is_leader() || self.leader.is_some_and(|leader| leader != from));
        if second_leader || !is_well_formed(previous, &entries, term) {
            return; // a term has one leader, and a log has one order: whoever says this is confused
        }
        self.on_contact(from, term);
        if !self.agrees_at(previous) {
            let hint = self.log.last_at_most(previous.index, previous.term);
            let answer = self.appended(round, Err(hint));
            self.send_when_durable(self.durable.needed_for_term(), from, answer);
            return;
        }
        let is_heartbeat = entries.is_empty();
        let verified = entries.last().map_or(previous, |entry| entry.id).index;
        self.append_from_leader(entries);
        let verified = verified.max(self.committed);
        let reach = if self.config.planted.is(Fault::CommitBeyondMatched) {
            self.log.last().index
        } else {
            verified
        };
        self.commit_target = self.commit_target.max(committed.min(reach));
        self.acknowledge(from, round, verified, is_heartbeat);
    }

    /// Says what agrees and is durable. A heartbeat is answered at once with what is durable
    /// already, so that a slow disk does not look like a dead server (etcd-io/etcd#7617).
    fn acknowledge(&mut self, to: ServerId, round: u64, verified: LogIndex, is_heartbeat: bool) {
        if self.config.planted.is(Fault::AckBeforeSync) {
            let answer = self.appended(round, Ok(verified));
            self.event(Event::AppendAcked(verified));
            self.send(to, answer);
            return;
        }
        if is_heartbeat {
            let answer = self.appended(round, Ok(verified.min(self.durable.last())));
            let needed = self.durable.needed_for_term();
            if needed > self.durable.persisted() {
                self.durable.hold(needed, to, answer);
            } else {
                self.send(to, answer);
            }
            return;
        }
        let needed = self.durable.needed_for(verified);
        let answer = self.appended(round, Ok(verified));
        self.send_when_durable(needed, to, answer);
    }

    /// Whether our log holds the entry the message continues. What is committed agrees with every
    /// leader's log (Leader Completeness), also when it is compacted already.
    fn agrees_at(&self, previous: EntryId) -> bool {
        if previous.index <= self.committed {
            return true;
        }
        if self.config.planted.is(Fault::NoPreviousTermCheck) {
            return previous.index <= self.log.last().index;
        }
        self.log.id(previous.index) == Some(previous)
    }

    /// Takes the entries that are new; cuts ours only where one truly conflicts (3.5): a late,
    /// shorter message must not erase what was acknowledged since.
    fn append_from_leader(&mut self, entries: Vec<Entry>) {
        let mut conflict_seen = false;
        if self.config.planted.is(Fault::TruncateAlways) {
            let from = entries.first().map(|entry| entry.id.index);
            if let Some(from) = from.map(|from| from.max(self.committed.next())) {
                self.truncate(from);
                conflict_seen = true;
            }
        }
        for entry in entries {
            let index = entry.id.index;
            if index <= self.committed {
                continue;
            }
            if !conflict_seen && index <= self.log.last().index {
                if self.log.id(index) == Some(entry.id) {
                    continue;
                }
                self.truncate(index);
                conflict_seen = true;
            }
            self.append(entry);
        }
    }

    /// Puts an entry behind the log, in memory and on its way to the disk.
    pub(crate) fn append(&mut self, entry: Entry) {
        let index = entry.id.index;
        self.uncommitted_bytes += crate::log::entry_bytes(&entry);
        if let Payload::Membership(membership) = &entry.payload
            && self.memberships.push(index, membership.clone(), self.config.planted)
        {
            self.event(Event::MembershipChanged(index));
            self.membership_changed = true;
        }
        self.durable.write_entry(entry.clone());
        self.log.push(entry);
    }

    /// Cuts the log from `from` on.
    fn truncate(&mut self, from: LogIndex) {
        assert!(from > self.committed, "what is committed is never cut");
        assert!(!self.is_leader(), "a leader never cuts its own log");
        if from > self.log.last().index {
            return;
        }
        self.uncommitted_bytes -= self.log.truncate(from);
        self.durable.truncate(from);
        self.commit_target = self.commit_target.min(from.previous());
        if self.memberships.truncate(from) {
            self.event(Event::MembershipChanged(self.memberships.current_index()));
            self.membership_changed = true;
        }
        self.event(Event::Truncated(from));
    }
}

/// Whether the entries continue `previous` without a hole and no term falls or is ahead of the
/// leader's.
fn is_well_formed(previous: EntryId, entries: &[Entry], term: Term) -> bool {
    let mut last = previous;
    for entry in entries {
        if entry.id.index != last.index.next() || entry.id.term < last.term {
            return false;
        }
        last = entry.id;
    }
    last.term <= term
}
