//! Neighbourhoods of known hard cases. Uniform chance rarely brings a vote, a crash and an isolated
//! leader together; a lure puts the pieces into one world and leaves their times to the seed. Every
//! second world has one.

use crate::options::Options;
use crate::schedule::{Action, Fault, Freshness, Mark, Op, Target, Trip, Want, When};
use proconsul_core::types::Rng;

/// What a world is made to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lure {
    /// Nothing in particular.
    Nothing,
    /// Elections: voters die right after voting, winners right after winning.
    Ballots,
    /// Elections without a majority: halves, and messages that come twice.
    Halves,
    /// Elections on a slow network: requests come when nobody waits for them any more.
    Late,
    /// Leaders that stand still, or do not reach everyone, while others read.
    Leases,
    /// Leaders that hear nobody for long.
    Lonely,
    /// Power cuts around writes, snapshots and truncations.
    Power,
    /// Servers that were away for long, and snapshots that are taken often.
    Away,
    /// New leaders that find old entries, one by one.
    OldEntries,
    /// Sessions and locks while leaders change.
    Locks,
    /// Nodes, services and checks that come and go under the eyes of watchers.
    Catalog,
    /// Servers that are taken out of the group.
    Members,
}

const LURES: [Lure; 11] = [
    Lure::Ballots,
    Lure::Halves,
    Lure::Late,
    Lure::Leases,
    Lure::Lonely,
    Lure::Power,
    Lure::Away,
    Lure::OldEntries,
    Lure::Locks,
    Lure::Catalog,
    Lure::Members,
];

impl Lure {
    /// Draws what a world is about, and makes it fit.
    pub fn draw(rng: &mut Rng, options: &mut Options) -> Self {
        if rng.chance(1, 2) {
            return Self::Nothing;
        }
        let lure = LURES[rng.index(LURES.len())];
        match lure {
            Self::Nothing | Self::Locks | Self::Catalog | Self::Lonely | Self::Members => {}
            Self::Ballots => options.servers = [3, 3, 5][rng.index(3)],
            Self::Halves => {
                options.hostile = true;
                options.duplicate_ppm = ppm(rng, 200_000, 700_000);
            }
            Self::Late => {
                options.servers = 3;
                options.hostile = true;
                options.duplicate_ppm = ppm(rng, 100_000, 500_000);
                options.latency_max = rng.between(40_000, 120_000);
                options.latency_min = options.latency_max / 10;
                let min = rng.between(250_000, 400_000);
                options.timing = vec![[min / 3, min, min + rng.between(50_000, 150_000)]];
            }
            Self::Leases => {
                let min = rng.between(200_000, 900_000);
                let heartbeat = rng.between(60_000, min / 2);
                let patient = [heartbeat, min, min + rng.between(600_000, 1_200_000)];
                let quick = [heartbeat, min, min + rng.between(50_000, 200_000)];
                options.timing =
                    (0..options.servers).map(|_| [patient, quick][rng.index(2)]).collect();
            }
            Self::Power | Self::Away => {
                options.segment_bytes = rng.between(2_048, 4_096);
                options.snapshot_log_bytes = rng.between(1_024, 4_096);
                options.trailing_bytes = rng.between(0, 1_000);
            }
            Self::OldEntries => {
                options.append_entries_max = 1;
                options.inflight_messages_max = [1, 2][rng.index(2)];
                // Single entries keep pace only where everyone is near and quick.
                options.latency_max = options.latency_max.min(2_000);
                options.latency_min = options.latency_min.min(options.latency_max);
                options.sync_max = options.sync_max.min(8_000);
                options.sync_min = options.sync_min.min(options.sync_max);
            }
        }
        options.keep_pace();
        lure
    }

    /// Puts the pieces into a drawn world.
    pub fn bend(
        self,
        rng: &mut Rng,
        options: &Options,
        faults: &mut Vec<Fault>,
        ops: &mut Vec<Op>,
    ) {
        let mut bait = Bait { rng, options, faults, ops };
        match self {
            Self::Nothing => {}
            Self::Ballots => bait.ballots(),
            Self::Halves => bait.halves(),
            Self::Late => bait.late(),
            Self::Leases => bait.leases(),
            Self::Lonely => bait.lonely(),
            Self::Power => bait.power(),
            Self::Away => bait.away(),
            Self::OldEntries => bait.old_entries(),
            Self::Locks => bait.locks(),
            Self::Catalog => bait.catalog(),
            Self::Members => bait.members(),
        }
    }
}

fn ppm(rng: &mut Rng, low: u64, high: u64) -> u32 {
    u32::try_from(rng.between(low, high)).unwrap_or(0)
}

struct Bait<'a> {
    rng: &'a mut Rng,
    options: &'a Options,
    faults: &'a mut Vec<Fault>,
    ops: &'a mut Vec<Op>,
}

