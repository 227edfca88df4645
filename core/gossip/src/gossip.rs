//! One pool: the failure detector with Serf above it, behind one face.

use crate::config::Config;
use crate::face::{Effect, Event, Input, Member};
use crate::founding::Founding;
use crate::serf::{Ask, Clocks, QueueLengths, Serf};
use crate::swim::{Members, Swim, Turn};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_types::{Coordinate, Incarnation, Instant, Liveness, MemberStatus, Rng};
use proconsul_wire::crypto::Keyring;

/// What operators see of a pool (`agent/self`, metrics, the UI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Members of every status.
    pub members: usize,
    /// Members that failed.
    pub failed: usize,
    /// Members that left.
    pub left: usize,
    /// How slow this member must assume to be itself; 0 is best.
    pub health_score: u32,
    /// Serf's clocks.
    pub clocks: Clocks,
    /// Serf's queues.
    pub queues: QueueLengths,
    /// News about members that wait to be told.
    pub member_news: usize,
    /// Whether the pool's messages are encrypted.
    pub encrypted: bool,
}

/// One pool of one agent: inputs, the time and chance in; effects out.
///
/// It never blocks and never fails. Inputs may come late, twice, in any order; effects are
/// performed in order. After [`Event::LeftPool`] or [`Event::LostName`] it stays silent.
#[derive(Clone, Debug)]
pub struct Gossip {
    config: Arc<Config>,
    swim: Swim,
    serf: Serf,
    stopped: bool,
}

