//! Every tenth datagram is lost, one in ten comes twice, and two members hear a third of the pool
//! only by stream, in one direction. Probes through others and by stream must carry the failure
//! detector: nobody who is well is held for failed for good, events reach everyone once, and views
//! are true in the end.

use proconsul_sim::pools::{Carrier, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "lossy_links",
    doc: "Datagrams get lost, come twice, and some ways work in one direction only. Nobody \
          stays dead, and events reach everyone once.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 13)],
        length: 180_000_000,
        loss_ppm: 100_000,
        duplicate_ppm: 100_000,
        latency_max: 20_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    for victim in [2, 5] {
        let from = Who::Every(3, u16::try_from(seed % 3).unwrap_or(0));
        let cut =
            What::Cut { from, to: Who::One(victim), carrier: Carrier::Udp, span: 120_000_000 };
        plan.at(20_000, cut);
    }
    for number in 0..10 {
        plan.at(30_000 + number * 7_000, What::Fire { by: 3, again: false });
    }
    plan
}
