//! Stories of whole agents, one file each.

use proconsul_sim::clusters::ClusterStory;

mod agents_die_and_leave;
mod agents_restart;
mod group_lost_for_good;
mod identity_lost;
mod servers_killed_one_by_one;
mod servers_lose_state;
mod servers_replaced;
mod sync_of_many;
mod three_datacenters;
mod wan_cut_with_traffic;
mod watchers_outlive_servers;

/// Every story of agents, in the order of this list.
pub const CLUSTERS: &[ClusterStory] = &[
    agents_restart::STORY,
    agents_die_and_leave::STORY,
    identity_lost::STORY,
    servers_lose_state::STORY,
    servers_replaced::STORY,
    servers_killed_one_by_one::STORY,
    group_lost_for_good::STORY,
    wan_cut_with_traffic::STORY,
    watchers_outlive_servers::STORY,
    sync_of_many::STORY,
    three_datacenters::STORY,
];
