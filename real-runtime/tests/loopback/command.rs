//! The command line against a running agent.

use crate::process::{Agent, Scratch, run};
use crate::web::put;

#[test]
fn commands_speak_as_consuls() {
    let scratch = Scratch::new("command");
    let agent = Agent::dev(&scratch, &["-node", "s1"]);
    let address = format!("-http-addr={}", agent.http);
    let with = |words: &[&str]| {
        let (command, arguments) = words.split_at(words.iter().position(|w| *w == "|").unwrap());
        let mut all = command.to_vec();
        all.push(&address);
        all.extend_from_slice(&arguments[1..]);
        run(&all)
    };
    let out = |words: &[&str]| {
        let (code, stdout, stderr) = with(words);
        assert_eq!(code, 0, "{words:?}: {stderr}");
        stdout
    };
    let failed = |words: &[&str]| {
        let (code, stdout, stderr) = with(words);
        assert_eq!((code, stdout.as_str()), (1, ""), "{words:?}");
        stderr
    };
    assert_eq!(out(&["kv", "put", "|", "app/cfg", "hello"]), "Success! Data written to: app/cfg\n");
    assert_eq!(out(&["kv", "get", "|", "app/cfg"]), "hello\n");
    assert_eq!(out(&["kv", "get", "|", "-base64", "app/cfg"]), "aGVsbG8=\n");
    assert_eq!(out(&["kv", "get", "|", "-recurse", "app"]), "app/cfg:hello\n");
    assert_eq!(out(&["kv", "get", "|", "-keys", "app"]), "app/\n");
    let detailed = out(&["kv", "get", "|", "-detailed", "app/cfg"]);
    assert!(detailed.contains("Session          -\nValue            hello\n"), "{detailed}");
    assert_eq!(failed(&["kv", "get", "|", "nope"]), "Error! No key exists at: nope\n");
    assert_eq!(
        failed(&["kv", "put", "|", "-cas", "-modify-index=1", "app/cfg", "x"]),
        "Error! Did not write to app/cfg: CAS failed\n"
    );
    assert_eq!(
        out(&["kv", "delete", "|", "-recurse", "app/"]),
        "Success! Deleted keys with prefix: app/\n"
    );
    assert_eq!(out(&["catalog", "datacenters", "|"]), "dc1\n");
    let nodes = out(&["catalog", "nodes", "|"]);
    assert!(nodes.starts_with("Node  ID        Address    DC\ns1    "), "{nodes}");
    assert!(out(&["catalog", "services", "|"]).contains("consul\n"));
    let peers = out(&["operator", "raft", "list-peers", "|"]);
    assert!(peers.starts_with("Node  ID                                    Address"), "{peers}");
    assert!(peers.contains("leader  true   3\n"), "{peers}");
    assert_eq!(out(&["reload", "|"]), "Configuration reload triggered\n");
    assert_eq!(
        out(&["services", "register", "|", "-name=cli", "-port=1"]),
        "Registered service: cli\n"
    );
    assert_eq!(out(&["services", "deregister", "|", "-id=cli"]), "Deregistered service: cli\n");
    assert_eq!(
        out(&["maint", "|", "-enable", "-reason", "why"]),
        "Node maintenance is now enabled\n"
    );
    assert_eq!(out(&["maint", "|"]), "Node:\n  Name:   s1\n  Reason: why\n\n");
    assert_eq!(out(&["maint", "|", "-disable"]), "Node maintenance is now disabled\n");
}

