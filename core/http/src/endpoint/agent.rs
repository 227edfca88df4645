//! `/v1/agent`, what this agent says of itself. No leader is needed for any of it.

use super::agent_pools as pools;
use super::filter::{Filter, Kind};
use crate::content_hash::content_hash;
use crate::decide::{Call, Desk, Modes};
use crate::json::Json;
use crate::json::records::{self, Empty, kind_word};
use crate::{AgentFacts, HostOp, Plan, Response, error, respond};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proconsul_checks::{CheckKind, LocalCheck, LocalService};
use proconsul_syntax::duration;
use proconsul_types::{Check, LogLevel, ServiceKind};

/// The place every coordinate starts from.
const NOWHERE: &str = r#"{"Vec":[0,0,0,0,0,0,0,0],"Error":1.5,"Adjustment":0,"Height":0.00001}"#;

/// The agent itself, its configuration and counters.
pub(super) fn own(call: &Call<'_>) -> Plan {
    shown(call, self_body(call))
}

/// The machine this agent runs on.
pub(super) fn host(call: &Call<'_>, desk: &Desk<'_>) -> Result<Plan, Response> {
    only_host(desk, HostOp::Machine { pretty: call.is_pretty() })
}

/// What the agent says from now on.
pub(super) fn monitor(call: &Call<'_>, desk: &Desk<'_>) -> Result<Plan, Response> {
    let level = match call.params.text("loglevel") {
        "" => LogLevel::default(),
        level => level
            .parse()
            .map_err(|_| call.bad(&format!("Bad request: Unknown log level: {level}")))?,
    };
    let json = call.params.has("logjson");
    only_host(desk, HostOp::Log { level, json, head: respond::empty(call.view, 200) })
}

/// A worker has a host around it; the loop has none.
fn only_host(desk: &Desk<'_>, op: HostOp) -> Result<Plan, Response> {
    if desk.is_worker() { Ok(Plan::Host(op)) } else { Err(respond::unknown_path()) }
}

pub(super) fn shown(call: &Call<'_>, body: Vec<u8>) -> Plan {
    Plan::Answer(respond::json(call.view, 200, body))
}

fn self_body(call: &Call<'_>) -> Vec<u8> {
    let facts = &call.view.agent;
    let mut json = Json::new(call.is_pretty(), 4096);
    json.begin_object();
    json.key("Config");
    json.begin_object();
    json.field_string("Datacenter", &facts.datacenter);
    json.field_string("NodeName", &facts.name);
    json.field_string("NodeID", &id_text(call));
    json.field_string("Revision", "");
    json.field_boolean("Server", facts.server);
    json.field_string("Version", &facts.version);
    json.end_object();
    let debug = if facts.debug_config.is_empty() { "{}" } else { &facts.debug_config };
    json.field_raw("DebugConfig", debug);
    json.key("Coord");
    match &call.view.pools.lan {
        Some(lan) => records::coordinate(&mut json, &lan.coordinate),
        // Nothing was measured yet: the place every coordinate starts from.
        None => json.raw(NOWHERE),
    }
    json.key("Member");
    pools::own(&mut json, call, false);
    json.key("Stats");
    stats(&mut json, call);
    json.key("Meta");
    records::text_map(&mut json, &facts.meta, Empty::Shown);
    json.end_object();
    json.finish()
}

pub(super) fn id_text(call: &Call<'_>) -> String {
    call.view.agent.id.map(|id| id.to_string()).unwrap_or_default()
}

