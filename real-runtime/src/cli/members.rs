//! `members`: who belongs to the gossip pool.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::table::aligned;
use super::{Command, out};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const COMMAND: Command = Command {
    path: &["members"],
    about: "Lists the members of the datacenter",
    run: members,
    flags: |command| {
        flag::client(command)
            .arg(flag::switch("detailed", "Print tags"))
            .arg(flag::value("status", "Only members whose status is this word or one of a|b"))
            .arg(flag::value("segment", "Accepted; there are no segments"))
            .arg(flag::switch("wan", "The wide-area pool"))
    },
};

/// What finds nobody.
const NOBODY: u8 = 2;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    addr: String,
    port: u16,
    tags: Option<BTreeMap<String, String>>,
    status: u8,
}

impl Member {
    fn status(&self) -> &'static str {
        match self.status {
            1 => "alive",
            2 => "leaving",
            3 => "left",
            4 => "failed",
            _ => "none",
        }
    }

    fn address(&self) -> String {
        if self.addr.contains(':') {
            return format!("[{}]:{}", self.addr, self.port);
        }
        format!("{}:{}", self.addr, self.port)
    }
}

fn members(flags: Flags) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| format!("Error retrieving members: {error}");
    let query: &[(&str, &str)] = if flags.on("wan")? { &[("wan", "1")] } else { &[] };
    let body =
        Client::new(&flags)?.get("/v1/agent/members", query).map_err(|error| failed(&error))?;
    let told: Option<Vec<Member>> =
        serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let wanted = flags.text("status").unwrap_or(".*");
    let mut found: Vec<Member> = told
        .unwrap_or_default()
        .into_iter()
        .filter(|member| wanted == ".*" || wanted.split('|').any(|word| word == member.status()))
        .collect();
    if found.is_empty() {
        return Ok(NOBODY);
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let detailed = flags.on("detailed")?;
    let head: &[&str] = if detailed {
        &["Node", "Address", "Status", "Tags"]
    } else {
        &["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment"]
    };
    let mut rows = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    for member in found {
        let address = member.address();
        let status = member.status().to_owned();
        let tags = member.tags.unwrap_or_default();
        if detailed {
            let tags: Vec<String> =
                tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            rows.push(vec![member.name, address, status, tags.join(",")]);
            continue;
        }
        let tag = |name: &str| tags.get(name).cloned().unwrap_or_default();
        let server = tag("role") == "consul";
        let build = tag("build").split(':').next().unwrap_or_default().to_owned();
        let (kind, segment) = if server { ("server", "<all>") } else { ("client", "<default>") };
        rows.push(vec![
            member.name,
            address,
            status,
            kind.to_owned(),
            build,
            tag("vsn"),
            tag("dc"),
            segment.to_owned(),
        ]);
    }
    out(&aligned(&rows));
    Ok(0)
}
