//! Members whose machine is overloaded answer late or stand still for seconds. They find others
//! silent, but it is they who are slow: Lifeguard's health and the time to refute must keep them
//! from killing anyone. Nobody who is well may ever be held for failed by anyone, at any moment
//! (Dadgar, Phillips, Currey, 2017).

use proconsul_sim::pools::{Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "slow_member",
    doc: "Slow members accuse others. Nobody who is well is ever held for failed.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let machines = 30;
    let slow = 1 + u16::try_from(seed % 3).unwrap_or(0);
    let options = Options {
        datacenters: vec![(3, machines - 3)],
        length: 200_000_000,
        unharmed: Some(Who::Span(slow, machines)),
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    for number in 0..8 {
        let at = 10_000 + number * 20_000;
        let who = Who::Span(0, slow);
        if (seed + number).is_multiple_of(2) {
            plan.at(at, What::Pause { who, span: 4_000_000 + number * 1_000_000 });
        } else {
            plan.at(at, What::Slow { who, extra: 700_000, span: 12_000_000 });
        }
    }
    plan
}
