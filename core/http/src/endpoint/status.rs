//! `/v1/status`: who leads and who votes, as this server knows it. Never waits.

use crate::decide::Call;
use crate::json::Json;
use crate::{Plan, Response, respond};
use alloc::string::ToString;

use crate::route::Endpoint;

pub(super) fn decide(call: &Call<'_>) -> Result<Plan, Response> {
    call.own_datacenter()?;
    let mut json = Json::new(call.is_pretty(), 64);
    let leadership = &call.view.leadership;
    if call.endpoint == Endpoint::Leader {
        let leader = leadership.servers.iter().find(|server| Some(server.id) == leadership.leader);
        let address = leader.and_then(|server| server.address);
        json.string(&address.map(|address| address.to_string()).unwrap_or_default());
    } else {
        json.begin_array();
        for server in &leadership.servers {
            if let Some(address) = server.address {
                json.string(&address.to_string());
            }
        }
        json.end_array();
    }
    Ok(Plan::Answer(respond::json(call.view, 200, json.finish())))
}
