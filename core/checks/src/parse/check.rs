//! Definitions of checks.

use super::{Origin, ParseError, Scripts, field_name, json, timeout, unknown};
use crate::{CheckDefinition, CheckKind};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CheckStatus, Duration};
use serde_json::Value;

const SCRIPTS_DISABLED: &str = "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true";

/// The body of `/v1/agent/check/register`.
///
/// # Errors
/// The status code and text of the answer.
pub fn check_registration(body: &[u8], scripts: Scripts) -> Result<CheckDefinition, ParseError> {
    let value = json::decode(body).map_err(|reason| ParseError::decode(&reason))?;
    check_definition(&value, Origin::Api(scripts))
}

/// A check that stands alone: an API body, or a `check` of a configuration file.
///
/// # Errors
/// The status code of the API and the text.
pub fn check_definition(value: &Value, origin: Origin) -> Result<CheckDefinition, ParseError> {
    let form = Form::read(value, origin, Place::Alone).map_err(|reason| match origin {
        Origin::Api(_) => ParseError::decode(&reason),
        Origin::File => ParseError::bad(reason),
    })?;
    if form.name.is_empty() {
        return Err(ParseError::bad("Missing check name".into()));
    }
    if !form.status.is_empty() && CheckStatus::parse(&form.status).is_none() {
        return Err(ParseError::bad("Bad check status".into()));
    }
    form.validate().map_err(|reason| ParseError::bad(format!("Invalid check: {reason}")))?;
    let mut check = form.definition(origin)?;
    check.typeless = origin == Origin::File;
    if check.id.is_empty() {
        check.id = check.name.clone();
    }
    Ok(check)
}

/// Name and value of a header; a name may come more than once.
type Header = (Arc<str>, Arc<str>);

/// Where a check stands: decides what its fields are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    InService,
}

/// A check as written.
#[derive(Debug, Default)]
pub(super) struct Form {
    id: Arc<str>,
    name: Arc<str>,
    notes: Arc<str>,
    pub(super) status: Arc<str>,
    service_id: Arc<str>,
    token: Arc<str>,
    args: alloc::boxed::Box<[Arc<str>]>,
    docker: Arc<str>,
    shell: Arc<str>,
    http: Arc<str>,
    method: Arc<str>,
    body: Arc<str>,
    headers: Vec<Header>,
    tcp: Arc<str>,
    grpc: Arc<str>,
    alias_node: Arc<str>,
    alias_service: Arc<str>,
    tls_skip_verify: bool,
    ttl: Option<Duration>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    deregister_after: Option<Duration>,
    success_before_passing: i64,
    failures_before_critical: i64,
    output_max: i64,
    /// Whether any field was given.
    given: bool,
}

impl Form {
    pub(super) fn read(value: &Value, origin: Origin, place: Place) -> Result<Self, String> {
        let mut form = Self::default();
        let (context, target) = match place {
            Place::Alone => ("", "structs.CheckDefinition"),
            Place::InService => (".Check", "structs.CheckType"),
        };
        let map = match place {
            Place::Alone => json::fields(value, target)?,
            Place::InService => json::object(value, context, target)?,
        };
        for (key, value) in map.into_iter().flatten() {
            let name = field_name(origin, key);
            if !form.field(&name, value, origin, place)? {
                return Err(unknown(origin, key));
            }
            form.given |= !is_empty(value);
        }
        Ok(form)
    }

