//! The whole group is stopped at once and every server comes back under another address, in any
//! order. They know each other by identity and look addresses up at each dial, so they find each
//! other, elect a leader by themselves within a few election timeouts, and hold everything that was
//! acknowledged before. It happens twice: the second time the one that led stays away.

use crate::steps::{Scribe, draws, leader_among, outlast, put_within, timeouts};
use proconsul_sim::{Capability, Freshness, Options, Scenario, Story, Told, World, millis, secs};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "new_addresses",
    doc: "All servers restart at once with new addresses. They elect a leader by themselves and \
          hold everything acknowledged before. Catches AckBeforeSync.",
    needs: &[Capability::Process, Capability::Workload],
    options: |seed| Options {
        sync_min: 5_000,
        sync_max: 60_000,
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "new_addresses");
    world.leader().await?;
    world.workload(secs(10));
    let scribe = Scribe::begin(&world, millis(10));
    world.put_eventually("story", "before").await?;
    let all: Vec<usize> = (0..world.servers()).collect();
    for round in 0..2 {
        world.sleep(millis(rng.between(300, 2_500))).await;
        let led = world.leader().await?;
        for server in &all {
            world.crash_and_move(*server);
        }
        world.expect(world.leader_now().is_none(), "nobody is left")?;
        let mut order = all.clone();
        rng.shuffle(&mut order);
        if round == 1 {
            order.retain(|server| *server != led);
        }
        world.sleep(millis(rng.between(0, 1_000))).await;
        for server in &order {
            world.restart(*server);
            world.expect(world.glimpse(*server).up, "it starts from its disk")?;
            world.sleep(millis(rng.between(0, 300))).await;
        }
        leader_among(&world, &order, timeouts(7)).await?;
        put_within(&world, &order, &format!("moved/{round}"), timeouts(5)).await?;
        let read = world.kv_get(order[0], "story", Freshness::Consistent).await;
        world.expect(read == Ok(Some("before".into())), "what was written before is there")?;
    }
    outlast(&world, secs(10)).await;
    world.heal();
    world.converge_within(secs(5)).await?;
    scribe.nothing_lost(&world).await
}
