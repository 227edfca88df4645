//! Servers lose their power again and again in the middle of writing their logs, at protocol events
//! and at random moments. A disk keeps what it likes of what was not synced: nothing, everything, a
//! beginning, single sectors. Every start must succeed, nothing acknowledged may be gone, and all
//! servers must end with the same state.

use proconsul_sim::{
    Action, Capability, Mark, Options, Rng, Scenario, Seed, Story, Target, Told, Trip, World,
    millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "torn_tails",
    doc: "Servers lose power in the middle of writing their logs, again and again. Every start \
          succeeds, nothing acknowledged is gone, and all servers end with the same state.",
    needs: &[Capability::Process, Capability::Disk, Capability::Trips, Capability::Workload],
    options: |_seed| Options {
        servers: 3,
        sync_min: 2_000,
        sync_max: 20_000,
        segment_bytes: 4_096,
        snapshot_log_bytes: 6_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = Rng::new(Seed(world.seed())).split("torn_tails");
    world.leader().await?;
    world.workload(secs(10));
    for event in [Mark::AppendAcked, Mark::VoteGranted, Mark::AppendSent, Mark::Committed] {
        let nth = u32::try_from(rng.between(5, 60)).unwrap_or(5);
        let trip = Trip { server: None, event, nth, middle: rng.chance(1, 2), after: 0 };
        world.trip(trip, Action::crash(Target::Actor, 300_000));
    }
    for _ in 0..8 {
        world.sleep(millis(rng.between(300, 1_200))).await;
        world.crash_for(rng.index(3), millis(rng.between(5, 500)));
    }
    world.sleep(secs(1)).await;
    world.heal();
    world.converge_within(secs(6)).await
}
