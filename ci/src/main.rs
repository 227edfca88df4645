//! `cargo ci`: the command line of the project's own checks.
#![expect(clippy::print_stdout, reason = "a command line tool prints")]

use clap::{Parser, Subcommand};
use proconsul_ci::steps::{self, Step};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[derive(Parser)]
#[command(name = "cargo ci", about = "Every check the project makes of itself")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold before a change lands. Never writes to the sources.
    Verify,
    /// Formatting, tidy, arrows and dependency rules only: a few seconds.
    Quick,
    /// Formats the sources.
    Fix,
    /// The planted faults at full size: 5 trials of up to 2,000 seeds each.
    Mutants,
    /// Our gossip held against the real agents that are here: Serf's and Consul's.
    Peers,
    /// A real cluster of 24 agents, each role killed in turn; prints what it measured.
    Cluster,
    /// A swarm of fresh seeds: worlds of servers, of pools and of agents; prints the first one.
    Swarm {
        /// How many seeds.
        #[arg(long, default_value_t = 2_000)]
        seeds: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let steps = match arguments.command {
        Command::Verify => steps::verify(fresh_seed()),
        Command::Quick => steps::quick(),
        Command::Fix => steps::fix(),
        Command::Mutants => vec![steps::mutants(2_000, 5)],
        Command::Peers => vec![steps::peers()],
        Command::Cluster => vec![steps::cluster()],
        Command::Swarm { seeds } => {
            let first = fresh_seed();
            vec![
                steps::swarm(seeds, first),
                steps::pools(seeds, first),
                steps::clusters(seeds, first),
            ]
        }
    };
    run(&steps)
}

fn run(steps: &[Step]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0_u32, 0_u32, 0_u32);
    for step in steps {
        println!("== {}", step.name);
        let begun = Instant::now();
        let checked = (step.check)();
        let findings = checked.findings;
        skipped += checked.skipped;
        let seconds = begun.elapsed().as_secs_f32();
        if findings.is_empty() {
            passed += 1;
            println!("== {} held in {seconds:.1} s", step.name);
        } else {
            failed += 1;
            for finding in &findings {
                println!("   {finding}");
            }
            println!("== {} FAILED in {seconds:.1} s", step.name);
        }
    }
    let aside = if skipped > 0 { format!(", {skipped} rows SKIPPED") } else { String::new() };
    println!("{passed} passed, {failed} failed{aside}");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Seeds that no run has tried: the swarm of every run explores something new. The first one is
/// printed by the swarm itself, so a failure can be repeated.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().wrapping_mul(1_000_003)
}
