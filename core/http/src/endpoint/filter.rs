//! What `?filter=` can select in each kind of record.

use crate::Response;
use crate::decide::Call;
use crate::error;
use crate::json::records::kind_word;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use proconsul_checks::LocalService;
use proconsul_syntax::filter::{self, Field, Record, Schema, Value};
use proconsul_types::{Check, Node, Service, ServiceAddress, ServiceRegistration, Weights};

/// The kinds of records that can be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    CatalogService,
    NodeService,
    Check,
    Instance,
    LocalService,
    LocalCheck,
}

/// A filter over one kind of record.
pub(super) struct Filter {
    expression: filter::Filter,
}

impl Filter {
    /// Reads `?filter=`. A bad expression is the server's error, or this agent's for its own lists.
    pub(super) fn parse(call: &Call<'_>, kind: Kind) -> Result<Self, Response> {
        let schema = match kind {
            Kind::Node => &NODE,
            Kind::CatalogService => &CATALOG_SERVICE,
            Kind::NodeService | Kind::LocalService => &SERVICE,
            Kind::Check | Kind::LocalCheck => &CHECK,
            Kind::Instance => &INSTANCE,
        };
        let parsed = filter::Filter::parse(call.params.text("filter"), schema);
        let expression = parsed.map_err(|reason| {
            let text = reason.to_string();
            match kind {
                Kind::LocalService | Kind::LocalCheck => error::plain(call.view, 500, &text),
                Kind::Node
                | Kind::CatalogService
                | Kind::NodeService
                | Kind::Check
                | Kind::Instance => call.refused(&text),
            }
        })?;
        Ok(Self { expression })
    }

    fn passes(&self, record: &dyn Record) -> bool {
        self.expression.matches(record)
    }

    pub(super) fn node(&self, node: &Node) -> bool {
        self.expression.is_empty() || self.passes(&NodeRecord::new(node))
    }

    pub(super) fn service(&self, service: &Service) -> bool {
        self.expression.is_empty() || self.passes(&ServiceRecord(&service.registration))
    }

    pub(super) fn local_service(&self, service: &LocalService) -> bool {
        self.expression.is_empty() || self.passes(&ServiceRecord(&service.definition.registration))
    }

    pub(super) fn check(&self, check: &Check) -> bool {
        self.expression.is_empty() || self.passes(&CheckRecord(check))
    }

    pub(super) fn catalog_service(&self, node: &Node, service: &Service) -> bool {
        self.expression.is_empty()
            || self.passes(&CatalogServiceRecord {
                node: NodeRecord::new(node),
                service: ServiceRecord(&service.registration),
            })
    }

    pub(super) fn instance(&self, node: &Node, service: &Service, checks: &[&Check]) -> bool {
        self.expression.is_empty()
            || self.passes(&InstanceRecord {
                node: NodeRecord::new(node),
                service: ServiceRecord(&service.registration),
                checks,
            })
    }
}

use proconsul_syntax::filter::Kind as Type;

const fn field(name: &'static str, kind: Type) -> Field {
    Field { name, kind }
}

static NODE: Schema = Schema {
    fields: &[
        field("Address", Type::Text),
        field("Datacenter", Type::Text),
        field("ID", Type::Text),
        field("Meta", Type::TextMap),
        field("Node", Type::Text),
        field("TaggedAddresses", Type::TextMap),
    ],
};

static CHECK: Schema = Schema {
    fields: &[
        field("CheckID", Type::Text),
        field("Name", Type::Text),
        field("Node", Type::Text),
        field("Notes", Type::Text),
        field("Output", Type::Text),
        field("ServiceID", Type::Text),
        field("ServiceName", Type::Text),
        field("ServiceTags", Type::TextList),
        field("Status", Type::Text),
        field("Type", Type::Text),
    ],
};

static ADDRESS: Schema =
    Schema { fields: &[field("Address", Type::Text), field("Port", Type::Int)] };

static WEIGHTS: Schema =
    Schema { fields: &[field("Passing", Type::Int), field("Warning", Type::Int)] };

static CONNECT: Schema = Schema { fields: &[field("Native", Type::Bool)] };

static GATEWAY: Schema = Schema { fields: &[field("Mode", Type::Text)] };

