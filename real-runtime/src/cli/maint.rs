//! `maint`: put a node or a service under maintenance.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{Command, out};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const COMMAND: Command = Command {
    path: &["maint"],
    about: "Puts a node or a service under maintenance, or lists what is",
    run: maint,
    flags: |command| {
        flag::client(command)
            .arg(flag::switch("enable", "Put it under maintenance"))
            .arg(flag::switch("disable", "Take it out"))
            .arg(flag::value("reason", "Text for people"))
            .arg(flag::value("service", "This service instead of the node"))
    },
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID")]
    id: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    notes: String,
    #[serde(rename = "ServiceID", default)]
    service_id: String,
}

fn maint(flags: Flags) -> Outcome {
    let (enable, disable) = (flags.on("enable")?, flags.on("disable")?);
    let (reason, service) = (flags.text("reason"), flags.text("service"));
    if enable && disable {
        return Err("Only one of -enable or -disable may be provided".to_owned());
    }
    if !enable && reason.is_some_and(|reason| !reason.is_empty()) {
        return Err("Reason may only be provided with -enable".to_owned());
    }
    if !enable && !disable && service.is_some_and(|id| !id.is_empty()) {
        return Err("Service requires either -enable or -disable".to_owned());
    }
    let client = Client::new(&flags)?;
    if !enable && !disable {
        return list(&client);
    }
    let mut query = vec![("enable", if enable { "true" } else { "false" })];
    if let Some(reason) = reason {
        query.push(("reason", reason));
    }
    let word = if enable { "enabled" } else { "disabled" };
    let verb = if enable { "enabling" } else { "disabling" };
    if let Some(id) = service.filter(|id| !id.is_empty()) {
        client
            .put(&format!("/v1/agent/service/maintenance/{id}"), &query, &[])
            .map_err(|error| format!("Error {verb} service maintenance: {error}"))?;
        out(&format!("Service maintenance is now {word} for \"{id}\"\n"));
    } else {
        client
            .put("/v1/agent/maintenance", &query, &[])
            .map_err(|error| format!("Error {verb} node maintenance: {error}"))?;
        out(&format!("Node maintenance is now {word}\n"));
    }
    Ok(0)
}

fn list(client: &Client) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| format!("Error getting checks: {error}");
    let body = client.get("/v1/agent/checks", &[]).map_err(|error| failed(&error))?;
    let checks: BTreeMap<String, Check> =
        serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let mut text = String::new();
    for check in checks.values() {
        if check.id == "_node_maintenance" {
            text.push_str(&format!(
                "Node:\n  Name:   {}\n  Reason: {}\n\n",
                check.node, check.notes
            ));
        } else if check.id.starts_with("_service_maintenance:") {
            text.push_str(&format!(
                "Service:\n  ID:     {}\n  Reason: {}\n\n",
                check.service_id, check.notes
            ));
        }
    }
    out(&text);
    Ok(0)
}
