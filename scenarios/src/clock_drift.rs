//! Every clock runs at its own rate, within the bound the lease allows for, while wall clocks jump
//! by hours and processes stand still for longer than an election takes (tikv/tikv#964, etcd#6005).
//! Leaders are replaced behind their own backs again and again. Default reads rest on the lease
//! alone, and they must be as fresh as consistent ones: nothing older than what anyone was told
//! before the read began.

use crate::steps::draws;
use proconsul_sim::{
    Action, Capability, Freshness, Options, Rng, Scenario, Story, Target, Told, Want, World,
    millis, secs,
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "clock_drift",
    doc: "Clocks drift within the bound of the lease, wall clocks jump, leaders stand still. \
          Default and consistent reads stay linearizable. Catches LeaseIgnored, LeaseFromReceipt, \
          ReadWithoutQuorum, FollowerServesDefault.",
    needs: &[Capability::Clock, Capability::Pause, Capability::Cuts, Capability::Workload],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        latency_max: if seed % 3 == 0 { 30_000 } else { 2_000 },
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "clock_drift");
    world.leader().await?;
    world.workload(secs(10));
    for round in 0..6_u32 {
        bend(&world, &mut rng);
        let old = world.leader().await?;
        reads_at(&world, &mut rng, old);
        world.sleep(millis(rng.between(100, 700))).await;
        let span = millis(rng.between(150, 1_300));
        if rng.chance(1, 2) {
            world.pause(old, span);
        } else {
            world.isolate_for(old, span);
        }
        world.sleep(span + millis(rng.between(0, 30))).await;
        // A write that someone was told of, then a default read at whoever led before.
        let value = round.to_string();
        world.put_eventually("drift", &value).await?;
        let read = world.kv_get(old, "drift", Freshness::Default).await;
        let text = format!("a default read at s{old} after write {value} answered {read:?}");
        world.expect(read.as_ref().is_err() || read == Ok(Some(value)), &text)?;
    }
    world.heal();
    world.converge_within(secs(5)).await
}

/// New rates for all clocks, within the lease's margin, and a jump of one wall clock.
fn bend(world: &World, rng: &mut Rng) {
    for server in 0..world.servers() {
        let who = Target::Server(u8::try_from(server).unwrap_or(0));
        let rate = u32::try_from(rng.between(900_000, 1_100_000)).unwrap_or(1_000_000);
        world.act(Action::ClockRate { who, rate, span: 0 });
    }
    let hours = [-36_000_000, -1_000, 1_000, 36_000_000][rng.index(4)];
    world.act(Action::WallJump { who: Target::Leader, by_ms: hours });
}

/// Writes everywhere and reads at one server, for a good second.
fn reads_at(world: &World, rng: &mut Rng, server: usize) {
    for number in 0..30_u64 {
        let key = u8::try_from(rng.below(3)).unwrap_or(0);
        let client = u8::try_from(rng.below(4)).unwrap_or(0);
        let after = millis(number * 50);
        world.client(client, server, after, Want::Get { key, fresh: Freshness::Default });
        let elsewhere = rng.index(world.servers());
        world.client(client, elsewhere, after + millis(20), Want::Put { key });
    }
}
