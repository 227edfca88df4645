//! Requests and answers of each family, in `testdata/*.txt`.
//!
//! A case is a line `> METHOD target`, the body in lines that start with `| `, then `< status` with
//! headers in lines that start with `: ` and the body in lines that start with `| `. `${name}` in a
//! request is what `= name` after an earlier answer took from its first quoted value.
//! From `! others are there` on this server is in pools and knows three more nodes.
//! From `! another leads` on this server follows; what it would forward has no leader to go to.
//! `TESTDATA=write cargo test -p proconsul-http --test families` writes the answers anew: look at
//! the difference before you keep it.

mod pools;
mod world;

use proconsul_http::PoolView;
use std::path::{Path, PathBuf};
use world::{World, request};

fn say(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

fn run(text: &str) -> String {
    let mut world = World::new();
    world.keys = pools::answers;
    let mut names: Vec<(String, String)> = Vec::new();
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "! others are there" {
            world.view.pools = pools::meet().into();
            for command in pools::commands() {
                world.apply(&command);
            }
        }
        if line == "! another leads" {
            world.follow(Some(world.now));
        }
        let Some(asked) = line.strip_prefix("> ") else {
            if line.is_empty() || line.starts_with(['#', '!']) {
                say(&mut out, line);
            }
            continue;
        };
        say(&mut out, &format!("> {asked}"));
        let mut body = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("| ")) {
            say(&mut out, line);
            body.push_str(&line[2..]);
        }
        while lines.next_if(|l| ["< ", ": ", "| "].iter().any(|p| l.starts_with(p))).is_some() {}
        let fill = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("${{{name}}}"), value)
            })
        };
        let response = world.ask(&request(&fill(asked), &fill(&body)));
        say(&mut out, &format!("< {}", response.status));
        for (name, value) in &response.headers {
            say(&mut out, &format!(": {name}: {value}"));
        }
        let answer = String::from_utf8_lossy(&response.body).into_owned();
        for line in answer.lines() {
            say(&mut out, &format!("| {line}"));
        }
        if let Some(taken) = lines.next_if(|line| line.starts_with("= ")) {
            say(&mut out, taken);
            let value = answer.split('"').nth(3).expect("a value to take").to_owned();
            names.push((taken[2..].to_owned(), value));
        }
    }
    out
}

fn check(family: &str) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    let file = folder.join(family).with_extension("txt");
    let wanted = std::fs::read_to_string(&file).expect("each family has its file");
    let got = run(&wanted);
    if option_env!("TESTDATA") == Some("write") {
        std::fs::write(&file, &got).expect("the folder can be written");
        return;
    }
    for (place, (wanted, got)) in wanted.lines().zip(got.lines()).enumerate() {
        assert_eq!(got, wanted, "{family}.txt, line {}", place + 1);
    }
    assert_eq!(got.lines().count(), wanted.lines().count(), "{family}.txt");
}

#[test]
fn status_and_routing() {
    check("routing");
}

#[test]
fn keys() {
    check("kv");
}

#[test]
fn transactions() {
    check("txn");
}

#[test]
fn sessions() {
    check("session");
}

#[test]
fn the_catalog() {
    check("catalog");
}

#[test]
fn health() {
    check("health");
}

#[test]
fn the_agent() {
    check("agent");
}

#[test]
fn places() {
    check("coordinate");
}

#[test]
fn events() {
    check("event");
}

#[test]
fn other_datacenters() {
    check("datacenters");
}

#[test]
fn operators() {
    check("operator");
}

#[test]
fn a_server_without_a_wan_pool_shows_none() {
    let mut world = World::new();
    world.view.pools = PoolView { wan: None, ..pools::meet() }.into();
    let mut told = |target: &str| {
        let response = world.ask(&request(&format!("GET {target}"), ""));
        String::from_utf8(response.body.to_vec()).unwrap()
    };
    assert_eq!(told("/v1/agent/members?wan=1"), "null");
    let about = told("/v1/agent/self");
    assert!(about.contains("\"serf_lan\":{") && !about.contains("serf_wan"), "{about}");
}
