//! Five servers; the old leader is left with one neighbour, the bridge, which hears everyone
//! (databendlabs/openraft#2080). With odd seeds a further server is cut off altogether, so that the
//! only whole majority needs the bridge's vote, and the old leader's heartbeats must not keep the
//! bridge from giving it: a leader without a quorum stops. Whenever some majority hears itself, a
//! write commits within a few election timeouts, and what the old leader did not commit is gone.

use crate::steps::{leader_among, newest_term, put_within, readers_and_writers, timeouts};
use proconsul_sim::{Capability, Freshness, Options, Scenario, Story, Told, World, millis, secs};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "bridge_partition",
    doc: "The old leader reaches only the bridge, which everyone reaches. The majority around the \
          bridge elects and writes within a few timeouts. Catches LeaderNeverStepsDown.",
    needs: &[Capability::Cuts, Capability::Workload],
    options: |_seed| Options { servers: 5, patience: 700_000, ..Options::default() },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let old = world.leader().await?;
    readers_and_writers(&world, secs(8));
    world.sleep(millis(1_800)).await;
    world.put_eventually("story", "before").await?;
    let old = world.leader_now().unwrap_or(old);

    let others = world.followers();
    let (bridge, rest) = others.split_first().unwrap_or((&old, &[]));
    for server in rest {
        world.cut(old, *server);
        world.cut(*server, old);
    }
    let mut majority = others.clone();
    if world.seed() % 2 == 1
        && let Some(lost) = majority.pop()
    {
        world.isolate(lost);
    }
    // Nobody may take the word of a leader that reaches two of five.
    let asked = world.clone();
    world.aside(async move {
        let taken = asked.kv_put(old, "story", "never").await;
        asked.expect(!taken || !asked.glimpse(old).leads, "two of five acknowledge nothing")
    });
    let new = leader_among(&world, &majority, timeouts(6)).await?;
    world.expect(new != old, "another server leads")?;
    put_within(&world, &majority, "bridge", timeouts(6)).await?;
    let term = newest_term(&world);
    world.sleep(secs(3)).await;
    // The bridge hears both sides: their quarrel must not go on through it.
    world.expect(newest_term(&world) <= term + 3, "the terms do not run away")?;
    world.expect(world.glimpse(*bridge).up, "the bridge is up")?;
    put_within(&world, &majority, "bridge/again", timeouts(6)).await?;

    world.heal();
    world.converge_within(secs(5)).await?;
    let read = world.kv_get(old, "bridge", Freshness::Consistent).await;
    world.expect(read == Ok(Some("yes".into())), "the old leader has caught up")
}
