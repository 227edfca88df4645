//! More events than any member remembers are told, one looking like another, while members restart
//! and a part is away for a moment. Each event is told to each member once, in an order that agrees
//! with its clock, and a member that restarts is not told again what it had stored.

use proconsul_sim::pools::{Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "event_storm",
    doc: "Hundreds of events that look alike are told while members restart. Each is told once \
          to everyone.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 7)],
        duplicate_ppm: 100_000,
        length: 150_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    for number in 0..620 {
        plan.at(20_000 + number * 100, What::Fire { by: 0, again: true });
    }
    let who = Who::One(4 + u16::try_from(seed % 5).unwrap_or(0));
    plan.at(50_000, What::Crash { who, down: 2_000_000, moved: false, lost: false });
    plan.at(100_000, What::Fire { by: 5, again: false });
    plan.at(101_000, What::Ask { by: 6, relay: 3 });
    plan
}
