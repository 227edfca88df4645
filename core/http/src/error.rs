//! Every error text, and the responses that carry them.
//!
//! Two layers speak: the HTTP layer of the agent that was asked (mostly 400), and the server that
//! owns the answer (500, with a prefix for each hop in between).

use crate::respond;
use crate::route;
use crate::{Request, Response, View};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// No server leads and the hold time is over.
pub const NO_LEADER: &str = "No cluster leader";
/// A write was proposed and its fate is unknown, or a confirmation did not reach a quorum.
pub const LEADERSHIP_LOST: &str = "leadership lost while committing log";
/// A client agent knows no server.
pub const NO_SERVERS: &str = "No known Consul servers";
/// `?dc=` names a datacenter that was never seen.
pub const NO_PATH_TO_DATACENTER: &str = "No path to datacenter";
/// What each hop between agents puts before an error's text.
pub const RPC_PREFIX: &str = "rpc error making call: ";
/// The server that was asked did not answer in time.
pub const RPC_EOF: &str = "rpc error making call: EOF";
/// The connection to the server that was asked broke before it answered.
pub const RPC_CLOSED: &str = "rpc error making call: stream closed";

pub(crate) const BLOCKED_ENDPOINT: &str = "Endpoint is blocked by agent configuration";
pub(crate) const INVALID_INDEX: &str = "Invalid index";
pub(crate) const INVALID_WAIT: &str = "Invalid wait time";
pub(crate) const INVALID_CACHE_CONTROL: &str = "Invalid Cache-Control header.";
pub(crate) const STALE_AND_CONSISTENT: &str =
    "Cannot specify ?stale with ?consistent, conflicting semantics.";
pub(crate) const CACHED_AND_CONSISTENT: &str =
    "Cannot specify ?cached with ?consistent, conflicting semantics.";
pub(crate) const INVALID_PASSING: &str = "Invalid value for ?passing";
pub(crate) const MISSING_SERVICE_NAME: &str = "Missing service name";
pub(crate) const MISSING_GATEWAY_NAME: &str = "Missing gateway name";
pub(crate) const MISSING_NODE_NAME: &str = "Missing node name";
pub(crate) const MISSING_CHECK_STATE: &str = "Missing check state";
pub(crate) const MISSING_KEY_NAME: &str = "Missing key name";
pub(crate) const MISSING_SESSION: &str = "Missing session";
pub(crate) const SESSION_LOOKUP: &str =
    "failed session lookup: index error: UUID must be 36 characters";
pub(crate) const NO_SEGMENTS: &str = "Network segments are not supported in this version of Consul";

/// No connection to the server that was to be asked: nothing left this agent.
#[must_use]
pub fn undialled(to: SocketAddr) -> String {
    format!(
        "rpc error getting client: failed to get conn: dial tcp {to}: connect: connection refused"
    )
}

/// An error of the HTTP layer: this status, this text.
#[must_use]
pub fn plain(view: &View, status: u16, text: &str) -> Response {
    respond::text(view, status, text)
}

/// An error of the server layer (500). Families that carry index headers carry them here too.
#[must_use]
pub fn server(view: &View, request: &Request, text: &str) -> Response {
    let mut response = respond::text(view, 500, text);
    if route::family(&request.path).has_error_meta() {
        respond::push_meta(&mut response.headers, 1, false, 0, None);
    }
    response
}

/// `No cluster leader`.
#[must_use]
pub fn no_leader(view: &View, request: &Request) -> Response {
    server(view, request, NO_LEADER)
}

/// The leader lost its office while it worked on this: whether a write happened is unknown.
#[must_use]
pub fn leadership_lost(view: &View, request: &Request) -> Response {
    server(view, request, LEADERSHIP_LOST)
}

/// The answer of another server as this agent passes it on: each hop prefixes errors once, and
/// what this agent says of every answer is said of it.
#[must_use]
pub fn forwarded(view: &View, mut response: Response) -> Response {
    let translates = view.agent.translate_wan_addrs;
    if translates && response.header(respond::TRANSLATES).is_none() {
        response.headers.push((Cow::Borrowed(respond::TRANSLATES), "true".into()));
    }
    if response.status != 500 {
        return response;
    }
    let mut body = Vec::with_capacity(RPC_PREFIX.len() + response.body.len());
    body.extend_from_slice(RPC_PREFIX.as_bytes());
    body.extend_from_slice(&response.body);
    Response { body: Bytes::from(body), ..response }
}

/// Body larger than a write may be (413).
pub(crate) fn too_large(view: &View, size: usize, max: usize, option: &str) -> Response {
    respond::text(view, 413, &too_large_text(size, max, option))
}

fn too_large_text(size: usize, max: usize, option: &str) -> String {
    format!(
        "Request body({size} bytes) too large, max size: {max} bytes. \
         See https://www.consul.io/docs/agent/options.html#{option}."
    )
}
