//! A newcomer takes the name of a member that is alive (a third of the worlds), or its id (another
//! third). Neither may push the rightful owner out: the owner stays alive at its address in every
//! view, and who came with the id of another is not let in by those who know it. In the last third
//! the owner has just died: its name may be taken, but not before the time after which names are
//! free.

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
    let owner = Who::One(10);
    match seed % 3 {
        0 => {
            plan.at(20_000, What::Claim { by: 11, of: 10, name: true });
        }
        1 => {
            plan.at(70_000, What::Crash { who: owner, down: 0, moved: false, lost: false });
            let wait = 8_000 + (seed / 3 % 5) * 4_000;
            plan.at(70_000 + wait, What::Claim { by: 11, of: 10, name: true });
        }
        _ => {
            plan.at(20_000, What::Claim { by: 11, of: 10, name: false });
        }
    }
    if seed % 3 != 1 {
        for at in [22_000, 40_000, 60_000, 139_000] {
            plan.at(at, What::Expect { by: others, about: owner, held: Held::Alive, wan });
        }
    }
    let about = Who::Span(0, 10);
    plan.at(140_000, What::Expect { by: others, about, held: Held::Alive, wan });
    plan
}
