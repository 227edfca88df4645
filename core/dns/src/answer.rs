//! Writes an answer, and is the one place where one is cut.
//!
//! Records are written as they are found: those of the answer section straight into the message,
//! those that come along into a second buffer. A record and what comes along with it either fit
//! together or are both left out, and with the first that does not fit the answer is complete. A
//! text that no message of this size could hold is passed over: metadata may be of any length.
//!
//! hickory's encoder builds each record as an object and searches all names written so far for
//! each label; an answer of a hundred instances costs it ten times as much. It judges these bytes
//! in the tests.

use crate::name::push_name;
use crate::question::Question;
use crate::{Config, Soa};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Most bytes of a datagram for a client that says nothing about itself.
const UDP_BYTES: usize = 512;
/// Most bytes of any message.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// Where the question's name stands.
const QUESTION_AT: usize = 12;
/// Highest place a pointer can name.
const POINTER_MAX: usize = 0x3fff;

const CLASS_IN: u16 = 1;

/// Response codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NoError,
    ServerFailure,
    NoSuchName,
    NotImplemented,
    Refused,
}

impl Code {
    fn number(self) -> u8 {
        match self {
            Self::NoError => 0,
            Self::ServerFailure => 2,
            Self::NoSuchName => 3,
            Self::NotImplemented => 4,
            Self::Refused => 5,
        }
    }
}

/// Record types that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    A,
    Ns,
    Cname,
    Soa,
    Ptr,
    Txt,
    Aaaa,
    Srv,
}

impl Type {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Ptr => 12,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

/// Whose record it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// The name that was asked for.
    Question,
    /// A name that stands at this place of the message.
    At(usize),
    /// This name.
    Name(&'a [&'a str]),
}

/// A place to come back to when what follows does not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    message: usize,
    along: usize,
    counts: [u16; 3],
}

