//! `/v1/agent`, what it has of its pools: members, join and leave, counters.

use super::agent::{id_text, shown};
use crate::decide::Call;
use crate::json::Json;
use crate::json::records::{self, Empty};
use crate::{LocalOp, Plan, PoolMembers, Response, error, respond};
use alloc::format;
use alloc::string::ToString;
use proconsul_gossip::Member;
use proconsul_types::{Calendar, MemberStatus, WallTime};

/// Metrics are those of the last whole interval of this many milliseconds.
const METRICS_INTERVAL_MS: i64 = 10_000;

fn pool<'a>(call: &Call<'a>, wan: bool) -> Option<&'a PoolMembers> {
    let pools = &call.view.pools;
    if wan { pools.wan.as_deref() } else { pools.lan.as_deref() }
}

/// Whether this agent is in the WAN pool, or would be: a server without any pool is a group of its
/// own. One with a LAN pool alone has no WAN (`ports.serf_wan`).
fn is_in_wan(call: &Call<'_>) -> bool {
    let pools = &call.view.pools;
    call.view.agent.server && (pools.wan.is_some() || pools.lan.is_none())
}

pub(super) fn members(call: &Call<'_>) -> Result<Plan, Response> {
    if !matches!(call.params.text("segment"), "" | "_all") {
        return Err(error::plain(call.view, 500, error::NO_SEGMENTS));
    }
    let wan = !call.params.text("wan").is_empty();
    let mut json = Json::new(call.is_pretty(), 512);
    if wan && !is_in_wan(call) {
        json.null();
        return Ok(shown(call, json.finish()));
    }
    json.begin_array();
    match pool(call, wan) {
        Some(pool) => pool.members.iter().for_each(|known| member(&mut json, known)),
        None => alone(&mut json, call, wan),
    }
    json.end_array();
    Ok(shown(call, json.finish()))
}

/// This agent as a member of a pool.
pub(super) fn own(json: &mut Json, call: &Call<'_>, wan: bool) {
    let name = &call.view.agent.name;
    let known = pool(call, wan).and_then(|pool| {
        let own = |known: &&alloc::sync::Arc<Member>| known.name == *name;
        pool.members.iter().find(own)
    });
    match known {
        Some(known) => member(json, known),
        None => alone(json, call, wan),
    }
}

fn member(json: &mut Json, member: &Member) {
    json.begin_object();
    json.field_string("Name", &member.name);
    json.field_string("Addr", &member.address.ip().to_string());
    json.field_unsigned("Port", u64::from(member.address.port()));
    json.key("Tags");
    records::text_map(json, &member.tags, Empty::Shown);
    let versions = &member.versions;
    for (name, number) in [
        ("Status", member.status.number()),
        ("ProtocolMin", versions.protocol_min),
        ("ProtocolMax", versions.protocol_max),
        ("ProtocolCur", versions.protocol),
        ("DelegateMin", versions.delegate_min),
        ("DelegateMax", versions.delegate_max),
        ("DelegateCur", versions.delegate),
    ] {
        json.field_unsigned(name, u64::from(number));
    }
    json.end_object();
}

/// This agent as it would tell others of itself, where no pool does.
fn alone(json: &mut Json, call: &Call<'_>, wan: bool) {
    let facts = &call.view.agent;
    json.begin_object();
    if wan {
        json.field_string("Name", &format!("{}.{}", facts.name, facts.datacenter));
    } else {
        json.field_string("Name", &facts.name);
    }
    json.field_string("Addr", &facts.address);
    let port = if wan { facts.serf_wan_port } else { facts.serf_lan_port };
    json.field_unsigned("Port", u64::from(port));
    json.key("Tags");
    json.begin_object();
    json.field_string("acls", "0");
    if facts.bootstrap {
        json.field_string("bootstrap", "1");
    }
    json.field_string("build", &format!("{}:", facts.version));
    json.field_string("dc", &facts.datacenter);
    if facts.server {
        json.field_string("ft_fs", "1");
    }
    json.field_string("id", &id_text(call));
    if facts.server {
        json.field_string("port", &facts.server_port.to_string());
        json.field_string("raft_vsn", "3");
    }
    json.field_string("role", if facts.server { "consul" } else { "node" });
    json.field_string("segment", "");
    json.field_string("vsn", "2");
    json.field_string("vsn_max", "3");
    json.field_string("vsn_min", "2");
    if facts.server && !wan {
        json.field_string("wan_join_port", &facts.serf_wan_port.to_string());
    }
    json.end_object();
    for (name, number) in [
        ("Status", 1),
        ("ProtocolMin", 1),
        ("ProtocolMax", 5),
        ("ProtocolCur", 2),
        ("DelegateMin", 2),
        ("DelegateMax", 5),
        ("DelegateCur", 4),
    ] {
        json.field_unsigned(name, number);
    }
    json.end_object();
}

