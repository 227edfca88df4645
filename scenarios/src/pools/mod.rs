//! Stories of bare pools, one file each.

use proconsul_sim::pools::PoolStory;

mod churn;
mod datacenter_cut_off;
mod deaths_at_once;
mod drifting_clocks;
mod event_storm;
mod flapping_member;
mod force_leave_alive;
mod gossip_10000;
mod keys_under_partition;
mod leave_under_loss;
mod long_partition;
mod lossy_links;
mod mass_restart;
mod names_and_ids;
mod new_addresses_all;
mod slow_member;

/// Every story of pools, in the order of this list.
pub const POOLS: &[PoolStory] = &[
    mass_restart::STORY,
    long_partition::STORY,
    flapping_member::STORY,
    lossy_links::STORY,
    slow_member::STORY,
    datacenter_cut_off::STORY,
    keys_under_partition::STORY,
    names_and_ids::STORY,
    force_leave_alive::STORY,
    leave_under_loss::STORY,
    new_addresses_all::STORY,
    drifting_clocks::STORY,
    churn::STORY,
    event_storm::STORY,
    deaths_at_once::STORY,
    gossip_10000::STORY,
];
