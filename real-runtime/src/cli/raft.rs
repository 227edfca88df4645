//! `operator raft list-peers`, `remove-peer`, `transfer-leader`.

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

pub(super) const REMOVE_PEER: Command = Command {
    path: &["operator", "raft", "remove-peer"],
    about: "Removes a server from the group",
    run: remove_peer,
    flags: |command| {
        flag::server(command)
            .arg(flag::value("id", "The server with this id"))
            .arg(flag::value("address", "The server at this address (host:port)"))
    },
};

pub(super) const TRANSFER_LEADER: Command = Command {
    path: &["operator", "raft", "transfer-leader"],
    about: "Lets another server lead",
    run: transfer_leader,
    flags: |command| flag::server(command).arg(flag::value("id", "The server with this id")),
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

fn remove_peer(flags: Flags) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| format!("Error removing peer: {error}");
    let given = |name: &'static str| flags.text(name).filter(|text| !text.is_empty());
    let (name, value) = match (given("id"), given("address")) {
        (Some(id), None) => ("id", id),
        (None, Some(address)) => ("address", address),
        (None, None) => return Err(failed(&"an address or id is required for the peer to remove")),
        (Some(_), Some(_)) => return Err(failed(&"cannot give both an address and id")),
    };
    Client::of_server(&flags)?
        .send("DELETE", "/v1/operator/raft/peer", &[(name, value)], &[])
        .map_err(|error| failed(&error))?;
    out(&format!("Removed peer with {name} {value:?}\n"));
    Ok(0)
}

fn transfer_leader(flags: Flags) -> Outcome {
    let mut query = Vec::new();
    if let Some(id) = flags.text("id").filter(|id| !id.is_empty()) {
        query.push(("id", id));
    }
    Client::of_server(&flags)?
        .send("POST", "/v1/operator/raft/transfer-leader", &query, &[])
        .map_err(|error| format!("Error transfering leadership: {error}"))?;
    out("Success\n");
    Ok(0)
}
