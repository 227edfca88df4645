//! Commands that stay with an agent: its log as it is written.

use crate::process::{Agent, PROCONSUL, Scratch, pause, run};
use crate::web::{get, put};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts a command that does not end by itself.
fn start(agent: &Agent, words: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(PROCONSUL)
        .args(words)
        .env("CONSUL_HTTP_ADDR", agent.http.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

#[test]
fn the_log_is_shown_to_who_asks() {
    let scratch = Scratch::new("monitor");
    let mut agent = Agent::dev(&scratch, &["-log-level=info"]);
    let (mut plain, mut lines) = start(&agent, &["monitor", "-log-level=debug"]);
    let (mut json, mut objects) = start(&agent, &["monitor", "-log-level", "TRACE", "-log-json"]);
    let mut seen = false;
    let until = Instant::now() + Duration::from_secs(10);
    // Requests are logged at a level that standard output does not show.
    for reader in [&mut lines, &mut objects] {
        let mut line = String::new();
        while !line.contains("url=/v1/kv/seen?token=<hidden>") {
            assert!(Instant::now() < until, "the line never came; the last one: {line}");
            put(agent.http, "/v1/kv/seen?token=secret", "1");
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let is_object = serde_json::from_str::<serde_json::Value>(&line).is_ok();
        assert_eq!(is_object, seen, "{line}");
        seen = true;
        assert!(is_object || line.contains("Z [DEBUG] agent.http: Request finished: "), "{line}");
    }
    assert!(!agent.log().contains("Request finished"));
    json.kill().unwrap();
    json.wait().unwrap();
    agent.kill();
    assert_eq!(plain.wait().unwrap().code(), Some(1));
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let ended = "\nRemote side ended the monitor! This usually means that the\n\
                 remote side has exited or crashed.\n";
    assert!(rest.ends_with(ended), "{rest}");
    pause();
    let (code, _, stderr) = run(&["monitor", "-http-addr=127.0.0.1:1"]);
    let dialled = "Error starting monitor: Get \"http://127.0.0.1:1/v1/agent/monitor?loglevel=INFO\": \
                   dial tcp 127.0.0.1:1: connect: connection refused\n";
    assert_eq!((code, stderr.as_str()), (1, dialled));
}

#[test]
fn the_machine_is_told() {
    let scratch = Scratch::new("host");
    let agent = Agent::dev(&scratch, &[]);
    let told = get(agent.http, "/v1/agent/host");
    assert!(told.body.starts_with("{\n    \""), "{}", told.body);
    assert!(told.json()["Memory"]["total"].as_u64() > Some(0), "{}", told.body);
    let refused = get_any(&agent, "/v1/agent/monitor?loglevel=nope");
    assert_eq!(refused, (400, "Bad request: Unknown log level: nope".to_owned()));
}

fn get_any(agent: &Agent, target: &str) -> (u16, String) {
    let answer = crate::web::ask(agent.http, "GET", target, "").unwrap();
    (answer.status, answer.body)
}
