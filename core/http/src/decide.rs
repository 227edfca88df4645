//! One request, one decision: who may answer it, whether it must wait, what the answer is.

use crate::cache::{BodyKey, Stamp, effective};
use crate::params::Params;
use crate::render::ORIGIN;
use crate::route::{self, Endpoint, Family};
use crate::{BodyCache, Consistency, Method, Plan, QueryTimes, Request, Response, View, Wait};
use crate::{endpoint, error, near, respond};
use alloc::borrow::Cow;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::Cell;
use proconsul_catalog::{Catalog, Topic};
use proconsul_syntax::duration;
use proconsul_types::{CatalogIndex, Duration, Fault, Instant, Rng};

/// How long a read asks to wait for a change, if it asks for that: `unsaid` if it does not say.
/// Whoever answers adds up to a sixteenth.
#[must_use]
pub fn wait_asked(request: &Request, unsaid: Duration) -> Option<Duration> {
    if request.method != Method::Get {
        return None;
    }
    let params = Params::parse(&request.query);
    let index = unsigned(params.text("index")).unwrap_or(0);
    let wait = duration::parse_unsigned(params.text("wait")).unwrap_or(Duration::ZERO);
    (index > 0).then_some(if wait.is_zero() { unsaid } else { wait })
}

/// What the event loop lends to [`plan`].
#[derive(Debug)]
pub struct PlanContext<'a> {
    /// Draws ids of sessions and the jitter of waits.
    pub rng: &'a mut Rng,
    /// Encoded bodies, so that one change is encoded once for all who wait for it.
    pub cache: &'a mut BodyCache,
    /// A quorum has confirmed since this request came that this server leads.
    pub confirmed: bool,
    /// The blocking read has waited long enough: answer what is.
    pub expired: bool,
}

/// What a worker thread can do with a request: answer it from the published view, hand it over
/// ([`Plan::Enter`]), or have its host answer ([`Plan::Host`]). It never gives anything else.
#[must_use]
pub fn read(view: &View, now: Instant, request: &Request, cache: &mut BodyCache) -> Plan {
    let mut desk = Desk { cache, rng: None, confirmed: false, expired: false };
    decide(view, now, request, &mut desk)
}

/// What the event loop must do for a request. It never gives [`Plan::Enter`] or [`Plan::Host`].
#[must_use]
pub fn plan(view: &View, now: Instant, request: &Request, context: &mut PlanContext<'_>) -> Plan {
    let mut desk = Desk {
        cache: context.cache,
        rng: Some(context.rng),
        confirmed: context.confirmed,
        expired: context.expired,
    };
    decide(view, now, request, &mut desk)
}

/// Where a decision is made, and what lies there.
pub(crate) struct Desk<'a> {
    cache: &'a mut BodyCache,
    /// There is one in the event loop only.
    rng: Option<&'a mut Rng>,
    confirmed: bool,
    expired: bool,
}

impl<'a> Desk<'a> {
    /// Whether a worker thread is asking.
    pub(crate) fn is_worker(&self) -> bool {
        self.rng.is_none()
    }

    /// Whether a blocking read has waited long enough.
    pub(crate) fn expired(&self) -> bool {
        self.expired
    }

    /// 128 random bits. Only the event loop draws.
    pub(crate) fn draw(&mut self) -> u128 {
        let rng = self.rng.as_mut().expect("workers hand over whatever needs chance");
        rng.next_u128()
    }
}

/// One request with everything that was read from it.
pub(crate) struct Call<'a> {
    pub(crate) view: &'a View,
    pub(crate) now: Instant,
    pub(crate) request: &'a Request,
    pub(crate) endpoint: Endpoint,
    pub(crate) family: Family,
    /// What the path names below the endpoint's own part, decoded.
    pub(crate) tail: Cow<'a, str>,
    pub(crate) params: Params<'a>,
    /// The other datacenter that is meant, once the endpoint got as far as finding so.
    pub(crate) elsewhere: Cell<Option<Arc<str>>>,
}

