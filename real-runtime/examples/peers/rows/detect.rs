//! Rows 19 to 22, 24, 25: the dead, the deaf and the falsely accused.

use super::join::{another, pair, pair_with};
use crate::agents::Serf;
use crate::place::{LOOK, Outcome, Place, ensure, pause, secs, text, throughout, until};
use crate::raw::{Voice, held_by};
use crate::subject::{Options, Subject};
use proconsul::pool::bare::Tap;
use proconsul_core::gossip::{Event, Gossip};
use proconsul_core::types::{Incarnation, Liveness, MemberStatus};
use proconsul_core::wire::crypto::Keyring;
use proconsul_core::wire::memberlist::{IndirectPing, Message};
use proconsul_core::wire::packet::open;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The time between two probes.
const INTERVAL: Duration = secs(1);
/// What processes of a busy machine may be late.
const SLACK: Duration = secs(1);
/// How a real member says that only a stream reached another: `name` follows.
const BY_STREAM: &str = "Was able to connect to ";

/// The longest between two probes of one among `others`: each round of probes has an order of its
/// own, so the first of one may be the last of the next.
const fn unprobed_max(others: u64) -> Duration {
    secs(2 * others - 1)
}

pub(super) async fn crash_of_real(place: Place) -> Outcome {
    let (s1, ours) = pair(&place).await?;
    let mut s3 = another(&place, &s1, "s3", 4, &[]).await?;
    until(secs(5), || ours.holds("s3", MemberStatus::Alive)).await?;
    pause(2000).await;
    s3.process.kill().await?;
    let killed = Instant::now();
    let (suspected, ()) = ours
        .hears("suspicion of s3", 12, |event| {
            matches!(event, Event::Suspected(who) if &**who == "s3").then_some(())
        })
        .await?;
    let (failed, ()) = ours
        .hears("failure of s3", 12, |event| {
            matches!(event, Event::Failed(who) if &*who.name == "s3").then_some(())
        })
        .await?;
    until(secs(2) + LOOK, || s1.lists("s3", "failed")).await?;
    let (to_suspect, to_fail) = (suspected - killed, failed - suspected);
    // It dies just after it was probed; the next probe of it lasts as long as our health demands.
    let health = u64::from(ours.look(Gossip::health_score).await?);
    let bound = unprobed_max(2) + INTERVAL * u32::try_from(health + 1).map_err(text)? + SLACK;
    ensure(to_suspect <= bound, || {
        format!("suspected only after {to_suspect:?}, not within {bound:?} at health {health}")
    })?;
    ensure(to_fail >= secs(3) && to_fail <= secs(4) + SLACK, || {
        format!("{to_fail:?} from suspicion to failure")
    })
}

pub(super) async fn crash_of_ours(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    drop(ours);
    until(secs(10), || real.lists("p1", "failed")).await.map(|_| ())
}

pub(super) async fn restart(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    // Gone and back before anyone noticed.
    drop(ours);
    pause(200).await;
    let again = Subject::start(Options::serf(&place, "p1", 9)).await?;
    again.join(real.address).await?;
    throughout(secs(3), secs(1), || real.lists("p1", "alive")).await?;
    // Back after it was found dead.
    drop(again);
    until(secs(12), || real.lists("p1", "failed")).await?;
    let dead = held_by(real.address, "p1").await?;
    let third = Subject::start(Options::serf(&place, "p1", 9)).await?;
    third.join(real.address).await?;
    until(secs(2) + LOOK, || real.lists("p1", "alive")).await?;
    let alive = held_by(real.address, "p1").await?;
    let raised = match (dead, alive) {
        (Some((dead, Liveness::Dead)), Some((now, Liveness::Alive))) => now > dead,
        _ => false,
    };
    ensure(raised, || format!("{dead:?} when dead, {alive:?} when back"))
}

/// What `at` holds of `name`: it must be alive.
async fn alive_at(at: SocketAddr, name: &str) -> Outcome<Incarnation> {
    match held_by(at, name).await? {
        Some((incarnation, Liveness::Alive)) => Ok(incarnation),
        other => Err(format!("{name} is {other:?}")),
    }
}

