//! `info`, `leave`, `reload`: what an operator says to the agent itself.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{Command, out};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const INFO: Command = Command {
    path: &["info"],
    about: "Prints what the agent says of itself",
    run: info,
    flags: flag::client,
};

pub(super) const LEAVE: Command = Command {
    path: &["leave"],
    about: "Lets the agent leave the group and stop",
    run: leave,
    flags: flag::client,
};

pub(super) const RELOAD: Command = Command {
    path: &["reload"],
    about: "Lets the agent read its configuration again",
    run: reload,
    flags: flag::client,
};

fn info(flags: Flags) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| format!("Error querying agent: {error}");
    let body = Client::new(&flags)?.get("/v1/agent/self", &[]).map_err(|error| failed(&error))?;
    let told: Value = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let Some(stats) = told.get("Stats").and_then(Value::as_object) else {
        return Err("Agent did not return stats".to_owned());
    };
    let sorted: BTreeMap<&String, &Value> = stats.iter().collect();
    let mut text = String::new();
    for (group, values) in sorted {
        text.push_str(&format!("{group}:\n"));
        let values: BTreeMap<&String, &Value> =
            values.as_object().map(|values| values.iter().collect()).unwrap_or_default();
        for (name, value) in values {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("\t{name} = {value}\n"));
        }
    }
    out(&text);
    Ok(0)
}

fn leave(flags: Flags) -> Outcome {
    Client::new(&flags)?
        .put("/v1/agent/leave", &[], &[])
        .map_err(|error| format!("Error leaving: {error}"))?;
    out("Graceful leave complete\n");
    Ok(0)
}

fn reload(flags: Flags) -> Outcome {
    Client::new(&flags)?
        .put("/v1/agent/reload", &[], &[])
        .map_err(|error| format!("Error reloading: {error}"))?;
    out("Configuration reload triggered\n");
    Ok(0)
}
