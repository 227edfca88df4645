//! Commands on their way through the log: proposed, become an entry, committed, answered.

use crate::leader::Duty;
use crate::node::Node;
use crate::open::{Origin, Stage};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{Command, Outcome, codec};
use proconsul_http::Reply;
use proconsul_http::error::{LEADERSHIP_LOST, NO_LEADER};
use proconsul_raft::{MembershipChange, Refusal, Ticket};
use proconsul_types::limits::COMMAND_BYTES_MAX;
use proconsul_types::{Duration, EntryId, Fault, LogIndex, SessionId};

/// What a ticket of raft stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A write over HTTP, and how its outcome becomes a response.
    Write(Origin, Reply),
    /// A command of an agent, answered by its outcome.
    Apply(Origin),
    /// A step of a restore.
    Restore(Origin),
    /// A membership change.
    Change(Origin),
    /// A leadership transfer.
    Transfer(Origin),
    /// The end of a session whose TTL ran out.
    Expire(SessionId),
    /// The end of some lock-delays.
    LockDelays(Vec<Arc<str>>),
    /// A quorum round for reads.
    Confirm,
    /// Something the leader does for the cluster; `None`: nobody waits for its end.
    Duty(Option<Duty>),
}

/// An entry of this leader that is not committed yet.
#[derive(Clone, Debug)]
struct Pending {
    id: EntryId,
    ticket: Ticket,
    asked: Asked,
    /// The command as it was encoded, so that this server need not decode it again.
    command: Option<Command>,
}

/// A write that was applied and waits for the view to be published.
#[derive(Clone, Debug)]
struct Finished {
    origin: Origin,
    reply: Reply,
    outcome: Outcome,
}

/// Everything that was asked of raft.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposals {
    next_ticket: u64,
    asked: BTreeMap<Ticket, (Asked, Option<Command>)>,
    /// In the order of the log.
    pending: VecDeque<Pending>,
    finished: Vec<Finished>,
}

/// A change of the group has to wait for a transfer of leadership.
pub(crate) const TRANSFERRING: &str = "leadership transfer in progress";
/// A change of the group has to wait for another one.
pub(crate) const CHANGE_IN_PROGRESS: &str =
    "another configuration change is in progress, try again later";
/// Between two attempts when raft is busy.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_millis(10);

impl Proposals {
    /// A name for something asked of raft.
    pub(crate) fn ticket(&mut self, asked: Asked, command: Option<Command>) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.asked.insert(ticket, (asked, command));
        ticket
    }

    /// What was asked under this name; the name is used up.
    fn take(&mut self, ticket: Ticket) -> Option<(Asked, Option<Command>)> {
        if let Some(found) = self.asked.remove(&ticket) {
            return Some(found);
        }
        let place = self.pending.iter().position(|pending| pending.ticket == ticket)?;
        self.pending.remove(place).map(|pending| (pending.asked, pending.command))
    }

    /// The ticket had its answer.
    pub(crate) fn used(&mut self, ticket: Ticket) {
        self.asked.remove(&ticket);
    }

    /// What became entry `id`, if this server proposed it. Whatever stood at an earlier or equal
    /// place under another identity is lost for good.
    pub(crate) fn committed(&mut self, id: EntryId) -> Option<(Asked, Option<Command>)> {
        while let Some(first) = self.pending.front() {
            if first.id.index > id.index {
                return None;
            }
            let first = self.pending.pop_front()?;
            if first.id == id {
                return Some((first.asked, first.command));
            }
        }
        None
    }

    /// How many proposals have no outcome yet.
    pub(crate) fn count(&self) -> usize {
        self.asked.len() + self.pending.len()
    }

    /// Where the uncommitted entries of this leader stand, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = LogIndex> {
        self.pending.iter().map(|pending| pending.id.index)
    }
}

impl Node {
    /// Proposes a command.
    pub(crate) fn propose(&mut self, asked: Asked, command: Command) {
        if let Asked::Write(origin, _) | Asked::Apply(origin) = &asked {
            if let Some(text) = self.lacks_room() {
                self.fail(*origin, &text);
                return;
            }
            if let Some(open) = self.opens.get_mut(origin) {
                open.stage = Stage::Writing;
            }
        }
        let bytes = codec::encode_command(&command);
        if bytes.len() > COMMAND_BYTES_MAX
            && let Asked::Write(origin, _) | Asked::Apply(origin) = asked
        {
            let size = bytes.len();
            let text = format!("write of {size} bytes is over the limit of {COMMAND_BYTES_MAX}");
            self.fail(origin, &text);
            return;
        }
        let ticket = self.proposals.ticket(asked, Some(command));
        self.raft_input(proconsul_raft::Input::Propose(ticket, bytes));
    }

    /// Why nothing can be written now: the log of the only server has no room. (Where there are
    /// others, their logs carry the cluster.)
    pub(crate) fn lacks_room(&self) -> Option<String> {
        let why = self.durable.no_room()?;
        let alone = self.raft.membership().members.len() <= 1;
        alone.then(|| format!("cannot write the log: {why}"))
    }

    /// The log has no room: whoever waits for a write is told. It may still be done, when there is
    /// room again.
    pub(crate) fn refuse_for_room(&mut self) {
        let Some(text) = self.lacks_room() else {
            return;
        };
        let waiting: Vec<Origin> = self
            .proposals
            .pending
            .iter()
            .filter_map(|pending| match &pending.asked {
                Asked::Write(origin, _) | Asked::Apply(origin) | Asked::Restore(origin) => {
                    Some(*origin)
                }
                Asked::Change(_)
                | Asked::Transfer(_)
                | Asked::Expire(_)
                | Asked::LockDelays(_)
                | Asked::Confirm
                | Asked::Duty(_) => None,
            })
            .collect();
        for origin in waiting {
            self.fail(origin, &text);
        }
    }

