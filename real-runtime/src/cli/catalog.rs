//! `catalog datacenters`, `catalog nodes`, `catalog services`.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::table::{aligned, pairs};
use super::{Command, err, out};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const DATACENTERS: Command = Command {
    path: &["catalog", "datacenters"],
    about: "Lists the known datacenters",
    run: datacenters,
    flags: flag::server,
};

pub(super) const NODES: Command = Command {
    path: &["catalog", "nodes"],
    about: "Lists nodes",
    run: nodes,
    flags: |command| {
        flag::server(command)
            .arg(flag::switch("detailed", "Print everything known of a node"))
            .arg(flag::value("filter", "Only nodes for which this expression holds"))
            .arg(flag::value("near", "Sort by distance from this node"))
            .arg(flag::list("node-meta", "Only nodes with this metadata (key=value)"))
            .arg(flag::value("service", "Only nodes that offer this service"))
    },
};

pub(super) const SERVICES: Command = Command {
    path: &["catalog", "services"],
    about: "Lists services",
    run: services,
    flags: |command| {
        flag::server(command)
            .arg(flag::value("node", "Only services of this node (name or id)"))
            .arg(flag::list("node-meta", "Only services of nodes with this metadata (key=value)"))
            .arg(flag::switch("tags", "Print tags too"))
    },
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "ID", default)]
    id: String,
    node: String,
    address: String,
    datacenter: String,
    tagged_addresses: Option<BTreeMap<String, String>>,
    #[serde(alias = "NodeMeta")]
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct ServicesOfNode {
    #[serde(rename = "Services")]
    services: BTreeMap<String, ServiceOfNode>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceOfNode {
    service: String,
    tags: Option<Vec<String>>,
}

fn datacenters(flags: Flags) -> Outcome {
    flags.none()?;
    let failed = |error: &dyn std::fmt::Display| format!("Error listing datacenters: {error}");
    let client = Client::of_server(&flags)?;
    let body = client.get("/v1/catalog/datacenters", &[]).map_err(|error| failed(&error))?;
    let names: Vec<String> = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    out(&names.iter().map(|name| format!("{name}\n")).collect::<String>());
    Ok(0)
}

/// `key=value` as the API wants it.
fn meta_filters(flags: &Flags) -> Vec<String> {
    flags.texts("node-meta").iter().map(|pair| pair.replacen('=', ":", 1)).collect()
}

fn nodes(flags: Flags) -> Outcome {
    flags.none()?;
    let failed = |error: &dyn std::fmt::Display| format!("Error listing nodes: {error}");
    let client = Client::of_server(&flags)?;
    let metas = meta_filters(&flags);
    let mut query: Vec<(&str, &str)> =
        metas.iter().map(|meta| ("node-meta", meta.as_str())).collect();
    for name in ["filter", "near"] {
        if let Some(value) = flags.text(name) {
            query.push((name, value));
        }
    }
    let path = flags.text("service").filter(|name| !name.is_empty()).map_or_else(
        || "/v1/catalog/nodes".to_owned(),
        |service| format!("/v1/catalog/service/{service}"),
    );
    let body = client.get(&path, &query).map_err(|error| failed(&error))?;
    let mut found: Vec<Node> = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    if found.is_empty() {
        err("No nodes match the given query - try expanding your search.\n");
        return Ok(0);
    }
    found.dedup_by(|one, other| one.node == other.node);
    let detailed = flags.on("detailed")?;
    let head: &[&str] = if detailed {
        &["Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"]
    } else {
        &["Node", "ID", "Address", "DC"]
    };
    let mut rows = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    for node in found {
        let id = if detailed { node.id } else { node.id.chars().take(8).collect() };
        let mut row = vec![node.node, id, node.address, node.datacenter];
        if detailed {
            row.push(map_cell(node.tagged_addresses));
            row.push(map_cell(node.meta));
        }
        rows.push(row);
    }
    out(&aligned(&rows));
    Ok(0)
}

fn map_cell(map: Option<BTreeMap<String, String>>) -> String {
    let cells: Vec<String> =
        map.unwrap_or_default().iter().map(|(key, value)| format!("{key}={value}")).collect();
    cells.join(", ")
}

fn services(flags: Flags) -> Outcome {
    flags.none()?;
    let failed = |error: &dyn std::fmt::Display| format!("Error listing services: {error}");
    let client = Client::of_server(&flags)?;
    let metas = meta_filters(&flags);
    let query: Vec<(&str, &str)> = metas.iter().map(|meta| ("node-meta", meta.as_str())).collect();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if let Some(node) = flags.text("node").filter(|name| !name.is_empty()) {
        let path = format!("/v1/catalog/node/{node}");
        let body = client.get(&path, &query).map_err(|error| failed(&error))?;
        let known: Option<ServicesOfNode> =
            serde_json::from_slice(&body).map_err(|error| failed(&error))?;
        for service in known.into_iter().flat_map(|known| known.services.into_values()) {
            found.entry(service.service).or_default().extend(service.tags.unwrap_or_default());
        }
    } else {
        let body = client.get("/v1/catalog/services", &query).map_err(|error| failed(&error))?;
        found = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    }
    if found.is_empty() {
        err("No services match the given query - try expanding your search.\n");
        return Ok(0);
    }
    if flags.on("tags")? {
        let mut rows = Vec::new();
        for (name, tags) in &mut found {
            tags.sort();
            tags.dedup();
            rows.push((name.as_str(), tags.join(",")));
        }
        out(&pairs(&rows));
    } else {
        out(&found.keys().map(|name| format!("{name}\n")).collect::<String>());
    }
    Ok(0)
}
