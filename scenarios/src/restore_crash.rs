//! An operator restores a saved snapshot and the leader crashes, is cut off or stops for a while on
//! the way. A restore is many commands of the log: whoever leads next has some of them, and nobody
//! who brings the rest. Either everything is as it was saved or nothing is, on every server.

use crate::asks::{self, text};
use crate::steps::draws;
use proconsul_sim::{
    Bytes, Capability, Method, Options, Request, Scenario, Story, Told, World, millis, secs,
};
use std::cell::Cell;
use std::rc::Rc;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "restore_crash",
    doc: "A saved snapshot is restored while the leader crashes, is cut off or pauses. All of it is \
          in force afterwards, or nothing. Catches RestoreLeftHalfDone.",
    needs: &[Capability::Process, Capability::Pause, Capability::Cuts],
    options: |seed| Options {
        servers: 3 + 2 * u8::from(seed % 2 == 0),
        snapshot_log_bytes: if seed % 3 == 0 { 64 * 1024 } else { 4_000 },
        segment_bytes: 8 * 1024,
        trailing_bytes: 2_000,
        patience: 12_000_000,
        ..Options::default()
    },
    story: |world| -> Story { Box::pin(story(world)) },
};

const PAGES: usize = 30;
/// As `/v1/kv` shows the first bytes of a page.
const SAVED: &str = "\"Value\":\"c2F2ZWQ";
const LATER: &str = "\"Value\":\"bGF0ZXI";

async fn story(world: World) -> Told {
    let mut rng = draws(&world, "restore_crash");
    write_pages(&world, "saved").await?;
    let leader = world.leader().await?;
    let saved = asks::ask(&world, leader, Method::Get, "/v1/snapshot", "").await;
    let Some(saved) = saved.filter(|answer| answer.status == 200) else {
        return world.expect(false, "a leader saves a snapshot");
    };
    let state = Bytes::from(saved.body.to_vec());
    for _ in 0..3 {
        write_pages(&world, "later").await?;
        let leader = world.leader().await?;
        let done = Rc::new(Cell::new(None));
        let (told, state, answer) = (world.clone(), state.clone(), Rc::clone(&done));
        world.aside(async move {
            let request = Request::new(Method::Put, "/v1/snapshot", state);
            let answered = told.http(leader, request).await;
            answer.set(Some(answered.is_ok_and(|answer| answer.status == 200)));
            Ok(())
        });
        world.sleep(millis(rng.between(1, 80))).await;
        let span = millis(rng.between(300, 900));
        match rng.index(3) {
            0 => world.crash_for(leader, span),
            1 => world.isolate_for(leader, span),
            _ => world.pause(leader, span),
        }
        world.until(secs(14), "a restore ends", |_| done.get().is_some()).await?;
        let (saved, later) = pages(&world).await?;
        let is_whole = [(PAGES, 0), (0, PAGES)].contains(&(saved, later));
        let told = format!("a restore is all or nothing: {saved} pages saved, {later} later");
        world.expect(is_whole, &told)?;
        let is_kept = done.get() != Some(true) || saved == PAGES;
        world.expect(is_kept, "a restore that was answered is in force")?;
    }
    world.converge_within(secs(5)).await
}

async fn write_pages(world: &World, word: &str) -> Told {
    let filler = "x".repeat(300);
    for page in 0..PAGES {
        world.put_eventually(&format!("page/{page}"), &format!("{word} {filler}")).await?;
    }
    Ok(())
}

/// How many pages are as they were saved, and as they were written later.
async fn pages(world: &World) -> Result<(usize, usize), proconsul_sim::Broken> {
    for number in 0..60 {
        let server = number % world.servers();
        let target = "/v1/kv/page?recurse&consistent";
        if let Some(answer) = asks::ask(world, server, Method::Get, target, "").await
            && answer.status == 200
        {
            let shown = text(&answer);
            return Ok((shown.matches(SAVED).count(), shown.matches(LATER).count()));
        }
        world.sleep(millis(100)).await;
    }
    world.expect(false, "somebody shows the pages")?;
    Ok((0, 0))
}
