//! `/v1/agent`, what changes what this agent offers.

use super::{Decoded, boolean, each_field, undecodable};
use crate::decide::Call;
use crate::{LocalOp, Plan, Response, error};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use proconsul_checks::parse::{
    ParseError, Scripts, check_registration, json, service_registration,
};
use proconsul_types::CheckStatus;

pub(super) fn register_service(call: &Call<'_>) -> Result<Plan, Response> {
    let service =
        service_registration(&call.request.body, scripts(call)).map_err(|e| bad(call, &e))?;
    let replace = call.params.has("replace-existing-checks");
    Ok(Plan::Local(LocalOp::RegisterService(Box::new(service), replace)))
}

pub(super) fn deregister_service(call: &Call<'_>) -> Result<Plan, Response> {
    Ok(Plan::Local(LocalOp::DeregisterService(tail(call, "ServiceID missing")?)))
}

pub(super) fn service_maintenance(call: &Call<'_>) -> Result<Plan, Response> {
    let id = call.required("Missing service ID")?;
    let enable = enable(call)?;
    let reason = call.params.text("reason");
    Ok(Plan::Local(LocalOp::ServiceMaintenance(id.into(), enable, reason.into())))
}

pub(super) fn node_maintenance(call: &Call<'_>) -> Result<Plan, Response> {
    let enable = enable(call)?;
    Ok(Plan::Local(LocalOp::NodeMaintenance(enable, call.params.text("reason").into())))
}

pub(super) fn register_check(call: &Call<'_>) -> Result<Plan, Response> {
    let check = check_registration(&call.request.body, scripts(call)).map_err(|e| bad(call, &e))?;
    Ok(Plan::Local(LocalOp::RegisterCheck(Box::new(check))))
}

pub(super) fn deregister_check(call: &Call<'_>) -> Result<Plan, Response> {
    Ok(Plan::Local(LocalOp::DeregisterCheck(tail(call, "CheckID missing")?)))
}

/// There are no tokens while there is no ACL system.
pub(super) fn token(call: &Call<'_>) -> Result<Plan, Response> {
    Err(error::plain(call.view, 401, "ACL support disabled"))
}

/// Whether whoever asks may have programs run.
fn scripts(call: &Call<'_>) -> Scripts {
    if call.view.agent.script_checks { Scripts::Run } else { Scripts::Refused }
}

fn bad(call: &Call<'_>, reason: &ParseError) -> Response {
    error::plain(call.view, reason.status, &reason.text)
}

/// What the path names; without it, a 500 with this text.
fn tail(call: &Call<'_>, text: &str) -> Result<Arc<str>, Response> {
    if call.tail.is_empty() {
        return Err(error::plain(call.view, 500, text));
    }
    Ok((*call.tail).into())
}

fn enable(call: &Call<'_>) -> Result<bool, Response> {
    let Some(text) = call.params.get("enable") else {
        return Err(call.bad("Missing value for enable"));
    };
    boolean(text).ok_or_else(|| call.bad(&format!("Invalid value for enable: {text:?}")))
}

/// A TTL check speaks.
pub(super) fn update(call: &Call<'_>, status: CheckStatus) -> Plan {
    let note = call.params.text("note").into();
    Plan::Local(LocalOp::UpdateTtl((*call.tail).into(), status, note))
}

pub(super) fn update_with_body(call: &Call<'_>) -> Result<Plan, Response> {
    let mut status: Arc<str> = Arc::from("");
    let mut output: Arc<str> = Arc::from("");
    let mut read = || -> Decoded<()> {
        let value = json::decode(&call.request.body)?;
        each_field(json::fields(&value, "agent.checkUpdate")?, |key, given, value| match key {
            "status" => json::text(value, "checkUpdate.Status", &mut status),
            "output" => json::text(value, "checkUpdate.Output", &mut output),
            _ => Err(json::unknown_field(given)),
        })
    };
    read().map_err(|reason| undecodable(call, &reason))?;
    let Some(status) = CheckStatus::parse(&status) else {
        return Err(call.bad(&format!("Invalid check status: '{status}'")));
    };
    Ok(Plan::Local(LocalOp::UpdateTtl((*call.tail).into(), status, output)))
}
