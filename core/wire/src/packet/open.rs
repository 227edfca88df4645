//! Datagrams from bytes: every layer taken off, every message read, what cannot be read told.

use crate::crypto::{Keyring, OpenError, unseal};
use crate::lzw;
use crate::memberlist::{Message, kind};
use crate::msgpack::{Cursor, DecodeError};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// Layers of compound and compression within each other that are followed. Real senders use two.
const DEPTH_MAX: usize = 8;

/// Bytes that one datagram may hold when unpacked, over all its parts. Real senders stay below
/// 64 KiB; without the bound, a small datagram could claim megabytes.
const UNPACKED_BYTES_MAX: usize = 1024 * 1024;

/// What a datagram held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opened {
    /// Its messages, in order.
    pub messages: Vec<Message>,
    /// Why parts are missing among them.
    pub skipped: Vec<PacketError>,
}

/// Why a datagram, or a part of one, is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// There is nothing in it.
    Empty,
    /// A label header without a label, or cut short.
    LabelForm,
    /// Another pool's label, or none where one is needed.
    LabelMismatch,
    /// It cannot be decrypted.
    Sealed(OpenError),
    /// The checksum is wrong.
    Checksum {
        /// What it says.
        told: u32,
        /// What its bytes give.
        found: u32,
    },
    /// A compound was cut short: this many parts are missing.
    Truncated(usize),
    /// A compression other than LZW.
    Algorithm(u8),
    /// Compressed bytes that are broken, or unpack to more than is allowed.
    Compression,
    /// Too many layers within each other.
    Depth,
    /// A message that cannot be read.
    Message(DecodeError),
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("missing message type byte"),
            Self::LabelForm => f.write_str("label header is malformed"),
            Self::LabelMismatch => f.write_str("label is not ours"),
            Self::Sealed(reason) => reason.fmt(f),
            Self::Checksum { told, found } => {
                write!(f, "checksum {told:08x} does not match {found:08x}")
            }
            Self::Truncated(parts) => write!(f, "compound lacks {parts} parts"),
            Self::Algorithm(number) => write!(f, "unknown compression algorithm {number}"),
            Self::Compression => f.write_str("compressed message is broken"),
            Self::Depth => f.write_str("messages nested too deeply"),
            Self::Message(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for PacketError {}

/// Takes a datagram apart. Parts that cannot be read are skipped with their reason; the rest
/// stands.
///
/// `verify_incoming` refuses what none of the keys decrypts; without it, such a datagram is read
/// as plaintext. Without keys, everything is plaintext.
///
/// # Errors
/// What concerns the datagram as a whole: label, decryption, checksum.
pub fn open(
    bytes: &[u8],
    keyring: &Keyring,
    label: &str,
    verify_incoming: bool,
) -> Result<Opened, PacketError> {
    let (found, sealed) = split_label(bytes)?;
    if found != label.as_bytes() {
        return Err(PacketError::LabelMismatch);
    }
    let plain = if keyring.is_empty() {
        Cow::Borrowed(sealed)
    } else {
        match unseal(keyring, found, sealed) {
            Ok(plain) => Cow::Owned(plain),
            Err(reason) if verify_incoming => return Err(PacketError::Sealed(reason)),
            Err(_) => Cow::Borrowed(sealed),
        }
    };
    let mut opening = Opening { opened: Opened::default(), room: UNPACKED_BYTES_MAX };
    opening.command(checked(&plain)?, DEPTH_MAX);
    Ok(opening.opened)
}

/// The label before a datagram (empty: none), and what follows it.
fn split_label(bytes: &[u8]) -> Result<(&[u8], &[u8]), PacketError> {
    match bytes {
        [kind::LABEL, 0, ..] => Err(PacketError::LabelForm),
        [kind::LABEL, length, rest @ ..] => {
            rest.split_at_checked(usize::from(*length)).ok_or(PacketError::LabelForm)
        }
        [kind::LABEL] => Err(PacketError::LabelForm),
        whole => Ok((&[], whole)),
    }
}

/// What follows the checksum, if there is one and it holds.
fn checked(bytes: &[u8]) -> Result<&[u8], PacketError> {
    let [kind::CHECKSUM, a, b, c, d, rest @ ..] = bytes else {
        return Ok(bytes);
    };
    let told = u32::from_be_bytes([*a, *b, *c, *d]);
    let found = crc32fast::hash(rest);
    if told == found { Ok(rest) } else { Err(PacketError::Checksum { told, found }) }
}

/// A datagram being taken apart.
struct Opening {
    opened: Opened,
    /// Bytes that may still be unpacked.
    room: usize,
}

impl Opening {
    /// One message, compound or compressed one; `depth` more layers are allowed.
    fn command(&mut self, bytes: &[u8], depth: usize) {
        let outcome = match bytes.split_first() {
            None => Err(PacketError::Empty),
            Some((&(kind::COMPOUND | kind::COMPRESS), _)) if depth == 0 => Err(PacketError::Depth),
            Some((&kind::COMPOUND, rest)) => self.compound(rest, depth - 1),
            Some((&kind::COMPRESS, rest)) => self.compressed(rest, depth - 1),
            Some(_) => match Message::decode(bytes) {
                Ok(message) => {
                    self.opened.messages.push(message);
                    Ok(())
                }
                Err(reason) => Err(PacketError::Message(reason)),
            },
        };
        if let Err(reason) = outcome {
            self.opened.skipped.push(reason);
        }
    }

    /// The parts of a compound, as far as they are there.
    fn compound(&mut self, bytes: &[u8], depth: usize) -> Result<(), PacketError> {
        let mut lengths = Cursor::new(bytes);
        let count = usize::from(lengths.byte().map_err(PacketError::Message)?);
        let mut parts = Cursor::new(bytes);
        parts.take(1 + 2 * count).map_err(PacketError::Message)?;
        for index in 0..count {
            let length = lengths.length16().map_err(PacketError::Message)?;
            let Ok(part) = parts.take(length) else {
                return Err(PacketError::Truncated(count - index));
            };
            self.command(part, depth);
        }
        Ok(())
    }

    /// What a compressed message holds.
    fn compressed(&mut self, body: &[u8], depth: usize) -> Result<(), PacketError> {
        let (algorithm, packed) = read_compressed(body).map_err(PacketError::Message)?;
        if algorithm != 0 {
            return Err(PacketError::Algorithm(algorithm));
        }
        let plain = lzw::unpack(&packed, self.room).ok_or(PacketError::Compression)?;
        self.room -= plain.len();
        self.command(&plain, depth);
        Ok(())
    }
}

/// The body of a compressed message: algorithm and bytes.
pub(crate) fn read_compressed(body: &[u8]) -> Result<(u8, Vec<u8>), DecodeError> {
    let (mut algorithm, mut packed) = (0, Vec::new());
    Cursor::new(body).fields(&["Algo", "Buf"], |index, value| {
        match index {
            0 => algorithm = value.number()?,
            _ => packed = value.raw_vec()?,
        }
        Ok(())
    })?;
    Ok((algorithm, packed))
}
