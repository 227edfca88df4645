//! One server on the bench: its neighbours are played by the test, word by word.

use crate::server::{config, id};
use bytes::Bytes;
use proconsul_raft::{
    Boot, Config, Effect, Entry, Input, Membership, Message, Payload, Persist, Raft, Refusal,
    Ticket,
};
use proconsul_types::{Duration, EntryId, Instant, LogIndex, Planted, Rng, Seed, ServerId, Term};

pub(crate) struct Bench {
    pub(crate) raft: Raft,
    pub(crate) now: Instant,
    last_batch: u64,
}

pub(crate) fn entry_id(term: u64, index: u64) -> EntryId {
    EntryId::new(Term(term), LogIndex(index))
}

pub(crate) fn entry(term: u64, index: u64) -> Entry {
    let payload = Payload::Command(Bytes::from(format!("{term}.{index}")));
    Entry { id: entry_id(term, index), payload }
}

pub(crate) fn membership(term: u64, index: u64, voters: &[u128]) -> Entry {
    let membership = Membership::of_voters(voters.iter().map(|number| id(*number)));
    Entry { id: entry_id(term, index), payload: Payload::Membership(membership) }
}

/// A log of entries of these terms, from index 1 on.
pub(crate) fn log_of(terms: &[u64]) -> Vec<Entry> {
    terms.iter().zip(1..).map(|(term, index)| entry(*term, index)).collect()
}

impl Bench {
    /// Server 1 of `voters`, with this log on its disk and a term as new as its last entry.
    pub(crate) fn of(voters: u128, log: Vec<Entry>, planted: Planted) -> Self {
        Self::with(config(1, planted), voters, log)
    }

    pub(crate) fn with(config: Config, voters: u128, log: Vec<Entry>) -> Self {
        let mut boot = Boot {
            bootstrap: Some(Membership::of_voters((1..=voters).map(id))),
            entries: log,
            ..Boot::default()
        };
        boot.hard_state.term = boot.entries.last().map_or(Term(0), |entry| entry.id.term);
        Self::boot(config, boot)
    }

    pub(crate) fn boot(config: Config, boot: Boot) -> Self {
        let now = Instant(1_000_000);
        let raft = Raft::new(config, Rng::new(Seed(7)), boot, now);
        Self { raft, now, last_batch: 0 }
    }

    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.raft.step(self.now, input, &mut effects);
        self.raft.check_invariants();
        for effect in &effects {
            if let Effect::Persist(batch) = effect {
                assert_eq!(batch.number, self.last_batch + 1, "batches are numbered in order");
                self.last_batch = batch.number;
            }
        }
        effects
    }

    pub(crate) fn hear(&mut self, from: u128, message: Message) -> Vec<Effect> {
        self.step(Input::Message { from: id(from), message })
    }

    /// Everything handed to the disk is durable.
    pub(crate) fn sync(&mut self) -> Vec<Effect> {
        self.step(Input::Persisted(self.last_batch))
    }

    pub(crate) fn pass(&mut self, duration: Duration) -> Vec<Effect> {
        self.now = self.now.after(duration);
        self.step(Input::Wake)
    }

    pub(crate) fn pass_ms(&mut self, ms: u64) -> Vec<Effect> {
        self.pass(Duration::from_millis(ms))
    }

    pub(crate) fn propose(&mut self, ticket: u64) -> Vec<Effect> {
        self.step(Input::Propose(Ticket(ticket), Bytes::from_static(b"command")))
    }

    /// Lets time pass until it stands, and gives it every vote: it leads afterwards, its first
    /// entry is durable here and nowhere else.
    pub(crate) fn lead(&mut self, voters: &[u128]) -> Vec<Effect> {
        self.pass_ms(600);
        for voter in voters {
            self.vote(*voter, true);
        }
        self.sync();
        let mut effects = Vec::new();
        for voter in voters {
            effects.extend(self.vote(*voter, false));
        }
        assert!(self.raft.is_leader(), "every voter said yes");
        self.sync();
        effects
    }

    pub(crate) fn vote(&mut self, from: u128, pre: bool) -> Vec<Effect> {
        let term = self.raft.term();
        let stood = if pre { Term(term.0 + 1) } else { term };
        self.hear(from, Message::Vote { term, stood, granted: true, pre })
    }

    /// A follower acknowledges everything there is, in the newest round it was told.
    pub(crate) fn acknowledge(&mut self, from: u128, round: u64) -> Vec<Effect> {
        let last = self.raft.last().index;
        self.hear(from, appended(self.raft.term().0, round, Ok(last)))
    }
}

pub(crate) fn appended(term: u64, round: u64, outcome: Result<LogIndex, EntryId>) -> Message {
    appended_by(250, term, round, outcome)
}

/// The same from a server that waits `patience_ms` for its leader.
pub(crate) fn appended_by(
    patience_ms: u64,
    term: u64,
    round: u64,
    outcome: Result<LogIndex, EntryId>,
) -> Message {
    let election_timeout_min = patience_ms * 1_000_000;
    Message::Appended { term: Term(term), round, outcome, election_timeout_min }
}

pub(crate) fn append(
    term: u64,
    previous: EntryId,
    entries: Vec<Entry>,
    committed: u64,
    round: u64,
) -> Message {
    let committed = LogIndex(committed);
    Message::Append { term: Term(term), previous, entries, committed, round }
}

pub(crate) fn request(term: u64, last: EntryId, pre: bool, transfer: bool) -> Message {
    Message::RequestVote { term: Term(term), last, pre, transfer }
}

/// What was sent, in order.
pub(crate) fn sent(effects: &[Effect]) -> Vec<(ServerId, Message)> {
    let messages = effects.iter().filter_map(|effect| {
        let Effect::Send(to, message) = effect else { return None };
        Some((*to, message.clone()))
    });
    messages.collect()
}

/// The newest round among the appends sent to `to`.
pub(crate) fn round_to(effects: &[Effect], to: u128) -> Option<u64> {
    let rounds = sent(effects).into_iter().filter_map(|(server, message)| {
        let Message::Append { round, .. } = message else { return None };
        (server == id(to)).then_some(round)
    });
    rounds.last()
}

/// Whether a vote was answered, and how.
pub(crate) fn vote_said(effects: &[Effect]) -> Option<bool> {
    sent(effects).into_iter().find_map(|(_, message)| {
        let Message::Vote { granted, .. } = message else { return None };
        Some(granted)
    })
}

/// The outcome of an append, if it was answered.
pub(crate) fn outcome(effects: &[Effect]) -> Option<Result<LogIndex, EntryId>> {
    sent(effects).into_iter().find_map(|(_, message)| {
        let Message::Appended { outcome, .. } = message else { return None };
        Some(outcome)
    })
}

pub(crate) fn persisted(effects: &[Effect]) -> Option<Persist> {
    effects.iter().find_map(|effect| {
        let Effect::Persist(batch) = effect else { return None };
        Some(batch.clone())
    })
}

pub(crate) fn refusal(effects: &[Effect]) -> Option<Refusal> {
    effects.iter().find_map(|effect| {
        let Effect::Refused(_, refusal) = effect else { return None };
        Some(*refusal)
    })
}

pub(crate) fn committed(effects: &[Effect]) -> Vec<EntryId> {
    let entries = effects.iter().filter_map(|effect| {
        let Effect::Commit(entries) = effect else { return None };
        Some(entries.iter().map(|entry| entry.id))
    });
    entries.flatten().collect()
}
