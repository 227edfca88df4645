//! `watch`: one look, or a command run for every change.

use super::client::{Answer, Client};
use super::flag::{self, Flags, Outcome};
use super::{Command, child, err, out};
use crate::indented::indented;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

pub(super) const COMMAND: Command = Command {
    path: &["watch"],
    about: "Watches for changes",
    run: watch,
    flags: |command| {
        flag::server(command)
            .arg(flag::value("type", "key, keyprefix, services, nodes, service, checks or event"))
            .arg(flag::value("key", "The key, for 'key'"))
            .arg(flag::value("prefix", "The prefix, for 'keyprefix'"))
            .arg(flag::value("service", "The service, for 'service' and 'checks'"))
            .arg(flag::list("tag", "A tag it must have, for 'service'; may be repeated"))
            .arg(flag::value("passingonly", "true: healthy ones alone, for 'service'"))
            .arg(flag::value("state", "The state, for 'checks'"))
            .arg(flag::value("name", "The name, for 'event'"))
            .arg(flag::switch("shell", "Run the command in a shell (the default)"))
    },
};

/// After the first failure; it grows with the square of their number.
const RETRY: Duration = Duration::from_secs(5);
/// No longer than this.
const RETRY_MAX: Duration = Duration::from_secs(180);

/// What is watched.
struct Watched {
    kind: &'static str,
    path: String,
    query: Vec<(&'static str, String)>,
}

fn watch(flags: Flags) -> Outcome {
    let text = |name: &str| flags.text(name).unwrap_or_default();
    if text("type").is_empty() {
        return Err("Watch type must be specified".to_owned());
    }
    let watched = watched(&flags)?;
    let client = Client::of_server(&flags)?;
    client
        .get("/v1/agent/self", &[])
        .map_err(|error| format!("Error querying Consul agent: {error}"))?;
    let (mut index, mut failures) = (0, 0_u32);
    let mut last = None;
    loop {
        let (next, seen) = match look(&client, &watched, index) {
            Ok(found) => found,
            Err(text) => {
                failures = failures.saturating_add(1);
                let pause = (RETRY * failures.saturating_mul(failures)).min(RETRY_MAX);
                let kind = watched.kind;
                err(&format!(
                    "consul.watch: Watch errored: type={kind} error=\"{text}\" retry={}s\n",
                    pause.as_secs()
                ));
                std::thread::park_timeout(pause);
                index = 0;
                continue;
            }
        };
        failures = 0;
        if next == index && last.is_some() {
            continue;
        }
        // Events have no order of indexes; elsewhere a smaller one means a new beginning.
        index = if next < index && watched.kind != "event" { 0 } else { next };
        if last.as_ref() == Some(&seen) {
            continue;
        }
        let shown = news(&watched, last.as_ref(), &seen);
        last = Some(seen);
        if flags.arguments.is_empty() {
            out(&format!("{}\n", indented(&shown)));
            return Ok(0);
        }
        run(&flags, next, &shown)?;
    }
}

fn watched(flags: &Flags) -> Result<Watched, String> {
    let text = |name: &str| flags.text(name).unwrap_or_default();
    let single = |name: &str, what: &str| match text(name) {
        "" => Err(format!("Must specify a single {what} to watch")),
        named => Ok(named.to_owned()),
    };
    let mut query = Vec::new();
    let (kind, path) = match text("type") {
        "key" => ("key", format!("/v1/kv/{}", single("key", "key")?)),
        "keyprefix" => {
            query.push(("recurse", String::new()));
            ("keyprefix", format!("/v1/kv/{}", single("prefix", "prefix")?))
        }
        "services" => ("services", "/v1/catalog/services".to_owned()),
        "nodes" => ("nodes", "/v1/catalog/nodes".to_owned()),
        "service" => {
            let name = single("service", "service")?;
            query.extend(flags.texts("tag").into_iter().map(|tag| ("tag", tag.to_owned())));
            match text("passingonly") {
                "true" | "1" | "t" => query.push(("passing", "1".to_owned())),
                "" | "false" | "0" | "f" => {}
                other => {
                    return Err(format!("strconv.ParseBool: parsing \"{other}\": invalid syntax"));
                }
            }
            ("service", format!("/v1/health/service/{name}"))
        }
        "checks" => match (text("service"), text("state")) {
            ("", "") => ("checks", "/v1/health/state/any".to_owned()),
            ("", state) => ("checks", format!("/v1/health/state/{state}")),
            (service, "") => ("checks", format!("/v1/health/checks/{service}")),
            (_, _) => return Err("Cannot specify service and state".to_owned()),
        },
        "event" => {
            query.push(("name", text("name").to_owned()));
            ("event", "/v1/event/list".to_owned())
        }
        other => return Err(format!("Unsupported watch type: {other}")),
    };
    Ok(Watched { kind, path, query })
}

/// What is there once it differs from what was there at `index`.
fn look(client: &Client, watched: &Watched, index: u64) -> Result<(u64, Value), String> {
    let mut query: Vec<(&str, &str)> =
        watched.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let index = index.to_string();
    if index != "0" {
        query.push(("index", &index));
    }
    let answer =
        client.ask("GET", &watched.path, &query, &[]).map_err(|error| error.to_string())?;
    let Answer { status, index, body } = answer;
    let of_keys = watched.kind.starts_with("key");
    let told = match status {
        200 => serde_json::from_slice(&body).map_err(|error| error.to_string())?,
        404 if of_keys => Value::Null,
        _ => {
            let text = String::from_utf8_lossy(&body);
            return Err(format!("Unexpected response code: {status} ({text})"));
        }
    };
    Ok((index.unwrap_or(0), as_clients_see_it(watched.kind, told)))
}

/// The forms in which Consul's own client shows what the API tells.
fn as_clients_see_it(kind: &str, mut told: Value) -> Value {
    match kind {
        "key" | "keyprefix" => each(&mut told, pair),
        "checks" => each(&mut told, check),
        "service" => each(&mut told, |entry| each(&mut entry["Checks"], check)),
        _ => {}
    }
    match told.as_array_mut() {
        Some(pairs) if kind == "key" => pairs.pop().unwrap_or_default(),
        Some(_) | None => told,
    }
}

fn each(list: &mut Value, form: fn(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(form);
}

fn pair(told: &mut Value) {
    let mut shown = Map::new();
    for name in ["Key", "CreateIndex", "ModifyIndex", "LockIndex", "Flags", "Value"] {
        shown.insert(name.to_owned(), told[name].take());
    }
    let session = told.get("Session").cloned().unwrap_or_else(|| "".into());
    shown.insert("Session".to_owned(), session);
    *told = Value::Object(shown);
}

fn check(told: &mut Value) {
    let mut shown = json!({
        "Interval": "0s", "Timeout": "0s", "DeregisterCriticalServiceAfter": "0s",
        "HTTP": "", "Header": null, "Method": "", "Body": "", "TLSSkipVerify": false, "TCP": "",
    });
    for (name, value) in told["Definition"].as_object().into_iter().flatten() {
        shown[name] = value.clone();
    }
    told["Definition"] = shown;
}

/// Of events, those since the last one that was seen; of anything else, all of it.
fn news(watched: &Watched, last: Option<&Value>, seen: &Value) -> Value {
    let newest = last.and_then(Value::as_array).and_then(|events| events.last());
    match (watched.kind, newest, seen.as_array()) {
        ("event", Some(newest), Some(events)) => {
            let at = events.iter().position(|event| event["ID"] == newest["ID"]);
            events.iter().skip(at.map_or(0, |at| at + 1)).cloned().collect()
        }
        (_, _, _) => seen.clone(),
    }
}

/// Runs the command with what is there on its standard input.
fn run(flags: &Flags, index: u64, shown: &Value) -> Result<(), String> {
    let mut command = child::command(flags, &flags.arguments)?;
    command.env("CONSUL_INDEX", index.to_string()).stdin(Stdio::piped());
    let mut started = command.spawn().map_err(|error| {
        format!("Error starting handler: {}", child::unstartable(&command, &error))
    })?;
    if let Some(mut input) = started.stdin.take() {
        // A command need not read it.
        drop(input.write_all(format!("{shown}\n").as_bytes()));
    }
    let status = started.wait().map_err(|error| format!("Error executing handler: {error}"))?;
    child::failure(status).map_or(Ok(()), |text| Err(format!("Error executing handler: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_events_are_news() {
        let watched = Watched { kind: "event", path: String::new(), query: Vec::new() };
        let (one, two) = (json!([{"ID": "a"}]), json!([{"ID": "a"}, {"ID": "b"}]));
        assert_eq!(news(&watched, None, &two), two);
        assert_eq!(news(&watched, Some(&one), &two), json!([{"ID": "b"}]));
        assert_eq!(news(&watched, Some(&json!([])), &one), one);
    }
}
