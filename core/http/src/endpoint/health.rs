//! `/v1/health`.

use super::catalog::{NothingBound, Wants, instances};
use super::filter::{Filter, Kind};
use crate::decide::{Body, Call, CatalogRead, Desk, Modes, serve};
use crate::json::Json;
use crate::json::records::{self, Empty};
use crate::{Plan, Response, error, near, wan};
use alloc::vec;
use alloc::vec::Vec;
use proconsul_catalog::{Catalog, Topic};
use proconsul_types::{CatalogIndex, Check, CheckStatus};

pub(super) fn node(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let node = call.required(error::MISSING_NODE_NAME)?;
    serve(call, desk, modes, &Checks { of: Of::Node(node), wants: Wants::parse(call) })
}

pub(super) fn checks(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let service = call.required(error::MISSING_SERVICE_NAME)?;
    serve(call, desk, modes, &Checks { of: Of::Service(service), wants: Wants::parse(call) })
}

pub(super) fn state(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let state = call.required(error::MISSING_CHECK_STATE)?;
    serve(call, desk, modes, &Checks { of: Of::State(state), wants: Wants::parse(call) })
}

pub(super) fn service(
    call: &Call<'_>,
    desk: &mut Desk<'_>,
    connect: bool,
) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let name = call.required(error::MISSING_SERVICE_NAME)?;
    let passing = passing(call)?;
    let wants = Wants::parse(call);
    serve(call, desk, modes, &Instances { name, connect, passing, wants })
}

/// Ingress gateways in front of a service.
pub(super) fn ingress(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    call.required(error::MISSING_SERVICE_NAME)?;
    passing(call)?;
    let filtered = Some(Kind::Instance);
    serve(call, desk, modes, &NothingBound { shown: b"[]", filtered })
}

/// `?passing`: alone it means yes; a value must be a boolean.
fn passing(call: &Call<'_>) -> Result<bool, Response> {
    match call.params.get("passing") {
        None => Ok(false),
        Some("") => Ok(true),
        Some(text) => super::boolean(text).ok_or_else(|| call.bad(error::INVALID_PASSING)),
    }
}

/// Which checks.
enum Of<'a> {
    Node(&'a str),
    Service(&'a str),
    State(&'a str),
}

struct Checks<'a> {
    of: Of<'a>,
    wants: Wants,
}

impl CatalogRead for Checks<'_> {
    /// The whole table's: so it is in Consul 1.8, and a watcher is woken more often than it must.
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        self.wants.or_nodes(catalog, catalog.checks_index())
    }

    fn topics(&self) -> Vec<Topic> {
        if self.wants.asks_node() { vec![Topic::Checks, Topic::Nodes] } else { vec![Topic::Checks] }
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let filter = Filter::parse(call, Kind::Check)?;
        let catalog = &call.view.catalog;
        let mut json = Json::new(call.is_pretty(), 1024);
        json.begin_array();
        let mut found: Vec<&Check> = Vec::new();
        let mut show = |check| {
            let check: &Check = check;
            let node_is_wanted = !self.wants.asks_node()
                || catalog.node(&check.node).is_some_and(|node| self.wants.node(&node.meta));
            if node_is_wanted && filter.check(check) {
                found.push(check);
            }
        };
        match self.of {
            Of::Node(name) => catalog.node_checks(name).for_each(&mut show),
            Of::Service(name) => catalog.service_checks(name).for_each(&mut show),
            Of::State("any") => catalog.checks().for_each(&mut show),
            Of::State(word) => {
                if let Some(status) = CheckStatus::parse(word) {
                    catalog.checks().filter(|check| check.status == status).for_each(&mut show);
                }
            }
        }
        // What is about one node is as far as all of it.
        if !matches!(self.of, Of::Node(_)) {
            near::sort(call, &mut found, |check| &check.node);
        }
        for check in found {
            records::check(&mut json, check);
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }
}

/// The instances of a service with their nodes and checks: what clients discover.
struct Instances<'a> {
    name: &'a str,
    connect: bool,
    passing: bool,
    wants: Wants,
}

impl CatalogRead for Instances<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        if self.connect {
            // Proxies have other names than what they stand for, and nodes are shown.
            let services = catalog.services_index().max(catalog.nodes_index());
            return services.max(catalog.checks_index());
        }
        catalog.service_health_index(self.name)
    }

    fn topics(&self) -> Vec<Topic> {
        if self.connect {
            return vec![Topic::Services, Topic::Checks, Topic::Nodes];
        }
        vec![Topic::ServiceHealth(self.name.to_lowercase().into())]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let filter = Filter::parse(call, Kind::Instance)?;
        let catalog = &call.view.catalog;
        let mut found = instances(catalog, self.name, self.connect);
        near::sort(call, &mut found, |(node, _)| &node.name);
        let room = found.len() * if call.is_pretty() { 2600 } else { 1200 } + 16;
        let mut json = Json::new(call.is_pretty(), room);
        let mut checks: Vec<&Check> = Vec::new();
        json.begin_array();
        for (node, service) in found {
            if !self.wants.tags(service) || !self.wants.node(&node.meta) {
                continue;
            }
            checks.clear();
            checks.extend(catalog.node_only_checks(&service.node));
            checks.extend(catalog.instance_checks(&service.node, &service.registration.id));
            if self.passing && checks.iter().any(|check| check.status != CheckStatus::Passing) {
                continue;
            }
            if !filter.instance(node, service, &checks) {
                continue;
            }
            json.begin_object();
            json.key("Node");
            records::node(&mut json, &wan::node(call, node));
            json.key("Service");
            records::node_service(&mut json, &wan::service(call, service), Empty::Shown);
            json.key("Checks");
            json.begin_array();
            for check in &checks {
                records::check(&mut json, check);
            }
            json.end_array();
            json.end_object();
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }
}
