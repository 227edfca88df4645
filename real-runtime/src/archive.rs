//! Snapshot archives: a gzipped tar of `meta.json`, `state.bin` and `SHA256SUMS`, as Consul's tools
//! know them. What is in `state.bin` is ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proconsul_core::http::View;
use proconsul_core::types::WallTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read};

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
/// The state's format, as `meta.json` says it. Consul's are version 1 and refuse any other.
const VERSION: u64 = 1000;
/// No archive we take holds more than this, packed or not.
const STATE_BYTES_MAX: u64 = 16 << 30;

/// `meta.json`: what a snapshot stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are those of the file")]
pub struct Meta {
    pub version: u64,
    #[serde(rename = "ID")]
    pub id: String,
    pub index: u64,
    pub term: u64,
    pub peers: String,
    pub configuration: Configuration,
    pub configuration_index: u64,
    pub size: u64,
}

/// The group of servers at that index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are those of the file")]
pub struct Configuration {
    pub servers: Vec<ServerEntry>,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are those of the file")]
pub struct ServerEntry {
    pub suffrage: u8,
    #[serde(rename = "ID")]
    pub id: String,
    pub address: String,
}

impl Meta {
    /// What `view` knows of a snapshot of `size` bytes taken at `index`.
    #[must_use]
    pub fn of(view: &View, index: u64, now: WallTime, size: usize) -> Self {
        let term = view.leadership.term.0;
        let servers: Vec<ServerEntry> = view
            .leadership
            .servers
            .iter()
            .map(|server| ServerEntry {
                suffrage: u8::from(!server.voter),
                id: server.id.to_string(),
                address: server.address.map(|address| address.to_string()).unwrap_or_default(),
            })
            .collect();
        Self {
            version: VERSION,
            id: format!("{term}-{index}-{}", now.0),
            index,
            term,
            peers: peers_field(&servers),
            configuration: Configuration { servers },
            configuration_index: view.leadership.membership_index,
            size: u64::try_from(size).unwrap_or(u64::MAX),
        }
    }
}

/// The old field: a msgpack array of addresses, in base64.
fn peers_field(servers: &[ServerEntry]) -> String {
    let mut packed = Vec::new();
    let count = u8::try_from(servers.len().min(15)).unwrap_or(15);
    packed.push(0x90 | count);
    for server in servers.iter().take(15) {
        let text = &server.address.as_bytes()[..server.address.len().min(31)];
        packed.push(0xa0 | u8::try_from(text.len()).unwrap_or(31));
        packed.extend_from_slice(text);
    }
    STANDARD.encode(packed)
}

/// An opened archive.
#[derive(Clone, Debug)]
pub struct Archive {
    /// What it stands for.
    pub meta: Meta,
    /// The state itself.
    pub state: Bytes,
}

impl Archive {
    /// The state, for this agent to restore.
    ///
    /// # Errors
    /// It is in another format than ours: Consul's, or a later one.
    pub fn restorable(self) -> Result<Bytes, String> {
        match self.meta.version {
            VERSION => Ok(self.state),
            1 => Err("the snapshot is one of Consul's, whose state is not read here".to_owned()),
            other => Err(format!("unsupported snapshot version {other}")),
        }
    }
}

/// Makes an archive.
///
/// # Errors
/// Only if memory refuses to be written, which it does not.
pub fn pack(meta: &Meta, state: &[u8]) -> io::Result<Vec<u8>> {
    let meta_text = serde_json::to_vec(meta).map_err(io::Error::other)?;
    let mut sums = String::new();
    for (name, bytes) in [(META, &meta_text[..]), (STATE, state)] {
        writeln!(sums, "{}  {name}", hex(&Sha256::digest(bytes))).map_err(io::Error::other)?;
    }
    let packer = GzEncoder::new(Vec::with_capacity(state.len() / 3), Compression::fast());
    let mut tar = tar::Builder::new(packer);
    for (name, bytes) in [(META, &meta_text[..]), (STATE, state), (SUMS, sums.as_bytes())] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        tar.append_data(&mut header, name, bytes)?;
    }
    tar.into_inner()?.finish()
}

