//! Our gossip held against real agents: Serf's, and Consul's where it is present.
//!
//! `cargo ci peers`, or `cargo run -p proconsul --example peers -- [row..] [--jobs n]`. Each row
//! starts the agents it needs on addresses of its own (127.run.row.x). A row without its program
//! (`serf` and `consul` on the path, or where `PROCONSUL_PEER_SERF` and `PROCONSUL_PEER_CONSUL`
//! say; a Consul unpacked in `~/.cache/proconsul-peers/consul` is found too) is skipped, and said
//! to be. Rows 1 to 5, which need no process, are in `cargo test`; what nobody has built is listed.
//! Rows with the shipped agent want it beside this program (`cargo build -p proconsul --bin
//! proconsul`) or where `PROCONSUL_PEER_AGENT` says.
//!
//! The real programs draw their peers by chance and the machine is busy, so a row that fails is run
//! once more, alone, after all others. Both verdicts are printed; one that passes then is counted
//! as passed and as unsteady. Only a row that fails twice fails.
#![expect(clippy::print_stdout, reason = "a command line tool prints")]

mod agents;
mod consul;
mod place;
mod raw;
mod rows;
mod shipped;
mod subject;

use place::{Place, Programs};
use rows::{NOT_BUILT, ROWS, Row};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// No row takes longer.
const ROW_TIME_MAX: Duration = Duration::from_secs(120);
/// Rows at one time, for each processor: they wait most of the time.
const JOBS_PER_CORE: usize = 3;

/// What came of a row.
enum Verdict {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

fn main() -> ExitCode {
    let (wanted, jobs) = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(reason) => {
            println!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("cannot start a runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(&wanted, jobs))
}

/// The rows that are asked for, none for all of them, and how many may run at one time.
fn asked(mut arguments: impl Iterator<Item = String>) -> Result<(Vec<u32>, usize), String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (mut wanted, mut jobs) = (Vec::new(), JOBS_PER_CORE * cores);
    while let Some(argument) = arguments.next() {
        if argument == "--jobs" {
            let given = arguments.next().and_then(|given| given.parse().ok());
            jobs = given.filter(|jobs| *jobs > 0).ok_or("--jobs wants a number")?;
            continue;
        }
        let number = argument.parse().map_err(|_| format!("not a row: {argument}"))?;
        if !ROWS.iter().any(|row| row.number == number) {
            let known = NOT_BUILT.iter().find(|(not_built, _)| *not_built == number);
            let reason = known.map_or("there is none", |(_, what)| what);
            return Err(format!("row {number} cannot be run: {reason}"));
        }
        wanted.push(number);
    }
    Ok((wanted, jobs))
}

/// Says what came of a row.
fn tell(row: &Row, verdict: &Verdict, took: Duration) {
    let (number, what, seconds) = (row.number, row.what, took.as_secs_f32());
    match verdict {
        Verdict::Passed => println!("{number:>3} pass    {seconds:>5.1} s  {what}"),
        Verdict::Failed(reason) => {
            println!("{number:>3} FAIL    {seconds:>5.1} s  {what}\n        {reason}");
        }
        Verdict::Skipped(program) => {
            println!("{number:>3} SKIPPED          {what}: no {program} here");
        }
    }
}

async fn run(wanted: &[u32], jobs: usize) -> ExitCode {
    let programs = Arc::new(Programs::found());
    for (name, path) in [("serf", &programs.serf), ("consul", &programs.consul)] {
        match path {
            Some(path) => println!("{name}: {}", path.display()),
            None => println!("{name}: NOT FOUND, its rows are SKIPPED"),
        }
    }
    let begun = Instant::now();
    let room = Arc::new(Semaphore::new(jobs));
    let mut tasks = JoinSet::new();
    let mut chosen: Vec<&'static Row> =
        ROWS.iter().filter(|row| wanted.is_empty() || wanted.contains(&row.number)).collect();
    // The longest first, so that nothing long is left over at the end.
    chosen.sort_by_key(|row| std::cmp::Reverse(row.seconds));
    for row in chosen {
        let (programs, room) = (Arc::clone(&programs), Arc::clone(&room));
        tasks.spawn(async move {
            let permit = room.acquire_owned().await;
            let begun = Instant::now();
            let verdict = one(row, &programs).await;
            drop(permit);
            (row, verdict, begun.elapsed())
        });
    }
    let (mut passed, mut failed, mut skipped) = (0_u32, 0_u32, 0_u32);
    let mut again = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        let Ok((row, verdict, took)) = joined else {
            failed += 1;
            println!("a row's task broke: {joined:?}", joined = joined.err());
            continue;
        };
        tell(row, &verdict, took);
        match verdict {
            Verdict::Passed => passed += 1,
            Verdict::Failed(_) => again.push(row),
            Verdict::Skipped(_) => skipped += 1,
        }
    }
    let mut unsteady = 0_u32;
    for row in again {
        println!("{:>3} AGAIN, alone", row.number);
        // What it started is gone by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = Instant::now();
        let verdict = one(row, &programs).await;
        tell(row, &verdict, begun.elapsed());
        if matches!(verdict, Verdict::Passed) {
            (passed, unsteady) = (passed + 1, unsteady + 1);
        } else {
            failed += 1;
        }
    }
    if wanted.is_empty() {
        for (number, what) in NOT_BUILT {
            println!("{number:>3} NOT BUILT        {what}");
        }
        println!("{} NOT BUILT", NOT_BUILT.len());
    }
    println!("{unsteady} unsteady: failed beside others, passed alone");
    let seconds = begun.elapsed().as_secs_f32();
    println!("{passed} passed, {failed} failed, {skipped} SKIPPED in {seconds:.0} s");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn one(row: &'static Row, programs: &Programs) -> Verdict {
    let program = match row.needs {
        rows::Needs::Serf => ("serf", &programs.serf),
        rows::Needs::Consul => ("consul", &programs.consul),
    };
    let (name, Some(program)) = program else {
        return Verdict::Skipped(program.0);
    };
    let place = match Place::new(row.number, name, program) {
        Ok(place) => place,
        Err(reason) => return Verdict::Failed(reason),
    };
    match tokio::time::timeout(ROW_TIME_MAX, (row.run)(place)).await {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(reason)) => Verdict::Failed(reason),
        Err(_) => Verdict::Failed(format!("not done after {ROW_TIME_MAX:?}")),
    }
}
