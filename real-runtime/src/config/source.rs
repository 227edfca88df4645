//! Where configuration comes from, and in which order it counts.

use super::check::{Wrong, object};
use super::merge::{definitions, flags_over, over};
use super::schema::KEYS;
use super::settings::{Settings, well_defined};
use proconsul_core::syntax::document::{Format, parse};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What the command line names.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files and directories, in order.
    pub paths: Vec<String>,
    /// `-config-format`: what all files are.
    pub format: Option<String>,
    /// `-hcl` fragments.
    pub fragments: Vec<String>,
    /// Keys given by flags.
    pub flags: Map<String, Value>,
    /// `-dev`.
    pub dev: bool,
}

/// Reads everything and checks it.
///
/// # Errors
/// File, key and reason.
pub fn settings(sources: &Sources) -> Result<Settings, String> {
    let mut warnings = Vec::new();
    let mut merged = Map::new();
    for path in &sources.paths {
        for file in files(Path::new(path), sources.format.as_deref(), &mut warnings)? {
            let given = read_file(&file, sources.format.as_deref())?;
            over(&mut merged, checked(&file.display().to_string(), &given, &mut warnings)?);
        }
    }
    for (number, fragment) in sources.fragments.iter().enumerate() {
        let name = format!("flags-{number}.hcl");
        let given = parse(&name, Format::Hcl, fragment)
            .map_err(|error| format!("failed to parse {name}: {error}"))?;
        over(&mut merged, checked(&name, &given, &mut warnings)?);
    }
    flags_over(&mut merged, checked("flags", &sources.flags, &mut warnings)?);
    Settings::of(&merged, sources.dev, warnings)
}

/// One file as an object: JSON or HCL, as `format` or its name says.
///
/// # Errors
/// Why it cannot be read or parsed.
pub fn read_file(path: &Path, format: Option<&str>) -> Result<Map<String, Value>, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("config: ReadFile failed on {name}: {error}"))?;
    if text.is_empty() {
        // It says nothing, in whatever format.
        return Ok(Map::new());
    }
    let format = match format {
        Some("json") => Format::Json,
        Some("hcl") => Format::Hcl,
        Some(other) => {
            return Err(format!("-config-format \"{other}\" must be \"json\" or \"hcl\""));
        }
        // As Consul does: a file whose name says nothing is JSON if it looks like it.
        None => Format::of_file(&name).unwrap_or_else(|| {
            if text.trim_start().starts_with('{') { Format::Json } else { Format::Hcl }
        }),
    };
    parse(&name, format, &text).map_err(|error| format!("failed to parse {name}: {error}"))
}

/// The files a path stands for: itself, or those of a directory in the order of their names.
fn files(
    path: &Path,
    format: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>, String> {
    let failed =
        |error: std::io::Error| format!("config: Open failed on {}: {error}", path.display());
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let known = matches!(
            file.extension().and_then(|extension| extension.to_str()),
            Some("json" | "hcl")
        );
        if file.is_dir() {
            warnings.push(format!("skipping directory {}", file.display()));
        } else if known || format.is_some() {
            found.push(file);
        } else {
            warnings.push(format!(
                "skipping file {}, extension must be .hcl or .json, or config format must be set",
                file.display()
            ));
        }
    }
    found.sort();
    Ok(found)
}

