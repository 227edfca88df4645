//! A newcomer takes the name of a member that is alive, another one the id of a member. Neither may
//! push the rightful owner out: the owner stays at its address in every view, and who came with the
//! id of another is not let in by those who know it. In the other half of the worlds the owner has
//! just died: its name may be taken, but not before the time after which names are free.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "names_and_ids",
    doc: "Newcomers come with a name or an id that is taken. The owner keeps its place; the \
          name of a dead member is free only after its time.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options =
        Options { datacenters: vec![(3, 9)], late: 1, length: 150_000_000, ..Options::default() };
    let mut plan = Plan { options, ..Plan::default() };
    let wan = false;
    let others = Who::Span(0, 10);
    if seed.is_multiple_of(2) {
        plan.at(20_000, What::Claim { by: 11, of: 10, name: true });
        plan.at(60_000, What::Expect { by: others, about: Who::One(10), held: Held::Alive, wan });
    } else {
        let who = Who::One(10);
        plan.at(70_000, What::Crash { who, down: 0, moved: false, lost: false });
        let wait = 8_000 + (seed % 5) * 4_000;
        plan.at(70_000 + wait, What::Claim { by: 11, of: 10, name: true });
    }
    let about = Who::Span(0, 10);
    plan.at(140_000, What::Expect { by: others, about, held: Held::Alive, wan });
    plan
}
