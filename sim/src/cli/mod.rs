//! `cargo sim`: the debugger of worlds.

/// Says a line on standard output. A reader that went away (`| head`) is no reason to fail.
macro_rules! say {
    ($($piece:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stdout(), $($piece)*))
    }};
}

mod commands;
mod plans;
mod show;

pub use commands::Told;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Every rule held.
pub(crate) const HELD: u8 = 0;
/// A rule was broken.
pub(crate) const VIOLATED: u8 = 1;
/// The command line made no sense, or a file could not be read.
pub(crate) const USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "proconsul-sim", about = "Worlds of servers, from seeds and schedule files")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Name and first sentence of every scenario
    List,
    /// Tell one scenario
    Run {
        /// Its name
        scenario: String,
        /// The seed of its world
        #[arg(long, value_parser = number, default_value = "1")]
        seed: u64,
        /// Carry this planted fault
        #[arg(long, default_value = "")]
        planted: String,
        /// One line per event
        #[arg(long)]
        log: bool,
    },
    /// Tell every scenario with several seeds and print each trace, a line each
    Traces {
        /// How many seeds, from 1
        #[arg(long, value_parser = number, default_value = "3")]
        seeds: u64,
    },
    /// Run many drawn worlds, up to the first that breaks a rule
    Swarm {
        /// How many
        #[arg(long, value_parser = number, default_value = "1000")]
        seeds: u64,
        /// The first seed
        #[arg(long, value_parser = number, default_value = "0")]
        from: u64,
        /// On so many threads
        #[arg(long, default_value = "1")]
        jobs: usize,
        /// Carry this planted fault
        #[arg(long, default_value = "")]
        planted: String,
        /// Of so many worlds, one more is of bare pools (0: none)
        #[arg(long, value_parser = number, default_value = "4")]
        pools: u64,
        /// Of so many worlds, one more is of whole agents (0: none)
        #[arg(long, value_parser = number, default_value = "20")]
        clusters: u64,
        /// No worlds of servers: `--seeds` worlds of this kind
        #[arg(long, value_enum)]
        only: Option<Only>,
        /// With `--only`: name every seed that breaks a rule instead of stopping at the first
        #[arg(long, requires = "only")]
        go_on: bool,
    },
    /// Run a schedule file, a scenario, or a drawn world (`swarm`, `pools`, `clusters`) again
    Replay {
        /// A file, the name of a scenario, or `swarm`, `pools`, `clusters` for a drawn world
        what: String,
        /// The seed, unless the file has it
        #[arg(long, value_parser = number)]
        seed: Option<u64>,
        /// Carry this planted fault
        #[arg(long, default_value = "")]
        planted: String,
        /// One line per event, under virtual time
        #[arg(long)]
        log: bool,
    },
    /// Shorten a failing schedule file, in place unless `--out` is given
    Shrink {
        /// The file
        file: PathBuf,
        /// Where the short one goes
        #[arg(long)]
        out: Option<PathBuf>,
        /// At most so many runs
        #[arg(long, default_value = "600")]
        runs: u32,
    },
    /// Hunt every planted fault and print the table
    Mutants {
        /// Worlds per trial
        #[arg(long, value_parser = number, default_value = "2000")]
        seeds: u64,
        /// The first seed of the first trial
        #[arg(long, value_parser = number, default_value = "0")]
        from: u64,
        /// Trials per fault
        #[arg(long, default_value = "5")]
        trials: u32,
        /// On so many threads
        #[arg(long, default_value = "1")]
        jobs: usize,
        /// Only faults whose name contains this
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Write the page of a schedule file
    Report {
        /// The file
        file: PathBuf,
        /// Where the page goes (beside the file if not given)
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// Worlds that are plans.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Only {
    /// Bare pools
    Pools,
    /// Whole agents
    Clusters,
}

/// Seeds are decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.replace('_', "").parse(),
    };
    parsed.map_err(|error| error.to_string())
}

/// Runs the command line with these stories.
#[must_use]
pub fn main(told: Told<'_>) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let fine = !error.use_stderr();
            // Nothing can be done if the terminal does not even take the help text.
            drop(error.print());
            return ExitCode::from(if fine { HELD } else { USAGE });
        }
    };
    crate::run::quiet_panics();
    let code = match arguments.command {
        Command::List => commands::list(told),
        Command::Run { scenario, seed, planted, log } => {
            commands::run(told, &scenario, seed, &planted, log)
        }
        Command::Traces { seeds } => commands::traces(told, seeds),
        Command::Swarm { seeds, from, jobs, planted, only: Some(only), go_on, .. } => {
            commands::swarm_only(only, (from, seeds), jobs, &planted, go_on)
        }
        Command::Swarm { seeds, from, jobs, planted, pools, clusters, .. } => {
            commands::swarm(commands::Mix { seeds, pools, clusters }, from, jobs, &planted)
        }
        Command::Replay { what, seed, planted, log } => {
            commands::replay(told, &what, seed, &planted, log)
        }
        Command::Shrink { file, out, runs } => commands::shrink(&file, out.as_deref(), runs),
        Command::Mutants { seeds, from, trials, jobs, only } => {
            commands::mutants(from, (seeds, trials), jobs, &only)
        }
        Command::Report { file, out } => commands::report(&file, out.as_deref()),
    };
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_reads_both_kinds_of_seeds() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
        assert_eq!(number("0xff"), Ok(255));
        assert_eq!(number("200_000"), Ok(200_000));
        assert!(number("x").is_err());
    }
}