#[test]
fn operators_commands_speak_as_consuls() {
    let scratch = Scratch::new("operators");
    let agent = Agent::dev(&scratch, &["-node", "s1"]);
    let address = format!("-http-addr={}", agent.http);
    let with = |words: &str, arguments: &[&str]| {
        let mut all: Vec<&str> = words.split(' ').collect();
        all.push(&address);
        all.extend_from_slice(arguments);
        run(&all)
    };
    let out = |words: &str, arguments: &[&str]| {
        let (code, stdout, stderr) = with(words, arguments);
        assert_eq!(code, 0, "{words}: {stderr}");
        stdout
    };
    let failed = |words: &str, arguments: &[&str]| {
        let (code, stdout, stderr) = with(words, arguments);
        assert_eq!((code, stdout.as_str()), (1, ""), "{words}");
        stderr
    };
    let config = |cleanup: bool, trailing: u64, zone: &str| {
        format!(
            "CleanupDeadServers = {cleanup}\nLastContactThreshold = 200ms\n\
             MaxTrailingLogs = {trailing}\nMinQuorum = 0\nServerStabilizationTime = 10s\n\
             RedundancyZoneTag = \"{zone}\"\nDisableUpgradeMigration = false\n\
             UpgradeVersionTag = \"\"\n"
        )
    };
    assert_eq!(out("operator autopilot get-config", &[]), config(true, 250, ""));
    assert_eq!(
        out("operator autopilot set-config", &["-max-trailing-logs=251", "-redundancy-zone-tag=z"]),
        "Configuration updated!\n"
    );
    assert_eq!(
        out("operator autopilot set-config", &["-cleanup-dead-servers=false"]),
        "Configuration updated!\n"
    );
    assert_eq!(out("operator autopilot get-config", &[]), config(false, 251, "z"));
    assert_eq!(
        failed("operator raft remove-peer", &["-id=nope"]),
        "Error removing peer: Unexpected response code: 500 (id \"nope\" was not found in the \
         Raft configuration)\n"
    );
    assert_eq!(
        failed("operator raft remove-peer", &[]),
        "Error removing peer: an address or id is required for the peer to remove\n"
    );
    assert_eq!(failed("rtt", &["s1", "nope"]), "Could not find a coordinate for node \"s1\"\n");
    let body = r#"{"Node":"s1","Coord":{"Vec":[0,0,0,0,0,0,0,0],"Error":1,"Height":0.00001}}"#;
    put(agent.http, "/v1/coordinate/update", body);
    assert_eq!(out("rtt", &["s1"]), "Estimated s1 <-> s1 rtt: 0.020 ms (using LAN coordinates)\n");
    assert_eq!(
        failed("rtt", &["-wan", "s1"]),
        "Node names must be specified as <node name>.<datacenter> with -wan\n"
    );
    assert_eq!(
        failed("force-leave", &["nope"]),
        "Error force leaving: Unexpected response code: 500 (agent: No node found with name \
         'nope')\n"
    );
    let table = "Node  Address         Status  Type    Build  Protocol  DC   Segment\ns1    ";
    let members = out("members", &["-status", "al.*e$"]);
    assert!(members.starts_with(&table[..20]) && members.ends_with("dc1  <all>\n"), "{members}");
    assert_eq!(with("members", &["-status", "none"]), (2, String::new(), String::new()));
    assert_eq!(
        failed("members", &["-status", "["]),
        "Failed to compile status regexp: error parsing regexp: missing closing ]: `[`\n"
    );
    assert_eq!(
        failed("event", &["-name", "x", "-tag", "y"]),
        "Cannot provide tag filter without service filter.\n"
    );
    assert_eq!(failed("join", &[]), "At least one address to join must be specified.\n");
    assert_eq!(failed("keyring", &["-list", "-use=x"]), "Only a single action is allowed\n");
    let key = out("keygen", &[]);
    assert_eq!((key.len(), key.ends_with("=\n")), (45, true), "{key}");
    assert_ne!(out("keygen", &[]), key);
}

#[test]
fn snapshots_go_out_and_come_back() {
    let scratch = Scratch::new("snapshot");
    let agent = Agent::dev(&scratch, &[]);
    let address = format!("-http-addr={}", agent.http);
    put(agent.http, "/v1/kv/kept", "1");
    let path = scratch.0.join("s.snap");
    let file = path.to_str().unwrap();
    let (code, stdout, stderr) = run(&["snapshot", "save", &address, file]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("Saved and verified snapshot to index "), "{stdout}");
    put(agent.http, "/v1/kv/kept", "2");
    put(agent.http, "/v1/kv/later", "1");
    let (code, stdout, stderr) = run(&["snapshot", "restore", &address, file]);
    assert_eq!((code, stdout.as_str()), (0, "Restored snapshot\n"), "{stderr}");
    let (code, stdout, _) = run(&["kv", "get", &address, "-recurse", ""]);
    assert_eq!((code, stdout.as_str()), (0, "kept:1\n"));
    let (code, stdout, _) = run(&["snapshot", "inspect", file]);
    assert_eq!(code, 0);
    assert!(stdout.contains("Version      1000\n"), "{stdout}");
    let junk = scratch.file("junk.snap", "junk");
    let (code, _, stderr) = run(&["snapshot", "restore", &address, junk.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("failed to decompress snapshot"), "{stderr}");
}

#[test]
fn commands_without_an_agent() {
    let (code, stdout, _) = run(&["version"]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("proconsul v"), "{stdout}");
    let (code, _, stderr) = run(&["nosuch"]);
    assert_eq!(code, 127);
    assert!(stderr.contains("Available commands"), "{stderr}");
    let (code, _, stderr) = run(&["kv", "get", "-http-addr=127.0.0.1:1", "x"]);
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "Error querying Consul agent: Get \"http://127.0.0.1:1/v1/kv/x\": \
         dial tcp 127.0.0.1:1: connect: connection refused\n"
    );
    let (code, _, stderr) = run(&["kv", "get", "-nosuchflag", "x"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("flag provided but not defined: -nosuchflag"), "{stderr}");
    let (code, _, stderr) = run(&["snapshot", "restore", "nofile"]);
    assert_eq!(code, 1);
    assert_eq!(stderr, "Error opening snapshot file: open nofile: no such file or directory\n");
}

#[test]
fn validate_says_what_is_wrong() {
    let scratch = Scratch::new("validate");
    let good = scratch.file(
        "ok.hcl",
        "data_dir = \"/nowhere\"\nservices {\n  id = \"web1\"\n  name = \"web\"\n  port = 80\n}\n",
    );
    let (code, stdout, stderr) = run(&["validate", good.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (0, "Configuration is valid!\n"), "{stderr}");
    let (code, stdout, _) = run(&["validate", "-quiet", good.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    let bad = scratch.file("bad.hcl", "data_dir = \"/nowhere\"\nbogus = 1\n");
    let (code, _, stderr) = run(&["validate", bad.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("Config validation failed: failed to parse "), "{stderr}");
    assert!(stderr.contains("1 error occurred:\n\t* invalid config key bogus\n\n"), "{stderr}");
}
