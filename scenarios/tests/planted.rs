//! The simulator finds bugs, and shortens what it finds: a sample of planted faults that a few
//! worlds must show. The whole table is `cargo sim mutants`.

use proconsul_scenarios::ALL;
use proconsul_sim::run::run;
use proconsul_sim::{
    Options, Scenario, Schedule, Telling, failure, mutants, play, quiet_panics, secs,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seeds that a scenario is played with until it shows a fault that it says it catches.
const SEEDS: u64 = 300;

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

#[test]
fn a_failing_story_arrives_shrunk_or_says_why_it_does_not() {
    quiet_panics();
    let screen = |name: &str, fault: &str| {
        let scenario = ALL.iter().find(|scenario| scenario.name == name).expect("there is one");
        let played = play(scenario, 1, fault, Telling::Silent);
        (failure::of_scenario(scenario, &played), played.outcome.violation.expect("it breaks"))
    };
    let (text, broken) = screen("minority_cut", "QuorumOffByOne");
    for part in [
        "violated: raft.elected-by-few",
        "shrunk to 0 faults, 0 operations:",
        "again:    cargo sim replay minority_cut --seed 0x1 --planted QuorumOffByOne",
        "page:     ",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let line = text.lines().find(|line| line.starts_with("shrunk:   cargo sim replay "));
    let file = line.and_then(|line| line.split(' ').nth(6)).expect("the file is named");
    let kept = Schedule::parse(&std::fs::read_to_string(file).expect("it is kept")).unwrap();
    let again = run(&kept, Telling::Silent).violation.expect("it breaks a rule again");
    assert_eq!((&again.rule, &kept.rule), (&broken.rule, &broken.rule));
    // A rule of the story itself: its schedule alone does not break it.
    let (text, broken) = screen("session_expiry", "AcquireIgnoresHolder");
    assert_eq!(broken.rule, "story");
    assert!(text.contains("not shrunk: what the story itself asks"), "{text}");
    assert!(!text.contains("shrunk:   "), "{text}");
}

/// The leader is cut off later than drawn worlds are healed.
const LATE: Scenario = Scenario {
    name: "late",
    doc: "The leader is cut off late. It stops leading.",
    needs: &[],
    options: |_seed| Options::default(),
    story: |world| {
        Box::pin(async move {
            world.sleep(secs(14)).await;
            let leader = world.leader().await?;
            world.isolate(leader);
            world.sleep(secs(8)).await;
            Ok(())
        })
    },
};

#[test]
fn a_late_violation_of_a_story_is_in_its_schedule() {
    quiet_panics();
    assert_eq!(play(&LATE, 1, "", Telling::Silent).outcome.violation, None);
    let played = play(&LATE, 1, "LeaderNeverStepsDown", Telling::Silent);
    let broken = played.outcome.violation.as_ref().expect("it leads on");
    assert!(broken.at > Options::default().safety * 1_000, "{broken:?}");
    let again = run(&played.schedule, Telling::Silent);
    assert_eq!(again.violation.as_ref(), Some(broken));
    let text = failure::of_scenario(&LATE, &played);
    assert!(text.contains("shrunk to 1 faults, 0 operations:"), "{text}");
}

/// The faults that a scenario says it catches.
fn caught_by(
    scenario: &'static Scenario,
) -> impl Iterator<Item = (&'static Scenario, &'static str)> {
    let names = scenario.doc.split_once("Catches ").map_or("", |(_, names)| names);
    let names = names.trim_end_matches('.').split(", ").filter(|name| !name.is_empty());
    names.map(move |name| (scenario, name))
}

#[test]
fn scenarios_show_the_faults_that_they_say_they_catch() {
    quiet_panics();
    let pairs: Vec<(&Scenario, &str)> = ALL.iter().flat_map(caught_by).collect();
    assert!(pairs.len() > 30, "docs are read as they are written");
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((scenario, fault)) = pairs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    assert!(mutants::fault_named(fault).is_some(), "{}: {fault}", scenario.name);
                    let breaks = |seed: u64, planted: &str| {
                        play(scenario, seed, planted, Telling::Silent).outcome.violation.is_some()
                    };
                    let shown = (1..=SEEDS).find(|seed| breaks(*seed, fault) && !breaks(*seed, ""));
                    if shown.is_none() {
                        wrong.lock().unwrap().push(format!("{}: {fault}", scenario.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "not shown with seeds 1..={SEEDS}: {}", wrong.join(", "));
}
