//! Some members of a pool of eighty die at the same moment in a calm network. Their deaths must be
//! known to nearly everyone within the time that several accusers need, and to everyone within the
//! time that one needs, as the formulas give it; nobody else may be held for failed.

use proconsul_sim::pools::{Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "deaths_at_once",
    doc: "Several of eighty members die at once. All know it within the bound of the formulas, \
          and nobody else is harmed.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let dead = 1 + u16::try_from(seed % 4).unwrap_or(0);
    let options = Options {
        datacenters: vec![(3, 77)],
        length: 170_000_000,
        unharmed: Some(Who::All),
        deaths_within: 45_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let who = Who::Span(70, 70 + dead);
    plan.at(20_000, What::Crash { who, down: 0, moved: false, lost: false });
    let who = Who::One(60);
    plan.at(100_000, What::Crash { who, down: 0, moved: false, lost: false });
    plan
}
