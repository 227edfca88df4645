//! The servers of a datacenter are replaced one by one by new machines with new addresses: a new
//! one comes, earns its vote, an old one leaves. At the end none of the first three is left, and
//! nothing that was written or offered is missing.

use proconsul_sim::Freshness;
use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "servers_replaced",
    doc: "All servers are replaced one by one: a new one earns its vote, an old one leaves. \
          Nothing that was written or offered is missing.",
    long: false,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(6, 4)],
        off: vec![3, 4, 5],
        length: 190_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    for agent in 6..10 {
        plan.at(10_000, What::Register { by: agent, service: 1, port: agent });
    }
    plan.at(12_000, What::Put { by: 6, dc: 0, key: 0 });
    for turn in 0..3_u16 {
        let at = 20_000 + u64::from(turn) * 50_000;
        plan.at(at, What::Start { who: Who::One(3 + turn) });
        plan.at(at + 30_000, What::Expect { dc: 0, fact: Fact::Voters(4) });
        plan.at(at + 31_000, What::Leave { who: Who::One(turn) });
        plan.at(at + 45_000, What::Expect { dc: 0, fact: Fact::Voters(3) });
        plan.at(at + 45_000, What::Expect { dc: 0, fact: Fact::Gone(turn) });
    }
    let how = Freshness::Consistent;
    plan.at(170_000, What::Read { by: 7, dc: 0, key: 0, how });
    plan.at(171_000, What::Expect { dc: 0, fact: Fact::Offered(1, 4) });
    plan.at(171_000, What::Expect { dc: 0, fact: Fact::Voters(3) });
    plan
}
