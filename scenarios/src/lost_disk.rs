//! Two of five servers lose their disks for good and are taken out of the group one after the other
//! by an operator; then a third one crashes. Without the removals three of five would be gone and
//! nothing could be written; with them two of three are there, and writes must go on. Those taken
//! out come back with an old disk after all: they must neither lead nor move leadership
//! (hashicorp/raft#524), and nothing acknowledged may be lost.

use crate::asks;
use crate::steps::{Scribe, draws, newest_term, put_within, timeouts};
use proconsul_sim::{
    Action, Capability, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "lost_disk",
    doc: "Two servers lose their disks and are taken out of the group, then a third crashes. \
          Writes go on, and those taken out disturb nobody when they return. Catches \
          QuorumOffByOne.",
    needs: &[Capability::Process, Capability::Disk, Capability::Cuts],
    options: |seed| Options {
        servers: 5,
        snapshot_log_bytes: if seed % 2 == 0 { 6_000 } else { 64 * 1024 },
        segment_bytes: 4_096,
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "lost_disk");
    world.leader().await?;
    let _scribe = Scribe::begin(&world, millis(80));
    let mut rest: Vec<usize> = (0..world.servers()).collect();
    rng.shuffle(&mut rest);
    world.sleep(millis(rng.between(300, 1_500))).await;
    let mut lost = Vec::new();
    for round in 0..2 {
        let gone = rest.pop().unwrap_or(0);
        let who = Target::Server(u8::try_from(gone).unwrap_or(0));
        world.act(Action::BitRot { who, drawn: None });
        world.crash(gone);
        lost.push(gone);
        put_within(&world, &rest, &format!("without/{round}"), timeouts(7)).await?;
        let end = world.now() + secs(6);
        let mut taken_out = false;
        while !taken_out && world.now() < end {
            taken_out = asks::remove(&world, rest[rng.index(rest.len())], gone).await;
            world.sleep(millis(100)).await;
        }
        world.expect(taken_out, "an operator takes a dead server out")?;
        world.sleep(millis(rng.between(0, 500))).await;
    }
    // Two of three are a majority of what is left.
    let third = rest.pop().unwrap_or(0);
    world.crash(third);
    put_within(&world, &rest, "two-of-three", timeouts(9)).await?;
    world.restart(third);
    rest.push(third);
    world.sleep(secs(1)).await;
    put_within(&world, &rest, "three", timeouts(6)).await?;
    let term = newest_term(&world);
    for server in &lost {
        world.restart(*server);
    }
    for _ in 0..20 {
        world.sleep(millis(150)).await;
        let leads = lost.iter().any(|server| world.glimpse(*server).leads);
        world.expect(!leads, "a server that was taken out does not lead")?;
    }
    put_within(&world, &rest, "back", timeouts(4)).await?;
    let raised = newest_term(&world).saturating_sub(term);
    world.expect(raised <= 1, &format!("{raised} terms because of servers taken out"))?;
    for key in ["without/0", "without/1", "two-of-three", "three"] {
        asks::reads_as(&world, key, "yes").await?;
    }
    Ok(())
}
