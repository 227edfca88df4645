//! Clocks run at half to twice the true rate and jump ahead by seconds, far beyond what the lease
//! allows for, while leaders are cut off and stand still (etcd-io/etcd#6005, sofa-jraft#34).
//! Default reads may be old then and are not judged. Consistent reads ask a quorum and must stay
//! linearizable under any clock, terms must have one leader, and nothing acknowledged may be lost.

use crate::steps::{Scribe, draws, readers_and_writers};
use proconsul_sim::{
    Action, Capability, Freshness, Options, Scenario, Story, Target, Told, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "clock_wild",
    doc: "Clocks run at half to twice the true rate and jump ahead. Consistent reads stay \
          linearizable and nothing acknowledged is lost. Catches ReadWithoutQuorum, \
          ReadBeforeOwnCommit.",
    needs: &[Capability::Clock, Capability::Pause, Capability::Cuts, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        judge_default: false,
        patience: 900_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "clock_wild");
    world.leader().await?;
    readers_and_writers(&world, secs(12));
    let scribe = Scribe::begin(&world, millis(120));
    for round in 0..7_u32 {
        for server in 0..world.servers() {
            let who = Target::Server(u8::try_from(server).unwrap_or(0));
            let rate = u32::try_from(rng.between(500_000, 2_000_000)).unwrap_or(1_000_000);
            world.act(Action::ClockRate { who, rate, span: 0 });
            if rng.chance(1, 4) {
                world.act(Action::ClockJump { who, by: rng.between(1_000, 2_500_000) });
            }
        }
        let Some(old) = world.leader_now() else {
            world.sleep(millis(400)).await;
            continue;
        };
        let span = millis(rng.between(100, 1_500));
        if rng.chance(1, 2) {
            world.pause(old, span);
        } else {
            world.isolate_for(old, span);
        }
        world.sleep(millis(rng.between(100, 900))).await;
        let value = round.to_string();
        world.put_eventually("wild", &value).await?;
        for server in [old, rng.index(world.servers())] {
            let read = world.kv_get(server, "wild", Freshness::Consistent).await;
            let text = format!("a consistent read at s{server} after {value} answered {read:?}");
            world.expect(read.is_err() || read == Ok(Some(value.clone())), &text)?;
        }
    }
    world.heal();
    world.converge_within(secs(5)).await?;
    scribe.nothing_lost(&world).await
}
