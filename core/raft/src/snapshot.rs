//! A leader's side of snapshots: sending them in chunks, and how much log is kept (5.1, 5.4).

use crate::progress::Mode;
use crate::{Effect, Event, Message, Raft, SnapshotChunk, SnapshotMeta};
use alloc::boxed::Box;
use proconsul_types::{EntryId, LogIndex, ServerId, Term};

/// For a live follower that is behind, so many times the trailing log is kept, and no more.
const PINNED_LOG_FACTOR: usize = 4;
/// A chunk without an answer is sent again after an election timeout if later messages were
/// answered (it is lost), else after twice as long each time, with so many doublings: the link may
/// be slow.
const RETRY_DOUBLINGS_MAX: u32 = 3;

impl Raft {
    /// The entries a follower needs are gone: ask the host for its newest snapshot.
    pub(crate) fn start_snapshot(&mut self, position: usize) {
        let now = self.now;
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let peer = &mut leading.peers[position];
        peer.snapshot(now);
        self.out.push(Effect::NeedChunk { to: peer.id, snapshot: None, offset: 0 });
    }

    /// Asks the host for the bytes a follower needs next.
    fn need_chunk(&mut self, position: usize) {
        let now = self.now;
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let peer = &mut leading.peers[position];
        if let Mode::Snapshot(sending) = &mut peer.mode {
            sending.asked = true;
            sending.moved_at = now;
            let (snapshot, offset) = (sending.snapshot.clone(), sending.offset);
            self.out.push(Effect::NeedChunk { to: peer.id, snapshot, offset });
        }
    }

    /// The host read a piece: send it, if it is still wanted.
    pub(crate) fn on_chunk(&mut self, to: ServerId, chunk: Option<SnapshotChunk>) {
        let before = self.log.before().index;
        let round = self.current_round();
        let (now, term) = (self.now, self.hard.term);
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let Some(position) = leading.position(to) else {
            return;
        };
        let peer = &mut leading.peers[position];
        let Mode::Snapshot(sending) = &mut peer.mode else {
            return;
        };
        if !sending.asked {
            return;
        }
        let Some(chunk) = chunk else {
            // The snapshot is gone: begin anew with a newer one, at once if there may be one.
            sending.asked = false;
            sending.offset = 0;
            if sending.snapshot.take().is_some() {
                self.need_chunk(position);
            }
            return;
        };
        let is_wanted = chunk.offset == sending.offset
            && sending.snapshot.as_ref().is_none_or(|meta| meta.last == chunk.snapshot.last);
        if !is_wanted {
            return;
        }
        sending.asked = false;
        sending.moved_at = now;
        if chunk.snapshot.last.index < before {
            return; // too old to be of use: ask again later
        }
        sending.round = round;
        sending.snapshot = Some(chunk.snapshot.clone());
        peer.sent_at = now;
        let offset = chunk.offset;
        self.event(Event::ChunkSent(to, offset));
        self.send(to, Message::Snapshot { term, round, chunk: Box::new(chunk) });
    }

    /// A follower says how much of a snapshot it has.
    pub(crate) fn on_snapshot_stored(
        &mut self,
        from: ServerId,
        term: Term,
        round: u64,
        snapshot: EntryId,
        offset: u64,
        installed: bool,
    ) {
        let Some(position) = self.on_answer(from, term, round) else {
            return;
        };
        if installed {
            self.on_match(position, snapshot.index);
        } else if self.on_chunk_acknowledged(position, round, snapshot, offset) {
            self.need_chunk(position);
        }
        self.confirm_rounds();
        self.replicate(position);
        self.check_handover();
    }

    /// Whether the next chunk is wanted now. A late answer to an earlier chunk changes nothing.
    fn on_chunk_acknowledged(
        &mut self,
        position: usize,
        round: u64,
        snapshot: EntryId,
        offset: u64,
    ) -> bool {
        let Some(leading) = self.role.leader_mut() else {
            return false;
        };
        let Mode::Snapshot(sending) = &mut leading.peers[position].mode else {
            return false;
        };
        let is_same = sending.snapshot.as_ref().is_some_and(|meta| meta.last == snapshot);
        let is_rewind = offset < sending.offset && round >= sending.round;
        if !is_same || !(offset > sending.offset || is_rewind) {
            return false;
        }
        sending.offset = offset;
        sending.retries = 0;
        true
    }

    /// Sends a chunk again whose answer did not come.
    pub(crate) fn retry_snapshot(&mut self, position: usize) {
        let (now, timeout) = (self.now, self.config.election_timeout_max);
        let Some(leading) = self.role.leader_mut() else {
            return;
        };
        let peer = &mut leading.peers[position];
        let Mode::Snapshot(sending) = &mut peer.mode else {
            return;
        };
        if peer.heard_at <= sending.moved_at {
            return; // not there: it is sent what it needs when it is
        }
        let is_overtaken = peer.acked_round > sending.round;
        let doublings = if is_overtaken { 0 } else { sending.retries.min(RETRY_DOUBLINGS_MAX) };
        let limit = timeout * 2_u32.pow(doublings);
        if !sending.asked && now.since(sending.moved_at) > limit {
            sending.retries += 1;
            self.need_chunk(position);
        }
    }

    /// The host holds a snapshot: the log it covers may go.
    pub(crate) fn on_snapshot_taken(&mut self, meta: &SnapshotMeta) {
        let index = meta.last.index;
        if index <= self.snapshot.index
            || index > self.delivered
            || self.log.id(index) != Some(meta.last)
        {
            return; // late, or not of this log
        }
        self.on_applied(index);
        self.covered_bytes += self.log.bytes_between(self.snapshot.index, index);
        self.snapshot = meta.last;
        self.memberships.compact(index);
        self.status_changed = true;
        self.compact();
    }

    /// The last entry that the slowest live follower does not need, if that matters.
    fn pinned(&self) -> Option<LogIndex> {
        let leading = self.role.leader()?;
        leading
            .peers
            .iter()
            .filter(|peer| self.is_live(peer.heard_at))
            .filter_map(|peer| match &peer.mode {
                Mode::Snapshot(sending) => sending.snapshot.as_ref().map(|meta| meta.last.index),
                Mode::Probe { .. } | Mode::Replicate => {
                    (peer.matched > LogIndex(0)).then_some(peer.matched)
                }
            })
            .min()
    }

    /// Drops covered entries beyond what is kept for slow followers.
    pub(crate) fn compact(&mut self) {
        let trailing = self.config.trailing_bytes_max;
        if self.covered_bytes <= trailing {
            return;
        }
        let pinned_max =
            trailing.max(self.config.uncommitted_bytes_max).saturating_mul(PINNED_LOG_FACTOR);
        let pinned = self.pinned();
        let before = self.log.before().index;
        while self.covered_bytes > trailing {
            let is_needed = pinned.is_some_and(|pinned| self.log.first_index() > pinned);
            if is_needed && self.covered_bytes <= pinned_max {
                break;
            }
            let Some(bytes) = self.log.pop_front(self.snapshot.index) else {
                break;
            };
            self.covered_bytes -= bytes;
        }
        let first = self.log.before().index;
        if first > before {
            self.compact_when_durable(0, first);
        }
    }
}
