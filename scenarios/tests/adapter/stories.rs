//! The tests: every story on madsim, the purity of the event loop, and that the player can fail.

use crate::excused::EXCUSED;
use crate::player::play;
use madsim::rand::{self, Rng as _};
use madsim::runtime::Runtime;
use proconsul_scenarios::ALL;
use proconsul_sim::{Capability, Scenario, Telling};
use std::time::Instant;

/// The seed that stories are told with, unless a person chooses others.
const SEED: u64 = 1;

/// Real bugs, and the stories that are to find each.
const PLANTED: &[(&str, &[&str])] = &[
    ("AckBeforeSync", &["power_cut_all", "new_addresses"]),
    ("VoteWithoutLogCheck", &["transfer_crash", "rolling_restart"]),
    ("CommitOldTerm", &["figure_eight", "torn_tails"]),
    ("LeaderNeverStepsDown", &["leader_isolated", "bridge_partition"]),
];

/// Within so many seeds.
const PLANTED_SEEDS: u64 = 10;

fn number_from(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

fn is_excused(scenario: &Scenario) -> bool {
    EXCUSED.iter().any(|(name, _)| *name == scenario.name)
}

/// Jobs one and two: the adapter under every fault that madsim can make, told the stories that the
/// event loop is told, with the same judges; and at the end of each the same digest on all servers
/// as where no driver has a hand in it.
#[test]
fn every_story_holds() {
    let only = std::env::var("MADSIM_TEST_STORY").unwrap_or_default();
    let planted = std::env::var("MADSIM_TEST_PLANTED").unwrap_or_default();
    let from = number_from("MADSIM_TEST_SEED", SEED);
    let seeds = from..from + number_from("MADSIM_TEST_NUM", 1);
    let mut failures = Vec::new();
    let stories: Vec<_> =
        ALL.iter().filter(|story| !is_excused(story) && story.name.contains(&only)).collect();
    for story in &stories {
        for seed in seeds.clone() {
            let begun = Instant::now();
            let told = play(story, seed, &planted);
            let took = begun.elapsed();
            match told {
                Ok(played) => {
                    let (name, long) = (story.name, played.simulated);
                    let elections = played.marks.get(&proconsul_sim::Mark::Leader).unwrap_or(&0);
                    println!(
                        "{name} {seed}: {long:.1?} in {took:.1?}, {} committed, {elections} led",
                        played.committed
                    );
                    assert!(played.committed > 0, "{name}: nobody wrote");
                }
                Err(text) => {
                    println!("{} {seed}: {text}", story.name);
                    failures.push(format!("{} with seed {seed}: {text}", story.name));
                }
            }
        }
    }
    println!("ran on madsim: {} of {} stories", stories.len(), ALL.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A story is told on madsim, or the table says why not: because it needs links that madsim does
/// not have, and for no other reason.
#[test]
fn excuses_are_exact() {
    for (name, reason) in EXCUSED {
        assert!(ALL.iter().any(|story| story.name == *name), "no story is called {name}");
        assert!(!reason.is_empty());
    }
    for story in ALL {
        let needs_links = story.needs.contains(&Capability::Links);
        assert_eq!(is_excused(story), needs_links, "{}", story.name);
    }
}

/// The player can fail: servers with a real bug in them break a rule in some story.
#[test]
fn planted_faults_are_found() {
    for (fault, names) in PLANTED {
        let stories = || ALL.iter().filter(|story| names.contains(&story.name));
        let found = (1..=PLANTED_SEEDS).find_map(|seed| {
            stories().find_map(|story| {
                let text = play(story, seed, fault).err()?;
                Some(format!("{} with seed {seed}: {text}", story.name))
            })
        });
        println!("{fault}: {found:?}");
        assert!(found.is_some(), "{fault} is not found");
    }
}

/// Job three: the event loop draws nothing from its surroundings. Inside a simulated machine clock
/// and entropy are madsim's; the trace of every story is the same as outside, and madsim's own next
/// draw too.
#[test]
fn the_event_loop_is_pure() {
    for story in ALL {
        let trace = || proconsul_sim::play(story, 7, "", Telling::Silent).outcome.trace;
        let outside = trace();
        let draw = |run: bool| {
            let runtime = Runtime::with_seed_and_config(11, madsim::Config::default());
            runtime.block_on(async move {
                let trace = run.then(trace);
                (trace, rand::thread_rng().r#gen::<u64>())
            })
        };
        let (inside, after) = draw(true);
        let (_, undisturbed) = draw(false);
        assert_eq!(inside, Some(outside), "{}: the trace depends on where it runs", story.name);
        assert_eq!(after, undisturbed, "{}: it drew from its surroundings", story.name);
    }
}
