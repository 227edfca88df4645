//! `/v1/status`: who leads and who votes, as this server knows it. Never waits.

use crate::decide::Call;
use crate::json::Json;
use crate::{Plan, Response, respond};
use alloc::string::ToString;

pub(super) fn leader(call: &Call<'_>) -> Result<Plan, Response> {
    call.own_datacenter()?;
    let mut json = Json::new(call.is_pretty(), 64);
    let leadership = &call.view.leadership;
    let leader = leadership.servers.iter().find(|server| Some(server.id) == leadership.leader);
    let address = leader.and_then(|server| server.address);
    json.string(&address.map(|address| address.to_string()).unwrap_or_default());
    Ok(Plan::Answer(respond::json(call.view, 200, json.finish())))
}

pub(super) fn peers(call: &Call<'_>) -> Result<Plan, Response> {
    call.own_datacenter()?;
    let mut json = Json::new(call.is_pretty(), 64);
    json.begin_array();
    for server in &call.view.leadership.servers {
        if let Some(address) = server.address {
            json.string(&address.to_string());
        }
    }
    json.end_array();
    Ok(Plan::Answer(respond::json(call.view, 200, json.finish())))
}
