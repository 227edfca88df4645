//! `/v1/catalog/register` and `/v1/catalog/deregister`.

use super::proxy;
use super::{Decoded, each_field, propose, undecodable};
use crate::decide::Call;
use crate::json::Json;
use crate::{Plan, Reply, Response, error};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{CheckRegistration, Command, Deregister, NodeRegistration, Register};
use proconsul_checks::parse::json;
use proconsul_syntax::duration;
use proconsul_types::{
    CheckStatus, Duration, NodeId, ServiceAddress, ServiceKind, ServiceRegistration, TextMap,
    Weights,
};
use serde_json::Value;

pub(super) fn register(call: &Call<'_>) -> Result<Plan, Response> {
    let unreadable = |reason: String| undecodable(call, &reason);
    let value = json::decode(&call.request.body).map_err(unreadable)?;
    let asked = Asked::read(&value).map_err(unreadable)?;
    check_datacenter(call, &asked.datacenter)?;
    let valid = asked.validate(&call.view.agent.datacenter);
    let register = valid.map_err(|text| error::plain(call.view, 500, &text))?;
    Ok(propose(call, Command::Register(Box::new(register)), Reply::True))
}

pub(super) fn deregister(call: &Call<'_>) -> Result<Plan, Response> {
    let unreadable = |reason: String| undecodable(call, &reason);
    let value = json::decode(&call.request.body).map_err(unreadable)?;
    let (datacenter, order) = read_deregister(&value).map_err(unreadable)?;
    check_datacenter(call, &datacenter)?;
    if order.node.is_empty() {
        return Err(error::plain(call.view, 500, "Must provide node"));
    }
    Ok(propose(call, Command::Deregister(order), Reply::True))
}

/// The body names the datacenter, or the query does.
pub(super) fn check_datacenter(call: &Call<'_>, named: &str) -> Result<(), Response> {
    let named = if named.is_empty() { call.params.text("dc") } else { named };
    let refused = |_| error::plain(call.view, 500, error::NO_PATH_TO_DATACENTER);
    call.is_own_datacenter(named).map_err(refused)
}

fn read_deregister(value: &Value) -> Decoded<(Arc<str>, Deregister)> {
    let [mut node, mut datacenter, mut service, mut check] = [""; 4].map(Arc::<str>::from);
    let target = "struct { Address interface {}; *structs.Alias }";
    each_field(json::fields(value, target)?, |key, given, value| match key {
        "node" => json::text(value, ".Node", &mut node),
        "datacenter" => json::text(value, ".Datacenter", &mut datacenter),
        "serviceid" => json::text(value, ".ServiceID", &mut service),
        "checkid" => json::text(value, ".CheckID", &mut check),
        "address" | "writerequest" => Ok(()),
        _ => Err(json::unknown_field(given)),
    })?;
    let given = |id: Arc<str>| (!id.is_empty()).then_some(id);
    let (service_id, check_id) = (given(service), given(check));
    Ok((datacenter, Deregister { node, service_id, check_id }))
}

/// A registration as it was read.
#[derive(Default)]
struct Asked {
    id: Arc<str>,
    node: Arc<str>,
    address: Arc<str>,
    datacenter: Arc<str>,
    tagged_addresses: TextMap,
    meta: TextMap,
    skip_node_update: bool,
    service: Option<AskedService>,
    checks: Vec<AskedCheck>,
}

#[derive(Default)]
struct AskedService {
    registration: ServiceRegistration,
    kind: Arc<str>,
    destination: Arc<str>,
}

#[derive(Default)]
struct AskedCheck {
    node: Arc<str>,
    status: Arc<str>,
    registration: CheckRegistration,
}

