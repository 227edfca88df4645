//! Rows 10 to 15: events and queries.

use super::join::{another, pair, pair_with};
use crate::agents::Serf;
use crate::place::{Outcome, Place, ensure, pause, secs, until};
use crate::raw::Voice;
use crate::subject::{Options, Subject};
use bytes::Bytes;
use proconsul_core::gossip::{Event, Input};
use proconsul_core::types::MemberStatus;
use proconsul_core::wire::memberlist::Message;
use proconsul_core::wire::serf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) async fn in_(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    let said = real.ask(&["event", "deploy", "v1"]).await;
    ensure(said.contains("dispatched"), || said.clone())?;
    let wanted = |event: &Event| matches!(event, Event::User { name, payload, .. } if &**name == "deploy" && payload == "v1");
    ours.hears("the event", 5, |event| wanted(event).then_some(())).await?;
    // Long enough for every retransmission and a second round.
    pause(3000).await;
    let times = ours.count(wanted);
    ensure(times == 1, || format!("told {times} times"))
}

pub(super) async fn out(place: Place) -> Outcome {
    let file = place.path("payload");
    let handler = format!("user=cat > {}", file.display());
    let options = Options::serf(&place, "p1", 9);
    let (_real, ours) = pair_with(&place, &["-event-handler", &handler], options).await?;
    ours.tell(Input::Fire {
        name: "e".into(),
        payload: Bytes::from_static(b"what it carries"),
        coalesce: false,
    });
    until(secs(10), || async {
        let got = std::fs::read_to_string(&file).unwrap_or_default();
        ensure(got.trim_end() == "what it carries", || format!("the file holds {got:?}"))
    })
    .await
    .map(|_| ())
}

/// Lets `ours` answer every query that comes, for as long as it is polled.
async fn answer(ours: &Subject, text: &'static [u8]) -> Outcome {
    let mut seen = 0;
    loop {
        let told = ours.told();
        for (_, event) in &told[seen..] {
            if let Event::Query { id, .. } = event {
                ours.tell(Input::Respond(*id, Bytes::from_static(text)));
            }
        }
        seen = told.len();
        pause(20).await;
    }
}

/// What the query printed, while `ours` answers.
async fn asked(real: &Serf, ours: &Subject, words: &[&str]) -> String {
    tokio::select! {
        said = real.ask(words) => said,
        never = answer(ours, b"an answer") => format!("{never:?}"),
    }
}

pub(super) async fn queries_in(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    let said = asked(&real, &ours, &["query", "-node", "p1", "hello"]).await;
    for wanted in
        ["Response from 'p1': an answer", "Ack from 'p1'", "Total Acks: 1", "Total Responses: 1"]
    {
        ensure(said.contains(wanted), || format!("no {wanted:?} in:\n{said}"))?;
    }
    let times = ours.count(|event| {
        matches!(event, Event::Query { name, source, .. } if &**name == "hello" && &**source == "s1")
    });
    ensure(times == 1, || format!("the query was told {times} times"))
}

pub(super) async fn filters(place: Place) -> Outcome {
    let relays = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&relays);
    let mut options = Options::serf(&place, "p1", 9);
    options.tap = Some(Arc::new(move |_, bytes: &[u8]| {
        if bytes.starts_with(&[8, 9]) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        true
    }));
    let (s1, ours) = pair_with(&place, &[], options).await?;
    let s2 = another(&place, &s1, "s2", 3, &["-tag", "role=x"]).await?;
    until(secs(5), || ours.holds("s2", MemberStatus::Alive)).await?;
    // Two match (us and s2), s1 does not; a relay goes to one of the two others by chance: in one
    // of a million runs never to us.
    let mut rounds = 0;
    while rounds < 2 || (relays.load(Ordering::Relaxed) == 0 && rounds < 20) {
        rounds += 1;
        let words = ["query", "-tag", "role=x", "-relay-factor", "1", "load"];
        let said = asked(&s1, &ours, &words).await;
        for wanted in ["Ack from 'p1'", "Ack from 's2'", "Total Acks: 2"] {
            ensure(said.contains(wanted), || format!("no {wanted:?} in:\n{said}"))?;
        }
        ensure(!said.contains("Ack from 's1'"), || said.clone())?;
    }
    ensure(relays.load(Ordering::Relaxed) > 0, || "no relay came to us".to_owned())?;
    // What is given to us to pass on arrives unchanged.
    let voice = Voice::at(place.ip(20)).await?;
    let inner = Bytes::from_static(&[5, 0x80]);
    let relay = serf::Relay { name: "v".into(), to: voice.address()?, message: inner.clone() };
    let message = Message::User(serf::Message::Relay(relay).to_bytes());
    voice.say(ours.address(), &message.to_bytes()).await?;
    let passed = voice.hear(3).await?;
    ensure(passed == [&[8], &inner[..]].concat(), || format!("passed on: {passed:?}"))?;
    s2.lists("p1", "alive").await
}

pub(super) async fn reachability(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    let said = asked(&real, &ours, &["reachability"]).await;
    ensure(said.contains("Successfully contacted all live nodes"), || said.clone())?;
    let shown = ours.count(|event| matches!(event, Event::Query { .. }));
    ensure(shown == 0, || "an internal query was told".to_owned())
}

pub(super) async fn queries_out(place: Place) -> Outcome {
    let options = Options::serf(&place, "p1", 9);
    let (_real, ours) = pair_with(&place, &["-event-handler", "query=echo hi"], options).await?;
    let asked = ours.query("uptime");
    ours.hears("an ack of s1", 10, |event| {
        matches!(event, Event::Acked(of, who) if *of == asked && &**who == "s1").then_some(())
    })
    .await?;
    let (_, payload) = ours
        .hears("an answer of s1", 10, |event| {
            let Event::Response(of, who, payload) = event else {
                return None;
            };
            (*of == asked && &**who == "s1").then(|| payload.clone())
        })
        .await?;
    ensure(payload == "hi\n", || format!("it answered {payload:?}"))?;
    ours.hears("the end of the query", 10, |event| {
        matches!(event, Event::QueryDone(of) if *of == asked).then_some(())
    })
    .await
    .map(|_| ())
}
