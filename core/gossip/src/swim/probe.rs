//! Probes: one member per interval, directly, then through others and by stream.

use super::formula;
use super::members::is_gone;
use super::order::Order;
use super::streams::Purpose;
use super::{Swim, Timer, Turn};
use crate::face::StreamId;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::net::SocketAddr;
use proconsul_types::{Fault, Incarnation, Instant, Liveness};
use proconsul_wire::memberlist::{Accusation, Ack, IndirectPing, Message, Ping};

/// Pings made for others that may wait for their answers at once.
const RELAYS_MAX: usize = 1024;

/// Members that wait to be probed out of turn; more are left to the rounds.
const DOUBTED_MAX: usize = 64;

/// The member that is being probed.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    sequence: u32,
    node: Arc<str>,
    incarnation: Incarnation,
    sent: Instant,
    /// Whether others have been asked.
    indirect: bool,
    nacks_expected: u32,
    nacks: u32,
    stream: Option<StreamId>,
    /// Whether it answered by stream.
    reached: bool,
}

/// A ping made for another.
#[derive(Clone, Debug)]
pub(super) struct Relay {
    /// The requester's number.
    sequence: u32,
    requester: SocketAddr,
    nack: bool,
}

impl Swim {
    /// Probes the next member, unless the last probe still runs; then as soon as it ends.
    pub(super) fn probe_tick(&mut self, turn: &mut Turn<'_>) {
        self.timers.set(Timer::Probe, turn.now.after(self.config.timing.probe_interval));
        if self.probe.is_some() {
            self.tick_missed = true;
        } else {
            self.probe_next(turn);
        }
    }

    fn probe_next(&mut self, turn: &mut Turn<'_>) {
        let mut checked = 0;
        while checked < self.members.len() {
            if !self.order.covers(self.members.len()) {
                self.order = Order::new(&mut self.order_rng, self.members.len());
            }
            let Some(place) = self.order.next(self.members.len()) else {
                self.forget_gone(turn);
                self.order = Order::new(&mut self.order_rng, self.members.len());
                checked += 1;
                continue;
            };
            let Some(record) = self.members.at(place) else {
                return;
            };
            let suspect = record.liveness == Liveness::Suspect;
            let skipped = suspect && self.config.planted.is(Fault::ProbeSkipsSuspect);
            if self.is_own(record.name()) || is_gone(record.liveness) || skipped {
                checked += 1;
                continue;
            }
            self.probe_place(turn, place);
            return;
        }
    }

    /// A member may be gone: it is probed now, or after the probe that is under way. The rounds go
    /// on beside, so that nobody's turn is lost to it.
    pub(crate) fn doubt(&mut self, turn: &mut Turn<'_>, name: &Arc<str>) {
        let known = self.doubted.contains(name);
        if self.silent || self.is_own(name) || known || self.doubted.len() >= DOUBTED_MAX {
            return;
        }
        self.doubted.push_back(Arc::clone(name));
        if self.probe.is_none() {
            self.probe_doubted(turn);
        }
    }

    fn probe_doubted(&mut self, turn: &mut Turn<'_>) {
        while let Some(name) = self.doubted.pop_front() {
            let is_alive = self.members.get(&name).is_some_and(|r| r.liveness == Liveness::Alive);
            if let Some(place) = self.members.place(&name).filter(|_| is_alive) {
                self.probe_place(turn, place);
                return;
            }
        }
    }

