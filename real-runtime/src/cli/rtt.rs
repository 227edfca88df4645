//! `rtt`: how far two nodes are from each other.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{Command, out};
use proconsul_core::gossip::distance;
use proconsul_core::types::Coordinate;
use serde::Deserialize;

pub(super) const COMMAND: Command = Command {
    path: &["rtt"],
    about: "Estimates the round trip between two nodes",
    run: rtt,
    flags: |command| {
        flag::server(command).arg(flag::switch("wan", "Servers, named <node>.<datacenter>"))
    },
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Coord {
    vec: [f64; 8],
    error: f64,
    adjustment: f64,
    height: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Placed {
    node: String,
    coord: Coord,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datacenter {
    datacenter: String,
    coordinates: Option<Vec<Placed>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Agent {
    config: AgentConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentConfig {
    datacenter: String,
    node_name: String,
}

fn rtt(flags: Flags) -> Outcome {
    let (one, other) = match flags.arguments.as_slice() {
        [one] => (one.clone(), None),
        [one, other] => (one.clone(), Some(other.clone())),
        [..] => return Err("One or two node names must be specified".to_owned()),
    };
    let wan = flags.on("wan")?;
    let client = Client::of_server(&flags)?;
    let is_wan_name = |name: &String| name.split('.').count() == 2;
    if wan && !(is_wan_name(&one) && other.iter().all(is_wan_name)) {
        return Err("Node names must be specified as <node name>.<datacenter> with -wan".to_owned());
    }
    let other = match other {
        Some(other) => other,
        None => own_name(&client, wan)?,
    };
    let (places, source) =
        if wan { (wan_places(&client)?, "WAN") } else { (lan_places(&client)?, "LAN") };
    let place = |name: &str| {
        let found = places.iter().find(|place| place.node == name);
        found
            .map(|place| coordinate(&place.coord))
            .ok_or_else(|| format!("Could not find a coordinate for node \"{name}\""))
    };
    let millis = distance(&place(&one)?, &place(&other)?) * 1000.0;
    out(&format!("Estimated {one} <-> {other} rtt: {millis:.3} ms (using {source} coordinates)\n"));
    Ok(0)
}

fn failed(error: &dyn std::fmt::Display) -> String {
    format!("Error getting coordinates: {error}")
}

fn own_name(client: &Client, wan: bool) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("Unable to look up agent info: {error}");
    let body = client.get("/v1/agent/self", &[]).map_err(|error| failed(&error))?;
    let agent: Agent = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let AgentConfig { datacenter, node_name } = agent.config;
    Ok(if wan { format!("{node_name}.{datacenter}") } else { node_name })
}

fn lan_places(client: &Client) -> Result<Vec<Placed>, String> {
    let body = client.get("/v1/coordinate/nodes", &[]).map_err(|error| failed(&error))?;
    serde_json::from_slice(&body).map_err(|error| failed(&error))
}

fn wan_places(client: &Client) -> Result<Vec<Placed>, String> {
    let body = client.get("/v1/coordinate/datacenters", &[]).map_err(|error| failed(&error))?;
    let told: Vec<Datacenter> = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let mut places = Vec::new();
    for datacenter in told {
        for place in datacenter.coordinates.into_iter().flatten() {
            let node = format!("{}.{}", place.node, datacenter.datacenter);
            places.push(Placed { node, ..place });
        }
    }
    Ok(places)
}

fn coordinate(told: &Coord) -> Coordinate {
    let Coord { vec, error, adjustment, height } = *told;
    Coordinate { vector: vec, error, adjustment, height }
}
