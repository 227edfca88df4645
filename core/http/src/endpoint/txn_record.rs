//! Operations of a transaction on nodes, services and checks.

use super::catalog_write::{definition, node_id, status};
use super::{Decoded, each_field};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use proconsul_catalog::{CheckRegistration, NodeRegistration, RecordVerb, TxnOp};
use proconsul_checks::parse::json;
use proconsul_types::{ServiceRegistration, Weights};
use serde_json::Value;

/// An operation on a record as it was read.
pub(super) struct AskedRecord {
    verb: Arc<str>,
    /// The record's modify index, for the verbs that compare it.
    index: u64,
    record: Record,
}

enum Record {
    Node { id: Arc<str>, node: NodeRegistration },
    Service { on: Arc<str>, service: ServiceRegistration },
    Check { on: Arc<str>, status: Arc<str>, check: CheckRegistration },
}

impl AskedRecord {
    pub(super) fn node(value: &Value) -> Decoded<Self> {
        let [mut verb, mut id] = [""; 2].map(Arc::<str>::from);
        let (mut index, mut node) = (0, NodeRegistration::default());
        let fields = json::object(value, "TxnOp.Node", "api.NodeTxnOp")?;
        each_field(fields, |key, given, value| match key {
            "verb" => word(value, "NodeTxnOp.Node.Verb", "api.NodeOp", &mut verb),
            "node" => {
                let at = |field: &str| format!("Node.Node.Node.{field}");
                let fields = json::object(value, "NodeTxnOp.Node.Node", "api.Node")?;
                each_field(fields, |key, given, value| match key {
                    "id" => json::text(value, &at("ID"), &mut id),
                    "node" => json::text(value, &at("Node"), &mut node.name),
                    "address" => json::text(value, &at("Address"), &mut node.address),
                    "datacenter" => json::text(value, &at("Datacenter"), &mut Arc::from("")),
                    "taggedaddresses" => {
                        json::text_map(value, &at("TaggedAddresses"), &mut node.tagged_addresses)
                    }
                    "meta" => json::text_map(value, &at("Meta"), &mut node.meta),
                    "createindex" => json::uint(value, &at("CreateIndex"), &mut 0),
                    "modifyindex" => json::uint(value, &at("ModifyIndex"), &mut index),
                    _ => Err(json::unknown_field(given)),
                })
            }
            _ => Err(json::unknown_field(given)),
        })?;
        Ok(Self { verb, index, record: Record::Node { id, node } })
    }

    pub(super) fn service(value: &Value) -> Decoded<Self> {
        let [mut verb, mut on] = [""; 2].map(Arc::<str>::from);
        let (mut index, mut service) = (0, ServiceRegistration::default());
        let fields = json::object(value, "TxnOp.Service", "api.ServiceTxnOp")?;
        each_field(fields, |key, given, value| match key {
            "verb" => word(value, "ServiceTxnOp.Service.Verb", "api.ServiceOp", &mut verb),
            "node" => json::text(value, "ServiceTxnOp.Service.Node", &mut on),
            "service" => read_service(value, &mut service, &mut index),
            _ => Err(json::unknown_field(given)),
        })?;
        Ok(Self { verb, index, record: Record::Service { on, service } })
    }

    pub(super) fn check(value: &Value) -> Decoded<Self> {
        let [mut verb, mut on, mut status] = [""; 3].map(Arc::<str>::from);
        let (mut index, mut check) = (0, CheckRegistration::default());
        let fields = json::object(value, "TxnOp.Check", "api.CheckTxnOp")?;
        each_field(fields, |key, given, value| match key {
            "verb" => word(value, "CheckTxnOp.Check.Verb", "api.CheckOp", &mut verb),
            "check" => {
                let at = |field: &str| format!("HealthCheck.Check.Check.{field}");
                let fields = json::object(value, "CheckTxnOp.Check.Check", "api.HealthCheck")?;
                each_field(fields, |key, given, value| match key {
                    "node" => json::text(value, &at("Node"), &mut on),
                    "checkid" => json::text(value, &at("CheckID"), &mut check.id),
                    "name" => json::text(value, &at("Name"), &mut check.name),
                    "status" => json::text(value, &at("Status"), &mut status),
                    "notes" => json::text(value, &at("Notes"), &mut check.notes),
                    "output" => json::text(value, &at("Output"), &mut check.output),
                    "serviceid" => json::text(value, &at("ServiceID"), &mut check.service_id),
                    "type" => json::text(value, &at("Type"), &mut check.kind),
                    "definition" => {
                        check.definition = definition(value, &at("Definition"))?;
                        Ok(())
                    }
                    "servicename" => json::text(value, &at("ServiceName"), &mut Arc::from("")),
                    "servicetags" => json::texts(value, &at("ServiceTags"), &mut Box::default()),
                    "namespace" => json::text(value, &at("Namespace"), &mut Arc::from("")),
                    "createindex" => json::uint(value, &at("CreateIndex"), &mut 0),
                    "modifyindex" => json::uint(value, &at("ModifyIndex"), &mut index),
                    _ => Err(json::unknown_field(given)),
                })
            }
            _ => Err(json::unknown_field(given)),
        })?;
        Ok(Self { verb, index, record: Record::Check { on, status, check } })
    }

    /// Unlike one on keys, an operation whose verb nobody knows counts as a write.
    pub(super) fn writes(&self) -> bool {
        &*self.verb != "get"
    }

