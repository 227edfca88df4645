//! Two of five servers are cut off together: with even seeds the leader and a follower, with odd
//! seeds two followers. The majority goes on, with its leader if it has it, else with a new one
//! within a few election timeouts; the minority acknowledges nothing and answers only stale reads.
//! Whoever returns deposes nobody: pre-vote has kept its term.

use crate::steps::{Scribe, leader_among, newest_term, put_within, readers_and_writers, timeouts};
use proconsul_sim::{Capability, Freshness, Options, Scenario, Story, Told, World, millis, secs};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "minority_cut",
    doc: "Two of five are cut off, with or without the leader. The majority goes on, the minority \
          acknowledges nothing, and who returns deposes nobody. Catches QuorumOffByOne, \
          LeaderNeverStepsDown.",
    needs: &[Capability::Cuts, Capability::Workload],
    options: |_seed| Options { servers: 5, patience: 900_000, ..Options::default() },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    world.leader().await?;
    world.put_eventually("story", "before").await?;
    let old = world.leader().await?;
    readers_and_writers(&world, secs(9));
    let scribe = Scribe::begin(&world, millis(150));
    world.sleep(secs(1)).await;

    let followers = world.followers();
    let with_leader = world.seed().is_multiple_of(2);
    let minority =
        if with_leader { vec![old, followers[0]] } else { vec![followers[0], followers[1]] };
    let majority: Vec<usize> =
        (0..world.servers()).filter(|server| !minority.contains(server)).collect();
    let term = newest_term(&world);
    world.split(&minority);
    let new = leader_among(&world, &majority, timeouts(5)).await?;
    put_within(&world, &majority, "majority", timeouts(5)).await?;
    if !with_leader {
        world.expect(new == old, "a leader with a quorum goes on")?;
        world.expect(newest_term(&world) == term, "nobody stood for election")?;
    }
    world.sleep(timeouts(3)).await;
    for server in &minority {
        world.expect(!world.glimpse(*server).leads, "nobody leads in the minority")?;
        let taken = world.kv_put(*server, "story", "never").await;
        world.expect(!taken, "the minority acknowledges nothing")?;
        let read = world.kv_get(*server, "majority", Freshness::Default).await;
        world.expect(read.is_err(), "the minority answers no default read")?;
        let read = world.kv_get(*server, "story", Freshness::Stale).await;
        world.expect(
            read == Ok(Some("before".into())),
            &format!("stale reads go on, s{server} said {read:?}"),
        )?;
    }

    let (leader, term) = (world.leader().await?, newest_term(&world));
    world.heal();
    world.converge_within(secs(4)).await?;
    world.expect(world.leader_now() == Some(leader), "who returns deposes nobody")?;
    world.expect(newest_term(&world) == term, "who returns raises no term")?;
    scribe.nothing_lost(&world).await
}
