//! The event loop: machines with an agent each, and what happens to them next.

use super::asks::Asked;
use super::judge::Judge;
use super::machines::Machine;
use super::plan::{Options, Plan, Who};
use super::watches::Watch;
use super::wires::{Unsent, Wires};
use crate::draw::{draw, stream};
use crate::links::{End, Fate, Network, Place, Streams, Ways};
use crate::log::Lines;
use crate::machine::PeerMessage;
use crate::plans::PlannedWorld;
use crate::queue::Queue;
use crate::run::{Outcome, Telling};
use crate::trace::Trace;
use proconsul_core::checks::{CheckOutcome, CheckRun};
use proconsul_core::gossip::StreamEvent;
use proconsul_core::types::NodeId;
use proconsul_core::wire::packet::Datagram;
use proconsul_core::{Input, Lookup};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// What will happen.
#[derive(Debug)]
pub(super) enum Ev {
    /// An agent wants to be woken.
    Wake { machine: usize, life: u32, at: u64 },
    /// A message comes over a connection.
    Peer { from: usize, to: usize, epoch: u32, opened: bool, message: Box<PeerMessage> },
    /// A connection is noticed to be broken.
    Broken { between: (usize, usize), epoch: u32 },
    /// What was sent to an address that nobody has is given up.
    Lost { machine: usize, life: u32, who: NodeId, unsent: Unsent },
    /// A machine gives up dialling another.
    Undialled { from: usize, life: u32, to: usize },
    /// A datagram comes to an address.
    Datagram { from: SocketAddr, to: SocketAddr, datagram: Datagram },
    /// Something happens on a stream of a pool.
    Stream { end: End, event: StreamEvent },
    /// A sync of a disk is done.
    Synced { machine: usize, life: u32, lane: usize },
    /// A check's probe ended.
    Probed { machine: usize, life: u32, run: CheckRun, outcome: CheckOutcome },
    /// A name was looked up.
    Resolved { machine: usize, life: u32, lookup: Lookup, found: Result<Vec<IpAddr>, String> },
    /// The plan's act of this number.
    Act(usize),
    /// It is over.
    Over(usize),
    /// A machine that crashed, or is on its first way, starts.
    Restart { machine: usize, life: u32 },
    /// A process that stood still goes on.
    Resume(usize),
    /// The judge looks around.
    Look,
    /// Everything is healed.
    Heal,
    /// The judge looks whether a healed world has come to rest.
    Rest,
}

/// A world of agents.
#[derive(Debug)]
pub struct World {
    pub(super) plan: Plan,
    pub(super) now: u64,
    pub(super) queue: Queue<Ev>,
    pub(super) machines: Vec<Machine>,
    pub(super) network: Network,
    pub(super) streams: Streams,
    pub(super) wires: Wires,
    pub(super) judge: Judge,
    pub(super) trace: Trace,
    /// Acts whose trouble lasts.
    pub(super) active: Vec<usize>,
    pub(super) scratch: Vec<proconsul_core::Effect>,
    /// Requests without an answer.
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) next_request: u64,
    /// Who watches keys.
    pub(super) watches: Vec<Watch>,
    /// Messages and datagrams that arrived.
    pub messages: u64,
    /// How many went through the codec.
    pub codec_checked: u64,
    pub(super) lines: Lines,
    over: bool,
}

impl World {
    /// The world of a plan, at its beginning.
    fn new(plan: &Plan, telling: Telling) -> Self {
        let options = &plan.options;
        let mut world = Self {
            now: 0,
            queue: Queue::default(),
            machines: Vec::new(),
            network: Network::new(plan.seed, ways(options)),
            streams: Streams::default(),
            wires: Wires::default(),
            judge: Judge::new(options),
            trace: Trace::default(),
            active: Vec::new(),
            scratch: Vec::new(),
            asked: BTreeMap::new(),
            next_request: 1,
            watches: Vec::new(),
            messages: 0,
            codec_checked: 0,
            lines: Lines::new(telling),
            over: false,
            plan: plan.clone(),
        };
        let mut number = 0;
        for (dc, (servers, clients)) in options.datacenters.iter().enumerate() {
            for seat in 0..servers + clients {
                let machine = Machine::new(plan.seed, Place { number, dc }, seat < *servers);
                world.machines.push(machine);
                number += 1;
            }
        }
        for machine in 0..world.machines.len() {
            let off = |off: &u16| usize::from(*off) == machine;
            if !options.off.iter().any(off) {
                // One after another, within the first second.
                let who = super::wires::wide(machine);
                let at = draw(plan.seed, stream::NODE, 7, who) % SECOND;
                world.queue.push(at, Ev::Restart { machine, life: 0 });
            }
        }
        for (number, act) in plan.acts.iter().enumerate() {
            world.queue.push(act.at * 1_000, Ev::Act(number));
        }
        world.queue.push(options.length * 1_000, Ev::Heal);
        world.queue.push(SECOND, Ev::Look);
        world
    }

