//! Rows 17, 18, 23, 31: leaving, being made to, and coming back.

use super::join::{another, pair};
use crate::agents::Serf;
use crate::place::{Outcome, Place, ensure, pause, secs, text, throughout, until};
use crate::subject::{Options, Subject};
use bytes::Bytes;
use proconsul_core::gossip::{Event, Input};
use proconsul_core::types::MemberStatus;
use std::fs;

pub(super) async fn ours(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    ours.tell(Input::Leave);
    until(secs(5), || real.lists("p1", "left")).await?;
    ours.hears("LeftPool", 10, |event| matches!(event, Event::LeftPool).then_some(())).await?;
    pause(1500).await;
    real.lists("p1", "left").await?;
    let log = real.process.log();
    ensure(!log.contains("EventMemberFailed"), || log.clone())
}

pub(super) async fn theirs(place: Place) -> Outcome {
    let (s1, ours) = pair(&place).await?;
    let s3 = another(&place, &s1, "s3", 4, &[]).await?;
    until(secs(5), || ours.holds("s3", MemberStatus::Alive)).await?;
    let said = s3.ask(&["leave"]).await;
    ensure(said.contains("Graceful leave complete"), || said.clone())?;
    until(secs(5), || ours.holds("s3", MemberStatus::Left)).await?;
    pause(2000).await;
    ours.holds("s3", MemberStatus::Left).await?;
    let failed = ours.count(|event| matches!(event, Event::Failed(who) if &*who.name == "s3"));
    ensure(failed == 0, || "we were told that it failed".to_owned())
}

pub(super) async fn forced(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    // Whoever forces another out tells it only if someone else is alive as well.
    let third = another(&place, &real, "s3", 4, &[]).await?;
    until(secs(5), || third.lists("p1", "alive")).await?;
    // Of the living: it says that it is still here.
    let said = real.ask(&["force-leave", "p1"]).await;
    ensure(!said.contains("rror"), || said.clone())?;
    pause(1500).await;
    until(secs(5), || real.lists("p1", "alive")).await?;
    throughout(secs(3), secs(1), || real.lists("p1", "alive")).await?;
    // Of the dead.
    drop(ours);
    until(secs(12), || real.lists("p1", "failed")).await?;
    let said = real.ask(&["force-leave", "p1"]).await;
    ensure(!said.contains("rror"), || said.clone())?;
    until(secs(5), || real.lists("p1", "left")).await.map(|_| ())
}

pub(super) async fn snapshot(place: Place) -> Outcome {
    let folder = place.path("files");
    fs::create_dir_all(&folder).map_err(text)?;
    let options = || {
        let mut options = Options::serf(&place, "p1", 9);
        options.files = Some(folder.clone());
        options
    };
    let s1 = Serf::start(&place, "s1", 2, &[]).await?;
    let first = Subject::start(options()).await?;
    first.join(s1.address).await?;
    s1.ask(&["event", "old", "1"]).await;
    let is_old = |event: &Event| matches!(event, Event::User { name, .. } if &**name == "old");
    first.hears("the event", 5, |event| is_old(event).then_some(())).await?;
    first.tell(Input::Fire { name: "own".into(), payload: Bytes::new(), coalesce: false });
    pause(1500).await;
    let before = first.look(|gossip| gossip.status().clocks).await?;
    drop(first);
    pause(300).await;
    // Stopped without leaving: it finds its pool again by itself.
    let second = Subject::start(options()).await?;
    until(secs(10), || second.holds("s1", MemberStatus::Alive)).await?;
    until(secs(10), || s1.lists("p1", "alive")).await?;
    pause(1500).await;
    let after = second.look(|gossip| gossip.status().clocks).await?;
    ensure(after.member >= before.member && after.event >= before.event, || {
        format!("clocks went back: {before:?}, then {after:?}")
    })?;
    let events = second.count(|event| matches!(event, Event::User { .. }));
    ensure(events == 0, || format!("{events} old events were told again"))?;
    // The real agent reads our file ...
    drop(second);
    pause(300).await;
    let ours = folder.join("local.snapshot");
    let copy = place.path("theirs.snapshot");
    fs::copy(&ours, &copy).map_err(text)?;
    let file = copy.display().to_string();
    let s2 = Serf::start(&place, "s2", 3, &["-snapshot", &file]).await?;
    until(secs(10), || s2.lists("s1", "alive")).await?;
    // ... and we read its.
    pause(1500).await;
    let mut s2 = s2;
    s2.process.kill().await?;
    fs::copy(&copy, &ours).map_err(text)?;
    let third = Subject::start(options()).await?;
    until(secs(10), || third.holds("s1", MemberStatus::Alive)).await?;
    until(secs(10), || s1.lists("p1", "alive")).await.map(|_| ())
}
