//! The records of the catalog in the forms clients know, field for field in their order.

use super::Json;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use proconsul_types::{
    Check, Coordinate, KvPair, Node, Service, ServiceAddress, ServiceKind, Session,
    SessionBehavior, TextMap, Weights,
};

/// How an empty list or map is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// `null`
    Null,
    /// `[]` or `{}`
    Shown,
}

/// What an ordinary service shows as its proxy.
const NO_PROXY: &str = r#"{"MeshGateway":{},"Expose":{}}"#;

/// The word of the API for a kind; empty for ordinary services.
pub(crate) fn kind_word(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Typical => "",
        ServiceKind::ConnectProxy => "connect-proxy",
        ServiceKind::MeshGateway => "mesh-gateway",
        ServiceKind::TerminatingGateway => "terminating-gateway",
        ServiceKind::IngressGateway => "ingress-gateway",
    }
}

/// The word of the API for a session's behaviour.
pub(crate) fn behavior_word(behavior: SessionBehavior) -> &'static str {
    match behavior {
        SessionBehavior::Release => "release",
        SessionBehavior::Delete => "delete",
    }
}

pub(crate) fn text_map(json: &mut Json, map: &TextMap, empty: Empty) {
    if map.is_empty() && empty == Empty::Null {
        json.null();
        return;
    }
    json.begin_object();
    for (key, value) in map {
        json.text_key(key);
        json.string(value);
    }
    json.end_object();
}

pub(crate) fn texts(json: &mut Json, list: &[Arc<str>], empty: Empty) {
    if list.is_empty() && empty == Empty::Null {
        json.null();
        return;
    }
    json.begin_array();
    for text in list {
        json.string(text);
    }
    json.end_array();
}

pub(crate) fn weights(json: &mut Json, weights: Weights) {
    json.begin_object();
    json.field_signed("Passing", i64::from(weights.passing));
    json.field_signed("Warning", i64::from(weights.warning));
    json.end_object();
}

pub(crate) fn service_addresses(json: &mut Json, map: &BTreeMap<Arc<str>, ServiceAddress>) {
    json.begin_object();
    for (tag, address) in map {
        json.text_key(tag);
        json.begin_object();
        json.field_string("Address", &address.address);
        json.field_signed("Port", i64::from(address.port));
        json.end_object();
    }
    json.end_object();
}

fn connect(json: &mut Json, native: bool) {
    json.begin_object();
    if native {
        json.field_boolean("Native", true);
    }
    json.end_object();
}

fn node_id(json: &mut Json, node: &Node) {
    match node.id {
        Some(id) => json.field_string("ID", &id.to_string()),
        None => json.field_string("ID", ""),
    }
}

/// A node by itself.
pub(crate) fn node(json: &mut Json, node: &Node) {
    json.begin_object();
    node_id(json, node);
    json.field_string("Node", &node.name);
    json.field_string("Address", &node.address);
    json.field_string("Datacenter", &node.datacenter);
    json.key("TaggedAddresses");
    text_map(json, &node.tagged_addresses, Empty::Null);
    json.key("Meta");
    text_map(json, &node.meta, Empty::Null);
    json.field_unsigned("CreateIndex", node.created.0);
    json.field_unsigned("ModifyIndex", node.modified.0);
    json.end_object();
}

/// An instance with its node's address beside it (`/v1/catalog/service`).
pub(crate) fn catalog_service(json: &mut Json, node: &Node, instance: &Service) {
    let service = &instance.registration;
    json.begin_object();
    node_id(json, node);
    json.field_string("Node", &node.name);
    json.field_string("Address", &node.address);
    json.field_string("Datacenter", &node.datacenter);
    json.key("TaggedAddresses");
    text_map(json, &node.tagged_addresses, Empty::Null);
    json.key("NodeMeta");
    text_map(json, &node.meta, Empty::Null);
    json.field_string("ServiceKind", kind_word(service.kind));
    json.field_string("ServiceID", &service.id);
    json.field_string("ServiceName", &service.name);
    json.key("ServiceTags");
    texts(json, &service.tags, Empty::Shown);
    json.field_string("ServiceAddress", &service.address);
    if !service.tagged_addresses.is_empty() {
        json.key("ServiceTaggedAddresses");
        service_addresses(json, &service.tagged_addresses);
    }
    json.key("ServiceWeights");
    weights(json, service.weights);
    json.key("ServiceMeta");
    text_map(json, &service.meta, Empty::Shown);
    json.field_signed("ServicePort", i64::from(service.port));
    json.field_boolean("ServiceEnableTagOverride", service.enable_tag_override);
    json.field_raw("ServiceProxy", service.proxy.as_deref().unwrap_or(NO_PROXY));
    json.key("ServiceConnect");
    connect(json, service.connect_native);
    json.field_unsigned("CreateIndex", instance.created.0);
    json.field_unsigned("ModifyIndex", instance.modified.0);
    json.end_object();
}