/// A counter of a pool, if there is one.
fn number(
    json: &mut Json,
    pool: Option<&PoolMembers>,
    name: &'static str,
    of: fn(&PoolMembers) -> u64,
) {
    if let Some(pool) = pool {
        json.field_string(name, &of(pool).to_string());
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The counters of each pool this agent is in. Where no pool runs, it is a group of one.
pub(super) fn stats(json: &mut Json, call: &Call<'_>) {
    for (name, wan) in [("serf_lan", false), ("serf_wan", true)] {
        if wan && !is_in_wan(call) {
            continue;
        }
        let pool = pool(call, wan);
        let count = |wanted: MemberStatus| {
            let members = pool.map_or(&[][..], |pool| &pool.members);
            members.iter().filter(|member| member.status == wanted).count().to_string()
        };
        let encrypted = pool.is_some_and(|pool| pool.encrypted);
        json.key(name);
        json.begin_object();
        number(json, pool, "coordinate_resets", |pool| pool.coordinate_resets);
        json.field_string("encrypted", if encrypted { "true" } else { "false" });
        number(json, pool, "event_queue", |pool| wide(pool.queues.events));
        number(json, pool, "event_time", |pool| pool.clocks.event.0);
        json.field_string("failed", &count(MemberStatus::Failed));
        number(json, pool, "health_score", |pool| u64::from(pool.health_score));
        number(json, pool, "intent_queue", |pool| wide(pool.queues.intents));
        json.field_string("left", &count(MemberStatus::Left));
        number(json, pool, "member_time", |pool| pool.clocks.member.0);
        let members = pool.map_or(1, |pool| pool.members.len());
        json.field_string("members", &members.to_string());
        number(json, pool, "query_queue", |pool| wide(pool.queues.queries));
        number(json, pool, "query_time", |pool| pool.clocks.query.0);
        json.end_object();
    }
}

pub(super) fn join(call: &Call<'_>) -> Result<Plan, Response> {
    let wan = !call.params.text("wan").is_empty();
    if wan && !call.view.agent.server {
        return Err(error::plain(call.view, 500, "Must be a server to join WAN cluster"));
    }
    Ok(Plan::Local(LocalOp::Join { address: (*call.tail).into(), wan }))
}

pub(super) fn force_leave(call: &Call<'_>) -> Result<Plan, Response> {
    let node = &*call.tail;
    let wan = call.params.has("wan");
    let is_member = match pool(call, wan) {
        Some(pool) => pool.members.iter().any(|member| *member.name == *node),
        // Who is alone knows itself, and is alive.
        None if node == &*call.view.agent.name => {
            return Ok(Plan::Answer(respond::empty(call.view, 200)));
        }
        None => false,
    };
    if !is_member {
        let text = format!("agent: No node found with name '{node}'");
        return Err(error::plain(call.view, 500, &text));
    }
    let prune = call.params.has("prune");
    Ok(Plan::Local(LocalOp::ForceLeave { node: node.into(), prune, wan }))
}

/// What this agent measures, as Consul shows an interval: gauges of what is so now.
pub(super) fn metrics(call: &Call<'_>) -> Result<Plan, Response> {
    if call.params.text("format") == "prometheus" {
        let text = "Prometheus is not enabled since its retention time is not positive";
        return Err(error::plain(call.view, 415, text));
    }
    let view = call.view;
    let whole = view.wall.0 - view.wall.0.rem_euclid(METRICS_INTERVAL_MS);
    let date = Calendar::of(WallTime(whole));
    let mut json = Json::new(call.is_pretty(), 1024);
    json.begin_object();
    json.field_string("Timestamp", &format!("{} {} +0000 UTC", date.date(), date.time()));
    json.key("Gauges");
    json.begin_array();
    let mut gauge = |name: &str, value: u64| {
        json.begin_object();
        json.field_string("Name", name);
        json.field_unsigned("Value", value);
        json.key("Labels");
        json.begin_object();
        json.end_object();
        json.end_object();
    };
    if let Some(health) = &view.pools.autopilot {
        gauge("consul.autopilot.failure_tolerance", u64::from(health.failure_tolerance));
        gauge("consul.autopilot.healthy", u64::from(health.healthy));
    }
    if let Some(lan) = &view.pools.lan {
        gauge("consul.memberlist.health.score", u64::from(lan.health_score));
    }
    if view.agent.server {
        gauge("consul.raft.applied_index", view.catalog.index().0);
        let sessions = view.catalog.sessions().filter(|session| !session.ttl.is_empty()).count();
        gauge("consul.session_ttl.active", u64::try_from(sessions).unwrap_or(u64::MAX));
    }
    json.end_array();
    for name in ["Points", "Counters", "Samples"] {
        json.key(name);
        json.begin_array();
        json.end_array();
    }
    json.end_object();
    Ok(Plan::Answer(respond::json(view, 200, json.finish())))
}
