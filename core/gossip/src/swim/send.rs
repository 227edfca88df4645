//! Datagrams: out with as much news as fits, in with every check.

use super::members::Record;
use super::{Swim, Timer, Turn};
use crate::config::COMPOUND_BYTES;
use crate::face::Effect;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::{Duration, Instant, Rng};
use proconsul_wire::crypto::Seal;
use proconsul_wire::memberlist::Message;
use proconsul_wire::packet::{self, Datagram, MESSAGES_MAX};

/// Bytes around a user message in a compound: its length and its type.
const USER_BYTES: usize = 3;
/// About so many pieces of news fit into a datagram.
const NEWS_USUAL: usize = 32;

/// Numbers used once: a prefix that is random for each pool and start, and a counter. Two starts
/// with one key would have to draw the same 64 bits.
#[derive(Clone, Debug)]
pub(super) struct Nonces {
    rng: Rng,
    prefix: u64,
    counter: u32,
}

impl Nonces {
    pub(super) fn new(mut rng: Rng) -> Self {
        let prefix = rng.next_u64();
        Self { rng, prefix, counter: 0 }
    }

    fn next(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.prefix.to_be_bytes());
        nonce[8..].copy_from_slice(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        if self.counter == 0 {
            self.prefix = self.rng.next_u64();
        }
        nonce
    }
}

impl Swim {
    /// What seals the next message, if anything does.
    pub(super) fn seal(&mut self) -> Option<Seal> {
        if !self.config.verify_outgoing {
            return None;
        }
        let key = self.keyring.primary()?.clone();
        Some(Seal { key, nonce: self.nonces.next(), version: 1 })
    }

    /// Sends these messages as they are; more than a compound can hold go in several datagrams.
    pub(super) fn send(
        &mut self,
        turn: &mut Turn<'_>,
        to: SocketAddr,
        checksum: bool,
        mut messages: Vec<Message>,
    ) {
        while !messages.is_empty() {
            let rest = messages.split_off(messages.len().min(MESSAGES_MAX));
            let datagram = Datagram {
                label: self.config.label.clone(),
                seal: self.seal(),
                checksum,
                compress: self.config.compress,
                messages,
            };
            turn.out.push(Effect::Send(to, datagram));
            messages = rest;
        }
    }

    /// Sends a message and whatever news fit beside it.
    pub(super) fn send_with_news(&mut self, turn: &mut Turn<'_>, to: SocketAddr, message: Message) {
        if !self.has_news(turn) {
            self.send(turn, to, false, alloc::vec![message]);
            return;
        }
        let room = self.packet_room().saturating_sub(message.encoded_len());
        let mut messages = Vec::with_capacity(1 + self.queue.len().min(NEWS_USUAL));
        messages.push(message);
        self.news(turn, room, &mut messages);
        self.send(turn, to, false, messages);
    }

    /// A user message of Serf's, straight to someone.
    pub(crate) fn send_user(&mut self, turn: &mut Turn<'_>, to: SocketAddr, bytes: Bytes) {
        self.send(turn, to, false, alloc::vec![Message::User(bytes)]);
    }

    /// Bytes that parts may take in one datagram.
    fn packet_room(&self) -> usize {
        self.config.packet_room(!self.keyring.is_empty())
    }

