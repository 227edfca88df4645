//! Three datacenters of five servers and a hundred agents each, whole agents all of them, for five
//! minutes in which the usual happens: services come and go, keys are written and read here and
//! across, locks are held, agents die and return or leave, each datacenter loses its leader's
//! machine or another once, and one is cut off for half a minute. It is too long for the tests, and
//! what the speed of simulated clusters is measured by.

use proconsul_sim::Freshness;
use proconsul_sim::clusters::{ClusterStory, Fact, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "three_datacenters",
    doc: "Three datacenters of five servers and a hundred agents each through five busy minutes. \
          What is acknowledged stays, and all end up in agreement.",
    long: true,
    plan,
};

const SERVERS: u16 = 5;
const AGENTS: u16 = 100;
const HERE: u16 = SERVERS + AGENTS;

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(SERVERS, AGENTS); 3],
        between: vec![vec![0, 40_000, 90_000], vec![45_000, 0, 60_000], vec![95_000, 55_000, 0]],
        length: 300_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    for dc in 0..3 {
        offer(&mut plan, dc);
        trouble(&mut plan, dc, seed);
        plan.at(290_000, What::Expect { dc, fact: Fact::Led });
        plan.at(290_000, What::Expect { dc, fact: Fact::Voters(SERVERS) });
        plan.at(290_000, What::Expect { dc, fact: Fact::Offered(1, AGENTS - 1) });
    }
    plan.at(150_000, What::Split { side: Who::Dc(2), span: 30_000_000 });
    traffic(&mut plan, seed);
    plan
}

fn first(dc: u8) -> u16 {
    u16::from(dc) * HERE
}

/// Every agent offers something, a few hold locks.
fn offer(plan: &mut Plan, dc: u8) {
    let clients = first(dc) + SERVERS..first(dc) + HERE;
    for (by, place) in clients.zip(0_u64..) {
        plan.at(20_000 + place * 50, What::Register { by, service: 1, port: 1_000 + by });
        if place % 20 == 7 {
            plan.at(40_000 + place * 10, What::Hold { by });
        }
    }
}

/// A server dies and comes back, an agent dies and comes back, and one leaves for good.
fn trouble(plan: &mut Plan, dc: u8, seed: u64) {
    let wide = u64::from(dc);
    let server = first(dc) + u16::try_from((seed + wide) % u64::from(SERVERS)).unwrap_or(0);
    let who = Who::One(server);
    plan.at(70_000 + wide * 9_000, What::Crash { who, down: 3_000_000, moved: false, lost: false });
    let who = Who::One(first(dc) + SERVERS + 40);
    plan.at(75_000 + wide * 7_000, What::Crash { who, down: 15_000_000, moved: true, lost: false });
    plan.at(120_000 + wide * 5_000, What::Leave { who: Who::One(first(dc) + SERVERS + 60) });
}

/// Keys are written and read by everyone in turn, in their own datacenter and in others.
fn traffic(plan: &mut Plan, seed: u64) {
    for step in 0..1_200_u16 {
        let at = 30_000 + u64::from(step) * 200 + seed % 100;
        let by = step * 17 % (3 * HERE);
        let dc = u8::try_from((by / HERE + u16::from(step % 4 == 0)) % 3).unwrap_or(0);
        let key = u8::try_from(step % 4).unwrap_or(0);
        let how = if step % 2 == 0 { Freshness::Default } else { Freshness::Consistent };
        let what = match step % 3 {
            0 => What::Put { by, dc, key },
            1 => What::Create { by, dc },
            _ => What::Read { by, dc, key, how },
        };
        plan.at(at, what);
    }
}
