//! Every byte of a log segment. The picture is in this crate's README.

use crate::{HardState, names};
use alloc::vec::Vec;
use proconsul_types::{EntryId, LogIndex};
use serde::{Deserialize, Serialize};

/// First bytes of a segment; the last is the version.
pub(crate) const MAGIC: [u8; 8] = *b"PCLOG\0\0\x01";
/// Bytes of a record before its payload: length, CRC, index, term, kind, payload kind.
pub(crate) const RECORD_HEAD_BYTES: usize = 4 + 4 + 8 + 8 + 1 + 1;
/// Bytes of a batch mark with its padding.
pub(crate) const MARK_BYTES: usize = 48;
/// A segment's first batch begins before this offset, every other one after it.
pub(crate) const HEAD_BYTES_MAX: usize = 256;
const ALIGN: usize = 8;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// First record of a segment: a [`Checkpoint`].
    Segment = 1,
    /// Opens a batch: its number, the segment's id, the bytes that belong to it.
    Batch = 2,
    /// An entry.
    Entry = 3,
    /// Term and vote.
    HardState = 4,
    /// The commit index.
    Commit = 5,
    /// All entries from `index` on are dropped; `term` is that of the entry before.
    Truncate = 6,
    /// All entries are dropped; the log goes on after `index`, which a durable snapshot covers.
    Restart = 7,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Segment),
            2 => Some(Self::Batch),
            3 => Some(Self::Entry),
            4 => Some(Self::HardState),
            5 => Some(Self::Commit),
            6 => Some(Self::Truncate),
            7 => Some(Self::Restart),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Segment => 1,
            Self::Batch => 2,
            Self::Entry => 3,
            Self::HardState => 4,
            Self::Commit => 5,
            Self::Truncate => 6,
            Self::Restart => 7,
        }
    }
}

/// Which segment, and where it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) id: u64,
    pub(crate) end: u64,
}

/// What a segment begins with: everything needed to go on without the segments before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) number: u64,
    pub(crate) id: u64,
    /// Sequence number of the segment's first batch.
    pub(crate) sequence: u64,
    /// The segment before, fully synced before this one was begun.
    pub(crate) previous: Option<Link>,
    /// The last entry before this segment.
    pub(crate) last: EntryId,
    pub(crate) committed: LogIndex,
    pub(crate) hard_state: HardState,
}

impl Checkpoint {
    /// Whether its numbers leave room to count on.
    pub(crate) fn is_plausible(&self) -> bool {
        let link = self.previous.map_or(0, |link| link.number);
        let most = self.number.max(self.sequence).max(self.last.index.0).max(link);
        (1..names::NUMBER_MAX).contains(&most) && self.sequence > 0
    }
}

/// A record as found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    pub(crate) payload_kind: u8,
    pub(crate) id: EntryId,
    pub(crate) payload: &'a [u8],
    /// Where the payload begins in the file.
    pub(crate) payload_at: usize,
    /// Where the next record begins.
    pub(crate) next: usize,
}

fn form() -> impl bincode::config::Config {
    bincode::config::standard().with_fixed_int_encoding()
}

/// Puts a small value of fixed-width numbers.
pub(crate) fn body<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, form()).expect("plain structs of numbers have a form")
}

/// Reads what [`body`] put; every byte must be used.
pub(crate) fn parse_body<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let form = bincode::config::standard().with_fixed_int_encoding().with_limit::<0x1000>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, form).ok()?;
    (used == bytes.len()).then_some(value)
}

/// CRC seed of the records of one batch: a record is valid in its own batch only.
pub(crate) fn batch_seed(segment: u64, sequence: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), &sequence.to_le_bytes())
}

/// `bytes` rounded up to where the next record may begin.
pub(crate) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}

/// How many bytes [`put`] appends for a payload of so many.
pub(crate) fn record_bytes(payload_bytes: usize) -> usize {
    padded(RECORD_HEAD_BYTES + payload_bytes)
}

/// Appends a record whose CRC is still open; see [`seal`].
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, payload_kind: u8, id: EntryId, payload: &[u8]) {
    let end = out.len() + record_bytes(payload.len());
    out.reserve(end - out.len());
    out.extend_from_slice(&record_head(kind, payload_kind, id, payload.len()));
    out.extend_from_slice(payload);
    out.resize(end, 0);
}

/// What stands before a payload of so many bytes, its CRC still open.
fn record_head(
    kind: Kind,
    payload_kind: u8,
    id: EntryId,
    payload_bytes: usize,
) -> [u8; RECORD_HEAD_BYTES] {
    let length = u32::try_from(payload_bytes).expect("a payload is far below 4 GiB");
    let mut head = [0; RECORD_HEAD_BYTES];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[8..16].copy_from_slice(&id.index.0.to_le_bytes());
    head[16..24].copy_from_slice(&id.term.0.to_le_bytes());
    head[24] = kind.byte();
    head[25] = payload_kind;
    head
}

/// Fills in the CRCs of records that [`put`] made, from the first byte to the last.
pub(crate) fn seal(records: &mut [u8], seed: u32) {
    let mut at = 0;
    while let Some((record, _)) = parse_unchecked(records, at) {
        let (end, next) = (record.payload_at + record.payload.len(), record.next);
        let crc = checksum(seed, &records[at..at + 4], &records[at + 8..end]);
        records[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        at = next;
    }
    assert_eq!(at, records.len(), "what is sealed is a sequence of records");
}

fn checksum(seed: u32, length: &[u8], rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, length), rest)
}

