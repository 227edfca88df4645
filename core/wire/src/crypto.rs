//! Keys: AES-GCM as memberlist uses it, and the ring of keys a pool accepts.

mod gcm;

pub use gcm::OpenError;
pub(crate) use gcm::{seal, sealed_len, unseal};

use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;

/// A key of 16, 24 or 32 bytes. It never shows itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A key of these bytes.
    ///
    /// # Errors
    /// [`KeyringError::Size`].
    pub fn new(bytes: &[u8]) -> Result<Self, KeyringError> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(bytes.to_vec())),
            _ => Err(KeyringError::Size),
        }
    }

    /// A key as configuration and keyring files write it.
    ///
    /// # Errors
    /// [`KeyringError::Base64`] or [`KeyringError::Size`].
    pub fn from_base64(text: &str) -> Result<Self, KeyringError> {
        Self::new(&STANDARD.decode(text).map_err(|_| KeyringError::Base64)?)
    }

    /// As configuration and keyring files write it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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

/// The keys a pool accepts; the first one seals. No key is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// Why a key is none, or a ring of keys stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyringError {
    /// A key of another length.
    Size,
    /// A key that is no Base64.
    Base64,
    /// A keyring file that is no list of texts.
    File,
    /// The key that seals cannot go.
    Primary,
    /// Only a key of the ring can become the one that seals.
    Absent,
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "key size must be 16, 24 or 32 bytes",
            Self::Base64 => "key is not valid base64",
            Self::File => "keyring file is not a list of keys",
            Self::Primary => "Removing the primary key is not allowed",
            Self::Absent => "Requested key is not in the keyring",
        })
    }
}

impl core::error::Error for KeyringError {}

impl Keyring {
    /// A ring of these keys; the first seals.
    pub fn new(keys: Vec<Key>) -> Self {
        let mut ring = Self::default();
        keys.into_iter().for_each(|key| ring.add(key));
        ring
    }

    /// The key that seals, if there is any.
    pub fn primary(&self) -> Option<&Key> {
        self.keys.first()
    }

    /// All keys, the one that seals first.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Whether nothing is encrypted.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Accepts a key, behind the others. Nothing changes if it is there.
    pub fn add(&mut self, key: Key) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    /// Lets a key of the ring seal; the others keep their order behind it.
    ///
    /// # Errors
    /// [`KeyringError::Absent`].
    pub fn use_key(&mut self, key: &Key) -> Result<(), KeyringError> {
        let place = self.keys.iter().position(|held| held == key).ok_or(KeyringError::Absent)?;
        self.keys[..=place].rotate_right(1);
        Ok(())
    }

    /// Accepts a key no longer. Nothing changes if it is not there.
    ///
    /// # Errors
    /// [`KeyringError::Primary`].
    pub fn remove(&mut self, key: &Key) -> Result<(), KeyringError> {
        if self.primary() == Some(key) {
            return Err(KeyringError::Primary);
        }
        self.keys.retain(|held| held != key);
        Ok(())
    }

    /// The content of a keyring file.
    pub fn to_json(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(Key::to_base64).collect();
        serde_json::to_string_pretty(&keys).expect("a list of texts is JSON")
    }

    /// Reads a keyring file.
    ///
    /// # Errors
    /// [`KeyringError::File`], or what is wrong with a key.
    pub fn from_json(text: &str) -> Result<Self, KeyringError> {
        let keys: Vec<String> = serde_json::from_str(text).map_err(|_| KeyringError::File)?;
        keys.iter().map(|key| Key::from_base64(key)).collect::<Result<_, _>>().map(Self::new)
    }
}

#[cfg(test)]
mod tests;
