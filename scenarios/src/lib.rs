//! Stories told to a world, one file each.

use proconsul_sim::Scenario;

mod asks;
mod bridge_partition;
mod clock_drift;
mod clock_wild;
mod clusters;
mod crash_mid_replication;
mod duplicated_messages;
mod failing_disk;
mod figure_eight;
mod flapping_link;
mod full_disk;
mod hanging_disk;
mod leader_isolated;
mod lost_disk;
mod majority_cut;
mod membership_first_act;
mod minority_cut;
mod mixed_configurations;
mod new_addresses;
mod paused_leader;
mod pools;
mod power_cut_all;
mod restore_crash;
mod rolling_restart;
mod session_expiry;
mod session_leader_change;
mod slow_disk;
mod snapshot_slow_link;
mod stale_follower_restart;
mod steps;
mod torn_tails;
mod transfer_crash;
mod watch_restore;
mod watch_storm;

pub use clusters::CLUSTERS;
pub use pools::POOLS;

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
    clock_drift::SCENARIO,
    clock_wild::SCENARIO,
    session_expiry::SCENARIO,
    session_leader_change::SCENARIO,
    snapshot_slow_link::SCENARIO,
    membership_first_act::SCENARIO,
    transfer_crash::SCENARIO,
    figure_eight::SCENARIO,
    mixed_configurations::SCENARIO,
    duplicated_messages::SCENARIO,
    stale_follower_restart::SCENARIO,
    watch_restore::SCENARIO,
    paused_leader::SCENARIO,
    lost_disk::SCENARIO,
    restore_crash::SCENARIO,
];
