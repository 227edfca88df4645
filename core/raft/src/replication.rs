//! How entries reach followers and become committed (3.5, 3.6.2, 10.2.1).

use crate::progress::Mode;
use crate::{Effect, Event, Message, Raft, Timer};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use proconsul_types::{EntryId, Fault, Instant, LogIndex, ServerId, Term};

impl Raft {
    /// Sends everyone what may be sent.
    pub(crate) fn broadcast(&mut self) {
        let count = self.role.leader().map_or(0, |leading| leading.peers.len());
        for position in 0..count {
            self.replicate(position);
        }
    }

    /// Sends everyone a heartbeat.
    pub(crate) fn broadcast_heartbeat(&mut self) {
        let count = self.role.leader().map_or(0, |leading| leading.peers.len());
        for position in 0..count {
            self.send_heartbeat(position);
        }
    }

    /// Sends a follower entries until its window is full.
    pub(crate) fn replicate(&mut self, position: usize) {
        let (messages_max, bytes_max) =
            (self.config.inflight_messages_max, self.config.inflight_bytes_max);
        let last = self.log.last().index;
        loop {
            let Some(leading) = self.role.leader() else {
                return;
            };
            let peer = &leading.peers[position];
            let idle = peer.next > last && peer.mode == Mode::Replicate;
            if idle || !peer.has_room(messages_max, bytes_max) {
                return;
            }
            if !self.send_entries(position) {
                return;
            }
        }
    }

    /// Sends one message of entries. If the entry before them is gone, a snapshot is sent instead
    /// and the answer is `false`.
    fn send_entries(&mut self, position: usize) -> bool {
        let round = self.current_round();
        let Some(leading) = self.role.leader_mut() else {
            return false;
        };
        let peer = &mut leading.peers[position];
        let Some(previous) = self.log.id(peer.next.previous()) else {
            self.start_snapshot(position);
            return false;
        };
        let (entries, bytes) =
            self.log.batch(peer.next, self.config.append_entries_max, self.config.append_bytes_max);
        let to = peer.id;
        let last = entries.last().map_or(previous, |entry| entry.id).index;
        peer.sent(last, bytes);
        peer.sent_at = self.now;
        peer.told_committed = self.committed;
        if !entries.is_empty() {
            self.event(Event::AppendSent(to, last));
        }
        let (term, committed) = (self.hard.term, self.committed);
        self.send(to, Message::Append { term, previous, entries, committed, round });
        true
    }

    /// Sends an append without entries. It continues what was sent last, so it also finds out
    /// whether that arrived.
    pub(crate) fn send_heartbeat(&mut self, position: usize) {
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let round = leading.round;
        let peer = &mut leading.peers[position];
        let previous = match &peer.mode {
            Mode::Snapshot(_) => Some(EntryId::default()),
            Mode::Probe { .. } | Mode::Replicate => self.log.id(peer.next.previous()),
        };
        peer.sent_at = self.now;
        peer.told_committed = self.committed;
        let to = peer.id;
        if previous.is_none() {
            self.start_snapshot(position);
        }
        let message = Message::Append {
            term: self.hard.term,
            previous: previous.unwrap_or_default(),
            entries: Vec::new(),
            committed: self.committed,
            round,
        };
        self.send(to, message);
    }

    /// Tells followers that are idle what is committed: their watchers wait for it.
    pub(crate) fn on_notice(&mut self) {
        let committed = self.committed;
        let count = self.role.leader().map_or(0, |leading| leading.peers.len());
        for position in 0..count {
            let late = self.role.leader().is_some_and(|leading| {
                let peer = &leading.peers[position];
                peer.told_committed < committed && peer.mode == Mode::Replicate
            });
            if late {
                self.current_round();
                self.send_heartbeat(position);
            }
        }
    }

    /// What every answer proves: the follower is there, in our term, and answered this round.
    /// Returns its position, or nothing if the answer is not for this leader's term.
    pub(crate) fn on_answer(&mut self, from: ServerId, term: Term, round: u64) -> Option<usize> {
        if term > self.hard.term {
            self.become_follower(term, None);
            return None;
        }
        let (now, own_term) = (self.now, self.hard.term);
        let from_receipt = self.config.planted.is(Fault::LeaseFromReceipt);
        let leading = self.role.leader_mut()?;
        if term < own_term || round > leading.round {
            return None;
        }
        let position = leading.position(from)?;
        let begun_at = leading.begun_at(round);
        let peer = &mut leading.peers[position];
        peer.heard_at = now;
        if round > peer.acked_round {
            peer.acked_round = round;
            if let Some(begun_at) = begun_at {
                peer.acked_at = if from_receipt { now } else { begun_at };
            }
        }
        Some(position)
    }

