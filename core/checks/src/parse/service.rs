//! Definitions of services.

use super::check::{Form, Place};
use super::{Origin, ParseError, Scripts, below, field_name, json, kind, unknown};
use crate::ServiceDefinition;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use proconsul_types::{
    CheckStatus, ServiceAddress, ServiceKind, ServiceRegistration, TextMap, Weights,
};
use serde_json::Value;

/// Most pairs of metadata.
const META_PAIRS_MAX: usize = 64;
/// Longest key of metadata.
const META_KEY_MAX: usize = 128;
/// Longest value of metadata.
const META_VALUE_MAX: usize = 512;

/// The fields of a `Proxy` object.
const PROXY_FIELDS: [&str; 9] = [
    "destinationservicename",
    "destinationserviceid",
    "localserviceaddress",
    "localserviceport",
    "config",
    "upstreams",
    "meshgateway",
    "expose",
    "mode",
];

/// The body of `/v1/agent/service/register`.
///
/// # Errors
/// The status code and text of the answer.
pub fn service_registration(
    body: &[u8],
    scripts: Scripts,
) -> Result<ServiceDefinition, ParseError> {
    let value = json::decode(body).map_err(|reason| ParseError::decode(&reason))?;
    service_definition(&value, Origin::Api(scripts))
}

/// A service: an API body, or a `service` of a configuration file.
///
/// # Errors
/// The status code of the API and the text.
pub fn service_definition(value: &Value, origin: Origin) -> Result<ServiceDefinition, ParseError> {
    let mut form = Written::default();
    form.read(value, origin).map_err(|reason| match origin {
        Origin::Api(_) => ParseError::decode(&reason),
        Origin::File => ParseError::bad(reason),
    })?;
    let mut service = form.service;
    if service.name.is_empty() {
        return Err(ParseError::bad("Missing service name".into()));
    }
    if service.id.is_empty() {
        service.id = service.name.clone();
    }
    if matches!(&*service.address, "0.0.0.0" | "::" | "[::]") {
        return Err(ParseError::bad("Invalid service address".into()));
    }
    valid_weights(service.weights)
        .map_err(|reason| ParseError::bad(format!("Invalid Weights: {reason}")))?;
    valid_meta(&service.meta)
        .map_err(|reason| ParseError::bad(format!("Invalid Service Meta: {reason}")))?;
    let Some(kind) = kind(&form.kind) else {
        return Err(ParseError::bad(format!("Invalid service kind: {:?}", &*form.kind)));
    };
    service.kind = kind;
    if form.sidecar {
        let text = "Connect.SidecarService is not known to this agent";
        return Err(ParseError::bad(text.into()));
    }
    service.proxy = match form.proxy {
        Value::Object(map) if kind != ServiceKind::Typical && !map.is_empty() => {
            Some(Value::Object(map).to_string().into())
        }
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => None,
    };
    valid_proxy(kind, &form.destination, service.port).map_err(ParseError::bad)?;
    for check in &form.checks {
        check.validate().map_err(|reason| ParseError::bad(format!("Invalid check: {reason}")))?;
    }
    for check in &form.checks {
        if !check.status.is_empty() && CheckStatus::parse(&check.status).is_none() {
            let text = "Status for checks must 'passing', 'warning', 'critical'";
            return Err(ParseError::bad(text.into()));
        }
    }
    tag_addresses(&mut service);
    let many = form.checks.len() > 1;
    let mut checks = Vec::new();
    for (place, check) in (1..).zip(form.checks) {
        let mut check = check.definition(origin)?;
        let id = &service.id;
        if check.id.is_empty() {
            check.id = if many {
                format!("service:{id}:{place}").into()
            } else {
                format!("service:{id}").into()
            };
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", service.name).into();
        }
        check.service_id = id.clone();
        checks.push(check);
    }
    Ok(ServiceDefinition { registration: service, checks, token: form.token })
}

/// A service as written.
#[derive(Default)]
struct Written {
    service: ServiceRegistration,
    token: Arc<str>,
    kind: Arc<str>,
    proxy: Value,
    destination: Arc<str>,
    sidecar: bool,
    checks: Vec<Form>,
}

