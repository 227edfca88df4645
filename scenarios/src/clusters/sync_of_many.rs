//! Three hundred agents offer services, and while they compare with the catalog the leader is
//! killed twice. Afterwards the catalog is exactly what they offer.

use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "sync_of_many",
    doc: "The leader dies, twice, while three hundred agents compare with the catalog. It ends up \
          exactly what they offer.",
    long: true,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options { datacenters: vec![(3, 300)], length: 70_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    for agent in 3..303 {
        let at = 10_000 + u64::from(agent) * 40;
        plan.at(at, What::Register { by: agent, service: 1, port: agent });
    }
    for at in [15_000, 19_000] {
        let who = Who::Leader(0);
        plan.at(at, What::Crash { who, down: 2_000_000, moved: false, lost: false });
    }
    plan.at(23_000, What::Expect { dc: 0, fact: Fact::Led });
    plan.at(69_000, What::Expect { dc: 0, fact: Fact::Offered(1, 300) });
    plan
}
