//! `/v1/agent`, what changes what this agent offers.

use super::{Decoded, boolean, each_field, undecodable};
use crate::decide::Call;
use crate::route::Endpoint;
use crate::{LocalOp, Plan, Response, error};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use proconsul_checks::parse::{ParseError, check_registration, json, service_registration};
use proconsul_types::CheckStatus;

pub(super) fn decide(call: &Call<'_>) -> Result<Plan, Response> {
    let op = match call.endpoint {
        Endpoint::AgentServiceRegister => {
            let service = service_registration(&call.request.body).map_err(|e| bad(call, &e))?;
            LocalOp::RegisterService(Box::new(service), call.params.has("replace-existing-checks"))
        }
        Endpoint::AgentServiceDeregister => {
            LocalOp::DeregisterService(tail(call, "ServiceID missing")?)
        }
        Endpoint::AgentServiceMaintenance => {
            let id = call.required("Missing service ID")?;
            let enable = enable(call)?;
            LocalOp::ServiceMaintenance(id.into(), enable, call.params.text("reason").into())
        }
        Endpoint::AgentMaintenance => {
            LocalOp::NodeMaintenance(enable(call)?, call.params.text("reason").into())
        }
        Endpoint::AgentCheckRegister => {
            let check = check_registration(&call.request.body).map_err(|e| bad(call, &e))?;
            LocalOp::RegisterCheck(Box::new(check))
        }
        Endpoint::AgentCheckDeregister => LocalOp::DeregisterCheck(tail(call, "CheckID missing")?),
        Endpoint::AgentCheckPass => update(call, CheckStatus::Passing),
        Endpoint::AgentCheckWarn => update(call, CheckStatus::Warning),
        Endpoint::AgentCheckFail => update(call, CheckStatus::Critical),
        Endpoint::AgentCheckUpdate => update_with_body(call)?,
        Endpoint::AgentLeave => LocalOp::Leave,
        _reload => LocalOp::Reload,
    };
    Ok(Plan::Local(op))
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

fn update(call: &Call<'_>, status: CheckStatus) -> LocalOp {
    LocalOp::UpdateTtl((*call.tail).into(), status, call.params.text("note").into())
}

fn update_with_body(call: &Call<'_>) -> Result<LocalOp, Response> {
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
    Ok(LocalOp::UpdateTtl((*call.tail).into(), status, output))
}
