//! `/v1/operator/raft`.

use crate::decide::{Call, Desk, Modes, standing};
use crate::json::Json;
use crate::{Method, OperatorOp, Plan, Response, respond};
use alloc::format;
use alloc::string::ToString;
use proconsul_types::NodeId;

pub(super) fn configuration(call: &Call<'_>, desk: &Desk<'_>) -> Result<Plan, Response> {
    call.own_datacenter()?;
    let modes = Modes::parse(call)?;
    if let (_, Some(elsewhere)) = standing(call, desk, modes) {
        return Ok(elsewhere);
    }
    let leadership = &call.view.leadership;
    let mut json = Json::new(call.is_pretty(), 512);
    json.begin_object();
    json.key("Servers");
    json.begin_array();
    for server in &leadership.servers {
        json.begin_object();
        json.field_string("ID", &server.id.to_string());
        json.field_string("Node", &server.name);
        let address = server.address.map(|address| address.to_string()).unwrap_or_default();
        json.field_string("Address", &address);
        json.field_boolean("Leader", leadership.leader == Some(server.id));
        json.field_string("ProtocolVersion", "3");
        json.field_boolean("Voter", server.voter);
        json.end_object();
    }
    json.end_array();
    json.field_unsigned("Index", 0);
    json.end_object();
    Ok(Plan::Answer(respond::json(call.view, 200, json.finish())))
}

pub(super) fn remove_peer(call: &Call<'_>) -> Result<Plan, Response> {
    let id = call.params.text("id");
    let address = call.params.text("address");
    match (id.is_empty(), address.is_empty()) {
        (true, true) => {
            return Err(call.bad(
                "Bad request: Must specify either ?id with the server's ID or ?address with \
                 IP:port of peer to remove",
            ));
        }
        (false, false) => {
            return Err(call.bad("Bad request: Must specify only one of ?id or ?address"));
        }
        (true, false) | (false, true) => {}
    }
    call.own_datacenter()?;
    if !call.leads() {
        return Ok(Plan::Leader);
    }
    let servers = &call.view.leadership.servers;
    let found = servers.iter().find(|server| {
        if id.is_empty() {
            server.address.is_some_and(|known| known.to_string() == address)
        } else {
            server.id.to_string() == id
        }
    });
    match found {
        Some(server) => Ok(Plan::Operator(OperatorOp::RemovePeer(server.id))),
        None if id.is_empty() => {
            Err(call
                .refused(&format!("address {address:?} was not found in the Raft configuration")))
        }
        None => Err(call.refused(&format!("id {id:?} was not found in the Raft configuration"))),
    }
}

/// Consul has this from a later version on; there the method is POST.
pub(super) fn transfer(call: &Call<'_>) -> Result<Plan, Response> {
    assert!(
        matches!(call.request.method, Method::Post | Method::Put),
        "the route allows no other method"
    );
    call.own_datacenter()?;
    if !call.leads() {
        return Ok(Plan::Leader);
    }
    let text = call.params.text("id");
    if text.is_empty() {
        return Ok(Plan::Operator(OperatorOp::TransferLeader(None)));
    }
    let id = text.parse::<NodeId>();
    let known = |id: &NodeId| call.view.leadership.servers.iter().any(|server| server.id == *id);
    match id.ok().filter(known) {
        Some(id) => Ok(Plan::Operator(OperatorOp::TransferLeader(Some(id)))),
        None => Err(call.refused(&format!("id {text:?} was not found in the Raft configuration"))),
    }
}
