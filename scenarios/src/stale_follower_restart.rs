//! A follower that holds many keys is cut off, restarted while it hears nobody, and asked for stale
//! reads at once (hashicorp/consul#4554: 200 and an empty list). It has no leader to tell it what
//! is committed, so it may say that it cannot answer; but if it answers, it must not show fewer
//! keys than it is known to have shown before, from snapshot or from log.

use crate::asks;
use crate::steps::draws;
use proconsul_sim::{Capability, Options, Scenario, Story, Told, World, millis, secs};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "stale_follower_restart",
    doc: "A follower is restarted while it is cut off. Its stale reads show no fewer keys than it \
          held in snapshot and log, or an error. Catches CompactBeforeSnapshot.",
    needs: &[Capability::Process, Capability::Cuts],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        snapshot_log_bytes: if seed % 3 == 0 { 64 * 1024 } else { 3_000 },
        segment_bytes: 2_048,
        trailing_bytes: 0,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "stale_follower_restart");
    world.leader().await?;
    for round in 0..3 {
        for number in 0..30 {
            world.put_eventually(&format!("own/{round}/{number}"), "something").await?;
        }
        let others = world.followers();
        let behind = others[rng.index(others.len())];
        world.sleep(millis(rng.between(0, 400))).await;
        let shown = asks::stale_keys(&world, behind, "own/").await;
        world.expect(shown.is_some_and(|keys| keys > 0), "a follower answers stale reads")?;
        let shown = shown.unwrap_or(0);
        world.isolate(behind);
        world.sleep(millis(rng.between(0, 1_000))).await;
        for _ in 0..1 + rng.index(2) {
            world.crash(behind);
            world.sleep(millis(rng.between(0, 300))).await;
            world.restart(behind);
            world.expect(world.glimpse(behind).up, "it starts from its disk")?;
            for _ in 0..4 {
                if let Some(keys) = asks::stale_keys(&world, behind, "own/").await {
                    let text = format!("s{behind} showed {shown} keys, after a restart {keys}");
                    world.expect(keys >= shown, &text)?;
                }
                world.sleep(millis(rng.between(0, 300))).await;
            }
        }
        world.heal();
        let now = |world: &World| world.glimpse(behind).index >= newest(world);
        world.until(secs(5), "it catches up", now).await?;
    }
    world.converge_within(secs(5)).await
}

fn newest(world: &World) -> u64 {
    (0..world.servers()).map(|server| world.glimpse(server).index).max().unwrap_or(0)
}
