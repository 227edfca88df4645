//! `/v1/agent/health/service`: this agent's services with the sum of their checks.

use super::agent::local_service;
use crate::decide::Call;
use crate::json::Json;
use crate::json::records::{self, Empty};
use crate::{Plan, Response, error, respond};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_checks::{LocalCheck, LocalService, NODE_MAINTENANCE, SERVICE_MAINTENANCE_PREFIX};
use proconsul_types::CheckStatus;

/// How an agent's checks are defined is not told here: the form is there, the values are not.
const DEFINITION: &str = r#"{"Interval":"0s","Timeout":"0s","DeregisterCriticalServiceAfter":"0s","HTTP":"","Header":null,"Method":"","Body":"","TLSSkipVerify":false,"TCP":""}"#;

/// Health of a service, worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aggregate {
    Checked(CheckStatus),
    Maintenance,
}

impl Aggregate {
    fn of<'a>(checks: impl Iterator<Item = &'a LocalCheck>) -> Self {
        checks
            .map(|check| {
                let id = &*check.definition.id;
                if id == NODE_MAINTENANCE || id.starts_with(SERVICE_MAINTENANCE_PREFIX) {
                    Self::Maintenance
                } else {
                    Self::Checked(check.status)
                }
            })
            .max()
            .unwrap_or(Self::Checked(CheckStatus::Passing))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Checked(status) => status.as_str(),
            Self::Maintenance => "maintenance",
        }
    }

    fn code(self) -> u16 {
        match self {
            Self::Checked(CheckStatus::Passing) => 200,
            Self::Checked(CheckStatus::Warning) => 429,
            Self::Checked(CheckStatus::Critical) | Self::Maintenance => 503,
        }
    }
}

pub(super) fn by_id(call: &Call<'_>) -> Result<Plan, Response> {
    if call.tail.is_empty() {
        return Err(error::plain(call.view, 500, "Bad request: Missing serviceID"));
    }
    Ok(Plan::Answer(one(call, wants_text(call))))
}

pub(super) fn by_name(call: &Call<'_>) -> Result<Plan, Response> {
    if call.tail.is_empty() {
        return Err(error::plain(call.view, 500, "Bad request: Missing service Name"));
    }
    Ok(Plan::Answer(all_named(call, wants_text(call))))
}

fn wants_text(call: &Call<'_>) -> bool {
    let accept = call.request.headers.iter().find(|(name, _)| name == "accept");
    call.params.text("format") == "text"
        || accept.is_some_and(|(_, value)| value.starts_with("text/plain"))
}

fn one(call: &Call<'_>, text: bool) -> Response {
    let mut json = Json::new(call.is_pretty(), 1024);
    let Some(service) = call.view.local.services.get(&*call.tail) else {
        let reason = format!("ServiceId {} not found", call.tail);
        if text {
            json.string(&reason);
        } else {
            json.begin_object();
            json.field_string("AggregatedStatus", "critical");
            json.field_null("Service");
            json.field_null("Checks");
            json.end_object();
        }
        return reasoned(respond::json(call.view, 404, json.finish()), reason);
    };
    let aggregate = Aggregate::of(counted(call, service));
    if text {
        return plain(call, aggregate.code(), aggregate.word().into());
    }
    write(&mut json, call, service, aggregate);
    let response = respond::json(call.view, aggregate.code(), json.finish());
    reasoned(response, aggregate.word().into())
}

fn all_named(call: &Call<'_>, text: bool) -> Response {
    let services = call.view.local.services.values();
    let named: Vec<_> =
        services.filter(|service| *service.definition.registration.name == *call.tail).collect();
    let worst = named.iter().map(|service| Aggregate::of(counted(call, service))).max();
    let (code, reason) = match worst {
        Some(worst) => (worst.code(), String::from(worst.word())),
        None => (404, format!("ServiceName {} Not Found", call.tail)),
    };
    if text {
        return plain(call, code, reason);
    }
    let mut json = Json::new(call.is_pretty(), 1024);
    json.begin_array();
    for service in named {
        write(&mut json, call, service, Aggregate::of(counted(call, service)));
    }
    json.end_array();
    reasoned(respond::json(call.view, code, json.finish()), reason)
}

/// The checks that count for a service: its own and the node's.
fn counted<'a>(
    call: &'a Call<'_>,
    service: &'a LocalService,
) -> impl Iterator<Item = &'a LocalCheck> {
    call.view.local.checks.values().map(AsRef::as_ref).filter(|check| {
        let of = &check.definition.service_id;
        of.is_empty() || *of == service.definition.registration.id
    })
}

fn reasoned(mut response: Response, reason: String) -> Response {
    response.headers.push((Cow::Borrowed("X-Consul-Reason"), reason));
    response
}

fn plain(call: &Call<'_>, code: u16, reason: String) -> Response {
    let headers = respond::headers(call.view, Some("text/plain"));
    let body = Bytes::copy_from_slice(reason.as_bytes());
    reasoned(Response { status: code, headers, body }, reason)
}

fn write(json: &mut Json, call: &Call<'_>, service: &LocalService, aggregate: Aggregate) {
    json.begin_object();
    json.field_string("AggregatedStatus", aggregate.word());
    json.key("Service");
    local_service(json, service, None);
    json.key("Checks");
    json.begin_array();
    for check in counted(call, service) {
        let definition = &check.definition;
        json.begin_object();
        json.field_string("Node", &call.view.agent.name);
        json.field_string("CheckID", &definition.id);
        json.field_string("Name", &definition.name);
        json.field_string("Status", check.status.as_str());
        json.field_string("Notes", &definition.notes);
        json.field_string("Output", &check.output);
        json.field_string("ServiceID", &definition.service_id);
        json.field_string("ServiceName", &check.service_name);
        json.key("ServiceTags");
        records::texts(json, &check.service_tags, Empty::Null);
        json.field_string("Type", "");
        json.field_raw("Definition", DEFINITION);
        json.field_unsigned("CreateIndex", 0);
        json.field_unsigned("ModifyIndex", 0);
        json.end_object();
    }
    json.end_array();
    json.end_object();
}
