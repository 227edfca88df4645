//! Stories of whole agents, one file each.

use proconsul_sim::clusters::ClusterStory;

mod agents_restart;

/// Every story of agents, in the order of this list.
pub const CLUSTERS: &[ClusterStory] = &[agents_restart::STORY];
