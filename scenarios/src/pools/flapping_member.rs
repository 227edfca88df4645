//! One member is cut off and back again, every few seconds, for two minutes. Others may hold it for
//! failed while it is away, but never each other; old deaths must not beat its newer words; and
//! when it stays, everyone sees it.

use proconsul_sim::pools::{Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "flapping_member",
    doc: "One member comes and goes every few seconds. Nobody else is harmed, and when it \
          stays everyone sees it.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 9)],
        length: 150_000_000,
        unharmed: Some(Who::Span(1, 12)),
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let away = 2_000 + (seed % 7) * 1_500;
    let mut at = 10_000;
    while at < 130_000 {
        // From its side nobody is there: what it says of others must not harm them.
        let who = Who::One(0);
        let what = if seed.is_multiple_of(2) {
            What::Crash { who, down: away * 1_000, moved: false, lost: seed.is_multiple_of(3) }
        } else {
            What::Pause { who, span: away * 1_000 }
        };
        plan.at(at, what);
        at += away + 3_000;
    }
    plan
}
