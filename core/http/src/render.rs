//! What was done becomes an answer.

use crate::endpoint::render_txn;
use crate::json::Json;
use crate::params::Params;
use crate::{
    KeyAction, KeyringAnswer, Reply, Request, Response, UserEvent, View, error, respond, wan,
};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use proconsul_catalog::Outcome;
use proconsul_checks::LocalError;
use proconsul_types::{CatalogIndex, Instant};

/// The name under which a forwarded request carries the node it came to.
pub(crate) const ORIGIN: &str = "x-proconsul-origin";

/// The answer to a write whose outcome is known.
#[must_use]
pub fn render(reply: Reply, outcome: &Outcome, view: &View, request: &Request) -> Response {
    if let Outcome::Rejected(rejected) = outcome {
        return error::plain(view, 500, &rejected.text);
    }
    let pretty = is_pretty(view, request);
    let mut json = Json::new(pretty, 64);
    match reply {
        Reply::Empty => return respond::empty(view, 200),
        Reply::Txn => {
            let (status, body) = render_txn(pretty, outcome);
            return respond::json(view, status, body);
        }
        Reply::True => json.boolean(true),
        Reply::Answer => json.boolean(!matches!(outcome, Outcome::Answer(false))),
        Reply::SessionId => {
            json.begin_object();
            match outcome {
                Outcome::Session(id) => json.field_string("ID", &id.to_string()),
                Outcome::Done
                | Outcome::Answer(_)
                | Outcome::Txn(_)
                | Outcome::TxnFailed(_)
                | Outcome::Rejected(_) => json.field_string("ID", ""),
            }
            json.end_object();
        }
    }
    respond::json(view, 200, json.finish())
}

/// The answer to a [`LocalOp`](crate::LocalOp) or an [`OperatorOp`](crate::OperatorOp) that was
/// done, and to a restore.
#[must_use]
pub fn done(view: &View) -> Response {
    respond::empty(view, 200)
}

/// The answer to a [`LocalOp`](crate::LocalOp) that was refused.
#[must_use]
pub fn local_refused(view: &View, reason: &LocalError) -> Response {
    error::plain(view, reason.status, &reason.text)
}

/// The answer of [`HostOp::Machine`](crate::HostOp): what the host says of its machine, as JSON.
#[must_use]
pub fn machine(view: &View, told: Vec<u8>) -> Response {
    respond::json(view, 200, told)
}

/// The answer to an event that was fired.
#[must_use]
pub fn event_fired(view: &View, request: &Request, event: &UserEvent) -> Response {
    let mut json = Json::new(is_pretty(view, request), 256);
    self::event(&mut json, event);
    respond::json(view, 200, json.finish())
}

/// An event as it is shown.
pub(crate) fn event(json: &mut Json, event: &UserEvent) {
    json.begin_object();
    json.field_string("ID", &event.id);
    json.field_string("Name", &event.name);
    json.key("Payload");
    json.base64(&event.payload);
    json.field_string("NodeFilter", &event.node_filter);
    json.field_string("ServiceFilter", &event.service_filter);
    json.field_string("TagFilter", &event.tag_filter);
    json.field_signed("Version", event.version);
    json.field_unsigned("LTime", event.time.0);
    json.end_object();
}

/// The answers of all pools to a [`KeyringOp`](crate::KeyringOp): the list, nothing, or what went
/// wrong.
#[must_use]
pub fn keys_answered(
    view: &View,
    request: &Request,
    action: KeyAction,
    answers: &[KeyringAnswer],
) -> Response {
    let errors = key_errors(answers);
    if !errors.is_empty() {
        return error::plain(view, 500, &many_errors(&errors));
    }
    if action != KeyAction::List {
        return respond::empty(view, 200);
    }
    let mut json = Json::new(is_pretty(view, request), 512);
    json.begin_array();
    for answer in answers {
        json.begin_object();
        json.field_boolean("WAN", answer.wan);
        json.field_string("Datacenter", &answer.datacenter);
        json.field_string("Segment", "");
        if !answer.messages.is_empty() {
            json.key("Messages");
            json.begin_object();
            for (node, text) in &answer.messages {
                json.text_key(node);
                json.string(text);
            }
            json.end_object();
        }
        for (name, keys) in [("Keys", &answer.keys), ("PrimaryKeys", &answer.primary_keys)] {
            json.key(name);
            json.begin_object();
            for (key, count) in keys {
                json.text_key(key);
                json.unsigned(u64::from(*count));
            }
            json.end_object();
        }
        json.field_unsigned("NumNodes", u64::from(answer.members));
        json.end_object();
    }
    json.end_array();
    respond::json(view, 200, json.finish())
}

/// Each pool that failed, then each of its members that did.
fn key_errors(answers: &[KeyringAnswer]) -> Vec<String> {
    let mut errors = Vec::new();
    for answer in answers {
        let Some(text) = &answer.error else { continue };
        errors.push(match answer.wan {
            true => format!("WAN error: {text}"),
            false => format!("{} (LAN) error: {text}", answer.datacenter),
        });
        errors.extend(answer.messages.iter().map(|(node, text)| format!("{node}: {text}")));
    }
    errors
}

/// Errors as Consul lists them.
pub(crate) fn many_errors(errors: &[String]) -> String {
    let count = match errors.len() {
        1 => String::from("1 error"),
        count => format!("{count} errors"),
    };
    format!("{count} occurred:\n\t* {}\n\n", errors.join("\n\t* "))
}

fn is_pretty(view: &View, request: &Request) -> bool {
    view.agent.dev || Params::parse(&request.query).has("pretty")
}

/// A saved archive.
#[must_use]
pub fn snapshot(view: &View, now: Instant, index: CatalogIndex, archive: Bytes) -> Response {
    let mut headers = respond::headers(view, Some("application/x-gzip"));
    let (known, contact) = crate::decide::contact(view, now);
    respond::push_meta(&mut headers, index.0.max(1), known, contact, None);
    Response { status: 200, headers, body: archive }
}

/// The request as this agent passes it on to the leader: what depends on the agent that was asked
/// is pinned to it.
#[must_use]
pub fn forward(view: &View, request: &Request) -> Request {
    let mut request = request.clone();
    let facts = &*view.agent;
    let pretty = facts.dev && !Params::parse(&request.query).has("pretty");
    let mut translate = false;
    if !request.headers.iter().any(|(name, _)| name == ORIGIN) {
        translate =
            facts.translate_wan_addrs && !facts.is_in(Params::parse(&request.query).text("dc"));
        request.headers.push((ORIGIN.into(), String::from(&*facts.name)));
    }
    for word in [pretty.then_some("pretty"), translate.then_some(wan::WISH)].into_iter().flatten() {
        let separator = if request.query.is_empty() { "" } else { "&" };
        request.query.push_str(separator);
        request.query.push_str(word);
    }
    request
}
