//! One seed draws a story: what clients ask, what breaks, and how it heals.

use crate::table::{CALM, MS, STORM, Table};
use proconsul_raft::{Input, Member, MembershipChange};
use proconsul_types::{Planted, ServerId};

/// What a seed may draw.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    pub(crate) churn: bool,
    pub(crate) crashes: bool,
    pub(crate) snapshots: bool,
    pub(crate) trips: bool,
    pub(crate) steps: u64,
}

pub(crate) const ALL: Story =
    Story { churn: true, crashes: true, snapshots: true, trips: true, steps: 150 };

impl Table {
    fn any(&mut self) -> usize {
        self.rng.index(self.servers.len())
    }

    fn some_leader(&mut self) -> usize {
        let leaders: Vec<usize> = (0..self.servers.len())
            .filter(|place| {
                self.servers[*place].raft.as_ref().is_some_and(proconsul_raft::Raft::is_leader)
            })
            .collect();
        if leaders.is_empty() { self.any() } else { leaders[self.rng.index(leaders.len())] }
    }

    fn client(&mut self, story: Story) {
        let server = self.some_leader();
        match self.rng.below(if story.churn { 12 } else { 9 }) {
            0..=4 => {
                for _ in 0..self.rng.between(1, 4) {
                    self.propose(server);
                }
            }
            5 | 6 => {
                self.read(server);
            }
            7 => self.lease_reads(),
            8 => {
                let ticket = self.ticket();
                let target = self.any();
                let target = self.rng.chance(1, 2).then(|| self.servers[target].config.id);
                self.step(server, Input::Transfer(ticket, target));
            }
            _ => {
                let ticket = self.ticket();
                let target = self.any();
                let target: ServerId = self.servers[target].config.id;
                let change = if self.rng.chance(1, 3) {
                    MembershipChange::Remove(target)
                } else {
                    let voter = self.rng.chance(3, 4);
                    MembershipChange::Set(target, Member { voter })
                };
                self.step(server, Input::Change(ticket, change));
            }
        }
    }

    fn trouble(&mut self, story: Story) {
        let server = self.any();
        match self.rng.below(8) {
            0 | 1 if story.crashes => self.crash(server),
            2 | 3 => self.start(server),
            4 => {
                let other = self.any();
                self.cuts.insert((server, other));
                if self.rng.chance(1, 2) {
                    self.cuts.insert((other, server));
                }
            }
            5 => {
                let server = self.some_leader();
                self.isolate(server);
                if self.rng.chance(1, 2) {
                    self.break_connections();
                }
            }
            6 | 7 => self.cuts.clear(),
            _ => {}
        }
        if story.snapshots && self.rng.chance(1, 2) {
            let server = self.any();
            self.snapshot(server);
        }
    }

    pub(crate) fn snapshot(&mut self, server: usize) {
        if let Some(meta) = self.servers[server].take_snapshot() {
            self.step(server, Input::SnapshotTaken(meta));
        }
    }

    pub(crate) fn compare_logs(&mut self) {
        let rafts: Vec<_> = self.servers.iter().filter_map(|server| server.raft.as_ref()).collect();
        for (place, a) in rafts.iter().enumerate() {
            for b in &rafts[place + 1..] {
                self.judge.compare(a, b);
            }
        }
    }

    fn describe(&self) -> String {
        let statuses: Vec<_> = self
            .servers
            .iter()
            .filter_map(|server| server.raft.as_ref())
            .map(|raft| {
                let status = raft.status();
                let members: Vec<_> = status.membership.members.iter().collect();
                let pointers = (status.last, status.durable, status.committed);
                let role = (status.role, status.term, raft.next_wakeup());
                format!("{role:?} {pointers:?} {members:?}")
            })
            .collect();
        statuses.join("\n")
    }

    /// Everything works again: the group must too.
    fn heal(&mut self) {
        self.weather = CALM;
        self.trip_percent = 0;
        self.cuts.clear();
        self.start_all();
        self.run(3_000 * MS);
        if self.judge.broken.is_some() {
            return;
        }
        let Some(leader) = self.leader() else {
            let statuses = self.describe();
            self.judge.breaks(format!("nobody leads after healing:\n{statuses}"));
            return;
        };
        let ticket = self.propose(leader);
        let read = self.read(leader);
        self.run(2_000 * MS);
        let refusal = self.refused.get(&ticket);
        let Some(id) = self.proposed.get(&ticket).copied() else {
            let statuses = self.describe();
            self.judge.breaks(format!("no writes after healing: {refusal:?}\n{statuses}"));
            return;
        };
        if !self.answered.contains(&read) {
            let refusal = self.refused.get(&read);
            let statuses = self.describe();
            self.judge.breaks(format!("a read is not answered: {refusal:?}\n{statuses}"));
        }
        let raft = self.servers[leader].raft.as_ref().unwrap();
        let members: Vec<ServerId> = raft.membership().members.keys().copied().collect();
        for member in members {
            let place = self.position(member);
            if self.servers[place].applied.index < id.index {
                let applied = self.servers[place].applied;
                let followers =
                    self.servers[leader].raft.as_ref().map(|raft| raft.status().followers);
                self.judge
                    .breaks(format!("member {} hangs at {applied}: {followers:?}", place + 1));
            }
        }
    }
}

/// Tells the story of `seed` and returns the rule it broke, if any.
pub(crate) fn tell(seed: u64, story: Story, planted: Planted) -> (Table, Option<String>) {
    let mut table = Table::new(seed, 5, if seed.is_multiple_of(2) { 3 } else { 5 }, planted);
    if table.rng.chance(1, 3) {
        // Servers of one group may run with other timing, and their clocks at other rates.
        for place in 0..5 {
            let factor = u32::try_from(table.rng.between(1, 3)).unwrap();
            let config = &mut table.servers[place].config;
            config.election_timeout_min *= factor;
            config.election_timeout_max *= factor;
            table.servers[place].rate = table.rng.between(95, 105);
        }
    }
    table.start_all();
    table.run(400 * MS);
    table.weather = STORM;
    table.trip_percent = if story.trips { table.rng.between(0, 20) } else { 0 };
    for _ in 0..story.steps {
        if table.judge.broken.is_some() {
            break;
        }
        if table.rng.chance(3, 4) {
            table.client(story);
        } else {
            table.trouble(story);
        }
        let pause = table.rng.between(0, 60 * MS);
        table.run(pause);
        table.compare_logs();
    }
    if table.judge.broken.is_none() {
        table.heal();
        table.compare_logs();
    }
    let broken = table.judge.broken.clone();
    (table, broken)
}
