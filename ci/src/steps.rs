//! The steps of a verification, in the order in which they fail fastest.

use crate::sources::root;
use crate::{Findings, arrows, deps, tidy};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// One check with a name for people.
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct Step {
    /// What it checks.
    pub name: &'static str,
    /// Runs it.
    pub check: Box<dyn Fn() -> Checked>,
}

/// What came of a step.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong.
    pub findings: Findings,
    /// What could not be looked at here, for want of a program.
    pub skipped: u32,
}

/// The build of the agent that people run.
const SHIPPED: [&str; 5] = ["build", "--release", "--locked", "--bin", "proconsul"];
/// Seeds of each scenario whose traces are compared between processes and profiles.
const DETERMINISM_SEEDS: usize = 3;
/// The seed of the long story that a verification tells.
const LONG_SEED: &str = "1";
/// Drawn worlds, of which the sum of traces is compared in the same way.
const DETERMINISM_SWARM: [&str; 5] = ["swarm", "--seeds", "200", "--from", "0"];
/// Fresh seeds of one verification: worlds that nobody has tried.
const FRESH_SEEDS: u64 = 1_000;
/// Drawn worlds of pools that must hold: so many from seed 0, and so many fresh ones.
const POOLS: [u64; 2] = [1_000, 400];
/// Drawn worlds of whole agents that must hold: so many from seed 0, and so many fresh ones.
const CLUSTERS: [u64; 2] = [1_000, 400];
/// Seeds and trials for each planted fault in one verification; `cargo ci mutants` is full size.
const MUTANT_SEEDS: u64 = 300;
const MUTANT_TRIALS: u64 = 1;

/// A few seconds: what needs no build of the project itself.
#[must_use]
pub fn quick() -> Vec<Step> {
    vec![
        step("format", || cargo(&["fmt", "--all", "--check"])),
        step("tidy", tidy::check),
        step("arrows", arrows::check),
        step("dependencies", deps::check),
    ]
}

/// What a tool can repair.
#[must_use]
pub fn fix() -> Vec<Step> {
    vec![step("format", || cargo(&["fmt", "--all"]))]
}

/// Everything that must hold before a change lands, beyond what `cargo test` holds.
#[must_use]
pub fn verify(fresh_seed: u64) -> Vec<Step> {
    let mut steps = quick();
    steps.push(step("clippy", || {
        let mut arguments = vec!["clippy", "--workspace", "--all-targets", "--locked"];
        arguments.extend(["--features", "proconsul-scenarios/planted", "--", "-D", "warnings"]);
        cargo(&arguments)
    }));
    steps.push(step("documentation", || {
        let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
        cargo_with(&arguments, &[("RUSTDOCFLAGS", "-D warnings")])
    }));
    steps.push(step("release build from Cargo.lock", || cargo(&SHIPPED)));
    steps.push(step("determinism: two processes, two profiles", determinism));
    steps.push(peers());
    steps.push(swarm(FRESH_SEEDS, fresh_seed));
    steps.push(step("sync of 300 agents while leaders die", || {
        cargo(&["sim", "run", "sync_of_many", "--seed", LONG_SEED])
    }));
    steps.push(step("swarm of pools", move || kept_and_fresh("pools", POOLS, fresh_seed)));
    steps.push(step("swarm of clusters", move || kept_and_fresh("clusters", CLUSTERS, fresh_seed)));
    steps.push(mutants(MUTANT_SEEDS, MUTANT_TRIALS));
    steps
}

/// Our gossip, and the agent that is shipped, held against real agents. What is not here (`serf` on
/// the path, `consul` there or where the example's own page says) is skipped, and counted.
#[must_use]
pub fn peers() -> Step {
    Step { name: "real agents as peers", check: Box::new(peers_shown) }
}

