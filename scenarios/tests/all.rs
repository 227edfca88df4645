//! Every scenario with its fixed seeds and one fresh seed, and a swarm of drawn worlds.

use proconsul_scenarios::ALL;
use proconsul_sim::{Mark, Outcome, Scenario, Telling, play, quiet_panics, swarm};
use std::collections::BTreeMap;
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

/// What the worlds of this run came to.
#[derive(Debug, Default)]
struct Tally {
    worlds: u64,
    simulated: u64,
    events: u64,
    marks: BTreeMap<Mark, u64>,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, scenario: &Scenario, seed: u64, outcome: &Outcome) {
        self.worlds += 1;
        self.simulated += outcome.simulated;
        self.events += outcome.events;
        for (mark, count) in &outcome.marks {
            *self.marks.entry(*mark).or_default() += u64::from(*count);
        }
        if let Some(violation) = &outcome.violation {
            self.failures.push(format!(
                "{}: {violation:?}\nagain: cargo sim replay {} --seed {seed:#x}",
                scenario.name, scenario.name,
            ));
        }
    }

    fn text(&self, began: Instant) -> String {
        let millis = u64::try_from(began.elapsed().as_millis()).expect("a short time").max(1);
        let hundredths = self.simulated / 36_000_000_000;
        let marks: Vec<String> =
            self.marks.iter().map(|(mark, count)| format!("{mark:?} {count}")).collect();
        format!(
            "{} worlds of {} scenarios, {}.{:02} simulated hours, {} events, {} events/s\n\
             {} of {} marks hit: {}",
            self.worlds,
            ALL.len(),
            hundredths / 100,
            hundredths % 100,
            self.events,
            self.events * 1_000 / millis,
            self.marks.len(),
            Mark::ALL.len(),
            marks.join(", "),
        )
    }
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
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some((scenario, seed)) = worlds.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let outcome = play(scenario, *seed, "", Telling::Silent).outcome;
                    tally.lock().unwrap().add(scenario, *seed, &outcome);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    say(&format!("scenarios with seeds {FIXED:?} and {fresh:#x}:\n{}", tally.text(began)));
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
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
    let sum = swarm::together(swarm::Kind::Servers, from, 400, "", JOBS);
    say(&format!("drawn worlds from {from:#x}: {} held, {} events", sum.seeds, sum.events));
    assert!(
        sum.failed.is_none(),
        "{:?}\nagain: cargo sim replay swarm --seed {:#x}",
        sum.failed.as_ref().map(|(_, outcome)| &outcome.violation),
        sum.failed.as_ref().map_or(0, |(seed, _)| *seed),
    );
}
