//! A proxy's configuration: read, checked, and written again in the one form that is kept.

use super::{Decoded, each_field};
use crate::json::Json;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use proconsul_checks::parse::json;
use proconsul_types::ServiceKind;
use serde_json::Value;

/// Reads a `Proxy` object: its canonical JSON (`None` if there is nothing in it) and the name of
/// the service it stands for.
pub(super) fn read(value: &Value) -> Decoded<(Option<Arc<str>>, Arc<str>)> {
    let mut out = Json::new(false, 256);
    let field = "NodeService.Service.Proxy";
    let Some(fields) = json::object(value, field, "structs.ConnectProxyConfig")? else {
        return Ok((None, Arc::from("")));
    };
    let at = |field: &str| format!("ConnectProxyConfig.Service.Proxy.{field}");
    let [mut name, mut id, mut address] = [""; 3].map(Arc::<str>::from);
    let mut port = 0;
    let (mut config, mut upstreams, mut gateway, mut expose) =
        (Value::Null, Value::Null, Value::Null, Value::Null);
    each_field(Some(fields), |key, given, value| {
        match key {
            "destinationservicename" | "destination_service_name" => {
                json::text(value, &at("DestinationServiceName"), &mut name)?;
            }
            "destinationserviceid" | "destination_service_id" => {
                json::text(value, &at("DestinationServiceID"), &mut id)?;
            }
            "localserviceaddress" | "local_service_address" => {
                json::text(value, &at("LocalServiceAddress"), &mut address)?;
            }
            "localserviceport" | "local_service_port" => {
                json::int(value, &at("LocalServicePort"), &mut port)?;
            }
            "config" => config = value.clone(),
            "upstreams" => {
                json::array(value, &at("Upstreams"), "structs.Upstreams")?;
                upstreams = value.clone();
            }
            "meshgateway" | "mesh_gateway" => gateway = value.clone(),
            "expose" => expose = value.clone(),
            _ => return Err(json::unknown_field(given)),
        }
        Ok(())
    })?;
    out.begin_object();
    text(&mut out, "DestinationServiceName", &name);
    text(&mut out, "DestinationServiceID", &id);
    text(&mut out, "LocalServiceAddress", &address);
    if port != 0 {
        out.field_signed("LocalServicePort", port);
    }
    if config.as_object().is_some_and(|map| !map.is_empty()) {
        out.key("Config");
        sorted(&mut out, &config);
    }
    if let Some(list) = upstreams.as_array().filter(|list| !list.is_empty()) {
        out.key("Upstreams");
        out.begin_array();
        for upstream in list {
            write_upstream(&mut out, upstream)?;
        }
        out.end_array();
    }
    out.key("MeshGateway");
    mode(&mut out, &gateway);
    out.key("Expose");
    write_expose(&mut out, &expose);
    out.end_object();
    let written = String::from_utf8(out.finish()).expect("JSON of text is text");
    let is_empty = written == r#"{"MeshGateway":{},"Expose":{}}"#;
    Ok(((!is_empty).then(|| written.into()), name))
}

/// Refuses a proxy that stands for nothing.
pub(super) fn validate(kind: ServiceKind, destination: &str, port: i32) -> Result<(), String> {
    if kind != ServiceKind::ConnectProxy {
        return Ok(());
    }
    let mut errors = alloc::vec::Vec::new();
    if destination.is_empty() {
        errors.push("Proxy.DestinationServiceName must be non-empty for Connect proxy services");
    }
    if port == 0 {
        errors.push("Port must be set for a Connect proxy");
    }
    match errors.len() {
        0 => Ok(()),
        1 => Err(format!("1 error occurred:\n\t* {}\n\n", errors[0])),
        count => Err(format!("{count} errors occurred:\n\t* {}\n\n", errors.join("\n\t* "))),
    }
}

fn text(out: &mut Json, name: &'static str, value: &str) {
    if !value.is_empty() {
        out.field_string(name, value);
    }
}

/// The members of an object by their lower-case names.
fn members(value: &Value) -> BTreeMap<String, &Value> {
    let map = value.as_object().into_iter().flatten();
    map.map(|(key, value)| (key.to_ascii_lowercase().replace('_', ""), value)).collect()
}

fn mode(out: &mut Json, value: &Value) {
    out.begin_object();
    if let Some(mode) = members(value).get("mode").and_then(|mode| mode.as_str()) {
        text(out, "Mode", mode);
    }
    out.end_object();
}

fn write_upstream(out: &mut Json, value: &Value) -> Decoded<()> {
    json::object(value, "ConnectProxyConfig.Service.Proxy.Upstreams", "structs.Upstream")?;
    let members = members(value);
    let word = |name: &str| members.get(name).and_then(|value| value.as_str()).unwrap_or("");
    let number = |name: &str| members.get(name).and_then(|value| value.as_i64()).unwrap_or(0);
    out.begin_object();
    out.field_string("DestinationType", word("destinationtype"));
    text(out, "DestinationNamespace", word("destinationnamespace"));
    out.field_string("DestinationName", word("destinationname"));
    out.field_string("Datacenter", word("datacenter"));
    text(out, "LocalBindAddress", word("localbindaddress"));
    out.field_signed("LocalBindPort", number("localbindport"));
    out.key("Config");
    match members.get("config") {
        Some(config) => sorted(out, config),
        None => out.null(),
    }
    out.key("MeshGateway");
    mode(out, members.get("meshgateway").copied().unwrap_or(&Value::Null));
    out.end_object();
    Ok(())
}

fn write_expose(out: &mut Json, value: &Value) {
    let expose = members(value);
    out.begin_object();
    if expose.get("checks").and_then(|value| value.as_bool()) == Some(true) {
        out.field_boolean("Checks", true);
    }
    let paths = expose.get("paths").and_then(|value| value.as_array());
    if let Some(paths) = paths.filter(|paths| !paths.is_empty()) {
        out.key("Paths");
        out.begin_array();
        for path in paths {
            let path = members(path);
            let word = |name: &str| path.get(name).and_then(|value| value.as_str()).unwrap_or("");
            let number = |name: &str| path.get(name).and_then(|value| value.as_i64()).unwrap_or(0);
            out.begin_object();
            if number("listenerport") != 0 {
                out.field_signed("ListenerPort", number("listenerport"));
            }
            text(out, "Path", word("path"));
            if number("localpathport") != 0 {
                out.field_signed("LocalPathPort", number("localpathport"));
            }
            text(out, "Protocol", word("protocol"));
            out.field_boolean("ParsedFromCheck", false);
            out.end_object();
        }
        out.end_array();
    }
    out.end_object();
}

/// Any JSON with the members of its objects in order, as Go writes maps.
fn sorted(out: &mut Json, value: &Value) {
    match value {
        Value::Null => out.null(),
        Value::Bool(value) => out.boolean(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => out.unsigned(number),
            (_, Some(number), _) => out.signed(number),
            (_, _, Some(number)) => out.raw(&format!("{number}")),
            (None, None, None) => out.null(),
        },
        Value::String(text) => out.string(text),
        Value::Array(list) => {
            out.begin_array();
            for value in list {
                sorted(out, value);
            }
            out.end_array();
        }
        Value::Object(map) => {
            let map: BTreeMap<_, _> = map.iter().collect();
            out.begin_object();
            for (key, value) in map {
                out.text_key(key);
                sorted(out, value);
            }
            out.end_object();
        }
    }
}
