//! The leader's disk hangs while clients write: its syncs do not come back, for long or for ever,
//! though its heartbeats would go on (hashicorp/raft#503, #666). It must give up leading, a server
//! with a working disk takes over within some election timeouts, and writes go on without the one
//! that hangs. When the disk answers again everything is replicated there, too.

use crate::steps::{Scribe, draws, leader_among, put_within, readers_and_writers, timeouts};
use proconsul_sim::{
    Action, Capability, Freshness, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "hanging_disk",
    doc: "The leader's disk hangs. It gives up leading, another takes over within some timeouts, \
          writes go on, and afterwards the hanging one catches up. Nothing acknowledged \
          is lost. Catches AckBeforeSync.",
    needs: &[Capability::Disk, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

/// A disk is given eight timeouts, then an election takes its time.
const REPLACED: u64 = 14;

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "hanging_disk");
    world.leader().await?;
    world.put_eventually("story", "before").await?;
    let old = world.leader().await?;
    readers_and_writers(&world, secs(25));
    let scribe = Scribe::begin(&world, millis(80));
    world.sleep(millis(rng.between(300, 1_500))).await;
    world.expect(world.leader_now() == Some(old), "no leader changes without a reason")?;

    // Sometimes a disk hangs for half a minute, sometimes until the end.
    let span = if rng.chance(1, 2) { 30_000_000 } else { 0 };
    let who = Target::Server(u8::try_from(old).unwrap_or(0));
    world.act(Action::DiskHang { who, span });
    let others: Vec<usize> = (0..world.servers()).filter(|server| *server != old).collect();
    leader_among(&world, &others, timeouts(REPLACED)).await?;
    put_within(&world, &others, "without", timeouts(6)).await?;
    let acked = scribe.count();
    world.sleep(secs(5)).await;
    world.expect(!world.glimpse(old).leads, "who cannot sync does not lead again")?;
    world.expect(scribe.count() > acked + 5, "writes go on")?;
    if rng.chance(1, 3) {
        // A restart in the middle of it: what was not synced is gone, and that is all.
        world.crash_for(old, millis(200));
    }
    world.sleep(secs(3)).await;

    world.heal();
    world.converge_within(secs(6)).await?;
    let read = world.kv_get(old, "without", Freshness::Consistent).await;
    world.expect(read == Ok(Some("yes".into())), "the one that hung has caught up")?;
    scribe.nothing_lost(&world).await
}
