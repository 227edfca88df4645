//! `operator autopilot get-config`, `set-config`.

use super::client::Client;
use super::flag::{self, Flags, Outcome};
use super::{Command, out};
use serde::{Deserialize, Serialize};

const PATH: &str = "/v1/operator/autopilot/configuration";

pub(super) const GET: Command = Command {
    path: &["operator", "autopilot", "get-config"],
    about: "Prints what autopilot is to do",
    run: get_config,
    flags: flag::server,
};

pub(super) const SET: Command = Command {
    path: &["operator", "autopilot", "set-config"],
    about: "Changes what autopilot is to do",
    run: set_config,
    flags: |command| {
        flag::server(command)
            .arg(flag::switch("cleanup-dead-servers", "Remove servers that were replaced"))
            .arg(flag::value("last-contact-threshold", "A server silent for longer is unhealthy"))
            .arg(flag::value("max-trailing-logs", "A server further behind is unhealthy"))
            .arg(flag::value("min-quorum", "Never remove servers below this number"))
            .arg(flag::value("server-stabilization-time", "Healthy for this long before it votes"))
            .arg(flag::value("redundancy-zone-tag", "Kept for later"))
            .arg(flag::switch("disable-upgrade-migration", "Kept for later"))
            .arg(flag::value("upgrade-version-tag", "Kept for later"))
    },
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    cleanup_dead_servers: bool,
    last_contact_threshold: String,
    max_trailing_logs: u64,
    min_quorum: u64,
    server_stabilization_time: String,
    redundancy_zone_tag: String,
    disable_upgrade_migration: bool,
    upgrade_version_tag: String,
    create_index: u64,
    modify_index: u64,
}

fn read(client: &Client) -> Result<Config, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("Error querying Autopilot configuration: {error}");
    let body = client.get(PATH, &[]).map_err(|error| failed(&error))?;
    serde_json::from_slice(&body).map_err(|error| failed(&error))
}

fn get_config(flags: Flags) -> Outcome {
    let config = read(&Client::of_server(&flags)?)?;
    out(&format!(
        "CleanupDeadServers = {}\nLastContactThreshold = {}\nMaxTrailingLogs = {}\n\
         MinQuorum = {}\nServerStabilizationTime = {}\nRedundancyZoneTag = {:?}\n\
         DisableUpgradeMigration = {}\nUpgradeVersionTag = {:?}\n",
        config.cleanup_dead_servers,
        config.last_contact_threshold,
        config.max_trailing_logs,
        config.min_quorum,
        config.server_stabilization_time,
        config.redundancy_zone_tag,
        config.disable_upgrade_migration,
        config.upgrade_version_tag,
    ));
    Ok(0)
}

fn number(flags: &Flags, name: &str, out: &mut u64) -> Result<(), String> {
    if let Some(text) = flags.text(name) {
        *out = text.parse().map_err(|_| {
            format!(
                "invalid value \"{text}\" for flag -{name}: \
                 strconv.ParseUint: parsing \"{text}\": invalid syntax"
            )
        })?;
    }
    Ok(())
}

/// Reads it, changes what was asked for, and writes it back if nobody else did meanwhile.
fn set_config(flags: Flags) -> Outcome {
    let client = Client::of_server(&flags)?;
    let mut config = read(&client)?;
    number(&flags, "max-trailing-logs", &mut config.max_trailing_logs)?;
    number(&flags, "min-quorum", &mut config.min_quorum)?;
    let text = |name: &str, out: &mut String| {
        if let Some(text) = flags.text(name) {
            text.clone_into(out);
        }
    };
    text("last-contact-threshold", &mut config.last_contact_threshold);
    text("server-stabilization-time", &mut config.server_stabilization_time);
    text("redundancy-zone-tag", &mut config.redundancy_zone_tag);
    text("upgrade-version-tag", &mut config.upgrade_version_tag);
    if let Some(on) = flags.given("cleanup-dead-servers")? {
        config.cleanup_dead_servers = on;
    }
    if let Some(on) = flags.given("disable-upgrade-migration")? {
        config.disable_upgrade_migration = on;
    }
    let failed =
        |error: &dyn std::fmt::Display| format!("Error setting Autopilot configuration: {error}");
    let body = serde_json::to_vec(&config).map_err(|error| failed(&error))?;
    let index = config.modify_index.to_string();
    let answer =
        client.put(PATH, &[("cas", index.as_str())], &body).map_err(|error| failed(&error))?;
    if answer.trim_ascii() != b"true" {
        return Err("Configuration could not be atomically updated, please try again".to_owned());
    }
    out("Configuration updated!\n");
    Ok(0)
}
