//! What Serf puts inside other messages: tags, coordinates, filters, keys, the holder of a name.

use super::body::kind;
use super::{ConflictMember, Filter, KeyRequest, KeyResponse};
use crate::memberlist::Versions;
use crate::msgpack::{Cursor, DecodeError, Sink};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{Coordinate, TextMap};

/// First byte of encoded tags: without it, the bytes are the role.
const TAGS_MARK: u8 = 0xff;

/// First byte of a coordinate in an ack.
const COORDINATE_VERSION: u8 = 1;

/// Numbers of the kinds of filter.
mod filter_kind {
    pub(super) const NODES: u8 = 0;
    pub(super) const TAG: u8 = 1;
}

/// Tags as a member's meta holds them, in ascending order.
pub fn encode_tags(tags: &TextMap) -> Bytes {
    let mut out = Vec::new();
    out.byte(TAGS_MARK);
    write_tags(tags, &mut out);
    Bytes::from(out)
}

/// The tags in a member's meta. Bytes without the mark are the value of `role`; of a map that
/// breaks off, the pairs before count.
pub fn decode_tags(bytes: &[u8]) -> TextMap {
    let mut tags = TextMap::new();
    match bytes.split_first() {
        Some((&TAGS_MARK, map)) => {
            // An unreadable rest is the peer's mistake, and the pairs before it are its word.
            read_tags(&mut Cursor::new(map), &mut tags).unwrap_or_default();
        }
        Some(_) | None => {
            tags.insert(Arc::from("role"), Arc::from(String::from_utf8_lossy(bytes)));
        }
    }
    tags
}

fn write_tags(tags: &TextMap, out: &mut impl Sink) {
    out.map(tags.len());
    for (name, value) in tags {
        out.raw(name.as_bytes());
        out.raw(value.as_bytes());
    }
}

fn read_tags(cursor: &mut Cursor<'_>, tags: &mut TextMap) -> Result<(), DecodeError> {
    for _ in 0..cursor.map()? {
        tags.insert(cursor.text()?, cursor.text()?);
    }
    Ok(())
}

/// A coordinate as an ack carries it.
pub fn encode_coordinate(coordinate: &Coordinate) -> Bytes {
    let mut out = Vec::with_capacity(128);
    out.byte(COORDINATE_VERSION);
    out.map(4);
    out.raw(b"Adjustment");
    out.float(coordinate.adjustment);
    out.raw(b"Error");
    out.float(coordinate.error);
    out.raw(b"Height");
    out.float(coordinate.height);
    out.raw(b"Vec");
    out.array(coordinate.vector.len());
    coordinate.vector.iter().for_each(|&place| out.float(place));
    Bytes::from(out)
}

/// The coordinate in an ack. Its numbers may still be no numbers: the reader's to refuse.
///
/// # Errors
/// Another version, other than eight dimensions, or bytes that are none.
pub fn decode_coordinate(bytes: &[u8]) -> Result<Coordinate, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let version = cursor.byte()?;
    if version != COORDINATE_VERSION {
        return Err(DecodeError::Kind(version));
    }
    let mut coordinate = Coordinate { vector: [0.0; 8], error: 0.0, adjustment: 0.0, height: 0.0 };
    let mut dimensions = 0;
    cursor.fields(&["Vec", "Error", "Adjustment", "Height"], |index, value| {
        match index {
            0 => {
                dimensions = value.array()?.unwrap_or(0);
                if dimensions != coordinate.vector.len() {
                    return Err(DecodeError::Form);
                }
                for place in &mut coordinate.vector {
                    *place = value.float()?;
                }
            }
            1 => coordinate.error = value.float()?,
            2 => coordinate.adjustment = value.float()?,
            _ => coordinate.height = value.float()?,
        }
        Ok(())
    })?;
    if dimensions == 0 {
        return Err(DecodeError::Form);
    }
    Ok(coordinate)
}

impl Filter {
    /// Kind byte and content, as a query holds it.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Nodes(names) => {
                out.byte(filter_kind::NODES);
                out.array(names.len());
                names.iter().for_each(|name| out.raw(name.as_bytes()));
            }
            Self::Tag { tag, expression } => {
                out.byte(filter_kind::TAG);
                out.map(2);
                out.raw(b"Expr");
                out.raw(expression.as_bytes());
                out.raw(b"Tag");
                out.raw(tag.as_bytes());
            }
        }
        Bytes::from(out)
    }

    /// Reads a filter.
    ///
    /// # Errors
    /// A kind that is not known, or content that cannot be read: the query matches nobody.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        match cursor.byte()? {
            filter_kind::NODES => {
                let mut names = Vec::new();
                for _ in 0..cursor.array()?.unwrap_or(0) {
                    names.push(cursor.text()?);
                }
                Ok(Self::Nodes(names))
            }
            filter_kind::TAG => {
                let (mut tag, mut expression) = (String::new(), String::new());
                cursor.fields(&["Tag", "Expr"], |index, value| {
                    match index {
                        0 => tag = value.string()?,
                        _ => expression = value.string()?,
                    }
                    Ok(())
                })?;
                Ok(Self::Tag { tag, expression })
            }
            other => Err(DecodeError::Kind(other)),
        }
    }
}