    /// What a server looks at before it tries anything; reads are not looked at.
    pub(super) fn precheck(&self) -> Result<(), String> {
        if &*self.verb == "get" {
            return Ok(());
        }
        match &self.record {
            Record::Node { node, .. } if node.name.is_empty() => Err("Must provide node".into()),
            Record::Node { id, .. } => node_id(id).map(|_| ()),
            Record::Service { service, .. }
                if service.name.is_empty() && !service.id.is_empty() =>
            {
                Err("Must provide service name with ID".into())
            }
            Record::Service { .. } | Record::Check { .. } => Ok(()),
        }
    }

    /// The operation, or what is wrong with it.
    pub(super) fn typed(&self, datacenter: &Arc<str>) -> Result<TxnOp, String> {
        let verb = match &*self.verb {
            "get" => Some(RecordVerb::Get),
            "set" => Some(RecordVerb::Set),
            "cas" => Some(RecordVerb::Cas(self.index)),
            "delete" => Some(RecordVerb::Delete),
            "delete-cas" => Some(RecordVerb::DeleteCas(self.index)),
            _ => None,
        };
        let unknown = |kind: &str| format!("unknown {kind} verb {:?}", self.verb);
        match &self.record {
            Record::Node { id, node } => {
                let verb = verb.ok_or_else(|| unknown("Node"))?;
                let id = node_id(id).map_err(|text| match text.strip_prefix("Bad node ID: ") {
                    Some(reason) => {
                        format!("node lookup by ID failed, wrong UUID: {reason} for '{id}'")
                    }
                    None => text,
                })?;
                let datacenter = datacenter.clone();
                Ok(TxnOp::Node(verb, Box::new(NodeRegistration { id, datacenter, ..node.clone() })))
            }
            Record::Service { on, service } => {
                let verb = verb.ok_or_else(|| unknown("Service"))?;
                let mut service = service.clone();
                if service.id.is_empty() && verb != RecordVerb::Get {
                    service.id = service.name.clone();
                }
                Ok(TxnOp::Service(verb, on.clone(), Box::new(service)))
            }
            Record::Check { on, status: word, check } => {
                let verb = verb.ok_or_else(|| unknown("Check"))?;
                let mut check = check.clone();
                if check.id.is_empty() && verb != RecordVerb::Get {
                    check.id = check.name.clone();
                }
                if matches!(verb, RecordVerb::Set | RecordVerb::Cas(_)) {
                    check.status = status(word)?;
                }
                Ok(TxnOp::Check(verb, on.clone(), Box::new(check)))
            }
        }
    }
}

fn word(value: &Value, field: &str, target: &str, out: &mut Arc<str>) -> Decoded<()> {
    if !(value.is_string() || value.is_null()) {
        return Err(json::mismatch(value, field, target));
    }
    json::text(value, field, out)
}

/// An instance. As in Consul 1.8, its kind, its tagged addresses and what it has of a mesh are read
/// and not kept.
fn read_service(value: &Value, service: &mut ServiceRegistration, index: &mut u64) -> Decoded<()> {
    let at = |field: &str| format!("AgentService.Service.Service.{field}");
    let fields = json::object(value, "ServiceTxnOp.Service.Service", "api.AgentService")?;
    each_field(fields, |key, given, value| match key {
        "id" => json::text(value, &at("ID"), &mut service.id),
        "service" => json::text(value, &at("Service"), &mut service.name),
        "tags" => json::texts(value, &at("Tags"), &mut service.tags),
        "meta" => json::text_map(value, &at("Meta"), &mut service.meta),
        "port" => json::small_int(value, &at("Port"), &mut service.port),
        "address" => json::text(value, &at("Address"), &mut service.address),
        "weights" => read_weights(value, &mut service.weights),
        "enabletagoverride" => {
            json::boolean(value, &at("EnableTagOverride"), &mut service.enable_tag_override)
        }
        "kind" => word(value, &at("Kind"), "api.ServiceKind", &mut Arc::from("")),
        "taggedaddresses" => {
            let target = "map[string]api.ServiceAddress";
            json::object(value, &at("TaggedAddresses"), target).map(|_| ())
        }
        "proxy" => {
            let target = "api.AgentServiceConnectProxyConfig";
            json::object(value, &at("Proxy"), target).map(|_| ())
        }
        "connect" => json::object(value, &at("Connect"), "api.AgentServiceConnect").map(|_| ()),
        "contenthash" | "datacenter" | "namespace" => {
            json::text(value, &at(given), &mut Arc::from(""))
        }
        "createindex" => json::uint(value, &at("CreateIndex"), &mut 0),
        "modifyindex" => json::uint(value, &at("ModifyIndex"), index),
        _ => Err(json::unknown_field(given)),
    })
}

fn read_weights(value: &Value, out: &mut Weights) -> Decoded<()> {
    let at = |field: &str| format!("AgentWeights.Service.Service.Weights.{field}");
    let field = "AgentService.Service.Service.Weights";
    let Some(fields) = json::object(value, field, "api.AgentWeights")? else { return Ok(()) };
    let mut weights = Weights { passing: 0, warning: 0 };
    each_field(Some(fields), |key, given, value| match key {
        "passing" => json::small_int(value, &at("Passing"), &mut weights.passing),
        "warning" => json::small_int(value, &at("Warning"), &mut weights.warning),
        _ => Err(json::unknown_field(given)),
    })?;
    // Without weight for passing it has those of one without any, as elsewhere.
    *out = if weights.passing == 0 { Weights::default() } else { weights };
    Ok(())
}
