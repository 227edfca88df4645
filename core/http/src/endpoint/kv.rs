//! `/v1/kv`.

use super::propose;
use crate::decide::{Body, Call, CatalogRead, Desk, Modes, NotANumber, serve, unsigned};
use crate::json::{Json, records};
use crate::{Method, Plan, Reply, Response, error, respond};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::{Catalog, Command, KvOp, KvVerb, Topic};
use proconsul_types::{CatalogIndex, SessionId};

pub(super) fn decide(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    match call.request.method {
        Method::Get => get(call, desk),
        Method::Put => put(call),
        Method::Delete => delete(call),
        Method::Post | Method::Head | Method::Options | Method::Other(_) => {
            Ok(Plan::Answer(respond::unknown_path()))
        }
    }
}

fn get(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let key = &*call.tail;
    if call.params.has("keys") {
        let separator = call.params.text("separator");
        return serve(call, desk, modes, &Keys { prefix: key, separator });
    }
    if call.params.has("recurse") {
        return serve(call, desk, modes, &List { prefix: key });
    }
    let key = call.required(error::MISSING_KEY_NAME)?;
    serve(call, desk, modes, &One { key, raw: call.params.has("raw") })
}

/// One key.
struct One<'a> {
    key: &'a str,
    raw: bool,
}

impl CatalogRead for One<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        catalog.kv_key_index(self.key)
    }

    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Key(self.key.into())]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let Some(pair) = call.view.catalog.kv_get(self.key) else { return Ok(Body::Missing) };
        if self.raw {
            return Ok(Body::Raw(Bytes::copy_from_slice(&pair.value)));
        }
        let room = 160 + self.key.len() + pair.value.len() / 3 * 4;
        let mut json = Json::new(call.is_pretty(), room);
        json.begin_array();
        records::pair(&mut json, pair, true);
        json.end_array();
        Ok(Body::Json(json.finish()))
    }

    fn is_kept(&self) -> bool {
        false
    }
}

/// Everything below a prefix.
struct List<'a> {
    prefix: &'a str,
}

impl CatalogRead for List<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        catalog.kv_prefix_index(self.prefix)
    }

    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Prefix(self.prefix.into())]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let mut pairs = call.view.catalog.kv_prefix(self.prefix).peekable();
        if pairs.peek().is_none() {
            return Ok(Body::Missing);
        }
        let mut json = Json::new(call.is_pretty(), 1024);
        json.begin_array();
        for pair in pairs {
            records::pair(&mut json, pair, true);
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }
}

/// The names below a prefix, cut at a separator.
struct Keys<'a> {
    prefix: &'a str,
    separator: &'a str,
}

impl CatalogRead for Keys<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        catalog.kv_keys_index(self.prefix)
    }

    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Prefix(self.prefix.into())]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let keys = call.view.catalog.kv_keys(self.prefix, self.separator);
        if keys.is_empty() && !self.prefix.is_empty() {
            return Ok(Body::Missing);
        }
        let mut json = Json::new(call.is_pretty(), 1024);
        json.begin_array();
        for key in &keys {
            json.string(key);
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }
}

fn put(call: &Call<'_>) -> Result<Plan, Response> {
    let key = call.required(error::MISSING_KEY_NAME)?;
    refuse_conflicts(call, &["cas", "acquire", "release"])?;
    let mut flags = 0;
    if let Some(text) = call.params.get("flags") {
        flags = number(call, text)?;
    }
    let mut verb = KvVerb::Set;
    if let Some(text) = call.params.get("cas") {
        verb = KvVerb::Cas(number(call, text)?);
    }
    let max = call.view.agent.kv_value_bytes_max;
    if call.request.body.len() > max {
        let size = call.request.body.len();
        return Err(error::too_large(call.view, size, max, "kv_max_value_size"));
    }
    if let Some(text) = call.params.get("acquire") {
        let session = text.parse::<SessionId>();
        verb = KvVerb::Acquire(session.map_err(|_| lookup(call, text))?);
    }
    if let Some(text) = call.params.get("release") {
        // A text that names no session holds nothing.
        let Ok(session) = text.parse::<SessionId>() else { return Ok(refuse_release(call)) };
        verb = KvVerb::Release(session);
    }
    call.own_datacenter()?;
    if !call.leads() {
        return Ok(Plan::Leader); // before the value is copied
    }
    let key: Arc<str> = key.into();
    let op = KvOp { verb, key, value: Arc::from(&*call.request.body), flags };
    Ok(propose(call, Command::Kv(op), Reply::Answer))
}

/// `?acquire=` of something that is no session id.
fn lookup(call: &Call<'_>, text: &str) -> Response {
    if text.len() == 36 {
        return call.refused(&format!("invalid session \"{text}\""));
    }
    call.refused(if text.is_empty() { "missing session" } else { error::SESSION_LOOKUP })
}

fn refuse_release(call: &Call<'_>) -> Plan {
    let mut json = Json::new(call.is_pretty(), 8);
    json.boolean(false);
    Plan::Answer(respond::json(call.view, 200, json.finish()))
}

fn delete(call: &Call<'_>) -> Result<Plan, Response> {
    let recurse = call.params.has("recurse");
    if !recurse {
        call.required(error::MISSING_KEY_NAME)?;
    }
    refuse_conflicts(call, &["recurse", "cas"])?;
    let mut verb = if recurse { KvVerb::DeleteTree } else { KvVerb::Delete };
    if let Some(text) = call.params.get("cas") {
        verb = KvVerb::DeleteCas(number(call, text)?);
    }
    call.own_datacenter()?;
    let key: Arc<str> = (*call.tail).into();
    let op = KvOp { verb, key, value: Arc::default(), flags: 0 };
    Ok(propose(call, Command::Kv(op), Reply::Answer))
}

/// At most one of these parameters may be given.
fn refuse_conflicts(call: &Call<'_>, names: &[&str]) -> Result<(), Response> {
    if names.iter().filter(|name| call.params.has(name)).count() < 2 {
        return Ok(());
    }
    Err(call.bad(&format!("Conflicting flags: {}", call.params.encode())))
}

fn number(call: &Call<'_>, text: &str) -> Result<u64, Response> {
    unsigned(text).map_err(|reason| {
        let reason = match reason {
            NotANumber::Syntax => "invalid syntax",
            NotANumber::Range => "value out of range",
        };
        let text: String = format!("strconv.ParseUint: parsing {text:?}: {reason}");
        call.refused(&text)
    })
}