impl Call<'_> {
    /// Whether the answer is indented.
    pub(crate) fn is_pretty(&self) -> bool {
        self.view.agent.dev || self.params.has("pretty")
    }

    /// An error of the HTTP layer.
    pub(crate) fn bad(&self, text: &str) -> Response {
        error::plain(self.view, 400, text)
    }

    /// An error of the server layer.
    pub(crate) fn refused(&self, text: &str) -> Response {
        error::server(self.view, self.request, text)
    }

    /// What the path names, which must not be empty.
    pub(crate) fn required(&self, text: &str) -> Result<&str, Response> {
        if self.tail.is_empty() { Err(self.bad(text)) } else { Ok(&self.tail) }
    }

    /// The node an unnamed node means: the agent's that the client asked.
    pub(crate) fn origin_node(&self) -> Arc<str> {
        let origin = self.request.headers.iter().find(|(name, _)| name == ORIGIN);
        origin.map_or_else(|| self.view.agent.name.clone(), |(_, name)| name.as_str().into())
    }

    /// Refuses any datacenter but our own.
    pub(crate) fn own_datacenter(&self) -> Result<(), Response> {
        self.is_own_datacenter(self.params.text("dc"))
    }

    /// Refuses this datacenter unless it is our own.
    pub(crate) fn is_own_datacenter(&self, named: &str) -> Result<(), Response> {
        if self.view.agent.is_in(named) {
            return Ok(());
        }
        self.elsewhere.set(Some(named.into()));
        Err(self.refused(error::NO_PATH_TO_DATACENTER))
    }

    /// For writes and whatever else only the leader does: go on here, or let others.
    pub(crate) fn leads(&self) -> bool {
        self.view.leadership.is_leader
    }
}

fn decide(view: &View, now: Instant, request: &Request, desk: &mut Desk<'_>) -> Plan {
    let (endpoint, family, tail) = match route::find(view, request) {
        Ok(found) => found,
        Err(response) => return Plan::Answer(response),
    };
    let params = Params::parse(&request.query);
    if !view.agent.server && !stays_here(family) {
        // A client agent knows nothing of its own: a server decides, and words the refusals.
        return if desk.is_worker() { Plan::Enter } else { Plan::Leader };
    }
    let elsewhere = Cell::new(None);
    let call = Call { view, now, request, endpoint, family, tail, params, elsewhere };
    let plan = endpoint::decide(&call, desk).unwrap_or_else(Plan::Answer);
    let Some(named) = call.elsewhere.take() else { return plan };
    if !view.agent.server {
        // Servers know the other datacenters.
        return if desk.is_worker() { Plan::Enter } else { Plan::Leader };
    }
    match view.pools.datacenters.iter().find(|known| ***known == *named) {
        Some(_) if desk.is_worker() => Plan::Enter,
        Some(known) => Plan::Elsewhere(Arc::clone(known)),
        None => plan,
    }
}

/// Whether a request concerns the agent that is asked, not the catalog.
fn stays_here(family: Family) -> bool {
    matches!(family, Family::Agent | Family::Event)
}

/// The parameters of a server read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modes {
    pub(crate) consistency: Consistency,
    max_stale: Option<Duration>,
    pub(crate) index: u64,
    wait: Duration,
}

impl Modes {
    /// What only a leader under its lease may answer, at once.
    pub(crate) const LED: Self =
        Self { consistency: Consistency::Default, max_stale: None, index: 0, wait: Duration::ZERO };

    /// Reads them, in the order in which Consul complains.
    pub(crate) fn parse(call: &Call<'_>) -> Result<Self, Response> {
        let params = &call.params;
        let mut stale = params.has("stale");
        let consistent = params.has("consistent");
        let mut max_stale = None;
        if let Some(text) = params.get("max_stale").filter(|text| !text.is_empty()) {
            let bad = || call.bad(&format!("Invalid max_stale value {text:?}"));
            max_stale = Some(duration::parse_unsigned(text).map_err(|_| bad())?);
            stale = true;
        }
        if stale && consistent {
            return Err(call.bad(error::STALE_AND_CONSISTENT));
        }
        if params.has("cached") && consistent {
            return Err(call.bad(error::CACHED_AND_CONSISTENT));
        }
        cache_control(call)?;
        let waiting = Self::parse_waiting(call)?;
        let consistency = match (stale, consistent) {
            (true, _) => Consistency::Stale,
            (false, true) => Consistency::Consistent,
            (false, false) => Consistency::Default,
        };
        Ok(Self { consistency, max_stale, ..waiting })
    }

    /// Reads index and wait alone, for what no server answers.
    pub(crate) fn parse_waiting(call: &Call<'_>) -> Result<Self, Response> {
        let mut wait = Duration::ZERO;
        if let Some(text) = call.params.get("wait").filter(|text| !text.is_empty()) {
            wait = duration::parse_unsigned(text).map_err(|_| call.bad(error::INVALID_WAIT))?;
        }
        let mut index = 0;
        if let Some(text) = call.params.get("index").filter(|text| !text.is_empty()) {
            index = unsigned(text).map_err(|_| call.bad(error::INVALID_INDEX))?;
        }
        Ok(Self { consistency: Consistency::Stale, max_stale: None, index, wait })
    }

