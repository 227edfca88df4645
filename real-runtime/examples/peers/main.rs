//! Our gossip held against real agents: Serf's, and Consul's where it is present.
//!
//! `cargo ci peers`, or `cargo run -p proconsul --example peers -- [row..] [--jobs n]`. Each row
//! starts the agents it needs on addresses of its own (127.1.row.x). A row whose program is missing
//! (`serf` and `consul` on the path, or where `PROCONSUL_PEER_SERF` and `PROCONSUL_PEER_CONSUL`
//! say) is skipped, and said to be. Rows 1 to 5, which need no process, are in `cargo test`.
#![expect(clippy::print_stdout, reason = "a command line tool prints")]

mod agents;
mod consul;
mod place;
mod raw;
mod rows;
mod subject;

use place::{Place, Programs};
use rows::{ROWS, Row};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// No row takes longer.
const ROW_TIME_MAX: Duration = Duration::from_secs(120);
/// Rows at one time.
const JOBS: usize = 10;

/// What came of a row.
enum Verdict {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

fn main() -> ExitCode {
    let mut wanted: Vec<u32> = Vec::new();
    let mut jobs = JOBS;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        if argument == "--jobs" {
            jobs = number(arguments.next())
                .map_or(JOBS, |jobs: u32| usize::try_from(jobs).unwrap_or(JOBS));
        } else if let Some(row) = number(Some(argument.clone())) {
            wanted.push(row);
        } else {
            println!("not a row: {argument}");
            return ExitCode::FAILURE;
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("cannot start a runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(&wanted, jobs))
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
    while let Some(joined) = tasks.join_next().await {
        let Ok((row, verdict, took)) = joined else {
            failed += 1;
            println!("a row's task broke: {joined:?}", joined = joined.err());
            continue;
        };
        let seconds = took.as_secs_f32();
        let (number, what) = (row.number, row.what);
        match verdict {
            Verdict::Passed => {
                passed += 1;
                println!("{number:>3} pass    {seconds:>5.1} s  {what}");
            }
            Verdict::Failed(reason) => {
                failed += 1;
                println!("{number:>3} FAIL    {seconds:>5.1} s  {what}\n        {reason}");
            }
            Verdict::Skipped(program) => {
                skipped += 1;
                println!("{number:>3} SKIPPED          {what}: no {program} here");
            }
        }
    }
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