    /// Asks for a membership change.
    pub(crate) fn propose_change(&mut self, origin: Origin, change: MembershipChange) {
        if let Some(open) = self.opens.get_mut(&origin) {
            open.stage = Stage::Writing;
        }
        let ticket = self.proposals.ticket(Asked::Change(origin), None);
        self.raft_input(proconsul_raft::Input::Change(ticket, change));
    }

    /// The proposal has a place in the log.
    pub(crate) fn proposed(&mut self, ticket: Ticket, id: EntryId) {
        let Some((asked, command)) = self.proposals.asked.remove(&ticket) else {
            return;
        };
        assert!(
            self.proposals.pending.back().is_none_or(|last| last.id.index < id.index),
            "a leader appends in order"
        );
        if self.planted.is(Fault::AckBeforeCommit)
            && let Asked::Write(origin, reply) = asked
            && matches!(reply, Reply::True | Reply::Answer)
        {
            self.finish(origin, reply, Outcome::Answer(true));
        }
        self.proposals.pending.push_back(Pending { id, ticket, asked, command });
    }

    /// Notes the outcome of a write; its answer leaves when the view is published.
    pub(crate) fn finish(&mut self, origin: Origin, reply: Reply, outcome: Outcome) {
        self.proposals.finished.push(Finished { origin, reply, outcome });
    }

    /// Answers the writes that this step finished.
    pub(crate) fn answer_finished(&mut self) {
        if self.proposals.finished.is_empty() {
            return;
        }
        let mut finished = core::mem::take(&mut self.proposals.finished);
        for Finished { origin, reply, outcome } in finished.drain(..) {
            self.render(origin, reply, &outcome);
        }
        self.proposals.finished = finished;
    }

    /// The ticket ends without a result.
    pub(crate) fn refused(&mut self, ticket: Ticket, refusal: Refusal) {
        let Some((asked, _)) = self.proposals.take(ticket) else {
            return;
        };
        match refusal {
            Refusal::LeadershipLost => self.unknown(ticket, asked),
            Refusal::NotLeader(_)
            | Refusal::Overloaded
            | Refusal::Transferring
            | Refusal::ChangeInProgress
            | Refusal::Invalid
            | Refusal::TimedOut => self.not_done(ticket, asked, refusal),
        }
    }

    /// Raft did not take it: it certainly was not and will not be done.
    fn not_done(&mut self, ticket: Ticket, asked: Asked, refusal: Refusal) {
        match asked {
            Asked::Write(origin, _) | Asked::Apply(origin) => self.hold(origin, Some(BUSY_PAUSE)),
            Asked::Restore(_) => self.restore_refused(&refusal),
            Asked::Change(origin) | Asked::Transfer(origin) => {
                let text = match refusal {
                    Refusal::NotLeader(_) | Refusal::LeadershipLost => NO_LEADER,
                    Refusal::Overloaded => "too much is under way, try again later",
                    Refusal::Transferring => TRANSFERRING,
                    Refusal::ChangeInProgress => CHANGE_IN_PROGRESS,
                    Refusal::Invalid => "the change is not possible for this configuration",
                    Refusal::TimedOut => "leadership transfer timeout",
                };
                self.fail(origin, text);
            }
            Asked::Expire(id) => self.expiry_failed(id),
            Asked::LockDelays(keys) => self.lock_delays_failed(keys),
            Asked::Confirm => self.read_refused(ticket),
            Asked::Duty(duty) => self.duty_ended(duty, false),
        }
    }

    /// Leadership ended while it was under way: it may still be done, by the next leader.
    fn unknown(&mut self, ticket: Ticket, asked: Asked) {
        match asked {
            Asked::Write(origin, _) | Asked::Apply(origin)
                if self.planted.is(Fault::UnknownReportedAsFailed) =>
            {
                self.hold(origin, None);
            }
            Asked::Restore(_) => self.restore_unknown(),
            Asked::Write(origin, _)
            | Asked::Apply(origin)
            | Asked::Change(origin)
            | Asked::Transfer(origin) => self.fail(origin, LEADERSHIP_LOST),
            Asked::Expire(id) => self.expiry_failed(id),
            Asked::LockDelays(keys) => self.lock_delays_failed(keys),
            Asked::Confirm => self.read_refused(ticket),
            Asked::Duty(duty) => self.duty_ended(duty, false),
        }
    }

    /// This server does not lead any more (or in another term): its open entries have an unknown
    /// fate.
    pub(crate) fn proposals_lost(&mut self, leads_in: Option<proconsul_types::Term>) {
        while let Some(last) = self.proposals.pending.back() {
            if leads_in == Some(last.id.term) {
                return;
            }
            if let Some(pending) = self.proposals.pending.pop_back() {
                self.unknown(pending.ticket, pending.asked);
            }
        }
    }

    /// Leadership went to the server that was to get it.
    pub(crate) fn transferred(&mut self, ticket: Ticket) {
        if let Some((Asked::Transfer(origin), _)) = self.proposals.take(ticket) {
            self.answer_empty(origin);
        }
    }

    /// What was applied, and answers for it.
    pub(crate) fn outcome(&mut self, asked: Asked, outcome: Outcome) {
        match asked {
            Asked::Write(origin, reply) => self.finish(origin, reply, outcome),
            Asked::Apply(origin) => self.answer_applied(origin, outcome),
            Asked::Restore(_) => self.restore_advanced(outcome),
            Asked::Change(origin) => self.answer_empty(origin),
            Asked::Duty(duty) => self.duty_ended(duty, true),
            Asked::Expire(_) | Asked::LockDelays(_) | Asked::Transfer(_) | Asked::Confirm => {}
        }
    }
}
