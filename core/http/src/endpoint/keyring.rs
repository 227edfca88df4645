//! `/v1/operator/keyring`: the keys of all pools.

use super::{Decoded, boolean, each_field};
use crate::decide::Call;
use crate::render::many_errors;
use crate::{KeyAction, KeyringOp, LocalOp, Method, Plan, Response, error};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proconsul_checks::parse::json;

/// Others that pass an answer on as well, at most.
const RELAYS_MAX: i64 = 5;

pub(super) fn decide(call: &Call<'_>) -> Result<Plan, Response> {
    let refuse = |text: String| call.bad(&format!("Bad request: {text}"));
    let action = match &call.request.method {
        Method::Get => KeyAction::List,
        Method::Post => KeyAction::Install,
        Method::Put => KeyAction::Use,
        Method::Delete => KeyAction::Remove,
        Method::Head | Method::Options | Method::Other(_) => {
            return Ok(Plan::Answer(crate::respond::unknown_path()));
        }
    };
    let mut written: Arc<str> = Arc::from("");
    if action != KeyAction::List {
        let read = read_key(&call.request.body, &mut written);
        read.map_err(|reason| refuse(format!("Request decode failed: {reason}")))?;
    }
    let relay_factor = relay_factor(call.params.text("relay-factor")).map_err(refuse)?;
    let local_only = match call.params.text("local-only") {
        "" => false,
        text => boolean(text).ok_or_else(|| {
            refuse(format!(
                "Error parsing local-only: strconv.ParseBool: parsing {text:?}: invalid syntax"
            ))
        })?,
    };
    if local_only && action != KeyAction::List {
        return Err(refuse(
            "Invalid use of local-only: local-only can only be set for list requests".into(),
        ));
    }
    let key = STANDARD.decode(written.as_bytes()).map(Bytes::from);
    let key = key.map_err(|_| unreadable(call, &written))?;
    Ok(Plan::Local(LocalOp::Keys(KeyringOp { action, key, relay_factor, local_only })))
}

fn read_key(body: &[u8], out: &mut Arc<str>) -> Decoded<()> {
    let value = json::decode(body)?;
    each_field(json::fields(&value, "agent.keyringArgs")?, |key, given, value| match key {
        "key" => json::text(value, "keyringArgs.Key", out),
        "token" => json::text(value, "keyringArgs.Token", &mut Arc::from("")),
        "relayfactor" | "localonly" => Ok(()),
        _ => Err(json::unknown_field(given)),
    })
}

fn relay_factor(text: &str) -> Result<u8, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = text.parse::<i64>().map_err(|_| {
        format!("Error parsing relay factor: strconv.Atoi: parsing {text:?}: invalid syntax")
    })?;
    let within = u8::try_from(number).ok().filter(|_| number <= RELAYS_MAX);
    let bounds = "Invalid relay-factor: Relay factor must be in range: [0, 5]";
    within.ok_or_else(|| String::from(bounds))
}

/// Every pool refuses what is no base64.
fn unreadable(call: &Call<'_>, written: &str) -> Response {
    let place = super::txn_key::wrong_base64(written);
    let reason = format!("illegal base64 data at input byte {place}");
    let mut errors = Vec::from([format!("WAN error: {reason}")]);
    let pools = &call.view.pools.datacenters;
    let own = core::slice::from_ref(&call.view.agent.datacenter);
    let datacenters = if pools.is_empty() { own } else { &***pools };
    errors.extend(datacenters.iter().map(|name| format!("{name} (LAN) error: {reason}")));
    error::plain(call.view, 500, &many_errors(&errors))
}
