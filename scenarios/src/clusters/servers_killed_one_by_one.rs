//! Of five servers one after another is killed for good. Autopilot takes the dead out as long as
//! the rest is a safe majority of those that were: five become four, four become three. Of three,
//! one more death leaves a majority that must not shrink further, and it goes on serving.

use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "servers_killed_one_by_one",
    doc: "Servers are killed one by one. Autopilot removes the dead, but never below a safe \
          majority, and the rest goes on serving.",
    long: false,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options { datacenters: vec![(5, 3)], length: 190_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    for (turn, voters) in [(0, 4), (1, 3), (2, 3)] {
        let at = 20_000 + u64::from(turn) * 50_000;
        let who = Who::One(turn);
        plan.at(at, What::Crash { who, down: 0, moved: false, lost: false });
        plan.at(at + 2_000, What::Put { by: 6, dc: 0, key: 1 });
        for (late, by) in [(500, 5), (3_000, 6), (30_000, 7), (40_000, 4)] {
            plan.at(at + late, What::Must { by, dc: 0 });
        }
        plan.at(at + 45_000, What::Expect { dc: 0, fact: Fact::Voters(voters) });
        plan.at(at + 45_000, What::Expect { dc: 0, fact: Fact::Led });
    }
    plan.at(170_000, What::Expect { dc: 0, fact: Fact::Critical(2) });
    plan
}
