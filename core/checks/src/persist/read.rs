//! Reads what stands on disk. A file that cannot be used is an error in words, never a panic.

use crate::parse;
use crate::{CheckDefinition, CheckKind, ServiceDefinition};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CheckStatus, Duration, ServiceAddress, ServiceRegistration, Weights};
use serde::Deserialize;
use serde_json::Value;

/// A service as it was kept.
#[derive(Debug)]
pub(crate) struct KeptService {
    pub(crate) definition: ServiceDefinition,
}

/// A check as it was kept.
#[derive(Debug)]
pub(crate) struct KeptCheck {
    pub(crate) definition: CheckDefinition,
}

/// A TTL check's status as it was kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedState {
    pub(crate) id: Arc<str>,
    pub(crate) status: CheckStatus,
    pub(crate) output: Arc<str>,
    /// Seconds since the Unix epoch.
    pub(crate) expires: i64,
}

pub(crate) fn read_service(bytes: &[u8]) -> Result<KeptService, String> {
    let file: ServiceFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let service = file.service;
    if service.id.is_empty() || service.service.is_empty() {
        return Err("it names no service".into());
    }
    let Some(kind) = parse::kind(&service.kind) else {
        return Err(format!("kind {:?} is not known", service.kind));
    };
    let proxy = match &service.proxy {
        Value::Object(map) if kind != proconsul_types::ServiceKind::Typical && !map.is_empty() => {
            Some(service.proxy.to_string().into())
        }
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => None,
    };
    Ok(KeptService {
        definition: ServiceDefinition {
            registration: ServiceRegistration {
                id: service.id,
                name: service.service,
                kind,
                tags: service.tags.unwrap_or_default(),
                address: service.address,
                tagged_addresses: service
                    .tagged_addresses
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(tag, kept)| {
                        (tag, ServiceAddress { address: kept.address, port: kept.port })
                    })
                    .collect(),
                port: service.port,
                meta: service.meta.unwrap_or_default(),
                weights: service.weights.map_or_else(Weights::default, |kept| Weights {
                    passing: kept.passing,
                    warning: kept.warning,
                }),
                enable_tag_override: service.enable_tag_override,
                proxy,
                connect_native: service.connect.is_some_and(|connect| connect.native),
            },
            checks: Vec::new(),
            token: file.token,
        },
    })
}

pub(crate) fn read_check(bytes: &[u8]) -> Result<KeptCheck, String> {
    let file: CheckFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let check = file.check;
    if check.check_id.is_empty() {
        return Err("it names no check".into());
    }
    let kind = match (&file.chk_type, &*check.kind) {
        (None, "maintenance") => CheckKind::Fixed,
        (None, other) => return Err(format!("a check of type {other:?} has no definition")),
        (Some(kind), other) => {
            kind.kind().ok_or_else(|| format!("a check of type {other:?} cannot be run here"))?
        }
    };
    let kept = file.chk_type.unwrap_or_default();
    let status = CheckStatus::parse(&check.status).unwrap_or_default();
    let initial = match kind {
        CheckKind::Fixed => Some(status),
        CheckKind::Ttl(_)
        | CheckKind::Http { .. }
        | CheckKind::Tcp { .. }
        | CheckKind::Script { .. }
        | CheckKind::Alias { .. } => CheckStatus::parse(&kept.status),
    };
    Ok(KeptCheck {
        definition: CheckDefinition {
            id: check.check_id,
            name: check.name,
            notes: check.notes,
            service_id: check.service_id,
            kind,
            initial,
            success_before_passing: kept.success_before_passing,
            failures_before_critical: kept.failures_before_critical,
            deregister_after: Some(nanos(kept.deregister_critical_service_after))
                .filter(|after| !after.is_zero()),
            output_bytes_max: kept.output_max_size,
            token: file.token,
            typeless: false,
        },
    })
}

pub(crate) fn read_state(bytes: &[u8]) -> Result<SavedState, String> {
    let file: StateFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let Some(status) = CheckStatus::parse(&file.status) else {
        return Err(format!("status {:?} is not known", file.status));
    };
    Ok(SavedState { id: file.check_id, status, output: file.output, expires: file.expires })
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct ServiceFile {
    token: Arc<str>,
    service: ServiceForm,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct ServiceForm {
    #[serde(rename = "ID")]
    id: Arc<str>,
    service: Arc<str>,
    kind: String,
    tags: Option<Box<[Arc<str>]>>,
    address: Arc<str>,
    tagged_addresses: Option<BTreeMap<Arc<str>, AddressForm>>,
    meta: Option<BTreeMap<Arc<str>, Arc<str>>>,
    port: i32,
    weights: Option<WeightsForm>,
    enable_tag_override: bool,
    proxy: Value,
    connect: Option<ConnectForm>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct AddressForm {
    address: Arc<str>,
    port: i32,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct WeightsForm {
    passing: i32,
    warning: i32,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct ConnectForm {
    native: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct CheckFile {
    check: CheckForm,
    chk_type: Option<TypeForm>,
    token: Arc<str>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct CheckForm {
    #[serde(rename = "CheckID")]
    check_id: Arc<str>,
    name: Arc<str>,
    status: String,
    notes: Arc<str>,
    #[serde(rename = "ServiceID")]
    service_id: Arc<str>,
    #[serde(rename = "Type")]
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct TypeForm {
    status: String,
    #[serde(rename = "HTTP")]
    http: Arc<str>,
    header: Option<BTreeMap<Arc<str>, Vec<Arc<str>>>>,
    method: Arc<str>,
    body: Arc<str>,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
    #[serde(rename = "TCP")]
    tcp: Arc<str>,
    script_args: Option<Box<[Arc<str>]>>,
    interval: i64,
    timeout: i64,
    #[serde(rename = "TTL")]
    ttl: i64,
    alias_node: Arc<str>,
    alias_service: Arc<str>,
    success_before_passing: u32,
    failures_before_critical: u32,
    deregister_critical_service_after: i64,
    output_max_size: usize,
}

impl TypeForm {
    fn kind(&self) -> Option<CheckKind> {
        let interval = nanos(self.interval);
        let timeout = parse::timeout(nanos(self.timeout));
        if self.ttl > 0 {
            Some(CheckKind::Ttl(nanos(self.ttl)))
        } else if !self.http.is_empty() && !interval.is_zero() {
            let headers = self.header.iter().flatten();
            Some(CheckKind::Http {
                url: self.http.clone(),
                method: self.method.clone(),
                headers: headers
                    .flat_map(|(name, values)| {
                        values.iter().map(|value| (name.clone(), value.clone()))
                    })
                    .collect(),
                body: self.body.clone(),
                tls_skip_verify: self.tls_skip_verify,
                interval,
                timeout,
            })
        } else if !self.tcp.is_empty() && !interval.is_zero() {
            Some(CheckKind::Tcp { address: self.tcp.clone(), interval, timeout })
        } else if let Some(args) = self.script_args.as_ref().filter(|args| !args.is_empty())
            && !interval.is_zero()
        {
            Some(CheckKind::Script { args: args.clone(), interval, timeout })
        } else if !self.alias_node.is_empty() || !self.alias_service.is_empty() {
            let (node, service) = (self.alias_node.clone(), self.alias_service.clone());
            Some(CheckKind::Alias { node, service })
        } else {
            None
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct StateFile {
    #[serde(rename = "CheckID")]
    check_id: Arc<str>,
    output: Arc<str>,
    status: String,
    expires: i64,
}

fn nanos(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
