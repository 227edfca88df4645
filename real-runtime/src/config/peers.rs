//! `raft/peers.json`: who belongs to the group, written by hand to form or to recover it.
//!
//! Once the group has written down what it says, it is renamed to `peers.json.applied`, so that
//! the next start does not undo what the group decided since; addresses are still read from there
//! until gossip tells them.

use proconsul_core::PeerEntry;
use proconsul_core::types::NodeId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Written by operators.
const GIVEN: &str = "raft/peers.json";
/// What was taken.
const APPLIED: &str = "raft/peers.json.applied";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    address: String,
    #[serde(default)]
    non_voter: bool,
}

/// What the data directory says of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The servers.
    pub(super) peers: Vec<PeerEntry>,
    /// Whether an operator just put the file there.
    pub(super) given: bool,
}

/// Reads what is there.
pub(super) fn read(data_dir: &Path) -> Result<Known, String> {
    if let Some(peers) = read_file(&data_dir.join(GIVEN))? {
        return Ok(Known { peers, given: true });
    }
    let peers = read_file(&data_dir.join(APPLIED))?.unwrap_or_default();
    Ok(Known { peers, given: false })
}

/// The file was taken.
pub(super) fn applied(data_dir: &Path) -> Result<(), String> {
    fs::rename(data_dir.join(GIVEN), data_dir.join(APPLIED))
        .and_then(|()| fs::File::open(data_dir.join("raft")))
        .and_then(|folder| folder.sync_all())
        .map_err(|error| format!("cannot rename {GIVEN}: {error}"))
}

/// Addresses by identity.
pub(super) fn addresses(peers: &[PeerEntry]) -> BTreeMap<NodeId, SocketAddr> {
    peers.iter().map(|peer| (peer.id, peer.address)).collect()
}

fn read_file(path: &Path) -> Result<Option<Vec<PeerEntry>>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    parse(&text).map(Some).map_err(|reason| format!("cannot use {}: {reason}", path.display()))
}

fn parse(text: &str) -> Result<Vec<PeerEntry>, String> {
    let lines: Vec<Line> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut peers: Vec<PeerEntry> = Vec::new();
    for line in lines {
        let id: NodeId = line.id.parse().map_err(|_| format!("{:?} is not a node id", line.id))?;
        let address = line
            .address
            .parse()
            .map_err(|_| format!("{:?} is not an address with a port", line.address))?;
        if peers.iter().any(|peer| peer.id == id) {
            return Err(format!("server {id} is listed twice"));
        }
        if peers.iter().any(|peer| peer.address == address) {
            return Err(format!("address {address} is listed twice"));
        }
        peers.push(PeerEntry { id, address, non_voter: line.non_voter });
    }
    if !peers.iter().any(|peer| !peer.non_voter) {
        return Err("it lists no server that votes".to_owned());
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_format_is_read() {
        let text = r#"[
            {"id": "859dd897-9323-16ec-ed85-14e0cca3dd82", "address": "127.0.0.1:8300"},
            {"id": "eb3af95e-886d-bef0-de5d-5e8d9364505c", "address": "127.0.0.2:8300",
             "non_voter": true}
        ]"#;
        let peers = parse(text).unwrap();
        assert_eq!(peers.len(), 2);
        assert!(peers[1].non_voter && !peers[0].non_voter);
    }

    #[test]
    fn what_makes_no_group_is_refused() {
        for (text, reason) in [
            ("[]", "no server that votes"),
            (r#"["127.0.0.1:8300"]"#, "invalid type"),
            (r#"[{"id": "x", "address": "127.0.0.1:8300"}]"#, "not a node id"),
            (
                r#"[{"id": "859dd897-9323-16ec-ed85-14e0cca3dd82", "address": "here"}]"#,
                "not an address",
            ),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
