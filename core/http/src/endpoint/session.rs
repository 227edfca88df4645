//! `/v1/session`.

use super::{Decoded, each_field, name, propose, undecodable};
use crate::decide::{Body, Call, CatalogRead, Desk, Modes, serve, standing};
use crate::json::{Json, records};
use crate::{Plan, Reply, Response, error, respond};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use proconsul_catalog::{Catalog, Command, SessionCreate, Topic};
use proconsul_checks::parse::json;
use proconsul_syntax::duration;
use proconsul_types::limits::{LOCK_DELAY_DEFAULT, SESSION_TTL_MAX, SESSION_TTL_MIN};
use proconsul_types::{CatalogIndex, Duration, Fault, Session, SessionBehavior, SessionId};
use serde_json::Value;

/// The check of gossip, on which sessions hang unless their maker says otherwise.
const SERF_HEALTH: &str = "serfHealth";

pub(super) fn one(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let text = call.required(error::MISSING_SESSION)?;
    call.own_datacenter()?;
    serve(call, desk, modes, &Sessions::One(id(call, text)?))
}

pub(super) fn of_node(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let node = call.required(error::MISSING_NODE_NAME)?;
    serve(call, desk, modes, &Sessions::OfNode(node))
}

pub(super) fn all(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    serve(call, desk, modes, &Sessions::All)
}

/// Which sessions are read.
enum Sessions<'a> {
    All,
    OfNode(&'a str),
    One(Option<SessionId>),
}

impl CatalogRead for Sessions<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        catalog.sessions_index()
    }

    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Sessions]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let catalog = &call.view.catalog;
        let mut json = Json::new(call.is_pretty(), 512);
        json.begin_array();
        match self {
            Self::All => {
                for session in catalog.sessions() {
                    records::session(&mut json, session);
                }
            }
            Self::OfNode(node) => {
                for session in catalog.node_sessions(node) {
                    records::session(&mut json, session);
                }
            }
            Self::One(id) => {
                if let Some(session) = id.and_then(|id| catalog.session(id)) {
                    records::session(&mut json, session);
                }
            }
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }

    fn is_kept(&self) -> bool {
        !matches!(self, Self::One(_))
    }
}

/// The id a text names. A text of the right length that is no id names no session.
fn id(call: &Call<'_>, text: &str) -> Result<Option<SessionId>, Response> {
    if text.len() != 36 {
        return Err(call.refused(error::SESSION_LOOKUP));
    }
    Ok(text.parse().ok())
}

/// As [`id`], for writes: their refusals carry no index headers.
fn id_of_write(call: &Call<'_>, text: &str) -> Result<Option<SessionId>, Response> {
    if text.len() != 36 {
        return Err(error::plain(call.view, 500, error::SESSION_LOOKUP));
    }
    Ok(text.parse().ok())
}

fn own_datacenter(call: &Call<'_>) -> Result<(), Response> {
    let refused = |_| error::plain(call.view, 500, error::NO_PATH_TO_DATACENTER);
    call.own_datacenter().map_err(refused)
}

pub(super) fn destroy(call: &Call<'_>) -> Result<Plan, Response> {
    let text = call.required(error::MISSING_SESSION)?;
    own_datacenter(call)?;
    match id_of_write(call, text)? {
        Some(id) => Ok(propose(call, Command::SessionDestroy(id), Reply::True)),
        None => {
            let mut json = Json::new(call.is_pretty(), 8);
            json.boolean(true);
            Ok(Plan::Answer(respond::json(call.view, 200, json.finish())))
        }
    }
}

pub(super) fn renew(call: &Call<'_>, desk: &Desk<'_>) -> Result<Plan, Response> {
    let text = call.required(error::MISSING_SESSION)?;
    own_datacenter(call)?;
    let id = id_of_write(call, text)?;
    // The leader alone keeps clocks. One that may have been replaced already, after a transfer for
    // instance, would promise time in the name of another.
    if let (_, Some(plan)) = standing(call, desk, Modes::LED) {
        let blind = call.leads() && call.view.agent.planted.is(Fault::RenewalWithoutLease);
        if !blind {
            return Ok(plan);
        }
    }
    let Some(session) = id.and_then(|id| call.view.catalog.session(id)) else {
        let text = format!("Session id '{text}' not found");
        return Err(error::plain(call.view, 404, &text));
    };
    Ok(Plan::Renew(session.id, shown(call, session)))
}

fn shown(call: &Call<'_>, session: &Session) -> Response {
    let mut json = Json::new(call.is_pretty(), 300);
    json.begin_array();
    records::session(&mut json, session);
    json.end_array();
    respond::json(call.view, 200, json.finish())
}

pub(super) fn create(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let mut asked = Asked::new(call);
    if !call.request.body.is_empty() {
        let value = json::decode(&call.request.body).map_err(|e| undecodable(call, &e))?;
        asked.read(&value).map_err(|reason| undecodable(call, &reason))?;
    }
    own_datacenter(call)?;
    if !call.leads() {
        return Ok(Plan::Leader);
    }
    let ttl_min = call.view.agent.session_ttl_min.unwrap_or(SESSION_TTL_MIN);
    let session = asked.validate(ttl_min).map_err(|text| error::plain(call.view, 500, &text))?;
    let id = SessionId::from_bits(desk.draw());
    let command = Command::SessionCreate(Box::new(SessionCreate { id, ..session }));
    Ok(Plan::Write(command, Reply::SessionId))
}

