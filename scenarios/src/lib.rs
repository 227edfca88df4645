//! Stories told to a world, one file each.

use proconsul_sim::Scenario;

mod leader_isolated;
mod torn_tails;
mod watch_storm;

/// Every scenario, in the order of this list.
pub const ALL: &[Scenario] =
    &[leader_isolated::SCENARIO, torn_tails::SCENARIO, watch_storm::SCENARIO];
