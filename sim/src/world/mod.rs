//! The engine of a world: events ordered by time, hosts that perform what their nodes ask, faults,
//! clients and judges. One thread, no runtime, nothing but the seed.

mod faults;
mod host;
mod requests;

pub(crate) use faults::resolve;
pub use host::{Host, Life};
pub(crate) use host::{address_of, id_of, loses_power, seed_of, sync_time};
pub use requests::{Lost, Run};
pub(crate) use requests::{Next, heard, last_asks, pause_of, request_of, tag_of};

use crate::client::Client;
use crate::judge::{Judge, Violation};
use crate::log::Lines;
use crate::machine::PeerMessage;
use crate::net::Net;
use crate::options::Options;
use crate::queue::Queue;
use crate::run::Telling;
use crate::schedule::{Fault, Mark, Op, Schedule, When};
use crate::trace::Trace;
use faults::{Tripwire, Undo};
use proconsul_core::checks::{CheckOutcome, CheckRun};
use proconsul_core::http::{Request, Response};
use proconsul_core::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Nanoseconds in a microsecond: schedules count in the latter, worlds in the former.
pub(crate) const MICRO: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub(crate) const MILLI: u64 = 1_000_000;

/// A quiet world has a few hundred events a second, a busy one a few thousand. One with more than
/// one event in so many nanoseconds talks in circles.
const EVENT_NANOS: u64 = 50_000;
/// So many events more are borne at any time.
const EVENTS_AT_ONCE: u64 = 50_000;

/// Everything that can happen in a world.
#[derive(Debug)]
pub(crate) enum Ev {
    Message { from: u8, to: u8, epoch: u32, opened: bool, message: PeerMessage },
    Broken { one: u8, other: u8, epoch: u32 },
    Wake { host: u8, life: u32, at: u64 },
    Synced { host: u8, life: u32, lane: u8 },
    Probed { host: u8, life: u32, run: CheckRun, outcome: CheckOutcome },
    Ask { host: u8, run: u32, attempt: u16, request: Box<Request> },
    Answer { run: u32, attempt: u16, from: u8, response: Box<Response> },
    Refused { run: u32, attempt: u16, taken: bool },
    Deadline { run: u32, attempt: u16 },
    Again { run: u32 },
    Start { run: u32 },
    Strike { fault: u32 },
    Undo { undo: Undo },
    Heal,
    Probe,
    Verdict,
    Story,
}

/// A line of the log: when, where, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Nanoseconds since the world began.
    pub at: u64,
    /// Which server, if one.
    pub server: Option<u8>,
    /// What happened.
    pub text: String,
}

/// A world that runs.
#[derive(Debug)]
pub struct Engine {
    /// Its options.
    pub options: Options,
    /// Its seed.
    pub seed: u64,
    pub(crate) now: u64,
    pub(crate) queue: Queue<Ev>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) ids: Vec<NodeId>,
    pub(crate) net: Net,
    pub(crate) clients: Vec<Client>,
    pub(crate) runs: Vec<Run>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) planned: Vec<Op>,
    pub(crate) alarms: BTreeSet<u64>,
    pub(crate) tripwires: Vec<Tripwire>,
    pub(crate) strikes: usize,
    pub(crate) struck: Vec<(u32, u64, usize, Option<usize>)>,
    pub(crate) calm: bool,
    /// When the end of all faults came.
    pub(crate) calm_at: Option<u64>,
    pub(crate) judge: Judge,
    pub(crate) trace: Trace,
    pub(crate) marks: BTreeMap<Mark, u32>,
    pub(crate) woken: bool,
    pub(crate) answers: BTreeMap<u32, Result<Response, Lost>>,
    pub(crate) lines: Lines,
    pub(crate) codec_checked: u64,
    pub(crate) messages: u64,
    scratch: Vec<proconsul_core::Effect>,
}

impl Engine {
    /// A world before its first event: all servers are up, nothing has happened.
    #[must_use]
    pub fn new(seed: u64, options: &Options) -> Self {
        let servers = usize::from(options.servers);
        let ids: Vec<NodeId> = (0..servers).map(|server| id_of(seed, server)).collect();
        let mut engine = Self {
            options: options.clone(),
            seed,
            now: 0,
            queue: Queue::default(),
            hosts: (0..servers).map(|server| Host::new(seed, server, options)).collect(),
            ids,
            net: Net::new(seed, options),
            clients: (0..options.clients).map(|_| Client::default()).collect(),
            runs: Vec::new(),
            faults: Vec::new(),
            planned: Vec::new(),
            alarms: BTreeSet::new(),
            tripwires: Vec::new(),
            strikes: 0,
            struck: Vec::new(),
            calm: false,
            calm_at: None,
            judge: Judge::new(options),
            trace: Trace::default(),
            marks: BTreeMap::new(),
            woken: false,
            answers: BTreeMap::new(),
            lines: Lines::default(),
            codec_checked: 0,
            messages: 0,
            scratch: Vec::new(),
        };
        for server in 0..servers {
            engine.start(server);
        }
        engine
    }

