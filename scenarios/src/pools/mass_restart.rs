//! Half of a pool restarts at once, as after a rollout that was too quick (memberlist issue 345):
//! every second member dies and comes back seconds later with its rejoin file, while the other
//! half has just begun to suspect it. Nobody may stay dead: within the bound all are alive in every
//! view, and what is said after the restart is heard.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "mass_restart",
    doc: "Half of a pool restarts at once. Nobody stays dead: all are alive in every view within \
          the bound, and their events are heard.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 17)],
        length: 180_000_000,
        retry_join: seed.is_multiple_of(2),
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let down = [300, 3_000, 12_000, 40_000][usize::try_from(seed % 4).unwrap_or(0)];
    let who = Who::Every(2, 0);
    plan.at(20_000, What::Crash { who, down: down * 1_000, moved: false, lost: false });
    plan.at(25_000 + down, What::Fire { by: 2, again: false });
    plan.at(26_000 + down, What::Fire { by: 1, again: false });
    plan.at(175_000, What::Expect { by: Who::All, about: who, held: Held::Alive, wan: false });
    plan
}
