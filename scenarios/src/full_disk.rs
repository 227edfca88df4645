//! A disk runs full under load: first one server's, then everyone's at once. One full disk must not
//! stop the group; when all are full nothing is acknowledged, and whoever is asked says so or says
//! nothing. Once there is space again the servers that gave up are started, all go on from what
//! their disks hold, and nothing that was acknowledged is gone.

use crate::steps::{Scribe, draws, outlast, put_within, timeouts};
use proconsul_sim::{
    Action, Capability, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "full_disk",
    doc: "One disk runs full, then all. One does not stop the group; when all are full nothing is \
          acknowledged; with space again all recover and nothing is lost. Catches FailedSyncIgnored.",
    needs: &[Capability::Process, Capability::Disk, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 900_000,
        segment_bytes: 4_096,
        snapshot_log_bytes: 4_000 + 2_000 * (seed % 5),
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "full_disk");
    world.leader().await?;
    world.workload(secs(12));
    let scribe = Scribe::begin(&world, millis(60));
    world.sleep(millis(rng.between(500, 1_500))).await;
    let all: Vec<usize> = (0..world.servers()).collect();
    let fill = |server: usize| {
        let who = Target::Server(u8::try_from(server).unwrap_or(0));
        world.act(Action::DiskFull { who, span: 0 });
    };

    let leader = world.leader().await?;
    let one = if rng.chance(1, 2) { leader } else { rng.index(all.len()) };
    fill(one);
    let others: Vec<usize> = all.iter().copied().filter(|it| *it != one).collect();
    put_within(&world, &others, "one-is-full", timeouts(15)).await?;
    world.sleep(secs(1)).await;
    // Started while its disk is still full it may give up again, but it starts.
    world.restart(one);
    world.sleep(secs(1)).await;
    put_within(&world, &others, "one-is-still-full", timeouts(15)).await?;
    world.heal();
    world.converge_within(secs(5)).await?;

    for server in &all {
        fill(*server);
    }
    // What was synced before may still be acknowledged; then it must be still.
    world.sleep(secs(2)).await;
    let acked = scribe.count();
    for server in &all {
        let taken = world.kv_put(*server, "full", "never").await;
        world.expect(!taken, "a write without space is not acknowledged")?;
    }
    world.sleep(secs(2)).await;
    world.expect(scribe.count() == acked, "nothing is acknowledged without space")?;

    outlast(&world, secs(12)).await;
    world.heal();
    world.converge_within(secs(6)).await?;
    world.expect(all.iter().all(|server| world.glimpse(*server).up), "all are up again")?;
    scribe.nothing_lost(&world).await
}
