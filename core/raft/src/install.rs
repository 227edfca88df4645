//! A follower's side of snapshots: receiving chunks and replacing the log (5.1).

use crate::{Effect, Event, Message, Raft, SnapshotChunk, SnapshotMeta};
use proconsul_types::{EntryId, Fault, ServerId, Term};

/// A snapshot that is being received.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) meta: SnapshotMeta,
    /// Where the next chunk must begin.
    expected: u64,
    /// Bytes the host has kept.
    stored: u64,
    /// The round of the last chunk, echoed when it is stored.
    round: u64,
    /// Whether the host has all of it and is installing it. From here on nothing may take its
    /// place, and no commits are delivered until it is in force.
    pub(crate) complete: bool,
}

impl Raft {
    fn say_stored(
        &mut self,
        to: ServerId,
        round: u64,
        snapshot: EntryId,
        offset: u64,
        installed: bool,
    ) {
        let term = self.hard.term;
        let message = Message::SnapshotStored { term, round, snapshot, offset, installed };
        self.send_when_durable(self.durable.needed_for_term(), to, message);
    }

    pub(crate) fn on_snapshot(
        &mut self,
        from: ServerId,
        term: Term,
        round: u64,
        chunk: SnapshotChunk,
    ) {
        let last = chunk.snapshot.last;
        if term < self.hard.term {
            self.say_stored(from, round, last, 0, false);
            return;
        }
        let second_leader = term == self.hard.term
            && (self.is_leader() || self.leader.is_some_and(|leader| leader != from));
        if second_leader || last.term > term {
            return;
        }
        self.on_contact(from, term);
        let length = u64::try_from(chunk.bytes.len()).unwrap_or(u64::MAX);
        if last.index <= self.committed {
            // All of it is here already, and durable.
            self.say_stored(from, round, last, chunk.offset.saturating_add(length), true);
            return;
        }
        let ignores_id = self.config.planted.is(Fault::ChunkIgnoresSnapshotId);
        let is_same =
            self.incoming.as_ref().is_some_and(|incoming| ignores_id || incoming.meta.last == last);
        if !is_same {
            if self.incoming.as_ref().is_some_and(|incoming| incoming.complete) {
                return; // another one is being installed; the leader will ask again
            }
            if chunk.offset != 0 {
                self.say_stored(from, round, last, 0, false);
                return;
            }
            let meta = chunk.snapshot.clone();
            let incoming = Incoming { meta, expected: 0, stored: 0, round, complete: false };
            self.incoming = Some(incoming);
        }
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        incoming.round = incoming.round.max(round);
        if incoming.complete {
            return;
        }
        if chunk.offset != incoming.expected {
            let stored = incoming.stored;
            self.say_stored(from, round, last, stored, false);
            return;
        }
        incoming.expected = incoming.expected.saturating_add(length);
        incoming.complete = chunk.last;
        let snapshot = incoming.meta.clone();
        self.out.push(Effect::StoreChunk(SnapshotChunk { snapshot, ..chunk }));
    }

    /// The host kept a chunk, or installed the whole.
    pub(crate) fn on_chunk_stored(&mut self, meta: &SnapshotMeta, offset: u64, installed: bool) {
        if installed {
            let round = self.incoming.take().map_or(0, |incoming| incoming.round);
            self.install(meta);
            self.tell_leader(round, meta.last, offset, true);
            return;
        }
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        if incoming.meta.last != meta.last {
            return;
        }
        let round = incoming.round;
        if !incoming.complete {
            incoming.stored = offset;
            incoming.expected = offset;
            self.tell_leader(round, meta.last, offset, false);
        } else if offset < incoming.expected {
            // The host could not use it: begin anew.
            self.incoming = None;
            self.tell_leader(round, meta.last, 0, false);
        }
    }

    fn tell_leader(&mut self, round: u64, snapshot: EntryId, offset: u64, installed: bool) {
        if let Some(leader) = self.leader.filter(|leader| *leader != self.config.id) {
            self.say_stored(leader, round, snapshot, offset, installed);
        }
    }

    /// A snapshot is in force: the log continues it. If our entry at its end is another (or there
    /// is none), the whole log goes (hashicorp/raft#697); what comes after a matching entry stays.
    fn install(&mut self, meta: &SnapshotMeta) {
        let index = meta.last.index;
        if index <= self.snapshot.index {
            return;
        }
        let agrees = self.log.id(index) == Some(meta.last);
        assert!(agrees || !self.is_leader(), "a leader holds everything that is committed");
        let keeps_log =
            self.config.planted.is(Fault::SnapshotKeepsLog) && self.log.last().index > index;
        if agrees {
            let committed = self.committed.max(index);
            self.uncommitted_bytes -= self.log.bytes_between(self.committed, committed);
            self.covered_bytes += self.log.bytes_between(self.snapshot.index, index);
            self.memberships.compact(index);
        } else {
            assert!(index > self.committed, "what is committed agrees with every snapshot");
            if keeps_log {
                self.log.rebase(meta.last);
            } else {
                // Down to what is committed, so that nothing the snapshot contradicts is left on
                // the disk: recovery would have to doubt all that follows it.
                self.durable.truncate(self.committed.next());
                self.log.reset(meta.last);
            }
            self.uncommitted_bytes = self.log.bytes();
            self.covered_bytes = 0;
            self.commit_target = index;
            if self.memberships.replace(meta) {
                self.event(Event::MembershipChanged(meta.membership_index));
                self.membership_changed = true;
            }
        }
        self.durable.covered(index);
        self.snapshot = meta.last;
        self.commit_target = self.commit_target.max(index);
        self.committed = self.committed.max(index);
        self.delivered = self.delivered.max(index);
        self.applied = self.applied.max(index);
        self.status_changed = true;
        self.event(Event::SnapshotInstalled(meta.last));
        if agrees {
            self.compact();
        } else {
            self.compact_when_durable(self.durable.newest(), index);
        }
    }
}
