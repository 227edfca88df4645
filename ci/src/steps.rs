//! The steps of a verification, in the order in which they fail fastest.

use crate::sources::root;
use crate::{Findings, arrows, deps, tidy};
use std::process::Command;

/// One check with a name for people.
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct Step {
    /// What it checks.
    pub name: &'static str,
    /// Runs it.
    pub check: Box<dyn Fn() -> Findings>,
}

/// Scenarios whose traces are compared between processes and profiles, with their seeds.
const DETERMINISM_SEEDS: [u64; 3] = [1, 2, 3];
/// Drawn worlds that must hold: first seed and how many.
const HELD_SEEDS: (u64, u64) = (2_000_000, 1_500);
/// Fresh seeds of one verification.
const FRESH_SEEDS: u64 = 1_000;
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
    steps.push(step("release build from Cargo.lock", || {
        cargo(&["build", "--release", "--bin", "proconsul", "--locked"])
    }));
    steps.push(step("determinism: two processes, two profiles", determinism));
    steps.push(swarm(HELD_SEEDS.1, HELD_SEEDS.0));
    steps.push(fresh_swarm(FRESH_SEEDS, fresh_seed));
    steps.push(mutants(MUTANT_SEEDS, MUTANT_TRIALS));
    steps
}

/// Worlds that nobody has tried. About one in 1,500 still breaks a rule (CHANGELOG, "Known"), so
/// what it finds is printed with its seed and does not fail the run until that is mended.
fn fresh_swarm(seeds: u64, first: u64) -> Step {
    step("swarm of fresh seeds (told, does not gate)", move || {
        for finding in (swarm(seeds, first).check)() {
            told(&finding);
        }
        Findings::new()
    })
}

#[expect(clippy::print_stdout, reason = "a finding that does not gate is still told")]
fn told(finding: &str) {
    println!("   told: {finding}");
}

/// A swarm of worlds from `first` on.
#[must_use]
pub fn swarm(seeds: u64, first: u64) -> Step {
    step("swarm", move || {
        let (seeds, first) = (seeds.to_string(), first.to_string());
        cargo(&["sim", "swarm", "--seeds", &seeds, "--from", &first, "--jobs", "2"])
    })
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
    let names = scenario_names();
    if names.is_empty() {
        return vec!["`cargo sim list` lists no scenario".to_string()];
    }
    let mut findings = Findings::new();
    for name in &names {
        for seed in DETERMINISM_SEEDS {
            let seed = seed.to_string();
            let traces = [
                trace(&["sim"], name, &seed),
                trace(&["sim"], name, &seed),
                trace(&CHECKED_SIM, name, &seed),
            ];
            let equal = traces[0].is_some() && traces.iter().all(|other| *other == traces[0]);
            if !equal {
                findings.push(format!("{name} --seed {seed}: traces differ: {traces:?}"));
            }
        }
    }
    findings
}

/// The same tool as `cargo sim`, under the profile with every arithmetic and debug check on.
const CHECKED_SIM: [&str; 10] = [
    "run",
    "--quiet",
    "--profile",
    "sim",
    "--package",
    "proconsul-scenarios",
    "--features",
    "planted",
    "--bin=proconsul-sim",
    "--",
];

fn scenario_names() -> Vec<String> {
    let listing = output(&["sim", "list"]);
    listing.lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect()
}

fn trace(tool: &[&str], scenario: &str, seed: &str) -> Option<String> {
    let mut arguments = tool.to_vec();
    arguments.extend(["run", scenario, "--seed", seed]);
    let printed = output(&arguments);
    let line = printed.lines().rev().find(|line| line.contains("trace 0x"))?;
    line.split("trace ").nth(1)?.split_whitespace().next().map(String::from)
}

fn step(name: &'static str, check: impl Fn() -> Findings + 'static) -> Step {
    Step { name, check: Box::new(check) }
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

fn output(arguments: &[&str]) -> String {
    Command::new(cargo_path())
        .args(arguments)
        .current_dir(root())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string())
}