impl Bait<'_> {
    fn server(&mut self) -> u8 {
        u8::try_from(self.rng.below(u64::from(self.options.servers))).unwrap_or(0)
    }

    fn client(&mut self) -> u8 {
        u8::try_from(self.rng.below(u64::from(self.options.clients.max(1)))).unwrap_or(0)
    }

    fn key(&mut self) -> u8 {
        u8::try_from(self.rng.below(u64::from(self.options.keys.max(1)))).unwrap_or(0)
    }

    /// A moment between faults that leaves time for what follows.
    fn moment(&mut self) -> u64 {
        self.rng.between(1_500, self.options.safety / 1_000 - 2_000) * 1_000
    }

    fn millis(&mut self, low: u64, high: u64) -> u64 {
        self.rng.between(low, high) * 1_000
    }

    fn at(&mut self, at: u64, what: Action) {
        self.faults.push(Fault { when: When::At(at), what });
    }

    fn on(&mut self, event: Mark, nth: u64, after: u64, what: Action) {
        let nth = u32::try_from(nth).unwrap_or(1);
        let trip = Trip { server: None, event, nth, middle: false, after };
        self.faults.push(Fault { when: When::On(trip), what });
    }

    fn op(&mut self, at: u64, what: Want) {
        let (client, server) = (self.client(), self.server());
        self.ops.push(Op { at, client, server, what });
    }

    fn crash(&mut self, who: Target, low: u64, high: u64) -> Action {
        Action::crash(who, self.millis(low, high))
    }

    /// Something that makes others stand for election.
    fn unseat(&mut self) -> Action {
        let span = self.millis(500, 2_500);
        match self.rng.below(3) {
            0 => self.crash(Target::Leader, 300, 2_000),
            1 => Action::Isolate { who: Target::Leader, span },
            _ => Action::Pause { who: Target::Leader, span },
        }
    }

    fn unseat_often(&mut self, low: u64, high: u64) {
        for _ in 0..self.rng.between(low, high) {
            let (at, what) = (self.moment(), self.unseat());
            self.at(at, what);
        }
    }

    fn ballots(&mut self) {
        self.faults.truncate(4);
        self.unseat_often(2, 6);
        for _ in 0..self.rng.between(2, 8) {
            let (nth, what) = (self.rng.between(1, 12), self.crash(Target::Actor, 5, 80));
            self.on(Mark::VoteGranted, nth, 0, what);
        }
        for _ in 0..self.rng.between(1, 3) {
            let (nth, span) = (self.rng.between(1, 6), self.millis(300, 2_000));
            self.on(Mark::Leader, nth, 0, Action::Isolate { who: Target::Actor, span });
        }
    }

    fn halves(&mut self) {
        self.faults.truncate(6);
        for _ in 0..self.rng.between(2, 5) {
            let all = (1_u64 << self.options.servers) - 2;
            let side = u8::try_from(self.rng.between(1, all)).unwrap_or(1);
            let (at, span) = (self.moment(), self.millis(1_000, 4_000));
            self.at(at, Action::Split { side, span });
        }
    }

    fn late(&mut self) {
        self.faults.truncate(4);
        self.unseat_often(4, 10);
        for _ in 0..self.rng.between(1, 4) {
            let (nth, extra) = (self.rng.between(1, 10), self.millis(50, 400));
            let span = self.millis(200, 1_500);
            self.on(Mark::Candidate, nth, 0, Action::Slow { who: Target::Actor, extra, span });
        }
    }

    fn leases(&mut self) {
        self.faults.truncate(3);
        // Few writes: whoever stands is up to date.
        let every = self.rng.between(1, 4);
        let mut seen = 0;
        self.ops.retain(|op| {
            seen += 1;
            crate::client::is_read(op.what) || seen % (every * 3) == 0 || op.at < 2_500_000
        });
        for _ in 0..self.rng.between(2, 6) {
            let at = self.moment();
            let deaf = self.server();
            let span = self.millis(600, 3_000);
            if self.rng.chance(1, 2) {
                self.at(at, Action::Pause { who: Target::Leader, span: span / 2 });
                continue;
            }
            self.at(at, Action::Cut { from: Target::Leader, to: Target::Server(deaf), span });
            for _ in 0..self.rng.between(1, 4) {
                let (nth, what) = (self.server(), self.rng.between(0, span));
                let crash = self.crash(Target::Follower(nth), 2, 20);
                self.at(at + what, crash);
            }
        }
        for _ in 0..self.rng.between(0, 3) {
            let (at, to) = (self.moment(), self.server());
            self.op(at, Want::Transfer { to });
        }
    }

    fn lonely(&mut self) {
        for _ in 0..self.rng.between(1, 3) {
            let (at, span) = (self.millis(2_000, 6_000), self.millis(3_500, 6_000));
            let who = if self.rng.chance(1, 2) { Target::Leader } else { Target::Actor };
            if who == Target::Leader {
                self.at(at, Action::Isolate { who, span });
            } else {
                let nth = self.rng.between(1, 4);
                self.on(Mark::Leader, nth, at / 4, Action::Isolate { who, span });
            }
        }
    }

    fn power(&mut self) {
        let marks = [
            Mark::AppendAcked,
            Mark::AppendAcked,
            Mark::Committed,
            Mark::SnapshotTaken,
            Mark::Compacted,
            Mark::Truncated,
            Mark::SnapshotInstalled,
        ];
        for _ in 0..self.rng.between(4, 12) {
            let mark = marks[self.rng.index(marks.len())];
            let often = matches!(mark, Mark::AppendAcked | Mark::Committed);
            let nth = self.rng.between(1, if often { 300 } else { 6 });
            let after = if self.rng.chance(1, 2) { 0 } else { self.rng.between(0, 20_000) };
            if self.rng.chance(1, 4) {
                self.on(mark, nth, after, Action::DiskFail { who: Target::Actor });
            }
            let what = self.crash(Target::Actor, 20, 600);
            self.on(mark, nth, after, what);
        }
        for _ in 0..self.rng.between(0, 2) {
            // Noticed only by who starts again.
            let (at, server) = (self.moment(), self.server());
            let who = Target::Server(server);
            self.at(at, Action::BitRot { who, drawn: None });
            let what = self.crash(who, 20, 600);
            self.at(at + 1_000, what);
        }
        self.unseat_often(0, 3);
    }

    fn burst(&mut self, at: u64, low: u64, high: u64) {
        let count = self.rng.between(low, high);
        for _ in 0..count {
            let (at, key) = (at + self.millis(0, 250), self.key());
            self.op(at, Want::Put { key });
        }
    }

    fn away(&mut self) {
        self.faults.truncate(6);
        for _ in 0..self.rng.between(2, 5) {
            let (at, span) = (self.moment(), self.millis(800, 4_000));
            let nth = self.server();
            let who = [Target::Leader, Target::Leader, Target::Follower(nth)][self.rng.index(3)];
            self.at(at, Action::Isolate { who, span });
            // Its last clients still talk to it: a tail that nobody else has.
            self.burst(at, 10, 40);
            if self.rng.chance(1, 2) {
                let bytes_per_second = self.rng.between(20_000, 500_000);
                let narrow = Action::Narrow { who: Target::Leader, bytes_per_second, span };
                self.at(at + span, narrow);
            }
        }
    }

    fn old_entries(&mut self) {
        self.faults.truncate(6);
        self.unseat_often(4, 10);
        for _ in 0..self.rng.between(2, 6) {
            let at = self.moment();
            self.burst(at, 5, 20);
            let (nth, after) = (self.rng.between(1, 8), self.rng.between(0, 40_000));
            let what = self.crash(Target::Actor, 100, 1_000);
            self.on(Mark::Leader, nth, after, what);
        }
    }

    fn locks(&mut self) {
        self.unseat_often(2, 6);
        for _ in 0..self.rng.between(20, 60) {
            let (at, key) = (self.moment(), self.rng.below(2));
            let key = u8::try_from(key).unwrap_or(0);
            let what = match self.rng.below(8) {
                0 => [Want::Session, Want::Ephemeral][self.rng.index(2)],
                1 => Want::Destroy,
                2 | 3 => Want::Renew,
                4 => Want::Release { key },
                _ => Want::Acquire { key },
            };
            self.op(at, what);
        }
    }

    fn catalog(&mut self) {
        for service in 0..2 {
            self.op(1_200_000, Want::WatchService { service, fresh: Freshness::Default });
        }
        self.op(1_200_000, Want::WatchPrefix { fresh: Freshness::Default });
        for _ in 0..self.rng.between(20, 60) {
            let (at, key) = (self.moment(), self.key());
            let (node, service) = (self.server() % 3, self.server() % 2);
            let passing = self.rng.chance(3, 4);
            let fresh = crate::options::freshness(self.rng);
            let what = match self.rng.below(10) {
                8 => Want::Health { service, fresh },
                9 => Want::Services { fresh },
                0..=3 => Want::Register { node, service, passing },
                4 => Want::Deregister { node, service },
                5 => Want::DeregisterNode { node },
                6 => Want::Delete { key },
                _ => Want::Txn { key, other: self.key() },
            };
            self.op(at, what);
        }
    }

    fn members(&mut self) {
        self.faults.truncate(5);
        self.unseat_often(2, 6);
        let count = if self.options.servers > 3 { 12 } else { 0 };
        let gone = self.server();
        for _ in 0..count {
            let at = self.moment();
            self.op(at, Want::RemovePeer { server: gone });
        }
    }
}
