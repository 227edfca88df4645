//! `/v1/txn`: all or nothing over keys, nodes, services and checks.

use super::txn_key::AskedKey;
use super::txn_record::AskedRecord;
use super::{Decoded, each_field};
use crate::decide::{Call, Desk, Modes, contact, standing};
use crate::json::records::Empty;
use crate::json::{Json, records};
use crate::{Plan, Reply, Response, error, respond};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{Command, Outcome, TxnError, TxnOp, TxnResult};
use proconsul_checks::parse::json;
use proconsul_types::limits::TXN_OPS_MAX;
use serde_json::Value;

pub(super) fn decide(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let max = call.view.agent.txn_bytes_max;
    let size = call.request.body.len();
    if size > max {
        return Err(error::too_large(call.view, size, max, "txn_max_req_len"));
    }
    let unreadable = |reason: String| call.bad(&format!("Failed to parse body: {reason}"));
    let asked = decode(&call.request.body).map_err(unreadable)?;
    if asked.len() > TXN_OPS_MAX {
        let count = asked.len();
        let text = format!("Transaction contains too many operations ({count} > {TXN_OPS_MAX})");
        return Err(error::plain(call.view, 413, &text));
    }
    let asked: Vec<Asked> = asked.into_iter().flatten().collect();
    let largest = call.view.agent.kv_value_bytes_max;
    for asked in &asked {
        if let Asked::Key(op) = asked
            && op.value.len() > largest
        {
            let (key, size) = (&op.key, op.value.len());
            let text = format!("Value for key {key:?} is too large ({size} > {largest} bytes)");
            return Err(error::plain(call.view, 413, &text));
        }
    }
    let writes = asked.iter().any(Asked::writes);
    let ops = Ops::new(&call.view.agent.datacenter, &asked);
    if writes {
        call.own_datacenter()?;
        if !call.leads() {
            return Ok(Plan::Leader);
        }
        if !ops.errors.is_empty() {
            let tried = call.view.catalog.txn_trial(&ops.sound);
            let body = written(call.is_pretty(), &ops.failed(tried), None);
            return Ok(Plan::Answer(respond::json(call.view, 409, body)));
        }
        return Ok(Plan::Write(Command::Txn(ops.sound), Reply::Txn));
    }
    read(call, desk, ops)
}

/// A transaction that writes nothing is a read, with the modes of one.
fn read(call: &Call<'_>, desk: &Desk<'_>, ops: Ops) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    call.own_datacenter()?;
    if let (_, Some(elsewhere)) = standing(call, desk, modes) {
        return Ok(elsewhere);
    }
    let mut outcome = call.view.catalog.txn_read(&ops.sound);
    if !ops.errors.is_empty() {
        outcome = ops.failed(outcome.into_txn_errors());
    }
    let (known, contact) = contact(call.view, call.now);
    let body = written(call.is_pretty(), &outcome, Some((known, contact)));
    let status = if matches!(outcome, Outcome::TxnFailed(_)) { 409 } else { 200 };
    let mut response = respond::json(call.view, status, body);
    respond::push_leader(&mut response.headers, known, contact);
    Ok(Plan::Answer(response))
}

/// The answer to a transaction that was applied.
pub(crate) fn render(pretty: bool, outcome: &Outcome) -> (u16, Vec<u8>) {
    let status = if matches!(outcome, Outcome::TxnFailed(_)) { 409 } else { 200 };
    (status, written(pretty, outcome, None))
}

fn written(pretty: bool, outcome: &Outcome, read: Option<(bool, u64)>) -> Vec<u8> {
    let mut json = Json::new(pretty, 256);
    json.begin_object();
    match outcome {
        Outcome::TxnFailed(errors) => {
            json.field_null("Results");
            json.key("Errors");
            json.begin_array();
            for error in errors {
                json.begin_object();
                json.field_unsigned("OpIndex", u64::from(error.op));
                json.field_string("What", &error.text);
                json.end_object();
            }
            json.end_array();
        }
        Outcome::Txn(results) => {
            json.key("Results");
            json.begin_array();
            for result in results {
                json.begin_object();
                shown(&mut json, result);
                json.end_object();
            }
            json.end_array();
            json.field_null("Errors");
        }
        Outcome::Done | Outcome::Answer(_) | Outcome::Session(_) | Outcome::Rejected(_) => {
            json.key("Results");
            json.begin_array();
            json.end_array();
            json.field_null("Errors");
        }
    }
    if let Some((known_leader, contact_ms)) = read {
        json.field_unsigned("Index", 0);
        json.field_unsigned("LastContact", contact_ms.saturating_mul(1_000_000));
        json.field_boolean("KnownLeader", known_leader);
        json.field_string("ConsistencyLevel", "");
    }
    json.end_object();
    json.finish()
}