/// The example is built as `cargo test` builds it: for one package alone its libraries would be
/// built once more.
fn peers_shown() -> Checked {
    let findings = cargo(&SHIPPED);
    if !findings.is_empty() {
        return Checked { findings, skipped: 0 };
    }
    let agent = match arrows::metadata() {
        Ok(metadata) => metadata.target_directory.join("release").join("proconsul"),
        Err(error) => return Checked { findings: vec![error], skipped: 0 },
    };
    let arguments = ["run", "--quiet", "--locked", "--example", "peers"];
    let variables = [("PROCONSUL_PEER_AGENT", agent.as_str())];
    let (mut findings, printed) = cargo_shown(&arguments, &variables);
    let skipped = printed.iter().rev().find_map(|line| skipped_in(line));
    if skipped.is_none() {
        findings.push("the peers do not say how many rows were skipped".to_string());
    }
    Checked { findings, skipped: skipped.unwrap_or(0) }
}

/// `N passed, N failed, N SKIPPED ..`: the third number.
fn skipped_in(line: &str) -> Option<u32> {
    let rest = line.split_once(" passed, ")?.1.split_once(" failed, ")?.1;
    rest.split_once(" SKIPPED")?.0.parse().ok()
}

/// A real cluster at full size, in a few minutes.
#[must_use]
pub fn cluster() -> Step {
    step("a cluster of real agents", || {
        cargo(&["bench", "--quiet", "--locked", "--package", "proconsul", "--bench", "cluster"])
    })
}

/// A swarm of worlds of servers from `first` on.
#[must_use]
pub fn swarm(seeds: u64, first: u64) -> Step {
    step("swarm", move || swarm_of(seeds, first, &["--pools", "0", "--clusters", "0"]))
}

/// A swarm of worlds of bare pools from `first` on.
#[must_use]
pub fn pools(seeds: u64, first: u64) -> Step {
    step("swarm of pools", move || swarm_of(seeds, first, &["--only", "pools"]))
}

/// A swarm of worlds of whole agents from `first` on.
#[must_use]
pub fn clusters(seeds: u64, first: u64) -> Step {
    step("swarm of clusters", move || swarm_of(seeds, first, &["--only", "clusters"]))
}

/// Fresh worlds of a kind, and those from seed 0.
fn kept_and_fresh(kind: &str, [kept, fresh]: [u64; 2], fresh_seed: u64) -> Findings {
    let mut findings = swarm_of(fresh, fresh_seed, &["--only", kind]);
    findings.extend(swarm_of(kept, 0, &["--only", kind]));
    findings
}

fn swarm_of(seeds: u64, first: u64, kind: &[&str]) -> Findings {
    let (seeds, first) = (seeds.to_string(), first.to_string());
    let arguments = ["--seeds", &seeds, "--from", &first, "--jobs", "2"];
    cargo(&[&["sim", "swarm"][..], &arguments[..], kind].concat())
}

/// Planted faults, each searched for in `trials` runs of up to `seeds` seeds.
#[must_use]
pub fn mutants(seeds: u64, trials: u64) -> Step {
    step("planted faults are found", move || {
        let (seeds, trials) = (seeds.to_string(), trials.to_string());
        cargo(&["sim", "mutants", "--seeds", &seeds, "--trials", &trials])
    })
}

/// The same seed must give the same trace hash in another process and under another profile.
fn determinism() -> Findings {
    let expected = match stories() {
        Ok(stories) => stories * DETERMINISM_SEEDS + 1,
        Err(error) => return vec![error],
    };
    let runs = [
        ("one process", &["sim"][..]),
        ("another process", &["sim"]),
        ("the profile with every check on", &CHECKED_SIM),
    ];
    let mut traced = Vec::new();
    for (what, tool) in runs {
        match traces(tool) {
            Ok(traces) => traced.push((what, traces)),
            Err(error) => return vec![format!("{what}: {error}")],
        }
    }
    differences(expected, &traced)
}

/// What is wrong with the traces of several runs, of which each has so many.
fn differences(expected: usize, traced: &[(&str, Vec<String>)]) -> Findings {
    let mut findings = Findings::new();
    for (what, traces) in traced {
        if traces.len() != expected {
            findings.push(format!("{what} prints {} traces, not {expected}", traces.len()));
        }
    }
    let Some(((_, first), others)) = traced.split_first() else { return findings };
    for (what, other) in others {
        for (line, other) in first.iter().zip(other).filter(|(line, other)| line != other) {
            findings.push(format!("{line}, but in {what}: {other}"));
        }
    }
    findings
}

