//! The endpoints, a file for each family.

mod agent;
mod agent_health;
mod agent_write;
mod catalog;
mod catalog_write;
mod filter;
mod health;
mod kv;
mod operator;
mod proxy;
mod session;
mod snapshot;
mod status;
mod txn;

use crate::decide::{Call, Desk};
use crate::route::Endpoint;
use crate::{Method, Plan, Reply, Response};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use proconsul_catalog::Command;
use proconsul_checks::parse::json;
use serde_json::{Map, Value};

pub(crate) use txn::render as render_txn;

/// Decides one request. An error is an answer, too.
pub(crate) fn decide(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    if call.request.method != Method::Get && desk.is_worker() {
        return Ok(Plan::Enter);
    }
    match call.endpoint {
        Endpoint::Leader | Endpoint::Peers => status::decide(call),
        Endpoint::Kv => kv::decide(call, desk),
        Endpoint::Txn => txn::decide(call, desk),
        Endpoint::SessionCreate
        | Endpoint::SessionDestroy
        | Endpoint::SessionRenew
        | Endpoint::SessionOne
        | Endpoint::SessionNode
        | Endpoint::SessionList => session::decide(call, desk),
        Endpoint::Register | Endpoint::Deregister => catalog_write::decide(call),
        Endpoint::Datacenters
        | Endpoint::Nodes
        | Endpoint::Services
        | Endpoint::Service
        | Endpoint::Connect
        | Endpoint::Node
        | Endpoint::NodeServices => catalog::decide(call, desk),
        Endpoint::HealthNode
        | Endpoint::HealthChecks
        | Endpoint::HealthService
        | Endpoint::HealthConnect
        | Endpoint::HealthState => health::decide(call, desk),
        Endpoint::AgentSelf
        | Endpoint::AgentMembers
        | Endpoint::AgentServices
        | Endpoint::AgentService
        | Endpoint::AgentChecks => agent::decide(call, desk),
        Endpoint::AgentHealthById | Endpoint::AgentHealthByName => agent_health::decide(call),
        Endpoint::AgentServiceRegister
        | Endpoint::AgentServiceDeregister
        | Endpoint::AgentServiceMaintenance
        | Endpoint::AgentMaintenance
        | Endpoint::AgentCheckRegister
        | Endpoint::AgentCheckDeregister
        | Endpoint::AgentCheckPass
        | Endpoint::AgentCheckWarn
        | Endpoint::AgentCheckFail
        | Endpoint::AgentCheckUpdate
        | Endpoint::AgentReload
        | Endpoint::AgentLeave => agent_write::decide(call),
        Endpoint::Snapshot => snapshot::decide(call, desk),
        Endpoint::RaftConfiguration | Endpoint::RaftPeer | Endpoint::RaftTransfer => {
            operator::decide(call, desk)
        }
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
