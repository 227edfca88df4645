//! `/v1/event`: user events as this agent fires and sees them.

use crate::decide::{Call, Desk, Modes, wait_for_local};
use crate::json::Json;
use crate::{LocalOp, Plan, Response, UserEvent, error, render, respond};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_syntax::pattern;
use proconsul_types::LamportTime;

pub(super) fn fire(call: &Call<'_>) -> Result<Plan, Response> {
    let name = call.required("Missing name")?;
    if name.starts_with('_') {
        return Err(call.bad("Event names that begin with '_' are reserved"));
    }
    call.own_datacenter()?;
    let text = |parameter: &str| -> Arc<str> { call.params.text(parameter).into() };
    let event = UserEvent {
        id: Arc::from(""),
        name: name.into(),
        payload: call.request.body.clone(),
        node_filter: text("node"),
        service_filter: text("service"),
        tag_filter: text("tag"),
        version: 1,
        time: LamportTime(0),
    };
    validate(&event).map_err(|text| error::plain(call.view, 500, &text))?;
    Ok(Plan::Local(LocalOp::FireEvent(Box::new(event))))
}

fn validate(event: &UserEvent) -> Result<(), String> {
    if !event.tag_filter.is_empty() && event.service_filter.is_empty() {
        return Err("Cannot provide tag filter without service filter".into());
    }
    for (kind, filter) in [
        ("node", &event.node_filter),
        ("service", &event.service_filter),
        ("tag", &event.tag_filter),
    ] {
        if !filter.is_empty() {
            pattern::compile(filter)
                .map_err(|reason| format!("Invalid {kind} filter: {reason}"))?;
        }
    }
    Ok(())
}

/// The events this agent matched. A blocking read waits while the newest of them is the one the
/// asker has seen; the index only says which that is.
pub(super) fn list(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse_waiting(call)?;
    let name = call.params.text("name");
    let events = call.view.pools.events.iter();
    let found: Vec<_> = events.filter(|event| name.is_empty() || *event.name == *name).collect();
    let index = found.last().map_or(1, |event| index(&event.id));
    if modes.index > 0 && modes.index == index && !desk.expired() {
        return Ok(wait_for_local(call, desk, modes));
    }
    let mut json = Json::new(call.is_pretty(), 512);
    json.begin_array();
    for event in found {
        render::event(&mut json, event);
    }
    json.end_array();
    let mut response = respond::json(call.view, 200, json.finish());
    response.headers.push((Cow::Borrowed("X-Consul-Index"), index.to_string()));
    Ok(Plan::Answer(response))
}

/// The two halves of an id, folded together.
fn index(id: &str) -> u64 {
    let mut digits = id.bytes().filter_map(|byte| char::from(byte).to_digit(16));
    let mut half =
        || digits.by_ref().take(16).fold(0_u64, |sum, digit| sum << 4 | u64::from(digit));
    half() ^ half()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_that_of_consul() {
        assert_eq!(index("a65a1b02-9737-219b-459d-7121feb02521"), 16_413_204_067_301_917_882);
        assert_eq!(index("9ffd7c69-da7b-6884-9cac-55d28ca9e833"), 239_018_139_819_606_199);
    }
}