impl Asked {
    fn read(value: &Value) -> Decoded<Self> {
        let mut asked = Self::default();
        let mut single = None;
        each_field(json::fields(value, "structs.RegisterRequest")?, |key, given, value| {
            let at = |field: &str| format!("RegisterRequest.{field}");
            match key {
                "id" => match value.is_string() || value.is_null() {
                    true => json::text(value, "", &mut asked.id),
                    false => Err(json::mismatch(value, &at("ID"), "types.NodeID")),
                },
                "node" => json::text(value, &at("Node"), &mut asked.node),
                "address" => json::text(value, &at("Address"), &mut asked.address),
                "datacenter" => json::text(value, &at("Datacenter"), &mut asked.datacenter),
                "taggedaddresses" => {
                    json::text_map(value, &at("TaggedAddresses"), &mut asked.tagged_addresses)
                }
                "nodemeta" => json::text_map(value, &at("NodeMeta"), &mut asked.meta),
                "skipnodeupdate" => {
                    json::boolean(value, &at("SkipNodeUpdate"), &mut asked.skip_node_update)
                }
                "service" if value.is_null() => Ok(()),
                "service" => {
                    asked.service = Some(service(value)?);
                    Ok(())
                }
                "check" if value.is_null() => Ok(()),
                "check" => {
                    single = Some(check(value, "Check")?);
                    Ok(())
                }
                "checks" => {
                    for value in json::array(value, &at("Checks"), "structs.HealthChecks")? {
                        asked.checks.push(check(value, "Checks")?);
                    }
                    Ok(())
                }
                "writerequest" | "token" => Ok(()),
                _ => Err(json::unknown_field(given)),
            }
        })?;
        asked.checks.extend(single);
        Ok(asked)
    }

    /// What a server checks before it proposes; the catalog checks the rest.
    fn validate(self, datacenter: &Arc<str>) -> Result<Register, String> {
        if self.node.is_empty() {
            return Err("Must provide node".into());
        }
        if self.address.is_empty() && !self.skip_node_update {
            return Err("Must provide address if SkipNodeUpdate is not set".into());
        }
        let id = node_id(&self.id)?;
        let mut services = Vec::new();
        if let Some(mut asked) = self.service {
            let service = &mut asked.registration;
            if service.name.is_empty() && !service.id.is_empty() {
                return Err("Must provide service name with ID".into());
            }
            if service.id.is_empty() {
                service.id = service.name.clone();
            }
            service.kind = kind(&asked.kind)?;
            proxy::validate(service.kind, &asked.destination, service.port)?;
            services.push(asked.registration);
        }
        let mut checks = Vec::new();
        for asked in self.checks {
            if !asked.node.is_empty() && !asked.node.eq_ignore_ascii_case(&self.node) {
                return Err(format!(
                    "check node {:?} does not match node {:?}",
                    asked.node, self.node
                ));
            }
            let mut check = asked.registration;
            if check.id.is_empty() {
                check.id = check.name.clone();
            }
            check.status = status(&asked.status)?;
            checks.push(check);
        }
        let node = NodeRegistration {
            id,
            name: self.node,
            address: self.address,
            datacenter: datacenter.clone(),
            tagged_addresses: self.tagged_addresses,
            meta: self.meta,
        };
        Ok(Register { node, skip_node_update: self.skip_node_update, services, checks })
    }
}

pub(super) fn node_id(text: &str) -> Result<Option<NodeId>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() != 36 {
        return Err("Bad node ID: uuid string is wrong length".into());
    }
    text.parse().map(Some).map_err(|_| "Bad node ID: uuid is improperly formatted".into())
}

/// Consul stores any word as a kind; one nobody knows would never be found again, so it is refused.
fn kind(word: &str) -> Result<ServiceKind, String> {
    Ok(match word {
        "" | "typical" => ServiceKind::Typical,
        "connect-proxy" => ServiceKind::ConnectProxy,
        "mesh-gateway" => ServiceKind::MeshGateway,
        "terminating-gateway" => ServiceKind::TerminatingGateway,
        "ingress-gateway" => ServiceKind::IngressGateway,
        other => return Err(format!("unknown service kind {other:?}")),
    })
}

/// Consul stores any word as a status; here it must be one of the three.
pub(super) fn status(word: &str) -> Result<CheckStatus, String> {
    match word {
        "" => Ok(CheckStatus::Critical),
        word => CheckStatus::parse(word).ok_or_else(|| format!("unknown check status {word:?}")),
    }
}

