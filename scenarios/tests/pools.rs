//! Stories of pools with a few seeds each, drawn worlds of pools, and planted faults that they must
//! show. The whole table is `cargo sim mutants`.

use proconsul_scenarios::{ALL, CLUSTERS, POOLS};
use proconsul_sim::plans::run;
use proconsul_sim::pools::{Plan, Turn, What, drawn};
use proconsul_sim::swarm::{self, Kind};
use proconsul_sim::{Telling, mutants, quiet_panics};

#[test]
fn every_story_of_pools_holds() {
    quiet_panics();
    for story in POOLS.iter().filter(|story| !story.long) {
        for seed in 1..=3 {
            let outcome = run(&story.plan(seed, ""), Telling::Silent);
            let again = format!("again: cargo sim replay {} --seed {seed}", story.name);
            assert_eq!(outcome.violation, None, "{again}");
            assert!(outcome.codec_checked > 0, "{}: bytes are sampled", story.name);
        }
    }
}

#[test]
fn drawn_worlds_of_pools_hold() {
    quiet_panics();
    let sum = swarm::together(Kind::Pools, 0, 150, "", 2);
    let failed = sum.failed.map(|(seed, outcome)| (seed, outcome.violation));
    assert_eq!(failed, None, "again: cargo sim replay pools --seed ..");
    assert_eq!(sum.seeds, 150);
}

#[test]
fn a_plan_is_a_world() {
    quiet_panics();
    for seed in [3, 7, 11] {
        let plan = drawn::plan(seed);
        let trace = run(&plan, Telling::Silent).trace;
        let read = Plan::parse(&plan.text()).unwrap();
        assert_eq!(run(&read, Telling::Kept).trace, trace, "seed {seed}");
        let other = Plan { seed: seed + 1, ..plan };
        assert_ne!(run(&other, Telling::Silent).trace, trace, "seed {seed}");
    }
}

#[test]
fn a_rotation_that_is_not_complete_is_told() {
    quiet_panics();
    let story = POOLS.iter().find(|story| story.name == "keys_under_partition").unwrap();
    for forgotten in [Turn::Use, Turn::Remove] {
        let mut plan = story.plan(1, "");
        plan.acts.retain(|act| !matches!(act.what, What::Keys { turn, .. } if turn == forgotten));
        let broken = run(&plan, Telling::Silent).violation.map(|violation| violation.rule);
        assert_eq!(broken.as_deref(), Some("expected"), "without {forgotten:?}");
    }
}

#[test]
fn a_stray_join_shows_a_guard_that_sleeps() {
    quiet_panics();
    let story = POOLS.iter().find(|story| story.name == "datacenter_cut_off").unwrap();
    let broken = run(&story.plan(1, "GuardLetsOtherPoolIn"), Telling::Silent).violation;
    assert_eq!(broken.map(|broken| broken.rule).as_deref(), Some("pools do not mix"));
}

#[test]
fn planted_faults_of_gossip_are_found_and_shrunk() {
    quiet_panics();
    for (name, worlds) in [
        ("SuspicionCountsNamesTwice", 20),
        ("ProbeSkipsSuspect", 20),
        ("DeadBeatsNewerAlive", 20),
        ("BroadcastNotInvalidated", 20),
        ("RejoinReusesClock", 20),
        ("KeyUsedBeforeInstalled", 20),
        ("AnswersCountedTwice", 20),
    ] {
        let found = mutants::hunt(name, worlds, 1, 1);
        assert_eq!(found.after.len(), 1, "{name} is not found in {worlds} worlds");
        let [(acts, _), (fewer, _)] = found.lengths.expect("what is found is shrunk");
        assert!(fewer <= acts && fewer <= 3, "{}", found.row());
    }
}

#[test]
fn names_are_words_and_differ() {
    let scenarios = ALL.iter().map(|scenario| scenario.name);
    let pools = POOLS.iter().map(|story| story.name);
    let clusters = CLUSTERS.iter().map(|story| story.name);
    let mut names: Vec<&str> = pools.chain(clusters).chain(scenarios).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    let pools = POOLS.iter().map(|story| (story.name, story.doc));
    let clusters = CLUSTERS.iter().map(|story| (story.name, story.doc));
    for (name, doc) in pools.chain(clusters) {
        assert!(doc.matches('.').count() >= 2, "{name} says too little");
    }
}
