//! What the log tells: the lines operators look for, as JSON.

use crate::process::{Agent, Scratch, pause};
use crate::web::put;
use serde_json::Value;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// The lines so far; each is JSON, the last may not be complete.
fn lines(agent: &Agent) -> Vec<Value> {
    let log = agent.log();
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    whole.lines().map(parse).collect()
}

fn wait_for(agent: &Agent, level: &str, message: &str, field: Option<(&str, &str)>) {
    let start = Instant::now();
    let is_it = |line: &Value| {
        line["@level"] == level
            && line["@message"] == message
            && field.is_none_or(|(name, value)| line[name] == value)
    };
    while !lines(agent).iter().any(is_it) {
        assert!(start.elapsed() < SOON, "no {level} line {message:?} {field:?}: {}", agent.log());
        pause();
    }
}

#[test]
fn the_log_tells_what_operators_look_for() {
    let scratch = Scratch::new("told");
    let file = scratch.file(
        "web.json",
        r#"{
            "log_json": true, "raft_trailing_logs": 7,
            "service": {"name": "web", "check": {"tcp": "127.0.0.1:1", "interval": "200ms"}},
            "check": {"name": "alone", "ttl": "1s"}
        }"#,
    );
    let agent = Agent::dev(&scratch, &["-node", "s1", "-config-file", file.to_str().unwrap()]);
    wait_for(&agent, "warn", "raft_trailing_logs = 7 has no effect in this agent", None);
    let raised = Some(("check", "service:web"));
    wait_for(&agent, "warn", "check has interval below minimum", raised);
    wait_for(&agent, "info", "New leader elected", Some(("payload", "s1")));
    wait_for(&agent, "info", "Synced node info", None);
    wait_for(&agent, "info", "Synced service", Some(("service", "web")));
    wait_for(&agent, "info", "Synced check", Some(("check", "alone")));
    wait_for(&agent, "warn", "Check is now critical", Some(("check", "service:web")));
    wait_for(&agent, "warn", "Check missed TTL, is now critical", Some(("check", "alone")));
    put(agent.http, "/v1/agent/service/deregister/web", "");
    wait_for(&agent, "info", "Deregistered service", Some(("service", "web")));
}
