//! The simulator finds bugs, and shortens what it finds: a sample of planted faults that a few
//! worlds must show. The whole table is `cargo sim mutants`.

use proconsul_sim::{mutants, quiet_panics};

#[test]
fn a_sample_of_planted_faults_is_found_and_shrunk() {
    quiet_panics();
    for (name, worlds) in [
        ("AckBeforeCommit", 20),
        ("CasIgnoresIndex", 50),
        ("ApplyDependsOnNode", 50),
        ("CommitBeyondMatched", 100),
        ("FollowerServesDefault", 50),
    ] {
        let found = mutants::hunt(name, worlds, 1, 1);
        assert_eq!(found.after.len(), 1, "{name} is not found in {worlds} worlds");
        let [(faults, ops), (fewer, less)] = found.lengths.expect("what is found is shrunk");
        assert!(fewer <= faults && less <= ops, "{}", found.row());
        assert!(fewer <= 5, "{}", found.row());
    }
}

#[test]
fn every_planted_fault_has_a_name() {
    for fault in mutants::FAULTS {
        assert_eq!(mutants::fault_named(&format!("{fault:?}")), Some(*fault));
    }
}
