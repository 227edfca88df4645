//! Bodies of Serf's messages: type byte and map, to bytes and back.

use super::{
    EventsAt, Join, Leave, Message, PushPullState, Query, QueryResponse, Relay, UserEvent,
};
use crate::msgpack::{Count, Cursor, DecodeError, Sink};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use proconsul_types::LamportTime;

/// Serf's message numbers.
pub(crate) mod kind {
    /// A leave intent.
    pub(crate) const LEAVE: u8 = 0;
    /// A join intent.
    pub(crate) const JOIN: u8 = 1;
    /// Everything Serf knows.
    pub(crate) const PUSH_PULL: u8 = 2;
    /// A user event.
    pub(crate) const USER_EVENT: u8 = 3;
    /// A query.
    pub(crate) const QUERY: u8 = 4;
    /// An answer to a query.
    pub(crate) const QUERY_RESPONSE: u8 = 5;
    /// An answer's payload: who has the name.
    pub(crate) const CONFLICT: u8 = 6;
    /// A query's payload: a key.
    pub(crate) const KEY_REQUEST: u8 = 7;
    /// An answer's payload: keys.
    pub(crate) const KEY_RESPONSE: u8 = 8;
    /// A message to pass on.
    pub(crate) const RELAY: u8 = 9;
}

impl Message {
    /// Type byte and body: what a memberlist user message carries.
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

    /// Reads one whole message; what follows its body is ignored (but belongs to a relay).
    ///
    /// # Errors
    /// A type that is no message of its own, or a body that cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let number = cursor.byte()?;
        Ok(match number {
            kind::LEAVE => Self::Leave(Leave::read(&mut cursor)?),
            kind::JOIN => Self::Join(Join::read(&mut cursor)?),
            kind::PUSH_PULL => Self::PushPull(PushPullState::read(&mut cursor)?),
            kind::USER_EVENT => Self::UserEvent(UserEvent::read(&mut cursor)?),
            kind::QUERY => Self::Query(Query::read(&mut cursor)?),
            kind::QUERY_RESPONSE => Self::QueryResponse(QueryResponse::read(&mut cursor)?),
            kind::RELAY => Self::Relay(Relay::read(&mut cursor)?),
            other => return Err(DecodeError::Kind(other)),
        })
    }

    fn write(&self, out: &mut impl Sink) {
        match self {
            Self::Leave(leave) => leave.write(out),
            Self::Join(join) => join.write(out),
            Self::PushPull(state) => state.write(out),
            Self::UserEvent(event) => event.write(out),
            Self::Query(query) => query.write(out),
            Self::QueryResponse(response) => response.write(out),
            Self::Relay(relay) => relay.write(out),
        }
    }
}

/// A field name and a time.
fn write_time(name: &str, time: LamportTime, out: &mut impl Sink) {
    out.raw(name.as_bytes());
    out.unsigned(time.0);
}

/// A field name and a text.
fn write_text(name: &str, text: &str, out: &mut impl Sink) {
    out.raw(name.as_bytes());
    out.raw(text.as_bytes());
}

/// A field name and a number.
fn write_number(name: &str, number: u32, out: &mut impl Sink) {
    out.raw(name.as_bytes());
    out.unsigned(u64::from(number));
}

fn read_time(cursor: &mut Cursor<'_>) -> Result<LamportTime, DecodeError> {
    cursor.number().map(LamportTime)
}

impl Leave {
    fn write(&self, out: &mut impl Sink) {
        out.byte(kind::LEAVE);
        out.map(3);
        write_time("LTime", self.time, out);
        write_text("Node", &self.node, out);
        out.raw(b"Prune");
        out.boolean(self.prune);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut leave = Self { time: LamportTime(0), node: Arc::default(), prune: false };
        cursor.fields(&["LTime", "Node", "Prune"], |index, value| {
            match index {
                0 => leave.time = read_time(value)?,
                1 => leave.node = value.text()?,
                _ => leave.prune = value.boolean()?,
            }
            Ok(())
        })?;
        Ok(leave)
    }
}

