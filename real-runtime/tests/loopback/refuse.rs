//! What an agent refuses to start with, and in which words.

use crate::process::{Scratch, run};

/// Runs `agent` with a configuration file and expects to be refused.
fn refused(name: &str, text: &str, arguments: &[&str]) -> String {
    let scratch = Scratch::new("refuse");
    let file = scratch.file(name, text);
    let data = scratch.0.join("data");
    let mut all = vec!["agent", "-server", "-bootstrap", "-data-dir", data.to_str().unwrap()];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["-config-file", file.to_str().unwrap()]);
    let (code, _, stderr) = run(&all);
    assert_eq!(code, 1, "{text}: {stderr}");
    stderr
}

#[test]
fn files_are_refused_with_file_key_and_reason() {
    let long_domain = format!(r#"{{"domain": "{}a"}}"#, "a.".repeat(121));
    let table: Vec<(&str, &[&str])> = vec![
        (r#"{"bogus": 1}"#, &["t.json: 1 error occurred:\n\t* invalid config key bogus"]),
        (r#"{"ports": {"nosuch": 1}}"#, &["invalid config key ports.nosuch"]),
        (
            r#"{"reconnect_timeout": 5}"#,
            &["1 error(s) decoding:", "'reconnect_timeout' expected type 'string', got"],
        ),
        (r#"{"server": "yes"}"#, &["'server' expected type 'bool'"]),
        (
            r#"{"start_join": "x"}"#,
            &["'start_join': source data must be an array or slice, got string"],
        ),
        (
            r#"{"segments": [{}, {"a": 1}]}"#,
            &["segments: what this key asks for is not supported yet"],
        ),
        (r#"{"encrypt": "!"}"#, &["encrypt has invalid key: illegal base64 data at input byte 0"]),
        (r#"{"encrypt": "AAAA"}"#, &["Invalid key: key size must be 16, 24 or 32 bytes"]),
        (r#"{"gossip_lan": {"nosuch": 1}}"#, &["t.json", "invalid config key gossip_lan.nosuch"]),
        (r#"{"gossip_lan": {"gossip_nodes": -1}}"#, &["gossip_lan.gossip_nodes cannot be -1"]),
        (
            r#"{"serf_wan_allowed_cidrs": ["10.0.0.0/8", "nope", "1.2.3.4"]}"#,
            &[
                "serf_wan_allowed_cidrs: 2 errors occurred:\n\t* invalid cidr: nope\n\t* invalid cidr: 1.2",
            ],
        ),
        (r#"{"retry_max": -1}"#, &["retry_max cannot be -1"]),
        (r#"{"retry_join": ["provider=x"]}"#, &["retry_join: \"provider=x\": finding addresses"]),
        (
            r#"{"session_ttl_min": "x"}"#,
            &["session_ttl_min: invalid duration: \"x\": time: invalid duration \"x\""],
        ),
        (r#"{"ports": {"http": 70000}}"#, &["ports.http: invalid port: 70000"]),
        (
            r#"{"performance": {"raft_multiplier": 0}}"#,
            &["performance.raft_multiplier cannot be 0. Must be between 1 and 10"],
        ),
        (
            r#"{"limits": {"kv_max_value_size": 33554433}}"#,
            &["limits.kv_max_value_size cannot be 33554433. Must be at most 33554432"],
        ),
        (
            r#"{"limits": {"txn_max_req_len": 40000000}}"#,
            &["limits.txn_max_req_len cannot be 40000000. Must be at most 33554432"],
        ),
        (r#"{"datacenter": "a b"}"#, &["datacenter cannot be \"a b\". Please use only"]),
        (r#"{"node_meta": {"consul-x": "1"}}"#, &["node_meta invalid: Couldn't load metadata"]),
        (r#"{"log_level": "x"}"#, &["==> Invalid log level: x. Valid log levels are: [TRACE"]),
        (r#"{"node_id": "x"}"#, &["specified NodeID is invalid: uuid string is wrong length"]),
        (r#"{"acl": {"enabled": true}}"#, &["acl.enabled: what this key asks for"]),
        (r#"{"service": {"port": 1}}"#, &["Failed to register service \"\": Missing service name"]),
        (r#"{"dns_config": {"udp_answer_limit": -1}}"#, &["udp_answer_limit cannot be -1"]),
        (r#"{"domain": "a..b"}"#, &["domain cannot be \"a..b\": a domain has no empty labels"]),
        (r#"{"domain": "."}"#, &["domain cannot be \".\": a domain has no empty labels"]),
        (
            r#"{"alt_domain": "x0123456789012345678901234567890123456789012345678901234567890123.y"}"#,
            &["alt_domain cannot be \"x0123", "is longer than 63 bytes"],
        ),
        (&long_domain, &["domain cannot be \"a.a.a", "names in it would be longer than 255"]),
        (r#"{"syslog_facility": "x"}"#, &["syslog_facility: what this key asks for"]),
        (r#"{"check_output_max_size": 0}"#, &["check_output_max_size must be positive"]),
        ("{ broken", &["t.json"]),
    ];
    for (text, expected) in table {
        let stderr = refused("t.json", text, &[]);
        for part in expected {
            assert!(stderr.contains(part), "{text}: {part:?} is not in\n{stderr}");
        }
    }
    let stderr = refused("t.hcl", "ports { http = \"x\" }", &[]);
    assert!(stderr.contains("'ports.http' expected type 'int'"), "{stderr}");
}

#[test]
fn flags_are_refused_by_name() {
    for (arguments, expected) in [
        (
            &["-nosuchflag"][..],
            "==> error parsing flags: flag provided but not defined: -nosuchflag",
        ),
        (&["-segment", "alpha"], "-segment is not supported yet"),
        (&["-serf-lan-bind", "nowhere"], "serf_lan: \"nowhere\" is not an IP address"),
        (&["-serf-lan-port", "-1"], "ports.serf_lan cannot be switched off"),
        (&["-serf-wan-port", "-1", "-retry-join-wan", "127.0.0.2"], "are for servers"),
        (&["-ui"], "-ui is not supported yet"),
        (&["-bootstrap-expect", "3"], "mutually exclusive"),
        (
            &["-server=false", "-bootstrap=false", "-bootstrap-expect", "3"],
            "'bootstrap_expect > 0' requires 'server = true'",
        ),
        (&["-bind", "nowhere"], "\"nowhere\" is not an IP address"),
        (&["-data-dir="], "data_dir cannot be empty"),
    ] {
        let stderr = refused("t.json", "{}", arguments);
        assert!(stderr.contains(expected), "{arguments:?}: {expected:?} is not in\n{stderr}");
    }
}

#[test]
fn a_data_directory_serves_one_agent() {
    let scratch = Scratch::new("busy");
    let file = scratch.file("not-a-directory", "");
    let (code, _, stderr) =
        run(&["agent", "-server", "-bootstrap", "-data-dir", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("cannot use data directory"), "{stderr}");
}

#[test]
fn peers_that_make_no_group_are_refused() {
    let scratch = Scratch::new("peers");
    let data = scratch.0.join("data");
    for (text, expected) in [
        ("[]", "no server that votes"),
        (
            r#"[{"id": "859dd897-9323-16ec-ed85-14e0cca3dd82", "address": "127.0.0.1:1"}]"#,
            "does not list this server",
        ),
        ("junk", "cannot use"),
    ] {
        scratch.file("data/raft/peers.json", text);
        let (code, _, stderr) =
            run(&["agent", "-server", "-bind", "127.0.0.1", "-data-dir", data.to_str().unwrap()]);
        assert_eq!(code, 1);
        assert!(stderr.contains(expected), "{text}: {stderr}");
    }
}

#[test]
fn a_node_id_that_cannot_be_read_is_not_replaced() {
    let scratch = Scratch::new("node-id");
    let start = |data: &str| {
        let data = scratch.0.join(data);
        let data = data.to_str().unwrap();
        let (code, _, stderr) =
            run(&["agent", "-server", "-bootstrap", "-bind", "127.0.0.1", "-data-dir", data]);
        assert_eq!(code, 1, "{stderr}");
        stderr
    };
    let garbage = scratch.file("garbage/node-id", "859dd897");
    let stderr = start("garbage");
    assert!(stderr.contains("garbage/node-id: specified NodeID is invalid"), "{stderr}");
    assert_eq!(std::fs::read_to_string(garbage).unwrap(), "859dd897", "it stays as it was");
    std::fs::write(scratch.file("bytes/node-id", ""), [0xff; 36]).unwrap();
    let stderr = start("bytes");
    assert!(stderr.contains("bytes/node-id: stream did not contain valid UTF-8"), "{stderr}");
    scratch.file("directory/node-id/x", "");
    let stderr = start("directory");
    assert!(stderr.contains("directory/node-id: Is a directory"), "{stderr}");
}