    fn probe_place(&mut self, turn: &mut Turn<'_>, place: usize) {
        let Some(target) = self.members.at(place).cloned() else {
            return;
        };
        let timing = &self.config.timing;
        let patience = timing.probe_interval.saturating_mul(self.health + 1);
        self.timers.set(Timer::ProbeTimeout, turn.now.after(timing.probe_timeout));
        self.timers.set(Timer::ProbeEnd, turn.now.after(patience));
        let sequence = self.next_sequence();
        self.probe = Some(Probe {
            sequence,
            node: Arc::clone(target.name()),
            incarnation: target.incarnation(),
            sent: turn.now,
            indirect: false,
            nacks_expected: 0,
            nacks: 0,
            stream: None,
            reached: false,
        });
        let Some(address) = target.address() else {
            self.probe_indirectly(turn);
            return;
        };
        let ping = Message::Ping(Box::new(self.ping(sequence, target.name())));
        match target.liveness {
            Liveness::Suspect => {
                // whoever is suspected hears of it first from who probes it
                let said = Accusation {
                    incarnation: target.incarnation(),
                    node: Arc::clone(target.name()),
                    from: Arc::clone(&self.config.name),
                };
                let checksum = target.protocol_max >= 5;
                let messages = alloc::vec![ping, Message::Suspect(Arc::new(said))];
                self.send(turn, address, checksum, messages);
            }
            Liveness::Alive | Liveness::Dead | Liveness::Left => {
                self.send_with_news(turn, address, ping);
            }
        }
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    pub(super) fn ping(&self, sequence: u32, node: &Arc<str>) -> Ping {
        Ping {
            sequence,
            node: Arc::clone(node),
            source: Some(self.config.advertised),
            source_node: Arc::clone(&self.config.name),
        }
    }

    /// The direct answer did not come: others are asked to try, and a stream is.
    pub(super) fn probe_indirectly(&mut self, turn: &mut Turn<'_>) {
        self.timers.clear(&Timer::ProbeTimeout);
        let Some(mut probe) = self.probe.take() else {
            return;
        };
        probe.indirect = true;
        let target = self.members.get(&probe.node).cloned();
        let address = target.as_ref().and_then(super::members::Record::address);
        if let (Some(target), Some(address)) = (&target, address) {
            self.ask_others(turn, &mut probe, address);
            if target.protocol_max >= 3 {
                let purpose = Purpose::Ping(probe.sequence, Arc::clone(&probe.node));
                let deadline = self.timers.get(&Timer::ProbeEnd).unwrap_or(turn.now);
                probe.stream = Some(self.dial(turn, address, purpose, deadline));
            }
        }
        self.probe = Some(probe);
    }

    fn ask_others(&mut self, turn: &mut Turn<'_>, probe: &mut Probe, target: SocketAddr) {
        let mut drawn = core::mem::take(&mut self.drawn);
        let count = self.config.timing.indirect_checks;
        let own = &self.config.name;
        self.members.draw(&mut self.relay_rng, count, &mut drawn, |record| {
            let name = record.name();
            record.liveness == Liveness::Alive && name != own && *name != probe.node
        });
        for place in &drawn {
            let Some(helper) = self.members.at(*place).cloned() else {
                continue;
            };
            let Some(address) = helper.address() else {
                continue;
            };
            let nack = helper.protocol_max >= 4;
            probe.nacks_expected += u32::from(nack);
            let please = IndirectPing {
                sequence: probe.sequence,
                node: Arc::clone(&probe.node),
                target: Some(target.ip()),
                port: target.port(),
                nack,
                source: Some(self.config.advertised),
                source_node: Arc::clone(&self.config.name),
            };
            self.send_with_news(turn, address, Message::IndirectPing(Box::new(please)));
        }
        self.drawn = drawn;
    }

    /// The probed member has no more time.
    pub(super) fn probe_ended(&mut self, turn: &mut Turn<'_>) {
        let Some(probe) = self.probe.take() else {
            return;
        };
        if probe.reached {
            turn.notice(format!(
                "Was able to connect to {} over TCP but UDP probes failed, network may be \
                 misconfigured",
                probe.node
            ));
            self.strain(-1);
            self.probe_over(turn, probe.stream);
            return;
        }
        let missing = probe.nacks_expected.saturating_sub(probe.nacks);
        let strain = if probe.nacks_expected > 0 { missing } else { 1 };
        self.strain(i32::try_from(strain).unwrap_or(i32::MAX));
        let said = Accusation {
            incarnation: probe.incarnation,
            node: Arc::clone(&probe.node),
            from: Arc::clone(&self.config.name),
        };
        self.suspect(turn, &Arc::new(said));
        self.probe_over(turn, probe.stream);
    }

    /// Cleans up after a probe, and makes the one that it held up.
    fn probe_over(&mut self, turn: &mut Turn<'_>, stream: Option<StreamId>) {
        self.timers.clear(&Timer::ProbeTimeout);
        self.timers.clear(&Timer::ProbeEnd);
        if let Some(stream) = stream {
            self.hang_up(turn, stream);
        }
        if self.tick_missed {
            self.tick_missed = false;
            self.probe_next(turn);
        }
        if self.probe.is_none() {
            self.probe_doubted(turn);
        }
    }

    /// An answer to a ping of ours: to a probe, or to one made for another.
    pub(super) fn acked(&mut self, turn: &mut Turn<'_>, ack: &Ack) {
        if let Some(probe) = self.probe.take_if(|probe| probe.sequence == ack.sequence) {
            if let (false, Some(payload)) = (probe.indirect, &ack.payload) {
                let rtt = turn.now.since(probe.sent);
                turn.serf.on_ack(&probe.node, payload, rtt);
            }
            self.strain(-1);
            self.probe_over(turn, probe.stream);
        } else if let Some(relay) = self.relays.remove(&ack.sequence) {
            self.timers.clear(&Timer::Relay(ack.sequence));
            let yes = Ack { sequence: relay.sequence, payload: None };
            self.send_with_news(turn, relay.requester, Message::Ack(yes));
        }
    }

    /// Someone could not reach the probed member either: its fault, not ours.
    pub(super) fn nacked(&mut self, sequence: u32) {
        if self.config.planted.is(Fault::NackNotCounted) {
            return;
        }
        if let Some(probe) = &mut self.probe
            && probe.sequence == sequence
        {
            probe.nacks = probe.nacks.saturating_add(1);
        }
    }

    /// The probed member answered by stream.
    pub(super) fn reached_by_stream(&mut self, sequence: u32) {
        if let Some(probe) = &mut self.probe
            && probe.sequence == sequence
        {
            probe.reached = true;
            probe.stream = None;
        }
    }

    /// Someone probes this member.
    pub(super) fn pinged(&mut self, turn: &mut Turn<'_>, from: SocketAddr, ping: &Ping) {
        if !ping.node.is_empty() && !self.is_own(&ping.node) {
            turn.notice(format!("Got ping for unexpected node '{}' from={from}", ping.node));
            return;
        }
        let payload = turn.serf.ack_payload();
        let ack = Ack { sequence: ping.sequence, payload: Some(payload) };
        self.send_with_news(turn, ping.source.unwrap_or(from), Message::Ack(ack));
    }

    /// Someone wants a third member probed.
    pub(super) fn asked_to_ping(
        &mut self,
        turn: &mut Turn<'_>,
        from: SocketAddr,
        please: &IndirectPing,
    ) {
        if self.relays.len() >= RELAYS_MAX {
            return;
        }
        let mut sequence = self.next_sequence();
        while self.relays.contains_key(&sequence) {
            sequence = self.next_sequence();
        }
        let requester = please.source.unwrap_or(from);
        let relay = Relay { sequence: please.sequence, requester, nack: please.nack };
        self.relays.insert(sequence, relay);
        let patience = self.config.timing.probe_timeout;
        self.timers.set(Timer::Relay(sequence), turn.now.after(patience));
        if let Some(target) = please.target {
            let port = if please.port == 0 { self.config.bind_port } else { please.port };
            let ping = Message::Ping(Box::new(self.ping(sequence, &please.node)));
            self.send_with_news(turn, SocketAddr::new(target, port), ping);
        }
    }

    /// The third member did not answer.
    pub(super) fn relay_expired(&mut self, turn: &mut Turn<'_>, sequence: u32) {
        if let Some(relay) = self.relays.remove(&sequence)
            && relay.nack
        {
            let no = Message::Nack { sequence: relay.sequence };
            self.send_with_news(turn, relay.requester, no);
        }
    }

    /// The next full exchange, with anyone alive.
    pub(super) fn exchange_round(&mut self, turn: &mut Turn<'_>) {
        let interval = formula::push_pull_interval(&self.config.timing, self.members.len());
        self.timers.set(Timer::PushPull, turn.now.after(interval));
        let mut drawn = core::mem::take(&mut self.drawn);
        let own = &self.config.name;
        self.members.draw(&mut self.exchange_rng, 1, &mut drawn, |record| {
            record.liveness == Liveness::Alive && record.name() != own
        });
        let address = drawn
            .first()
            .and_then(|place| self.members.at(*place))
            .and_then(super::members::Record::address);
        self.drawn = drawn;
        if let Some(address) = address {
            let deadline = turn.now.after(self.config.timing.stream_timeout);
            self.dial(turn, address, Purpose::Exchange { join: None }, deadline);
        }
    }
}
