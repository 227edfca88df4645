//! Ten thousand members in one LAN, and a hundred of them die at the same moment. Every death must
//! be known to every member within 45 seconds, and nobody who is well may ever be held for failed.
//! Whoever is wrongly suspected in the rush has up to 96 seconds to refute in a pool of this size:
//! so the world is watched for 110 seconds after the deaths. Members share the table that they were
//! founded with. It is too long for the tests.

use proconsul_sim::pools::{Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "gossip-10000",
    doc: "Ten thousand members, of whom a hundred die at once. All know of every death within \
          45 s, and nobody else is held for failed.",
    long: true,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(0, 10_000)],
        durable: false,
        length: 20_000_000,
        rest: 100_000_000,
        codec_ppm: 100,
        unharmed: Some(Who::All),
        deaths_within: 45_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let first = u16::try_from(seed % 100).unwrap_or(0);
    let who = Who::Every(100, first);
    plan.at(10_000, What::Crash { who, down: 0, moved: false, lost: false });
    plan
}
