//! An operator forces a member out that is alive. It must say that it is here, at a time that beats
//! the order, and be alive in every view, also where the order came late. A member that is really
//! dead and is forced out counts as left everywhere, at once.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "force_leave_alive",
    doc: "A living member is forced out and contradicts. A dead one counts as left everywhere.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 12)],
        loss_ppm: if seed.is_multiple_of(2) { 0 } else { 30_000 },
        length: 150_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let wan = false;
    let (others, dead) = (Who::Span(0, 13), Who::One(13));
    plan.at(10_000, What::ForceLeave { by: 2, who: 7, prune: false });
    plan.at(11_000, What::Split { side: Who::Span(0, 4), span: 30_000_000 });
    plan.at(12_000, What::ForceLeave { by: 1, who: 8, prune: false });
    plan.at(20_000, What::Crash { who: dead, down: 0, moved: false, lost: false });
    plan.at(100_000, What::ForceLeave { by: 5, who: 13, prune: false });
    plan.at(148_000, What::Expect { by: others, about: dead, held: Held::Left, wan });
    plan.at(149_000, What::Expect { by: others, about: others, held: Held::Alive, wan });
    plan
}