/// A cursor behind the type byte that must come first.
fn behind(bytes: &[u8], number: u8) -> Result<Cursor<'_>, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let found = cursor.byte()?;
    if found == number { Ok(cursor) } else { Err(DecodeError::Kind(found)) }
}

impl KeyRequest {
    /// Type byte and body: a key query's payload.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.byte(kind::KEY_REQUEST);
        out.map(1);
        out.raw(b"Key");
        out.raw(&self.key);
        Bytes::from(out)
    }

    /// Reads a key query's payload.
    ///
    /// # Errors
    /// Another type, or a body that cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut request = Self::default();
        behind(bytes, kind::KEY_REQUEST)?.fields(&["Key"], |_, value| {
            request.key = value.raw()?.unwrap_or_default();
            Ok(())
        })?;
        Ok(request)
    }
}

impl KeyResponse {
    /// Type byte and body: the payload of an answer to a key query.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.byte(kind::KEY_RESPONSE);
        out.map(4);
        out.raw(b"Keys");
        if self.keys.is_empty() {
            out.nil();
        } else {
            out.array(self.keys.len());
            self.keys.iter().for_each(|key| out.raw(key.as_bytes()));
        }
        out.raw(b"Message");
        out.raw(self.message.as_bytes());
        out.raw(b"PrimaryKey");
        out.raw(self.primary.as_bytes());
        out.raw(b"Result");
        out.boolean(self.result);
        Bytes::from(out)
    }

    /// Reads the payload of an answer to a key query.
    ///
    /// # Errors
    /// Another type, or a body that cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const DECLARED: [&str; 4] = ["Result", "Message", "Keys", "PrimaryKey"];
        let mut response = Self::default();
        behind(bytes, kind::KEY_RESPONSE)?.fields(&DECLARED, |index, value| {
            match index {
                0 => response.result = value.boolean()?,
                1 => response.message = value.string()?,
                2 => {
                    for _ in 0..value.array()?.unwrap_or(0) {
                        response.keys.push(value.string()?);
                    }
                }
                _ => response.primary = value.string()?,
            }
            Ok(())
        })?;
        Ok(response)
    }
}

/// The payload of an answer to a name conflict: who has the name, as the answerer knows it.
pub fn encode_conflict(holder: Option<&ConflictMember>) -> Bytes {
    let mut out = Vec::new();
    out.byte(kind::CONFLICT);
    let Some(member) = holder else {
        out.nil();
        return Bytes::from(out);
    };
    let versions = &member.versions;
    out.map(11);
    out.raw(b"Addr");
    out.address(member.address);
    out.raw(b"DelegateCur");
    out.unsigned(u64::from(versions.delegate));
    out.raw(b"DelegateMax");
    out.unsigned(u64::from(versions.delegate_max));
    out.raw(b"DelegateMin");
    out.unsigned(u64::from(versions.delegate_min));
    out.raw(b"Name");
    out.raw(member.name.as_bytes());
    out.raw(b"Port");
    out.unsigned(u64::from(member.port));
    out.raw(b"ProtocolCur");
    out.unsigned(u64::from(versions.protocol));
    out.raw(b"ProtocolMax");
    out.unsigned(u64::from(versions.protocol_max));
    out.raw(b"ProtocolMin");
    out.unsigned(u64::from(versions.protocol_min));
    out.raw(b"Status");
    out.unsigned(u64::from(member.status));
    out.raw(b"Tags");
    write_tags(&member.tags, &mut out);
    Bytes::from(out)
}

/// Reads the payload of an answer to a name conflict; `None`: the answerer knows nobody.
///
/// # Errors
/// Another type, or a body that cannot be read.
pub fn decode_conflict(bytes: &[u8]) -> Result<Option<ConflictMember>, DecodeError> {
    const DECLARED: [&str; 11] = [
        "Name",
        "Addr",
        "Port",
        "Tags",
        "Status",
        "ProtocolMin",
        "ProtocolMax",
        "ProtocolCur",
        "DelegateMin",
        "DelegateMax",
        "DelegateCur",
    ];
    let mut cursor = behind(bytes, kind::CONFLICT)?;
    if cursor.rest().first() == Some(&0xc0) {
        return Ok(None);
    }
    let mut member = ConflictMember::default();
    let mut versions = Versions::default();
    cursor.fields(&DECLARED, |index, value| {
        match index {
            0 => member.name = value.text()?,
            1 => member.address = value.address()?,
            2 => member.port = value.number()?,
            3 => read_tags(value, &mut member.tags)?,
            4 => member.status = value.number()?,
            5 => versions.protocol_min = value.number()?,
            6 => versions.protocol_max = value.number()?,
            7 => versions.protocol = value.number()?,
            8 => versions.delegate_min = value.number()?,
            9 => versions.delegate_max = value.number()?,
            _ => versions.delegate = value.number()?,
        }
        Ok(())
    })?;
    member.versions = versions;
    Ok(Some(member))
}
