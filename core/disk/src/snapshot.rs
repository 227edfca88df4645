//! Snapshot files: one payload without gaps, then a footer that proves it.

use crate::format::{body, parse_body};
use crate::{FileOp, IoToken, Lane, names};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_types::{EntryId, limits};
use serde::{Deserialize, Serialize};

/// First bytes of a snapshot file; the last is the version. The payload follows at once.
pub(crate) const MAGIC: [u8; 8] = *b"PCSNAP\0\x01";
/// Last bytes of a snapshot file, after the footer, its length and its CRC.
const END: [u8; 8] = *b"PCSNEND\x01";
/// Length of the footer, its CRC, and [`END`].
const TAIL_BYTES: usize = 4 + 4 + 8;
/// Unsynced bytes that may be under way before the caller is asked to wait.
pub(crate) const WINDOW_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes after which a sync is asked for.
const SYNC_BYTES: u64 = 2 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Footer {
    id: EntryId,
    /// The caller's description (membership), opaque.
    meta: Vec<u8>,
    payload_bytes: u64,
    block_bytes: u32,
    /// CRC32C of each block of the payload; the last may be short.
    block_crcs: Vec<u32>,
    /// [`digest`] of the above.
    digest: u64,
}

/// FNV-1a over the length and the block CRCs: a name for the whole payload.
fn digest(payload_bytes: u64, block_crcs: &[u32]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    take(&payload_bytes.to_le_bytes());
    for crc in block_crcs {
        take(&crc.to_le_bytes());
    }
    hash
}

/// A snapshot file under way: temporary name, payload in pieces of any size, footer.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) id: EntryId,
    meta: Bytes,
    pub(crate) file: Arc<str>,
    /// Payload bytes so far.
    pub(crate) payload_bytes: u64,
    block_crcs: Vec<u32>,
    block_crc: u32,
    block_filled: usize,
    /// Payload bytes when the newest sync was asked for, and when the newest completed one was.
    asked: u64,
    pub(crate) synced: u64,
    pub(crate) finished: bool,
}

impl Writer {
    pub(crate) fn begin(id: EntryId, meta: Bytes, out: &mut Vec<FileOp>) -> Self {
        let file = names::temporary(&names::snapshot(id));
        let lane = Lane::Snapshot;
        out.push(FileOp::Create { lane, file: file.clone(), size: 0 });
        let bytes = Bytes::from_static(&MAGIC);
        out.push(FileOp::Write { lane, file: file.clone(), offset: 0, bytes });
        Self {
            id,
            meta,
            file,
            payload_bytes: 0,
            block_crcs: Vec::new(),
            block_crc: 0,
            block_filled: 0,
            asked: 0,
            synced: 0,
            finished: false,
        }
    }

    /// Writes the next piece of payload. True if a sync is due, to learn how the disk keeps up.
    pub(crate) fn write(&mut self, bytes: Bytes, out: &mut Vec<FileOp>) -> bool {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let room = limits::SNAPSHOT_CHUNK_BYTES - self.block_filled;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.block_crc = crc32c::crc32c_append(self.block_crc, now);
            self.block_filled += now.len();
            if self.block_filled == limits::SNAPSHOT_CHUNK_BYTES {
                self.close_block();
            }
            rest = later;
        }
        let offset = self.offset();
        self.payload_bytes += length(bytes.len());
        if !bytes.is_empty() {
            out.push(FileOp::Write {
                lane: Lane::Snapshot,
                file: self.file.clone(),
                offset,
                bytes,
            });
        }
        self.payload_bytes - self.asked >= SYNC_BYTES
    }

    /// Asks for a sync; `token` completes when all payload so far is on the disk.
    pub(crate) fn sync(&mut self, token: IoToken, out: &mut Vec<FileOp>) -> u64 {
        self.asked = self.payload_bytes;
        out.push(FileOp::Sync { lane: Lane::Snapshot, file: self.file.clone(), token });
        self.asked
    }

    pub(crate) fn has_room(&self) -> bool {
        self.payload_bytes - self.synced < WINDOW_BYTES
    }

    /// Writes the footer. A sync must follow.
    pub(crate) fn finish(&mut self, out: &mut Vec<FileOp>) {
        if self.block_filled > 0 {
            self.close_block();
        }
        self.finished = true;
        let mut bytes = body(&Footer {
            id: self.id,
            meta: self.meta.to_vec(),
            payload_bytes: self.payload_bytes,
            block_bytes: block_bytes(),
            block_crcs: self.block_crcs.clone(),
            digest: digest(self.payload_bytes, &self.block_crcs),
        });
        let crc = crc32c::crc32c(&bytes);
        let footer = u32::try_from(bytes.len()).expect("four bytes a block stay below 4 GiB");
        bytes.extend_from_slice(&footer.to_le_bytes());
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&END);
        out.push(FileOp::Write {
            lane: Lane::Snapshot,
            file: self.file.clone(),
            offset: self.offset(),
            bytes: Bytes::from(bytes),
        });
    }

    fn offset(&self) -> u64 {
        length(MAGIC.len()) + self.payload_bytes
    }

    fn close_block(&mut self) {
        self.block_crcs.push(self.block_crc);
        self.block_crc = 0;
        self.block_filled = 0;
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("usize has at most 64 bits")
}