    /// Whether a message fits into a datagram at all. Others would wait in the queue for good.
    pub(super) fn fits(&self, message: &Message) -> bool {
        self.has_room_for(message.encoded_len())
    }

    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        bytes + COMPOUND_BYTES <= self.packet_room()
    }

    /// Appends news that fit into `room` bytes: first about members, then Serf's.
    fn news(&mut self, turn: &mut Turn<'_>, room: usize, messages: &mut Vec<Message>) {
        let timing = &self.config.timing;
        let limit = super::formula::retransmit_limit(timing.retransmit_mult, self.members.len());
        let count = MESSAGES_MAX.saturating_sub(messages.len());
        messages.reserve(self.queue.len().min(count).min(NEWS_USUAL));
        let used = self.queue.take(limit, COMPOUND_BYTES, room, count, |news| {
            messages.push(Message::from(news.clone()));
        });
        let left = room.saturating_sub(used);
        if left > USER_BYTES {
            let mut above = core::mem::take(&mut self.above);
            turn.serf.broadcasts(left, &mut above);
            messages.extend(above.drain(..).map(Message::User));
            self.above = above;
        }
    }

    /// Sees to it that there is a next round if there is something to tell. Rounds keep their
    /// rhythm, so that news wait as long as if there had been idle rounds before.
    pub(crate) fn look_for_news(&mut self, turn: &Turn<'_>) {
        if self.silent || !self.has_news(turn) {
            return;
        }
        if self.timers.get(&Timer::Gossip).is_none() {
            let round = self.next_round(turn.now);
            self.timers.set(Timer::Gossip, round);
        }
    }

    fn has_news(&self, turn: &Turn<'_>) -> bool {
        !self.queue.is_empty() || !turn.serf.queue_lengths().is_empty()
    }

    /// The first moment after `now` at which a round begins.
    fn next_round(&self, now: Instant) -> Instant {
        if now < self.first_round {
            return self.first_round;
        }
        let interval = self.config.timing.gossip_interval.as_nanos().max(1);
        let into = now.since(self.first_round).as_nanos() % interval;
        let left = u64::try_from(interval - into).unwrap_or(u64::MAX);
        now.after(Duration::from_nanos(left))
    }

    /// Tells a few random members what is new.
    pub(super) fn gossip_round(&mut self, turn: &mut Turn<'_>) {
        if !self.has_news(turn) {
            return; // all of it went along with other packets
        }
        let mut drawn = core::mem::take(&mut self.drawn);
        let mut rng = self.gossip_rng.clone();
        let count = self.config.timing.gossip_nodes;
        self.members.draw(&mut rng, count, &mut drawn, |record| self.hears_news(turn, record));
        self.gossip_rng = rng;
        for place in &drawn {
            let Some(record) = self.members.at(*place) else {
                continue;
            };
            let Some(address) = record.address() else {
                continue;
            };
            let checksum = record.protocol_max >= 5;
            let mut messages = Vec::new();
            self.news(turn, self.packet_room(), &mut messages);
            if messages.is_empty() {
                break;
            }
            self.send(turn, address, checksum, messages);
        }
        self.drawn = drawn;
    }

    /// Bytes came.
    pub(crate) fn packet(&mut self, turn: &mut Turn<'_>, from: SocketAddr, bytes: &Bytes) {
        let verify = self.config.verify_incoming;
        match packet::open(bytes, &self.keyring, &self.config.label, verify) {
            Ok(opened) => {
                for reason in opened.skipped {
                    turn.notice(format!("Failed to read a message: {reason} from={from}"));
                }
                for message in &opened.messages {
                    self.heard(turn, from, message);
                }
            }
            Err(reason) => turn.notice(format!("Failed to read a packet: {reason} from={from}")),
        }
    }

    /// A datagram came as a value: what its bytes would have been refused for refuses it too.
    pub(crate) fn datagram(&mut self, turn: &mut Turn<'_>, from: SocketAddr, datagram: &Datagram) {
        if datagram.label != self.config.label {
            turn.notice(format!("Discarding a packet with another label from={from}"));
            return;
        }
        let accepted = match (&datagram.seal, self.keyring.is_empty()) {
            (None, true) => true,
            (None, false) => !self.config.verify_incoming,
            (Some(_), true) => false,
            (Some(seal), false) => self.keyring.keys().contains(&seal.key),
        };
        if !accepted {
            turn.notice(format!("Discarding a packet that no key opens from={from}"));
            return;
        }
        for message in &datagram.messages {
            self.heard(turn, from, message);
        }
    }

    fn heard(&mut self, turn: &mut Turn<'_>, from: SocketAddr, message: &Message) {
        match message {
            Message::Ping(ping) => self.pinged(turn, from, ping),
            Message::IndirectPing(please) => self.asked_to_ping(turn, from, please),
            Message::Ack(ack) => self.acked(turn, ack),
            Message::Nack { sequence } => self.nacked(*sequence),
            Message::Suspect(said) => self.suspect(turn, said),
            Message::Alive(alive) if self.is_allowed(from.ip()) => self.alive(turn, alive, false),
            Message::Alive(alive) => {
                let name = &alive.node;
                turn.notice(format!("Blocked an alive message for '{name}' from={from}"));
            }
            Message::Dead(said) => self.dead(turn, said),
            Message::User(bytes) => turn.serf.on_user(turn.now, bytes),
        }
    }

    /// Whether anyone else is alive.
    pub(super) fn anyone_alive(&self) -> bool {
        let own = self.own().is_some_and(|own| !Record::is_gone(own));
        self.members.alive() > usize::from(own)
    }
}