/// The batch mark that precedes `content_bytes` bytes of records.
pub(crate) fn mark(segment: u64, sequence: u64, content_bytes: usize) -> [u8; MARK_BYTES] {
    const PAYLOAD: usize = RECORD_HEAD_BYTES;
    let bytes = u64::try_from(content_bytes).expect("usize has at most 64 bits");
    let id = EntryId { index: LogIndex(sequence), ..EntryId::default() };
    let mut out = [0; MARK_BYTES];
    out[..PAYLOAD].copy_from_slice(&record_head(Kind::Batch, 0, id, 16));
    out[PAYLOAD..PAYLOAD + 8].copy_from_slice(&segment.to_le_bytes());
    out[PAYLOAD + 8..PAYLOAD + 16].copy_from_slice(&bytes.to_le_bytes());
    seal(&mut out, 0);
    out
}

/// Reads the batch mark at `at`, if a valid one of `segment` is there:
/// (sequence, where its records begin, where they end).
pub(crate) fn parse_mark(file: &[u8], at: usize, segment: u64) -> Option<(u64, usize, usize)> {
    let record = parse(file, at, 0)?;
    if record.kind != Kind::Batch || record.payload.len() != 16 {
        return None;
    }
    if number(record.payload, 0)? != segment {
        return None;
    }
    let content = usize::try_from(number(record.payload, 8)?).ok()?;
    Some((record.id.index.0, record.next, record.next.checked_add(content)?))
}

/// Reads the record at `at`, if a valid one is there.
pub(crate) fn parse(file: &[u8], at: usize, seed: u32) -> Option<Record<'_>> {
    let (record, crc) = parse_unchecked(file, at)?;
    let end = record.payload_at + record.payload.len();
    let valid = checksum(seed, &file[at..at + 4], &file[at + 8..end]) == crc;
    valid.then_some(record)
}

/// Reads the record at `at` without looking at its CRC.
pub(crate) fn parse_unchecked(file: &[u8], at: usize) -> Option<(Record<'_>, u32)> {
    let head = file.get(at..at.checked_add(RECORD_HEAD_BYTES)?)?;
    let length = usize::try_from(u32::from_le_bytes(*head.first_chunk()?)).ok()?;
    let crc = u32::from_le_bytes(*head[4..].first_chunk()?);
    let payload_at = at + RECORD_HEAD_BYTES;
    let payload = file.get(payload_at..payload_at.checked_add(length)?)?;
    let id = EntryId {
        index: LogIndex(number(head, 8)?),
        term: proconsul_types::Term(number(head, 16)?),
    };
    let kind = Kind::of(head[24]).filter(|_| id.index.0 < names::NUMBER_MAX)?;
    let next = at + padded(RECORD_HEAD_BYTES + length);
    Some((Record { kind, payload_kind: head[25], id, payload, payload_at, next }, crc))
}

/// The 64-bit number at `at`.
pub(crate) fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A segment's first bytes: magic and checkpoint.
pub(crate) fn segment_head(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut out = Vec::from(MAGIC);
    put(&mut out, Kind::Segment, 0, checkpoint.last, &body(checkpoint));
    seal(&mut out[MAGIC.len()..], 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proconsul_types::{NodeId, Term};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes of a format are a promise: whoever changes them gives [`MAGIC`] another version.
    #[test]
    fn golden_bytes() {
        let hard_state = HardState { term: Term(3), vote: Some(NodeId(0x0a0b)) };
        let head = segment_head(&Checkpoint {
            number: 2,
            id: 0x1122_3344_5566_7788,
            sequence: 9,
            previous: Some(Link { number: 1, id: 7, end: 4096 }),
            last: EntryId::new(Term(2), LogIndex(40)),
            committed: LogIndex(39),
            hard_state,
        });
        assert_eq!(hex(&head), HEAD);
        assert!(head.len() < HEAD_BYTES_MAX);
        assert_eq!(hex(&mark(0x1122_3344_5566_7788, 9, 104)), MARK);
        let mut records = Vec::new();
        let id = EntryId::new(Term(3), LogIndex(41));
        put(&mut records, Kind::Entry, 1, id, b"hello");
        put(&mut records, Kind::HardState, 0, EntryId::default(), &body(&hard_state));
        seal(&mut records, batch_seed(0x1122_3344_5566_7788, 9));
        assert_eq!(hex(&records), RECORDS);
    }

    const HEAD: &str = concat!(
        "50434c4f47000001620000002515c56428000000000000000200000000000000",
        "0100020000000000000088776655443322110900000000000000010100000000",
        "0000000700000000000000001000000000000002000000000000002800000000",
        "00000027000000000000000300000000000000010b0a00000000000000000000",
        "0000000000000000"
    );
    const MARK: &str = concat!(
        "1000000017d56e26090000000000000000000000000000000200887766554433",
        "22116800000000000000000000000000"
    );
    const RECORDS: &str = concat!(
        "0500000079dbab7929000000000000000300000000000000030168656c6c6f00",
        "19000000fb5113f7000000000000000000000000000000000400030000000000",
        "0000010b0a00000000000000000000000000000000000000"
    );
}