impl Join {
    fn write(&self, out: &mut impl Sink) {
        out.byte(kind::JOIN);
        out.map(2);
        write_time("LTime", self.time, out);
        write_text("Node", &self.node, out);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut join = Self { time: LamportTime(0), node: Arc::default() };
        cursor.fields(&["LTime", "Node"], |index, value| {
            match index {
                0 => join.time = read_time(value)?,
                _ => join.node = value.text()?,
            }
            Ok(())
        })?;
        Ok(join)
    }
}

impl UserEvent {
    fn write(&self, out: &mut impl Sink) {
        out.byte(kind::USER_EVENT);
        out.map(4);
        out.raw(b"CC");
        out.boolean(self.coalesce);
        write_time("LTime", self.time, out);
        write_text("Name", &self.name, out);
        out.raw(b"Payload");
        out.raw_or_nil(self.payload.as_deref());
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut event =
            Self { time: LamportTime(0), name: Arc::default(), payload: None, coalesce: false };
        cursor.fields(&["LTime", "Name", "Payload", "CC"], |index, value| {
            match index {
                0 => event.time = read_time(value)?,
                1 => event.name = value.text()?,
                2 => event.payload = value.raw()?,
                _ => event.coalesce = value.boolean()?,
            }
            Ok(())
        })?;
        Ok(event)
    }
}

impl Query {
    fn write(&self, out: &mut impl Sink) {
        out.byte(kind::QUERY);
        out.map(11);
        out.raw(b"Addr");
        out.address(self.reply_to.map(|place| place.ip()));
        out.raw(b"Filters");
        if self.filters.is_empty() {
            out.nil();
        } else {
            out.array(self.filters.len());
            self.filters.iter().for_each(|filter| out.raw(filter));
        }
        write_number("Flags", self.flags, out);
        write_number("ID", self.id, out);
        write_time("LTime", self.time, out);
        write_text("Name", &self.name, out);
        out.raw(b"Payload");
        out.raw_or_nil(self.payload.as_deref());
        out.raw(b"Port");
        out.unsigned(self.reply_to.map_or(0, |place| u64::from(place.port())));
        out.raw(b"RelayFactor");
        out.unsigned(u64::from(self.relay_factor));
        write_text("SourceNode", &self.source_node, out);
        out.raw(b"Timeout");
        out.signed(self.timeout_nanos);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        const DECLARED: [&str; 11] = [
            "LTime",
            "ID",
            "Addr",
            "Port",
            "SourceNode",
            "Filters",
            "Flags",
            "RelayFactor",
            "Timeout",
            "Name",
            "Payload",
        ];
        let (mut address, mut port) = (None, 0);
        let mut query = Self {
            time: LamportTime(0),
            id: 0,
            reply_to: None,
            source_node: Arc::default(),
            filters: Vec::new(),
            flags: 0,
            relay_factor: 0,
            timeout_nanos: 0,
            name: Arc::default(),
            payload: None,
        };
        cursor.fields(&DECLARED, |index, value| {
            match index {
                0 => query.time = read_time(value)?,
                1 => query.id = value.number()?,
                2 => address = value.address()?,
                3 => port = value.number()?,
                4 => query.source_node = value.text()?,
                5 => query.filters = read_filters(value)?,
                6 => query.flags = value.number()?,
                7 => query.relay_factor = value.number()?,
                8 => query.timeout_nanos = value.number()?,
                9 => query.name = value.text()?,
                _ => query.payload = value.raw()?,
            }
            Ok(())
        })?;
        query.reply_to =
            address.map(|address: IpAddr| SocketAddr::new(address.to_canonical(), port));
        Ok(query)
    }
}

fn read_filters(cursor: &mut Cursor<'_>) -> Result<Vec<Bytes>, DecodeError> {
    let mut filters = Vec::new();
    for _ in 0..cursor.array()?.unwrap_or(0) {
        filters.push(cursor.raw()?.unwrap_or_default());
    }
    Ok(filters)
}

impl QueryResponse {
    fn write(&self, out: &mut impl Sink) {
        out.byte(kind::QUERY_RESPONSE);
        out.map(5);
        write_number("Flags", self.flags, out);
        write_text("From", &self.from, out);
        write_number("ID", self.id, out);
        write_time("LTime", self.time, out);
        out.raw(b"Payload");
        out.raw_or_nil(self.payload.as_deref());
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut response =
            Self { time: LamportTime(0), id: 0, from: Arc::default(), flags: 0, payload: None };
        cursor.fields(&["LTime", "ID", "From", "Flags", "Payload"], |index, value| {
            match index {
                0 => response.time = read_time(value)?,
                1 => response.id = value.number()?,
                2 => response.from = value.text()?,
                3 => response.flags = value.number()?,
                _ => response.payload = value.raw()?,
            }
            Ok(())
        })?;
        Ok(response)
    }
}

