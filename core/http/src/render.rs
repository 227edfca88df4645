//! What was done becomes an answer.

use crate::endpoint::render_txn;
use crate::json::Json;
use crate::params::Params;
use crate::{Reply, Request, Response, View, error, respond};
use alloc::string::ToString;
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
    let pretty = view.agent.dev || Params::parse(&request.query).has("pretty");
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
/// done, and
/// to a restore.
#[must_use]
pub fn done(view: &View) -> Response {
    respond::empty(view, 200)
}

/// The answer to a [`LocalOp`](crate::LocalOp) that was refused.
#[must_use]
pub fn local_refused(view: &View, reason: &LocalError) -> Response {
    error::plain(view, reason.status, &reason.text)
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
    if !request.headers.iter().any(|(name, _)| name == ORIGIN) {
        request.headers.push((ORIGIN.into(), view.agent.name.to_string()));
    }
    if view.agent.dev && !Params::parse(&request.query).has("pretty") {
        let separator = if request.query.is_empty() { "" } else { "&" };
        request.query.push_str(separator);
        request.query.push_str("pretty");
    }
    request
}