pub(super) async fn refutation(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    let voice = Voice::at(place.ip(20)).await?;
    for (round, (accused, to_ours, deadly)) in [
        ("p1", true, false),
        ("p1", true, true),
        ("p1", false, false),
        ("s1", false, false),
        ("s1", false, true),
        ("s1", true, false),
    ]
    .into_iter()
    .enumerate()
    {
        let to = if to_ours { ours.address() } else { real.address };
        let own = if accused == "p1" { ours.address() } else { real.address };
        let before = alive_at(own, accused).await?;
        if deadly {
            voice.dead(to, accused, "someone", before).await?;
        } else {
            voice.suspect(to, accused, "someone", before).await?;
        }
        for at in [real.address, ours.address()] {
            until(secs(4), || async {
                let now = alive_at(at, accused).await?;
                ensure(now > before, || {
                    format!("round {round}: {accused} at {at} still has {now:?}")
                })
            })
            .await?;
            real.lists("p1", "alive").await?;
        }
    }
    let log = real.process.log();
    ensure(!log.contains("EventMemberFailed: p1"), || log.clone())?;
    let told = ours.count(|event| matches!(event, Event::Refuted));
    ensure(told >= 3, || format!("we refuted only {told} times"))
}

/// What a deaf member would hear.
#[derive(Default)]
struct Ears {
    deaf_to_one: AtomicBool,
    deaf_to_all: AtomicBool,
    /// Pings of the one that were lost.
    lost: AtomicUsize,
    /// Pings of others that came meanwhile.
    through_others: AtomicUsize,
}

impl Ears {
    /// Lets nothing pass of `one`, or of all, while they are deaf to it.
    fn of(one: IpAddr) -> (Arc<Self>, Tap) {
        let ears = Arc::new(Self::default());
        let tap = Arc::clone(&ears);
        let hears = move |from: SocketAddr, bytes: &[u8]| {
            if tap.deaf_to_all.load(Ordering::Relaxed) {
                return false;
            }
            if tap.deaf_to_one.load(Ordering::Relaxed) {
                let is_one = from.ip() == one;
                let count = if is_one { &tap.lost } else { &tap.through_others };
                count.fetch_add(usize::from(is_ping(bytes)), Ordering::Relaxed);
                return !is_one;
            }
            true
        };
        (ears, Arc::new(hears))
    }

    /// Waits until `real` has probed `name` twice, and says whether others reached it at least once
    /// where `real` did not: each ping that was lost is one probe, and one that only a stream saved
    /// is told in the log. A busy machine may be too late with one of them.
    async fn saved(&self, real: &Serf, name: &str, seen: &[&Serf]) -> Outcome {
        let begun = Instant::now();
        let mut longest = unprobed_max(OTHERS) * 2;
        while begun.elapsed() < longest || self.lost.load(Ordering::Relaxed) < 2 {
            for one in seen {
                one.lists(name, "alive").await?;
            }
            longest = unprobed_max(OTHERS) * 2 * (1 + real.health().await?);
            ensure(begun.elapsed() < longest + LOOK, || "it was not probed twice".to_owned())?;
            pause(1000).await;
        }
        self.deaf_to_one.store(false, Ordering::Relaxed);
        // The last probe ends.
        tokio::time::sleep(INTERVAL * (1 + real.health().await?) + SLACK).await;
        let (lost, through) =
            (self.lost.load(Ordering::Relaxed), self.through_others.load(Ordering::Relaxed));
        let streams = by_stream(real, name);
        ensure(through > 0 && streams < lost, || {
            let log = real.process.log();
            format!("{lost} pings lost, {through} by others, {streams} saved by streams:\n{log}")
        })
    }
}

/// How often only a stream reached `name`.
fn by_stream(real: &Serf, name: &str) -> usize {
    real.process.log().matches(&format!("{BY_STREAM}{name} ")).count()
}

/// Members beside the deaf one. A real member asks others by drawing 3 times as many members as
/// there are, and takes up to 3 it may ask: with one such among 3 it finds none in (2/3)^9 = 2.6 %
/// of its probes, with 3 among 5 in (2/5)^15, one in a million. So there are 3 besides it.
const OTHERS: u64 = 4;

