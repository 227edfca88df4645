//! A sync fails, at the leader or at a follower. After a failed sync nobody knows what the disk
//! holds, so it is final: the process ends without another promise and never tries the sync again.
//! The group goes on without it, and a restart recovers what is on the disk; each server has its
//! turn, and nothing acknowledged is lost.

use crate::steps::{Scribe, draws, outlast, put_within, timeouts};
use proconsul_sim::{
    Action, Capability, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "failing_disk",
    doc: "A sync fails. The process ends without another promise, the group goes on, a restart \
          recovers; each server has its turn. Catches FailedSyncIgnored.",
    needs: &[Capability::Process, Capability::Disk, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 900_000,
        segment_bytes: 4_096,
        snapshot_log_bytes: if seed % 3 == 0 { 4_000 } else { 64 * 1024 },
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "failing_disk");
    world.leader().await?;
    world.workload(secs(14));
    let scribe = Scribe::begin(&world, millis(60));
    world.sleep(millis(500)).await;
    let mut order: Vec<usize> = (0..world.servers()).collect();
    rng.shuffle(&mut order);
    for server in order.clone() {
        world.sleep(millis(rng.between(100, 1_200))).await;
        // Every other time whoever leads just then.
        let struck = match world.leader_now() {
            Some(leader) if rng.chance(1, 2) => leader,
            Some(_) | None => server,
        };
        let who = Target::Server(u8::try_from(struck).unwrap_or(0));
        let others: Vec<usize> = order.iter().copied().filter(|it| *it != struck).collect();
        // A snapshot that cannot be written is given up and promises nothing; the log is final.
        for _ in 0..4 {
            if world.glimpse(struck).up {
                world.act(Action::DiskFail { who });
                let ended = |world: &World| !world.glimpse(struck).up;
                drop(world.until(timeouts(3), "a failed sync", ended).await);
            }
        }
        world.expect(!world.glimpse(struck).up, "a failed sync ends the process")?;
        put_within(&world, &others, &format!("without/{struck}"), timeouts(6)).await?;
        world.expect(!world.glimpse(struck).up, "it does not come back by itself")?;
        world.restart(struck);
        world.expect(world.glimpse(struck).up, "it starts from its disk")?;
        put_within(&world, &order, &format!("with/{struck}"), timeouts(6)).await?;
    }
    outlast(&world, secs(14)).await;
    world.heal();
    world.converge_within(secs(5)).await?;
    scribe.nothing_lost(&world).await
}
