//! Agents with services restart one after another, then all at once, servers too. No service
//! disappears because its agent was away for a moment, and each is offered where it was.

use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "agents_restart",
    doc: "Agents with services restart, one by one and all at once. No service disappears because \
          its agent was away for a moment.",
    long: false,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options { datacenters: vec![(3, 6)], length: 90_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    for agent in 3..9 {
        plan.at(10_000, What::Register { by: agent, service: 1, port: agent });
    }
    plan.at(15_000, What::Expect { dc: 0, fact: Fact::Offered(1, 6) });
    for agent in 3..9_u16 {
        let at = 16_000 + u64::from(agent) * 2_000;
        let who = Who::One(agent);
        plan.at(at, What::Crash { who, down: 500_000, moved: false, lost: false });
    }
    plan.at(45_000, What::Crash { who: Who::All, down: 3_000_000, moved: false, lost: false });
    plan.at(75_000, What::Expect { dc: 0, fact: Fact::Offered(1, 6) });
    plan.at(76_000, What::Expect { dc: 0, fact: Fact::Voters(3) });
    plan
}