/// How many stories are told when all are.
fn stories() -> Result<usize, String> {
    let listed = output(&["sim", "list"])?;
    let told = listed.lines().filter(|line| !line.ends_with("(long: told by name only)")).count();
    if told == 0 { Err("`cargo sim list` lists no story".into()) } else { Ok(told) }
}

/// The same tool as `cargo sim`, with every arithmetic and debug check on. `cargo test` built it.
const CHECKED_SIM: [&str; 6] = ["run", "--quiet", "--locked", "--example", "checked_sim", "--"];

/// Scenario, seed and trace, a line each; in the end the trace of drawn worlds of all kinds.
fn traces(tool: &[&str]) -> Result<Vec<String>, String> {
    let seeds = DETERMINISM_SEEDS.to_string();
    let mut traces = Vec::new();
    for arguments in [&["traces", "--seeds", &seeds][..], &DETERMINISM_SWARM] {
        let printed = output(&[tool, arguments].concat())?;
        traces.extend(printed.lines().filter(|line| line.contains("trace 0x")).map(String::from));
    }
    Ok(traces)
}

fn step(name: &'static str, check: impl Fn() -> Findings + 'static) -> Step {
    Step { name, check: Box::new(move || Checked { findings: check(), skipped: 0 }) }
}

fn cargo(arguments: &[&str]) -> Findings {
    cargo_with(arguments, &[])
}

fn cargo_with(arguments: &[&str], variables: &[(&str, &str)]) -> Findings {
    let status = Command::new(cargo_path())
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root())
        .status();
    match status {
        Ok(status) if status.success() => Findings::new(),
        Ok(status) => vec![format!("cargo {} ended with {status}", arguments.join(" "))],
        Err(error) => vec![format!("cargo {}: {error}", arguments.join(" "))],
    }
}

/// Runs cargo, passing on what it prints as it comes; the lines of it.
#[expect(clippy::print_stdout, reason = "it is for whoever reads this run")]
fn cargo_shown(arguments: &[&str], variables: &[(&str, &str)]) -> (Findings, Vec<String>) {
    let what = arguments.join(" ");
    let started = Command::new(cargo_path())
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return (vec![format!("cargo {what}: {error}")], Vec::new()),
    };
    let mut printed = Vec::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            printed.push(line);
        }
    }
    let findings = match child.wait() {
        Ok(status) if status.success() => Findings::new(),
        Ok(status) => vec![format!("cargo {what} ended with {status}")],
        Err(error) => vec![format!("cargo {what}: {error}")],
    };
    (findings, printed)
}

/// What a command prints, if it succeeds.
fn output(arguments: &[&str]) -> Result<String, String> {
    let command = format!("cargo {}", arguments.join(" "));
    let output = Command::new(cargo_path())
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| format!("{command}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    Err(format!("{command} ended with {}\n{said}{complained}", output.status))
}

fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_rows_are_read_from_the_closing_line() {
        assert_eq!(skipped_in("27 passed, 0 failed, 13 SKIPPED in 71 s"), Some(13));
        assert_eq!(skipped_in("27 passed, 0 failed"), None);
        assert_eq!(skipped_in(" 32 SKIPPED          failed, and back: no consul here"), None);
    }

    #[test]
    fn traces_that_differ_or_are_missing_are_found() {
        let lines = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = lines(&["a 1 trace 0x1", "trace 0x2"]);
        let runs = |other: Vec<String>| [("one", all.clone()), ("another", other)];
        assert_eq!(differences(2, &runs(all.clone())), Findings::new());
        assert_eq!(differences(3, &runs(all.clone())).len(), 2);
        assert_eq!(differences(2, &runs(lines(&["a 1 trace 0x1"]))).len(), 1);
        assert_eq!(differences(2, &runs(lines(&["a 1 trace 0x1", "trace 0x3"]))).len(), 1);
    }

    #[test]
    fn a_command_that_fails_has_no_output() {
        let error = output(&["no-such-command"]).expect_err("there is none");
        assert!(error.contains("no-such-command"), "{error}");
    }
}
