//! Datagrams: label, encryption, checksum, compression, compound.
//!
//! ```text
//! f4 length label | version nonce ciphertext tag | 0c crc32 | 09 {Algo, Buf} | message or compound
//! ```
//!
//! Each layer but the last is optional. The checksum covers everything to its right.

mod open;

pub(crate) use open::read_compressed;
pub use open::{Opened, PacketError, open};

use crate::crypto::{Seal, seal};
use crate::lzw;
use crate::memberlist::{Message, kind};
use crate::msgpack::Sink;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Most messages in one datagram: their count is one byte.
pub const MESSAGES_MAX: usize = 255;

/// A datagram as a value: what `to_bytes` makes bytes of.
#[derive(Clone, Debug, PartialEq)]
pub struct Datagram {
    /// Empty: none.
    pub label: Arc<str>,
    /// The key and nonce; `None`: plaintext.
    pub seal: Option<Seal>,
    /// Whether a checksum goes with it.
    pub checksum: bool,
    /// Whether to compress if that makes it smaller.
    pub compress: bool,
    /// One message, or several as compound; at least one and at most [`MESSAGES_MAX`].
    pub messages: Vec<Message>,
}

impl Datagram {
    /// The bytes that leave.
    ///
    /// # Panics
    /// A datagram of no or more than [`MESSAGES_MAX`] messages, of a message over 64 KiB among
    /// others, or with a label over 255 bytes: bugs of the sender.
    pub fn to_bytes(&self) -> Bytes {
        let mut plain = Vec::with_capacity(256);
        if self.checksum {
            plain.put(&[kind::CHECKSUM, 0, 0, 0, 0]);
        }
        let start = plain.len();
        self.write_messages(&mut plain);
        if self.compress {
            let packed = compressed(&plain[start..]);
            if packed.len() < plain.len() - start {
                plain.truncate(start);
                plain.put(&packed);
            }
        }
        if self.checksum {
            let sum = crc32fast::hash(&plain[start..]);
            plain[1..start].copy_from_slice(&sum.to_be_bytes());
        }
        if self.label.is_empty() && self.seal.is_none() {
            return Bytes::from(plain);
        }
        let mut out = Vec::with_capacity(plain.len() + self.label.len() + 64);
        write_label(&self.label, &mut out);
        match &self.seal {
            Some(how) => seal(how, self.label.as_bytes(), &plain, &mut out),
            None => out.put(&plain),
        }
        Bytes::from(out)
    }

    /// The one message, or all of them as compound: count, lengths, messages.
    fn write_messages(&self, out: &mut Vec<u8>) {
        if let [message] = self.messages.as_slice() {
            message.write(out);
            return;
        }
        assert!(!self.messages.is_empty(), "a datagram carries at least one message");
        let count = u8::try_from(self.messages.len()).expect("at most 255 messages in a datagram");
        out.put(&[kind::COMPOUND, count]);
        let mut length_at = out.len();
        out.resize(length_at + 2 * self.messages.len(), 0);
        for message in &self.messages {
            let start = out.len();
            message.write(out);
            let length = u16::try_from(out.len() - start).expect("messages of less than 64 KiB");
            out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
            length_at += 2;
        }
    }
}

/// The compress message that holds `plain`.
pub(crate) fn compressed(plain: &[u8]) -> Vec<u8> {
    let packed = lzw::pack(plain);
    let mut out = Vec::with_capacity(packed.len() + 20);
    out.byte(kind::COMPRESS);
    out.map(2);
    out.raw(b"Algo");
    out.unsigned(0);
    out.raw(b"Buf");
    out.raw(&packed);
    out
}

/// The header of a label; nothing for an empty one.
pub(crate) fn write_label(label: &str, out: &mut Vec<u8>) {
    if !label.is_empty() {
        let length = u8::try_from(label.len()).expect("a label is at most 255 bytes");
        out.put(&[kind::LABEL, length]);
        out.put(label.as_bytes());
    }
}
