//! Reads a question. The message codec is hickory's; what it does not accept is a format error.

use alloc::string::String;
use alloc::vec::Vec;
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, RecordType};
use hickory_proto::serialize::binary::BinEncodable;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    A,
    Aaaa,
    Any,
    Srv,
    Txt,
    Soa,
    Ns,
    Transfer,
    Other,
}

/// A question that can be answered.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) id: u16,
    pub(crate) recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    /// The name as it was written, in full, ready for the wire.
    pub(crate) name: Vec<u8>,
    /// Its labels in lower case. Bytes that are not UTF-8 are replaced: they match nothing.
    pub(crate) lower: Vec<String>,
    pub(crate) kind: Kind,
    /// Type and class as asked.
    pub(crate) type_and_class: [u8; 4],
    pub(crate) edns: Option<Edns>,
}

/// What the client said of itself.
#[derive(Debug)]
pub(crate) struct Edns {
    pub(crate) bytes_max: u16,
    /// Its subnet, as it is to be said back: family, length, scope 0, address.
    pub(crate) subnet: Option<Vec<u8>>,
}

/// What a message is.
#[derive(Debug)]
pub(crate) enum Parsed {
    Question(Question),
    /// It cannot be answered: this is said instead.
    Refuse(Vec<u8>),
    /// It is no question.
    Drop,
}

const FORMAT_ERROR: u8 = 1;
const NOT_IMPLEMENTED: u8 = 4;
const REFUSED: u8 = 5;

pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let Some(&[id_high, id_low, flags, ..]) = bytes.get(..12) else { return Parsed::Drop };
    if flags & 0x80 != 0 {
        return Parsed::Drop;
    }
    let refuse = |code: u8| {
        // Header only: identity, the operation and "recursion desired" come back.
        let mut message = Vec::from([id_high, id_low, 0x80 | (flags & 0x79), code]);
        message.extend_from_slice(&[0; 8]);
        Parsed::Refuse(message)
    };
    if (flags >> 3) & 0xf != 0 {
        return refuse(NOT_IMPLEMENTED);
    }
    let Ok(message) = Message::from_vec(bytes) else { return refuse(FORMAT_ERROR) };
    let metadata = &message.metadata;
    if metadata.message_type != MessageType::Query || metadata.op_code != OpCode::Query {
        return refuse(FORMAT_ERROR);
    }
    let [query] = message.queries.as_slice() else { return refuse(FORMAT_ERROR) };
    if !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
        return refuse(REFUSED);
    }
    let mut name = Vec::with_capacity(64);
    let mut lower = Vec::with_capacity(8);
    for label in query.name().iter() {
        let Ok(length) = u8::try_from(label.len()) else { return refuse(FORMAT_ERROR) };
        name.push(length);
        name.extend_from_slice(label);
        let mut text = String::from_utf8_lossy(label).into_owned();
        text.make_ascii_lowercase();
        lower.push(text);
    }
    name.push(0);
    let [type_high, type_low] = u16::from(query.query_type()).to_be_bytes();
    let [class_high, class_low] = u16::from(query.query_class()).to_be_bytes();
    Parsed::Question(Question {
        id: u16::from_be_bytes([id_high, id_low]),
        recursion_desired: metadata.recursion_desired,
        checking_disabled: metadata.checking_disabled,
        name,
        lower,
        kind: kind(query.query_type()),
        type_and_class: [type_high, type_low, class_high, class_low],
        edns: message.edns.as_ref().map(|edns| Edns {
            bytes_max: edns.max_payload(),
            subnet: edns.option(EdnsCode::Subnet).and_then(subnet),
        }),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "types we have no records of are many")]
fn kind(asked: RecordType) -> Kind {
    match asked {
        RecordType::A => Kind::A,
        RecordType::AAAA => Kind::Aaaa,
        RecordType::ANY => Kind::Any,
        RecordType::SRV => Kind::Srv,
        RecordType::TXT => Kind::Txt,
        RecordType::SOA => Kind::Soa,
        RecordType::NS => Kind::Ns,
        RecordType::AXFR | RecordType::IXFR => Kind::Transfer,
        _ => Kind::Other,
    }
}

fn subnet(option: &EdnsOption) -> Option<Vec<u8>> {
    let EdnsOption::Subnet(subnet) = option else { return None };
    let mut bytes = subnet.to_bytes().ok()?;
    *bytes.get_mut(3)? = 0;
    Some(bytes)
}
