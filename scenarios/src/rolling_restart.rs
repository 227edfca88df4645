//! All servers are restarted one after another, the leader among them, with pauses of nothing to
//! twenty seconds between one's return and the next one's end (hashicorp/consul#8118). A server
//! that returns with its log has its vote at once, so there is a quorum all the time: after each
//! step a write commits within a few election timeouts. Nothing acknowledged is lost.

use crate::steps::{Scribe, draws, newest_term, outlast, put_within, timeouts};
use proconsul_sim::{Capability, Options, Scenario, Story, Told, World, millis, secs};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "rolling_restart",
    doc: "Servers restart one by one, with pauses of 0 to 20 s. There is a quorum all the time, so \
          writes go on after each step, and nothing acknowledged is lost. Catches QuorumOffByOne.",
    needs: &[Capability::Process, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        snapshot_log_bytes: if seed % 3 == 0 { 6_000 } else { 64 * 1024 },
        segment_bytes: 4_096,
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "rolling_restart");
    world.leader().await?;
    world.workload(secs(20));
    let scribe = Scribe::begin(&world, millis(250));
    world.sleep(secs(1)).await;
    let term = newest_term(&world);
    let mut order: Vec<usize> = (0..world.servers()).collect();
    rng.shuffle(&mut order);
    let all = order.clone();
    for server in order {
        world.crash(server);
        world.sleep(millis(rng.between(0, 1_500))).await;
        let others: Vec<usize> = all.iter().copied().filter(|it| *it != server).collect();
        put_within(&world, &others, &format!("without/{server}"), timeouts(6)).await?;
        world.restart(server);
        world.expect(world.glimpse(server).up, "it starts from its disk")?;
        let gap = [0, 0, rng.between(1, 1_000), rng.between(1_000, 20_000)][rng.index(4)];
        world.sleep(millis(gap)).await;
    }
    put_within(&world, &all, "all-restarted", timeouts(6)).await?;
    let raised = newest_term(&world) - term;
    // Clients ask for transfers now and then; each restart costs one leader at most, and a split
    // vote.
    world.expect(raised <= 40, &format!("{raised} terms in a rolling restart"))?;
    outlast(&world, secs(20)).await;
    world.heal();
    world.converge_within(secs(4)).await?;
    scribe.nothing_lost(&world).await
}
