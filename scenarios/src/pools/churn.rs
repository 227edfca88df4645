//! A pool in which someone comes or goes every few seconds for minutes: starts, deaths, restarts
//! elsewhere, leaves. Tables stay bounded, clocks never go back, and when it is quiet every view is
//! true.

use proconsul_sim::pools::{Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "churn",
    doc: "Members come and go every few seconds for minutes. Tables stay bounded, and views \
          are true when it is quiet.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 21)],
        founded: false,
        late: 4,
        length: 260_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    for number in 0..40_u64 {
        let at = 15_000 + number * 6_000;
        let machine = u16::try_from((number * 7 + seed * 5) % 23 + 1).unwrap_or(1);
        let who = Who::One(machine);
        let what = match (number + seed) % 5 {
            0 => What::Leave { who },
            1 | 2 => What::Start { who },
            3 => What::Crash { who, down: 20_000_000, moved: true, lost: false },
            _ => What::Crash { who, down: 5_000_000, moved: false, lost: false },
        };
        plan.at(at, what);
    }
    plan
}
