//! Raft's Figure 8, by hand (logcabin/logcabin#44). A leader puts an entry on one follower only;
//! another server leads for a moment and puts its own entry at the same place, on itself only; then
//! the first entry is copied to a majority by a leader of a newer term, which gets nothing of its
//! own through. Counting those copies as a commit is the bug: the second leader returns, wins with
//! its newer term, and overwrites. Whatever was committed must stay, and an acknowledged write must
//! be there at the end.

use crate::steps::draws;
use proconsul_sim::{
    Action, Capability, Freshness, Mark, Options, Scenario, Story, Target, Told, Trip, World,
    millis, secs,
};
use std::cell::Cell;
use std::rc::Rc;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "figure_eight",
    doc: "Raft's Figure 8 by hand: an old term's entry on a majority, then a leader without it. \
          What is committed stays, what is acknowledged is there. Catches CommitOldTerm.",
    needs: &[Capability::Cuts, Capability::Trips],
    options: |_seed| Options {
        servers: 5,
        hostile: true,
        append_entries_max: 1,
        inflight_messages_max: 1,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "figure_eight");
    let first = world.leader().await?;
    world.put_eventually("story", "before").await?;
    world.sleep(millis(400)).await;
    let others = world.followers();
    let [second, third, fourth, fifth] = others[..] else {
        return world.expect(false, "one of five servers leads and four follow");
    };
    // (a) An entry on the leader and one follower.
    world.act(Action::Split { side: 1 << first | 1 << second, span: 1_800_000 });
    let acked = Rc::new(Cell::new(false));
    let (told, heard) = (world.clone(), Rc::clone(&acked));
    world.aside(async move {
        heard.set(told.kv_put(first, "eight", "old").await);
        Ok(())
    });
    // (b) Another leads and is alone at once, with its first entry. Who it is, nobody knows before.
    world.trip(on(None, Mark::Leader, 1), Action::Isolate { who: Target::Actor, span: 0 });
    let newer = world.leader_other_than(first).await?;
    world.sleep(millis(200)).await;
    let rest: Vec<usize> =
        [third, fourth, fifth].into_iter().filter(|server| *server != newer).collect();
    let &[copy, blank] = rest.as_slice() else {
        return world.expect(false, "one of the three without the old entry leads");
    };
    world.isolate(blank);
    // (c) One of the two with the old entry leads again; a third server gets that entry, then hears
    // nothing more from the leader.
    let nth = u32::try_from(rng.between(1, 3)).unwrap_or(1);
    let to = Target::Server(u8::try_from(copy).unwrap_or(0));
    let cut = Action::Cut { from: Target::Leader, to, span: 0 };
    world.trip(on(u8::try_from(copy).ok(), Mark::AppendAcked, nth), cut);
    let end = world.now() + secs(5);
    while world.leader_now().is_none_or(|it| it != first && it != second) && world.now() < end {
        world.sleep(millis(10)).await;
    }
    world.sleep(millis(rng.between(150, 500))).await;
    // (d) The newer leader returns among those that lack the entry, or have only it.
    world.heal();
    world.isolate(first);
    world.isolate(second);
    let end = world.now() + secs(6);
    while world.leader_now().is_none_or(|it| it == first || it == second) && world.now() < end {
        world.sleep(millis(20)).await;
    }
    world.expect(world.now() < end, "the three others elect a leader")?;
    world.put_eventually("story", "after").await?;
    world.heal();
    world.converge_within(secs(5)).await?;
    let read = world.kv_get(newer, "eight", Freshness::Consistent).await;
    let kept = !acked.get() || read == Ok(Some("old".into()));
    world.expect(kept, "an acknowledged write is there")
}

fn on(server: Option<u8>, event: Mark, nth: u32) -> Trip {
    Trip { server, event, nth, middle: false, after: 0 }
}
