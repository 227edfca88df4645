//! A pool is split for so long that both halves hold each other for failed, have stopped to gossip
//! to the dead and have forgotten them in the failure detector. When the cut heals, nothing but
//! Serf's reconnects brings the halves together again. They must meet: everyone alive in every
//! view, and what each half said while apart is heard by the other.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "long_partition",
    doc: "A pool is split for minutes and heals. The halves meet again, and hear what was said \
          meanwhile.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 15)],
        length: 400_000_000,
        loss_ppm: if seed.is_multiple_of(3) { 10_000 } else { 0 },
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let side = [Who::Every(2, 0), Who::Span(0, 5), Who::One(4)];
    let side = side[usize::try_from(seed % 3).unwrap_or(0)];
    plan.at(10_000, What::Split { side, span: 200_000_000 });
    let (all, wan) = (Who::All, false);
    plan.at(150_000, What::Expect { by: Who::One(4), about: Who::One(7), held: Held::Failed, wan });
    plan.at(160_000, What::Fire { by: 4, again: false });
    plan.at(161_000, What::Fire { by: 7, again: false });
    plan.at(395_000, What::Expect { by: all, about: all, held: Held::Alive, wan });
    plan
}
