//! Agents with services and sessions die for good, leave, or are forced out. The catalog says so
//! within seconds: who died is critical, its session ends, who left is gone with all it offered.

use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "agents_die_and_leave",
    doc: "Agents die, leave, and are forced out. The catalog says so within seconds, and sessions \
          end with their nodes.",
    long: false,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options { datacenters: vec![(3, 6)], length: 80_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    for agent in 3..9 {
        plan.at(10_000, What::Register { by: agent, service: 1, port: agent });
        plan.at(11_000, What::Hold { by: agent });
    }
    plan.at(15_000, What::Expect { dc: 0, fact: Fact::Sessions(6) });
    let who = Who::Span(3, 5);
    plan.at(20_000, What::Crash { who, down: 0, moved: false, lost: false });
    plan.at(20_000, What::Leave { who: Who::One(5) });
    for agent in 3..5 {
        plan.at(45_000, What::Expect { dc: 0, fact: Fact::Critical(agent) });
    }
    plan.at(45_000, What::Expect { dc: 0, fact: Fact::Gone(5) });
    plan.at(45_000, What::Expect { dc: 0, fact: Fact::Sessions(3) });
    plan.at(45_000, What::Expect { dc: 0, fact: Fact::Passing(6) });
    plan.at(50_000, What::ForceLeave { by: 7, who: 3 });
    plan.at(60_000, What::Expect { dc: 0, fact: Fact::Gone(3) });
    plan.at(60_000, What::Expect { dc: 0, fact: Fact::Offered(1, 4) });
    plan
}
