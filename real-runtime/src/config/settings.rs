//! Configuration as typed values, after everything that can be checked without the machine.

use super::check::multi_error;
use super::cluster::ClusterSettings;
use super::template;
use crate::log::LogLevel;
use proconsul_core::checks::parse::{Origin, check_definition, service_definition};
use proconsul_core::checks::{CheckDefinition, CheckKind, ServiceDefinition};
use proconsul_core::dns;
use proconsul_core::syntax::duration::parse_unsigned;
use proconsul_core::types::limits::{
    BLOCKING_WAIT_DEFAULT, BLOCKING_WAIT_MAX, CHECK_OUTPUT_BYTES_MAX, KV_VALUE_BYTES_MAX,
    RPC_HOLD_TIMEOUT, SESSION_TTL_MIN, WRITE_BYTES_MAX,
};
use proconsul_core::types::{Duration, TextMap};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Longest label of a DNS name.
const DNS_LABEL_BYTES_MAX: usize = 63;
/// Longest domain, without the dot at its end. A name has 255 bytes on the wire, one of them at its
/// end, one before each label; the longest we must write in any domain begins with `hostmaster`.
const DNS_DOMAIN_BYTES_MAX: usize = 255 - 2 - "hostmaster.".len();

/// Ports; `None` is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the file")]
pub struct Ports {
    pub dns: Option<u16>,
    pub http: Option<u16>,
    pub serf_lan: Option<u16>,
    pub serf_wan: Option<u16>,
    pub server: Option<u16>,
}

/// What an agent is to be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the keys of the file")]
pub struct Settings {
    pub dev: bool,
    pub server: bool,
    pub bootstrap: bool,
    pub bootstrap_expect: i64,
    pub data_dir: Option<PathBuf>,
    pub datacenter: String,
    pub primary_datacenter: Option<String>,
    pub node_name: Option<String>,
    pub node_id: Option<String>,
    pub node_meta: TextMap,
    pub bind: Option<String>,
    pub advertise: Option<String>,
    pub advertise_wan: Option<String>,
    /// Addresses by the tag under which the catalog shows them: `lan_ipv4`, `wan_ipv6`, ...
    pub advertise_by_version: BTreeMap<String, IpAddr>,
    pub client: Vec<String>,
    pub http_addresses: Option<Vec<String>>,
    pub dns_addresses: Option<Vec<String>>,
    pub ports: Ports,
    pub dns: dns::Config,
    pub log_level: LogLevel,
    pub log_json: bool,
    pub pid_file: Option<PathBuf>,
    pub raft_multiplier: u32,
    pub rpc_hold_timeout: Duration,
    pub default_query_time: Duration,
    pub max_query_time: Duration,
    pub session_ttl_min: Duration,
    pub check_update_interval: Duration,
    pub ae_interval: Duration,
    pub kv_value_bytes_max: usize,
    pub txn_bytes_max: usize,
    pub http_conns_per_client_max: usize,
    pub rpc_conns_per_client_max: usize,
    pub translate_wan_addrs: bool,
    pub response_headers: Vec<(String, String)>,
    pub block_endpoints: Vec<String>,
    pub tagged_addresses: Vec<(String, String)>,
    pub enable_local_script_checks: bool,
    pub enable_script_checks: bool,
    pub discard_check_output: bool,
    pub check_output_bytes_max: usize,
    pub cluster: ClusterSettings,
    pub services: Vec<ServiceDefinition>,
    pub checks: Vec<CheckDefinition>,
    pub warnings: Vec<String>,
}

/// Reads typed values out of the merged map. Types were checked file by file.
pub(super) struct Reader<'a> {
    map: &'a Map<String, Value>,
}

