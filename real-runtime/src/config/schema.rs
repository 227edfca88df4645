//! Every key a configuration file may have, what it must look like, and whether it does anything.

use serde_json::Value;

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// A Go duration in a string.
    Span,
    /// A list of strings.
    Texts,
    /// An object of strings.
    TextMap,
    /// An object with these keys.
    Object(&'static [Key]),
    /// One object, or several, that someone else reads.
    Definitions,
    /// Anything.
    Any,
}

/// Whether a key does what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Works,
    /// It does nothing, and that makes no difference to anyone.
    Ignored,
    /// It does nothing: whoever asks for something else than what is done anyway is warned.
    Idle(Anyway),
    /// What it asks for is not built: refused, unless it is switched off.
    Missing,
}

/// Which values of an idle key ask for what is done anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anyway {
    /// Those that switch it off.
    Off,
    /// `true`.
    On,
    /// This word, and none.
    Word(&'static str),
    /// One of these.
    OneOf(&'static [i64]),
}

impl Anyway {
    /// Whether `value` makes no difference.
    pub(super) fn is(self, value: &Value) -> bool {
        match self {
            Self::Off => is_off(value),
            Self::On => value.as_bool() == Some(true),
            Self::Word(word) => value.as_str().is_some_and(|text| text.is_empty() || text == word),
            Self::OneOf(numbers) => value.as_f64().is_some_and(|given| {
                numbers.iter().any(|number| given.to_string() == number.to_string())
            }),
        }
    }
}

/// Whether a value asks for nothing.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64().is_some_and(|number| number <= 0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0s"),
        Value::Array(items) => items.iter().all(is_off),
        Value::Object(fields) => fields.values().all(is_off),
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) standing: Standing,
}

const fn works(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, standing: Standing::Works }
}

const fn ignored(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, standing: Standing::Ignored }
}

const fn idle(name: &'static str, kind: Kind, anyway: Anyway) -> Key {
    Key { name, kind, standing: Standing::Idle(anyway) }
}

const fn missing(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, standing: Standing::Missing }
}

use Anyway::{Off, On, OneOf, Word};
use Kind::{Any, Definitions, Number, Object, Span, Switch, Text, TextMap, Texts, Whole};

