//! A follower was away while the group wrote far more than it keeps as a log; it needs a snapshot,
//! over a line so narrow that the transfer takes longer than the log's tail lasts, and leadership
//! moves between two chunks (hashicorp/raft#212, consul#9609, openraft 2eccb9e1). Writes go on all
//! the time. The follower must catch up all the same while the line stays narrow, with exactly the
//! others' state; bytes of two snapshots must never be mixed.

use crate::steps::draws;
use proconsul_sim::{
    Action, Capability, Mark, Options, Scenario, Story, Target, Told, Trip, Want, World, millis,
    secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "snapshot_slow_link",
    doc: "A lagging follower gets a snapshot over a narrow line while leaders change between \
          chunks and writes go on. It catches up and has the others' state. Catches \
          ApplyDependsOnNode, ChunkIgnoresSnapshotId.",
    needs: &[Capability::Links, Capability::Cuts, Capability::Trips, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        segment_bytes: 16 * 1024,
        snapshot_log_bytes: 24 * 1024,
        trailing_bytes: if seed % 3 == 0 { 0 } else { 2_000 },
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "snapshot_slow_link");
    let leader = world.leader().await?;
    let behind = (leader + 1) % world.servers();
    world.workload(secs(8));
    world.sleep(millis(rng.between(200, 900))).await;
    world.isolate(behind);
    // A snapshot of several chunks (256 KiB each): where a client fills, disks may hold more.
    world.client(0, leader, millis(0), Want::Fill { key: 0 });
    let big = "v".repeat(36_000);
    let from = (behind + 1) % world.servers();
    for number in 0..28 {
        world.kv_put(from, &format!("big/{number}"), &format!("{number}{big}")).await;
    }
    // The leader keeps its log for one that it hears of; who follows it has cut its own by now. The
    // line is narrow and stays so; leaders are cut off or crash between chunks.
    world.heal();
    world.crash_for(world.leader().await?, millis(1_500));
    for server in 0..world.servers() {
        world.narrow(server, rng.between(400_000, 900_000));
    }
    for _ in 0..2 {
        let nth = u32::try_from(rng.between(2, 6)).unwrap_or(2);
        let trip = Trip { server: None, event: Mark::ChunkSent, nth, middle: false, after: 0 };
        let action = if rng.chance(1, 2) {
            Action::Isolate { who: Target::Actor, span: 1_500_000 }
        } else {
            Action::crash(Target::Actor, 300_000)
        };
        world.trip(trip, action);
    }
    let told = world.clone();
    world.aside(async move {
        for number in 0.. {
            let server = number % told.servers();
            told.kv_put(server, &format!("small/{}", number % 50), "written meanwhile").await;
            told.sleep(millis(30)).await;
        }
        Ok(())
    });
    let start = (0..world.servers()).map(|it| world.glimpse(it).index).max().unwrap_or(0);
    let caught_up = |world: &World| world.glimpse(behind).index >= start;
    world.until(secs(20), "the follower catches up over the narrow line", caught_up).await?;
    world.heal();
    world.sleep(secs(1)).await;
    let newest = (0..world.servers()).map(|it| world.glimpse(it).index).max().unwrap_or(0);
    let level =
        |world: &World| (0..world.servers()).all(|server| world.glimpse(server).index >= newest);
    world.until(secs(5), "all servers have what all had a moment ago", level).await
}
