//! Paths and methods: which endpoint a request is for, or the answer that needs none.

use crate::params::{decode, percent_is_sound};
use crate::path::{clean, is_plain, is_unprintable, needs_cleaning};
use crate::{Method, Request, Response, View, error, respond};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

/// Everything the API can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Leader,
    Peers,
    Kv,
    Txn,
    SessionCreate,
    SessionDestroy,
    SessionRenew,
    SessionOne,
    SessionNode,
    SessionList,
    Register,
    Deregister,
    Datacenters,
    Nodes,
    Services,
    Service,
    Connect,
    Node,
    NodeServices,
    GatewayServices,
    HealthNode,
    HealthChecks,
    HealthService,
    HealthConnect,
    HealthIngress,
    HealthState,
    AgentSelf,
    AgentHost,
    AgentMonitor,
    AgentMembers,
    AgentMetrics,
    AgentJoin,
    AgentServices,
    AgentService,
    AgentChecks,
    AgentHealthById,
    AgentHealthByName,
    AgentServiceRegister,
    AgentServiceDeregister,
    AgentServiceMaintenance,
    AgentMaintenance,
    AgentCheckRegister,
    AgentCheckDeregister,
    AgentCheckPass,
    AgentCheckWarn,
    AgentCheckFail,
    AgentCheckUpdate,
    AgentReload,
    AgentLeave,
    AgentForceLeave,
    AgentToken,
    Snapshot,
    RaftConfiguration,
    RaftPeer,
    RaftTransfer,
    CoordinateDatacenters,
    CoordinateNodes,
    CoordinateNode,
    CoordinateUpdate,
    EventFire,
    EventList,
    AutopilotConfiguration,
    AutopilotHealth,
    Keyring,
}

/// Families differ in the headers of their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Agent,
    Catalog,
    Coordinate,
    Event,
    Health,
    Kv,
    Operator,
    Session,
    Snapshot,
    Status,
    Txn,
    /// None of ours.
    Other,
}

impl Family {
    /// Whether reads show `X-Consul-Effective-Consistency`.
    pub(crate) fn has_effective_consistency(self) -> bool {
        matches!(self, Self::Catalog | Self::Health)
    }

    /// Whether a failed read still carries index headers.
    pub(crate) fn has_error_meta(self) -> bool {
        matches!(self, Self::Catalog | Self::Coordinate | Self::Health | Self::Session)
    }
}

/// The family a path belongs to.
pub(crate) fn family(path: &str) -> Family {
    family_below(path.strip_prefix("/v1/").unwrap_or(""))
}

fn family_below(rest: &str) -> Family {
    let end = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
    match &rest[..end] {
        "agent" => Family::Agent,
        "catalog" => Family::Catalog,
        "coordinate" => Family::Coordinate,
        "event" => Family::Event,
        "health" => Family::Health,
        "kv" => Family::Kv,
        "operator" => Family::Operator,
        "session" => Family::Session,
        "snapshot" => Family::Snapshot,
        "status" => Family::Status,
        "txn" => Family::Txn,
        _ => Family::Other,
    }
}

const GET: &[&str] = &["GET"];
const PUT: &[&str] = &["PUT"];

struct Route {
    /// Below `/v1/`; one that ends in `/` takes everything below it.
    pattern: &'static str,
    methods: &'static [&'static str],
    endpoint: Endpoint,
}

const fn route(
    pattern: &'static str,
    methods: &'static [&'static str],
    endpoint: Endpoint,
) -> Route {
    Route { pattern, methods, endpoint }
}

