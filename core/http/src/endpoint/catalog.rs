//! `/v1/catalog`, the reads.

use super::filter::{Filter, Kind};
use crate::decide::{Body, Call, CatalogRead, Desk, Modes, serve};
use crate::json::Json;
use crate::json::records::{self, Empty};
use crate::{Plan, Response, error, near, respond, wan};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proconsul_catalog::{Catalog, Topic};
use proconsul_types::{CatalogIndex, Node, Service, ServiceKind, TextMap};

pub(super) fn nodes(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    serve(call, desk, modes, &Nodes { wants: Wants::parse(call) })
}

pub(super) fn services(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    serve(call, desk, modes, &Services { wants: Wants::parse(call) })
}

pub(super) fn service(
    call: &Call<'_>,
    desk: &mut Desk<'_>,
    connect: bool,
) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let name = call.required(error::MISSING_SERVICE_NAME)?;
    serve(call, desk, modes, &Instances { name, connect, wants: Wants::parse(call) })
}

pub(super) fn node(call: &Call<'_>, desk: &mut Desk<'_>, listed: bool) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    let name = call.required(error::MISSING_NODE_NAME)?;
    serve(call, desk, modes, &OneNode { name, listed })
}

pub(super) fn gateway_services(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    call.required(error::MISSING_GATEWAY_NAME)?;
    serve(call, desk, modes, &NothingBound { shown: b"null", filtered: None })
}

/// What configuration entries would bind to a gateway. There are none, so nothing ever is.
pub(super) struct NothingBound {
    /// How nothing is shown.
    pub(super) shown: &'static [u8],
    /// What a filter would be about.
    pub(super) filtered: Option<Kind>,
}

impl CatalogRead for NothingBound {
    fn index(&self, _catalog: &Catalog) -> CatalogIndex {
        CatalogIndex(1)
    }

    /// Whoever waits waits in vain, and is answered when the time is over.
    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Services]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        self.filtered.map(|kind| Filter::parse(call, kind)).transpose()?;
        Ok(Body::Json(self.shown.into()))
    }
}

pub(super) fn datacenters(call: &Call<'_>) -> Plan {
    let mut json = Json::new(call.is_pretty(), 32);
    json.begin_array();
    for name in near::datacenters(&call.view.pools, &call.view.agent.datacenter) {
        json.string(&name);
    }
    json.end_array();
    Plan::Answer(respond::json(call.view, 200, json.finish()))
}

/// What narrows a list: metadata of the node, tags of the instance.
pub(super) struct Wants {
    meta: Vec<(String, String)>,
    tags: Vec<String>,
}

impl Wants {
    pub(super) fn parse(call: &Call<'_>) -> Self {
        let pair = |text: &str| {
            let (key, value) = text.split_once(':').unwrap_or((text, ""));
            (String::from(key), String::from(value))
        };
        Self {
            meta: call.params.all("node-meta").map(pair).collect(),
            tags: call.params.all("tag").map(String::from).collect(),
        }
    }

    /// Whether a node has all the metadata.
    pub(super) fn node(&self, meta: &TextMap) -> bool {
        self.meta
            .iter()
            .all(|(key, value)| meta.get(key.as_str()).is_some_and(|have| **have == **value))
    }

    /// Whether anything is asked of the node.
    pub(super) fn asks_node(&self) -> bool {
        !self.meta.is_empty()
    }

    /// The index of a read that `index` governs as long as nothing is asked of the node.
    pub(super) fn or_nodes(&self, catalog: &Catalog, index: CatalogIndex) -> CatalogIndex {
        if self.asks_node() { index.max(catalog.nodes_index()) } else { index }
    }

    /// Whether an instance has all the tags; their case does not matter.
    pub(super) fn tags(&self, service: &Service) -> bool {
        self.tags
            .iter()
            .all(|tag| service.registration.tags.iter().any(|have| have.eq_ignore_ascii_case(tag)))
    }
}

struct Nodes {
    wants: Wants,
}

impl CatalogRead for Nodes {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        catalog.nodes_index()
    }

    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Nodes]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let filter = Filter::parse(call, Kind::Node)?;
        let mut json = Json::new(call.is_pretty(), 1024);
        json.begin_array();
        let wanted = |node: &&Node| self.wants.node(&node.meta) && filter.node(node);
        let mut found: Vec<&Node> = call.view.catalog.nodes().filter(wanted).collect();
        near::sort(call, &mut found, |node| &node.name);
        for node in found {
            records::node(&mut json, &wan::node(call, node));
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }
}

struct Services {
    wants: Wants,
}