/// Opens an archive and checks its sums.
///
/// # Errors
/// What is wrong with it, in Consul's words where it has some.
pub fn unpack(archive: &[u8]) -> Result<Archive, String> {
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut tar = tar::Archive::new(GzDecoder::new(archive).take(STATE_BYTES_MAX));
    let entries = tar.entries().map_err(|error| broken(&error))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| broken(&error))?;
        let name = entry.path().map_err(|error| broken(&error))?.display().to_string();
        if ![META, STATE, SUMS].contains(&name.as_str()) {
            return Err(format!("failed to read snapshot file: unexpected file {name:?}"));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        parts.insert(name, bytes);
    }
    // What is left is padding and gzip's own sum, which is checked at its end.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|error| broken(&error))?;
    let mut take = |name: &str| {
        parts.remove(name).ok_or_else(|| format!("failed to read snapshot file: no {name} in it"))
    };
    let (meta, state, sums) = (take(META)?, take(STATE)?, take(SUMS)?);
    let sums = String::from_utf8(sums).map_err(|_| "the checksum list is not text".to_owned())?;
    for (name, bytes) in [(META, &meta), (STATE, &state)] {
        let sum = hex(&Sha256::digest(bytes));
        let listed = sums.lines().any(|line| {
            line.split_once("  ").is_some_and(|(listed, file)| file == name && listed == sum)
        });
        if !listed {
            return Err(format!("hash check failed for {name:?}"));
        }
    }
    let meta = serde_json::from_slice(&meta)
        .map_err(|error| format!("failed to decode snapshot metadata: {error}"))?;
    Ok(Archive { meta, state: Bytes::from(state) })
}

fn broken(error: &io::Error) -> String {
    let kind = error.kind();
    if kind == io::ErrorKind::UnexpectedEof {
        "failed to decompress snapshot: unexpected EOF".to_owned()
    } else if kind == io::ErrorKind::InvalidInput || kind == io::ErrorKind::InvalidData {
        "failed to decompress snapshot: gzip: invalid header".to_owned()
    } else {
        format!("failed to decompress snapshot: {error}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let server = ServerEntry {
            suffrage: 0,
            id: "859dd897-9323-16ec-ed85-14e0cca3dd82".to_owned(),
            address: "127.0.0.1:8300".to_owned(),
        };
        Meta {
            version: VERSION,
            id: "2-62-1795345661026".to_owned(),
            index: 62,
            term: 2,
            peers: peers_field(std::slice::from_ref(&server)),
            configuration: Configuration { servers: vec![server] },
            configuration_index: 1,
            size: 5,
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let packed = pack(&meta(), b"state").unwrap();
        let opened = unpack(&packed).unwrap();
        assert_eq!(opened.meta, meta());
        assert_eq!(&opened.state[..], b"state");
    }

    #[test]
    fn only_our_own_state_is_restored() {
        let of = |version| Archive {
            meta: Meta { version, ..meta() },
            state: Bytes::from_static(b"state"),
        };
        assert_eq!(of(VERSION).restorable().unwrap(), b"state"[..]);
        assert!(of(1).restorable().unwrap_err().contains("Consul's"));
        let unknown = "unsupported snapshot version 7";
        assert_eq!(of(7).restorable().unwrap_err(), unknown);
    }

    #[test]
    fn the_old_peers_field_is_msgpack() {
        assert_eq!(STANDARD.decode(meta().peers).unwrap(), b"\x91\xae127.0.0.1:8300");
    }

    #[test]
    fn junk_is_refused_with_a_reason() {
        assert_eq!(unpack(b"").unwrap_err(), "failed to decompress snapshot: unexpected EOF");
        assert!(unpack(b"junk, not gzip").unwrap_err().starts_with("failed to decompress"));
        let packed = pack(&meta(), b"state").unwrap();
        for cut in 1..packed.len() {
            assert!(unpack(&packed[..cut]).is_err(), "cut at {cut}");
        }
    }
}
