//! Servers lose their power at the moment when an entry has just been sent or an acknowledgement
//! has just been given, half of the time in the middle of that step so that what should follow
//! never happens. The leader and its followers are struck again and again while clients write.
//! Nothing acknowledged is lost, whoever takes over, and all servers end with the same log.

use crate::steps::{Scribe, draws, outlast, put_within, timeouts};
use proconsul_sim::{
    Action, Capability, Mark, Options, Scenario, Story, Target, Told, Trip, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "crash_mid_replication",
    doc: "Power fails just when an entry was sent or acknowledged, at the leader and at followers. \
          Nothing acknowledged is lost. Catches AckBeforeSync, OwnMatchBeforeSync.",
    needs: &[Capability::Process, Capability::Disk, Capability::Trips, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 3 == 0),
        sync_min: 1_000,
        sync_max: 25_000,
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "crash_mid_replication");
    world.leader().await?;
    world.workload(secs(11));
    let scribe = Scribe::begin(&world, millis(20));
    world.sleep(millis(500)).await;
    let all: Vec<usize> = (0..world.servers()).collect();
    for round in 0..6 {
        // Two strikes close to each other: the second finds a leader that has just begun.
        for strike in 0..2_u64 {
            let event = [Mark::AppendSent, Mark::AppendAcked, Mark::AppendAcked][rng.index(3)];
            let nth = u32::try_from(rng.between(1, 12) + strike * 3).unwrap_or(1);
            let middle = rng.chance(1, 2);
            let after = if rng.chance(1, 3) { rng.between(0, 15_000) } else { 0 };
            let who = [Target::Actor, Target::Leader, Target::Other][rng.index(3)];
            let down = rng.between(20, 900) * 1_000;
            let trip = Trip { server: None, event, nth, middle, after };
            world.trip(trip, Action::crash(who, down));
        }
        world.sleep(millis(rng.between(800, 1_800))).await;
        if round % 2 == 1 {
            let key = format!("round/{round}");
            put_within(&world, &all, &key, timeouts(8)).await?;
        }
    }
    world.expect(scribe.count() > 10, "clients got somewhere")?;
    outlast(&world, secs(11)).await;
    world.heal();
    world.converge_within(secs(6)).await?;
    scribe.nothing_lost(&world).await
}
