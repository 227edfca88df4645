//! Leadership is handed over again and again, and one side of the hand-over crashes, is cut off or
//! stands still in the middle of it (hashicorp/raft#696, #487, etcd-io/etcd#11326). An interrupted
//! transfer must end by itself: whoever leads afterwards, also if it is the same server as before,
//! takes writes soon. Default reads that clients send meanwhile must not be stale.

use crate::asks;
use crate::steps::draws;
use proconsul_sim::{
    Action, Capability, Mark, Method, Options, Scenario, Story, Target, Told, Trip, World, millis,
    secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "transfer_crash",
    doc: "Transfers of leadership raced with crashes of either side. The leader afterwards takes \
          writes, and reads meanwhile are fresh. Catches TransferFlagStuck, LeaseDuringTransfer.",
    needs: &[Capability::Process, Capability::Cuts, Capability::Trips, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        latency_max: if seed % 3 == 0 { 40_000 } else { 2_000 },
        patience: 1_000_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "transfer_crash");
    world.leader().await?;
    world.workload(secs(10));
    for round in 0..7 {
        let leader = world.leader().await?;
        let who = if rng.chance(2, 3) { Target::Other } else { Target::Actor };
        let span = rng.between(100, 900) * 1_000;
        let what = match rng.index(3) {
            0 => Action::crash(who, span),
            1 => Action::Isolate { who, span },
            _ => Action::Pause { who, span },
        };
        let event = Mark::TransferStarted;
        let after = if rng.chance(1, 2) { 0 } else { rng.between(0, 20_000) };
        world.trip(Trip { server: None, event, nth: 1, middle: false, after }, what);
        let told = world.clone();
        world.aside(async move {
            let target = "/v1/operator/raft/transfer-leader";
            asks::ask(&told, leader, Method::Put, target, "").await;
            Ok(())
        });
        world.sleep(millis(rng.between(1_000, 1_800))).await;
        takes_writes(&world, &format!("transfer/{round}")).await?;
    }
    world.heal();
    world.converge_within(secs(5)).await
}

/// Whoever leads takes a write within a few election timeouts.
async fn takes_writes(world: &World, key: &str) -> Told {
    let end = world.now() + secs(4);
    while world.now() < end {
        if let Some(leader) = world.leader_now()
            && world.kv_put(leader, key, "taken").await
        {
            return asks::reads_as(world, key, "taken").await;
        }
        world.sleep(millis(50)).await;
    }
    world.expect(false, "a leader takes writes after a transfer that went wrong")
}
