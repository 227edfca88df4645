//! Captures: loading them, and their layers.

use proconsul_wire::crypto::{Key, Keyring, Seal};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// One capture.
pub(crate) struct Fixture {
    /// Its name, for messages of failed assertions.
    pub(crate) name: String,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// What they mean.
    pub(crate) decoded: Value,
    /// The keys; empty if it is not encrypted.
    pub(crate) keyring: Keyring,
    /// The label; empty for none.
    pub(crate) label: String,
}

impl Fixture {
    /// All captures whose names start so; never none.
    pub(crate) fn all(prefix: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gossip/fixtures");
        let mut found: Vec<Self> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
            .map(|path| Self::load(&path))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(!found.is_empty(), "no fixture starts with {prefix}");
        found
    }

    fn load(path: &Path) -> Self {
        let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let keys = json["keys_base64"].as_array().into_iter().flatten();
        Self {
            name: json["name"].as_str().unwrap().to_owned(),
            bytes: unhex(json["hex"].as_str().unwrap()),
            decoded: json["decoded"].clone(),
            keyring: Keyring::new(
                keys.map(|key| Key::from_base64(key.as_str().unwrap()).unwrap()).collect(),
            ),
            label: json["label"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// With which nonce, version and key it was sealed; `key` is the index in the ring.
    pub(crate) fn seal(&self, key: usize) -> Option<Seal> {
        let encryption = self.decoded.get("encryption")?;
        Some(Seal {
            key: self.keyring.keys()[key].clone(),
            nonce: unhex(encryption["nonce"].as_str().unwrap()).try_into().unwrap(),
            version: u8::try_from(encryption["version"].as_u64().unwrap()).unwrap(),
        })
    }

    /// The plaintext when every layer but compound is off.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let compressed = self.decoded["compress"]["plain_hex"].as_str();
        match compressed.or_else(|| self.decoded["plain_hex"].as_str()) {
            Some(hex) => unhex(hex),
            None if self.bytes[0] == 0xf4 => self.bytes[2 + self.label.len()..].to_vec(),
            None => self.bytes.clone(),
        }
    }
}

/// Bytes of hexadecimal text.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
}

/// Hexadecimal text of bytes, to compare readably.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
