//! Clients wait for changes of a key at every server while an operator restores a saved snapshot,
//! in which that key is another. The restore changes everything: every waiter must wake, and a
//! query with an index from before the restore must be answered with what is there now, even if
//! indexes went back (etcd-io/etcd#20221). Then a follower that was away gets the restored state as
//! a snapshot, and those who wait at it wake as well.

use crate::asks::{self, index_of, text};
use crate::steps::draws;
use proconsul_sim::{
    Bytes, Capability, Method, Options, Request, Scenario, Story, Told, World, millis, secs,
};
use std::cell::Cell;
use std::rc::Rc;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "watch_restore",
    doc: "Clients wait at every server while a saved snapshot is restored and sent to a lagging \
          follower. All wake up, and indexes from before are no reason to sleep. Sessions of that \
          time are back. Catches SnapshotWithoutSessions.",
    needs: &[Capability::Cuts],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        snapshot_log_bytes: 4_000,
        segment_bytes: 4_096,
        trailing_bytes: 0,
        patience: 6_000_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "watch_restore");
    let leader = world.leader().await?;
    world.put_eventually("watched", "saved").await?;
    let kept = asks::session(&world, 0, 0).await.unwrap_or_default();
    world.expect(!kept.is_empty(), "a session is made")?;
    let saved = asks::ask(&world, leader, Method::Get, "/v1/snapshot", "").await;
    let Some(saved) = saved.filter(|answer| answer.status == 200) else {
        return world.expect(false, "a leader saves a snapshot");
    };
    let destroy = format!("/v1/session/destroy/{kept}");
    asks::ask(&world, leader, Method::Put, &destroy, "").await;
    for number in 0..rng.between(1, 20) {
        world.put_eventually("watched", &format!("later {number}")).await?;
    }
    world.sleep(millis(300)).await;
    let behind = (leader + 1) % world.servers();
    world.isolate(behind);
    let woken = Rc::new(Cell::new(0));
    let mut indexes = Vec::new();
    for server in 0..world.servers() {
        let mode = if server == behind || rng.chance(1, 2) { "&stale" } else { "" };
        let target = format!("/v1/kv/watched?raw{mode}");
        let seen = asks::ask(&world, server, Method::Get, &target, "").await;
        let Some(seen) = seen else { continue };
        indexes.push(index_of(&seen));
        let (told, woken) = (world.clone(), Rc::clone(&woken));
        let target = format!("/v1/kv/watched?raw&wait=300s&index={}{mode}", index_of(&seen));
        world.aside(async move {
            let answer = asks::ask(&told, server, Method::Get, &target, "").await;
            let right = answer.is_some_and(|answer| text(&answer) == "saved");
            woken.set(woken.get() + usize::from(right));
            told.expect(right, &format!("who waits at s{server} wakes up and sees the restore"))
        });
    }
    world.expect(indexes.len() == world.servers(), "every server answers")?;
    world.sleep(millis(rng.between(0, 300))).await;
    let restore = Request::new(Method::Put, "/v1/snapshot", Bytes::from(saved.body.to_vec()));
    let answer = world.http(leader, restore).await;
    let done = answer.is_ok_and(|answer| answer.status == 200);
    world.expect(done, "a leader restores a snapshot")?;
    let reached = world.servers() - 1;
    world.until(secs(2), "all waiters wake", |_| woken.get() >= reached).await?;
    let back = asks::lives(&world, leader, &kept).await;
    world.expect(back == Some(true), "a session that was saved is restored")?;
    // An index from before the restore: the state is another, the answer comes at once.
    let before = indexes.iter().copied().max().unwrap_or(1);
    let target = format!("/v1/kv/watched?raw&wait=300s&index={before}");
    let begun = world.now();
    let answer = asks::ask(&world, leader, Method::Get, &target, "").await;
    let right = answer.is_some_and(|answer| text(&answer) == "saved");
    let at_once = world.now() < begun + millis(500);
    world.expect(right && at_once, "an index from before a restore is no reason to sleep")?;
    // The lagging follower gets it all as a snapshot.
    for number in 0..40 {
        let at = [leader, world.leader_now().unwrap_or(leader)][number % 2];
        world.kv_put(at, &format!("filler/{number}"), &"f".repeat(150)).await;
    }
    world.heal();
    let all = world.servers();
    world.until(secs(3), "who waits at the lagging server wakes", |_| woken.get() >= all).await?;
    world.converge_within(secs(5)).await?;
    asks::reads_as(&world, "watched", "saved").await
}