pub(super) async fn deaf(place: Place) -> Outcome {
    let mut options = Options::serf(&place, "p1", 9);
    let (ears, tap) = Ears::of(place.ip(2));
    options.tap = Some(tap);
    let (s1, ours) = pair_with(&place, &[], options).await?;
    let mut helpers = Vec::new();
    for (name, host) in [("s3", 4), ("s4", 5), ("s5", 6)] {
        helpers.push(another(&place, &s1, name, host, &[]).await?);
    }
    // Gossip tells an arrival 4 times to members drawn at random, so one may pass us by.
    ours.join(s1.address).await?;
    for helper in ["s3", "s4", "s5"] {
        until(secs(2), || ours.holds(helper, MemberStatus::Alive)).await?;
    }
    ears.deaf_to_one.store(true, Ordering::Relaxed);
    ears.saved(&s1, "p1", &[&s1, &helpers[0]]).await?;
    let before = by_stream(&s1, "p1");
    ears.deaf_to_all.store(true, Ordering::Relaxed);
    let probed = unprobed_max(OTHERS) + INTERVAL * 2;
    until(probed * (1 + s1.health().await?) * 2, || async {
        s1.lists("p1", "alive").await?;
        ensure(by_stream(&s1, "p1") > before, || {
            format!("no word of the stream:\n{}", s1.process.log())
        })
    })
    .await?;
    s1.lists("p1", "alive").await
}

pub(super) async fn relay(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    let voice = Voice::at(place.ip(20)).await?;
    let ask = |sequence: u32, node: &str, target: SocketAddr| IndirectPing {
        sequence,
        node: node.into(),
        target: Some(target.ip()),
        port: target.port(),
        nack: true,
        source: None,
        source_node: "".into(),
    };
    let alive = Message::IndirectPing(ask(77, "s1", real.address).into());
    voice.say(ours.address(), &alive.to_bytes()).await?;
    let heard = answer(&voice).await?;
    ensure(matches!(&heard, Message::Ack(ack) if ack.sequence == 77), || {
        format!("for the living: {heard:?}")
    })?;
    let begun = Instant::now();
    let nobody = Message::IndirectPing(ask(78, "nobody", place.at(30, 1)).into());
    voice.say(ours.address(), &nobody.to_bytes()).await?;
    let heard = answer(&voice).await?;
    let took = begun.elapsed();
    ensure(matches!(heard, Message::Nack { sequence: 78 }), || format!("for nobody: {heard:?}"))?;
    ensure(took.as_millis() >= 450 && took.as_millis() <= 1500, || format!("nack after {took:?}"))?;
    // And among members: ours cannot hear s1, and s1 finds it alive through others of ours: three,
    // as for the deaf. All meet s1 by push/pull, as gossip may pass it by.
    let mut helpers = Vec::new();
    for (name, host) in [("p3", 11), ("p4", 12)] {
        let helper = Subject::start(Options::serf(&place, name, host)).await?;
        helper.join(ours.address()).await?;
        helper.join(real.address).await?;
        until(LOOK, || real.lists(name, "alive")).await?;
        helpers.push(helper);
    }
    let mut options = Options::serf(&place, "p2", 10);
    let (ears, tap) = Ears::of(place.ip(2));
    ears.deaf_to_one.store(true, Ordering::Relaxed);
    options.tap = Some(tap);
    let deaf = Subject::start(options).await?;
    deaf.join(ours.address()).await?;
    deaf.join(real.address).await?;
    until(LOOK, || real.lists("p2", "alive")).await?;
    ears.saved(&real, "p2", &[&real]).await
}

/// Whether a datagram asks for an answer.
fn is_ping(bytes: &[u8]) -> bool {
    open(bytes, &Keyring::default(), "", true).is_ok_and(|opened| {
        opened.messages.iter().any(|message| matches!(message, Message::Ping(_)))
    })
}

/// The ack or nack that comes to `voice`, whatever news travels with it.
async fn answer(voice: &Voice) -> Outcome<Message> {
    let bytes = voice.hear(3).await?;
    let opened = open(&bytes, &Keyring::default(), "", true).map_err(|e| format!("{e:?}"))?;
    let mut messages = opened.messages.into_iter();
    messages
        .find(|message| matches!(message, Message::Ack(_) | Message::Nack { .. }))
        .ok_or_else(|| "no answer in what was heard".to_owned())
}
