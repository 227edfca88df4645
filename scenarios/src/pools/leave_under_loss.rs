//! Members leave in good order, some at once, while every fifth datagram is lost. Nobody may take a
//! leave for a failure for good: within the bound every view says that they left, and when they
//! come back, they are alive again, although an old leave still goes round in a part that was cut
//! off.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "leave_under_loss",
    doc: "Members leave while datagrams get lost. All hold them for left, and for alive when \
          they are back.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 11)],
        loss_ppm: 40_000 + u32::try_from(seed % 4).unwrap_or(0) * 40_000,
        length: 260_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let leavers = [Who::One(3), Who::One(8)];
    for (number, who) in (0_u64..).zip(leavers) {
        plan.at(20_000 + number * 500, What::Leave { who });
        plan.at(
            110_000,
            What::Expect { by: Who::Span(4, 8), about: who, held: Held::Left, wan: false },
        );
    }
    // A part that knows of the leave is away while they come back.
    plan.at(112_000, What::Split { side: Who::Span(10, 14), span: 30_000_000 });
    for who in leavers {
        plan.at(115_000, What::Start { who });
    }
    plan
}
