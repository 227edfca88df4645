//! Datagrams: label, encryption, checksum, compression, compound.

use crate::crypto::Seal;
use crate::memberlist::Message;
use alloc::sync::Arc;
use alloc::vec::Vec;

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
    /// One message, or several as compound; at most 255.
    pub messages: Vec<Message>,
}
