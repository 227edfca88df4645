//! `cargo sim`: the debugger of simulated worlds.

use proconsul_scenarios::{ALL, CLUSTERS, POOLS};
use proconsul_sim::cli::{self, Told};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(Told { scenarios: ALL, pools: POOLS, clusters: CLUSTERS })
}