    /// Puts everything a schedule says into the queue, and the end of its faults.
    pub fn load(&mut self, schedule: &Schedule) {
        self.runs.reserve(schedule.ops.len());
        self.planned.reserve(schedule.ops.len());
        for fault in &schedule.faults {
            self.arm(fault.clone());
        }
        for op in &schedule.ops {
            self.plan(op);
        }
        self.queue.push(self.options.safety * MICRO, Ev::Heal);
    }

    /// Sets a client's operation.
    pub(crate) fn plan(&mut self, op: &Op) -> u32 {
        let run = self.add_run(Run::of(op, self.options.clients, self.options.servers));
        if !self.calm {
            self.planned.push(op.clone());
        }
        self.queue.push((op.at * MICRO).max(self.now), Ev::Start { run });
        run
    }

    /// Sets a fault.
    pub(crate) fn arm(&mut self, fault: Fault) {
        let number = u32::try_from(self.faults.len()).expect("few faults");
        match fault.when {
            When::At(at) => {
                self.queue.push((at * MICRO).max(self.now), Ev::Strike { fault: number });
            }
            When::On(trip) => self.tripwires.push(Tripwire { fault: number, trip, seen: 0 }),
        }
        self.faults.push(fault);
    }

    /// Nanoseconds since the world began.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The rule that was broken, if one was.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.judge.violation.as_ref()
    }

    /// Runs until `end` (nanoseconds), a violation, or nothing is left.
    pub fn run_until(&mut self, end: u64) {
        while self.violation().is_none() {
            match self.queue.next_at() {
                Some(at) if at <= end => self.step(),
                Some(_) | None => break,
            }
        }
        self.now = self.now.max(end);
    }

    /// Runs until a story may go on, a violation, or `end`.
    pub(crate) fn run_until_woken(&mut self, end: u64) {
        self.woken = false;
        while !self.woken && self.violation().is_none() {
            match self.queue.next_at() {
                Some(at) if at <= end => self.step(),
                Some(_) | None => {
                    self.now = self.now.max(end);
                    break;
                }
            }
        }
    }

    /// One event.
    pub fn step(&mut self) {
        let Some((at, event)) = self.queue.pop() else { return };
        debug_assert!(at >= self.now, "time runs forward");
        self.now = at;
        self.judge.now = at;
        if self.trace.events() > EVENTS_AT_ONCE + at / EVENT_NANOS {
            self.judge.broken("live.storm", || "servers say far more than they need to".into());
        }
        if self.lines.are_loud() {
            crate::log::set_now(at);
        }
        match event {
            Ev::Message { from, to, epoch, opened, message } => {
                self.deliver(usize::from(from), usize::from(to), epoch, opened, message);
            }
            Ev::Broken { one, other, epoch } => self.broken(one.into(), other.into(), epoch),
            Ev::Wake { host, life, at } => self.wake(host.into(), life, at),
            Ev::Synced { host, life, lane } => self.synced(host.into(), life, lane.into()),
            Ev::Probed { host, life, run, outcome } => {
                self.probed(host.into(), life, run, outcome);
            }
            Ev::Ask { host, run, attempt, request } => {
                self.ask(host.into(), run, attempt, *request);
            }
            Ev::Answer { run, attempt, from, response } => {
                self.answered(run, attempt, from.into(), &response);
            }
            Ev::Refused { run, attempt, taken } => self.unanswered(run, attempt, taken),
            Ev::Deadline { run, attempt } => self.deadline(run, attempt),
            Ev::Again { run } | Ev::Start { run } => self.issue(run),
            Ev::Strike { fault } => self.strike_numbered(fault),
            Ev::Undo { undo } => self.undo(undo),
            Ev::Heal => self.heal(),
            Ev::Probe => self.probe_liveness(),
            Ev::Verdict => self.verdict(),
            Ev::Story => {
                self.alarms.remove(&at);
                self.woken = true;
            }
        }
    }

    /// The number that stands for everything that happened.
    #[must_use]
    pub fn trace(&self) -> u64 {
        let mut trace = self.trace;
        for host in &self.hosts {
            if let Life::Up(node) = &host.life {
                trace.event(self.now, 0, 99, node.digest());
            }
        }
        trace.hash()
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.trace.events()
    }

    /// Which protocol events happened, how often.
    #[must_use]
    pub fn marks(&self) -> &BTreeMap<Mark, u32> {
        &self.marks
    }

    /// What was said so far, if the world was asked to keep it.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        self.lines.kept()
    }

    /// Keeps every line from now on; `loud` sends them to the log as well.
    pub fn record(&mut self, loud: bool) {
        self.lines = Lines::new(if loud { Telling::Loud } else { Telling::Kept });
    }

    /// Says something, if anyone listens.
    pub(crate) fn note(&mut self, server: Option<usize>, text: impl FnOnce() -> String) {
        self.lines.say(self.now, server, text);
    }

    /// Who leads in the newest term, if anyone says that it does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let mut best = None;
        for (server, host) in self.hosts.iter().enumerate() {
            let leadership = &host.view.leadership;
            if matches!(host.life, Life::Up(_)) && leadership.is_leader {
                let term = leadership.term;
                if best.is_none_or(|(newest, _)| term > newest) {
                    best = Some((term, server));
                }
            }
        }
        best.map(|(_, server)| server)
    }
}

/// An index as an event carries it.
pub(crate) fn small(index: usize) -> u8 {
    u8::try_from(index).expect("fewer than 256 servers")
}
