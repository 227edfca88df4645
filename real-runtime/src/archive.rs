//! Snapshot archives: a gzipped tar of `meta.json`, `state.bin` and `SHA256SUMS`, as Consul's tools
//! know them. What is in `state.bin` is ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proconsul_core::catalog::{Restore, RestoreError, SnapshotReader};
use proconsul_core::http::View;
use proconsul_core::types::WallTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
/// The state's format, as `meta.json` says it. Consul's are version 1 and refuse any other.
const VERSION: u64 = 1000;
/// No state we take is larger.
const STATE_BYTES_MAX: u64 = 4 << 30;
/// Nor is anything that describes it.
const WORDS_BYTES_MAX: u64 = 1 << 20;
/// The state is read, summed and checked in pieces of this size.
const PIECE_BYTES: usize = 256 * 1024;
/// How everything begins that gzip wrote.
const GZIP: [u8; 2] = [0x1f, 0x8b];

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

/// Makes an archive of a state that is in memory.
///
/// # Errors
/// Only if memory refuses to be written, which it does not.
pub fn pack(meta: &Meta, state: &[u8]) -> io::Result<Vec<u8>> {
    let archive = Vec::with_capacity(state.len() / 3);
    write(meta, &hex(&Sha256::digest(state)), state, archive)
}

/// Writes the archive of what `view` holds. The state is made twice, for its sum and for the
/// archive, and is never whole in memory.
///
/// # Errors
/// Those of `out`.
pub fn stream<W: Write>(view: &View, now: WallTime, out: W) -> io::Result<W> {
    let (mut size, mut sum) = (0, Sha256::new());
    let mut reader = view.catalog.snapshot();
    while let Some(piece) = reader.next_chunk(PIECE_BYTES) {
        size += piece.len();
        sum.update(&piece);
    }
    let meta = Meta::of(view, view.catalog.index().0, now, size);
    let state = StateReader { reader: view.catalog.snapshot(), piece: Bytes::new() };
    write(&meta, &hex(&sum.finalize()), state, out)
}

/// A state as it is made.
struct StateReader {
    reader: SnapshotReader,
    piece: Bytes,
}

impl Read for StateReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.reader.next_chunk(PIECE_BYTES).unwrap_or_default();
        }
        let bytes = self.piece.split_to(self.piece.len().min(into.len()));
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

fn write<W: Write>(meta: &Meta, sum: &str, state: impl Read, out: W) -> io::Result<W> {
    let meta_text = serde_json::to_vec(meta).map_err(io::Error::other)?;
    let sums = format!("{}  {META}\n{sum}  {STATE}\n", hex(&Sha256::digest(&meta_text)));
    let mut tar = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
    let size = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    append(&mut tar, META, size(&meta_text), &meta_text[..])?;
    append(&mut tar, STATE, meta.size, state)?;
    append(&mut tar, SUMS, size(sums.as_bytes()), sums.as_bytes())?;
    tar.into_inner()?.finish()
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(size);
    tar.append_data(&mut header, name, content)
}

/// Whether `bytes` may be how an archive begins; if not, the rest need not be waited for.
///
/// # Errors
/// They are not, in Consul's words.
pub fn begins(bytes: &[u8]) -> Result<(), String> {
    let known = bytes.len().min(GZIP.len());
    match bytes[..known] == GZIP[..known] {
        true => Ok(()),
        false => Err(broken(&io::ErrorKind::InvalidData.into())),
    }
}