/// An instance by itself, as it stands below a node. `tags` says how no tags are shown.
pub(crate) fn node_service(json: &mut Json, instance: &Service, tags: Empty) {
    let service = &instance.registration;
    json.begin_object();
    if service.kind != ServiceKind::Typical {
        json.field_string("Kind", kind_word(service.kind));
    }
    json.field_string("ID", &service.id);
    json.field_string("Service", &service.name);
    json.key("Tags");
    texts(json, &service.tags, tags);
    json.field_string("Address", &service.address);
    if !service.tagged_addresses.is_empty() {
        json.key("TaggedAddresses");
        service_addresses(json, &service.tagged_addresses);
    }
    json.key("Meta");
    text_map(json, &service.meta, Empty::Null);
    json.field_signed("Port", i64::from(service.port));
    json.key("Weights");
    weights(json, service.weights);
    json.field_boolean("EnableTagOverride", service.enable_tag_override);
    json.field_raw("Proxy", service.proxy.as_deref().unwrap_or(NO_PROXY));
    json.key("Connect");
    connect(json, service.connect_native);
    json.field_unsigned("CreateIndex", instance.created.0);
    json.field_unsigned("ModifyIndex", instance.modified.0);
    json.end_object();
}

/// A check.
pub(crate) fn check(json: &mut Json, check: &Check) {
    check_with(json, check, Empty::Shown);
}

/// A check. `tags` says how no tags are shown.
pub(crate) fn check_with(json: &mut Json, check: &Check, tags: Empty) {
    json.begin_object();
    json.field_string("Node", &check.node);
    json.field_string("CheckID", &check.id);
    json.field_string("Name", &check.name);
    json.field_string("Status", check.status.as_str());
    json.field_string("Notes", &check.notes);
    json.field_string("Output", &check.output);
    json.field_string("ServiceID", &check.service_id);
    json.field_string("ServiceName", &check.service_name);
    json.key("ServiceTags");
    texts(json, &check.service_tags, tags);
    json.field_string("Type", &check.kind);
    json.field_raw("Definition", check.definition.as_deref().unwrap_or("{}"));
    json.field_unsigned("CreateIndex", check.created.0);
    json.field_unsigned("ModifyIndex", check.modified.0);
    json.end_object();
}

/// A session.
pub(crate) fn session(json: &mut Json, session: &Session) {
    json.begin_object();
    json.field_string("ID", &session.id.to_string());
    json.field_string("Name", &session.name);
    json.field_string("Node", &session.node);
    let nanos = u64::try_from(session.lock_delay.as_nanos()).unwrap_or(u64::MAX);
    json.field_unsigned("LockDelay", nanos);
    json.field_string("Behavior", behavior_word(session.behavior));
    json.field_string("TTL", &session.ttl);
    json.key("NodeChecks");
    texts(json, &session.node_checks, Empty::Shown);
    json.key("ServiceChecks");
    if session.service_checks.is_empty() {
        json.null();
    } else {
        json.begin_array();
        for id in &session.service_checks {
            json.begin_object();
            json.field_string("ID", id);
            json.field_string("Namespace", "");
            json.end_object();
        }
        json.end_array();
    }
    json.field_unsigned("CreateIndex", session.created.0);
    json.field_unsigned("ModifyIndex", session.modified.0);
    json.end_object();
}

/// A key and what is stored under it. Transactions show writes without their value.
pub(crate) fn pair(json: &mut Json, pair: &KvPair, with_value: bool) {
    json.begin_object();
    json.field_unsigned("LockIndex", pair.lock_index);
    json.field_string("Key", &pair.key);
    json.field_unsigned("Flags", pair.flags);
    json.key("Value");
    json.base64(if with_value { &pair.value } else { &[] });
    if let Some(session) = pair.session {
        json.field_string("Session", &session.to_string());
    }
    json.field_unsigned("CreateIndex", pair.created.0);
    json.field_unsigned("ModifyIndex", pair.modified.0);
    json.end_object();
}

/// A place in the network.
pub(crate) fn coordinate(json: &mut Json, place: &Coordinate) {
    json.begin_object();
    json.key("Vec");
    json.begin_array();
    for number in place.vector {
        json.float(number);
    }
    json.end_array();
    for (name, number) in
        [("Error", place.error), ("Adjustment", place.adjustment), ("Height", place.height)]
    {
        json.key(name);
        json.float(number);
    }
    json.end_object();
}

/// A place with whose it is.
pub(crate) fn place(json: &mut Json, node: &str, segment: &str, place: &Coordinate) {
    json.begin_object();
    json.field_string("Node", node);
    json.field_string("Segment", segment);
    json.key("Coord");
    coordinate(json, place);
    json.end_object();
}
