//! `cargo sim` with every arithmetic and debug check on, built with what `cargo test` builds:
//! `cargo ci` holds the traces of the one against those of the other.

use proconsul_scenarios::{ALL, CLUSTERS, POOLS};
use proconsul_sim::cli::{self, Told};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(Told { scenarios: ALL, pools: POOLS, clusters: CLUSTERS })
}
