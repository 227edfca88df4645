//! All servers of a datacenter lose their disks while its agents live. The servers found a new
//! group, and the catalog is soon again what the agents offer, without anybody registering anew.

use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "servers_lose_state",
    doc: "All servers lose their disks while agents live. The catalog is again what agents offer, \
          and nobody has to register anew.",
    long: false,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options { datacenters: vec![(3, 5)], length: 160_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    for agent in 3..8 {
        plan.at(10_000, What::Register { by: agent, service: 2, port: agent });
    }
    plan.at(25_000, What::Expect { dc: 0, fact: Fact::Offered(2, 5) });
    let who = Who::Span(0, 3);
    plan.at(30_000, What::Crash { who, down: 2_000_000, moved: false, lost: true });
    plan.at(150_000, What::Expect { dc: 0, fact: Fact::Offered(2, 5) });
    plan.at(150_000, What::Expect { dc: 0, fact: Fact::Voters(3) });
    plan
}
