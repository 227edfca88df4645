//! What a server says on the wire it must stand by, also after a crash: a vote, and "I have this on
//! my disk". And while a leader may answer from its lease, nobody else may be elected.

use super::{Judge, Seen};
use crate::machine::{self, Node};
use proconsul_core::raft::{Event, Message};
use proconsul_core::types::{EntryId, Term};
use std::collections::BTreeMap;

type Rule = (&'static str, String);

/// What each server has promised so far.
#[derive(Debug)]
pub(crate) struct Promises {
    /// Whom a server voted for in a term, said aloud.
    votes: BTreeMap<(Term, usize), usize>,
    /// The newest term in which it voted.
    voted: Vec<Term>,
    /// The last entry that it said is on its disk.
    kept: Vec<Option<EntryId>>,
}

impl Promises {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            votes: BTreeMap::new(),
            voted: vec![Term::default(); servers],
            kept: vec![None; servers],
        }
    }

    /// A message leaves a server.
    fn said(&mut self, from: usize, to: usize, message: &Message, node: &Node) -> Result<(), Rule> {
        match message {
            Message::Vote { stood, granted: true, pre: false, .. } => self.voted(from, to, *stood),
            Message::RequestVote { term, pre: false, .. } => self.voted(from, from, *term),
            Message::Appended { outcome: Ok(matched), .. } => {
                let newest = self.kept[from].map(|kept| kept.index);
                if newest.is_none_or(|newest| *matched > newest) {
                    self.kept[from] = machine::entry_id(node, *matched).or(self.kept[from]);
                }
                Ok(())
            }
            Message::Vote { .. }
            | Message::RequestVote { .. }
            | Message::Append { .. }
            | Message::Appended { .. }
            | Message::Snapshot { .. }
            | Message::SnapshotStored { .. }
            | Message::TimeoutNow { .. } => Ok(()),
        }
    }

    fn voted(&mut self, voter: usize, candidate: usize, term: Term) -> Result<(), Rule> {
        self.voted[voter] = self.voted[voter].max(term);
        let first = *self.votes.entry((term, voter)).or_insert(candidate);
        if first == candidate {
            return Ok(());
        }
        let text = format!("s{voter} votes for s{first} and for s{candidate} in term {term}");
        Err(("raft.one-vote-a-term", text))
    }

    /// Entries of a server are replaced, as its leader says: what it promised of them is void.
    fn follows(&mut self, server: usize, event: &Event, node: &Node) {
        let Some(kept) = self.kept[server] else { return };
        let cut = matches!(event, Event::Truncated(index) if *index <= kept.index);
        let replaced = matches!(event, Event::SnapshotInstalled(_))
            && machine::entry_id(node, kept.index) != Some(kept);
        if cut || replaced {
            self.kept[server] = None;
        }
    }

    /// A server is back: does it know what it promised?
    fn remembered(&self, server: usize, node: &Node) -> Result<(), Rule> {
        let (voted, term) = (self.voted[server], machine::term(node));
        if term < voted {
            let text = format!("s{server} voted in term {voted}, now it knows only of term {term}");
            return Err(("disk.vote-lost", text));
        }
        let Some(kept) = self.kept[server] else { return Ok(()) };
        let has = machine::entry_id(node, kept.index);
        if kept.index >= machine::first_index(node) && has != Some(kept) {
            let text =
                format!("s{server} said that it has {kept}, after its restart it has {has:?}");
            return Err(("disk.entry-lost", text));
        }
        Ok(())
    }

    /// How many votes a server got in a term, as far as anyone said so.
    fn votes_for(&self, server: usize, term: Term) -> usize {
        let all = (term, 0)..=(term, usize::MAX);
        self.votes.range(all).filter(|(_, candidate)| **candidate == server).count()
    }
}

impl Judge {
    /// A message of Raft leaves a server.
    pub(crate) fn sends(&mut self, from: usize, to: usize, message: &Message, node: &Node) {
        if let Err((rule, text)) = self.promises.said(from, to, message, node) {
            self.broken(rule, || text);
        }
    }

    /// A process has started from what its disk holds. A rotten disk is no excuse: whoever finds
    /// damage refuses to start, and whoever starts knows what it promised.
    pub(crate) fn remembers(&mut self, server: usize, node: &Node) {
        if let Err((rule, text)) = self.promises.remembered(server, node) {
            self.broken(rule, || text);
        }
    }

    /// A server's log or office changed.
    pub(super) fn promised<S: Seen>(
        &mut self,
        server: usize,
        event: &Event,
        node: &Node,
        hosts: &[S],
    ) {
        self.promises.follows(server, event, node);
        if let Event::Leader(term) = event
            && !self.raft.members_changed
        {
            let votes = self.promises.votes_for(server, *term);
            if votes * 2 <= self.servers && self.servers > 1 {
                self.broken("raft.elected-by-few", || {
                    format!("s{server} leads in term {term}, but only {votes} voted for it")
                });
            }
            if self.judge_default {
                self.leases_are_over(server, *term, hosts);
            }
        }
    }

    /// A lease promises that nobody else is elected before it ends.
    fn leases_are_over(&mut self, server: usize, term: Term, hosts: &[impl Seen]) {
        for (other, host) in hosts.iter().enumerate() {
            let (view, now) = (host.view(), host.local(self.now));
            let leads = view.leadership.is_leader && view.leadership.term < term;
            if other != server && leads && host.is_up() && now < view.lease_until {
                self.broken("raft.lease-outlived", || {
                    format!("s{server} leads in term {term}, but the lease of s{other} still runs")
                });
            }
        }
    }
}
