//! The real cluster at full size, with numbers: 3 servers, 20 client agents and a second datacenter
//! of one server, each role killed in turn.
//!
//! `cargo ci cluster`, or `cargo bench -p proconsul --bench cluster`. It fails where the catalog is
//! not right within 10 s of a death, where half of ten leaders are replaced later than 1.5 s, or
//! where a registration or an acknowledged key is lost.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::unwrap_used, reason = "whatever fails here fails the run")]

#[path = "../tests/loopback/fleet.rs"]
mod fleet;
#[expect(dead_code, reason = "the tests beside use more of it")]
#[path = "../tests/loopback/process.rs"]
mod process;
#[expect(dead_code, reason = "the tests beside use more of it")]
#[path = "../tests/loopback/web.rs"]
mod web;

use fleet::{CLIENTS, FAR, Fleet, SERVERS, Witness, Writer};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const CLIENT_COUNT: usize = 20;
/// Within this the catalog is right after a death.
const TOLD_MAX: Duration = Duration::from_secs(10);
/// Within this keys are written again after the leader died, in half of all cases.
const RESUMED_MEDIAN_MAX: Duration = Duration::from_millis(1500);
const LEADER_KILLS: usize = 10;
/// Deaths of each other role.
const KILLS: usize = 3;
/// What is looked for is given up after this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured of one role.
#[derive(Default)]
struct Deaths {
    /// From the kill until everyone knows.
    told: Vec<Duration>,
    /// From the kill until a key is written.
    resumed: Vec<Duration>,
    /// From the new start until everyone knows.
    back: Vec<Duration>,
}

fn main() -> ExitCode {
    let begun = Instant::now();
    let mut fleet = Fleet::form("cluster", 2, CLIENT_COUNT, PATIENCE);
    println!("{} agents know one another in {:.1?}", CLIENTS + CLIENT_COUNT, begun.elapsed());
    fleet.register();
    let seen = fleet.wait_seen(CLIENT_COUNT, PATIENCE);
    println!("{CLIENT_COUNT} services seen everywhere, by HTTP and DNS, in {seen:.1?}");
    let (witness, writer) = (CLIENTS, CLIENTS + 1);
    let looking = Witness::at(&fleet, witness);
    let writing = Writer::at(&fleet, writer);

    let clients = deaths(&mut fleet, &writing, KILLS, |_, kill| CLIENTS + 2 + kill);
    let followers = deaths(&mut fleet, &writing, KILLS, |fleet, _| {
        (fleet.wait_for_leader(PATIENCE) + 1) % SERVERS
    });
    let leaders =
        deaths(&mut fleet, &writing, LEADER_KILLS, |fleet, _| fleet.wait_for_leader(PATIENCE));
    fleet.kill(FAR);
    fleet.start(FAR);
    let far = fleet.wait_seen(CLIENT_COUNT, PATIENCE);
    println!("the other datacenter is killed and seen again in {far:.1?}");

    let (answers, fewest) = looking.end();
    let written = writing.end();
    println!("{answers} answers of the catalog hold at least {fewest} of {CLIENT_COUNT} services");
    let kept = web::get(fleet.http(witness), "/v1/kv/w/?keys&consistent").json();
    let kept: BTreeSet<&str> = kept.as_array().unwrap().iter().filter_map(|k| k.as_str()).collect();
    let lost = written.iter().filter(|key| !kept.contains(format!("w/{key}").as_str())).count();
    println!("{} keys acknowledged, {lost} of them lost", written.len());

    let mut held = fewest == CLIENT_COUNT && lost == 0;
    for (role, deaths) in [("client", clients), ("follower", followers), ("leader", leaders)] {
        println!("{role}, killed {} times: median (longest)", deaths.told.len());
        held &= print("  everyone is told", deaths.told, |_, longest| longest <= TOLD_MAX);
        held &= print("  keys are written", deaths.resumed, |median, _| {
            role != "leader" || median <= RESUMED_MEDIAN_MAX
        });
        held &= print("  back, and everyone is told", deaths.back, |_, _| true);
    }
    println!("{} in {:.0?}", if held { "held" } else { "FAILED" }, begun.elapsed());
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Kills and starts again, as often as asked; `choose` says whom.
fn deaths(
    fleet: &mut Fleet,
    writing: &Writer,
    kills: usize,
    choose: impl Fn(&Fleet, usize) -> usize,
) -> Deaths {
    let mut deaths = Deaths::default();
    for kill in 0..kills {
        let seat = choose(fleet, kill);
        let killed = fleet.kill(seat);
        deaths.resumed.push(writing.resumed(killed, PATIENCE));
        fleet.wait_told(seat, "critical", PATIENCE);
        deaths.told.push(killed.elapsed());
        fleet.start(seat);
        deaths.back.push(fleet.wait_told(seat, "passing", PATIENCE));
        fleet.wait_whole(PATIENCE);
        fleet.wait_seen(CLIENT_COUNT, PATIENCE);
    }
    deaths
}

/// Prints median and longest; whether they are within bounds.
fn print(what: &str, mut times: Vec<Duration>, held: impl Fn(Duration, Duration) -> bool) -> bool {
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let held = held(median, longest);
    let verdict = if held { "" } else { "  TOO LATE" };
    println!("{what:<28} {median:>8.2?} ({longest:.2?}){verdict}");
    held
}