fn shown(json: &mut Json, result: &TxnResult) {
    match result {
        TxnResult::Pair { pair, with_value } => {
            json.key("KV");
            records::pair(json, pair, *with_value);
        }
        TxnResult::Node(node) => {
            json.key("Node");
            records::node(json, node);
        }
        TxnResult::Service(service) => {
            json.key("Service");
            records::node_service(json, service, Empty::Null);
        }
        TxnResult::Check(check) => {
            json.key("Check");
            records::check_with(json, check, Empty::Null);
        }
    }
}

fn decode(body: &[u8]) -> Decoded<Vec<Option<Asked>>> {
    let value = json::decode(body)?;
    let list: &[Value] = match &value {
        Value::Array(list) => list,
        Value::Null => &[],
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(json::fields(&value, "api.TxnOps").err().unwrap_or_else(|| {
                "json: cannot unmarshal object into Go value of type api.TxnOps".into()
            }));
        }
    };
    list.iter().map(decode_one).collect()
}

/// One operation. Of several in one object the first of key, node, service and check counts; an
/// object without any asks for nothing.
fn decode_one(value: &Value) -> Decoded<Option<Asked>> {
    let mut key = None;
    let [mut node, mut service, mut check] = [const { None }; 3];
    each_field(json::fields(value, "api.TxnOp")?, |field, given, value| {
        match field {
            "kv" | "node" | "service" | "check" if value.is_null() => {}
            "kv" => key = Some(AskedKey::read(value)?),
            "node" => node = Some(AskedRecord::node(value)?),
            "service" => service = Some(AskedRecord::service(value)?),
            "check" => check = Some(AskedRecord::check(value)?),
            _ => return Err(json::unknown_field(given)),
        }
        Ok(())
    })?;
    let record = node.or(service).or(check).map(Asked::Record);
    Ok(key.map(Asked::Key).or(record))
}

/// An operation as it was read.
enum Asked {
    Key(AskedKey),
    Record(AskedRecord),
}

impl Asked {
    fn writes(&self) -> bool {
        match self {
            Self::Key(asked) => asked.writes(),
            Self::Record(asked) => asked.writes(),
        }
    }
}

/// The operations that can be tried, and what is wrong with the others.
struct Ops {
    sound: Vec<TxnOp>,
    /// The number of each sound one in the request.
    places: Vec<u32>,
    errors: Vec<TxnError>,
}

impl Ops {
    fn new(datacenter: &Arc<str>, asked: &[Asked]) -> Self {
        let mut ops = Self { sound: Vec::new(), places: Vec::new(), errors: Vec::new() };
        // What can be seen without the catalog is looked at before anything is tried.
        for (op, asked) in (0_u32..).zip(asked) {
            let checked = match asked {
                Asked::Key(asked) => asked.precheck(),
                Asked::Record(asked) => asked.precheck(),
            };
            if let Err(text) = checked {
                ops.errors.push(TxnError { op, text });
            }
        }
        if !ops.errors.is_empty() {
            return ops;
        }
        for (op, asked) in (0_u32..).zip(asked) {
            let typed = match asked {
                Asked::Key(asked) => asked.typed(),
                Asked::Record(asked) => asked.typed(datacenter),
            };
            match typed {
                Ok(sound) => {
                    ops.sound.push(sound);
                    ops.places.push(op);
                }
                Err(text) => ops.errors.push(TxnError { op, text }),
            }
        }
        ops
    }

    /// All that is wrong, with what trying the sound ones said.
    fn failed(self, tried: Vec<TxnError>) -> Outcome {
        let mut errors = self.errors;
        errors.extend(tried.into_iter().map(|error| {
            // Their numbers count the sound operations alone.
            let place = usize::try_from(error.op).ok().and_then(|at| self.places.get(at));
            TxnError { op: place.copied().unwrap_or(error.op), text: error.text }
        }));
        errors.sort_by_key(|error| error.op);
        Outcome::TxnFailed(errors)
    }
}
