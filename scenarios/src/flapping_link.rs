//! First the link between the leader and one follower comes and goes, then that follower is cut off
//! for twenty election timeouts and returns (etcd-io/etcd#9333, hashicorp/raft#411): the leader
//! stays and no term is raised. Then all links of the leader flap: it may be replaced, but not more
//! often than they flap, and afterwards a write commits within a few timeouts.

use crate::steps::{Scribe, draws, newest_term, put_within, readers_and_writers, timeouts};
use proconsul_sim::{
    Action, Capability, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "flapping_link",
    doc: "A follower's link flaps, then it is away for twenty timeouts and returns: the leader \
          stays. Then all links of the leader flap: leader changes are bounded, writes go on. \
          Catches LeaseIgnored.",
    needs: &[Capability::Cuts, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "flapping_link");
    world.leader().await?;
    world.put_eventually("story", "before").await?;
    let leader = world.leader().await?;
    let term = newest_term(&world);
    readers_and_writers(&world, secs(30));
    let scribe = Scribe::begin(&world, millis(300));
    let followers = world.followers();
    let away = followers[rng.index(followers.len())];
    let both = [(leader, away), (away, leader)];
    let byte = |server: usize| Target::Server(u8::try_from(server).unwrap_or(0));
    for _ in 0..10 {
        let span = rng.between(20_000, 900_000);
        for (from, to) in both {
            world.act(Action::Cut { from: byte(from), to: byte(to), span });
        }
        world.sleep(millis(span / 1_000 + rng.between(10, 300))).await;
        world.expect(world.glimpse(leader).leads, "one bad link deposes no leader")?;
    }
    world.isolate_for(away, timeouts(20));
    world.sleep(timeouts(20) + secs(2)).await;
    world.expect(world.leader_now() == Some(leader), "who returns deposes nobody")?;
    world.expect(newest_term(&world) == term, "no term was raised")?;
    let (here, there) = (world.glimpse(leader).index, world.glimpse(away).index);
    world.expect(there + 3 >= here, "who returns catches up")?;

    let flaps = rng.between(5, 12);
    for _ in 0..flaps {
        let span = millis(rng.between(20, 700));
        world.isolate_for(leader, span);
        world.sleep(span + millis(rng.between(50, 500))).await;
    }
    // One new leader a flap, and now and then a split vote.
    let raised = newest_term(&world) - term;
    world.expect(raised <= 2 * flaps, &format!("{raised} terms for {flaps} flaps"))?;
    let all: Vec<usize> = (0..world.servers()).collect();
    put_within(&world, &all, "afterwards", timeouts(6)).await?;
    world.heal();
    world.converge_within(secs(4)).await?;
    scribe.nothing_lost(&world).await
}