/// Counters as text, in the groups of `consul info`.
fn stats(json: &mut Json, call: &Call<'_>) {
    let view = call.view;
    let facts = &view.agent;
    let leadership = &view.leadership;
    let checks = &view.local.checks;
    let count = |wanted: fn(&CheckKind) -> bool| {
        checks.values().filter(|check| wanted(&check.definition.kind)).count().to_string()
    };
    let leader = leadership.servers.iter().find(|server| Some(server.id) == leadership.leader);
    let leader = leader.and_then(|server| server.address).map(|address| address.to_string());
    json.begin_object();
    json.key("agent");
    json.begin_object();
    let monitors = count(|kind| matches!(kind, CheckKind::Script { .. }));
    json.field_string("check_monitors", &monitors);
    json.field_string("check_ttls", &count(|kind| matches!(kind, CheckKind::Ttl(_))));
    json.field_string("checks", &checks.len().to_string());
    json.field_string("services", &view.local.services.len().to_string());
    json.end_object();
    json.key("build");
    json.begin_object();
    json.field_string("prerelease", "");
    json.field_string("revision", "");
    json.field_string("version", &facts.version);
    json.end_object();
    json.key("consul");
    json.begin_object();
    json.field_string("acl", "disabled");
    if !facts.server {
        json.field_string("known_servers", &view.pools.known_servers.to_string());
        json.field_string("server", "false");
        json.end_object();
        runtime(json, facts);
        pools::stats(json, call);
        json.end_object();
        return;
    }
    json.field_string("bootstrap", word(facts.bootstrap));
    let datacenters = view.pools.datacenters.len().max(1);
    json.field_string("known_datacenters", &datacenters.to_string());
    json.field_string("leader", word(leadership.is_leader));
    json.field_string("leader_addr", &leader.unwrap_or_default());
    json.field_string("server", "true");
    json.end_object();
    raft(json, call);
    runtime(json, facts);
    pools::stats(json, call);
    json.end_object();
}

const fn word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// The log and the group.
fn raft(json: &mut Json, call: &Call<'_>) {
    let (view, log, group) = (call.view, &call.view.log, &call.view.leadership);
    let voters = group.servers.iter().filter(|server| server.voter).count();
    let is_own = |server: &&crate::Server| Some(server.id) == view.agent.id && server.voter;
    let own = group.servers.iter().filter(is_own).count();
    let contact = match view.last_contact {
        _ if group.is_leader => String::from("0"),
        Some(at) => duration::format_duration(call.now.since(at)),
        None => String::from("never"),
    };
    let servers = group.servers.iter().map(|server| {
        let suffrage = if server.voter { "Voter" } else { "Nonvoter" };
        let address = server.address.map(|address| address.to_string()).unwrap_or_default();
        format!("{{Suffrage:{suffrage} ID:{} Address:{address}}}", server.id)
    });
    let servers: Vec<String> = servers.collect();
    json.key("raft");
    json.begin_object();
    json.field_string("applied_index", &log.applied.to_string());
    json.field_string("commit_index", &log.committed.to_string());
    let pending = log.committed.0.saturating_sub(log.applied.0);
    json.field_string("fsm_pending", &pending.to_string());
    json.field_string("last_contact", &contact);
    json.field_string("last_log_index", &log.last.index.to_string());
    json.field_string("last_log_term", &log.last.term.to_string());
    json.field_string("last_snapshot_index", &log.snapshot.index.to_string());
    json.field_string("last_snapshot_term", &log.snapshot.term.to_string());
    json.field_string("latest_configuration", &format!("[{}]", servers.join(" ")));
    json.field_string("latest_configuration_index", &group.membership_index.to_string());
    json.field_string("num_peers", &voters.saturating_sub(own).to_string());
    // Consul's servers of this version read older protocols too; ours speak one.
    for name in ["protocol_version", "protocol_version_max", "protocol_version_min"] {
        json.field_string(name, "3");
    }
    json.field_string("snapshot_version_max", "1");
    json.field_string("snapshot_version_min", "1");
    json.field_string("state", if group.is_leader { "Leader" } else { "Follower" });
    json.field_string("term", &group.term.to_string());
    if let Some(state) = group.state {
        json.field_string("state_hash", &format!("{:016x}", state.hash));
        json.field_string("state_hash_agrees", word(state.agrees));
        json.field_string("state_hash_index", &state.index.to_string());
    }
    json.end_object();
}