/// Longer patterns of one prefix stand before shorter ones.
const ROUTES: &[Route] = &[
    route("kv/", &["GET", "PUT", "DELETE"], Endpoint::Kv),
    route("health/service/", GET, Endpoint::HealthService),
    route("health/connect/", GET, Endpoint::HealthConnect),
    route("health/ingress/", GET, Endpoint::HealthIngress),
    route("health/checks/", GET, Endpoint::HealthChecks),
    route("health/state/", GET, Endpoint::HealthState),
    route("health/node/", GET, Endpoint::HealthNode),
    route("catalog/register", PUT, Endpoint::Register),
    route("catalog/deregister", PUT, Endpoint::Deregister),
    route("catalog/datacenters", GET, Endpoint::Datacenters),
    route("catalog/nodes", GET, Endpoint::Nodes),
    route("catalog/services", GET, Endpoint::Services),
    route("catalog/service/", GET, Endpoint::Service),
    route("catalog/connect/", GET, Endpoint::Connect),
    route("catalog/node-services/", GET, Endpoint::NodeServices),
    route("catalog/gateway-services/", GET, Endpoint::GatewayServices),
    route("catalog/node/", GET, Endpoint::Node),
    route("session/create", PUT, Endpoint::SessionCreate),
    route("session/destroy/", PUT, Endpoint::SessionDestroy),
    route("session/renew/", PUT, Endpoint::SessionRenew),
    route("session/info/", GET, Endpoint::SessionOne),
    route("session/node/", GET, Endpoint::SessionNode),
    route("session/list", GET, Endpoint::SessionList),
    route("agent/self", GET, Endpoint::AgentSelf),
    route("agent/host", GET, Endpoint::AgentHost),
    route("agent/monitor", GET, Endpoint::AgentMonitor),
    route("agent/members", GET, Endpoint::AgentMembers),
    route("agent/metrics", GET, Endpoint::AgentMetrics),
    route("agent/join/", PUT, Endpoint::AgentJoin),
    route("agent/services", GET, Endpoint::AgentServices),
    route("agent/service/register", PUT, Endpoint::AgentServiceRegister),
    route("agent/service/deregister/", PUT, Endpoint::AgentServiceDeregister),
    route("agent/service/maintenance/", PUT, Endpoint::AgentServiceMaintenance),
    route("agent/service/", GET, Endpoint::AgentService),
    route("agent/checks", GET, Endpoint::AgentChecks),
    route("agent/check/register", PUT, Endpoint::AgentCheckRegister),
    route("agent/check/deregister/", PUT, Endpoint::AgentCheckDeregister),
    route("agent/check/pass/", PUT, Endpoint::AgentCheckPass),
    route("agent/check/warn/", PUT, Endpoint::AgentCheckWarn),
    route("agent/check/fail/", PUT, Endpoint::AgentCheckFail),
    route("agent/check/update/", PUT, Endpoint::AgentCheckUpdate),
    route("agent/health/service/id/", GET, Endpoint::AgentHealthById),
    route("agent/health/service/name/", GET, Endpoint::AgentHealthByName),
    route("agent/maintenance", PUT, Endpoint::AgentMaintenance),
    route("agent/reload", PUT, Endpoint::AgentReload),
    route("agent/leave", PUT, Endpoint::AgentLeave),
    route("agent/force-leave/", PUT, Endpoint::AgentForceLeave),
    route("agent/token/", PUT, Endpoint::AgentToken),
    route("txn", PUT, Endpoint::Txn),
    route("status/leader", GET, Endpoint::Leader),
    route("status/peers", GET, Endpoint::Peers),
    route("snapshot", &["GET", "PUT"], Endpoint::Snapshot),
    route("coordinate/datacenters", GET, Endpoint::CoordinateDatacenters),
    route("coordinate/nodes", GET, Endpoint::CoordinateNodes),
    route("coordinate/node/", GET, Endpoint::CoordinateNode),
    route("coordinate/update", PUT, Endpoint::CoordinateUpdate),
    route("event/fire/", PUT, Endpoint::EventFire),
    route("event/list", GET, Endpoint::EventList),
    route("operator/autopilot/configuration", &["GET", "PUT"], Endpoint::AutopilotConfiguration),
    route("operator/autopilot/health", GET, Endpoint::AutopilotHealth),
    route("operator/keyring", &["GET", "POST", "PUT", "DELETE"], Endpoint::Keyring),
    route("operator/raft/configuration", GET, Endpoint::RaftConfiguration),
    route("operator/raft/peer", &["DELETE"], Endpoint::RaftPeer),
    route("operator/raft/transfer-leader", &["POST", "PUT"], Endpoint::RaftTransfer),
];

