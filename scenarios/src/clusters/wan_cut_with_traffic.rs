//! Three datacenters; the link to one is cut, while agents everywhere write and read with `?dc=`.
//! What is acknowledged stays, inside each datacenter everything goes on, and when the link is back
//! every agent reaches every datacenter again.

use proconsul_sim::Freshness;
use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "wan_cut_with_traffic",
    doc: "A datacenter is cut off while agents ask across. Each goes on by itself, nothing \
          acknowledged is lost, and afterwards all reach all.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 3), (3, 2), (3, 2)],
        between: vec![vec![0, 40_000, 90_000], vec![45_000, 0, 60_000], vec![95_000, 55_000, 0]],
        length: 110_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    plan.at(40_000, What::Split { side: Who::Dc(2), span: 45_000_000 });
    for step in 0..40_u16 {
        let at = 20_000 + u64::from(step) * 2_100 + seed % 100;
        let by = step * 5 % 16;
        let (dc, key) = (u8::try_from(step % 3).unwrap_or(0), u8::try_from(step % 2).unwrap_or(0));
        plan.at(at, What::Put { by, dc, key });
        let how = if step % 2 == 0 { Freshness::Default } else { Freshness::Consistent };
        plan.at(at + 900, What::Read { by: (by + 7) % 16, dc, key, how });
        plan.at(at + 400, What::Create { by, dc });
    }
    // Inside each datacenter nobody may notice anything: neither servers nor clients.
    for at in [41_000, 50_000, 60_000, 70_000, 80_000] {
        for (dc, members) in [(0, [0, 2, 4]), (1, [6, 8, 10]), (2, [11, 13, 15])] {
            for by in members {
                plan.at(at, What::Must { by, dc });
            }
        }
    }
    for dc in 0..3 {
        plan.at(80_000, What::Expect { dc, fact: Fact::Led });
        plan.at(80_000, What::Expect { dc, fact: Fact::Voters(3) });
    }
    plan
}