    /// How long a waiting read waits: what was asked, within the agent's bounds, and up to a
    /// sixteenth more so that not all come back at once.
    fn patience(self, times: QueryTimes, rng: &mut Rng) -> Duration {
        let asked = if self.wait.is_zero() { times.default } else { self.wait };
        let asked = asked.min(times.max);
        (asked + rng.duration(Duration::ZERO, asked / 16)).min(times.max)
    }
}

fn cache_control(call: &Call<'_>) -> Result<(), Response> {
    let header = call.request.headers.iter().find(|(name, _)| name == "cache-control");
    let Some((_, text)) = header else { return Ok(()) };
    for directive in text.to_ascii_lowercase().split(',') {
        let directive = directive.trim();
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let takes_seconds = matches!(name, "max-age" | "stale-if-error");
        if takes_seconds && value.parse::<i64>().is_err() {
            return Err(call.bad(error::INVALID_CACHE_CONTROL));
        }
    }
    Ok(())
}

/// A decimal number as Go's `ParseUint` reads it: digits and nothing else.
pub(crate) fn unsigned(text: &str) -> Result<u64, NotANumber> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotANumber::Syntax);
    }
    text.parse().map_err(|_| NotANumber::Range)
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotANumber {
    Syntax,
    Range,
}

/// A read of the catalog: what governs it, what wakes it, what it shows.
pub(crate) trait CatalogRead {
    /// The index that governs the answer.
    fn index(&self, catalog: &Catalog) -> CatalogIndex;

    /// What may change the answer.
    fn topics(&self) -> Vec<Topic>;

    /// The answer.
    fn body(&self, call: &Call<'_>) -> Result<Body, Response>;

    /// Whether the encoded answer is worth keeping: long, asked often, changed seldom.
    fn is_kept(&self) -> bool {
        true
    }
}

/// The body of an answer.
pub(crate) enum Body {
    /// JSON, ready.
    Json(Vec<u8>),
    /// A value as it is.
    Raw(Bytes),
    /// 404 and nothing.
    Missing,
}

/// Answers a read of the catalog, or says what must happen first.
pub(crate) fn serve(
    call: &Call<'_>,
    desk: &mut Desk<'_>,
    modes: Modes,
    read: &dyn CatalogRead,
) -> Result<Plan, Response> {
    call.own_datacenter()?;
    let (consistency, elsewhere) = standing(call, desk, modes);
    if let Some(elsewhere) = elsewhere {
        return Ok(elsewhere);
    }
    let index = read.index(&call.view.catalog).max(CatalogIndex(1));
    if modes.index > 0 && index.0 <= modes.index && !desk.expired {
        return Ok(wait(call, desk, modes, read));
    }
    let effective = call.family.has_effective_consistency().then(|| effective(consistency));
    let stamp = Stamp { index, pretty: call.is_pretty() };
    // The fault: who woke up is answered from the cache with the new index on an old body.
    // Places change without the index that governs the rest.
    let is_kept = read.is_kept() && !call.params.has("near");
    let careless = modes.index > 0 && call.view.agent.planted.is(Fault::IndexNewerThanBody);
    let shown = call.params.watch_query(&call.request.query);
    let key = BodyKey { path: &call.request.path, query: &shown };
    let kept = if careless {
        desk.cache.get_of_any_age(key)
    } else if is_kept {
        desk.cache.get(key, stamp)
    } else {
        None
    };
    if let Some(body) = kept {
        let body = body.clone();
        return Ok(Plan::Answer(answer(call, index, effective, Some(respond::JSON), 200, body)));
    }
    let (content_type, status, body) = match read.body(call)? {
        Body::Json(json) => {
            let body = Bytes::from(json);
            if is_kept || call.view.agent.planted.is(Fault::IndexNewerThanBody) {
                desk.cache.put(key, stamp, &body);
            }
            (Some(respond::JSON), 200, body)
        }
        Body::Raw(body) => (Some("text/plain"), 200, body),
        Body::Missing if call.family == Family::Coordinate => {
            return Ok(Plan::Answer(respond::empty(call.view, 404)));
        }
        Body::Missing => (None, 404, Bytes::new()),
    };
    Ok(Plan::Answer(answer(call, index, effective, content_type, status, body)))
}

fn answer(
    call: &Call<'_>,
    index: CatalogIndex,
    effective: Option<&'static str>,
    content_type: Option<&'static str>,
    status: u16,
    body: Bytes,
) -> Response {
    let mut headers = respond::headers(call.view, content_type);
    let (known, contact) = contact(call.view, call.now);
    if call.params.has("cached") && has_agent_cache(call.endpoint) {
        headers.push((Cow::Borrowed("X-Cache"), "MISS".into()));
    }
    respond::push_meta(&mut headers, index.0, known, contact, effective);
    if content_type == Some("text/plain") {
        headers.insert(0, (Cow::Borrowed("Content-Security-Policy"), "sandbox".into()));
        headers.push((Cow::Borrowed("X-Content-Type-Options"), "nosniff".into()));
    }
    Response { status, headers, body }
}

/// Whether a leader is known, and how many milliseconds ago it was heard from.
pub(crate) fn contact(view: &View, now: Instant) -> (bool, u64) {
    if view.leadership.is_leader {
        return (true, 0);
    }
    let ago = view.last_contact.map_or(Duration::ZERO, |at| now.since(at));
    (view.leadership.leader.is_some(), u64::try_from(ago.as_millis()).unwrap_or(u64::MAX))
}

/// Endpoints for which Consul's agents keep a cache. We never answer from one.
fn has_agent_cache(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Services
            | Endpoint::Service
            | Endpoint::Connect
            | Endpoint::HealthService
            | Endpoint::HealthConnect
    )
}