/// Opens an archive and checks its sums; with `check`, the state is also read as it comes, so that
/// one that makes no sense is refused at its first wrong byte.
///
/// # Errors
/// What is wrong with it, in Consul's words where it has some.
pub fn unpack(archive: &[u8], mut check: Option<Restore>) -> Result<Archive, String> {
    begins(archive)?;
    let mut parts: BTreeMap<String, (Vec<u8>, String)> = BTreeMap::new();
    let limit = STATE_BYTES_MAX + 3 * WORDS_BYTES_MAX;
    let mut tar = tar::Archive::new(GzDecoder::new(archive).take(limit));
    let entries = tar.entries().map_err(|error| broken(&error))?;
    for entry in entries {
        let entry = entry.map_err(|error| broken(&error))?;
        let name = entry.path().map_err(|error| broken(&error))?.display().to_string();
        let is_state = name == STATE;
        let most = match name.as_str() {
            STATE => STATE_BYTES_MAX,
            META | SUMS => WORDS_BYTES_MAX,
            _ => return Err(format!("failed to read snapshot file: unexpected file {name:?}")),
        };
        if entry.size() > most || parts.contains_key(&name) {
            return Err(format!("failed to read snapshot file: {name} is too large"));
        }
        let mut check = if is_state { check.take() } else { None };
        if let Some((meta, _)) = parts.get(META)
            && parse_meta(meta)?.version != VERSION
        {
            check = None;
        }
        parts.insert(name, read_part(entry, check)?);
    }
    // What is left is padding and gzip's own sum, which is checked at its end.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|error| broken(&error))?;
    let mut take = |name: &str| {
        parts.remove(name).ok_or_else(|| format!("failed to read snapshot file: no {name} in it"))
    };
    let (meta, state, (sums, _)) = (take(META)?, take(STATE)?, take(SUMS)?);
    let sums = String::from_utf8(sums).map_err(|_| "the checksum list is not text".to_owned())?;
    for (name, (_, sum)) in [(META, &meta), (STATE, &state)] {
        let listed = sums.lines().any(|line| {
            line.split_once("  ").is_some_and(|(listed, file)| file == name && listed == sum)
        });
        if !listed {
            return Err(format!("hash check failed for {name:?}"));
        }
    }
    Ok(Archive { meta: parse_meta(&meta.0)?, state: Bytes::from(state.0) })
}

fn parse_meta(text: &[u8]) -> Result<Meta, String> {
    serde_json::from_slice(text)
        .map_err(|error| format!("failed to decode snapshot metadata: {error}"))
}

/// The bytes of one file of the archive and their sum.
fn read_part(mut part: impl Read, mut check: Option<Restore>) -> Result<(Vec<u8>, String), String> {
    let refused = |error: RestoreError| format!("failed to restore snapshot: {error}");
    let (mut bytes, mut sum) = (Vec::new(), Sha256::new());
    loop {
        let before = bytes.len();
        let piece = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
        let read = (&mut part).take(piece).read_to_end(&mut bytes);
        if read.map_err(|error| broken(&error))? == 0 {
            break;
        }
        sum.update(&bytes[before..]);
        if let Some(check) = &mut check {
            check.push(&bytes[before..]).map_err(refused)?;
        }
    }
    if let Some(check) = check {
        check.finish().map_err(refused)?;
    }
    Ok((bytes, hex(&sum.finalize())))
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
    use proconsul_core::catalog::Catalog;
    use proconsul_core::types::Planted;

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

    fn of(state: &[u8]) -> Meta {
        Meta { size: u64::try_from(state.len()).unwrap(), ..meta() }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let packed = pack(&meta(), b"state").unwrap();
        let opened = unpack(&packed, None).unwrap();
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

    fn check() -> Option<Restore> {
        Some(Restore::new("dc1".into(), Planted::none()))
    }

    #[test]
    fn junk_is_refused_with_a_reason() {
        assert_eq!(unpack(b"", None).unwrap_err(), "failed to decompress snapshot: unexpected EOF");
        let header = "failed to decompress snapshot: gzip: invalid header";
        assert_eq!(unpack(b"junk, not gzip", None).unwrap_err(), header);
        assert_eq!(begins(b"\x1f"), Ok(()));
        assert_eq!(begins(b"\x1fx").unwrap_err(), header);
        let packed = pack(&meta(), b"state").unwrap();
        for cut in 1..packed.len() {
            assert!(unpack(&packed[..cut], None).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_state_is_read_as_it_comes() {
        let catalog = Catalog::new("dc1".into(), Planted::none());
        let state = catalog.snapshot().next_chunk(1 << 20).unwrap();
        assert_eq!(unpack(&pack(&of(&state), &state).unwrap(), check()).unwrap().state, state);
        let zeros = vec![0; 1 << 20];
        for wrong in [&zeros[..], &state[..state.len() - 1], b""] {
            let error = unpack(&pack(&of(wrong), wrong).unwrap(), check()).unwrap_err();
            assert!(error.starts_with("failed to restore snapshot: catalog snapshot refused"));
        }
        let theirs = Meta { version: 1, ..of(&zeros) };
        let archive = unpack(&pack(&theirs, &zeros).unwrap(), check()).unwrap();
        assert!(archive.restorable().unwrap_err().contains("Consul's"));
    }

    #[test]
    fn what_describes_a_state_is_short() {
        let long = Meta { id: "x".repeat(2 << 20), ..meta() };
        let error = unpack(&pack(&long, b"state").unwrap(), None).unwrap_err();
        assert_eq!(error, "failed to read snapshot file: meta.json is too large");
    }
}
