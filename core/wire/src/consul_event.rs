//! Consul's user events: the payload of the Serf events whose names start with `consul:event:`.
//!
//! Unlike everything else in gossip it is in today's msgpack: bytes have a form of their own, and
//! fields that are empty are left out.

use crate::msgpack::{Cursor, DecodeError, Sink};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// What a Serf event's name starts with when it is one of these; the event's name follows.
pub const NAME_PREFIX: &str = "consul:event:";

/// The version that is sent.
pub const VERSION: u8 = 1;

/// A user event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// A UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it carries.
    pub payload: Bytes,
    /// Regular expression over node names; empty: any.
    pub node_filter: String,
    /// Regular expression over service names; empty: any.
    pub service_filter: String,
    /// Regular expression over the tags of those services; empty: any.
    pub tag_filter: String,
    /// [`VERSION`].
    pub version: u8,
}

/// The payload of an event.
pub fn encode(event: &Event) -> Bytes {
    let optional = [
        !event.node_filter.is_empty(),
        !event.payload.is_empty(),
        !event.service_filter.is_empty(),
        !event.tag_filter.is_empty(),
    ];
    let mut out = Vec::with_capacity(64 + event.payload.len());
    out.map(3 + optional.iter().filter(|&&present| present).count());
    text("ID", &event.id, &mut out);
    text("n", &event.name, &mut out);
    if !event.node_filter.is_empty() {
        text("nf", &event.node_filter, &mut out);
    }
    if !event.payload.is_empty() {
        raw_text("p", &mut out);
        binary(&event.payload, &mut out);
    }
    if !event.service_filter.is_empty() {
        text("sf", &event.service_filter, &mut out);
    }
    if !event.tag_filter.is_empty() {
        text("tf", &event.tag_filter, &mut out);
    }
    raw_text("v", &mut out);
    out.unsigned(u64::from(event.version));
    Bytes::from(out)
}

/// Reads the payload of an event.
///
/// # Errors
/// Bytes that are none.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    const DECLARED: [&str; 7] = ["ID", "n", "p", "nf", "sf", "tf", "v"];
    let mut event = Event::default();
    Cursor::new(bytes).fields(&DECLARED, |index, value| {
        match index {
            0 => event.id = value.string()?,
            1 => event.name = value.string()?,
            2 => event.payload = value.raw()?.unwrap_or_default(),
            3 => event.node_filter = value.string()?,
            4 => event.service_filter = value.string()?,
            5 => event.tag_filter = value.string()?,
            _ => event.version = value.number()?,
        }
        Ok(())
    })?;
    Ok(event)
}

/// A key and a text.
fn text(name: &str, value: &str, out: &mut Vec<u8>) {
    raw_text(name, out);
    raw_text(value, out);
}

/// A text: unlike the older form, one of 32 to 255 bytes has a length of one byte.
fn raw_text(value: &str, out: &mut Vec<u8>) {
    match u8::try_from(value.len()) {
        Ok(length) if length >= 32 => {
            out.put(&[0xd9, length]);
            out.put(value.as_bytes());
        }
        Ok(_) | Err(_) => out.raw(value.as_bytes()),
    }
}

/// Bytes.
fn binary(bytes: &[u8], out: &mut Vec<u8>) {
    match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
        (Ok(length), _) => out.put(&[0xc4, length]),
        (_, Ok(length)) => {
            out.byte(0xc5);
            out.put(&length.to_be_bytes());
        }
        (_, Err(_)) => {
            let length = u32::try_from(bytes.len()).expect("events are less than 4 GiB");
            out.byte(0xc6);
            out.put(&length.to_be_bytes());
        }
    }
    out.put(bytes);
}
