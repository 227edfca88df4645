//! All members of a pool restart one after another, and each comes back under a new address, as in
//! a cluster of containers. Its name is held by the old address until that is given up. Every one
//! must be alive at its new address in every view, and the pool must never fall apart.

use proconsul_sim::pools::{Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "new_addresses_all",
    doc: "Every member in turn restarts under a new address. All are alive at their new \
          addresses in every view.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let mut plan = Plan::default();
    let machines = 10;
    plan.options =
        Options { datacenters: vec![(3, machines - 3)], length: 760_000_000, ..Options::default() };
    for machine in 0..machines {
        let at = 20_000 + u64::from(machine) * 60_000;
        let down = 1_000_000 + (seed % 6) * 9_000_000;
        let who = Who::One(machine);
        plan.at(at, What::Crash { who, down, moved: true, lost: seed.is_multiple_of(2) });
    }
    plan
}