impl CatalogRead for Services {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        // Whose node's metadata counts is told by the nodes.
        self.wants.or_nodes(catalog, catalog.services_index())
    }

    fn topics(&self) -> Vec<Topic> {
        if self.wants.asks_node() {
            vec![Topic::Services, Topic::Nodes]
        } else {
            vec![Topic::Services]
        }
    }

    /// Consul 1.8 ignores `filter` here, and so do we.
    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let catalog = &call.view.catalog;
        let mut json = Json::new(call.is_pretty(), 512);
        json.begin_object();
        for (name, tags) in catalog.services() {
            if self.wants.asks_node() {
                let wanted = |service: &Service| {
                    catalog.node(&service.node).is_some_and(|node| self.wants.node(&node.meta))
                };
                let mut tags = Vec::new();
                let mut any = false;
                for service in catalog.service_instances(name).filter(|service| wanted(service)) {
                    any = true;
                    for tag in &service.registration.tags {
                        if !tags.contains(tag) {
                            tags.push(tag.clone());
                        }
                    }
                }
                if any {
                    json.text_key(name);
                    records::texts(&mut json, &tags, Empty::Shown);
                }
                continue;
            }
            json.text_key(name);
            json.begin_array();
            for tag in tags {
                json.string(tag);
            }
            json.end_array();
        }
        json.end_object();
        Ok(Body::Json(json.finish()))
    }
}

/// The instances of a service, or those through which it is reached by Connect.
pub(super) fn instances<'a>(
    catalog: &'a Catalog,
    name: &'a str,
    connect: bool,
) -> Vec<(&'a Node, &'a Service)> {
    let with_node = |service: &'a Service| catalog.node(&service.node).map(|node| (node, service));
    if !connect {
        return catalog.service_instances(name).filter_map(with_node).collect();
    }
    let native =
        catalog.service_instances(name).filter(|service| service.registration.connect_native);
    let proxies = catalog
        .services_of_kind(ServiceKind::ConnectProxy)
        .filter(|service| destination(service).eq_ignore_ascii_case(name));
    let mut found: Vec<_> = native.chain(proxies).filter_map(with_node).collect();
    found.sort_by(|a, b| (&a.1.node, &a.1.registration.id).cmp(&(&b.1.node, &b.1.registration.id)));
    found
}

/// The service a proxy stands for.
fn destination(service: &Service) -> &str {
    const FIELD: &str = "\"DestinationServiceName\":\"";
    let proxy = service.registration.proxy.as_deref().unwrap_or("");
    let rest = proxy.find(FIELD).map_or("", |at| &proxy[at + FIELD.len()..]);
    rest.split('"').next().unwrap_or("")
}

struct Instances<'a> {
    name: &'a str,
    connect: bool,
    wants: Wants,
}

impl CatalogRead for Instances<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        if self.connect {
            // A service's own index tells of its nodes; that of all services does not.
            return catalog.services_index().max(catalog.nodes_index());
        }
        catalog.service_index(self.name)
    }

    fn topics(&self) -> Vec<Topic> {
        if self.connect {
            return vec![Topic::Services, Topic::Nodes];
        }
        vec![Topic::Service(self.name.to_lowercase().into())]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let filter = Filter::parse(call, Kind::CatalogService)?;
        let mut json = Json::new(call.is_pretty(), 1024);
        json.begin_array();
        let mut found = instances(&call.view.catalog, self.name, self.connect);
        near::sort(call, &mut found, |(node, _)| &node.name);
        for (node, service) in found {
            if self.wants.tags(service)
                && self.wants.node(&node.meta)
                && filter.catalog_service(node, service)
            {
                let (node, service) = (wan::node(call, node), wan::service(call, service));
                records::catalog_service(&mut json, &node, &service);
            }
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }
}

/// A node and its services: as a map by id, or as a list.
struct OneNode<'a> {
    name: &'a str,
    listed: bool,
}

impl CatalogRead for OneNode<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        match catalog.node(self.name) {
            Some(_) => catalog.node_index(self.name),
            None => CatalogIndex(1),
        }
    }

    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Node(self.name.to_lowercase().into())]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let filter = Filter::parse(call, Kind::NodeService)?;
        let catalog = &call.view.catalog;
        let mut json = Json::new(call.is_pretty(), 1024);
        let Some(node) = catalog.node(self.name) else {
            if self.listed {
                json.begin_object();
                json.field_null("Node");
                json.field_null("Services");
                json.end_object();
            } else {
                json.null();
            }
            return Ok(Body::Json(json.finish()));
        };
        json.begin_object();
        json.key("Node");
        records::node(&mut json, &wan::node(call, node));
        json.key("Services");
        let services = catalog.node_services(self.name).filter(|service| filter.service(service));
        if self.listed {
            json.begin_array();
            for service in services {
                records::node_service(&mut json, service, Empty::Shown);
            }
            json.end_array();
        } else {
            json.begin_object();
            for service in services {
                json.text_key(&service.registration.id);
                records::node_service(&mut json, service, Empty::Shown);
            }
            json.end_object();
        }
        json.end_object();
        Ok(Body::Json(json.finish()))
    }
}
