//! Every machine's clock runs at its own rate, up to a tenth off, for minutes: probes, timeouts and
//! suspicions of different members last differently. Nobody who is well may ever be held for
//! failed, and the dead are found all the same.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "drifting_clocks",
    doc: "Clocks run up to a tenth too fast or too slow. Nobody who is well is held for \
          failed, and the dead are found.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 13)],
        length: 300_000_000,
        unharmed: Some(Who::All),
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    for machine in 0..16_u16 {
        let rate = 900_000
            + u32::from((machine * 37 + u16::try_from(seed % 200).unwrap_or(0)) % 201) * 1_000;
        plan.at(1_000, What::ClockRate { who: Who::One(machine), rate, span: 0 });
    }
    let dead = Who::One(9);
    plan.at(100_000, What::Crash { who: dead, down: 0, moved: false, lost: false });
    let by = Who::Span(0, 9);
    plan.at(180_000, What::Expect { by, about: dead, held: Held::Failed, wan: false });
    plan
}
