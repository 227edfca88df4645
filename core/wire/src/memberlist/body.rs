//! Bodies of memberlist's messages: type byte and map, to bytes and back.

use super::{Accusation, Ack, Alive, IndirectPing, Message, Ping};
use crate::msgpack::{Count, Cursor, DecodeError, Sink};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use proconsul_types::Incarnation;

/// memberlist's message numbers.
pub(crate) mod kind {
    /// A ping.
    pub(crate) const PING: u8 = 0;
    /// A ping for another.
    pub(crate) const INDIRECT_PING: u8 = 1;
    /// An ack.
    pub(crate) const ACK: u8 = 2;
    /// A suspicion.
    pub(crate) const SUSPECT: u8 = 3;
    /// A member.
    pub(crate) const ALIVE: u8 = 4;
    /// A death or a leave.
    pub(crate) const DEAD: u8 = 5;
    /// Everything one side knows (streams).
    pub(crate) const PUSH_PULL: u8 = 6;
    /// Several messages (datagrams).
    pub(crate) const COMPOUND: u8 = 7;
    /// Serf's.
    pub(crate) const USER: u8 = 8;
    /// A compressed message.
    pub(crate) const COMPRESS: u8 = 9;
    /// An encrypted message (streams).
    pub(crate) const ENCRYPT: u8 = 10;
    /// A nack.
    pub(crate) const NACK: u8 = 11;
    /// A message with its checksum (datagrams).
    pub(crate) const CHECKSUM: u8 = 12;
    /// A refusal (streams).
    pub(crate) const ERROR: u8 = 13;
    /// A label before everything else.
    pub(crate) const LABEL: u8 = 244;
}

impl Message {
    /// Type byte and body, as inside a datagram.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.write(&mut out);
        Bytes::from(out)
    }

    /// How many bytes [`Message::to_bytes`] makes.
    pub fn encoded_len(&self) -> usize {
        let mut count = Count::default();
        self.write(&mut count);
        count.0
    }

    /// Reads one whole message: type byte and body; what follows the body is ignored.
    ///
    /// # Errors
    /// A type that is no single message of datagrams, or a body that cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let number = cursor.byte()?;
        Ok(match number {
            kind::PING => Self::Ping(Box::new(Ping::read(&mut cursor)?)),
            kind::INDIRECT_PING => Self::IndirectPing(Box::new(IndirectPing::read(&mut cursor)?)),
            kind::ACK => Self::Ack(Ack::read(&mut cursor)?),
            kind::SUSPECT => Self::Suspect(Arc::new(Accusation::read(&mut cursor)?)),
            kind::ALIVE => Self::Alive(Arc::new(Alive::read(&mut cursor)?)),
            kind::DEAD => Self::Dead(Arc::new(Accusation::read(&mut cursor)?)),
            kind::USER => Self::User(Bytes::copy_from_slice(cursor.rest())),
            kind::NACK => Self::Nack { sequence: read_nack(&mut cursor)? },
            other => return Err(DecodeError::Kind(other)),
        })
    }

    /// Writes type byte and body.
    pub(crate) fn write(&self, out: &mut impl Sink) {
        match self {
            Self::Ping(ping) => ping.write(out),
            Self::IndirectPing(ping) => ping.write(out),
            Self::Ack(ack) => ack.write(out),
            Self::Suspect(accusation) => accusation.write(kind::SUSPECT, out),
            Self::Alive(alive) => {
                out.byte(kind::ALIVE);
                alive.write(None, out);
            }
            Self::Dead(accusation) => accusation.write(kind::DEAD, out),
            Self::User(bytes) => {
                out.byte(kind::USER);
                out.put(bytes);
            }
            Self::Nack { sequence } => {
                out.byte(kind::NACK);
                out.map(1);
                out.raw(b"SeqNo");
                out.unsigned(u64::from(*sequence));
            }
        }
    }
}

fn read_nack(cursor: &mut Cursor<'_>) -> Result<u32, DecodeError> {
    let mut sequence = 0;
    cursor.fields(&["SeqNo"], |_, value| {
        sequence = value.number()?;
        Ok(())
    })?;
    Ok(sequence)
}

/// The three fields that say who asks: how many of them are there, and what they hold.
struct Source<'a> {
    place: Option<SocketAddr>,
    node: &'a str,
}

impl Source<'_> {
    /// How many fields are written. Address and port go together.
    const fn count(&self) -> usize {
        let place = if self.place.is_some() { 2 } else { 0 };
        if self.node.is_empty() { place } else { place + 1 }
    }

    /// The fields; they are the last ones but `Target`.
    fn write(&self, out: &mut impl Sink) {
        if let Some(place) = self.place {
            out.raw(b"SourceAddr");
            out.address(Some(place.ip()));
        }
        if !self.node.is_empty() {
            out.raw(b"SourceNode");
            out.raw(self.node.as_bytes());
        }
        if let Some(place) = self.place {
            out.raw(b"SourcePort");
            out.unsigned(u64::from(place.port()));
        }
    }
}

/// Where an answer goes: an address and a port that is not 0. Sockets want the short form of an
/// address that has one.
fn reply_place(address: Option<IpAddr>, port: u16) -> Option<SocketAddr> {
    address.filter(|_| port != 0).map(|address| SocketAddr::new(address.to_canonical(), port))
}