/// An answer being written.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    question: &'a Question,
    message: Vec<u8>,
    along: Vec<u8>,
    /// Records of the answer, the authority and the additional section.
    counts: [u16; 3],
    bytes_max: usize,
    /// Most records of the answer section.
    records_max: usize,
    compress: bool,
    say_cut: bool,
    cut: bool,
    /// Something since the last [`Answer::keep`] was too long to be written.
    overfull: bool,
    code: Code,
    authoritative: bool,
    recursion_available: bool,
    with_edns: bool,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(question: &'a Question, config: &Config, tcp: bool) -> Self {
        let announced = question.edns.as_ref().map_or(0, |edns| usize::from(edns.bytes_max));
        let bytes_max = if tcp { MESSAGE_BYTES_MAX } else { announced.max(UDP_BYTES) };
        let small = !tcp && bytes_max == UDP_BYTES;
        let records_max = if small { config.udp_answer_limit } else { usize::MAX };
        let mut message = Vec::with_capacity(if tcp { 4096 } else { bytes_max.min(4096) });
        message.extend_from_slice(&[0; QUESTION_AT]);
        message.extend_from_slice(&question.name);
        message.extend_from_slice(&question.type_and_class);
        Self {
            question,
            message,
            along: Vec::new(),
            counts: [0; 3],
            bytes_max,
            records_max,
            compress: !config.disable_compression,
            say_cut: config.enable_truncate,
            cut: false,
            overfull: false,
            code: Code::NoError,
            authoritative: true,
            recursion_available: !config.recursors.is_empty(),
            with_edns: question.edns.is_some(),
        }
    }

    pub(crate) fn set(&mut self, code: Code) {
        self.code = code;
    }

    /// The name is not ours to speak for.
    pub(crate) fn refuse(&mut self, code: Code) {
        self.code = code;
        self.authoritative = false;
        self.with_edns = false;
    }

    /// Nobody could be asked.
    pub(crate) fn fail(&mut self) {
        self.code = Code::ServerFailure;
        self.authoritative = false;
        self.recursion_available = true;
    }

    /// How many records the answer section has.
    pub(crate) fn answers(&self) -> u16 {
        self.counts[0]
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { message: self.message.len(), along: self.along.len(), counts: self.counts }
    }

    /// Keeps what was written since `mark` if the whole still fits; if not, the answer is complete.
    pub(crate) fn keep(&mut self, mark: Mark) -> bool {
        let bytes = self.message.len() + self.along.len() + self.edns_bytes();
        let fits = !self.overfull && bytes <= self.bytes_max;
        if fits && usize::from(self.counts[0]) <= self.records_max {
            return true;
        }
        self.undo(mark);
        self.cut = true;
        false
    }

    /// Forgets what was written since `mark`.
    pub(crate) fn undo(&mut self, mark: Mark) {
        self.message.truncate(mark.message);
        self.along.truncate(mark.along);
        self.counts = mark.counts;
        self.overfull = false;
    }

    pub(crate) fn address(&mut self, owner: Owner<'_>, ttl: u32, address: IpAddr) {
        let at = self.begin(owner, address_type(address), ttl);
        push_address(&mut self.message, address);
        self.end(at, 0);
    }

    /// A CNAME, PTR or NS record; true unless `target` is no name. Gives the target's place.
    pub(crate) fn pointer(&mut self, kind: Type, ttl: u32, target: &[&str]) -> Option<usize> {
        let mark = self.mark();
        let at = self.begin(Owner::Question, kind, ttl);
        let place = self.message.len();
        if !push_name(&mut self.message, target) {
            self.undo(mark);
            return None;
        }
        self.end(at, 0);
        Some(place)
    }

    /// An NS record of the zone, in the answer or the authority section.
    pub(crate) fn name_server(
        &mut self,
        zone: &str,
        section: usize,
        ttl: u32,
        target: &[&str],
    ) -> Option<usize> {
        let mark = self.mark();
        let at = self.begin(Owner::Name(&[zone]), Type::Ns, ttl);
        let place = self.message.len();
        if !push_name(&mut self.message, target) {
            self.undo(mark);
            return None;
        }
        self.end(at, section);
        Some(place)
    }

    /// An SRV record. Gives the target's place; `None` if it is no name.
    pub(crate) fn service(
        &mut self,
        ttl: u32,
        weight: u16,
        port: u16,
        target: &[&str],
    ) -> Option<usize> {
        let mark = self.mark();
        let at = self.begin(Owner::Question, Type::Srv, ttl);
        for field in [1, weight, port] {
            self.message.extend_from_slice(&field.to_be_bytes());
        }
        let place = self.message.len();
        if !push_name(&mut self.message, target) {
            self.undo(mark);
            return None;
        }
        self.end(at, 0);
        Some(place)
    }

    /// A TXT record, if it is one that can be written; [`Answer::keep`] says whether it fits.
    pub(crate) fn text(&mut self, owner: Owner<'_>, ttl: u32, text: &str) {
        if !self.has_room(text) {
            return;
        }
        let at = self.begin(owner, Type::Txt, ttl);
        push_text(&mut self.message, text);
        self.end(at, 0);
    }

    /// The zone's SOA record, in the answer (0) or the authority section (1); none if the names of
    /// the zone are too long, which another agent's configuration may say.
    pub(crate) fn zone(&mut self, zone: &str, section: usize, serial: u32, soa: Soa) {
        let mark = self.mark();
        let at = self.begin(Owner::Name(&[zone]), Type::Soa, soa.min_ttl);
        let named = push_name(&mut self.message, &["ns", zone])
            && push_name(&mut self.message, &["hostmaster", zone]);
        if !named || self.overfull {
            self.undo(mark);
            return;
        }
        for field in [serial, soa.refresh, soa.retry, soa.expire, soa.min_ttl] {
            self.message.extend_from_slice(&field.to_be_bytes());
        }
        self.end(at, section);
    }

    /// An address that comes along.
    pub(crate) fn along_address(&mut self, owner: Owner<'_>, ttl: u32, address: IpAddr) {
        let mut along = core::mem::take(&mut self.along);
        if self.push_owner(&mut along, owner) {
            push_head(&mut along, address_type(address), ttl);
            let at = along.len();
            push_address(&mut along, address);
            self.overfull |= !close(&mut along, at);
            self.counts[2] += 1;
        }
        self.along = along;
    }

    /// A text that comes along if it has room: it is worth less than any answer.
    pub(crate) fn along_text(&mut self, owner: Owner<'_>, ttl: u32, text: &str) {
        let mut along = core::mem::take(&mut self.along);
        let before = along.len();
        let mut fits = self.push_owner(&mut along, owner);
        push_head(&mut along, Type::Txt, ttl);
        let at = along.len();
        push_text(&mut along, text);
        fits &= close(&mut along, at);
        fits &= self.message.len() + along.len() + self.edns_bytes() <= self.bytes_max;
        if fits {
            self.counts[2] += 1;
        } else {
            along.truncate(before);
        }
        self.along = along;
    }

    /// The message.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let [id_high, id_low] = self.question.id.to_be_bytes();
        self.message.append(&mut self.along);
        if self.with_edns
            && let Some(edns) = &self.question.edns
        {
            self.message.extend_from_slice(&[0, 0, 41]);
            self.message.extend_from_slice(&edns.bytes_max.to_be_bytes());
            self.message.extend_from_slice(&[0; 4]);
            let at = self.message.len() + 2;
            self.message.extend_from_slice(&[0; 2]);
            if let Some(subnet) = &edns.subnet {
                self.message.extend_from_slice(&[0, 8]);
                let length = u16::try_from(subnet.len()).unwrap_or(0);
                self.message.extend_from_slice(&length.to_be_bytes());
                self.message.extend_from_slice(subnet);
            }
            let closed = close(&mut self.message, at);
            debug_assert!(closed, "a subnet is an address and four bytes");
            self.counts[2] += 1;
        }
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let [answers, authority, additional] = self.counts.map(u16::to_be_bytes);
        let header = [
            id_high,
            id_low,
            0x80 | flag(self.authoritative, 4)
                | flag(self.cut && self.say_cut, 2)
                | flag(self.question.recursion_desired, 1),
            flag(self.recursion_available, 0x80)
                | flag(self.question.checking_disabled, 0x10)
                | self.code.number(),
            0,
            1,
            answers[0],
            answers[1],
            authority[0],
            authority[1],
            additional[0],
            additional[1],
        ];
        self.message[..QUESTION_AT].copy_from_slice(&header);
        self.message
    }

    fn edns_bytes(&self) -> usize {
        let Some(edns) = self.question.edns.as_ref().filter(|_| self.with_edns) else { return 0 };
        11 + edns.subnet.as_ref().map_or(0, |subnet| subnet.len() + 4)
    }

    /// Whether a text is to be written. One that is longer than the whole message may be is passed
    /// over; with one that has no room beside the rest, what it belongs to does not fit.
    fn has_room(&mut self, text: &str) -> bool {
        if text.len() > self.bytes_max {
            return false;
        }
        let bytes = self.message.len() + self.along.len() + text.len();
        self.overfull |= bytes > self.bytes_max;
        !self.overfull
    }

    /// Writes a record up to its length; gives the place of its data.
    fn begin(&mut self, owner: Owner<'_>, kind: Type, ttl: u32) -> usize {
        let mut message = core::mem::take(&mut self.message);
        let owned = match owner {
            Owner::Name(_) | Owner::Question => self.push_owner(&mut message, owner),
            Owner::At(place) => {
                self.push_at(&mut message, place, None);
                true
            }
        };
        self.overfull |= !owned;
        push_head(&mut message, kind, ttl);
        self.message = message;
        self.message.len()
    }

    fn end(&mut self, at: usize, section: usize) {
        self.overfull |= !close(&mut self.message, at);
        self.counts[section] += 1;
    }

    /// Writes an owner into `out`; false if it is no name.
    fn push_owner(&self, out: &mut Vec<u8>, owner: Owner<'_>) -> bool {
        match owner {
            Owner::Question if self.compress => out.extend_from_slice(&pointer_to(QUESTION_AT)),
            Owner::Question => out.extend_from_slice(&self.question.name),
            Owner::At(place) => self.push_at(out, place, Some(&self.message)),
            Owner::Name(parts) => return push_name(out, parts),
        }
        true
    }

    /// Writes a name that stands at `place` of the message: a pointer if one reaches that far.
    fn push_at(&self, out: &mut Vec<u8>, place: usize, message: Option<&[u8]>) {
        if self.compress && place <= POINTER_MAX {
            out.extend_from_slice(&pointer_to(place));
            return;
        }
        let mut at = place;
        loop {
            let source = message.unwrap_or(out);
            let length = usize::from(source.get(at).copied().unwrap_or(0));
            let label: Vec<u8> = source.get(at..=at + length).unwrap_or(&[0]).into();
            out.extend_from_slice(&label);
            if length == 0 {
                return;
            }
            at += length + 1;
        }
    }
}

fn address_type(address: IpAddr) -> Type {
    match address {
        IpAddr::V4(_) => Type::A,
        IpAddr::V6(_) => Type::Aaaa,
    }
}

fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
}

/// A text in pieces of at most 255 bytes.
fn push_text(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        out.push(0);
    }
    for piece in text.as_bytes().chunks(255) {
        out.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(piece);
    }
}

fn push_head(out: &mut Vec<u8>, kind: Type, ttl: u32) {
    out.extend_from_slice(&kind.number().to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
}

/// Fills in the length of the data that begins at `at`; false if no record can be that long.
fn close(out: &mut [u8], at: usize) -> bool {
    let Ok(length) = u16::try_from(out.len() - at) else { return false };
    out[at - 2..at].copy_from_slice(&length.to_be_bytes());
    true
}

fn pointer_to(place: usize) -> [u8; 2] {
    let place = u16::try_from(place).unwrap_or(0);
    (0xc000 | place).to_be_bytes()
}
