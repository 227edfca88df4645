//! Messages between servers come twice, late and in any order, and some not at all: appends that
//! are shorter than what came before, answers of rounds long over, votes that were counted already
//! (coyote-samples#7, async-raft 9540c904, etcd-io/etcd#20418). Leaders stand still and are cut off
//! meanwhile, so that old messages meet new terms. Nobody may be elected by one voter twice,
//! nothing acknowledged may be cut off, and no late answer may confirm a later read.

use crate::steps::{Scribe, draws};
use proconsul_sim::{
    Action, Capability, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "duplicated_messages",
    doc: "Peer messages are doubled, delayed and reordered. No vote counts twice, nothing \
          acknowledged is cut off, no late answer confirms a read. Catches VotesCountedTwice, \
          TruncateAlways, CommitBeyondMatched, NoPreviousTermCheck.",
    needs: &[Capability::Links, Capability::Pause, Capability::Cuts, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        hostile: true,
        duplicate_ppm: 300_000,
        loss_ppm: if seed % 3 == 0 { 60_000 } else { 0 },
        tail_ppm: 60_000,
        tail_max: 120_000,
        append_entries_max: [1, 2, 8][usize::try_from(seed % 3).unwrap_or(0)],
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "duplicated_messages");
    world.leader().await?;
    world.workload(secs(10));
    let scribe = Scribe::begin(&world, millis(60));
    for _ in 0..9 {
        world.sleep(millis(rng.between(200, 1_200))).await;
        let Some(leader) = world.leader_now() else { continue };
        let span = millis(rng.between(100, 1_200));
        match rng.index(4) {
            0 => world.pause(leader, span),
            1 => world.isolate_for(leader, span),
            2 => {
                let other = rng.index(world.servers());
                world.slow(other, millis(rng.between(20, 200)));
            }
            _ => {
                let from = Target::Follower(u8::try_from(rng.index(4)).unwrap_or(0));
                world.act(Action::Cut { from, to: Target::Leader, span: 700_000 });
            }
        }
    }
    world.sleep(secs(1)).await;
    world.heal();
    world.converge_within(secs(5)).await?;
    scribe.nothing_lost(&world).await?;
    world.expect(scribe.count() > 0, "writes are acknowledged all the same")
}