/// Keys at the top of a file.
pub(super) const KEYS: &[Key] = &[
    works("addresses", Object(ADDRESSES)),
    works("advertise_addr", Text),
    works("advertise_addr_ipv4", Text),
    works("advertise_addr_ipv6", Text),
    works("advertise_addr_wan", Text),
    works("advertise_addr_wan_ipv4", Text),
    works("advertise_addr_wan_ipv6", Text),
    works("ae_interval", Span),
    works("alt_domain", Text),
    works("autopilot", Object(AUTOPILOT)),
    works("bind_addr", Text),
    works("bootstrap", Switch),
    works("bootstrap_expect", Whole),
    works("check", Definitions),
    works("check_output_max_size", Whole),
    works("check_update_interval", Span),
    works("checks", Definitions),
    works("client_addr", Text),
    works("consul", Object(CONSUL)),
    works("data_dir", Text),
    works("datacenter", Text),
    works("default_query_time", Span),
    works("disable_coordinates", Switch),
    works("disable_keyring_file", Switch),
    works("discard_check_output", Switch),
    works("dns_config", Object(DNS)),
    works("domain", Text),
    works("enable_local_script_checks", Switch),
    works("enable_script_checks", Switch),
    works("encrypt", Text),
    works("encrypt_verify_incoming", Switch),
    works("encrypt_verify_outgoing", Switch),
    works("gossip_lan", Object(GOSSIP)),
    works("gossip_wan", Object(GOSSIP)),
    works("http_config", Object(HTTP)),
    works("leave_on_terminate", Switch),
    works("limits", Object(LIMITS)),
    works("log_json", Switch),
    works("log_level", Text),
    works("max_query_time", Span),
    works("node_id", Text),
    works("node_meta", TextMap),
    works("node_name", Text),
    works("performance", Object(PERFORMANCE)),
    works("pid_file", Text),
    works("ports", Object(PORTS)),
    works("reconnect_timeout", Span),
    works("reconnect_timeout_wan", Span),
    works("recursors", Texts),
    works("rejoin_after_leave", Switch),
    works("retry_interval", Span),
    works("retry_interval_wan", Span),
    works("retry_join", Texts),
    works("retry_join_wan", Texts),
    works("retry_max", Whole),
    works("retry_max_wan", Whole),
    works("serf_lan", Text),
    works("serf_lan_allowed_cidrs", Texts),
    works("serf_wan", Text),
    works("serf_wan_allowed_cidrs", Texts),
    works("server", Switch),
    works("service", Definitions),
    works("services", Definitions),
    works("session_ttl_min", Span),
    works("skip_leave_on_interrupt", Switch),
    works("start_join", Texts),
    works("start_join_wan", Texts),
    works("sync_coordinate_interval_min", Span),
    works("sync_coordinate_rate_target", Whole),
    works("tagged_addresses", TextMap),
    works("translate_wan_addrs", Switch),
    // Nothing depends on them, or what they ask for is done anyway, or their author is warned.
    ignored("acl", Object(ACL)),
    idle("cache", Any, Off),
    idle("check_deregister_interval_min", Span, Off),
    idle("check_reap_interval", Span, Off),
    ignored("disable_anonymous_signature", Switch),
    idle("disable_host_node_id", Switch, On),
    idle("disable_remote_exec", Switch, On),
    ignored("disable_update_check", Switch),
    idle("discovery_max_stale", Span, Off),
    ignored("enable_central_service_config", Switch),
    ignored("primary_datacenter", Text),
    idle("protocol", Whole, OneOf(&[0, 2, 3])),
    idle("raft_protocol", Whole, OneOf(&[0, 3])),
    idle("raft_snapshot_interval", Span, Off),
    idle("raft_snapshot_threshold", Whole, Off),
    idle("raft_trailing_logs", Whole, Off),
    ignored("revision", Text),
    idle("segment_limit", Whole, Off),
    // Read by another program from the same file.
    ignored("snapshot_agent", Any),
    ignored("telemetry", Object(TELEMETRY)),
    ignored("version", Text),
    // What they ask for is not built.
    missing("acl_agent_token", Text),
    missing("acl_datacenter", Text),
    missing("acl_default_policy", Text),
    missing("acl_master_token", Text),
    missing("acl_token", Text),
    missing("auto_encrypt", Any),
    missing("ca_file", Text),
    missing("ca_path", Text),
    missing("cert_file", Text),
    missing("config_entries", Any),
    missing("connect", Any),
    missing("disable_http_unprintable_char_filter", Switch),
    missing("enable_acl_replication", Switch),
    missing("enable_agent_tls_for_checks", Switch),
    missing("enable_debug", Switch),
    missing("enable_syslog", Switch),
    missing("key_file", Text),
    missing("log_file", Text),
    missing("log_rotate_bytes", Whole),
    missing("log_rotate_duration", Span),
    missing("log_rotate_max_files", Whole),
    missing("non_voting_server", Switch),
    missing("primary_gateways", Texts),
    missing("segment", Text),
    missing("segments", Any),
    missing("server_name", Text),
    missing("syslog_facility", Text),
    missing("tls_cipher_suites", Text),
    missing("tls_min_version", Text),
    missing("tls_prefer_server_cipher_suites", Switch),
    missing("ui", Switch),
    missing("ui_content_path", Text),
    missing("ui_dir", Text),
    missing("unix_sockets", Any),
    missing("verify_incoming", Switch),
    missing("verify_incoming_https", Switch),
    missing("verify_incoming_rpc", Switch),
    missing("verify_outgoing", Switch),
    missing("verify_server_hostname", Switch),
    missing("watches", Any),
];

const ADDRESSES: &[Key] =
    &[works("dns", Text), works("http", Text), missing("grpc", Text), missing("https", Text)];

