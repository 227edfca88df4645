//! Streams: label, encryption, compression, one message each way.
//!
//! ```text
//! f4 length label | 0a length32 version nonce ciphertext tag | 09 {Algo, Buf} | message
//! ```
//!
//! Only the dialling side writes the label, but both sides authenticate it.

mod reader;

pub use reader::{Reader, StreamError};

use crate::crypto::{Seal, seal, sealed_len};
use crate::memberlist::{StreamMessage, kind};
use crate::msgpack::Sink;
use crate::packet::{compressed, write_label};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Most bytes of an encrypted message, and of Serf's part of a push/pull.
pub const SEALED_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Most bytes of a message when it is unpacked.
pub const PLAIN_BYTES_MAX: usize = 40 * 1024 * 1024;

/// Most members in a push/pull.
pub const NODES_MAX: u64 = 1024 * 1024;

/// A stream's message as a value: what `to_bytes` makes bytes of.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// Empty: none.
    pub label: Arc<str>,
    /// Whether this is the dialler's side, which alone writes the label.
    pub dialled: bool,
    /// The key and nonce; `None`: plaintext.
    pub seal: Option<Seal>,
    /// Whether it is compressed.
    pub compress: bool,
    /// What.
    pub message: StreamMessage,
}

impl Sealed {
    /// The bytes that leave.
    ///
    /// # Panics
    /// A label over 255 bytes or a message over 4 GiB: bugs of the sender.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        if self.dialled {
            write_label(&self.label, &mut out);
        }
        if self.seal.is_none() && !self.compress {
            self.message.write(&mut out);
            return Bytes::from(out);
        }
        let mut plain = Vec::with_capacity(256);
        self.message.write(&mut plain);
        if self.compress {
            plain = compressed(&plain);
        }
        let Some(how) = &self.seal else {
            out.put(&plain);
            return Bytes::from(out);
        };
        let length = u32::try_from(sealed_len(how.version, plain.len()))
            .expect("messages are less than 4 GiB");
        let mut aad = Vec::with_capacity(5 + self.label.len());
        aad.byte(kind::ENCRYPT);
        aad.put(&length.to_be_bytes());
        out.put(&aad);
        aad.put(self.label.as_bytes());
        seal(how, &aad, &plain, &mut out);
        Bytes::from(out)
    }
}

impl StreamMessage {
    /// Writes type byte and body.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ping(ping) => ping.write(out),
            Self::Ack(ack) => ack.write(out),
            Self::PushPull(state) => state.write(out),
            Self::User(bytes) => {
                out.byte(kind::USER);
                out.map(1);
                out.raw(b"UserMsgLen");
                out.unsigned(u64::try_from(bytes.len()).expect("a length fits 64 bits"));
                out.put(bytes);
            }
            Self::Error(text) => {
                out.byte(kind::ERROR);
                out.map(1);
                out.raw(b"Error");
                out.raw(text.as_bytes());
            }
        }
    }
}
