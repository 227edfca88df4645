//! The leader is cut off from everyone while clients work. Another server takes over and takes
//! writes; the old one must stop leading, must not answer anything stale, and catches up when it
//! hears the others again. What it had appended but not committed is gone, and nobody was told that
//! it was done.

use proconsul_sim::{Capability, Freshness, Options, Scenario, Story, Told, World, millis, secs};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "leader_isolated",
    doc: "The leader is cut off while clients work. Another one takes over and takes writes; the \
          old one stops leading, answers nothing stale, and catches up afterwards.",
    needs: &[Capability::Cuts, Capability::Workload],
    options: |seed| Options { servers: 3 + 2 * u8::from(seed % 2 == 0), ..Options::default() },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let old = world.leader().await?;
    world.workload(secs(8));
    world.sleep(millis(1_500)).await;
    world.put_eventually("story", "before").await?;

    world.isolate(old);
    // Whatever the old leader says now, it must not say that this is done.
    let asked = world.clone();
    world.aside(async move {
        let taken = asked.kv_put(old, "story", "never").await;
        asked.expect(!taken, "a leader without a quorum acknowledges nothing")
    });
    let new = world.leader_other_than(old).await?;
    world.expect(new != old, "another server leads")?;
    world.put_eventually("story", "after").await?;
    world.sleep(secs(2)).await;
    world.expect(!world.glimpse(old).leads, "the old leader has stepped down")?;
    let stale = world.kv_get(old, "story", Freshness::Default).await;
    world.expect(stale != Ok(Some("before".into())), "the old leader answers nothing stale")?;

    world.heal();
    world.converge_within(secs(5)).await?;
    let read = world.kv_get(old, "story", Freshness::Consistent).await;
    world.expect(read == Ok(Some("after".into())), "the old leader has caught up")
}
