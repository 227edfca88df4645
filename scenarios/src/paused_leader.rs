//! The leader freezes in the middle of its work, right after it sent, committed or was elected, for
//! longer than an election takes; requests pile up at its door (hashicorp/raft#695, tikv/tikv#964).
//! When it goes on, it first finds what waited: old answers of followers, and reads. Another leader
//! has taken writes meanwhile, and clients were told so: it must not answer a default read from
//! before, not even in the first instant, and its unfinished writes must not be acknowledged unless
//! they were committed.

use crate::asks;
use crate::steps::{Scribe, draws};
use proconsul_sim::{
    Action, Capability, Freshness, Mark, Options, Scenario, Story, Target, Told, Trip, World,
    millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "paused_leader",
    doc: "The leader freezes in the middle of a batch and comes back after another has led. It \
          answers nothing stale and acknowledges nothing that is lost. Catches LeaseIgnored, \
          ReadWithoutQuorum, FollowerServesDefault, AckBeforeCommit.",
    needs: &[Capability::Pause, Capability::Trips, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        patience: 1_500_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "paused_leader");
    world.leader().await?;
    world.workload(secs(10));
    let scribe = Scribe::begin(&world, millis(70));
    for round in 0..5 {
        let old = world.leader().await?;
        let span = rng.between(700, 2_200);
        let event = [Mark::AppendSent, Mark::Committed][rng.index(2)];
        let nth = u32::try_from(rng.between(1, 12)).unwrap_or(1);
        let server = u8::try_from(old).ok();
        let pause = Action::Pause { who: Target::Actor, span: span * 1_000 };
        world.trip(Trip { server, event, nth, middle: false, after: 0 }, pause);
        let begun = world.now();
        world.sleep(millis(100)).await;
        // Through anyone but the frozen one.
        let value = format!("{round}");
        let mut server = old;
        loop {
            server = (server + 1) % world.servers();
            if server != old && world.kv_put(server, "frozen", &value).await {
                break;
            }
            world.sleep(millis(20)).await;
            world.expect(world.now() < begun + secs(5), "the others go on without it")?;
        }
        for _ in 0..6 {
            for fresh in [Freshness::Default, Freshness::Consistent] {
                let read = world.kv_get(old, "frozen", fresh).await;
                let text = format!("a {fresh:?} read at s{old} after {value} answered {read:?}");
                world.expect(read.is_err() || read == Ok(Some(value.clone())), &text)?;
            }
            world.sleep(millis(rng.between(0, span / 5))).await;
        }
    }
    world.heal();
    world.converge_within(secs(5)).await?;
    asks::reads_as(&world, "frozen", "4").await?;
    scribe.nothing_lost(&world).await
}
