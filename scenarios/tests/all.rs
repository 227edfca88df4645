//! Every scenario with its fixed seeds and one fresh seed, and a swarm of drawn worlds.

use proconsul_scenarios::ALL;
use proconsul_sim::swarm::{self, Kind, Sum};
use proconsul_sim::{Mark, Scenario, Schedule, Telling, failure, play, quiet_panics};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Seeds that are played every time.
const FIXED: [u64; 3] = [1, 2, 3];
const JOBS: usize = 2;

/// A seed that is another one in every run, and is printed.
fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| since.as_secs())
}

/// Says something although tests are quiet when they pass.
fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    writeln!(err, "{text}").expect("someone listens");
}

#[test]
fn every_scenario_holds() {
    quiet_panics();
    let began = Instant::now();
    let fresh = fresh_seed();
    let worlds: Vec<(&Scenario, u64)> = ALL
        .iter()
        .flat_map(|scenario| FIXED.into_iter().chain([fresh]).map(move |seed| (scenario, seed)))
        .collect();
    let next = AtomicUsize::new(0);
    let sum = Mutex::new(Sum::default());
    let broken = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some((scenario, seed)) = worlds.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let played = play(scenario, *seed, "", Telling::Silent);
                    if played.outcome.violation.is_some() {
                        broken.lock().unwrap().push((*scenario, played.clone()));
                    }
                    sum.lock().unwrap().add(*seed, played.outcome);
                }
            });
        }
    });
    let wall = began.elapsed().as_secs_f64();
    let sum = sum.into_inner().unwrap();
    let text = sum.text(wall);
    say(&format!("{} scenarios with seeds {FIXED:?} and {fresh:#x}:\n{text}", ALL.len()));
    let broken = broken.into_inner().unwrap();
    let screens: Vec<String> =
        broken.iter().map(|(scenario, played)| failure::of_scenario(scenario, played)).collect();
    assert!(screens.is_empty(), "\n{}", screens.join("\n\n"));
    assert_eq!(sum.marks.len(), Mark::ALL.len(), "stories reach every protocol event\n{text}");
}

#[test]
fn names_are_words_and_differ() {
    for (place, scenario) in ALL.iter().enumerate() {
        assert!(scenario.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        assert!(scenario.doc.matches('.').count() >= 2, "{} says too little", scenario.name);
        assert!(!ALL[..place].iter().any(|other| other.name == scenario.name));
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
    let began = Instant::now();
    let sum = swarm::together(Kind::Servers, from, 400, "", JOBS);
    say(&format!("drawn worlds from {from:#x}:\n{}", sum.text(began.elapsed().as_secs_f64())));
    if let Some((seed, outcome)) = &sum.failed {
        panic!("\n{}", failure::of_drawn(Kind::Servers, "", *seed, outcome));
    }
}

#[test]
fn the_world_of_each_scenario_can_be_a_file() {
    for scenario in ALL {
        for seed in 1..=6 {
            let (options, scenario) = ((scenario.options)(seed), scenario.name.into());
            let schedule = Schedule { scenario, seed, options, ..Schedule::default() };
            assert_eq!(Schedule::parse(&schedule.text()), Ok(schedule));
        }
    }
}
