//! The endpoints, a file for each family.

mod agent;
mod agent_health;
mod agent_pools;
mod agent_write;
mod autopilot;
mod catalog;
mod catalog_write;
mod coordinate;
mod event;
mod filter;
mod health;
mod keyring;
mod kv;
mod operator;
mod proxy;
mod session;
mod snapshot;
mod status;
mod txn;
mod txn_key;
mod txn_record;

use crate::decide::{Call, Desk};
use crate::route::Endpoint;
use crate::{LocalOp, Method, Plan, Reply, Response};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use proconsul_catalog::Command;
use proconsul_checks::parse::json;
use proconsul_types::CheckStatus;
use serde_json::{Map, Value};

pub(crate) use txn::render as render_txn;

/// Decides one request. An error is an answer, too.
pub(crate) fn decide(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let asks_pools = call.endpoint == Endpoint::Keyring;
    if (call.request.method != Method::Get || asks_pools) && desk.is_worker() {
        return Ok(Plan::Enter);
    }
    match call.endpoint {
        Endpoint::Leader => status::leader(call),
        Endpoint::Peers => status::peers(call),
        Endpoint::Kv => kv::decide(call, desk),
        Endpoint::Txn => txn::decide(call, desk),
        Endpoint::SessionCreate => session::create(call, desk),
        Endpoint::SessionDestroy => session::destroy(call),
        Endpoint::SessionRenew => session::renew(call, desk),
        Endpoint::SessionOne => session::one(call, desk),
        Endpoint::SessionNode => session::of_node(call, desk),
        Endpoint::SessionList => session::all(call, desk),
        Endpoint::Register => catalog_write::register(call),
        Endpoint::Deregister => catalog_write::deregister(call),
        Endpoint::Datacenters => Ok(catalog::datacenters(call)),
        Endpoint::Nodes => catalog::nodes(call, desk),
        Endpoint::Services => catalog::services(call, desk),
        Endpoint::Service => catalog::service(call, desk, false),
        Endpoint::Connect => catalog::service(call, desk, true),
        Endpoint::Node => catalog::node(call, desk, false),
        Endpoint::NodeServices => catalog::node(call, desk, true),
        Endpoint::GatewayServices => catalog::gateway_services(call, desk),
        Endpoint::HealthNode => health::node(call, desk),
        Endpoint::HealthChecks => health::checks(call, desk),
        Endpoint::HealthService => health::service(call, desk, false),
        Endpoint::HealthConnect => health::service(call, desk, true),
        Endpoint::HealthIngress => health::ingress(call, desk),
        Endpoint::HealthState => health::state(call, desk),
        Endpoint::AgentSelf => Ok(agent::own(call)),
        Endpoint::AgentHost => agent::host(call, desk),
        Endpoint::AgentMonitor => agent::monitor(call, desk),
        Endpoint::AgentMembers => agent_pools::members(call),
        Endpoint::AgentMetrics => agent_pools::metrics(call),
        Endpoint::AgentJoin => agent_pools::join(call),
        Endpoint::AgentServices => agent::services(call),
        Endpoint::AgentService => agent::service(call, desk),
        Endpoint::AgentChecks => agent::checks(call),
        Endpoint::AgentHealthById => agent_health::by_id(call),
        Endpoint::AgentHealthByName => agent_health::by_name(call),
        Endpoint::AgentServiceRegister => agent_write::register_service(call),
        Endpoint::AgentServiceDeregister => agent_write::deregister_service(call),
        Endpoint::AgentServiceMaintenance => agent_write::service_maintenance(call),
        Endpoint::AgentMaintenance => agent_write::node_maintenance(call),
        Endpoint::AgentCheckRegister => agent_write::register_check(call),
        Endpoint::AgentCheckDeregister => agent_write::deregister_check(call),
        Endpoint::AgentCheckPass => Ok(agent_write::update(call, CheckStatus::Passing)),
        Endpoint::AgentCheckWarn => Ok(agent_write::update(call, CheckStatus::Warning)),
        Endpoint::AgentCheckFail => Ok(agent_write::update(call, CheckStatus::Critical)),
        Endpoint::AgentCheckUpdate => agent_write::update_with_body(call),
        Endpoint::AgentReload => Ok(Plan::Local(LocalOp::Reload)),
        Endpoint::AgentLeave => Ok(Plan::Local(LocalOp::Leave)),
        Endpoint::AgentForceLeave => agent_pools::force_leave(call),
        Endpoint::AgentToken => agent_write::token(call),
        Endpoint::Snapshot => snapshot::decide(call, desk),
        Endpoint::CoordinateDatacenters => Ok(coordinate::datacenters(call)),
        Endpoint::CoordinateNodes => coordinate::nodes(call, desk),
        Endpoint::CoordinateNode => coordinate::node(call, desk),
        Endpoint::CoordinateUpdate => coordinate::update(call),
        Endpoint::EventFire => event::fire(call),
        Endpoint::EventList => event::list(call, desk),
        Endpoint::AutopilotConfiguration => autopilot::configuration(call, desk),
        Endpoint::AutopilotHealth => autopilot::health(call),
        Endpoint::Keyring => keyring::decide(call),
        Endpoint::RaftConfiguration => operator::configuration(call, desk),
        Endpoint::RaftPeer => operator::remove_peer(call),
        Endpoint::RaftTransfer => operator::transfer(call),
    }
}

/// A write: proposed here if this server leads, by the leader otherwise.
fn propose(call: &Call<'_>, command: Command, reply: Reply) -> Plan {
    if call.leads() { Plan::Write(command, reply) } else { Plan::Leader }
}

/// What a decoder of fields says: nothing, or Go's words for what is wrong.
type Decoded<T> = Result<T, String>;

/// The fields of an object body, each handed to `take` with its name in lower case.
fn each_field(
    fields: Option<&Map<String, Value>>,
    mut take: impl FnMut(&str, &str, &Value) -> Decoded<()>,
) -> Decoded<()> {
    let Some(fields) = fields else { return Ok(()) };
    for (key, value) in fields {
        take(&key.to_ascii_lowercase(), key, value)?;
    }
    Ok(())
}

/// A string field as an owned name.
fn name(value: &Value, field: &str) -> Decoded<Arc<str>> {
    let mut text = Arc::from("");
    json::text(value, field, &mut text)?;
    Ok(text)
}

/// 400 for a body that cannot be read.
fn undecodable(call: &Call<'_>, reason: &str) -> Response {
    call.bad(&format!("Request decode failed: {reason}"))
}

/// A boolean as Go's `ParseBool` reads it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
