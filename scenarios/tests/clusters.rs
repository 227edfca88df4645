//! Stories of whole agents with a few seeds each, drawn worlds of agents, and planted faults that
//! they must show. The whole table is `cargo sim mutants`.

use proconsul_scenarios::CLUSTERS;
use proconsul_sim::clusters::{Fact, Options, Plan, What, Who};
use proconsul_sim::plans::{Setting, run};
use proconsul_sim::swarm::{self, Kind, Sum};
use proconsul_sim::{Telling, failure, mutants, quiet_panics};
use std::io::Write as _;
use std::time::Instant;

/// Says something although tests are quiet when they pass.
fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    writeln!(err, "{text}").expect("someone listens");
}

#[test]
fn every_story_of_agents_holds() {
    quiet_panics();
    let (began, mut sum) = (Instant::now(), Sum::default());
    for story in CLUSTERS.iter().filter(|story| !story.long) {
        for seed in 1..=3 {
            let plan = story.plan(seed, "");
            let outcome = run(&plan, Telling::Silent);
            assert!(outcome.violation.is_none(), "\n{}", failure::of_plan(&plan, &outcome));
            assert!(outcome.codec_checked > 0, "{}: bytes are sampled", story.name);
            sum.add(seed, outcome);
        }
    }
    say(&format!("stories of agents:\n{}", sum.text(began.elapsed().as_secs_f64())));
}

#[test]
fn drawn_worlds_of_agents_hold() {
    quiet_panics();
    let began = Instant::now();
    let sum = swarm::together(Kind::Clusters, 0, 150, "", 2);
    say(&format!("drawn worlds of agents:\n{}", sum.text(began.elapsed().as_secs_f64())));
    if let Some((seed, outcome)) = &sum.failed {
        panic!("\n{}", failure::of_drawn(Kind::Clusters, "", *seed, outcome));
    }
    assert_eq!(sum.seeds, 150);
}

#[test]
fn what_must_succeed_and_does_not_is_told() {
    quiet_panics();
    let options = Options { datacenters: vec![(3, 1), (3, 1)], ..Options::default() };
    for (dc, rule) in [(0, None), (1, Some("must.write"))] {
        let mut plan = Plan { options: options.clone(), ..Plan::default() };
        plan.at(30_000, What::Split { side: Who::Dc(1), span: 15_000_000 });
        plan.at(31_000, What::Must { by: 3, dc });
        let broken = run(&plan, Telling::Silent).violation.map(|violation| violation.rule);
        assert_eq!(broken.as_deref(), rule);
    }
}

#[test]
fn an_act_is_about_whoever_leads_then() {
    quiet_panics();
    for seed in 1..=3 {
        let mut plan = Plan { seed, ..Plan::default() };
        let crash = |down| What::Crash { who: Who::Leader(0), down, moved: false, lost: false };
        // Two of three leaders in a row are dead: nobody leads.
        plan.at(20_000, crash(40_000_000)).at(25_000, crash(35_000_000));
        plan.at(32_000, What::Expect { dc: 0, fact: Fact::Leaderless });
        plan.at(33_000, crash(0));
        assert_eq!(run(&plan, Telling::Silent).violation, None, "seed {seed}");
    }
}

#[test]
fn a_plan_is_a_world() {
    quiet_panics();
    for seed in [3, 7] {
        let plan = Options::drawn(seed);
        let trace = run(&plan, Telling::Silent).trace;
        let read = Plan::parse(&plan.text()).unwrap();
        assert_eq!(run(&read, Telling::Kept).trace, trace, "seed {seed}");
        let other = Plan { seed: seed + 1, ..plan };
        assert_ne!(run(&other, Telling::Silent).trace, trace, "seed {seed}");
    }
}

#[test]
fn stories_show_the_faults_they_are_told_for() {
    quiet_panics();
    for (story, fault) in [
        ("servers_lose_state", "SyncTrustsMarks"),
        ("agents_die_and_leave", "ReconcileForgetsLeft"),
        ("identity_lost", "ReconcileKeepsOldId"),
        ("servers_killed_one_by_one", "AutopilotBelowQuorum"),
        ("servers_replaced", "AutopilotPromotesAtOnce"),
        ("group_lost_for_good", "BootstrapExpectIgnoresPeers"),
        ("watchers_outlive_servers", "ForwardDropsIndex"),
        ("watchers_outlive_servers", "LostServerKeepsWatches"),
    ] {
        let story = CLUSTERS.iter().find(|told| told.name == story).expect("a story of this name");
        let broken = run(&story.plan(1, fault), Telling::Silent).violation;
        assert!(broken.is_some(), "{} does not show {fault}", story.name);
    }
}

#[test]
fn planted_faults_of_the_cluster_are_found_and_shrunk() {
    quiet_panics();
    for (name, worlds) in [
        ("SyncForgetsDeregister", 60),
        ("SyncTrustsMarks", 60),
        ("ReconcileForgetsLeft", 60),
        ("AutopilotBelowQuorum", 60),
    ] {
        let found = mutants::hunt(name, worlds, 1, 1);
        assert_eq!(found.after.len(), 1, "{name} is not found in {worlds} worlds");
        let [(acts, _), (fewer, _)] = found.lengths.expect("what is found is shrunk");
        assert!(fewer <= acts && fewer <= 4, "{}", found.row());
    }
}
