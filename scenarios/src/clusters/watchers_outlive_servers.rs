//! Agents of two datacenters watch keys, their own and the other's, while keys are written, a
//! client's server and then the leader die, and come back. Nobody who waits is forgotten with the
//! server it waited at, nobody is told an older index than it knows, and where all is well nobody
//! is woken for nothing.

use proconsul_sim::clusters::{ClusterStory, Options, Plan, What, Who};

pub(crate) const STORY: ClusterStory = ClusterStory {
    name: "watchers_outlive_servers",
    doc: "Keys are watched from near and far while servers and leaders die. No wake-up is lost, no \
          index goes back.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 3), (3, 1)],
        between: vec![vec![0, 40_000], vec![45_000, 0]],
        length: 260_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    plan.at(14_000, What::Put { by: 4, dc: 0, key: 0 });
    plan.at(14_000, What::Put { by: 9, dc: 1, key: 0 });
    for by in [0, 1, 3, 4, 5, 7, 9] {
        for dc in 0..2 {
            plan.at(15_000, What::Watch { by, dc, key: 0 });
        }
    }
    for step in 0..30_u16 {
        let at = 60_000 + u64::from(step) * 6_500 + seed % 100;
        let dc = u8::try_from(step % 2).unwrap_or(0);
        // Written by others than those that may have lost their server.
        plan.at(at, What::Put { by: if dc == 0 { 3 + step % 3 } else { 9 }, dc, key: 0 });
    }
    let crash = |who, down| What::Crash { who, down, moved: false, lost: false };
    for server in 0..3_u16 {
        let at = 70_000 + u64::from(server) * 8_000;
        plan.at(at, crash(Who::One(server), 3_000_000));
    }
    plan.at(150_000, crash(Who::Leader(0), 5_000_000));
    plan.at(152_000, crash(Who::Leader(1), 5_000_000));
    plan
}
