//! What clients and operators append: commands and membership changes.

use crate::role::Proposal;
use crate::{Effect, Entry, Membership, MembershipChange, Payload, Raft, Refusal, Ticket};
use bytes::Bytes;
use proconsul_types::{EntryId, Fault};

impl Raft {
    pub(crate) fn on_propose(&mut self, ticket: Ticket, payload: Bytes) {
        let payload = Payload::Command(payload);
        let entry = Entry { id: self.next_id(), payload };
        if let Err(refusal) = self.admit(&entry) {
            self.push_refused(ticket, refusal);
            return;
        }
        self.propose(ticket, entry);
    }

    /// A single-server change (4.1). It needs an entry of the own term to be committed first, or
    /// two leaders could each add a server and find disjoint majorities.
    pub(crate) fn on_change(&mut self, ticket: Ticket, change: MembershipChange) {
        match self.changed(change) {
            Ok(entry) => {
                self.propose(ticket, entry);
                self.on_membership_appended();
            }
            Err(refusal) => self.push_refused(ticket, refusal),
        }
    }

    fn next_id(&self) -> EntryId {
        EntryId::new(self.hard.term, self.log.last().index.next())
    }

    /// Whether an entry may be appended now.
    fn admit(&self, entry: &Entry) -> Result<(), Refusal> {
        let leading = self.role.leader().ok_or(Refusal::NotLeader(self.leader))?;
        if leading.handover.is_some() || self.transfer_stuck {
            return Err(Refusal::Transferring);
        }
        let bytes = self.uncommitted_bytes + crate::log::entry_bytes(entry);
        if self.uncommitted_bytes > 0 && bytes > self.config.uncommitted_bytes_max {
            return Err(Refusal::Overloaded);
        }
        Ok(())
    }

    fn propose(&mut self, ticket: Ticket, entry: Entry) {
        let id = entry.id;
        self.append(entry);
        if let Some(leading) = self.role.leader_mut() {
            leading.tickets.push_back(Proposal { index: id.index, ticket });
        }
        self.out.push(Effect::Proposed(ticket, id));
        self.broadcast();
        self.update_commit_target();
    }

    /// The entry that makes `change`, if it may be made now.
    fn changed(&self, change: MembershipChange) -> Result<Entry, Refusal> {
        let leading = self.role.leader().ok_or(Refusal::NotLeader(self.leader))?;
        let planted = self.config.planted;
        let is_early = self.committed < leading.first;
        if (is_early && !planted.is(Fault::MembershipBeforeOwnCommit))
            || self.memberships.newest_index() > self.committed
        {
            return Err(Refusal::ChangeInProgress);
        }
        let mut membership: Membership = self.memberships.current().clone();
        match change {
            MembershipChange::Set(id, member) => {
                membership.members.insert(id, member);
            }
            MembershipChange::Remove(id) => {
                membership.members.remove(&id).ok_or(Refusal::Invalid)?;
            }
        }
        if membership.voter_count() == 0 {
            return Err(Refusal::Invalid);
        }
        let entry = Entry { id: self.next_id(), payload: Payload::Membership(membership) };
        self.admit(&entry)?;
        Ok(entry)
    }

    /// The leader appended a membership: it is in force at once.
    fn on_membership_appended(&mut self) {
        if self.memberships.newest_is_in_force() {
            self.restart_lease();
            self.sync_peers();
            self.broadcast();
            self.update_commit_target();
            self.arm_heartbeat();
            self.confirm_rounds();
        }
    }
}
