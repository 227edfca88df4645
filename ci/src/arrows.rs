//! Which crate may use which: the floors of the house, held against `cargo metadata`.

use crate::Findings;
use crate::sources::root;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Each crate of the project and those it may use. Arrows point down; the three machines (`gossip`,
/// `raft`, `catalog`) never see one another, nor do `sim` and `real-runtime`.
const ARROWS: &[(&str, &[&str])] = &[
    ("proconsul-types", &[]),
    ("proconsul-syntax", &["proconsul-types"]),
    ("proconsul-wire", &["proconsul-types"]),
    ("proconsul-disk", &["proconsul-types"]),
    ("proconsul-gossip", &["proconsul-types", "proconsul-syntax", "proconsul-wire"]),
    ("proconsul-raft", &["proconsul-types", "proconsul-wire"]),
    ("proconsul-catalog", &["proconsul-types", "proconsul-syntax", "proconsul-wire"]),
    (
        "proconsul-checks",
        &["proconsul-types", "proconsul-syntax", "proconsul-disk", "proconsul-catalog"],
    ),
    (
        "proconsul-http",
        &[
            "proconsul-types",
            "proconsul-syntax",
            "proconsul-gossip",
            "proconsul-catalog",
            "proconsul-checks",
        ],
    ),
    ("proconsul-dns", &["proconsul-types", "proconsul-syntax", "proconsul-catalog"]),
    (
        "proconsul-core",
        &[
            "proconsul-types",
            "proconsul-syntax",
            "proconsul-wire",
            "proconsul-disk",
            "proconsul-gossip",
            "proconsul-raft",
            "proconsul-catalog",
            "proconsul-checks",
            "proconsul-http",
            "proconsul-dns",
        ],
    ),
    ("proconsul-sim", &["proconsul-core"]),
    ("proconsul", &["proconsul-core"]),
    ("proconsul-scenarios", &["proconsul-sim"]),
    ("proconsul-ci", &[]),
];

/// What tests of a crate may use beyond its own arrows: the adapter's tests on madsim live with the
/// scenarios, in another package than the agent's `main`.
const TEST_ARROWS: &[(&str, &[&str])] =
    &[("proconsul-scenarios", &["proconsul", "proconsul-core", "proconsul-sim"])];

/// The workspace as cargo sees it.
///
/// # Errors
/// Cargo's own words when it cannot read a manifest.
pub fn metadata() -> Result<Metadata, String> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--locked".to_string()])
        .exec()
        .map_err(|error| error.to_string())
}

/// Every arrow that is not in the table, and every member that the table does not know.
#[must_use]
pub fn check() -> Findings {
    let metadata = match metadata() {
        Ok(metadata) => metadata,
        Err(error) => return vec![error],
    };
    let members = metadata.workspace_packages();
    let mut findings = Findings::new();
    for package in &members {
        let name = package.name.as_str();
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            findings.push(format!("{name} has no floor: give it a row in ci/src/arrows.rs"));
            continue;
        };
        let in_tests =
            TEST_ARROWS.iter().find(|(from, _)| *from == name).map_or(&[][..], |(_, to)| *to);
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            if !members.iter().any(|member| member.name.as_str() == to) {
                continue;
            }
            let for_tests =
                dependency.kind == DependencyKind::Development && in_tests.contains(&to);
            if !(for_tests || allowed.contains(&to)) {
                findings.push(format!("{name} must not use {to}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_points_down() {
        let findings = check();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    #[test]
    fn the_machines_never_see_one_another() {
        let machines = ["proconsul-gossip", "proconsul-raft", "proconsul-catalog"];
        for (from, to) in ARROWS.iter().filter(|(from, _)| machines.contains(from)) {
            assert!(!to.iter().any(|name| machines.contains(name)), "{from} sees a machine");
        }
    }

    #[test]
    fn the_table_is_a_house_without_cycles() {
        for (at, (_, to)) in ARROWS.iter().enumerate() {
            for name in *to {
                let floor = ARROWS.iter().position(|(from, _)| from == name);
                assert!(floor.is_some_and(|floor| floor < at), "{name} stands above its user");
            }
        }
    }
}
