//! The power of the whole room fails in the middle of writes, several times: at a drawn moment, or
//! just when something was acknowledged or committed. Disks keep what they like of what was not
//! synced, torn in any way. All servers start again from their disks, elect, and hold everything
//! that any client was ever told is done; with votes forgotten or tails misread they would not.

use crate::steps::{Scribe, draws, outlast, put_within, timeouts};
use proconsul_sim::{
    Action, Capability, Mark, Options, Scenario, Story, Target, Told, Trip, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "power_cut_all",
    doc: "All servers lose power in the middle of writes, several times. All start from torn disks \
          and hold everything acknowledged. Catches AckBeforeSync, OwnMatchBeforeSync.",
    needs: &[Capability::Process, Capability::Disk, Capability::Trips, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 3 == 0),
        sync_min: 2_000,
        sync_max: 30_000,
        segment_bytes: 2_048,
        snapshot_log_bytes: 3_000 + 10_000 * (seed % 3),
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "power_cut_all");
    world.leader().await?;
    world.workload(secs(12));
    let scribe = Scribe::begin(&world, millis(10));
    let all: Vec<usize> = (0..world.servers()).collect();
    for round in 0..5 {
        world.sleep(millis(rng.between(50, 1_500))).await;
        let led = world.leader_now();
        if rng.chance(2, 3) {
            // The room goes dark with the first server that reaches this point.
            let event = [Mark::AppendAcked, Mark::Committed, Mark::AppendSent][rng.index(3)];
            let nth = u32::try_from(rng.between(1, 20)).unwrap_or(1);
            let middle = rng.chance(1, 2);
            let after = if rng.chance(1, 2) { rng.between(0, 10_000) } else { 0 };
            let trip = Trip { server: None, event, nth, middle, after };
            for server in &all {
                let who = Target::Server(u8::try_from(*server).unwrap_or(0));
                world.trip(trip, Action::crash(who, 900_000));
            }
            let dark = |world: &World| (0..world.servers()).all(|it| !world.glimpse(it).up);
            drop(world.until(secs(2), "the cut", dark).await);
        }
        for server in &all {
            world.crash(*server);
        }
        world.sleep(millis(rng.between(10, 800))).await;
        let mut order = all.clone();
        rng.shuffle(&mut order);
        // Who led comes back last in some rounds: what it alone had synced was never promised.
        let late = led.filter(|_| rng.chance(1, 2));
        for server in order.into_iter().filter(|server| Some(*server) != late) {
            world.restart(server);
            world.sleep(millis(rng.between(0, 60))).await;
        }
        put_within(&world, &all, &format!("round/{round}"), timeouts(10)).await?;
        if let Some(late) = late {
            world.restart(late);
        }
    }
    world.expect(scribe.count() > 10, "clients got somewhere")?;
    outlast(&world, secs(12)).await;
    world.heal();
    world.converge_within(secs(5)).await?;
    scribe.nothing_lost(&world).await
}
