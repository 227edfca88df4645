//! `/v1/operator/autopilot`: what autopilot is to do, and what it holds of the servers.

use super::{Decoded, each_field, propose};
use crate::decide::{Call, Desk, Modes, NotANumber, standing, unsigned};
use crate::json::Json;
use crate::{AutopilotHealth, Method, Plan, Reply, Response, respond};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use proconsul_catalog::{AutopilotChange, AutopilotConfig, Command};
use proconsul_checks::parse::json;
use proconsul_syntax::duration;
use proconsul_types::{Calendar, Duration};
use serde_json::Value;

pub(super) fn configuration(call: &Call<'_>, desk: &Desk<'_>) -> Result<Plan, Response> {
    if call.request.method == Method::Put {
        return configure(call);
    }
    let modes = Modes::parse(call)?;
    call.own_datacenter()?;
    if let (_, Some(elsewhere)) = standing(call, desk, modes) {
        return Ok(elsewhere);
    }
    let stored = call.view.catalog.autopilot();
    let defaults = AutopilotConfig::default();
    let config = stored.map_or(&defaults, |stored| &stored.config);
    let span = |duration: Duration| duration::format_duration(duration);
    let mut json = Json::new(call.is_pretty(), 300);
    json.begin_object();
    json.field_boolean("CleanupDeadServers", config.cleanup_dead_servers);
    json.field_string("LastContactThreshold", &span(config.last_contact_threshold));
    json.field_unsigned("MaxTrailingLogs", config.max_trailing_logs);
    json.field_unsigned("MinQuorum", config.min_quorum);
    json.field_string("ServerStabilizationTime", &span(config.server_stabilization_time));
    json.field_string("RedundancyZoneTag", &config.redundancy_zone_tag);
    json.field_boolean("DisableUpgradeMigration", config.disable_upgrade_migration);
    json.field_string("UpgradeVersionTag", &config.upgrade_version_tag);
    json.field_unsigned("CreateIndex", stored.map_or(0, |stored| stored.created.0));
    json.field_unsigned("ModifyIndex", stored.map_or(0, |stored| stored.modified.0));
    json.end_object();
    Ok(Plan::Answer(respond::json(call.view, 200, json.finish())))
}

fn configure(call: &Call<'_>) -> Result<Plan, Response> {
    let refuse = |text: String| call.bad(&format!("Bad request: {text}"));
    let config = read(&call.request.body)
        .map_err(|reason| refuse(format!("Error parsing autopilot config: {reason}")))?;
    let cas = call.params.get("cas").map(|text| {
        unsigned(text).map_err(|error| {
            let reason = match error {
                NotANumber::Syntax => "invalid syntax",
                NotANumber::Range => "value out of range",
            };
            refuse(format!(
                "Error parsing cas value: strconv.ParseUint: parsing {text:?}: {reason}"
            ))
        })
    });
    let cas = cas.transpose()?;
    call.own_datacenter()?;
    let change = AutopilotChange { config, cas };
    Ok(propose(call, Command::Autopilot(Box::new(change)), Reply::Answer))
}

/// A configuration. What is not given has its default; Consul made it zero until 1.11.
fn read(body: &[u8]) -> Decoded<AutopilotConfig> {
    let mut config = AutopilotConfig::default();
    let value = json::decode(body)?;
    let at = |field: &str| format!("AutopilotConfiguration.{field}");
    each_field(
        json::fields(&value, "api.AutopilotConfiguration")?,
        |key, given, value| match key {
            "cleanupdeadservers" => {
                json::boolean(value, &at("CleanupDeadServers"), &mut config.cleanup_dead_servers)
            }
            "lastcontactthreshold" => span(value, &mut config.last_contact_threshold),
            "maxtrailinglogs" => {
                json::uint(value, &at("MaxTrailingLogs"), &mut config.max_trailing_logs)
            }
            "minquorum" => json::uint(value, &at("MinQuorum"), &mut config.min_quorum)
                .map_err(|text| text.replace("of type uint64", "of type uint")),
            "serverstabilizationtime" => span(value, &mut config.server_stabilization_time),
            "redundancyzonetag" => {
                json::text(value, &at("RedundancyZoneTag"), &mut config.redundancy_zone_tag)
            }
            "disableupgrademigration" => {
                let field = at("DisableUpgradeMigration");
                json::boolean(value, &field, &mut config.disable_upgrade_migration)
            }
            "upgradeversiontag" => {
                json::text(value, &at("UpgradeVersionTag"), &mut config.upgrade_version_tag)
            }
            "createindex" => json::uint(value, &at("CreateIndex"), &mut 0),
            "modifyindex" => json::uint(value, &at("ModifyIndex"), &mut 0),
            _ => Err(json::unknown_field(given)),
        },
    )?;
    Ok(config)
}

fn span(value: &Value, out: &mut Duration) -> Decoded<()> {
    if !(value.is_string() || value.is_number() || value.is_null()) {
        let text = value.to_string();
        return Err(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"));
    }
    let mut read = None;
    json::duration(value, &mut read)?;
    *out = read.unwrap_or(*out);
    Ok(())
}

pub(super) fn health(call: &Call<'_>) -> Result<Plan, Response> {
    call.own_datacenter()?;
    if !call.leads() {
        return Ok(Plan::Leader);
    }
    let nothing = AutopilotHealth::default();
    let health = call.view.pools.autopilot.as_deref().unwrap_or(&nothing);
    let mut json = Json::new(call.is_pretty(), 512);
    json.begin_object();
    json.field_boolean("Healthy", health.healthy);
    json.field_unsigned("FailureTolerance", u64::from(health.failure_tolerance));
    if health.servers.is_empty() {
        json.field_null("Servers");
    } else {
        json.key("Servers");
        json.begin_array();
        for server in &health.servers {
            json.begin_object();
            json.field_string("ID", &server.id.to_string());
            json.field_string("Name", &server.name);
            let address = server.address.map(|address| address.to_string()).unwrap_or_default();
            json.field_string("Address", &address);
            json.field_string("SerfStatus", &server.status.to_string());
            json.field_string("Version", &server.version);
            json.field_boolean("Leader", server.leader);
            let contact =
                server.last_contact.map_or_else(|| "-1ns".into(), duration::format_duration);
            json.field_string("LastContact", &contact);
            json.field_unsigned("LastTerm", server.last_term.0);
            json.field_unsigned("LastIndex", server.last_index.0);
            json.field_boolean("Healthy", server.healthy);
            json.field_boolean("Voter", server.voter);
            let since = Calendar::of(server.stable_since).rfc3339_seconds();
            json.field_string("StableSince", &since);
            json.end_object();
        }
        json.end_array();
    }
    json.end_object();
    let status = if health.healthy { 200 } else { 429 };
    Ok(Plan::Answer(respond::json(call.view, status, json.finish())))
}