    /// Runs until a healed world has come to rest, or to the first broken rule.
    fn run(&mut self) {
        while self.judge.violation.is_none() && !self.over {
            let Some((at, event)) = self.queue.pop() else { break };
            self.now = at;
            self.handle(event);
        }
        for machine in &self.machines {
            if let Some(node) = &machine.node {
                node.check_invariants();
                self.trace.event(self.now, u64::from(machine.place.number), 99, node.digest());
            }
        }
    }

    /// Nothing more will happen.
    pub(super) fn finish(&mut self) {
        self.over = true;
    }

    fn handle(&mut self, event: Ev) {
        match event {
            Ev::Wake { machine, life, at } => self.wake(machine, life, at),
            Ev::Peer { from, to, epoch, opened, message } => {
                self.peer((from, to), epoch, opened, *message);
            }
            Ev::Broken { between, epoch } => self.broken(between, epoch),
            Ev::Lost { machine, life, who, unsent } => {
                if self.machines[machine].life == life {
                    self.unsent(machine, who, unsent);
                }
            }
            Ev::Undialled { from, life, to } => self.undialled(from, life, to),
            Ev::Datagram { from, to, datagram } => self.datagram(from, to, datagram),
            Ev::Stream { end, event } => self.stream(end, event),
            Ev::Synced { machine, life, lane } => self.synced(machine, life, lane),
            Ev::Probed { machine, life, run, outcome } => {
                self.probed(machine, life, run, outcome);
            }
            Ev::Resolved { machine, life, lookup, found } => {
                if self.machines[machine].life == life {
                    self.feed(machine, Input::Resolved(lookup, found));
                }
            }
            Ev::Act(number) => self.act(number),
            Ev::Over(number) => self.over(number),
            Ev::Restart { machine, life } => {
                let of = &self.machines[machine];
                if of.life == life && matches!(of.fate, Fate::Off | Fate::Down) {
                    self.start(machine);
                }
            }
            Ev::Resume(machine) => self.resume(machine),
            Ev::Look => {
                self.look();
                self.queue.push(self.now + SECOND, Ev::Look);
            }
            Ev::Heal => self.heal(),
            Ev::Rest => self.rest(),
        }
    }

    /// Says something, if anyone listens.
    pub(super) fn say(&mut self, machine: Option<usize>, text: impl FnOnce() -> String) {
        self.lines.say(self.now, machine, text);
    }

    /// Whom an act is about.
    pub(super) fn machines_of(&self, who: Who) -> Vec<usize> {
        let named = self.machines.iter().filter(|machine| who.names(machine.place));
        named.map(|machine| usize::from(machine.place.number)).collect()
    }
}

impl PlannedWorld<Options> for World {
    fn begin(plan: &Plan, telling: Telling) -> Self {
        Self::new(plan, telling)
    }

    fn run(&mut self) {
        self.run();
    }

    fn outcome(mut self) -> Outcome {
        Outcome {
            violation: self.judge.violation,
            trace: self.trace.hash(),
            events: self.trace.events(),
            messages: self.messages,
            codec_checked: self.codec_checked,
            committed: self.judge.answered,
            simulated: self.now,
            lines: self.lines.take(),
            ..Outcome::default()
        }
    }
}

fn ways(options: &Options) -> Ways {
    Ways {
        latency: (options.latency_min, options.latency_max),
        between: options.between.clone(),
        jitter_ppm: options.jitter_ppm,
        loss_ppm: options.loss_ppm,
        between_loss_ppm: options.between_loss_ppm.clone(),
        duplicate_ppm: options.duplicate_ppm,
    }
}
