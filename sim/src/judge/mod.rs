//! Judges: they stand outside the system, see every answer and every committed entry, and say what
//! must never happen. A broken rule is a value; the world stops at the first.

mod answers;
mod converge;
mod health;
mod lock;
mod promises;
mod raft;
pub mod search;
mod seen;
mod session;

use crate::client::KEYS_MAX;
use crate::machine::{self, Node, View};
use crate::model::{Model, SERVICES_MAX};
use crate::options::Options;
use crate::schedule::Want;
use lock::LockJudge;
use proconsul_core::Event;
use promises::Promises;
use raft::RaftJudge;
pub(crate) use seen::Seen;
use session::SessionJudge;
use std::ops::Range;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule, in a word that stays the same while a schedule shrinks.
    pub rule: String,
    /// What exactly happened.
    pub text: String,
    /// When, in nanoseconds of the world.
    pub at: u64,
}

impl Violation {
    /// A rule is broken. Only the first counts.
    pub(crate) fn note(
        first: &mut Option<Self>,
        rule: &str,
        at: u64,
        text: impl FnOnce() -> String,
    ) {
        first.get_or_insert_with(|| Self { rule: rule.into(), text: text(), at });
    }
}

/// What was known to be committed at a moment: later reads may not answer anything older.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// By key: the newest version that someone was told of.
    pub keys: [u64; KEYS_MAX],
    /// By service: the same.
    pub services: [u64; SERVICES_MAX],
    /// Everything committed by then.
    pub horizon: u64,
}

/// All judges of a world.
#[derive(Debug)]
pub struct Judge {
    /// The first broken rule.
    pub violation: Option<Violation>,
    /// What the committed commands mean.
    pub model: Model,
    pub(crate) now: u64,
    pub(crate) probes: Range<usize>,
    floor: Floor,
    raft: RaftJudge,
    promises: Promises,
    locks: LockJudge,
    sessions: SessionJudge,
    histories: search::Histories,
    hashes: Vec<u64>,
    /// When entries were committed, and the newest one then.
    news: Vec<(u64, u64)>,
    rotten: Vec<bool>,
    judge_default: bool,
    servers: usize,
}

impl Judge {
    /// Judges of a new world.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let servers = usize::from(options.servers);
        Self {
            violation: None,
            model: Model::default(),
            now: 0,
            probes: 0..0,
            floor: Floor::default(),
            raft: RaftJudge::new(servers),
            promises: Promises::new(servers),
            locks: LockJudge::new(options),
            sessions: SessionJudge::new(options),
            histories: search::Histories::new(options.second_opinion),
            hashes: Vec::new(),
            news: Vec::new(),
            rotten: vec![false; servers],
            judge_default: options.judge_default,
            servers,
        }
    }

    /// A rule is broken. Only the first counts.
    pub fn broken(&mut self, rule: &str, text: impl FnOnce() -> String) {
        Violation::note(&mut self.violation, rule, self.now, text);
    }

    pub(crate) fn started(&mut self, server: usize) {
        self.raft.started(server);
    }

    pub(crate) fn died(&mut self, server: usize) {
        self.raft.died(server);
    }

    pub(crate) fn refused(&mut self, server: usize, reason: &str) {
        if !self.rotten[server] {
            self.broken("disk.start", || {
                format!("s{server} refuses to start although no bit of its disk rotted: {reason}")
            });
        }
    }

    /// Whether one more disk may go bad without making the loss of data legal.
    pub(crate) fn may_rot(&self, server: usize) -> bool {
        let rotten = self.rotten.iter().filter(|rotten| **rotten).count();
        self.rotten[server] || (rotten + 1) * 2 < self.servers
    }

    /// A bit of a server's disk flipped: from now on it may refuse to start.
    pub(crate) fn rots(&mut self, server: usize) {
        self.rotten[server] = true;
    }

    /// A server shows a new picture: equal indexes must mean equal states.
    pub(crate) fn published(&mut self, server: usize, old: &View, new: &View) {
        let (before, index) = (machine::catalog_index(old), machine::catalog_index(new));
        if index == before {
            return;
        }
        if index < before {
            self.broken("state.index-backwards", || {
                format!("s{server} showed index {before}, then {index}")
            });
            return;
        }
        let hash = machine::state_hash(new);
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        if place > 10_000_000 {
            return;
        }
        if self.hashes.len() <= place {
            self.hashes.resize(place + 1, 0);
        }
        let known = self.hashes[place];
        if known == 0 {
            self.hashes[place] = hash.max(1);
        } else if known != hash.max(1) {
            self.broken("state.hash", || {
                format!("s{server} at index {index} has state {hash:#x}, another had {known:#x}")
            });
        }
    }

    pub(crate) fn event<S: Seen>(
        &mut self,
        server: usize,
        event: &Event,
        node: &Node,
        hosts: &[S],
    ) {
        let Event::Raft(event) = event else { return };
        if let Err((rule, text)) = self.raft.event(server, event, node, hosts) {
            self.broken(rule, || text);
        }
        self.promised(server, event, node, hosts);
        let (model, now) = (&mut self.model, self.now);
        let (sessions, violation) = (&self.sessions, &mut self.violation);
        self.raft.take_committed(|index, payload| {
            if index <= model.applied {
                return;
            }
            match machine::command(payload) {
                Ok(Some(command)) => {
                    if let Some((rule, text)) = sessions.committed(now, model, &command) {
                        Violation::note(violation, rule, now, || text);
                    }
                    model.apply(index, now, &command);
                }
                Ok(None) => {}
                Err(error) => panic!("a committed command can be read: {error}"),
            }
        });
        if self.news.last().is_none_or(|(_, newest)| *newest < self.model.applied) {
            self.news.push((self.now, self.model.applied));
        }
        if let Some(tag) = self.model.twice {
            let written = self.model.written(tag);
            self.broken("write.applied-twice", || {
                format!("the write with tag {tag} is in the log again: {written:?}")
            });
        }
    }

    /// The one sequence of committed entries, from the first on.
    pub(crate) fn committed(&self) -> &[proconsul_core::raft::Entry] {
        self.raft.committed()
    }

    pub(crate) fn network_changed(&mut self, now: u64, net: &crate::net::Net) {
        self.raft.network_changed(now, net);
    }

    /// What an operation that begins now may not go behind.
    pub(crate) fn floor(&self, want: Option<Want>) -> Floor {
        let mut floor = if want.is_some() { self.floor } else { Floor::default() };
        floor.horizon = self.model.applied;
        floor
    }

    /// The newest entry that was committed at least `ago` before.
    fn settled(&self, ago: u64) -> u64 {
        let old = self.news.partition_point(|(at, _)| at + ago <= self.now);
        old.checked_sub(1).map_or(0, |place| self.news[place].1)
    }

    /// Whether enough servers are there for everything to come to rest.
    pub(crate) fn expects_liveness(&self, hosts: &[impl Seen]) -> bool {
        let up = hosts.iter().filter(|host| host.is_up()).count();
        up * 2 > hosts.len() && !self.raft.members_changed
    }
}
