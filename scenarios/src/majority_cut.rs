//! The group falls into pieces of which none is a majority: two, two and one. Nothing is written
//! and no fresh read is answered anywhere, the leader steps down, and only stale reads go on.
//! Nobody can win a pre-vote, so terms stand still; when the pieces hear each other again there is
//! a leader within a few election timeouts and nothing acknowledged is gone.

use crate::steps::{Scribe, draws, newest_term, outlast, put_within, timeouts};
use proconsul_sim::{Capability, Freshness, Options, Scenario, Story, Told, World, millis, secs};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "majority_cut",
    doc: "No piece of the group is a majority. Nothing is written, no fresh read is answered, the \
          terms stand still; after healing all goes on. Catches QuorumOffByOne, \
          LeaderNeverStepsDown.",
    needs: &[Capability::Cuts, Capability::Workload],
    options: |_seed| Options { servers: 5, patience: 900_000, ..Options::default() },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "majority_cut");
    world.leader().await?;
    world.put_eventually("story", "before").await?;
    world.workload(secs(7));
    let scribe = Scribe::begin(&world, millis(100));
    world.sleep(millis(rng.between(1_000, 2_500))).await;

    let first = rng.index(5);
    let pairs = [[first, (first + 1) % 5], [(first + 2) % 5, (first + 3) % 5]];
    let term = newest_term(&world);
    for pair in &pairs {
        world.split(pair);
    }
    // Requests that were on their way may still end; then it must be still.
    world.sleep(timeouts(4)).await;
    let acked = scribe.count();
    for server in 0..5 {
        world.expect(!world.glimpse(server).leads, "nobody leads without a quorum")?;
        for fresh in [Freshness::Default, Freshness::Consistent] {
            let read = world.kv_get(server, "story", fresh).await;
            world.expect(read.is_err(), &format!("no {fresh:?} read without a quorum"))?;
        }
        let read = world.kv_get(server, "story", Freshness::Stale).await;
        world.expect(
            read == Ok(Some("before".into())),
            &format!("stale reads go on, s{server} said {read:?}"),
        )?;
    }
    world.expect(scribe.count() == acked, "no write is acknowledged without a quorum")?;
    // One election may have been under way at the moment of the cut.
    world.expect(newest_term(&world) <= term + 1, "the terms stand still")?;

    outlast(&world, secs(7)).await;
    world.heal();
    put_within(&world, &[0, 1, 2, 3, 4], "healed", timeouts(7)).await?;
    world.converge_within(secs(4)).await?;
    world.sleep(secs(2)).await;
    world.expect(scribe.count() > acked, "writes go on")?;
    scribe.nothing_lost(&world).await
}
