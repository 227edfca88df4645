//! Many clients wait for keys, for a whole prefix and for the health of services, at every server,
//! with default and stale reads, while leaders are cut off and killed and keys and checks change
//! all the time. No waiter may sleep through a change, an index never goes back, and a body is
//! never older than its index. At the end every waiter has seen the last change.

use crate::steps::draws;
use proconsul_sim::{
    Capability, Duration, Freshness, Options, Scenario, Story, Told, Want, World, millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "watch_storm",
    doc: "Many clients wait for changes while leaders come and go. No waiter sleeps through a \
          change, an index never goes back, a body is never older than its index.",
    needs: &[Capability::Process, Capability::Cuts, Capability::Workload],
    options: |_seed| Options { servers: 5, clients: 6, ..Options::default() },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    world.leader().await?;
    let servers = world.servers();
    for number in 0..20_u8 {
        let server = usize::from(number) % servers;
        let fresh = if number % 3 == 0 { Freshness::Stale } else { Freshness::Default };
        let what = if number % 4 == 0 {
            Want::WatchPrefix { fresh }
        } else if number % 4 == 1 {
            Want::WatchService { service: number % 2, fresh }
        } else {
            Want::WatchKey { key: number % 6, fresh }
        };
        world.client(number % 6, server, millis(u64::from(number) * 20), what);
    }
    world.workload(secs(9));
    checks_flap(&world, secs(9));
    for round in 0..4 {
        world.sleep(millis(1_500)).await;
        let leader = world.leader().await?;
        if round % 2 == 0 {
            world.isolate_for(leader, millis(1_200));
        } else {
            world.crash_for(leader, millis(400));
        }
        world.leader_other_than(leader).await?;
    }
    world.heal();
    world.converge_within(secs(5)).await
}

/// Instances come, go, pass and fail until `span` is over or the story ends.
fn checks_flap(world: &World, span: Duration) {
    let mut rng = draws(world, "checks_flap");
    let told = world.clone();
    let end = world.now() + span;
    world.aside(async move {
        while told.now() < end {
            let node = u8::try_from(rng.below(3)).unwrap_or(0);
            let service = u8::try_from(rng.below(2)).unwrap_or(0);
            let what = match rng.below(8) {
                0 => Want::Deregister { node, service },
                1 => Want::DeregisterNode { node },
                _ => Want::Register { node, service, passing: rng.chance(1, 2) },
            };
            told.client(node, rng.index(told.servers()), millis(0), what);
            told.sleep(millis(rng.between(20, 200))).await;
        }
        Ok(())
    });
}