impl Ping {
    pub(crate) fn write(&self, out: &mut impl Sink) {
        let source = Source { place: self.source, node: &self.source_node };
        out.byte(kind::PING);
        out.map(2 + source.count());
        out.raw(b"Node");
        out.raw(self.node.as_bytes());
        out.raw(b"SeqNo");
        out.unsigned(u64::from(self.sequence));
        source.write(out);
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        const DECLARED: [&str; 5] = ["SeqNo", "Node", "SourceAddr", "SourcePort", "SourceNode"];
        let mut ping = Self::default();
        let (mut address, mut port) = (None, 0);
        cursor.fields(&DECLARED, |index, value| {
            match index {
                0 => ping.sequence = value.number()?,
                1 => ping.node = value.text()?,
                2 => address = value.address()?,
                3 => port = value.number()?,
                _ => ping.source_node = value.text()?,
            }
            Ok(())
        })?;
        ping.source = reply_place(address, port);
        Ok(ping)
    }
}

impl IndirectPing {
    fn write(&self, out: &mut impl Sink) {
        let source = Source { place: self.source, node: &self.source_node };
        out.byte(kind::INDIRECT_PING);
        out.map(5 + source.count());
        out.raw(b"Nack");
        out.boolean(self.nack);
        out.raw(b"Node");
        out.raw(self.node.as_bytes());
        out.raw(b"Port");
        out.unsigned(u64::from(self.port));
        out.raw(b"SeqNo");
        out.unsigned(u64::from(self.sequence));
        source.write(out);
        out.raw(b"Target");
        out.address(self.target);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        const DECLARED: [&str; 8] =
            ["SeqNo", "Target", "Port", "Node", "Nack", "SourceAddr", "SourcePort", "SourceNode"];
        let (mut address, mut port) = (None, 0);
        let mut ping = Self {
            sequence: 0,
            node: Arc::default(),
            target: None,
            port: 0,
            nack: false,
            source: None,
            source_node: Arc::default(),
        };
        cursor.fields(&DECLARED, |index, value| {
            match index {
                0 => ping.sequence = value.number()?,
                1 => ping.target = value.address()?.map(|target| target.to_canonical()),
                2 => ping.port = value.number()?,
                3 => ping.node = value.text()?,
                4 => ping.nack = value.boolean()?,
                5 => address = value.address()?,
                6 => port = value.number()?,
                _ => ping.source_node = value.text()?,
            }
            Ok(())
        })?;
        ping.source = reply_place(address, port);
        Ok(ping)
    }
}

impl Ack {
    pub(crate) fn write(&self, out: &mut impl Sink) {
        out.byte(kind::ACK);
        out.map(2);
        out.raw(b"Payload");
        out.raw_or_nil(self.payload.as_deref());
        out.raw(b"SeqNo");
        out.unsigned(u64::from(self.sequence));
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut ack = Self::default();
        cursor.fields(&["SeqNo", "Payload"], |index, value| {
            match index {
                0 => ack.sequence = value.number()?,
                _ => ack.payload = value.raw()?,
            }
            Ok(())
        })?;
        Ok(ack)
    }
}

impl Accusation {
    fn write(&self, number: u8, out: &mut impl Sink) {
        out.byte(number);
        out.map(3);
        out.raw(b"From");
        out.raw(self.from.as_bytes());
        out.raw(b"Incarnation");
        out.unsigned(u64::from(self.incarnation.0));
        out.raw(b"Node");
        out.raw(self.node.as_bytes());
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let (mut incarnation, mut node, mut from) = (0, Arc::default(), Arc::default());
        cursor.fields(&["Incarnation", "Node", "From"], |index, value| {
            match index {
                0 => incarnation = value.number()?,
                1 => node = value.text()?,
                _ => from = value.text()?,
            }
            Ok(())
        })?;
        Ok(Self { incarnation: Incarnation(incarnation), node, from })
    }
}

impl Default for Alive {
    /// What a message without any field says.
    fn default() -> Self {
        Self {
            incarnation: Incarnation(0),
            node: Arc::default(),
            address: None,
            port: 0,
            meta: None,
            versions: Vec::new(),
        }
    }
}

impl Alive {
    /// Writes the body: of an alive message, or with a state that of a push/pull's member.
    pub(crate) fn write(&self, state: Option<u8>, out: &mut impl Sink) {
        out.map(if state.is_some() { 7 } else { 6 });
        out.raw(b"Addr");
        out.address(self.address);
        out.raw(b"Incarnation");
        out.unsigned(u64::from(self.incarnation.0));
        out.raw(b"Meta");
        out.raw_or_nil(self.meta.as_deref());
        out.raw(if state.is_some() { b"Name" } else { b"Node" });
        out.raw(self.node.as_bytes());
        out.raw(b"Port");
        out.unsigned(u64::from(self.port));
        if let Some(state) = state {
            out.raw(b"State");
            out.unsigned(u64::from(state));
        }
        out.raw(b"Vsn");
        out.raw(&self.versions);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        const DECLARED: [&str; 6] = ["Incarnation", "Node", "Addr", "Port", "Meta", "Vsn"];
        let mut alive = Self::default();
        cursor.fields(&DECLARED, |index, value| {
            match index {
                0 => alive.incarnation = Incarnation(value.number()?),
                1 => alive.node = value.text()?,
                2 => alive.address = value.address()?,
                3 => alive.port = value.number()?,
                4 => alive.meta = value.raw()?,
                _ => alive.versions = value.raw_vec()?,
            }
            Ok(())
        })?;
        Ok(alive)
    }
}