impl Written {
    fn read(&mut self, value: &Value, origin: Origin) -> Result<(), String> {
        let Some(map) = json::fields(value, "structs.ServiceDefinition")? else { return Ok(()) };
        let service = &mut self.service;
        let mut single = None;
        for (key, value) in map {
            match field_name(origin, key).as_str() {
                "name" => json::text(value, ".Name", &mut service.name)?,
                "id" => json::text(value, ".ID", &mut service.id)?,
                "kind" => json::text(value, ".Kind", &mut self.kind)?,
                "tags" => json::texts(value, ".Tags", &mut service.tags)?,
                "address" => json::text(value, ".Address", &mut service.address)?,
                "port" => json::small_int(value, ".Port", &mut service.port)?,
                "meta" => json::text_map(value, ".Meta", &mut service.meta)?,
                "token" => json::text(value, ".Token", &mut self.token)?,
                "enabletagoverride" | "enable_tag_override" => {
                    let out = &mut service.enable_tag_override;
                    json::boolean(value, ".EnableTagOverride", out)?;
                }
                "taggedaddresses" | "tagged_addresses" => {
                    let out = &mut service.tagged_addresses;
                    for (tag, address) in addresses(value)? {
                        out.insert(tag, address);
                    }
                }
                "weights" => weights(value, &mut service.weights)?,
                "check" => {
                    let form = Form::read(value, origin, Place::InService);
                    single = Some(form.map_err(|reason| below(key, reason))?);
                }
                "checks" => {
                    let list = json::array(value, ".Checks", "structs.CheckTypes")?;
                    for (place, value) in list.iter().enumerate() {
                        let form = Form::read(value, origin, Place::InService);
                        let path = || format!("{key}[{place}]");
                        self.checks.push(form.map_err(|reason| below(&path(), reason))?);
                    }
                }
                "proxy" => self.destination = proxy(value, &mut self.proxy)?,
                "connect" => self.sidecar = connect(value, &mut service.connect_native)?,
                _ => return Err(unknown(origin, key)),
            }
        }
        // The single check counts before those of the list; an empty one is none.
        if let Some(check) = single.filter(|check| !check.is_empty()) {
            self.checks.insert(0, check);
        }
        Ok(())
    }
}

fn addresses(value: &Value) -> Result<Vec<(Arc<str>, ServiceAddress)>, String> {
    let mut addresses = Vec::new();
    let target = "map[string]structs.ServiceAddress";
    let map = json::object(value, ".TaggedAddresses", target)?;
    for (tag, value) in map.into_iter().flatten() {
        let mut address = ServiceAddress { address: "".into(), port: 0 };
        let fields = json::object(value, ".TaggedAddresses", "structs.ServiceAddress")?;
        for (key, value) in fields.into_iter().flatten() {
            match key.to_ascii_lowercase().as_str() {
                "address" => {
                    let field = "ServiceAddress.TaggedAddresses.Address";
                    json::text(value, field, &mut address.address)?;
                }
                "port" => {
                    let field = "ServiceAddress.TaggedAddresses.Port";
                    json::small_int(value, field, &mut address.port)?;
                }
                _ => return Err(json::unknown_field(key)),
            }
        }
        addresses.push((tag.as_str().into(), address));
    }
    Ok(addresses)
}

/// Weights as written: what is left out is 0, unless nothing was written at all.
fn weights(value: &Value, out: &mut Weights) -> Result<(), String> {
    let Some(map) = json::object(value, ".Weights", "structs.Weights")? else { return Ok(()) };
    let mut weights = Weights { passing: 0, warning: 0 };
    for (key, value) in map {
        match key.to_ascii_lowercase().as_str() {
            "passing" => json::small_int(value, "Weights.Weights.Passing", &mut weights.passing)?,
            "warning" => json::small_int(value, "Weights.Weights.Warning", &mut weights.warning)?,
            _ => return Err(json::unknown_field(key)),
        }
    }
    *out = weights;
    Ok(())
}

