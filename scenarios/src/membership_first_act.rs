//! Four servers; a leader that is cut off removes one server, and the next leader removes the old
//! one as its first act, before the fourth server heard of its term: the flaw of the first
//! published single-server change (Hoverbear/old-raft-rs#41). If either change took hold before an
//! entry of the leader's own term was committed, two majorities without a common server would
//! exist. Both halves then ask for writes: at most one may acknowledge any, and all histories are
//! one.

use crate::asks;
use crate::steps::draws;
use proconsul_sim::{
    Action, Broken, Capability, Mark, Options, Rng, Scenario, Story, Target, Told, Trip, World,
    millis, secs,
};
use std::cell::Cell;
use std::rc::Rc;

/// The server that the second leader does not reach; it is slow to stand for election.
const FOURTH: usize = 3;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "membership_first_act",
    doc: "Two leaders in a row change the membership as their first act, cut off from each other. \
          Two halves never both acknowledge writes. Catches MembershipBeforeOwnCommit.",
    needs: &[Capability::Cuts, Capability::Trips],
    options: |_seed| Options {
        servers: 4,
        hostile: true,
        patience: 1_500_000,
        timing: vec![
            [80_000, 300_000, 600_000],
            [80_000, 300_000, 600_000],
            [80_000, 300_000, 600_000],
            [80_000, 900_000, 1_400_000],
        ],
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

/// So often the fourth server may be the next to lead.
const ATTEMPTS: u32 = 12;

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "membership_first_act");
    world.put_eventually("story", "before").await?;
    let mut leaders = None;
    for _ in 0..ATTEMPTS {
        leaders = two_leaders(&world, &mut rng).await?;
        if leaders.is_some() {
            break;
        }
    }
    let Some((first, second)) = leaders else {
        return world.expect(false, "two of the three who reach each other lead in a row");
    };
    let told = world.clone();
    let removed = Rc::new(Cell::new(None));
    let heard = Rc::clone(&removed);
    world.aside(async move {
        heard.set(Some(asks::remove(&told, second, first).await));
        Ok(())
    });
    world.sleep(millis(rng.between(20, 500))).await;
    // Now the old leader meets the fourth server, and the two others are with the new one.
    world.heal();
    world.split(&[first, FOURTH]);
    world.sleep(secs(2)).await;
    let one = world.kv_put(first, "half", "one").await;
    let other = world.kv_put(second, "half", "other").await;
    world.expect(!(one && other), "two halves do not both acknowledge writes")?;
    let refused = removed.get() == Some(false);
    world.expect(refused, "a leader that reaches one of three others removes nobody")?;
    world.heal();
    world.put_eventually("half", "whole").await?;
    asks::reads_as(&world, "half", "whole").await?;
    asks::reads_as(&world, "story", "before").await
}

/// A leader is cut off while it removes a server, and another follows that does not reach the
/// fourth. `None` if the fourth leads, first or then: all is whole again.
async fn two_leaders(world: &World, rng: &mut Rng) -> Result<Option<(usize, usize)>, Broken> {
    let first = world.leader().await?;
    if first == FOURTH {
        world.isolate_for(first, secs(2));
        world.leader_other_than(FOURTH).await?;
        world.sleep(secs(2)).await;
        return Ok(None);
    }
    let rest: Vec<usize> = (0..FOURTH).filter(|server| *server != first).collect();
    let victim = rest[rng.index(rest.len())];
    // The next leader and the fourth server do not hear each other from the moment it leads: a host
    // that cuts only after its first words were sent (madsim's) must not bring an answer to them.
    let trip = Trip { server: None, event: Mark::Leader, nth: 1, middle: false, after: 0 };
    let fourth = Target::Server(u8::try_from(FOURTH).unwrap_or(0));
    world.trip(trip, Action::Cut { from: Target::Actor, to: fourth, span: 0 });
    world.trip(trip, Action::Cut { from: fourth, to: Target::Actor, span: 0 });
    world.isolate(first);
    let told = world.clone();
    world.aside(async move {
        let done = asks::remove(&told, first, victim).await;
        told.expect(!done, "a leader that reaches nobody changes nothing")
    });
    let second = world.leader_other_than(first).await?;
    if second != FOURTH {
        return Ok(Some((first, second)));
    }
    // Not before the client that asked the first leader has given up.
    world.sleep(secs(2)).await;
    world.heal();
    world.sleep(secs(1)).await;
    Ok(None)
}