static UPSTREAM: Schema = Schema {
    fields: &[
        field("Datacenter", Type::Text),
        field("DestinationName", Type::Text),
        field("DestinationNamespace", Type::Text),
        field("DestinationType", Type::Text),
        field("LocalBindAddress", Type::Text),
        field("LocalBindPort", Type::Int),
        field("MeshGateway", Type::Record(&GATEWAY)),
    ],
};

static PROXY: Schema = Schema {
    fields: &[
        field("DestinationServiceID", Type::Text),
        field("DestinationServiceName", Type::Text),
        field("LocalServiceAddress", Type::Text),
        field("LocalServicePort", Type::Int),
        field("MeshGateway", Type::Record(&GATEWAY)),
        field("Upstreams", Type::Records(&UPSTREAM)),
    ],
};

static SERVICE: Schema = Schema {
    fields: &[
        field("Address", Type::Text),
        field("Connect", Type::Record(&CONNECT)),
        field("EnableTagOverride", Type::Bool),
        field("ID", Type::Text),
        field("Kind", Type::Text),
        field("Meta", Type::TextMap),
        field("Port", Type::Int),
        field("Proxy", Type::Record(&PROXY)),
        field("Service", Type::Text),
        field("TaggedAddresses", Type::RecordMap(&ADDRESS)),
        field("Tags", Type::TextList),
        field("Weights", Type::Record(&WEIGHTS)),
    ],
};

static CATALOG_SERVICE: Schema = Schema {
    fields: &[
        field("Address", Type::Text),
        field("Datacenter", Type::Text),
        field("ID", Type::Text),
        field("Node", Type::Text),
        field("NodeMeta", Type::TextMap),
        field("ServiceAddress", Type::Text),
        field("ServiceConnect", Type::Record(&CONNECT)),
        field("ServiceEnableTagOverride", Type::Bool),
        field("ServiceID", Type::Text),
        field("ServiceKind", Type::Text),
        field("ServiceMeta", Type::TextMap),
        field("ServiceName", Type::Text),
        field("ServicePort", Type::Int),
        field("ServiceProxy", Type::Record(&PROXY)),
        field("ServiceTaggedAddresses", Type::RecordMap(&ADDRESS)),
        field("ServiceTags", Type::TextList),
        field("ServiceWeights", Type::Record(&WEIGHTS)),
        field("TaggedAddresses", Type::TextMap),
    ],
};

static INSTANCE: Schema = Schema {
    fields: &[
        field("Checks", Type::Records(&CHECK)),
        field("Node", Type::Record(&NODE)),
        field("Service", Type::Record(&SERVICE)),
    ],
};

struct NodeRecord<'a> {
    node: &'a Node,
    id: String,
}

impl<'a> NodeRecord<'a> {
    fn new(node: &'a Node) -> Self {
        Self { node, id: node.id.map(|id| id.to_string()).unwrap_or_default() }
    }
}

impl Record for NodeRecord<'_> {
    fn field(&self, name: &str) -> Value<'_> {
        let node = self.node;
        match name {
            "Address" => Value::Text(&node.address),
            "Datacenter" => Value::Text(&node.datacenter),
            "ID" => Value::Text(&self.id),
            "Meta" => Value::TextMap(&node.meta),
            "Node" => Value::Text(&node.name),
            "TaggedAddresses" => Value::TextMap(&node.tagged_addresses),
            _ => Value::Absent,
        }
    }
}

struct CheckRecord<'a>(&'a Check);

impl Record for CheckRecord<'_> {
    fn field(&self, name: &str) -> Value<'_> {
        let check = self.0;
        match name {
            "CheckID" => Value::Text(&check.id),
            "Name" => Value::Text(&check.name),
            "Node" => Value::Text(&check.node),
            "Notes" => Value::Text(&check.notes),
            "Output" => Value::Text(&check.output),
            "ServiceID" => Value::Text(&check.service_id),
            "ServiceName" => Value::Text(&check.service_name),
            "ServiceTags" => Value::TextList(&check.service_tags),
            "Status" => Value::Text(check.status.as_str()),
            "Type" => Value::Text(&check.kind),
            _ => Value::Absent,
        }
    }
}

struct AddressRecord<'a>(&'a ServiceAddress);

