//! An operator rotates the pool's key while a part of it does not hear: install, use, remove. What
//! cannot be complete must not be reported complete; nobody uses a key that it was not given; and
//! when the steps are repeated after the cut, all keyrings are the same and all members still see
//! each other.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, Turn, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "keys_under_partition",
    doc: "Keys are rotated under a partition, and again after it. No step is reported complete \
          that is not, and keyrings converge.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 9)],
        encrypted: true,
        duplicate_ppm: if seed.is_multiple_of(2) { 200_000 } else { 0 },
        length: 330_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let side = Who::Span(9, 12);
    plan.at(10_000, What::Split { side, span: 40_000_000 });
    plan.at(12_000, What::Keys { by: 0, turn: Turn::Install, key: 1 });
    plan.at(25_000, What::Keys { by: 0, turn: Turn::Use, key: 2 });
    let steps = [(Turn::Install, 1), (Turn::Use, 1), (Turn::Remove, 0)];
    for (number, (turn, key)) in (0_u64..).zip(steps) {
        plan.at(240_000 + number * 20_000, What::Keys { by: 0, turn, key });
    }
    let (by, about) = (Who::All, Who::All);
    plan.at(325_000, What::Expect { by, about, held: Held::Alive, wan: false });
    plan
}
