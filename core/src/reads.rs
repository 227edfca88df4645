//! Linearizable reads: one quorum round for all that wait, then a look at a state new enough.

use crate::node::Node;
use crate::open::{Origin, Stage};
use crate::proposals::Asked;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use proconsul_raft::Ticket;
use proconsul_types::{Duration, LogIndex};

/// Reads on their way to being confirmed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// Who waits for which round.
    confirming: BTreeMap<Ticket, Vec<Origin>>,
    /// The round that raft has not been asked for yet: whoever comes now may join it.
    joinable: Option<Ticket>,
    /// Confirmed reads whose index is not applied yet.
    applying: Vec<(LogIndex, Vec<Origin>)>,
}

/// Between two attempts when a round failed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Node {
    /// This read needs a quorum round that begins no earlier than it came.
    pub(crate) fn confirm(&mut self, origin: Origin) {
        let ticket = match self.reads.joinable {
            Some(ticket) => ticket,
            None => {
                let ticket = self.proposals.ticket(Asked::Confirm, None);
                self.reads.joinable = Some(ticket);
                self.raft_input(proconsul_raft::Input::Read(ticket));
                ticket
            }
        };
        self.reads.confirming.entry(ticket).or_default().push(origin);
        if let Some(open) = self.opens.get_mut(&origin) {
            open.stage = Stage::Confirming(ticket);
        }
    }

    /// Raft is about to hear of the open round: nobody may join it any more.
    pub(crate) fn close_round(&mut self) {
        self.reads.joinable = None;
    }

    /// The round succeeded: reads may be served once `index` is applied.
    pub(crate) fn read_ready(&mut self, ticket: Ticket, index: LogIndex) {
        self.proposals.used(ticket);
        let Some(origins) = self.reads.confirming.remove(&ticket) else {
            return;
        };
        if index > self.applied.index {
            for origin in &origins {
                if let Some(open) = self.opens.get_mut(origin)
                    && open.stage == Stage::Confirming(ticket)
                {
                    open.stage = Stage::Applying(index);
                }
            }
            self.reads.applying.push((index, origins));
            return;
        }
        for origin in origins {
            self.confirmed(origin, &Stage::Confirming(ticket));
        }
    }

    /// More is applied: some confirmed reads may be served.
    pub(crate) fn reads_applied(&mut self) {
        let mut place = 0;
        while let Some((index, _)) = self.reads.applying.get(place) {
            let index = *index;
            if index > self.applied.index {
                place += 1;
                continue;
            }
            let (_, origins) = self.reads.applying.remove(place);
            for origin in origins {
                self.confirmed(origin, &Stage::Applying(index));
            }
        }
    }

    fn confirmed(&mut self, origin: Origin, at: &Stage) {
        if let Some(open) = self.opens.get_mut(&origin)
            && open.stage == *at
        {
            open.stage = Stage::Ready;
            open.confirmed = true;
            self.make_ready(origin);
        }
    }

    /// This server does not lead any more: no round of it will succeed.
    pub(crate) fn reads_lost(&mut self) {
        while let Some((ticket, _)) = self.reads.confirming.first_key_value() {
            let ticket = *ticket;
            self.proposals.used(ticket);
            self.read_refused(ticket);
        }
    }

    /// The round failed. A read changes nothing, so it may be asked again, here or elsewhere.
    pub(crate) fn read_refused(&mut self, ticket: Ticket) {
        for origin in self.reads.confirming.remove(&ticket).unwrap_or_default() {
            let waits = self.opens.get(&origin).map(|open| &open.stage);
            if waits == Some(&Stage::Confirming(ticket)) {
                self.hold(origin, Some(LOOK_AGAIN));
            }
        }
    }
}