impl Record for AddressRecord<'_> {
    fn field(&self, name: &str) -> Value<'_> {
        match name {
            "Address" => Value::Text(&self.0.address),
            "Port" => Value::Int(self.0.port.into()),
            _ => Value::Absent,
        }
    }
}

struct WeightsRecord(Weights);

impl Record for WeightsRecord {
    fn field(&self, name: &str) -> Value<'_> {
        match name {
            "Passing" => Value::Int(self.0.passing.into()),
            "Warning" => Value::Int(self.0.warning.into()),
            _ => Value::Absent,
        }
    }
}

struct ConnectRecord(bool);

impl Record for ConnectRecord {
    fn field(&self, name: &str) -> Value<'_> {
        if name == "Native" { Value::Bool(self.0) } else { Value::Absent }
    }
}

/// Any JSON object; what is not there is absent.
struct JsonRecord<'a>(Cow<'a, serde_json::Value>);

impl JsonRecord<'_> {
    fn read(text: Option<&str>) -> Self {
        let value = text.and_then(|text| serde_json::from_str(text).ok());
        Self(Cow::Owned(value.unwrap_or(serde_json::Value::Null)))
    }
}

impl Record for JsonRecord<'_> {
    fn field(&self, name: &str) -> Value<'_> {
        use serde_json::Value as Json;
        let Some(value) = self.0.get(name) else {
            return match name {
                "MeshGateway" => Value::Made(Box::new(Self(Cow::Owned(Json::Null)))),
                _ => Value::Absent,
            };
        };
        match value {
            Json::String(text) => Value::Text(text),
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Int(number.as_i64().unwrap_or(0)),
            Json::Array(list) => Value::Records(
                list.iter()
                    .map(|value| -> Box<dyn Record + '_> {
                        Box::new(JsonRecord(Cow::Borrowed(value)))
                    })
                    .collect(),
            ),
            Json::Object(_) => Value::Made(Box::new(JsonRecord(Cow::Borrowed(value)))),
            Json::Null => Value::Absent,
        }
    }
}

struct ServiceRecord<'a>(&'a ServiceRegistration);

impl Record for ServiceRecord<'_> {
    fn field(&self, name: &str) -> Value<'_> {
        let service = self.0;
        match name {
            "Address" => Value::Text(&service.address),
            "Connect" => Value::Made(Box::new(ConnectRecord(service.connect_native))),
            "EnableTagOverride" => Value::Bool(service.enable_tag_override),
            "ID" => Value::Text(&service.id),
            "Kind" => Value::Text(kind_word(service.kind)),
            "Meta" => Value::TextMap(&service.meta),
            "Port" => Value::Int(service.port.into()),
            "Proxy" => Value::Made(Box::new(JsonRecord::read(service.proxy.as_deref()))),
            "Service" => Value::Text(&service.name),
            "TaggedAddresses" => Value::RecordMap(
                service
                    .tagged_addresses
                    .iter()
                    .map(|(tag, address)| -> (&str, Box<dyn Record + '_>) {
                        (tag, Box::new(AddressRecord(address)))
                    })
                    .collect(),
            ),
            "Tags" => Value::TextList(&service.tags),
            "Weights" => Value::Made(Box::new(WeightsRecord(service.weights))),
            _ => Value::Absent,
        }
    }
}

struct CatalogServiceRecord<'a> {
    node: NodeRecord<'a>,
    service: ServiceRecord<'a>,
}

impl Record for CatalogServiceRecord<'_> {
    fn field(&self, name: &str) -> Value<'_> {
        match name {
            "NodeMeta" => self.node.field("Meta"),
            "ServiceName" => self.service.field("Service"),
            _ => match name.strip_prefix("Service") {
                Some(name) => self.service.field(name),
                None => self.node.field(name),
            },
        }
    }
}

struct InstanceRecord<'a> {
    node: NodeRecord<'a>,
    service: ServiceRecord<'a>,
    checks: &'a [&'a Check],
}

impl Record for InstanceRecord<'_> {
    fn field(&self, name: &str) -> Value<'_> {
        match name {
            "Node" => Value::Record(&self.node),
            "Service" => Value::Record(&self.service),
            "Checks" => Value::Records(
                self.checks
                    .iter()
                    .map(|check| -> Box<dyn Record + '_> { Box::new(CheckRecord(check)) })
                    .collect(),
            ),
            _ => Value::Absent,
        }
    }
}