/// The body of a creation, as it was read.
struct Asked {
    node: Arc<str>,
    name: Arc<str>,
    lock_delay: Duration,
    behavior: Arc<str>,
    ttl: Arc<str>,
    node_checks: Vec<Arc<str>>,
    service_checks: Vec<Arc<str>>,
    /// The old form of both.
    checks: Option<Vec<Arc<str>>>,
}

impl Asked {
    fn new(call: &Call<'_>) -> Self {
        Self {
            node: call.origin_node(),
            name: Arc::from(""),
            lock_delay: LOCK_DELAY_DEFAULT,
            behavior: Arc::from("release"),
            ttl: Arc::from(""),
            node_checks: vec![Arc::from(SERF_HEALTH)],
            service_checks: Vec::new(),
            checks: None,
        }
    }

    /// Unknown fields are ignored here, unlike elsewhere.
    fn read(&mut self, value: &Value) -> Decoded<()> {
        let target = "struct { LockDelay interface {}; *structs.Alias }";
        each_field(json::fields(value, target)?, |key, _, value| {
            match key {
                "node" => json::text(value, ".Node", &mut self.node)?,
                "name" => json::text(value, ".Name", &mut self.name)?,
                "ttl" => json::text(value, ".TTL", &mut self.ttl)?,
                "behavior" => {
                    if !(value.is_string() || value.is_null()) {
                        return Err(json::mismatch(value, ".Behavior", "structs.SessionBehavior"));
                    }
                    json::text(value, ".Behavior", &mut self.behavior)?;
                }
                "lockdelay" => self.lock_delay = lock_delay(value)?.unwrap_or(self.lock_delay),
                "nodechecks" => {
                    let list = json::array(value, ".NodeChecks", "[]string")?;
                    let read: Decoded<_> =
                        list.iter().map(|value| name(value, ".NodeChecks")).collect();
                    self.node_checks = read?;
                }
                "checks" => {
                    let list = json::array(value, ".Checks", "[]types.CheckID")?;
                    let read: Decoded<_> =
                        list.iter().map(|value| name(value, ".Checks")).collect();
                    self.checks = Some(read?);
                }
                "servicechecks" => {
                    let list = json::array(value, ".ServiceChecks", "[]structs.ServiceCheck")?;
                    let read: Decoded<_> = list.iter().map(service_check).collect();
                    self.service_checks = read?;
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// What a server checks before it proposes; the catalog checks the rest.
    fn validate(self, ttl_min: Duration) -> Result<SessionCreate, String> {
        if self.node.is_empty() {
            return Err("Must provide Node".into());
        }
        let behavior = match &*self.behavior {
            "" | "release" => SessionBehavior::Release,
            "delete" => SessionBehavior::Delete,
            other => return Err(format!("Invalid Behavior setting '{other}'")),
        };
        if !self.ttl.is_empty() {
            let ttl = duration::parse_unsigned(&self.ttl)
                .map_err(|reason| format!("Session TTL '{}' invalid: {reason}", self.ttl))?;
            if !ttl.is_zero() && !(ttl_min..=SESSION_TTL_MAX).contains(&ttl) {
                let nanos = ttl.as_nanos();
                let least = duration::format_duration(ttl_min);
                return Err(format!(
                    "Invalid Session TTL '{nanos}', must be between [{least}=24h0m0s]"
                ));
            }
        }
        let mut node_checks = self.node_checks;
        match self.checks {
            Some(checks) if checks.is_empty() => node_checks.clear(),
            Some(checks) => {
                for check in checks {
                    if !node_checks.contains(&check) {
                        node_checks.push(check);
                    }
                }
            }
            None => {}
        }
        Ok(SessionCreate {
            id: SessionId::from_bits(0),
            name: self.name,
            node: self.node,
            lock_delay: self.lock_delay,
            behavior,
            ttl: self.ttl,
            node_checks: node_checks.into(),
            service_checks: self.service_checks.into(),
        })
    }
}

fn service_check(value: &Value) -> Decoded<Arc<str>> {
    let mut id = Arc::from("");
    let fields = json::object(value, ".ServiceChecks", "structs.ServiceCheck")?;
    each_field(fields, |key, _, value| match key {
        "id" => json::text(value, ".ServiceChecks.ID", &mut id),
        _ => Ok(()),
    })?;
    Ok(id)
}

/// A lock-delay. What is below 1,000 ns was meant in seconds.
fn lock_delay(value: &Value) -> Decoded<Option<Duration>> {
    let mut read = None;
    json::duration(value, &mut read)?;
    let scaled =
        |delay: Duration| if delay.as_nanos() < 1000 { delay * 1_000_000_000 } else { delay };
    Ok(read.map(scaled))
}
