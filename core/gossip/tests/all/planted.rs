//! Every planted fault is a real bug: a promise that holds without it breaks with it.

use crate::net::Net;
use crate::solo::{Solo, alive, plain, said};
use proconsul_gossip::{Event, Input};
use proconsul_types::{Duration, Fault, Liveness, Planted};
use proconsul_wire::memberlist::{Alive, Message, NodeState};
use std::net::Ipv4Addr;
use std::sync::Arc;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The promise holds in a sound build, and not in one with this fault.
fn tells_apart(fault: Fault, promise: impl Fn(Planted) -> bool) {
    assert!(promise(Planted::none()), "{fault:?}: the promise holds without it");
    assert!(!promise(Planted::with(fault)), "{fault:?} breaks the promise");
}

fn pool(seed: u64, count: usize, planted: Planted) -> Net {
    Net::pool(seed, count, |config| {
        config.planted = planted;
        config.durable = false;
    })
}

fn failures(net: &Net) -> usize {
    net.count(Default::default(), |_, event| matches!(event, Event::Failed(_)))
}

#[test]
fn refute_without_higher_incarnation() {
    tells_apart(Fault::RefuteWithoutHigherIncarnation, |planted| {
        let mut net = pool(1, 6, planted);
        let (_, now) = net.held(0, 2).unwrap();
        let accusation = Message::Suspect(said(2, now.0, 4));
        net.input(0, Input::Datagram(Net::address(5), plain(accusation)));
        net.run(secs(60));
        failures(&net) == 0
    });
}

#[test]
fn one_incarnation_twice() {
    tells_apart(Fault::OneIncarnationTwice, |planted| {
        let mut net = pool(1, 3, planted);
        net.run(secs(5));
        let (_, now) = net.held(0, 2).unwrap();
        let other = Alive { meta: None, ..Alive::clone(&alive(2, now.0)) };
        net.input(0, Input::Datagram(Net::address(1), plain(Message::Alive(Arc::new(other)))));
        net.run(secs(2));
        net.held(1, 2).is_some_and(|(_, after)| after > now)
    });
}

#[test]
fn suspicion_never_confirmed() {
    tells_apart(Fault::SuspicionNeverConfirmed, |planted| {
        let mut net = pool(1, 8, planted);
        net.run(secs(5));
        net.kill(3);
        net.until(secs(20), |net| net.all_hold(3, Liveness::Dead)).is_some()
    });
}

#[test]
fn suspicion_counts_names_twice() {
    tells_apart(Fault::SuspicionCountsNamesTwice, |planted| {
        let mut solo = Solo::with_others(9, planted);
        for _ in 0..3 {
            solo.hear(Message::Suspect(said(1, 1, 2)));
        }
        solo.until(1, Liveness::Dead) == Some(secs(24))
    });
}

#[test]
fn dead_beats_newer_alive() {
    tells_apart(Fault::DeadBeatsNewerAlive, |planted| {
        let mut net = pool(1, 5, planted);
        net.kill(4);
        net.until(secs(30), |net| net.all_hold(4, Liveness::Dead)).unwrap();
        let (_, dead_at) = net.held(0, 4).unwrap();
        net.restart(4);
        net.join(4, &[0]);
        net.until(secs(10), Net::all_see_all).unwrap();
        // the old news comes once more, late
        let before = failures(&net);
        let late = Message::Dead(said(4, dead_at.0, 2));
        net.input(0, Input::Datagram(Net::address(2), plain(late)));
        net.run(secs(30));
        failures(&net) == before
    });
}

#[test]
fn push_pull_trusts_remote_death() {
    tells_apart(Fault::PushPullTrustsRemoteDeath, |planted| {
        let mut solo = Solo::with_others(5, planted);
        let dead = NodeState { alive: alive(1, 1), liveness: Liveness::Dead };
        solo.told_states(vec![dead], false);
        solo.liveness(1) == Some(Liveness::Suspect)
    });
}

#[test]
fn nack_not_counted() {
    tells_apart(Fault::NackNotCounted, |planted| {
        let mut net = Net::pool(3, 6, |config| {
            config.planted = planted;
            config.timing.probe_timeout = Duration::from_millis(300);
            config.timing.suspicion_mult = 20;
        });
        net.kill(5);
        let mut worst = 0;
        for _ in 0..100 {
            net.run(Duration::from_millis(100));
            worst = worst.max((0..5).map(|host| net.get(host).health_score()).max().unwrap());
        }
        worst == 0
    });
}

#[test]
fn broadcast_not_invalidated() {
    tells_apart(Fault::BroadcastNotInvalidated, |planted| {
        let mut solo = Solo::with_others(5, planted);
        solo.run(secs(5));
        solo.hear(Message::Alive(alive(1, 8)));
        solo.hear(Message::Suspect(said(1, 8, 2)));
        solo.hear(Message::Alive(alive(1, 9)));
        solo.out.clear();
        solo.run(secs(1));
        let about = |message: &Message| match message {
            Message::Suspect(said) => said.incarnation.0 == 8,
            _other => false,
        };
        !solo.sent().iter().any(|(_, message)| about(message))
    });
}

#[test]
fn reclaim_ignores_time() {
    tells_apart(Fault::ReclaimIgnoresTime, |planted| {
        let mut solo = Solo::with_others(3, planted);
        solo.hear(Message::Dead(said(1, 1, 2)));
        let address = Some(Ipv4Addr::new(10, 9, 9, 9).into());
        let thief = Alive { address, ..Alive::clone(&alive(1, 9)) };
        solo.hear(Message::Alive(Arc::new(thief)));
        solo.liveness(1) == Some(Liveness::Dead)
    });
}

#[test]
fn probe_skips_suspect() {
    tells_apart(Fault::ProbeSkipsSuspect, |planted| {
        let mut solo = Solo::with_others(1, planted);
        solo.hear(Message::Suspect(said(1, 1, 2)));
        solo.out.clear();
        // whoever probes a suspect says so with the ping
        solo.run(secs(3));
        let sent = solo.sent();
        let probed = |pair: &[(std::net::SocketAddr, Message)]| match pair {
            [(_, Message::Ping(ping)), (_, Message::Suspect(said))] => {
                *ping.node == *"n1" && *said.node == *"n1" && *said.from == *"n0"
            }
            _other => false,
        };
        sent.windows(2).any(probed)
    });
}