fn service(value: &Value) -> Decoded<AskedService> {
    let mut asked = AskedService::default();
    let service = &mut asked.registration;
    let at = |field: &str| format!("NodeService.Service.{field}");
    let fields = json::object(value, "RegisterRequest.Service", "structs.NodeService")?;
    each_field(fields, |key, given, value| match key {
        "kind" => match value.is_string() || value.is_null() {
            true => json::text(value, "", &mut asked.kind),
            false => Err(json::mismatch(value, &at("Kind"), "structs.ServiceKind")),
        },
        "id" => json::text(value, &at("ID"), &mut service.id),
        "service" => json::text(value, &at("Service"), &mut service.name),
        "tags" => json::texts(value, &at("Tags"), &mut service.tags),
        "address" => json::text(value, &at("Address"), &mut service.address),
        "taggedaddresses" => addresses(value, &mut service.tagged_addresses),
        "meta" => json::text_map(value, &at("Meta"), &mut service.meta),
        "port" => json::small_int(value, &at("Port"), &mut service.port),
        "weights" => weights(value, &mut service.weights),
        "enabletagoverride" => {
            json::boolean(value, &at("EnableTagOverride"), &mut service.enable_tag_override)
        }
        "proxy" => {
            let read = proxy::read(value)?;
            (service.proxy, asked.destination) = read;
            Ok(())
        }
        "connect" => {
            let fields = json::object(value, &at("Connect"), "structs.ServiceConnect")?;
            each_field(fields, |key, given, value| match key {
                "native" => {
                    let field = "ServiceConnect.Service.Connect.Native";
                    json::boolean(value, field, &mut service.connect_native)
                }
                "sidecarservice" => Ok(()),
                _ => Err(json::unknown_field(given)),
            })
        }
        "createindex" | "modifyindex" | "locallyregisteredassidecar" => Ok(()),
        _ => Err(json::unknown_field(given)),
    })?;
    Ok(asked)
}

fn addresses(value: &Value, out: &mut BTreeMap<Arc<str>, ServiceAddress>) -> Decoded<()> {
    let field = "NodeService.Service.TaggedAddresses";
    let map = json::object(value, field, "map[string]structs.ServiceAddress")?;
    for (tag, value) in map.into_iter().flatten() {
        let mut address = ServiceAddress { address: "".into(), port: 0 };
        let fields = json::object(value, field, "structs.ServiceAddress")?;
        each_field(fields, |key, given, value| match key {
            "address" => {
                let field = "ServiceAddress.Service.TaggedAddresses.Address";
                json::text(value, field, &mut address.address)
            }
            "port" => {
                let field = "ServiceAddress.Service.TaggedAddresses.Port";
                json::small_int(value, field, &mut address.port)
            }
            _ => Err(json::unknown_field(given)),
        })?;
        out.insert(tag.as_str().into(), address);
    }
    Ok(())
}

fn weights(value: &Value, out: &mut Weights) -> Decoded<()> {
    let Some(fields) = json::object(value, "NodeService.Service.Weights", "structs.Weights")?
    else {
        return Ok(());
    };
    *out = Weights { passing: 0, warning: 0 };
    each_field(Some(fields), |key, given, value| match key {
        "passing" => json::small_int(value, "Weights.Service.Weights.Passing", &mut out.passing),
        "warning" => json::small_int(value, "Weights.Service.Weights.Warning", &mut out.warning),
        _ => Err(json::unknown_field(given)),
    })?;
    // As Consul shows them: a service without weight for passing has those of one without any.
    if out.passing == 0 {
        *out = Weights::default();
    }
    Ok(())
}

