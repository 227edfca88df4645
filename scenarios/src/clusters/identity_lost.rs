//! Agents lose their disks and come back at once under their old names, as someone new; a client
//! first, then a server. Nobody missed them, so nothing made the old identity critical. Yet the
//! name must be theirs, with what they offer now.

use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "identity_lost",
    doc: "Agents lose their disks and are back at once, as someone new under the old name. The \
          name becomes theirs, and a server earns its vote anew.",
    long: false,
    plan,
};

fn plan(_seed: u64) -> Plan {
    let options = Options { datacenters: vec![(3, 3)], length: 130_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    plan.at(10_000, What::Register { by: 4, service: 1, port: 1 });
    let lost = |who| What::Crash { who, down: 700_000, moved: false, lost: true };
    plan.at(15_000, lost(Who::One(4)));
    plan.at(25_000, What::Register { by: 4, service: 2, port: 2 });
    plan.at(50_000, What::Expect { dc: 0, fact: Fact::Offered(2, 1) });
    plan.at(50_000, What::Expect { dc: 0, fact: Fact::Offered(1, 0) });
    plan.at(51_000, lost(Who::One(1)));
    plan.at(120_000, What::Expect { dc: 0, fact: Fact::Voters(3) });
    plan.at(120_000, What::Expect { dc: 0, fact: Fact::Passing(1) });
    plan
}
