//! `cargo sim`: the debugger of simulated worlds.

use std::process::ExitCode;

fn main() -> ExitCode {
    proconsul_sim::cli::main(proconsul_scenarios::ALL, proconsul_scenarios::POOLS)
}
