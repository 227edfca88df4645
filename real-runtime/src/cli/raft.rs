//! `operator raft list-peers`.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::table::aligned;
use super::{Command, out};
use serde::Deserialize;

pub(super) const LIST_PEERS: Command = Command {
    path: &["operator", "raft", "list-peers"],
    about: "Lists the servers of the group",
    run: list_peers,
    flags: flag::server,
};

#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(rename = "Servers")]
    servers: Vec<Server>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    leader: bool,
    protocol_version: String,
    voter: bool,
}

fn list_peers(flags: Flags) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| {
        format!("Error getting peers: Failed to retrieve raft configuration: {error}")
    };
    let body = Client::of_server(&flags)?
        .get("/v1/operator/raft/configuration", &[])
        .map_err(|error| failed(&error))?;
    let told: Configuration = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let head = ["Node", "ID", "Address", "State", "Voter", "RaftProtocol"];
    let mut rows = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    for server in told.servers {
        let state = if server.leader { "leader" } else { "follower" };
        rows.push(vec![
            server.node,
            server.id,
            server.address,
            state.to_owned(),
            server.voter.to_string(),
            server.protocol_version,
        ]);
    }
    out(&aligned(&rows));
    Ok(0)
}
