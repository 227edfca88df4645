//! Every scenario with its fixed seeds and one fresh seed, and a swarm of drawn worlds.

use proconsul_scenarios::ALL;
use proconsul_sim::{Telling, play, quiet_panics, swarm};

/// A seed that is another one in every build, and is printed when something is wrong.
fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| since.as_secs())
}

#[test]
fn every_scenario_holds() {
    quiet_panics();
    for scenario in ALL {
        for seed in [1, 2, 3, fresh_seed()] {
            let played = play(scenario, seed, "", Telling::Silent);
            assert!(
                played.outcome.violation.is_none(),
                "{:?}\nagain: cargo sim replay {} --seed {seed:#x}",
                played.outcome.violation,
                scenario.name,
            );
        }
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    quiet_panics();
    for scenario in ALL {
        let one = play(scenario, 7, "", Telling::Silent).outcome.trace;
        let two = play(scenario, 7, "", Telling::Silent).outcome.trace;
        assert_eq!(one, two, "{} with seed 7", scenario.name);
    }
}

#[test]
fn drawn_worlds_hold() {
    quiet_panics();
    let from = fresh_seed() << 20;
    let sum = swarm::together(from, 400, "", 2);
    assert!(
        sum.failed.is_none(),
        "{:?}\nagain: cargo sim replay swarm --seed {:#x}",
        sum.failed.as_ref().map(|(_, outcome)| &outcome.violation),
        sum.failed.as_ref().map_or(0, |(seed, _)| *seed),
    );
}
