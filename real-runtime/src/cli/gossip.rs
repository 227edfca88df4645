//! `join`, `force-leave`, `event`: what an operator says to a pool.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{Command, err, out};
use proconsul_core::syntax::pattern;
use serde::Deserialize;

pub(super) const JOIN: Command = Command {
    path: &["join"],
    about: "Lets the agent meet others",
    run: join,
    flags: |command| {
        flag::client(command).arg(flag::switch("wan", "Meet servers of other datacenters"))
    },
};

pub(super) const FORCE_LEAVE: Command = Command {
    path: &["force-leave"],
    about: "Tells everyone that a failed member has left",
    run: force_leave,
    flags: |command| {
        flag::client(command)
            .arg(flag::switch("prune", "Forget it at once"))
            .arg(flag::switch("wan", "In the wide-area pool"))
    },
};

pub(super) const EVENT: Command = Command {
    path: &["event"],
    about: "Tells everyone of an event",
    run: event,
    flags: |command| {
        flag::server(command)
            .arg(flag::value("name", "Its name"))
            .arg(flag::value("node", "Regular expression over names of nodes"))
            .arg(flag::value("service", "Regular expression over names of services"))
            .arg(flag::value("tag", "Regular expression over tags; needs -service"))
    },
};

fn join(flags: Flags) -> Outcome {
    if flags.arguments.is_empty() {
        return Err("At least one address to join must be specified.".to_owned());
    }
    let client = Client::new(&flags)?;
    let query: &[(&str, &str)] = if flags.on("wan")? { &[("wan", "1")] } else { &[] };
    let mut met = 0_usize;
    for address in &flags.arguments {
        match client.put(&format!("/v1/agent/join/{address}"), query, &[]) {
            Ok(_) => met += 1,
            Err(error) => err(&format!("Error joining address '{address}': {error}\n")),
        }
    }
    if met == 0 {
        return Err("Failed to join any nodes.".to_owned());
    }
    out(&format!("Successfully joined cluster by contacting {met} nodes.\n"));
    Ok(0)
}

fn force_leave(flags: Flags) -> Outcome {
    let text = "A single node name must be specified to force leave.";
    let node = flags.one(text, text)?;
    let mut query = Vec::new();
    for name in ["prune", "wan"] {
        if flags.on(name)? {
            query.push((name, ""));
        }
    }
    Client::new(&flags)?
        .put(&format!("/v1/agent/force-leave/{node}"), &query, &[])
        .map_err(|error| format!("Error force leaving: {error}"))?;
    Ok(0)
}

#[derive(Debug, Deserialize)]
struct Fired {
    #[serde(rename = "ID")]
    id: String,
}

fn event(flags: Flags) -> Outcome {
    let text = |name: &str| flags.text(name).unwrap_or_default();
    let name = text("name");
    let payload = match flags.arguments.as_slice() {
        [] => "",
        [one] => one,
        [..] => return Err("Too many command line arguments.".to_owned()),
    };
    if name.is_empty() {
        return Err("Event name must be specified".to_owned());
    }
    let mut query = Vec::new();
    for filter in ["node", "service", "tag"] {
        let wanted = text(filter);
        if wanted.is_empty() {
            continue;
        }
        pattern::compile(wanted)
            .map_err(|reason| format!("Failed to compile {filter} filter regexp: {reason}"))?;
        query.push((filter, wanted));
    }
    if !text("tag").is_empty() && text("service").is_empty() {
        return Err("Cannot provide tag filter without service filter.".to_owned());
    }
    let client = Client::of_server(&flags)?;
    client
        .get("/v1/agent/self", &[])
        .map_err(|error| format!("Error querying Consul agent: {error}"))?;
    let failed = |error: &dyn std::fmt::Display| format!("Error firing event: {error}");
    let body = client
        .put(&format!("/v1/event/fire/{name}"), &query, payload.as_bytes())
        .map_err(|error| failed(&error))?;
    let fired: Fired = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    out(&format!("Event ID: {}\n", fired.id));
    Ok(0)
}