impl Gossip {
    /// A pool in which this member is alone. `remembered` is the rejoin file, whole (empty: none).
    #[must_use]
    pub fn new(
        config: Config,
        rng: &Rng,
        remembered: &[u8],
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Self {
        let serf = Serf::new(&config, rng, remembered, now);
        let config = Arc::new(config);
        let swim = Swim::new(Arc::clone(&config), rng, now, Members::default());
        let mut pool = Self { config, swim, serf, stopped: false };
        pool.begin(now, out);
        pool
    }

    /// A pool that begins with these members, all alive, as if it had met them long ago: how large
    /// simulated pools are founded at once. They share the founding until they learn something
    /// else. No event tells of its members.
    #[must_use]
    pub fn founded(
        config: Config,
        rng: &Rng,
        founding: &Founding,
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Self {
        let mut serf = Serf::new(&config, rng, &[], now);
        serf.found(now, &founding.serf);
        let config = Arc::new(config);
        let swim = Swim::new(Arc::clone(&config), rng, now, founding.swim.clone());
        let mut pool = Self { config, swim, serf, stopped: false };
        pool.begin(now, out);
        pool
    }

    /// Speaks for this member, unless the founding already did in the same words.
    fn begin(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let meta = self.serf.meta();
        let mut turn = Turn { now, serf: &mut self.serf, out };
        if self.swim.own().is_none_or(|own| own.alive.meta.as_ref() != Some(&meta)) {
            self.swim.announce(&mut turn, meta);
        }
        self.settle(now, out);
    }

    /// Takes one input at `now` and appends what is to be done.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Effect>) {
        if self.stopped {
            return;
        }
        let mut turn = Turn { now, serf: &mut self.serf, out };
        match input {
            Input::Wake => {
                self.swim.wake(&mut turn);
                turn.serf.wake(now);
            }
            Input::Packet(from, bytes) => self.swim.packet(&mut turn, from, &bytes),
            Input::Datagram(from, datagram) => self.swim.datagram(&mut turn, from, &datagram),
            Input::Stream(id, event) => self.swim.stream_event(&mut turn, id, event),
            Input::Join { asked, seeds, replay } => {
                self.swim.join(&mut turn, asked, seeds, replay);
            }
            Input::Leave => turn.serf.leave(now),
            Input::ForceLeave { node, prune } => turn.serf.force_leave(now, &node, prune),
            Input::Doubt(name) => self.swim.doubt(&mut turn, &name),
            Input::Tags(tags) => {
                if let Err(reason) = turn.serf.set_tags(tags) {
                    turn.notice(format!("Failed to update tags: {reason}"));
                }
            }
            Input::Fire { name, payload, coalesce } => {
                if let Err(reason) = turn.serf.fire(now, name, payload, coalesce) {
                    turn.notice(format!("Failed to fire an event: {reason}"));
                }
            }
            Input::Query(asked, params) => turn.serf.query(now, asked, params),
            Input::Respond(id, payload) => turn.serf.respond(now, id, payload),
            Input::Keys(asked, op, relays) => turn.serf.keys(now, asked, op, relays),
            Input::Unwritten => turn.serf.unwritten(),
        }
        self.settle(now, out);
    }

    /// Does what Serf asks for until it asks for nothing more.
    fn settle(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let mut turn = Turn { now, serf: &mut self.serf, out };
        self.swim.look_after_leave(&mut turn);
        while let Some(ask) = turn.serf.take_ask() {
            match ask {
                Ask::Send(to, bytes) => self.swim.send_user(&mut turn, to, bytes),
                Ask::Join(seeds) => self.swim.join_one(&mut turn, seeds),
                Ask::LeaveSwim => self.swim.leave(&mut turn),
                Ask::SetMeta(meta) => self.swim.announce(&mut turn, meta),
                Ask::SetKeys(keyring) => self.swim.set_keys(keyring),
                Ask::Effect(effect) => {
                    let last = matches!(&effect, Effect::Event(Event::LeftPool | Event::LostName));
                    self.stopped |= last;
                    turn.out.push(effect);
                }
            }
        }
        self.swim.tell_late(&mut turn);
        self.swim.look_for_news(&turn);
        if self.stopped {
            self.swim.stop(&mut turn);
        }
    }

    /// When it wants to be woken, if nothing else happens.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        if self.stopped {
            return None;
        }
        [self.swim.next_wakeup(), self.serf.next_wakeup()].into_iter().flatten().min()
    }

    /// Everyone known, of every status, by name.
    pub fn members(&self) -> impl Iterator<Item = Arc<Member>> {
        self.serf.members()
    }

    /// How many are known, of every status.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.serf.member_count()
    }

    /// Who has this name, if known.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.serf.member(name)
    }

    /// How someone of this name stands and where it is, if known: what [`Self::member`] says of
    /// that, without making a member of it.
    #[must_use]
    pub fn standing(&self, name: &str) -> Option<(MemberStatus, SocketAddr)> {
        self.serf.standing(name)
    }

    /// What the failure detector holds of everyone it knows, in no particular order: who, whether
    /// it answers, and how often it has spoken for itself.
    pub fn detected(&self) -> impl Iterator<Item = (&Arc<str>, Liveness, Incarnation)> {
        self.swim.detected()
    }

    /// What the failure detector holds of this member, if it knows it.
    #[must_use]
    pub fn detected_of(&self, name: &str) -> Option<(Liveness, Incarnation)> {
        self.swim.detected_of(name)
    }

    /// This member.
    ///
    /// # Panics
    /// Never: a pool knows itself from its first step to its last.
    #[must_use]
    pub fn local(&self) -> Arc<Member> {
        self.serf.member(&self.config.name).expect("a pool knows its own member")
    }

    /// This member's place in the network.
    #[must_use]
    pub fn coordinate(&self) -> &Coordinate {
        self.serf.coordinate()
    }

    /// A member's place in the network as it last said.
    #[must_use]
    pub fn coordinate_of(&self, name: &str) -> Option<&Coordinate> {
        self.serf.coordinate_of(name)
    }

    /// How often this member's place became invalid and started anew.
    #[must_use]
    pub fn coordinate_resets(&self) -> u64 {
        self.serf.coordinate_resets()
    }

    /// Serf's clocks.
    #[must_use]
    pub fn clocks(&self) -> Clocks {
        self.serf.clocks()
    }

    /// How many of Serf's messages wait to be told to others.
    #[must_use]
    pub fn queue_lengths(&self) -> QueueLengths {
        self.serf.queue_lengths()
    }

    /// The keys in use.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        self.serf.keyring()
    }

    /// How slow this member must assume to be itself; 0 is best.
    #[must_use]
    pub fn health_score(&self) -> u32 {
        self.swim.health()
    }

    /// Whether it has left the pool, or lost its name, and stays silent.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What operators see.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status {
            health_score: self.swim.health(),
            clocks: self.serf.clocks(),
            queues: self.serf.queue_lengths(),
            member_news: self.swim.queued(),
            encrypted: !self.keyring().is_empty(),
            ..Status::default()
        };
        for member in self.members() {
            status.members += 1;
            match member.status {
                MemberStatus::Failed => status.failed += 1,
                MemberStatus::Left => status.left += 1,
                MemberStatus::None | MemberStatus::Alive | MemberStatus::Leaving => {}
            }
        }
        status
    }

    /// Panics with the broken rule's name.
    pub fn check_invariants(&self) {
        self.swim.check_invariants();
        self.serf.check_invariants();
    }
}