/// One file's keys, held against the schema, and its definitions, held against theirs.
fn checked(
    name: &str,
    given: &Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<Map<String, Value>, String> {
    let failed = |text: String| format!("failed to parse {name}: {text}");
    let mut wrong = Wrong::default();
    let mut checked = object("", KEYS, given, &mut wrong);
    if let Some(text) = wrong.text() {
        return Err(failed(text));
    }
    warnings.extend(wrong.warnings());
    well_defined(&checked).map_err(failed)?;
    definitions(&mut checked);
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::types::Duration;
    use serde_json::json;

    fn of(given: &Value) -> Result<Settings, String> {
        let flags = given.as_object().unwrap().clone();
        settings(&Sources { flags, dev: true, ..Sources::default() })
    }

    #[test]
    fn what_has_no_effect_is_warned_of() {
        let warnings = |given: Value| of(&given).unwrap().warnings;
        for (given, shown) in [
            (json!({"dns_config": {"allow_stale": false}}), "dns_config.allow_stale = false"),
            (json!({"dns_config": {"max_stale": "5s"}}), "dns_config.max_stale = \"5s\""),
            (json!({"discovery_max_stale": "5s"}), "discovery_max_stale = \"5s\""),
            (json!({"raft_snapshot_threshold": 9}), "raft_snapshot_threshold = 9"),
            (json!({"raft_snapshot_interval": "9s"}), "raft_snapshot_interval = \"9s\""),
            (json!({"raft_trailing_logs": 9}), "raft_trailing_logs = 9"),
            (json!({"limits": {"rpc_max_burst": 9}}), "limits.rpc_max_burst = 9"),
            (json!({"ports": {"grpc": 8502}}), "ports.grpc = 8502"),
            (json!({"disable_host_node_id": false}), "disable_host_node_id = false"),
            (json!({"protocol": 1}), "protocol = 1"),
            (json!({"acl": {"default_policy": "deny"}}), "acl.default_policy = \"deny\""),
        ] {
            assert_eq!(warnings(given), [format!("{shown} has no effect in this agent")]);
        }
        let elsewhere = warnings(json!({"primary_datacenter": "dc9"}));
        assert!(elsewhere[0].starts_with("primary_datacenter has no effect"), "{elsewhere:?}");
        let done_anyway = json!({
            "dns_config": {"allow_stale": true, "max_stale": "0s"}, "ports": {"grpc": -1},
            "disable_host_node_id": true, "protocol": 2, "raft_protocol": 3,
            "acl": {"enabled": false, "default_policy": "allow"}, "primary_datacenter": "dc1",
            "disable_update_check": true, "raft_trailing_logs": 0, "check_output_max_size": 4096,
            "snapshot_agent": {"http_addr": "x"},
        });
        assert_eq!(warnings(done_anyway), Vec::<String>::new());
    }

    #[test]
    fn a_dev_agent_gossips_at_once() {
        let tenth = Duration::from_millis(100);
        let of = |given: Value| of(&given).unwrap().cluster;
        let quick = of(json!({}));
        for timing in [&quick.gossip_lan, &quick.gossip_wan] {
            let spans = [timing.probe_interval, timing.probe_timeout, timing.gossip_interval];
            assert_eq!((spans, timing.suspicion_mult), ([tenth; 3], 3));
        }
        assert_eq!(quick.gossip_wan.push_pull_interval, Duration::from_secs(60));
        assert_eq!(quick.coordinates.unwrap().period, tenth);
        let own = of(json!({"gossip_lan": {"probe_interval": "3s", "suspicion_mult": 7}}));
        assert_eq!(own.gossip_lan.probe_interval, Duration::from_secs(3));
        assert_eq!(own.gossip_lan.suspicion_mult, 7);
    }

    #[test]
    fn places_are_written_as_configured() {
        let given = json!({"consul": {"coordinate": {
            "update_batch_size": 9, "update_max_batches": 3, "update_period": "7s",
        }}});
        let read = of(&given).unwrap();
        let places = read.cluster.coordinates.unwrap();
        assert_eq!((places.batch_size, places.batches_max), (9, 3));
        assert_eq!(places.period, Duration::from_secs(7));
        assert_eq!(read.warnings, Vec::<String>::new());
        let raft = of(&json!({"consul": {"raft": {"election_timeout": "1s"}}})).unwrap();
        assert!(raft.warnings[0].starts_with("consul.raft = "), "{:?}", raft.warnings);
        assert!(of(&json!({"consul": {"nope": 1}})).is_err());
    }

    #[test]
    fn addresses_of_each_version_are_shown_and_checked() {
        let given = json!({
            "advertise_addr": "10.0.0.1", "advertise_addr_ipv4": "10.0.0.2",
            "advertise_addr_ipv6": "fd00::2", "advertise_addr_wan_ipv6": "fd00::3",
        });
        let read = of(&given).unwrap();
        assert_eq!(read.advertise.as_deref(), Some("10.0.0.1"));
        let shown: Vec<String> =
            read.advertise_by_version.iter().map(|(tag, ip)| format!("{tag} {ip}")).collect();
        assert_eq!(shown, ["lan_ipv4 10.0.0.2", "lan_ipv6 fd00::2", "wan_ipv6 fd00::3"]);
        for (key, version, wrong) in [
            ("advertise_addr_ipv4", "ipv4", "::1"),
            ("advertise_addr_ipv6", "ipv6", "10.0.0.1"),
            ("advertise_addr_wan_ipv4", "ipv4", "x"),
            ("advertise_addr_wan_ipv6", "ipv6", "10.0.0.1"),
        ] {
            let refused = of(&json!({ key: wrong })).unwrap_err();
            assert_eq!(refused, format!("{key} must be an {version} address"));
        }
    }

    #[test]
    fn a_client_agent_does_not_join_the_wan() {
        let read = |server: bool| {
            let flags = json!({"data_dir": "/x", "server": server, "retry_join_wan": ["a"]});
            let flags = flags.as_object().unwrap().clone();
            settings(&Sources { flags, ..Sources::default() }).unwrap().warnings
        };
        assert_eq!(read(true), Vec::<String>::new());
        assert!(read(false)[0].starts_with("retry_join_wan has no effect in a client agent"));
    }

    #[test]
    fn wrong_definitions_are_named_by_file_and_path() {
        for (given, text) in [
            (
                json!({"services": [{"name": "a"}, {"name": "j", "check": {"script": "x"}}]}),
                "failed to parse flags: 1 error occurred:\n\t\
                 * invalid config key services[1].check.script\n\n",
            ),
            (
                json!({"check": {"name": "j", "foo": 1}}),
                "failed to parse flags: 1 error occurred:\n\t* invalid config key check.foo\n\n",
            ),
            (
                json!({"service": {"name": "j", "check": {"ttl": "1s", "interval": "1s"}}}),
                "failed to parse flags: service: Failed to register service \"j\": Invalid check: \
                 Interval and TTL cannot both be specified",
            ),
        ] {
            assert_eq!(of(&given).unwrap_err(), text);
        }
    }

    #[test]
    fn a_file_without_content_says_nothing() {
        let path = std::env::temp_dir().join(format!("proconsul-empty-{}", std::process::id()));
        for extension in ["json", "hcl"] {
            let file = path.with_extension(extension);
            std::fs::write(&file, "").unwrap();
            let read = read_file(&file, None);
            std::fs::remove_file(&file).unwrap();
            assert_eq!(read.unwrap(), Map::new());
        }
    }
}
