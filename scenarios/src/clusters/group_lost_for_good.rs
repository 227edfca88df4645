//! Two of three servers are lost for good, and two new machines that expect three take their
//! places. They must not found a second group beside the one that holds the data: until an
//! operator helps, nobody leads.

use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "group_lost_for_good",
    doc: "Two of three servers are lost, and new ones that expect three take their places. They \
          found no second group.",
    long: false,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options { datacenters: vec![(3, 2)], length: 90_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    plan.at(12_000, What::Put { by: 3, dc: 0, key: 0 });
    let lost = |who, down| What::Crash { who, down, moved: true, lost: true };
    plan.at(20_000, lost(Who::Span(1, 3), 3_000_000));
    plan.at(80_000, What::Expect { dc: 0, fact: Fact::Leaderless });
    plan
}