    /// Takes over one field; false if there is none of this name.
    fn field(
        &mut self,
        name: &str,
        value: &Value,
        origin: Origin,
        place: Place,
    ) -> Result<bool, String> {
        let at = |field: &'static str| match place {
            Place::Alone => field,
            Place::InService => ".Check",
        };
        let file = origin == Origin::File;
        match name {
            "id" if place == Place::Alone || file => json::text(value, at(".ID"), &mut self.id)?,
            "checkid" if place == Place::InService || file => {
                json::text(value, at(".CheckID"), &mut self.id)?;
            }
            "name" => json::text(value, at(".Name"), &mut self.name)?,
            "notes" => json::text(value, at(".Notes"), &mut self.notes)?,
            "status" => json::text(value, at(".Status"), &mut self.status)?,
            "serviceid" | "service_id" if place == Place::Alone => {
                json::text(value, at(".ServiceID"), &mut self.service_id)?;
            }
            "token" if place == Place::Alone => json::text(value, at(".Token"), &mut self.token)?,
            "args" | "scriptargs" | "script_args" => {
                json::texts(value, at(".ScriptArgs"), &mut self.args)?;
            }
            "dockercontainerid" | "docker_container_id" => {
                json::text(value, at(".DockerContainerID"), &mut self.docker)?;
            }
            "shell" => json::text(value, at(".Shell"), &mut self.shell)?,
            "http" => json::text(value, at(".HTTP"), &mut self.http)?,
            "method" => json::text(value, at(".Method"), &mut self.method)?,
            "body" => json::text(value, at(".Body"), &mut self.body)?,
            "header" => self.headers = headers(value, at(".Header"))?,
            "tcp" => json::text(value, at(".TCP"), &mut self.tcp)?,
            "grpc" => json::text(value, at(".GRPC"), &mut self.grpc)?,
            "grpcusetls" => json::boolean(value, at(".GRPCUseTLS"), &mut false)?,
            "proxyhttp" | "proxygrpc" => json::text(value, at(".ProxyHTTP"), &mut Arc::default())?,
            "aliasnode" | "alias_node" => {
                json::text(value, at(".AliasNode"), &mut self.alias_node)?;
            }
            "aliasservice" | "alias_service" => {
                json::text(value, at(".AliasService"), &mut self.alias_service)?;
            }
            "tlsskipverify" | "tls_skip_verify" => {
                json::boolean(value, at(".TLSSkipVerify"), &mut self.tls_skip_verify)?;
            }
            "ttl" => json::duration(value, &mut self.ttl)?,
            "interval" => json::duration(value, &mut self.interval)?,
            "timeout" => json::duration(value, &mut self.timeout)?,
            "deregistercriticalserviceafter" | "deregister_critical_service_after" => {
                json::duration(value, &mut self.deregister_after)?;
            }
            "successbeforepassing" => {
                json::int(value, at(".SuccessBeforePassing"), &mut self.success_before_passing)?;
            }
            "failuresbeforecritical" => {
                json::int(
                    value,
                    at(".FailuresBeforeCritical"),
                    &mut self.failures_before_critical,
                )?;
            }
            "outputmaxsize" => json::int(value, at(".OutputMaxSize"), &mut self.output_max)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether nothing was written, so that there is no check at all.
    pub(super) fn is_empty(&self) -> bool {
        !self.given
    }

    /// Whether the fields make one kind of check, in the order Consul looks at them.
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        let set = |duration: Option<Duration>| duration.is_some_and(|given| !given.is_zero());
        let probes = !self.args.is_empty()
            || !self.http.is_empty()
            || !self.tcp.is_empty()
            || !self.grpc.is_empty();
        let alias = !self.alias_node.is_empty() || !self.alias_service.is_empty();
        if set(self.interval) && set(self.ttl) {
            return Err("Interval and TTL cannot both be specified");
        }
        if probes && !set(self.interval) {
            return Err("Interval must be > 0 for Script, HTTP, or TCP checks");
        }
        if probes && alias {
            return Err("Interval cannot be set for Alias checks");
        }
        if alias && set(self.ttl) {
            return Err("TTL must be not be set for Alias checks");
        }
        if !probes && !alias && !set(self.ttl) {
            return Err("TTL must be > 0 for TTL checks");
        }
        if self.output_max < 0 {
            return Err("MaxOutputMaxSize must be positive");
        }
        Ok(())
    }

    /// The definition; `validate` found nothing wrong.
    pub(super) fn definition(self, origin: Origin) -> Result<CheckDefinition, ParseError> {
        // Whether a file may name programs is for whoever reads it to say.
        if origin == Origin::Api(Scripts::Refused)
            && !(self.args.is_empty() && self.docker.is_empty())
        {
            return Err(ParseError { status: 500, text: SCRIPTS_DISABLED.into() });
        }
        if !self.docker.is_empty() {
            let text = "Invalid check: this agent does not run Docker checks";
            return Err(ParseError::bad(text.into()));
        }
        let interval = self.interval.unwrap_or_default();
        let timeout = timeout(self.timeout.unwrap_or_default());
        let kind = if !self.alias_node.is_empty() || !self.alias_service.is_empty() {
            CheckKind::Alias { node: self.alias_node, service: self.alias_service }
        } else if !self.args.is_empty() {
            CheckKind::Script { args: self.args, interval, timeout }
        } else if !self.http.is_empty() {
            if is_https(&self.http) {
                let text = "Invalid check: this agent does not run HTTPS checks";
                return Err(ParseError::bad(text.into()));
            }
            CheckKind::Http {
                url: self.http,
                method: self.method,
                headers: self.headers,
                body: self.body,
                tls_skip_verify: self.tls_skip_verify,
                interval,
                timeout,
            }
        } else if !self.tcp.is_empty() {
            CheckKind::Tcp { address: self.tcp, interval, timeout }
        } else if !self.grpc.is_empty() {
            let text = "Invalid check: this agent does not run gRPC checks";
            return Err(ParseError::bad(text.into()));
        } else {
            CheckKind::Ttl(self.ttl.unwrap_or_default())
        };
        Ok(CheckDefinition {
            id: self.id,
            name: self.name,
            notes: self.notes,
            service_id: self.service_id,
            kind,
            initial: CheckStatus::parse(&self.status),
            success_before_passing: u32::try_from(self.success_before_passing).unwrap_or(0),
            failures_before_critical: u32::try_from(self.failures_before_critical).unwrap_or(0),
            deregister_after: self.deregister_after.filter(|after| !after.is_zero()),
            output_bytes_max: usize::try_from(self.output_max).unwrap_or(0),
            token: self.token,
            typeless: false,
        })
    }
}

/// Whether a URL asks for TLS, which is not spoken: such a check would never pass.
fn is_https(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| scheme.trim().eq_ignore_ascii_case("https"))
}

fn headers(value: &Value, field: &str) -> Result<Vec<Header>, String> {
    let mut headers = Vec::new();
    let map = json::object(value, field, "map[string][]string")?;
    for (name, values) in map.into_iter().flatten() {
        for value in json::array(values, field, "[]string")? {
            let mut one = Arc::default();
            json::text(value, field, &mut one)?;
            headers.push((name.as_str().into(), one));
        }
    }
    Ok(headers)
}

/// Whether a value is the one a field has when nothing was written.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(given) => !given,
        Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() < 1e-300),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