/// Finds the endpoint of a request, its family, and what its path names below the endpoint's own
/// part. All three go by the decoded path.
pub(crate) fn find<'a>(
    view: &View,
    request: &'a Request,
) -> Result<(Endpoint, Family, Cow<'a, str>), Response> {
    let path =
        if is_plain(&request.path) { Cow::Borrowed(&*request.path) } else { examined(request)? };
    if path == "/" {
        return Err(root(view, request));
    }
    let Some(below) = path.strip_prefix("/v1/") else {
        return Err(respond::unknown_path());
    };
    let first = below.as_bytes().first();
    let hit =
        ROUTES.iter().filter(|route| route.pattern.as_bytes().first() == first).find(|route| {
            below
                .strip_prefix(route.pattern)
                .is_some_and(|tail| tail.is_empty() || route.pattern.ends_with('/'))
        });
    let Some(hit) = hit else {
        let is_folder = ROUTES.iter().any(|route| route.pattern.strip_suffix('/') == Some(below));
        return Err(if is_folder {
            moved(request, &format!("{path}/"))
        } else {
            respond::unknown_path()
        });
    };
    if view.agent.block_endpoints.iter().any(|start| path.starts_with(start.as_str())) {
        return Err(respond::text(view, 403, error::BLOCKED_ENDPOINT));
    }
    check_method(view, request, hit)?;
    let start = "/v1/".len() + hit.pattern.len();
    let tail = match path {
        Cow::Borrowed(path) => Cow::Borrowed(&path[start..]),
        Cow::Owned(path) => Cow::Owned(path[start..].to_string()),
    };
    Ok((hit.endpoint, family_below(hit.pattern), tail))
}

/// The decoded path, if it is one that can be asked for.
fn examined(request: &Request) -> Result<Cow<'_, str>, Response> {
    if !percent_is_sound(&request.path) {
        return Err(bad_request());
    }
    let Some(path) = decode(&request.path, false) else {
        // Keys and names are UTF-8 here; Go would take any bytes.
        return Err(bad_request());
    };
    if path.chars().any(is_unprintable) {
        return Err(Response { status: 400, headers: Vec::new(), body: Bytes::new() });
    }
    if needs_cleaning(&path) {
        return Err(moved(request, &clean(&path)));
    }
    Ok(path)
}

/// Whether a path, percent-encoded as sent, is where snapshots come and go.
#[must_use]
pub fn is_snapshot(path: &str) -> bool {
    decode(path, false).is_some_and(|path| path == "/v1/snapshot")
}

fn check_method(view: &View, request: &Request, route: &Route) -> Result<(), Response> {
    let name = request.method.name();
    if route.methods.contains(&name) {
        return Ok(());
    }
    let mut allow = String::from("OPTIONS");
    for method in route.methods {
        allow.push(',');
        allow.push_str(method);
    }
    let mut response = if request.method == Method::Options {
        respond::empty(view, 200)
    } else {
        respond::text(view, 405, &format!("method {name} not allowed"))
    };
    response.headers.insert(0, (Cow::Borrowed("Allow"), allow));
    Err(response)
}

fn bad_request() -> Response {
    let headers = [
        (Cow::Borrowed("Content-Type"), String::from("text/plain; charset=utf-8")),
        (Cow::Borrowed("Connection"), String::from("close")),
    ];
    Response { status: 400, headers: headers.into(), body: Bytes::from_static(b"400 Bad Request") }
}

fn root(view: &View, request: &Request) -> Response {
    if view.agent.ui {
        return moved(request, "/ui/");
    }
    respond::text(view, 200, "Consul Agent")
}

/// 301; the little page goes with GET alone.
fn moved(request: &Request, path: &str) -> Response {
    let mut location = escape_path(path);
    if !request.query.is_empty() && path != "/ui/" {
        location.push('?');
        location.push_str(&request.query);
    }
    let mut headers = Vec::new();
    let mut body = Bytes::new();
    if matches!(request.method, Method::Get | Method::Head) {
        headers.push((Cow::Borrowed("Content-Type"), "text/html; charset=utf-8".into()));
        let shown = escape_html(&location);
        body = Bytes::from(format!("<a href=\"{shown}\">Moved Permanently</a>.\n\n"));
    }
    headers.push((Cow::Borrowed("Location"), location));
    Response { status: 301, headers, body }
}

fn escape_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'/' | b'$' | b'&' | b'+' | b',' | b':' | b';' | b'='
            | b'@' | b'!' | b'\'' | b'(' | b')' | b'*' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_one_however_its_path_is_written() {
        assert!(is_snapshot("/v1/snapshot") && is_snapshot("/v1/sn%61pshot"));
        assert!(!is_snapshot("/v1/snapshot/") && !is_snapshot("/v1/sn%6apshot"));
    }

    #[test]
    fn no_pattern_hides_a_longer_one() {
        for (at, route) in ROUTES.iter().enumerate() {
            for later in &ROUTES[at + 1..] {
                let hidden =
                    route.pattern.ends_with('/') && later.pattern.starts_with(route.pattern);
                assert!(!hidden, "{} hides {}", route.pattern, later.pattern);
            }
        }
    }
}