/// The machine. What Go alone has (its version, its goroutines) is not shown.
fn runtime(json: &mut Json, facts: &AgentFacts) {
    json.key("runtime");
    json.begin_object();
    json.field_string("arch", &facts.host.arch);
    json.field_string("cpu_count", &facts.host.cpu_count.to_string());
    json.field_string("max_procs", &facts.host.thread_count.to_string());
    json.field_string("os", &facts.host.os);
    json.end_object();
}

pub(super) fn services(call: &Call<'_>) -> Result<Plan, Response> {
    let filter = Filter::parse(call, Kind::LocalService)?;
    let mut json = Json::new(call.is_pretty(), 512);
    json.begin_object();
    for (id, service) in &call.view.local.services {
        if filter.local_service(service) {
            json.text_key(id);
            local_service(&mut json, service, None);
        }
    }
    json.end_object();
    Ok(shown(call, json.finish()))
}

/// A service as its agent shows it.
pub(super) fn local_service(json: &mut Json, service: &LocalService, hash: Option<&str>) {
    let service = &service.definition.registration;
    json.begin_object();
    if service.kind != ServiceKind::Typical {
        json.field_string("Kind", kind_word(service.kind));
    }
    json.field_string("ID", &service.id);
    json.field_string("Service", &service.name);
    json.key("Tags");
    records::texts(json, &service.tags, Empty::Shown);
    json.key("Meta");
    records::text_map(json, &service.meta, Empty::Shown);
    json.field_signed("Port", i64::from(service.port));
    json.field_string("Address", &service.address);
    if !service.tagged_addresses.is_empty() {
        json.key("TaggedAddresses");
        records::service_addresses(json, &service.tagged_addresses);
    }
    json.key("Weights");
    records::weights(json, service.weights);
    json.field_boolean("EnableTagOverride", service.enable_tag_override);
    if let Some(hash) = hash {
        json.field_string("ContentHash", hash);
    }
    if let Some(proxy) = &service.proxy {
        json.field_raw("Proxy", proxy);
    }
    if service.connect_native {
        json.key("Connect");
        json.begin_object();
        json.field_boolean("Native", true);
        json.end_object();
    }
    json.end_object();
}

pub(super) fn checks(call: &Call<'_>) -> Result<Plan, Response> {
    let filter = Filter::parse(call, Kind::LocalCheck)?;
    let mut json = Json::new(call.is_pretty(), 512);
    json.begin_object();
    for (id, check) in &call.view.local.checks {
        let check = as_record(call, check);
        if filter.check(&check) {
            json.text_key(id);
            records::check(&mut json, &check);
        }
    }
    json.end_object();
    Ok(shown(call, json.finish()))
}

/// A check of this agent in the form of the catalog; its indexes are 0.
fn as_record(call: &Call<'_>, check: &LocalCheck) -> Check {
    let definition = &check.definition;
    Check {
        node: call.view.agent.name.clone(),
        id: definition.id.clone(),
        name: definition.name.clone(),
        status: check.status,
        notes: definition.notes.clone(),
        output: check.output.clone(),
        service_id: definition.service_id.clone(),
        service_name: check.service_name.clone(),
        service_tags: check.service_tags.clone(),
        kind: definition.type_word().into(),
        definition: None,
        created: proconsul_types::CatalogIndex(0),
        modified: proconsul_types::CatalogIndex(0),
    }
}

/// One service. With `?hash=` the call waits while the definition hashes the same.
pub(super) fn service(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let Some(service) = call.view.local.services.get(&*call.tail) else {
        let text = format!("unknown service ID: {}", call.tail);
        return Err(error::plain(call.view, 404, &text));
    };
    let hash = format!("{:x}", content_hash(&service.definition.registration));
    if call.params.text("hash") == hash && !desk.expired() {
        return Ok(crate::decide::wait_for_local(call, desk, modes));
    }
    let mut json = Json::new(call.is_pretty(), 512);
    local_service(&mut json, service, Some(&hash));
    let mut response = respond::json(call.view, 200, json.finish());
    response.headers.push((Cow::Borrowed("X-Consul-Contenthash"), hash));
    Ok(Plan::Answer(response))
}
