//! Keys: AES-GCM as memberlist uses it, and the ring of keys a pool accepts.

use alloc::vec::Vec;
use core::fmt;

/// A key of 16, 24 or 32 bytes. It never shows itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// What one message is sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The key.
    pub key: Key,
    /// Never twice with one key.
    pub nonce: [u8; 12],
    /// 0 pads, 1 does not.
    pub version: u8,
}

/// The keys a pool accepts; the first one seals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<Key>,
}