/// Keeps a proxy's object as it is; gives the name it stands for.
fn proxy(value: &Value, out: &mut Value) -> Result<Arc<str>, String> {
    let mut destination = Arc::default();
    let map = json::object(value, ".Proxy", "structs.ConnectProxyConfig")?;
    for (key, value) in map.into_iter().flatten() {
        let mut name = key.to_ascii_lowercase();
        name.retain(|letter| letter != '_');
        if !PROXY_FIELDS.contains(&name.as_str()) {
            return Err(json::unknown_field(key));
        }
        if name == "destinationservicename" {
            json::text(value, ".Proxy", &mut destination)?;
        }
    }
    *out = value.clone();
    Ok(destination)
}

/// Whether a sidecar is wanted; sets whether the service speaks Connect itself.
fn connect(value: &Value, native: &mut bool) -> Result<bool, String> {
    let mut sidecar = false;
    let map = json::object(value, ".Connect", "structs.ServiceConnect")?;
    for (key, value) in map.into_iter().flatten() {
        match key.to_ascii_lowercase().as_str() {
            "native" => json::boolean(value, ".Connect", native)?,
            "sidecarservice" | "sidecar_service" => sidecar = !value.is_null(),
            _ => {}
        }
    }
    Ok(sidecar)
}

fn valid_weights(weights: Weights) -> Result<(), &'static str> {
    if weights.passing < 1 {
        return Err("Passing must be greater than 0");
    }
    if weights.warning < 0 {
        return Err("Warning must be greater or equal than 0");
    }
    if weights.passing > 65535 || weights.warning > 65535 {
        return Err("DNS Weight must be between 0 and 65535");
    }
    Ok(())
}

/// Whether metadata keeps to its bounds. The text names the first pair that does not.
fn valid_meta(meta: &TextMap) -> Result<(), String> {
    if meta.len() > META_PAIRS_MAX {
        return Err(format!(
            "Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs"
        ));
    }
    for (key, value) in meta {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let reason = if key.is_empty() {
            "Key cannot be blank".into()
        } else if !key.chars().all(allowed) {
            "Key contains invalid characters".into()
        } else if key.len() > META_KEY_MAX {
            format!("Key is too long (limit: {META_KEY_MAX} characters)")
        } else if key.starts_with("consul-") {
            "Key prefix 'consul-' is reserved for internal use".into()
        } else if value.len() > META_VALUE_MAX {
            format!("Value is too long (limit: {META_VALUE_MAX} characters)")
        } else {
            continue;
        };
        return Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {reason}"));
    }
    Ok(())
}

fn valid_proxy(kind: ServiceKind, destination: &str, port: i32) -> Result<(), String> {
    let mut errors = Vec::new();
    match kind {
        ServiceKind::ConnectProxy => {
            if destination.trim().is_empty() {
                errors.push(
                    "Proxy.DestinationServiceName must be non-empty for Connect proxy services",
                );
            }
            if port == 0 {
                errors.push("Port must be set for a Connect proxy");
            }
        }
        ServiceKind::MeshGateway => {
            if port == 0 {
                errors.push("Port must be non-zero for a Mesh Gateway");
            }
        }
        ServiceKind::TerminatingGateway => {
            if port == 0 {
                errors.push("Port must be non-zero for a Terminating Gateway");
            }
        }
        ServiceKind::IngressGateway | ServiceKind::Typical => {}
    }
    if errors.is_empty() {
        return Ok(());
    }
    let plural = if errors.len() == 1 { "error" } else { "errors" };
    let mut text = format!("{} {plural} occurred:\n", errors.len());
    for error in errors {
        text.push_str("\t* ");
        text.push_str(error);
        text.push('\n');
    }
    text.push('\n');
    Err(text)
}

/// Adds the tagged addresses that follow from a literal address.
fn tag_addresses(service: &mut ServiceRegistration) {
    let tags = match service.address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => ["lan_ipv4", "wan_ipv4"],
        Ok(IpAddr::V6(_)) => ["lan_ipv6", "wan_ipv6"],
        Err(_) => return,
    };
    for tag in tags {
        let address = ServiceAddress { address: service.address.clone(), port: service.port };
        service.tagged_addresses.entry(tag.into()).or_insert(address);
    }
}
