//! Stories told to a world, one file each.

use proconsul_sim::Scenario;

mod bridge_partition;
mod crash_mid_replication;
mod failing_disk;
mod flapping_link;
mod full_disk;
mod hanging_disk;
mod leader_isolated;
mod majority_cut;
mod minority_cut;
mod new_addresses;
mod power_cut_all;
mod rolling_restart;
mod slow_disk;
mod steps;
mod torn_tails;
mod watch_storm;

/// Every scenario, in the order of this list.
pub const ALL: &[Scenario] = &[
    leader_isolated::SCENARIO,
    torn_tails::SCENARIO,
    watch_storm::SCENARIO,
    bridge_partition::SCENARIO,
    minority_cut::SCENARIO,
    majority_cut::SCENARIO,
    flapping_link::SCENARIO,
    crash_mid_replication::SCENARIO,
    rolling_restart::SCENARIO,
    new_addresses::SCENARIO,
    slow_disk::SCENARIO,
    hanging_disk::SCENARIO,
    failing_disk::SCENARIO,
    full_disk::SCENARIO,
    power_cut_all::SCENARIO,
];