impl Reader<'_> {
    pub(super) fn value(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let mut value = self.map.get(parts.next()?)?;
        for part in parts {
            value = value.as_object()?.get(part)?;
        }
        Some(value)
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = self.value(path)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Addresses, with their templates filled in.
    pub(super) fn address(&self, path: &str) -> Result<Option<String>, String> {
        self.text(path).map(|text| template::resolved(path, &text)).transpose()
    }

    pub(super) fn on(&self, path: &str) -> Option<bool> {
        self.value(path)?.as_bool()
    }

    pub(super) fn whole(&self, path: &str) -> Option<i64> {
        self.value(path)?.as_i64()
    }

    pub(super) fn span(&self, path: &str, default: Duration) -> Duration {
        let given = self.text(path).and_then(|text| parse_unsigned(&text).ok());
        given.filter(|given| !given.is_zero()).unwrap_or(default)
    }

    pub(super) fn texts(&self, path: &str) -> Vec<(String, String)> {
        let fields = self.value(path).and_then(Value::as_object);
        fields
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    pub(super) fn list(&self, path: &str) -> Vec<String> {
        let items = self.value(path).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A size or count; negative and absent ones are the default.
    pub(super) fn size(&self, path: &str, default: usize) -> usize {
        self.whole(path).and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
    }

    pub(super) fn port(&self, name: &str, default: Option<u16>) -> Result<Option<u16>, String> {
        let path = format!("ports.{name}");
        match self.whole(&path) {
            None => Ok(default),
            Some(number) if number <= 0 => Ok(None),
            Some(number) => u16::try_from(number).map(Some).map_err(|_| {
                multi_error(&[format!("{path}: invalid port: {number}")]).unwrap_or_default()
            }),
        }
    }
}

impl Settings {
    /// Reads `merged` and checks what belongs together.
    pub(super) fn of(
        merged: &Map<String, Value>,
        dev: bool,
        warnings: Vec<String>,
    ) -> Result<Self, String> {
        let read = Reader { map: merged };
        let level = read.text("log_level").unwrap_or_else(|| default_level(dev).to_owned());
        let scripts = read.on("enable_script_checks").unwrap_or(false);
        let kv_value_bytes_max = write_size(&read, "limits.kv_max_value_size", KV_VALUE_BYTES_MAX)?;
        let settings = Self {
            dev,
            server: dev || read.on("server").unwrap_or(false),
            bootstrap: read.on("bootstrap").unwrap_or(false),
            bootstrap_expect: read.whole("bootstrap_expect").unwrap_or(0),
            data_dir: read.text("data_dir").map(PathBuf::from),
            primary_datacenter: read.text("primary_datacenter"),
            datacenter: datacenter(&read),
            node_name: read.text("node_name"),
            node_id: read.text("node_id"),
            node_meta: read
                .texts("node_meta")
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            bind: read.address("bind_addr")?,
            advertise: read.address("advertise_addr")?,
            advertise_wan: read.address("advertise_addr_wan")?,
            advertise_by_version: by_version(&read)?,
            client: words(read.address("client_addr")?)
                .unwrap_or_else(|| vec!["127.0.0.1".to_owned()]),
            http_addresses: words(read.address("addresses.http")?),
            dns_addresses: words(read.address("addresses.dns")?),
            ports: Ports {
                dns: read.port("dns", Some(8600))?,
                http: read.port("http", Some(8500))?,
                serf_lan: read.port("serf_lan", Some(8301))?,
                serf_wan: read.port("serf_wan", Some(8302))?,
                server: read.port("server", Some(8300))?,
            },
            dns: dns_config(&read)?,
            log_level: level.parse()?,
            log_json: read.on("log_json").unwrap_or(false),
            pid_file: read.text("pid_file").map(PathBuf::from),
            raft_multiplier: multiplier(&read)?,
            rpc_hold_timeout: read.span("performance.rpc_hold_timeout", RPC_HOLD_TIMEOUT),
            default_query_time: read.span("default_query_time", BLOCKING_WAIT_DEFAULT),
            max_query_time: read.span("max_query_time", BLOCKING_WAIT_MAX),
            session_ttl_min: read.span("session_ttl_min", SESSION_TTL_MIN),
            check_update_interval: check_update_interval(&read),
            ae_interval: read.span("ae_interval", Duration::from_secs(60)),
            kv_value_bytes_max,
            txn_bytes_max: write_size(&read, "limits.txn_max_req_len", kv_value_bytes_max)?,
            http_conns_per_client_max: read.size("limits.http_max_conns_per_client", 200),
            rpc_conns_per_client_max: read.size("limits.rpc_max_conns_per_client", 100),
            translate_wan_addrs: read.on("translate_wan_addrs") == Some(true),
            response_headers: read.texts("http_config.response_headers"),
            block_endpoints: read.list("http_config.block_endpoints"),
            tagged_addresses: read.texts("tagged_addresses"),
            enable_local_script_checks: scripts
                || read.on("enable_local_script_checks") == Some(true),
            enable_script_checks: scripts,
            discard_check_output: read.on("discard_check_output").unwrap_or(false),
            check_output_bytes_max: check_output_bytes_max(&read)?,
            cluster: ClusterSettings::of(&read, dev || read.on("server").unwrap_or(false), dev)?,
            services: services(merged.get("services"))?,
            checks: checks(merged.get("checks"))?,
            warnings,
        };
        settings.validated()
    }

    fn validated(mut self) -> Result<Self, String> {
        let named = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if self.datacenter.is_empty() || !self.datacenter.chars().all(named) {
            let name = &self.datacenter;
            return Err(format!("datacenter cannot be \"{name}\". Please use only [a-z0-9-_]"));
        }
        if self.data_dir.is_none() && !self.dev {
            return Err("data_dir cannot be empty".to_owned());
        }
        if self.bootstrap_expect < 0 {
            return Err(format!(
                "bootstrap_expect cannot be {}. Must be greater than or equal to zero",
                self.bootstrap_expect
            ));
        }
        if self.bootstrap_expect > 0 && !self.server {
            return Err("'bootstrap_expect > 0' requires 'server = true'".to_owned());
        }
        if self.bootstrap && !self.server {
            return Err("'bootstrap = true' requires 'server = true'".to_owned());
        }
        if self.bootstrap_expect > 0 && self.bootstrap {
            return Err(
                "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive".to_owned()
            );
        }
        if self.bootstrap_expect > 0 && self.dev {
            return Err("'bootstrap_expect > 0' not allowed in dev mode".to_owned());
        }
        if self.bootstrap_expect == 1 {
            self.warnings.push(
                "BootstrapExpect is set to 1; this is the same as Bootstrap mode.".to_owned(),
            );
            self.bootstrap = true;
        } else if self.bootstrap_expect > 1 {
            self.warn_of_expectation();
        } else if self.bootstrap {
            self.warnings.push("bootstrap = true: do not enable unless necessary".to_owned());
        }
        if self.bind.as_deref().is_some_and(|bind| bind.split_whitespace().count() > 1) {
            return Err("bind_addr cannot contain multiple addresses. Use \
                        'addresses.{dns,http,https}' instead."
                .to_owned());
        }
        self.scripts_are_enabled()?;
        if self.enable_script_checks {
            self.warnings.push(
                "using enable-script-checks without ACLs is DANGEROUS: whoever reaches the API can \
                 have any program run. Use enable-local-script-checks instead"
                    .to_owned(),
            );
        }
        if let Some("0.0.0.0" | "::" | "[::]") = self.advertise.as_deref() {
            return Err("Advertise address cannot be 0.0.0.0, :: or [::]".to_owned());
        }
        for (key, value) in &self.node_meta {
            let refuse = |reason: &str| {
                Err(format!(
                    "node_meta invalid: Couldn't load metadata pair ('{key}', '{value}'): {reason}"
                ))
            };
            if key.starts_with("consul-") {
                return refuse("Key prefix 'consul-' is reserved for internal use");
            }
            if key.is_empty() || !key.chars().all(named) {
                return refuse("Key contains invalid characters");
            }
        }
        if self.primary_datacenter.as_ref().is_some_and(|name| *name != self.datacenter) {
            self.warnings.push(
                "primary_datacenter has no effect in this agent: there are no ACLs and no Connect"
                    .to_owned(),
            );
        }
        if !self.server && !self.cluster.join_wan.retry.is_empty() {
            self.warnings.push(
                "retry_join_wan has no effect in a client agent: servers alone are in the WAN pool"
                    .to_owned(),
            );
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if let Some(name) = self.node_name.as_ref().filter(|name| !name.chars().all(plain)) {
            self.warnings.push(format!(
                "Node name \"{name}\" will not be discoverable via DNS due to invalid \
                 characters. Valid characters include all alpha-numerics and dashes."
            ));
        }
        if self.ports.http.is_some()
            && self.ports.http == self.ports.dns
            && self.http_addresses == self.dns_addresses
        {
            let port = self.ports.http.unwrap_or_default();
            let host = self.client.first().map_or("127.0.0.1", String::as_str);
            return Err(format!("HTTP address {host}:{port} already configured for DNS"));
        }
        Ok(self)
    }
}

impl Settings {
    fn warn_of_expectation(&mut self) {
        let expect = self.bootstrap_expect;
        self.warnings.push(format!("bootstrap_expect > 0: expecting {expect} servers"));
        if expect == 2 {
            self.warnings.push(
                "bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. \
                 See https://www.consul.io/docs/internals/consensus.html#deployment-table"
                    .to_owned(),
            );
        } else if expect % 2 == 0 {
            self.warnings.push(
                "bootstrap_expect is even number: A cluster with an even number of servers does \
                 not achieve optimum fault tolerance. See \
                 https://www.consul.io/docs/internals/consensus.html#deployment-table"
                    .to_owned(),
            );
        }
    }

    /// Files may name programs only where the operator says so.
    fn scripts_are_enabled(&self) -> Result<(), String> {
        let of_services = self.services.iter().flat_map(|service| &service.checks);
        let mut all = self.checks.iter().chain(of_services);
        let script = all.find(|check| matches!(check.kind, CheckKind::Script { .. }));
        match script.filter(|_| !self.enable_local_script_checks) {
            None => Ok(()),
            Some(check) => Err(format!(
                "Failed to register check \"{}\": Scripts are disabled on this agent; to enable, \
                 configure 'enable_script_checks' or 'enable_local_script_checks' to true",
                check.name
            )),
        }
    }
}

/// The addresses that are only shown: `advertise_addr_ipv4` and its like.
fn by_version(read: &Reader<'_>) -> Result<BTreeMap<String, IpAddr>, String> {
    let mut found = BTreeMap::new();
    for (tag, prefix) in [("lan", "advertise_addr"), ("wan", "advertise_addr_wan")] {
        for version in ["ipv4", "ipv6"] {
            let key = format!("{prefix}_{version}");
            let Some(text) = read.address(&key)? else { continue };
            let address = text.parse().ok();
            let fits = |address: &IpAddr| address.is_ipv4() == (version == "ipv4");
            let Some(address) = address.filter(fits) else {
                return Err(format!("{key} must be an {version} address"));
            };
            found.insert(format!("{tag}_{version}"), address);
        }
    }
    Ok(found)
}

fn default_level(dev: bool) -> &'static str {
    if dev { "DEBUG" } else { "INFO" }
}

/// A list of addresses in one string.
fn words(text: Option<String>) -> Option<Vec<String>> {
    text.map(|text| text.split_whitespace().map(str::to_owned).collect())
}

fn multiplier(read: &Reader<'_>) -> Result<u32, String> {
    let given = read.whole("performance.raft_multiplier").unwrap_or(5);
    u32::try_from(given).ok().filter(|given| (1..=10).contains(given)).ok_or_else(|| {
        format!("performance.raft_multiplier cannot be {given}. Must be between 1 and 10")
    })
}

fn check_output_bytes_max(read: &Reader<'_>) -> Result<usize, String> {
    let Some(given) = read.whole("check_output_max_size") else {
        return Ok(CHECK_OUTPUT_BYTES_MAX);
    };
    usize::try_from(given).ok().filter(|given| *given > 0).ok_or_else(|| {
        "check_output_max_size must be positive, to discard check output use the \
         discard_check_output flag"
            .to_owned()
    })
}

/// The size of a write: all servers must be able to send it to one another.
fn write_size(read: &Reader<'_>, path: &str, default: usize) -> Result<usize, String> {
    let size = read.size(path, default);
    if size > WRITE_BYTES_MAX {
        return Err(format!("{path} cannot be {size}. Must be at most {WRITE_BYTES_MAX}"));
    }
    Ok(size)
}

/// Zero is a value of its own here: outputs are sent at once.
fn check_update_interval(read: &Reader<'_>) -> Duration {
    let given = read.text("check_update_interval").and_then(|text| parse_unsigned(&text).ok());
    given.unwrap_or(Duration::from_secs(300))
}

fn datacenter(read: &Reader<'_>) -> String {
    let given = read.text("datacenter");
    given.map_or_else(|| "dc1".to_owned(), |name| name.to_ascii_lowercase())
}

fn dns_config(read: &Reader<'_>) -> Result<dns::Config, String> {
    let defaults = dns::Config::default();
    for limit in ["udp_answer_limit", "a_record_limit"] {
        let given = read.whole(&format!("dns_config.{limit}")).unwrap_or(0);
        if given < 0 {
            return Err(format!(
                "dns_config.{limit} cannot be {given}. Must be greater than or equal to zero"
            ));
        }
    }
    let mut service_ttl = defaults.service_ttl.clone();
    for (name, text) in read.texts("dns_config.service_ttl") {
        let ttl = parse_unsigned(&text).map_err(|reason| {
            format!("dns_config.service_ttl.{name}: invalid duration: \"{text}\": {reason}")
        })?;
        service_ttl.insert(name, ttl);
    }
    let seconds = |name: &str, default: u32| {
        let given = read.whole(&format!("dns_config.soa.{name}"));
        given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default)
    };
    let on = |name: &str, default: bool| read.on(&format!("dns_config.{name}")).unwrap_or(default);
    Ok(dns::Config {
        domain: domain(read, "domain")?.unwrap_or_else(|| defaults.domain.clone()),
        alt_domain: domain(read, "alt_domain")?.unwrap_or_default(),
        node_ttl: read.span("dns_config.node_ttl", defaults.node_ttl),
        service_ttl,
        only_passing: on("only_passing", defaults.only_passing),
        enable_truncate: on("enable_truncate", defaults.enable_truncate),
        udp_answer_limit: read.size("dns_config.udp_answer_limit", defaults.udp_answer_limit),
        a_record_limit: read.size("dns_config.a_record_limit", defaults.a_record_limit),
        disable_compression: on("disable_compression", defaults.disable_compression),
        enable_additional_node_meta_txt: on(
            "enable_additional_node_meta_txt",
            defaults.enable_additional_node_meta_txt,
        ),
        recursors: recursors(read)?,
        recursor_timeout: read.span("dns_config.recursor_timeout", defaults.recursor_timeout),
        translate_beyond: match read.on("translate_wan_addrs") {
            Some(true) => datacenter(read),
            Some(false) | None => String::new(),
        },
        soa: dns::Soa {
            refresh: seconds("refresh", defaults.soa.refresh),
            retry: seconds("retry", defaults.soa.retry),
            expire: seconds("expire", defaults.soa.expire),
            min_ttl: seconds("min_ttl", defaults.soa.min_ttl),
        },
    })
}

/// A domain that can be answered for: the names in it must fit on the wire.
fn domain(read: &Reader<'_>, key: &str) -> Result<Option<String>, String> {
    let Some(text) = read.text(key) else { return Ok(None) };
    let bare = text.strip_suffix('.').unwrap_or(&text);
    let refuse = |reason: &str| Err(format!("{key} cannot be \"{text}\": {reason}"));
    if bare.split('.').any(str::is_empty) {
        return refuse("a domain has no empty labels");
    }
    if let Some(long) = bare.split('.').find(|label| label.len() > DNS_LABEL_BYTES_MAX) {
        return refuse(&format!("the label \"{long}\" is longer than 63 bytes"));
    }
    if bare.len() > DNS_DOMAIN_BYTES_MAX {
        return refuse("names in it would be longer than 255 bytes");
    }
    Ok(Some(text))
}

/// Addresses of other name servers; port 53 unless they say otherwise.
fn recursors(read: &Reader<'_>) -> Result<Vec<SocketAddr>, String> {
    let one = |text: &String| {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let parsed = text.parse::<SocketAddr>().or_else(|error| {
            bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)).map_err(|_| error)
        });
        let address =
            parsed.map_err(|error| format!("Invalid DNS recursor address \"{text}\": {error}"))?;
        if address.ip().is_unspecified() {
            return Err("DNS recursor address cannot be 0.0.0.0, :: or [::]".to_owned());
        }
        Ok(address)
    };
    read.list("recursors").iter().map(one).collect()
}