fn block_bytes() -> u32 {
    u32::try_from(limits::SNAPSHOT_CHUNK_BYTES).expect("a block is small")
}

/// A snapshot as read back; the payload is a part of the file's bytes, not a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The last entry it covers.
    pub id: EntryId,
    /// The caller's description (membership).
    pub meta: Bytes,
    /// The payload.
    pub payload: Bytes,
}

/// Reads a snapshot file and checks every byte of it. `Err`: (offset, what is wrong).
pub(crate) fn parse(file: &Bytes) -> Result<SnapshotFile, (u64, &'static str)> {
    if !file.starts_with(&MAGIC) {
        return Err((0, "no snapshot header of a known version"));
    }
    let tail_at = file.len().checked_sub(TAIL_BYTES).ok_or((0, "too short for a snapshot"))?;
    let tail = &file[tail_at..];
    if tail[8..] != END {
        return Err((length(tail_at), "no end mark"));
    }
    let word = |at: usize| u32::from_le_bytes([tail[at], tail[at + 1], tail[at + 2], tail[at + 3]]);
    let footer_bytes = usize::try_from(word(0)).unwrap_or(usize::MAX);
    let footer_at = tail_at
        .checked_sub(footer_bytes)
        .filter(|at| *at >= MAGIC.len())
        .ok_or_else(|| (length(tail_at), "footer longer than the file"))?;
    let bytes = &file[footer_at..tail_at];
    let wrong = |reason| (length(footer_at), reason);
    if crc32c::crc32c(bytes) != word(4) {
        return Err(wrong("footer fails its CRC"));
    }
    let footer: Footer = parse_footer(bytes).ok_or_else(|| wrong("footer has no known form"))?;
    let payload = file.slice(MAGIC.len()..footer_at);
    if length(payload.len()) != footer.payload_bytes || footer.block_bytes != block_bytes() {
        return Err(wrong("payload has another length than the footer says"));
    }
    if digest(footer.payload_bytes, &footer.block_crcs) != footer.digest {
        return Err(wrong("block CRCs do not make the digest"));
    }
    let mut crcs = footer.block_crcs.iter();
    let mut at = MAGIC.len();
    for block in payload.chunks(limits::SNAPSHOT_CHUNK_BYTES) {
        if crcs.next() != Some(&crc32c::crc32c(block)) {
            return Err((length(at), "block fails its CRC"));
        }
        at += block.len();
    }
    if crcs.next().is_some() {
        return Err(wrong("more block CRCs than blocks"));
    }
    Ok(SnapshotFile { id: footer.id, meta: Bytes::from(footer.meta), payload })
}

fn parse_footer(bytes: &[u8]) -> Option<Footer> {
    // Fixed-width numbers claim no more than they take, so the file's own length bounds the rest.
    if bytes.len() <= 0x800 {
        return parse_body(bytes);
    }
    let form = bincode::config::standard().with_fixed_int_encoding().with_limit::<0x1000_0000>();
    let (footer, used) = bincode::serde::decode_from_slice(bytes, form).ok()?;
    (used == bytes.len()).then_some(footer)
}
