//! `/v1/txn`: all or nothing over keys.

use super::{Decoded, each_field, name};
use crate::decide::{Call, Desk, Modes, contact, standing};
use crate::json::{Json, records};
use crate::{Plan, Reply, Response, error, respond};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proconsul_catalog::{Command, KvOp, KvVerb, Outcome, TxnError, TxnOp};
use proconsul_checks::parse::json;
use proconsul_types::SessionId;
use proconsul_types::limits::TXN_OPS_MAX;
use serde_json::Value;

/// Operations on nodes, services and checks are for `/v1/catalog` here.
const KEYS_ONLY: &str = "Transactions of Node, Service and Check operations are not supported";

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
    if asked.iter().any(|op| op.is_other) {
        return Err(call.bad(KEYS_ONLY));
    }
    let asked: Vec<Asked> = asked.into_iter().filter(|op| op.is_kv).collect();
    let largest = call.view.agent.kv_value_bytes_max;
    if let Some(op) = asked.iter().find(|op| op.value.len() > largest) {
        let (key, size) = (&op.key, op.value.len());
        let text = format!("Value for key {key:?} is too large ({size} > {largest} bytes)");
        return Err(error::plain(call.view, 413, &text));
    }
    let writes = asked.iter().any(Asked::writes);
    let ops = Ops::new(call, &asked);
    if writes {
        call.own_datacenter()?;
        if !call.leads() {
            return Ok(Plan::Leader);
        }
        if !ops.errors.is_empty() {
            let body = written(call.is_pretty(), &Outcome::TxnFailed(ops.errors), None);
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
        let mut errors = ops.errors;
        if let Outcome::TxnFailed(more) = outcome {
            // Their numbers count only the sound operations.
            errors.extend(more.into_iter().map(|error| TxnError {
                op: ops.places.get(index(error.op)).copied().unwrap_or(error.op),
                text: error.text,
            }));
        }
        errors.sort_by_key(|error| error.op);
        outcome = Outcome::TxnFailed(errors);
    }
    let (known, contact) = contact(call.view, call.now);
    let body = written(call.is_pretty(), &outcome, Some((known, contact)));
    let status = if matches!(outcome, Outcome::TxnFailed(_)) { 409 } else { 200 };
    let mut response = respond::json(call.view, status, body);
    respond::push_leader(&mut response.headers, known, contact);
    Ok(Plan::Answer(response))
}

