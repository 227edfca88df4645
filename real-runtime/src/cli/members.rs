//! `members`: who belongs to the gossip pool.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::table::aligned;
use super::{Command, out};
use proconsul_core::syntax::pattern;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const COMMAND: Command = Command {
    path: &["members"],
    about: "Lists the members of the datacenter",
    run: members,
    flags: |command| {
        flag::client(command)
            .arg(flag::switch("detailed", "Print tags"))
            .arg(flag::value("status", "Only members whose status matches this expression"))
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
    let wanted = pattern::compile(flags.text("status").unwrap_or(".*"))
        .map_err(|reason| format!("Failed to compile status regexp: {reason}"))?;
    let mut query = vec![("segment", flags.text("segment").unwrap_or("_all"))];
    if flags.on("wan")? {
        query.push(("wan", "1"));
    }
    let body =
        Client::new(&flags)?.get("/v1/agent/members", &query).map_err(|error| failed(&error))?;
    let told: Option<Vec<Member>> =
        serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let mut found: Vec<Member> = told
        .unwrap_or_default()
        .into_iter()
        .filter(|member| wanted.is_match(member.status()))
        .collect();
    if found.is_empty() {
        return Ok(NOBODY);
    }
    for member in &mut found {
        // Servers are in every segment there is, clients in the only one.
        let tags = member.tags.get_or_insert_default();
        let label = if is_server(tags) { "<all>" } else { "<default>" };
        tags.insert("segment".to_owned(), label.to_owned());
    }
    let segment =
        |member: &Member| member.tags.as_ref().and_then(|tags| tags.get("segment")).cloned();
    found.sort_by(|one, other| {
        segment(one).cmp(&segment(other)).then_with(|| one.name.cmp(&other.name))
    });
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
        let build = tag("build").split(':').next().unwrap_or_default().to_owned();
        let kind = if is_server(&tags) { "server" } else { "client" };
        rows.push(vec![
            member.name,
            address,
            status,
            kind.to_owned(),
            build,
            tag("vsn"),
            tag("dc"),
            tag("segment"),
        ]);
    }
    out(&aligned(&rows));
    Ok(0)
}

fn is_server(tags: &BTreeMap<String, String>) -> bool {
    tags.get("role").is_some_and(|role| role == "consul")
}
