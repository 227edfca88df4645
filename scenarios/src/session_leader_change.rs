//! One client renews its session all the time, another never does, while leadership is handed over,
//! leaders crash and leaders are cut off. Timers of sessions live in the leader's memory only, so
//! every new leader starts them in full: a session that was renewed in time lives through all of
//! it, and never dies early. When leaders change no longer, the session that nobody renews dies
//! within twice its TTL and the time an election takes.

use crate::asks;
use crate::steps::draws;
use proconsul_sim::{Capability, Method, Options, Scenario, Story, Told, World, millis, secs};

const TTL: u64 = 800;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "session_leader_change",
    doc: "Sessions over many leader changes. A renewed one survives, one that nobody renews dies \
          within twice its TTL and an election. Catches SessionTimersNotRearmed.",
    needs: &[Capability::Process, Capability::Cuts, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 700_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "session_leader_change");
    world.leader().await?;
    let renewed = asks::session(&world, TTL, 0).await.unwrap_or_default();
    let left = asks::session(&world, TTL, 0).await.unwrap_or_default();
    world.expect(!renewed.is_empty() && !left.is_empty(), "sessions are made")?;
    let begun = world.now();
    world.aside(renewals(world.clone(), renewed));
    for _ in 0..5 {
        let leader = world.leader().await?;
        world.sleep(millis(rng.between(100, 600))).await;
        match rng.index(3) {
            0 => world.crash_for(leader, millis(rng.between(5, 500))),
            1 => world.isolate_for(leader, millis(rng.between(700, 1_200))),
            _ => {
                let target = "/v1/operator/raft/transfer-leader";
                asks::ask(&world, leader, Method::Put, target, "").await;
            }
        }
        if asks::lives(&world, (leader + 1) % world.servers(), &left).await == Some(false) {
            let early = world.now() < begun + millis(TTL);
            world.expect(!early, "no session dies before its TTL")?;
        }
    }
    world.heal();
    let quiet = world.now();
    world.leader().await?;
    // An election, the timer of the last leader in full, and its command through the log.
    let bound = millis(2 * TTL) + secs(3);
    while world.now() < quiet + bound + secs(1) {
        let server = rng.index(world.servers());
        if asks::lives(&world, server, &left).await == Some(false) {
            break;
        }
        world.sleep(millis(50)).await;
    }
    world.expect(world.now() < quiet + bound, "a session that nobody renews dies")?;
    world.converge_within(secs(5)).await
}

/// Renews until the story ends. The session may be gone only if no renewal got through for a TTL.
async fn renewals(world: World, id: String) -> Told {
    let mut alive = world.now();
    for number in 0_usize.. {
        let sent = world.now();
        match asks::renew(&world, number % world.servers(), &id).await {
            Some(true) => alive = sent,
            Some(false) => {
                let gap = world.now().saturating_sub(alive);
                let text = format!("a session renewed {gap:?} ago is gone");
                return world.expect(gap >= millis(TTL), &text);
            }
            None => {}
        }
        world.sleep(millis(40)).await;
    }
    Ok(())
}