/// Whether this server may answer in the mode that was asked; if not, what must happen.
pub(crate) fn standing(
    call: &Call<'_>,
    desk: &Desk<'_>,
    modes: Modes,
) -> (Consistency, Option<Plan>) {
    let view = call.view;
    let planted = view.agent.planted;
    let leadership = &view.leadership;
    let elsewhere = |plan| Some(if desk.is_worker() { Plan::Enter } else { plan });
    match modes.consistency {
        Consistency::Stale => {
            let (_, contact) = contact(view, call.now);
            let limit = modes.max_stale.map_or(u128::MAX, |limit| limit.as_millis());
            let knows_none = leadership.leader.is_none() && view.last_contact.is_none();
            if !leadership.is_leader && (u128::from(contact) > limit || knows_none) {
                return (Consistency::Default, elsewhere(Plan::Leader));
            }
            (Consistency::Stale, None)
        }
        Consistency::Default => {
            let holds_lease =
                call.now < view.lease_until || desk.confirmed || planted.is(Fault::LeaseIgnored);
            let may =
                (leadership.is_leader && holds_lease) || planted.is(Fault::FollowerServesDefault);
            // A leader may be without a lease for long: after a transfer that failed, for instance.
            let plan = if leadership.is_leader { Plan::Confirm } else { Plan::Leader };
            (Consistency::Default, if may { None } else { elsewhere(plan) })
        }
        Consistency::Consistent => {
            let plan = match (leadership.is_leader, desk.confirmed) {
                (true, true) => None,
                (true, false) => elsewhere(Plan::Confirm),
                (false, _) => elsewhere(Plan::Leader),
            };
            (Consistency::Consistent, plan)
        }
    }
}

fn wait(call: &Call<'_>, desk: &mut Desk<'_>, modes: Modes, read: &dyn CatalogRead) -> Plan {
    let Some(rng) = desk.rng.as_mut() else { return Plan::Enter };
    let mut key = call.params.watch_key(&call.request.path);
    if call.params.text("near") == near::ASKED_AGENT {
        // Agents ask the same and mean different places.
        key.push('@');
        key.push_str(&call.origin_node());
    }
    Plan::Park(Wait {
        topics: read.topics(),
        min_index: CatalogIndex(modes.index),
        at_most: modes.patience(call.view.agent.query_times, rng),
        key,
    })
}

/// A wait for a change of what this agent itself offers.
pub(crate) fn wait_for_local(call: &Call<'_>, desk: &mut Desk<'_>, modes: Modes) -> Plan {
    let Some(rng) = desk.rng.as_mut() else { return Plan::Enter };
    Plan::Park(Wait {
        topics: Vec::new(),
        min_index: CatalogIndex(0),
        at_most: modes.patience(call.view.agent.query_times, rng),
        key: call.params.watch_key(&call.request.path),
    })
}