fn index(op: u32) -> usize {
    usize::try_from(op).unwrap_or(usize::MAX)
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
                json.key("KV");
                records::pair(&mut json, &result.pair, result.with_value);
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

/// An operation as it was read.
#[derive(Default)]
struct Asked {
    is_kv: bool,
    /// It is one on a node, a service or a check.
    is_other: bool,
    verb: Arc<str>,
    key: Arc<str>,
    value: Bytes,
    flags: u64,
    index: u64,
    session: Arc<str>,
}

impl Asked {
    fn writes(&self) -> bool {
        matches!(
            &*self.verb,
            "set" | "cas" | "lock" | "unlock" | "delete" | "delete-tree" | "delete-cas"
        )
    }
}

fn decode(body: &[u8]) -> Decoded<Vec<Asked>> {
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

fn decode_one(value: &Value) -> Decoded<Asked> {
    let mut asked = Asked::default();
    each_field(json::fields(value, "api.TxnOp")?, |key, given, value| {
        match key {
            "kv" if value.is_null() => {}
            "kv" => {
                asked.is_kv = true;
                let fields = json::object(value, "TxnOp.KV", "api.KVTxnOp")?;
                each_field(fields, |key, given, value| {
                    decode_field(&mut asked, key, given, value)
                })?;
            }
            "node" | "service" | "check" => asked.is_other = !value.is_null(),
            _ => return Err(json::unknown_field(given)),
        }
        Ok(())
    })?;
    Ok(asked)
}

fn decode_field(asked: &mut Asked, key: &str, given: &str, value: &Value) -> Decoded<()> {
    match key {
        "verb" => {
            if !(value.is_string() || value.is_null()) {
                return Err(json::mismatch(value, "KVTxnOp.KV.Verb", "api.KVOp"));
            }
            json::text(value, "KVTxnOp.KV.Verb", &mut asked.verb)
        }
        "key" => json::text(value, "KVTxnOp.KV.Key", &mut asked.key),
        "value" => {
            if !(value.is_string() || value.is_null()) {
                return Err(json::mismatch(value, "KVTxnOp.KV.Value", "[]uint8"));
            }
            let text = name(value, "KVTxnOp.KV.Value")?;
            asked.value = base64(&text)?;
            Ok(())
        }
        "flags" => json::uint(value, "KVTxnOp.KV.Flags", &mut asked.flags),
        "index" => json::uint(value, "KVTxnOp.KV.Index", &mut asked.index),
        "session" => json::text(value, "KVTxnOp.KV.Session", &mut asked.session),
        "namespace" => Ok(()),
        _ => Err(json::unknown_field(given)),
    }
}

fn base64(text: &str) -> Decoded<Bytes> {
    match STANDARD.decode(text) {
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(_) => {
            let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
            let wrong = text.trim_end_matches('=').bytes().position(|byte| !alphabet(byte));
            let place = wrong.unwrap_or(text.len() / 4 * 4);
            Err(format!("illegal base64 data at input byte {place}"))
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
    fn new(call: &Call<'_>, asked: &[Asked]) -> Self {
        let mut ops = Self { sound: Vec::new(), places: Vec::new(), errors: Vec::new() };
        let known = |asked: &Asked| {
            asked.writes()
                || matches!(
                    &*asked.verb,
                    "get" | "get-tree" | "check-index" | "check-session" | "check-not-exists"
                )
        };
        // Keys are looked at before anything is tried.
        for (place, asked) in (0_u32..).zip(asked) {
            if asked.key.is_empty() && known(asked) && &*asked.verb != "delete-tree" {
                ops.errors.push(TxnError { op: place, text: "Must provide key".into() });
            }
        }
        if !ops.errors.is_empty() {
            return ops;
        }
        for (place, asked) in (0_u32..).zip(asked) {
            match typed(call, asked) {
                Ok(op) => {
                    ops.sound.push(op);
                    ops.places.push(place);
                }
                Err(text) => ops.errors.push(TxnError { op: place, text }),
            }
        }
        ops
    }
}

/// The operation, or what is wrong with it.
fn typed(call: &Call<'_>, asked: &Asked) -> Result<TxnOp, String> {
    let key = asked.key.clone();
    let session = asked.session.parse::<SessionId>();
    let write = |verb| {
        let (key, value) = (asked.key.clone(), asked.value.clone());
        Ok(TxnOp::Write(KvOp { verb, key, value, flags: asked.flags }))
    };
    match &*asked.verb {
        "set" => write(KvVerb::Set),
        "cas" => write(KvVerb::Cas(asked.index)),
        "delete" => write(KvVerb::Delete),
        "delete-cas" => write(KvVerb::DeleteCas(asked.index)),
        "delete-tree" => write(KvVerb::DeleteTree),
        "lock" => match session {
            Ok(session) => write(KvVerb::Acquire(session)),
            Err(_) if asked.session.is_empty() => Err("missing session".into()),
            Err(_) => Err(error::SESSION_LOOKUP.into()),
        },
        "unlock" => match session {
            Ok(session) => write(KvVerb::Release(session)),
            Err(_) if asked.session.is_empty() => Err("missing session".into()),
            Err(_) => Err(format!(
                "failed to unlock key {key:?}, lock isn't held, or is held by another session"
            )),
        },
        "get" => Ok(TxnOp::Get(key)),
        "get-tree" => Ok(TxnOp::GetTree(key)),
        "check-index" => Ok(TxnOp::CheckIndex(key, asked.index)),
        "check-not-exists" => Ok(TxnOp::CheckNotExists(key)),
        "check-session" => session
            .map(|session| TxnOp::CheckSession(key.clone(), session))
            .map_err(|_| no_such_holder(call, &key, &asked.session)),
        verb => Err(format!("unknown KV verb {verb:?}")),
    }
}

/// `check-session` with something that cannot be a session's id.
fn no_such_holder(call: &Call<'_>, key: &str, wanted: &str) -> String {
    let Some(pair) = call.view.catalog.kv_get(key) else {
        return format!("failed to check session, key {key:?} doesn't exist");
    };
    let holder = pair.session.map(|session| format!("{session}")).unwrap_or_default();
    format!("failed session check for key {key:?}, current session {holder:?} != {wanted:?}")
}
