//! Streams: label, encryption, compression, one message each way.

use crate::crypto::Seal;
use crate::memberlist::StreamMessage;
use alloc::sync::Arc;

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
