//! Raft's properties across servers: one leader a term, logs that match, commits that stay, leaders
//! that have everything. Looked at when a server says that something changed, and only there.

use super::Seen;
use crate::machine::{self, Node};
use crate::net::Net;
use proconsul_core::raft::{Entry, Event, Payload};
use proconsul_core::types::{LogIndex, Term};
use std::collections::BTreeMap;

type Rule = (&'static str, String);

/// What the group has promised so far.
#[derive(Debug)]
pub(crate) struct RaftJudge {
    leaders: BTreeMap<Term, usize>,
    /// The one sequence of committed entries; entry 1 is at place 0.
    committed: Vec<Entry>,
    /// In which term, at the latest, each of them was committed.
    terms: Vec<Term>,
    taken: usize,
    /// How far each server said that entries are committed, in its present life.
    told: Vec<u64>,
    /// Since when a server hears no quorum.
    alone: Vec<Option<u64>>,
    /// The group changed: which servers count is no longer simply all of them.
    pub(crate) members_changed: bool,
}

impl RaftJudge {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            leaders: BTreeMap::new(),
            committed: Vec::new(),
            terms: Vec::new(),
            taken: 0,
            told: vec![0; servers],
            alone: vec![None; servers],
            members_changed: false,
        }
    }

    pub(crate) fn started(&mut self, server: usize) {
        self.told[server] = 0;
    }

    pub(crate) fn died(&mut self, server: usize) {
        self.told[server] = 0;
    }

    /// The one sequence of committed entries, from the first on.
    pub(crate) fn committed(&self) -> &[Entry] {
        &self.committed
    }

    /// Hands over entries newly known to be committed.
    pub(crate) fn take_committed(&mut self, mut take: impl FnMut(u64, &Payload)) {
        while let Some(entry) = self.committed.get(self.taken) {
            take(entry.id.index.0, &entry.payload);
            self.taken += 1;
        }
    }

    pub(crate) fn event(
        &mut self,
        server: usize,
        event: &Event,
        node: &Node,
        hosts: &[impl Seen],
    ) -> Result<(), Rule> {
        if let Event::Leader(term) = event {
            self.leads(server, *term, node)
        } else if let Event::Committed(index) = event {
            self.commits(server, *index, node)
        } else if let Event::AppendAcked(index) = event {
            self.acknowledges(server, *index, node, hosts)
        } else if let Event::Truncated(index) = event {
            self.truncates(server, *index)
        } else {
            if let Event::MembershipChanged(index) = event {
                self.members_changed |= index.0 > 1 && self.is_change(*index, node);
                return Self::changes_members(server, *index, node);
            }
            Ok(())
        }
    }

    fn is_change(&self, index: LogIndex, node: &Node) -> bool {
        let whole = self.told.len();
        matches!(
            machine::entry(node, index).map(|entry| &entry.payload),
            Some(Payload::Membership(membership)) if membership.members.len() != whole
        )
    }

    /// A leader changes the group only after an entry of its own term is committed.
    fn changes_members(server: usize, index: LogIndex, node: &Node) -> Result<(), Rule> {
        let term = machine::term(node);
        let own = machine::entry_id(node, index).is_some_and(|entry| entry.term == term);
        let early = machine::committed(node).is_some_and(|committed| committed.term < term);
        // The first entry of all is the group itself.
        if index.0 > 1 && machine::leads(node) && own && early {
            let text = format!("s{server} changes the group at {index} first of all in {term}");
            return Err(("raft.change-too-early", text));
        }
        Ok(())
    }

    fn leads(&mut self, server: usize, term: Term, node: &Node) -> Result<(), Rule> {
        if let Some(other) = self.leaders.insert(term, server)
            && other != server
        {
            let text = format!("s{other} and s{server} both lead in term {term}");
            return Err(("raft.one-leader-a-term", text));
        }
        // Leader completeness: the newest commits must be in its log; log matching does the rest.
        for (entry, committed_in) in self.committed.iter().zip(&self.terms).rev().take(3) {
            if *committed_in >= term {
                continue;
            }
            let index = entry.id.index;
            if index < machine::first_index(node) {
                break;
            }
            if machine::entry_id(node, index) != Some(entry.id) {
                let has = machine::entry_id(node, index);
                let text = format!(
                    "s{server} leads in term {term} without committed entry {} (it has {has:?})",
                    entry.id
                );
                return Err(("raft.leader-completeness", text));
            }
        }
        Ok(())
    }

    fn commits(&mut self, server: usize, index: LogIndex, node: &Node) -> Result<(), Rule> {
        let from = self.told[server] + 1;
        self.told[server] = self.told[server].max(index.0);
        let known = self.committed.len();
        for number in from..=index.0 {
            let at = LogIndex(number);
            let Some(entry) = machine::entry(node, at) else { continue };
            let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
            if let Some(known) = self.committed.get(place) {
                if known.id != entry.id || !same_payload(known, entry) {
                    let text = format!(
                        "s{server} commits {} at {number}, {} was committed there",
                        entry.id, known.id
                    );
                    return Err(("raft.committed-changed", text));
                }
            } else if place == self.committed.len() {
                self.committed.push(entry.clone());
                self.terms.push(machine::term(node));
            } else {
                let text = format!(
                    "s{server} commits {number}, but nobody committed {}",
                    self.committed.len() + 1
                );
                return Err(("raft.commit-hole", text));
            }
        }
        // What a leader finds committed by counting is of its own term (Raft's Figure 8).
        let newest = self.committed.last().filter(|_| self.committed.len() > known);
        if let Some(newest) = newest
            && machine::leads(node)
            && newest.id.term < machine::term(node)
            // It may have counted further than its own disk has come.
            && newest.id.index < node.raft().durable()
        {
            let text = format!("s{server} commits {} by counting copies", newest.id);
            return Err(("raft.commits-old-term", text));
        }
        Ok(())
    }

    /// A follower says that it agrees with its leader up to `index`: do their logs agree there?
    fn acknowledges(
        &self,
        server: usize,
        index: LogIndex,
        node: &Node,
        hosts: &[impl Seen],
    ) -> Result<(), Rule> {
        let Some(leader) = self.leaders.get(&machine::term(node)) else { return Ok(()) };
        let Some(leading) = hosts[*leader].node() else { return Ok(()) };
        if machine::term(leading) != machine::term(node) || *leader == server {
            return Ok(());
        }
        let (mine, theirs) = (machine::entry_id(node, index), machine::entry_id(leading, index));
        if let (Some(mine), Some(theirs)) = (mine, theirs)
            && mine != theirs
        {
            let text = format!(
                "s{server} acknowledges up to {index} to s{leader}: it has {mine}, the leader {theirs}"
            );
            return Err(("raft.log-matching", text));
        }
        Ok(())
    }

    fn truncates(&self, server: usize, index: LogIndex) -> Result<(), Rule> {
        if index.0 <= self.told[server] {
            let told = self.told[server];
            let text = format!("s{server} drops entries from {index}, committed up to {told}");
            return Err(("raft.truncates-committed", text));
        }
        Ok(())
    }

    /// Remembers since when each server cannot reach a quorum.
    pub(crate) fn network_changed(&mut self, now: u64, net: &Net) {
        let servers = self.alone.len();
        for server in 0..servers {
            let both = |other: usize| net.hears(server, other) && net.hears(other, server);
            let heard = (0..servers).filter(|other| *other == server || both(*other)).count();
            if heard * 2 > servers {
                self.alone[server] = None;
            } else if self.alone[server].is_none() {
                self.alone[server] = Some(now);
            }
        }
    }

    /// Since when a server hears no quorum.
    pub(crate) fn alone_since(&self, server: usize) -> Option<u64> {
        self.alone[server]
    }
}

/// Whether two entries carry the same. In a world most of them share their bytes.
fn same_payload(one: &Entry, other: &Entry) -> bool {
    if let (Payload::Command(one), Payload::Command(other)) = (&one.payload, &other.payload) {
        return std::ptr::eq(&**one, &**other) || one == other;
    }
    one.payload == other.payload
}
