//! Commands that stay with an agent: its log as it is written.

use crate::process::{Agent, PROCONSUL, Scratch, pause, run};
use crate::web::{get, put};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

/// What a command prints, line by line as it comes.
struct Lines(Receiver<String>);

impl Lines {
    /// The next line with its end, if one comes within this time.
    fn next(&self, at_most: Duration) -> Option<String> {
        self.0.recv_timeout(at_most).ok()
    }

    /// Everything until it closes its output.
    fn rest(&self) -> String {
        let until = Instant::now() + SOON;
        let left = || until.saturating_duration_since(Instant::now());
        std::iter::from_fn(|| self.next(left())).collect()
    }
}

/// Starts a command that does not end by itself.
fn start(agent: &Agent, words: &[&str]) -> (Child, Lines) {
    let mut child = Command::new(PROCONSUL)
        .args(words)
        .env("CONSUL_HTTP_ADDR", agent.http.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (said, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if said.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    (child, Lines(lines))
}

#[test]
fn the_log_is_shown_to_who_asks() {
    let scratch = Scratch::new("monitor");
    let mut agent = Agent::dev(&scratch, &["-log-level=info"]);
    let (mut plain, lines) = start(&agent, &["monitor", "-log-level=debug"]);
    let (mut json, objects) = start(&agent, &["monitor", "-log-level", "TRACE", "-log-json"]);
    let mut seen = false;
    let until = Instant::now() + SOON;
    // Requests are logged at a level that standard output does not show. Who is asked for them may
    // not listen yet: there is a new one each turn.
    for reader in [&lines, &objects] {
        let mut line = String::new();
        while !line.contains("/v1/kv/seen?token=<hidden>") {
            assert!(Instant::now() < until, "the line never came; the last one: {line}");
            put(agent.http, "/v1/kv/seen?token=secret", "1");
            line = reader.next(Duration::from_millis(200)).unwrap_or_default();
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
    let rest = lines.rest();
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
fn changes_are_watched() {
    let scratch = Scratch::new("watch");
    let agent = Agent::dev(&scratch, &["-node", "s1"]);
    let address = format!("-http-addr={}", agent.http);
    let look = |words: &[&str]| {
        let mut all = vec!["watch", address.as_str()];
        all.extend_from_slice(words);
        run(&all)
    };
    assert_eq!(look(&["-type=key", "-key=w"]), (0, "null\n".into(), String::new()));
    put(agent.http, "/v1/kv/w", "1");
    let (_, shown, _) = look(&["-type=keyprefix", "-prefix=w"]);
    let index = get(agent.http, "/v1/kv/w").json()[0]["ModifyIndex"].as_u64().unwrap();
    let pair = format!(
        "[\n    {{\n        \"Key\": \"w\",\n        \"CreateIndex\": {index},\n        \
         \"ModifyIndex\": {index},\n        \"LockIndex\": 0,\n        \"Flags\": 0,\n        \
         \"Value\": \"MQ==\",\n        \"Session\": \"\"\n    }}\n]\n"
    );
    assert_eq!(shown, pair);
    let (_, shown, _) = look(&["-type=checks", "-state=passing"]);
    let checks: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(checks[0]["Definition"]["Interval"], "0s", "{shown}");
    let refusals = [
        (&[][..], "Watch type must be specified\n"),
        (&["-type=key"], "Must specify a single key to watch\n"),
        (&["-type=nosuch"], "Unsupported watch type: nosuch\n"),
        (&["-type=checks", "-service=a", "-state=b"], "Cannot specify service and state\n"),
        (&["-type=key", "-key=w", "exit", "3"], "Error executing handler: exit status 3\n"),
        (
            &["-type=key", "-key=w", "-shell=false", "/nonexist"],
            "Error starting handler: fork/exec /nonexist: no such file or directory\n",
        ),
    ];
    for (words, text) in refusals {
        assert_eq!(look(words), (1, String::new(), text.to_owned()), "{words:?}");
    }
    let words = ["watch", "-type=key", "-key=w", "cat;", "echo", "idx", "$CONSUL_INDEX"];
    let (mut child, lines) = start(&agent, &words);
    let next = || lines.next(SOON).unwrap_or_else(|| panic!("nothing more is said"));
    let first = next();
    assert!(first.starts_with(r#"{"Key":"w","CreateIndex":"#), "{first}");
    assert_eq!(next(), format!("idx {index}\n"));
    put(agent.http, "/v1/kv/other", "1");
    put(agent.http, "/v1/kv/w", "2");
    let second = next();
    assert!(second.contains(r#""Value":"Mg==""#), "{second}");
    child.kill().unwrap();
    child.wait().unwrap();
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