/// Holds the definitions of one file against what definitions may say: the reason names the path of
/// the first that cannot be used.
pub(super) fn well_defined(file: &Map<String, Value>) -> Result<(), String> {
    for key in ["service", "services", "check", "checks"] {
        let is_service = key.starts_with("service");
        let try_one = |path: &str, item: &Value| {
            let item = Some(Value::Array(vec![item.clone()]));
            let read = match is_service {
                true => services(item.as_ref()).map(drop),
                false => checks(item.as_ref()).map(drop),
            };
            read.map_err(|reason| match reason.split_once("invalid config key ") {
                Some((_, key)) => {
                    multi_error(&[format!("invalid config key {path}.{key}")]).unwrap_or_default()
                }
                None => format!("{path}: {reason}"),
            })
        };
        match file.get(key) {
            None => {}
            Some(Value::Array(items)) => {
                for (place, item) in items.iter().enumerate() {
                    try_one(&format!("{key}[{place}]"), item)?;
                }
            }
            Some(item) => try_one(key, item)?,
        }
    }
    Ok(())
}

fn services(given: Option<&Value>) -> Result<Vec<ServiceDefinition>, String> {
    let items = given.and_then(Value::as_array);
    let read = |item: &Value| {
        service_definition(item, Origin::File)
            .map_err(|error| format!("Failed to register service {}: {error}", shown(item)))
    };
    items.into_iter().flatten().map(read).collect()
}

fn checks(given: Option<&Value>) -> Result<Vec<CheckDefinition>, String> {
    let items = given.and_then(Value::as_array);
    let read = |item: &Value| {
        check_definition(item, Origin::File)
            .map_err(|error| format!("Failed to register check {}: {error}", shown(item)))
    };
    items.into_iter().flatten().map(read).collect()
}

/// How a broken definition is named: by its name or id, if it has one.
fn shown(item: &Value) -> String {
    let field = |wanted: &str| {
        let fields = item.as_object()?;
        let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        found.1.as_str()
    };
    format!("\"{}\"", field("name").or_else(|| field("id")).unwrap_or_default())
}
