//! Where registrations stand on disk, and what stands there.

use crate::{CheckDefinition, CheckKind, ServiceDefinition};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::Write;
use md5::{Digest, Md5};
use proconsul_types::{CheckStatus, Duration, ServiceKind};
use serde_json::{Map, Value, json};

/// Where a service is kept.
pub(crate) fn service_path(id: &str) -> Arc<str> {
    format!("services/{}", hash(id)).into()
}

/// Where a check is kept.
pub(crate) fn check_path(id: &str) -> Arc<str> {
    format!("checks/{}", hash(id)).into()
}

/// Where a TTL check's status is kept.
pub(crate) fn state_path(id: &str) -> Arc<str> {
    format!("checks/state/{}", hash(id)).into()
}

/// The content of a service's file.
pub(crate) fn service_file(definition: &ServiceDefinition) -> Bytes {
    let service = &definition.registration;
    let mut value = json!({
        "ID": &*service.id,
        "Service": &*service.name,
        "Tags": texts(&service.tags),
        "Address": &*service.address,
    });
    let map = fields(&mut value);
    if service.kind != ServiceKind::Typical {
        map.insert("Kind".into(), kind_word(service.kind).into());
    }
    if !service.tagged_addresses.is_empty() {
        let addresses = service.tagged_addresses.iter().map(|(tag, address)| {
            let value = json!({ "Address": &*address.address, "Port": address.port });
            (String::from(&**tag), value)
        });
        map.insert("TaggedAddresses".into(), Value::Object(addresses.collect()));
    }
    let meta = service.meta.iter().map(|(key, value)| (String::from(&**key), (&**value).into()));
    map.insert("Meta".into(), Value::Object(meta.collect()));
    map.insert("Port".into(), service.port.into());
    map.insert(
        "Weights".into(),
        json!({ "Passing": service.weights.passing, "Warning": service.weights.warning }),
    );
    map.insert("EnableTagOverride".into(), service.enable_tag_override.into());
    let proxy = service.proxy.as_deref().and_then(|text| serde_json::from_str(text).ok());
    map.insert("Proxy".into(), proxy.unwrap_or_else(|| json!({})));
    let connect = if service.connect_native { json!({ "Native": true }) } else { json!({}) };
    map.insert("Connect".into(), connect);
    bytes(&json!({ "Token": &*definition.token, "Service": value, "Source": "remote" }))
}

/// The content of a check's file.
pub(crate) fn check_file(
    node: &str,
    check: &CheckDefinition,
    service_name: &str,
    service_tags: &[Arc<str>],
    status: CheckStatus,
    output: &str,
) -> Bytes {
    bytes(&json!({
        "Check": {
            "Node": node,
            "CheckID": &*check.id,
            "Name": &*check.name,
            "Status": status.as_str(),
            "Notes": &*check.notes,
            "Output": output,
            "ServiceID": &*check.service_id,
            "ServiceName": service_name,
            "ServiceTags": texts(service_tags),
            "Type": check.type_word(),
            "Definition": {},
            "CreateIndex": 0,
            "ModifyIndex": 0,
        },
        "ChkType": check_type(check),
        "Token": &*check.token,
        "Source": "remote",
    }))
}

/// The content of a TTL check's status file; `expires` in seconds since the Unix epoch.
pub(crate) fn state_file(id: &str, output: &str, status: CheckStatus, expires: i64) -> Bytes {
    bytes(&json!({
        "CheckID": id,
        "Output": output,
        "Status": status.as_str(),
        "Expires": expires,
    }))
}

fn check_type(check: &CheckDefinition) -> Value {
    let mut value = json!({
        "CheckID": &*check.id,
        "Name": &*check.name,
        "Status": check.initial.map_or("", CheckStatus::as_str),
        "Notes": &*check.notes,
        "SuccessBeforePassing": check.success_before_passing,
        "FailuresBeforeCritical": check.failures_before_critical,
        "DeregisterCriticalServiceAfter": nanos(check.deregister_after.unwrap_or_default()),
        "OutputMaxSize": check.output_bytes_max,
    });
    let map = fields(&mut value);
    match &check.kind {
        CheckKind::Ttl(ttl) => {
            map.insert("TTL".into(), nanos(*ttl).into());
        }
        CheckKind::Http { url, method, headers, body, tls_skip_verify, interval, timeout } => {
            let mut lists = Map::new();
            for (name, value) in headers {
                let list = lists.entry(&**name).or_insert_with(|| Value::Array(Vec::new()));
                if let Some(list) = list.as_array_mut() {
                    list.push((&**value).into());
                }
            }
            map.insert("HTTP".into(), (&**url).into());
            map.insert("Header".into(), Value::Object(lists));
            map.insert("Method".into(), (&**method).into());
            map.insert("Body".into(), (&**body).into());
            map.insert("TLSSkipVerify".into(), (*tls_skip_verify).into());
            map.insert("Interval".into(), nanos(*interval).into());
            map.insert("Timeout".into(), nanos(*timeout).into());
        }
        CheckKind::Tcp { address, interval, timeout } => {
            map.insert("TCP".into(), (&**address).into());
            map.insert("Interval".into(), nanos(*interval).into());
            map.insert("Timeout".into(), nanos(*timeout).into());
        }
        CheckKind::Script { args, interval, timeout } => {
            map.insert("ScriptArgs".into(), texts(args));
            map.insert("Interval".into(), nanos(*interval).into());
            map.insert("Timeout".into(), nanos(*timeout).into());
        }
        CheckKind::Alias { node, service } => {
            map.insert("AliasNode".into(), (&**node).into());
            map.insert("AliasService".into(), (&**service).into());
        }
        CheckKind::Fixed => return Value::Null,
    }
    value
}

/// The word of the API for a kind of service.
pub(crate) fn kind_word(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Typical => "",
        ServiceKind::ConnectProxy => "connect-proxy",
        ServiceKind::MeshGateway => "mesh-gateway",
        ServiceKind::TerminatingGateway => "terminating-gateway",
        ServiceKind::IngressGateway => "ingress-gateway",
    }
}

fn texts(texts: &[Arc<str>]) -> Value {
    Value::Array(texts.iter().map(|text| (&**text).into()).collect())
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn fields(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("it was made as an object")
}

fn bytes(value: &Value) -> Bytes {
    serde_json::to_vec(value).expect("keys are strings and nothing else can fail").into()
}

fn hash(id: &str) -> String {
    let mut text = String::with_capacity(32);
    for byte in Md5::digest(id.as_bytes()) {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_consuls() {
        assert_eq!(&*service_path("web"), "services/2567a5ec9705eb7ac2c984033e06189d");
        assert_eq!(&*check_path("service:web"), "checks/4221bab6c8ffcb416a8bbafb21d26863");
        assert_eq!(&*state_path("cc"), "checks/state/e0323a9039add2978bf5b49550572c7c");
    }
}
