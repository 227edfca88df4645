//! The holder of a lock can no longer renew its session: the server it talks to is cut off, a
//! follower or the leader itself, on a network that loses messages (hashicorp/consul#2332, never
//! explained, and #1843). Another client wants the lock all the time. It must not get it before the
//! TTL and the lock-delay are over, counted from the last renewal the holder was told of; it must
//! get it soon after; and the old session is dead when its holder comes back.

use crate::asks;
use crate::steps::draws;
use proconsul_sim::{Capability, Duration, Options, Scenario, Story, Told, World, millis, secs};

const TTL: u64 = 600;
const DELAY: u64 = 500;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "session_expiry",
    doc: "A lock's holder is cut off. Another client gets the lock after TTL and lock-delay, not \
          before, and one client holds it at any time. Catches NoLockDelay, DestroyKeepsLocks, \
          AcquireIgnoresHolder, SessionTimersNotRearmed.",
    needs: &[Capability::Cuts, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        loss_ppm: if seed % 3 == 0 { 50_000 } else { 0 },
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "session_expiry");
    world.leader().await?;
    world.workload(secs(8));
    for round in 0..2 {
        let key = format!("locks/{round}");
        let mine = asks::session(&world, TTL, DELAY).await.unwrap_or_default();
        let leader = world.leader().await?;
        let others = world.followers();
        let home = if rng.chance(1, 2) { leader } else { others[rng.index(others.len())] };
        let mut alive = world.now();
        if asks::renew(&world, home, &mine).await != Some(true)
            || asks::acquire(&world, home, &key, &mine).await != Some(true)
        {
            continue;
        }
        let theirs = asks::session(&world, 0, DELAY).await.unwrap_or_default();
        world.expect(!mine.is_empty() && !theirs.is_empty(), "sessions are made")?;
        for _ in 0..3 {
            let sent = world.now();
            if asks::renew(&world, home, &mine).await == Some(true) {
                alive = sent;
            }
            let stolen = asks::acquire(&world, leader, &key, &theirs).await == Some(true);
            let due = alive + millis(TTL + DELAY);
            world.expect(!stolen || world.now() >= due, "a lock that is held is not given away")?;
            world.sleep(millis(100)).await;
        }
        world.isolate(home);
        taken_in_time(&world, home, (&key, &theirs), alive).await?;
        world.heal();
        world.sleep(millis(300)).await;
        let again = asks::renew(&world, home, &mine).await;
        world.expect(again != Some(true), "an expired session cannot be renewed")?;
        let again = asks::acquire(&world, home, &key, &mine).await;
        world.expect(again != Some(true), "an expired session locks nothing")?;
    }
    world.heal();
    world.converge_within(secs(5)).await
}

/// Another session gets the key: after TTL and lock-delay, and not much later.
async fn taken_in_time(
    world: &World,
    home: usize,
    (key, theirs): (&str, &str),
    alive: Duration,
) -> Told {
    let begun = world.now();
    let mut server = home;
    loop {
        server = (server + 1) % world.servers();
        if server != home && asks::acquire(world, server, key, theirs).await == Some(true) {
            break;
        }
        world.sleep(millis(20)).await;
        let late = world.now() > begun + secs(9);
        world.expect(!late, "the lock of a dead session is given to another")?;
    }
    // Clocks are true here: the servers never wait for less than they promised.
    let early = world.now() < alive + millis(TTL + DELAY);
    world.expect(!early, "the lock goes over after TTL and lock-delay, not before")
}