    pub(crate) fn on_appended(
        &mut self,
        from: ServerId,
        term: Term,
        round: u64,
        outcome: Result<LogIndex, EntryId>,
        election_timeout_min: u64,
    ) {
        let Some(position) = self.on_answer(from, term, round) else {
            return;
        };
        if let Some(leading) = self.role.leader_mut() {
            let known = leading.peers[position].election_timeout_min.replace(election_timeout_min);
            if known != Some(election_timeout_min) {
                self.fit_beat();
            }
        }
        match outcome {
            Ok(matched) => self.on_match(position, matched),
            Err(hint) => self.on_mismatch(position, hint),
        }
        self.confirm_rounds();
        self.replicate(position);
        self.check_handover();
    }

    /// A follower's log agrees up to `matched` and is durable there.
    pub(crate) fn on_match(&mut self, position: usize, matched: LogIndex) {
        let (last, before) = (self.log.last().index, self.log.before().index);
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        if matched > last {
            return; // nobody holds entries of ours that we do not have
        }
        let peer = &mut leading.peers[position];
        let news = peer.advance(matched);
        match &peer.mode {
            Mode::Replicate => {}
            Mode::Probe { .. } => peer.replicate(),
            Mode::Snapshot(_) if peer.matched >= before => peer.replicate(),
            Mode::Snapshot(_) => {}
        }
        if news {
            self.update_commit_target();
        }
    }

    /// A follower's log does not agree where we tried: go on where it may (3.5, whole terms at a
    /// time in both directions).
    fn on_mismatch(&mut self, position: usize, hint: EntryId) {
        let found = self.log.last_at_most(hint.index, hint.term);
        let before = self.log.before().index;
        let is_gone = hint.index < before || found.term > hint.term;
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let peer = &mut leading.peers[position];
        match &peer.mode {
            Mode::Snapshot(_) => {}
            Mode::Probe { .. } | Mode::Replicate if is_gone && peer.matched < before => {
                self.start_snapshot(position);
            }
            Mode::Probe { .. } | Mode::Replicate => peer.probe(found.index.next()),
        }
    }

    /// Finds what a majority holds. Only an entry of the own term is committed by counting; older
    /// ones with it (3.6.2, Figure 3.7).
    pub(crate) fn update_commit_target(&mut self) {
        let planted = self.config.planted;
        let own = if planted.is(Fault::OwnMatchBeforeSync) {
            self.log.last().index
        } else {
            self.durable.last()
        };
        let (quorum, own) = (self.quorum(), self.own_value(own.0));
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        if !leading.has_quorum_above(self.commit_target.0, quorum, own, |peer| peer.matched.0) {
            return;
        }
        let reached = LogIndex(leading.quorum_value(quorum, own, |peer| peer.matched.0));
        let is_own_term = reached >= leading.first;
        if reached > self.commit_target && (is_own_term || planted.is(Fault::CommitOldTerm)) {
            self.commit_target = reached;
        }
    }

    /// Tests may say what servers wait before an election; servers tell it in their answers.
    pub(crate) fn on_peer_timeouts(&mut self, timeouts: &BTreeMap<ServerId, u64>) {
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        for peer in &mut leading.peers {
            if let Some(told) = timeouts.get(&peer.id) {
                peer.election_timeout_min = Some(*told);
            }
        }
        self.fit_beat();
    }

    /// When a follower that has not answered for long is no longer waited for.
    pub(crate) fn is_live(&self, heard_at: Instant) -> bool {
        self.now.since(heard_at) <= self.config.election_timeout_max * 4
    }

    /// A ticket ends without a result.
    pub(crate) fn push_refused(&mut self, ticket: crate::Ticket, refusal: crate::Refusal) {
        self.out.push(Effect::Refused(ticket, refusal));
    }

    /// Whether a notice is due some time (for the invariants).
    pub(crate) fn has_notice(&self) -> bool {
        self.timers.get(Timer::Notice).is_some()
    }
}