impl Relay {
    fn write(&self, out: &mut impl Sink) {
        out.byte(kind::RELAY);
        out.map(2);
        out.raw(b"DestAddr");
        out.map(3);
        out.raw(b"IP");
        out.address(Some(self.to.ip()));
        out.raw(b"Port");
        out.unsigned(u64::from(self.to.port()));
        write_text("Zone", "", out);
        write_text("DestName", &self.name, out);
        out.put(&self.message);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut name = Arc::default();
        let (mut address, mut port) = (None, 0);
        cursor.fields(&["DestAddr", "DestName"], |index, value| match index {
            0 => value.fields(&["IP", "Port", "Zone"], |index, value| {
                match index {
                    0 => address = value.address()?,
                    1 => port = value.number()?,
                    _ => value.skip()?,
                }
                Ok(())
            }),
            _ => {
                name = value.text()?;
                Ok(())
            }
        })?;
        let address: IpAddr = address.ok_or(DecodeError::Form)?;
        Ok(Self {
            name,
            to: SocketAddr::new(address.to_canonical(), port),
            message: Bytes::copy_from_slice(cursor.rest()),
        })
    }
}

impl PushPullState {
    pub(crate) fn write(&self, out: &mut impl Sink) {
        out.byte(kind::PUSH_PULL);
        out.map(6);
        write_time("EventLTime", self.event_time, out);
        out.raw(b"Events");
        out.array(self.events.len());
        self.events.iter().for_each(|at| at.write(out));
        write_time("LTime", self.time, out);
        out.raw(b"LeftMembers");
        out.array(self.left.len());
        self.left.iter().for_each(|name| out.raw(name.as_bytes()));
        write_time("QueryLTime", self.query_time, out);
        out.raw(b"StatusLTimes");
        out.map(self.status_times.len());
        for (name, time) in self.status_times.iter() {
            write_time(name, *time, out);
        }
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        const DECLARED: [&str; 6] =
            ["LTime", "StatusLTimes", "LeftMembers", "EventLTime", "Events", "QueryLTime"];
        let mut state = Self::default();
        let mut times = Vec::new();
        cursor.fields(&DECLARED, |index, value| {
            match index {
                0 => state.time = read_time(value)?,
                1 => {
                    for _ in 0..value.map()? {
                        times.push((value.text()?, read_time(value)?));
                    }
                }
                2 => {
                    for _ in 0..value.array()?.unwrap_or(0) {
                        state.left.push(value.text()?);
                    }
                }
                3 => state.event_time = read_time(value)?,
                4 => {
                    for _ in 0..value.array()?.unwrap_or(0) {
                        let at = EventsAt::read(value)?;
                        if !at.events.is_empty() {
                            state.events.push(at);
                        }
                    }
                }
                _ => state.query_time = read_time(value)?,
            }
            Ok(())
        })?;
        state.status_times = times.into();
        Ok(state)
    }
}

impl EventsAt {
    fn write(&self, out: &mut impl Sink) {
        out.map(2);
        out.raw(b"Events");
        out.array(self.events.len());
        for (name, payload) in &self.events {
            out.map(2);
            write_text("Name", name, out);
            out.raw(b"Payload");
            out.raw_or_nil(payload.as_deref());
        }
        write_time("LTime", self.time, out);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut at = Self { time: LamportTime(0), events: Vec::new() };
        cursor.fields(&["LTime", "Events"], |index, value| {
            if index == 0 {
                at.time = read_time(value)?;
                return Ok(());
            }
            for _ in 0..value.array()?.unwrap_or(0) {
                let (mut name, mut payload) = (Arc::default(), None);
                value.fields(&["Name", "Payload"], |index, value| {
                    match index {
                        0 => name = value.text()?,
                        _ => payload = value.raw()?,
                    }
                    Ok(())
                })?;
                at.events.push((name, payload));
            }
            Ok(())
        })?;
        Ok(at)
    }
}