fn check(value: &Value, place: &str) -> Decoded<AskedCheck> {
    let mut asked = AskedCheck::default();
    let check = &mut asked.registration;
    let at = |field: &str| format!("HealthCheck.{place}.{field}");
    let fields = json::object(value, &format!("RegisterRequest.{place}"), "structs.HealthCheck")?;
    each_field(fields, |key, given, value| match key {
        "node" => json::text(value, &at("Node"), &mut asked.node),
        "checkid" => json::text(value, &at("CheckID"), &mut check.id),
        "name" => json::text(value, &at("Name"), &mut check.name),
        "status" => json::text(value, &at("Status"), &mut asked.status),
        "notes" => json::text(value, &at("Notes"), &mut check.notes),
        "output" => json::text(value, &at("Output"), &mut check.output),
        "serviceid" => json::text(value, &at("ServiceID"), &mut check.service_id),
        "type" => json::text(value, &at("Type"), &mut check.kind),
        "definition" => {
            check.definition = definition(value, &at("Definition"))?;
            Ok(())
        }
        "servicename" | "servicetags" | "createindex" | "modifyindex" => Ok(()),
        _ => Err(json::unknown_field(given)),
    })?;
    Ok(asked)
}

/// The fields of a check's definition that are kept, in the order in which they are shown.
#[derive(Default)]
struct Definition {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    deregister_after: Option<Duration>,
    http: Arc<str>,
    tls_skip_verify: bool,
    header: BTreeMap<String, Box<[Arc<str>]>>,
    method: Arc<str>,
    body: Arc<str>,
    tcp: Arc<str>,
}

/// A definition as canonical JSON; `None` if nothing is in it. Unknown fields are ignored here.
pub(super) fn definition(value: &Value, field: &str) -> Decoded<Option<Arc<str>>> {
    let mut read = Definition::default();
    let fields = json::object(value, field, "structs.HealthCheckDefinition")?;
    each_field(fields, |key, _, value| match key {
        "interval" | "intervalduration" => json::duration(value, &mut read.interval),
        "timeout" | "timeoutduration" => json::duration(value, &mut read.timeout),
        "deregistercriticalserviceafter" | "deregistercriticalserviceafterduration" => {
            json::duration(value, &mut read.deregister_after)
        }
        "http" => json::text(value, ".HTTP", &mut read.http),
        "tlsskipverify" => json::boolean(value, ".TLSSkipVerify", &mut read.tls_skip_verify),
        "method" => json::text(value, ".Method", &mut read.method),
        "body" => json::text(value, ".Body", &mut read.body),
        "tcp" => json::text(value, ".TCP", &mut read.tcp),
        "header" => {
            let map = json::object(value, ".Header", "map[string][]string")?;
            for (name, value) in map.into_iter().flatten() {
                let mut values = Box::default();
                json::texts(value, ".Header", &mut values)?;
                read.header.insert(name.clone(), values);
            }
            Ok(())
        }
        _ => Ok(()),
    })?;
    Ok(canonical(&read))
}

fn canonical(read: &Definition) -> Option<Arc<str>> {
    let mut json = Json::new(false, 128);
    json.begin_object();
    for (name, duration) in [
        ("Interval", read.interval),
        ("Timeout", read.timeout),
        ("DeregisterCriticalServiceAfter", read.deregister_after),
    ] {
        if let Some(duration) = duration.filter(|duration| !duration.is_zero()) {
            json.field_string(name, &duration::format_duration(duration));
        }
    }
    let text = |json: &mut Json, name, value: &str| {
        if !value.is_empty() {
            json.field_string(name, value);
        }
    };
    text(&mut json, "HTTP", &read.http);
    if read.tls_skip_verify {
        json.field_boolean("TLSSkipVerify", true);
    }
    if !read.header.is_empty() {
        json.key("Header");
        json.begin_object();
        for (name, values) in &read.header {
            json.text_key(name);
            crate::json::records::texts(&mut json, values, crate::json::records::Empty::Shown);
        }
        json.end_object();
    }
    text(&mut json, "Method", &read.method);
    text(&mut json, "Body", &read.body);
    text(&mut json, "TCP", &read.tcp);
    json.end_object();
    let written = json.finish();
    if written == b"{}" {
        return None;
    }
    Some(String::from_utf8(written).expect("JSON of text is text").into())
}
