//! Two claim one name: the pool is asked who is right, and the one who is not stops.

use super::Serf;
use super::asked::{Purpose, internal};
use super::queries::Open;
use crate::face::Event;
use alloc::format;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::{Instant, TextMap};
use proconsul_wire::serf::{ConflictMember, decode_conflict, encode_conflict};

/// What the pool says, so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vote {
    answers: u32,
    ours: u32,
}

impl Vote {
    /// Counts an answer: whether it says that the name belongs to `address`.
    pub(super) fn count(&mut self, payload: &[u8], address: SocketAddr) {
        let Ok(holder) = decode_conflict(payload) else { return };
        self.answers += 1;
        let ours = holder.is_some_and(|holder| {
            holder.address == Some(address.ip()) && holder.port == address.port()
        });
        self.ours += u32::from(ours);
    }

    fn is_won(self) -> bool {
        self.ours > self.answers / 2
    }
}

impl Serf {
    /// Someone claims `name` from `other`, while it is at `existing`.
    pub(crate) fn on_conflict(
        &mut self,
        now: Instant,
        name: &str,
        existing: SocketAddr,
        other: SocketAddr,
    ) {
        if name != &*self.name {
            self.notice(format!("both {existing} and {other} claim the name {name}"));
            return;
        }
        self.notice(format!("another member at {other} claims this member's name"));
        if self.resolve_conflicts && !self.is_voting() && !self.is_leaving() {
            let params = internal("conflict", Bytes::copy_from_slice(name.as_bytes()));
            let purpose = Purpose::Conflict(Vote::default());
            if let Err(reason) = self.ask_all(now, params, purpose) {
                self.notice(reason);
            }
            self.settle(now);
        }
    }

    /// The vote is over: the loser stops.
    pub(super) fn end_vote(&mut self, vote: Vote) {
        let Vote { answers, ours } = vote;
        if vote.is_won() {
            self.notice(format!("majority in name conflict resolution [{ours} / {answers}]"));
            return;
        }
        self.notice(format!("minority in name conflict resolution, quitting [{ours} / {answers}]"));
        self.say(Event::LostName);
    }

    /// Says whom this member knows under a name. Who has the name itself stays silent.
    pub(super) fn answer_conflict(&mut self, name: &[u8], open: &Open) {
        if name == self.name.as_bytes() {
            return;
        }
        let known = core::str::from_utf8(name).ok().and_then(|name| self.members.get(name));
        let holder = known.map(|known| ConflictMember {
            name: known.name().clone(),
            address: Some(known.address().ip()),
            port: known.address().port(),
            tags: TextMap::clone(known.tags()),
            status: known.status.number(),
            versions: known.versions(),
        });
        let payload = encode_conflict(holder.as_ref());
        let response = self.response(open, 0, Some(payload));
        self.send_response(open, &response);
    }
}
