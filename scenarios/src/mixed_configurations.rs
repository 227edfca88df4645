//! Every server has timeouts and limits of its own, as in the middle of a change of configuration
//! that went halfway: one stands for election four times as fast as another and sends heartbeats
//! more rarely, one sends single entries where another sends megabytes, keeps a log many times as
//! long, and refuses values that its neighbour takes. Nothing may assume that all are alike:
//! leases respect the shortest timeout of the group, a quiet group keeps its leader, and after
//! each fault a leader comes back within the longest timeout.

use crate::asks;
use crate::steps::{draws, newest_term, readers_and_writers};
use proconsul_sim::{
    Capability, Freshness, Limits, Options, Rng, Scenario, Seed, Story, Told, Want, World, millis,
    secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "mixed_configurations",
    doc: "Servers with different timeouts and limits in one group. Reads stay fresh, a quiet group keeps its \
          leader, and a lost leader is replaced within the longest timeout. Catches LeaseIgnored, \
          ReadWithoutQuorum, FollowerServesDefault.",
    needs: &[Capability::Process, Capability::Pause, Capability::Cuts, Capability::Workload],
    options: |seed| {
        let mut rng = Rng::new(Seed(seed)).split("mixed_configurations");
        let servers = 3 + 2 * u8::from(seed % 2 == 0);
        let timing = (0..servers)
            .map(|_| {
                let shortest = rng.between(300, 1_200) * 1_000;
                [rng.between(40, 90) * 1_000, shortest, shortest + rng.between(200, 600) * 1_000]
            })
            .collect();
        let mut options = Options { servers, timing, ..Options::default() };
        options.limits = (0..servers).map(|_| Limits::draw(&mut rng, &options)).collect();
        options.keep_pace();
        Options { patience: 1_000_000, bound: 8_000_000, ..options }
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "mixed_configurations");
    world.leader().await?;
    readers_and_writers(&world, secs(16));
    for number in 0..24_u8 {
        let (after, server) = (millis(u64::from(number) * 500), usize::from(number));
        let what = Want::Fill { key: number % 4 };
        world.client(0, server % world.servers(), after, what);
    }
    // Slower ones may have stood for election already when the first was elected.
    world.sleep(secs(3)).await;
    let (leader, term) = (world.leader().await?, newest_term(&world));
    world.sleep(secs(3)).await;
    let same = world.leader_now() == Some(leader) && newest_term(&world) == term;
    world.expect(same, "a quiet group keeps its leader")?;
    for round in 0..5 {
        let old = world.leader().await?;
        let span = millis(rng.between(500, 2_500));
        match rng.index(3) {
            0 => world.crash_for(old, span),
            1 => world.isolate_for(old, span),
            _ => world.pause(old, span),
        }
        let value = format!("{round}");
        world.sleep(millis(rng.between(0, 900))).await;
        world.put_eventually("mixed", &value).await?;
        let read = world.kv_get(old, "mixed", Freshness::Default).await;
        let text = format!("a default read at s{old} after write {value} answered {read:?}");
        world.expect(read.is_err() || read == Ok(Some(value.clone())), &text)?;
        asks::reads_as(&world, "mixed", &value).await?;
        world.sleep(millis(rng.between(0, 600))).await;
    }
    world.heal();
    world.converge_within(secs(8)).await
}
