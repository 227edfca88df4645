//! What may come from outside: licences, sources, what core links, what the shipped binary has on.

use crate::Findings;
use crate::arrows::metadata;
use crate::sources::root;
use cargo_metadata::{DependencyKind, Metadata};
use std::process::Command;

/// Licences we ship under; a choice (`OR`) needs one of them, a sum (`AND`) needs all.
const LICENCES: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "MPL-2.0",
    "Unicode-3.0",
    "0BSD",
    "Unlicense",
    "CC0-1.0",
];

/// What core crates may name as dependencies, besides one another. Anything else is argued for in
/// ARCHITECTURE.md first.
const CORE_MAY_USE: [&str; 16] = [
    "aes-gcm",
    "base64",
    "bincode",
    "bytes",
    "crc32c",
    "crc32fast",
    "hickory-proto",
    "itoa",
    "libm",
    "md-5",
    "regex",
    "ryu",
    "serde",
    "serde_json",
    "thiserror",
    "uuid",
];

/// What must never be linked into a core crate: clocks, entropy, runtimes.
const CORE_NEVER_LINKS: [&str; 7] =
    ["tokio", "madsim-tokio", "madsim", "getrandom", "chrono", "parking_lot", "openssl"];

/// Every broken dependency rule.
#[must_use]
pub fn check() -> Findings {
    let metadata = match metadata() {
        Ok(metadata) => metadata,
        Err(error) => return vec![error],
    };
    let mut findings = Findings::new();
    licences(&metadata, &mut findings);
    sources(&metadata, &mut findings);
    core_allow_list(&metadata, &mut findings);
    core_tree(&mut findings);
    shipped_features(&mut findings);
    findings
}

fn licences(metadata: &Metadata, findings: &mut Findings) {
    for package in &metadata.packages {
        let licence = package.license.as_deref().unwrap_or("");
        if !acceptable(licence) {
            findings.push(format!("{} {}: licence {licence:?}", package.name, package.version));
        }
    }
}

fn acceptable(licence: &str) -> bool {
    let licence = licence.replace('/', " OR ");
    licence.split(" AND ").all(|part| {
        part.trim_matches(['(', ')'])
            .split(" OR ")
            .any(|choice| LICENCES.contains(&choice.trim().trim_matches(['(', ')'])))
    })
}

fn sources(metadata: &Metadata, findings: &mut Findings) {
    for package in &metadata.packages {
        let from_git = package.source.as_ref().is_some_and(|from| from.repr.starts_with("git+"));
        if from_git {
            findings.push(format!("{} comes from a git repository", package.name));
        }
    }
}

fn core_allow_list(metadata: &Metadata, findings: &mut Findings) {
    for package in metadata.workspace_packages() {
        let in_core = package
            .manifest_path
            .strip_prefix(&metadata.workspace_root)
            .is_ok_and(|path| path.starts_with("core"));
        if !in_core {
            continue;
        }
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let ours = name.starts_with("proconsul");
            let shipped = dependency.kind == DependencyKind::Normal;
            if shipped && !ours && !CORE_MAY_USE.contains(&name) {
                findings.push(format!("{} must not use {name}", package.name));
            }
            if shipped
                && !ours
                && dependency.uses_default_features
                && !STD_EXCEPTIONS.contains(&name)
            {
                findings.push(format!("{} takes {name} with its default features", package.name));
            }
        }
    }
}

/// Libraries of core that need the standard library; ARCHITECTURE.md has the reasons.
const STD_EXCEPTIONS: [&str; 2] = ["crc32c", "libm"];

/// Core crates whose whole tree is looked at, and what of the forbidden list they may still link.
/// `hickory-proto` brings an entropy source for the ids of questions it would send; answers, the
/// only thing `dns` makes, take their id from the question.
const CORE_TREES: [(&str, &[&str]); 10] = [
    ("proconsul-types", &[]),
    ("proconsul-syntax", &[]),
    ("proconsul-wire", &[]),
    ("proconsul-disk", &[]),
    ("proconsul-gossip", &[]),
    ("proconsul-raft", &[]),
    ("proconsul-catalog", &[]),
    ("proconsul-checks", &[]),
    ("proconsul-http", &[]),
    ("proconsul-core", &["getrandom"]),
];

fn core_tree(findings: &mut Findings) {
    for (package, exceptions) in CORE_TREES {
        let tree = cargo(&["tree", "-p", package, "-e", "normal", "--prefix", "none"]);
        for line in tree.lines() {
            let name = line.split(' ').next().unwrap_or("");
            if CORE_NEVER_LINKS.contains(&name) && !exceptions.contains(&name) {
                findings.push(format!("{package} links {name}"));
            }
        }
        if tree.is_empty() {
            findings.push(format!("cargo tree says nothing of {package}"));
        }
    }
}

/// Planted faults must be out of reach of the shipped binary.
fn shipped_features(findings: &mut Findings) {
    let tree = cargo(&["tree", "-p", "proconsul", "-e", "features,no-dev", "--prefix", "none"]);
    if tree.lines().any(|line| line.contains("feature \"planted\"")) {
        findings.push("the agent is built with planted faults".to_string());
    }
    if !tree.contains("proconsul-core") {
        findings.push("cargo tree says nothing of the agent's features".to_string());
    }
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_keep_the_rules() {
        let findings = check();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    #[test]
    fn licence_expressions() {
        assert!(acceptable("MIT OR Apache-2.0"));
        assert!(acceptable("MIT/Apache-2.0"));
        assert!(acceptable("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!acceptable("GPL-3.0"));
        assert!(!acceptable("MIT AND GPL-3.0"));
        assert!(!acceptable(""));
    }
}
