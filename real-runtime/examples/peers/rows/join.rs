//! Rows 6 to 9, 16, 29: meeting, staying, names and tags.

use crate::agents::Serf;
use crate::place::{LOOK, Outcome, Place, ensure, pause, secs, throughout, until};
use crate::subject::{Options, PORT, Subject, text_map};
use proconsul_core::gossip::{Event, Input};
use proconsul_core::types::MemberStatus;

/// One real agent `s1` and us as `p1`, met.
pub(super) async fn pair(place: &Place) -> Outcome<(Serf, Subject)> {
    pair_with(place, &[], Options::serf(place, "p1", 9)).await
}

/// The same, both as the row wants them.
pub(super) async fn pair_with(
    place: &Place,
    more: &[&str],
    options: Options,
) -> Outcome<(Serf, Subject)> {
    let real = Serf::start(place, "s1", 2, more).await?;
    let ours = Subject::start(options).await?;
    ours.join(real.address).await?;
    until(secs(5), || real.lists("p1", "alive")).await?;
    until(secs(5), || ours.holds("s1", MemberStatus::Alive)).await?;
    Ok((real, ours))
}

/// Another real agent that joined through `first`.
pub(super) async fn another(
    place: &Place,
    first: &Serf,
    name: &str,
    host: u8,
    more: &[&str],
) -> Outcome<Serf> {
    let address = first.address.to_string();
    let mut arguments = vec!["-join", &address];
    arguments.extend_from_slice(more);
    let real = Serf::start(place, name, host, &arguments).await?;
    until(secs(10), || first.lists(name, "alive")).await?;
    Ok(real)
}

pub(super) async fn we_join(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    let line = real.line("p1").await;
    let wanted = (ours.address().to_string(), "alive".to_owned(), "role=x".to_owned());
    ensure(line.as_ref() == Some(&wanted), || format!("{line:?}, not {wanted:?}"))
}

pub(super) async fn stays_alive(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    throughout(secs(60), secs(5), || async {
        real.lists("p1", "alive").await?;
        ours.holds("s1", MemberStatus::Alive).await
    })
    .await?;
    let log = real.process.log();
    for bad in ["Failed ping", "Failed UDP ping", "Suspect", "EventMemberFailed", "[ERR]"] {
        ensure(!log.contains(bad), || format!("its log has {bad:?}:\n{log}"))?;
    }
    ensure(ours.count(|event| matches!(event, Event::Suspected(_))) == 0, || {
        "we suspected someone".to_owned()
    })
}

pub(super) async fn joins_us(place: Place) -> Outcome {
    let real = Serf::start(&place, "s1", 2, &[]).await?;
    let ours = Subject::start(Options::serf(&place, "p1", 9)).await?;
    let said = real.ask(&["join", &ours.address().to_string()]).await;
    ensure(said.contains("Successfully joined cluster by contacting 1 nodes."), || said.clone())?;
    until(secs(5), || real.lists("p1", "alive")).await?;
    until(secs(5), || ours.holds("s1", MemberStatus::Alive)).await?;
    let (size, shown) = (ours.size().await?, real.ask(&["members"]).await);
    ensure(size == 2 && shown.lines().count() == 2, || format!("{size} here, there:\n{shown}"))
}

pub(super) async fn coordinates(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    until(secs(15), || async {
        let said = real.ask(&["rtt", "s1", "p1"]).await;
        let held = said.starts_with("Estimated s1 <-> p1 rtt: ") && said.trim().ends_with("ms");
        ensure(held, || said)
    })
    .await?;
    let known = ours.look(|gossip| gossip.coordinate_of("s1").is_some()).await?;
    ensure(known, || "we do not know where s1 is".to_owned())
}

pub(super) async fn tags(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    ours.tell(Input::Tags(text_map(&[("role", "y")])));
    until(secs(2) + LOOK, || async {
        let line = real.line("p1").await;
        let held = line.as_ref().is_some_and(|(_, _, tags)| tags == "role=y");
        ensure(held, || format!("it shows {line:?}"))
    })
    .await?;
    let said = real.ask(&["tags", "-set", "a=b"]).await;
    ensure(said.contains("Successfully updated"), || said.clone())?;
    until(secs(2) + LOOK, || async {
        let tags =
            ours.look(|gossip| gossip.member("s1").map(|member| member.tags.clone())).await?;
        let held = tags.as_ref().and_then(|tags| tags.get("a")).is_some_and(|tag| &**tag == "b");
        ensure(held, || format!("we hold {tags:?}"))
    })
    .await?;
    real.lists("p1", "alive").await
}

pub(super) async fn conflict(place: Place) -> Outcome {
    let s1 = Serf::start(&place, "s1", 2, &[]).await?;
    let s2 = another(&place, &s1, "s2", 3, &[]).await?;
    // One that abides by the vote.
    let abiding = Subject::start(Options::serf(&place, "s1", 9)).await?;
    drop(abiding.join(s1.address).await);
    abiding.hears("LostName", 20, |event| matches!(event, Event::LostName).then_some(())).await?;
    pause(500).await;
    ensure(abiding.has_stopped(), || "it goes on".to_owned())?;
    let log = s1.process.log();
    ensure(log.to_lowercase().contains("conflicting address for s1"), || log.clone())?;
    // One that does not ask: it stays alone with itself.
    let mut stubborn = Options::serf(&place, "s1", 10);
    stubborn.config.resolve_conflicts = false;
    let stubborn = Subject::start(stubborn).await?;
    drop(stubborn.join(s1.address).await);
    throughout(secs(6), secs(1), || async {
        for real in [&s1, &s2] {
            let line = real.line("s1").await;
            let held = line.as_ref().is_some_and(|(address, status, _)| {
                *address == s1.address.to_string() && status == "alive"
            });
            ensure(held, || format!("s1 is shown as {line:?}"))?;
        }
        Ok(())
    })
    .await?;
    let own = stubborn.look(|gossip| gossip.local().address).await?;
    ensure(own == place.at(10, PORT), || format!("it believes to be at {own}"))
}
