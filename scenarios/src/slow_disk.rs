//! Every disk is slow by turns, the leader's too: a sync takes half an election timeout to three of
//! them (etcd-io/etcd#7617). Heartbeats do not wait for disks, so a slow disk does not look like a
//! dead server: hardly any leader changes, and writes still commit through the servers whose disks
//! are quick. Nothing is acknowledged before it is synced by a majority.

use crate::steps::{Scribe, draws, newest_term, put_within, readers_and_writers, timeouts};
use proconsul_sim::{
    Action, Capability, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "slow_disk",
    doc: "Syncs take 0.5 to 3 election timeouts, at the leader and at others. A slow disk does not \
          look like a dead server: the leader stays, writes commit, nothing acknowledged is lost. \
          Catches AckBeforeCommit.",
    needs: &[Capability::Disk, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 2_000_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "slow_disk");
    world.leader().await?;
    world.put_eventually("story", "before").await?;
    let leader = world.leader().await?;
    let term = newest_term(&world);
    readers_and_writers(&world, secs(20));
    let scribe = Scribe::begin(&world, millis(100));
    let slow = |who: usize, extra: u64, span: u64| {
        let who = Target::Server(u8::try_from(who).unwrap_or(0));
        world.act(Action::DiskSlow { who, extra: extra * 1_000, span: span * 1_000 });
    };
    let all: Vec<usize> = (0..world.servers()).collect();
    for round in 0..6 {
        let span = rng.between(1_000, 3_000);
        // The leader's disk in every other round, and one more; in two rounds all of them.
        let mut struck = vec![rng.index(all.len())];
        match round {
            1 | 4 => struck.push(leader),
            2 | 5 => struck.clone_from(&all),
            _ => {}
        }
        struck.sort_unstable();
        struck.dedup();
        for server in struck {
            slow(server, rng.between(200, 1_350), span);
        }
        world.sleep(millis(span)).await;
        let key = format!("round/{round}");
        put_within(&world, &all, &key, timeouts(12)).await?;
    }
    let raised = newest_term(&world) - term;
    world.expect(raised == 0, &format!("slow disks cost {raised} elections"))?;
    world.expect(world.leader_now() == Some(leader), "the leader stays")?;
    world.heal();
    world.converge_within(secs(6)).await?;
    scribe.nothing_lost(&world).await
}