const ACL: &[Key] = &[
    missing("enabled", Switch),
    missing("enable_key_list_policy", Switch),
    missing("enable_token_persistence", Switch),
    missing("enable_token_replication", Switch),
    idle("default_policy", Text, Word("allow")),
    ignored("down_policy", Text),
    ignored("policy_ttl", Span),
    ignored("role_ttl", Span),
    ignored("token_ttl", Span),
    ignored("disabled_ttl", Span),
    missing("tokens", Any),
];

const AUTOPILOT: &[Key] = &[
    works("cleanup_dead_servers", Switch),
    idle("disable_upgrade_migration", Switch, Off),
    works("last_contact_threshold", Span),
    works("max_trailing_logs", Whole),
    works("min_quorum", Whole),
    idle("redundancy_zone_tag", Text, Off),
    works("server_stabilization_time", Span),
    idle("upgrade_version_tag", Text, Off),
];

const CONSUL: &[Key] =
    &[works("coordinate", Object(COORDINATE)), idle("raft", Any, Off), idle("server", Any, Off)];

const COORDINATE: &[Key] = &[
    works("update_batch_size", Whole),
    works("update_max_batches", Whole),
    works("update_period", Span),
];

const GOSSIP: &[Key] = &[
    works("gossip_interval", Span),
    works("gossip_nodes", Whole),
    works("probe_interval", Span),
    works("probe_timeout", Span),
    works("retransmit_mult", Whole),
    works("suspicion_mult", Whole),
];

const DNS: &[Key] = &[
    works("a_record_limit", Whole),
    idle("allow_stale", Switch, On),
    idle("cache_max_age", Span, Off),
    works("disable_compression", Switch),
    works("enable_additional_node_meta_txt", Switch),
    works("enable_truncate", Switch),
    idle("max_stale", Span, Off),
    works("node_ttl", Span),
    works("only_passing", Switch),
    works("recursor_timeout", Span),
    works("service_ttl", TextMap),
    works("soa", Object(SOA)),
    works("udp_answer_limit", Whole),
    missing("use_cache", Switch),
];

const SOA: &[Key] = &[
    works("expire", Whole),
    works("min_ttl", Whole),
    works("refresh", Whole),
    works("retry", Whole),
];

const HTTP: &[Key] = &[
    missing("allow_write_http_from", Texts),
    works("block_endpoints", Texts),
    works("response_headers", TextMap),
    ignored("use_cache", Switch),
];

const LIMITS: &[Key] = &[
    works("http_max_conns_per_client", Whole),
    idle("https_handshake_timeout", Span, Off),
    works("kv_max_value_size", Whole),
    idle("rpc_handshake_timeout", Span, Off),
    idle("rpc_max_burst", Whole, Off),
    works("rpc_max_conns_per_client", Whole),
    missing("rpc_rate", Number),
    works("txn_max_req_len", Whole),
];

const PERFORMANCE: &[Key] = &[
    works("leave_drain_time", Span),
    works("raft_multiplier", Whole),
    works("rpc_hold_timeout", Span),
];

const PORTS: &[Key] = &[
    works("dns", Whole),
    idle("expose_max_port", Whole, Off),
    idle("expose_min_port", Whole, Off),
    idle("grpc", Whole, Off),
    works("http", Whole),
    missing("https", Whole),
    works("serf_lan", Whole),
    works("serf_wan", Whole),
    works("server", Whole),
    idle("sidecar_max_port", Whole, Off),
    idle("sidecar_min_port", Whole, Off),
];

const TELEMETRY: &[Key] = &[
    missing("circonus_api_token", Text),
    idle("disable_hostname", Switch, Off),
    missing("dogstatsd_addr", Text),
    missing("dogstatsd_tags", Texts),
    idle("filter_default", Switch, Off),
    idle("metrics_prefix", Text, Off),
    idle("prefix_filter", Texts, Off),
    missing("prometheus_retention_time", Span),
    missing("statsd_address", Text),
    missing("statsite_address", Text),
];
