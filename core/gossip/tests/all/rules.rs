//! The rules of alive, suspect and dead, one by one.

use crate::net::Net;
use crate::solo::{Solo, VERSIONS, alive, said};
use bytes::Bytes;
use proconsul_gossip::{Admission, Effect, Event, Input};
use proconsul_types::{Duration, Incarnation, Liveness, NodeId, Planted};
use proconsul_wire::memberlist::{Ack, Alive, IndirectPing, Message, NodeState, Ping};
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn elsewhere(host: usize, incarnation: u32) -> Message {
    let mut moved = Alive::clone(&alive(host, incarnation));
    moved.address = Some(Ipv4Addr::new(10, 9, 9, 9).into());
    Message::Alive(Arc::new(moved))
}

#[test]
fn older_news_change_nothing() {
    let mut solo = Solo::with_others(4, Planted::none());
    solo.hear(Message::Alive(alive(1, 5)));
    solo.hear(Message::Suspect(said(1, 4, 2)));
    solo.hear(Message::Dead(said(1, 4, 2)));
    solo.hear(Message::Alive(alive(1, 3)));
    assert_eq!(solo.held(1), Some((Liveness::Alive, Incarnation(5))));
}

#[test]
fn among_equals_dead_beats_suspect_beats_alive() {
    let mut solo = Solo::with_others(4, Planted::none());
    solo.hear(Message::Suspect(said(1, 1, 2)));
    solo.hear(Message::Alive(alive(1, 1)));
    assert_eq!(solo.liveness(1), Some(Liveness::Suspect));
    solo.hear(Message::Dead(said(1, 1, 2)));
    solo.hear(Message::Alive(alive(1, 1)));
    solo.hear(Message::Suspect(said(1, 1, 2)));
    assert_eq!(solo.liveness(1), Some(Liveness::Dead));
    solo.hear(Message::Alive(alive(1, 2)));
    assert_eq!(solo.held(1), Some((Liveness::Alive, Incarnation(2))));
}

#[test]
fn only_allowed_networks_are_let_in() {
    let mut solo = Solo::new(|config| config.allowed = vec!["10.0.0.0/16".parse().unwrap()]);
    let stranger: SocketAddr = "10.9.0.1:8301".parse().unwrap();
    solo.hear_from(stranger, Message::Alive(alive(1, 1)));
    assert_eq!(solo.held(1), None, "who tells is elsewhere");
    solo.hear(elsewhere(1, 1));
    assert_eq!(solo.held(1), None, "who is told of is elsewhere");
    solo.hear(Message::Alive(alive(1, 1)));
    assert_eq!(solo.held(1), Some((Liveness::Alive, Incarnation(1))));
    let said = solo.notices();
    assert!(said.contains("Blocked an alive message for 'n1' from=10.9.0.1:8301"), "{said}");
    assert!(said.contains("Rejected node n1 at an address outside"), "{said}");
    solo.hear(Message::Dead(self::said(1, 1, 1)));
    solo.hear(elsewhere(1, 2));
    assert_eq!(solo.liveness(1), Some(Liveness::Left), "nor may a member move there");
}

#[test]
fn a_death_by_the_own_word_is_a_leave() {
    let mut solo = Solo::with_others(4, Planted::none());
    solo.hear(Message::Dead(said(1, 1, 1)));
    solo.hear(Message::Dead(said(2, 1, 3)));
    assert_eq!(solo.liveness(1), Some(Liveness::Left));
    assert_eq!(solo.liveness(2), Some(Liveness::Dead));
}

#[test]
fn of_two_words_of_one_incarnation_its_member_hears_both() {
    let mut solo = Solo::with_others(2, Planted::none());
    solo.run(secs(5));
    solo.sent();
    let told = |solo: &mut Solo, message: Alive| {
        solo.hear(Message::Alive(Arc::new(message)));
        let sent = solo.sent().into_iter().filter_map(|(to, message)| match message {
            Message::Alive(alive) if to == Net::address(1) => Some(alive.meta.clone()),
            _other => None,
        });
        sent.collect::<Vec<_>>()
    };
    let same = Alive::clone(&alive(1, 1));
    let other = Alive { meta: Some(Bytes::from_static(b"other")), ..same.clone() };
    assert_eq!(told(&mut solo, other.clone()), [same.meta.clone(), other.meta.clone()]);
    assert_eq!(told(&mut solo, same.clone()), []);
    let old = Alive { incarnation: Incarnation(0), ..other.clone() };
    assert_eq!(told(&mut solo, old), []);
    solo.hear(Message::Dead(said(1, 1, 2)));
    assert_eq!(told(&mut solo, other), [], "it is gone, and answers nobody");
}

#[test]
fn accusations_of_strangers_are_ignored() {
    let mut solo = Solo::with_others(1, Planted::none());
    solo.hear(Message::Suspect(said(7, 1, 1)));
    solo.hear(Message::Dead(said(7, 1, 1)));
    assert_eq!(solo.held(7), None);
}

#[test]
fn what_is_wrongly_said_of_this_member_is_refuted() {
    let accusations = [
        Message::Suspect(said(0, 7, 1)),
        Message::Dead(said(0, 7, 1)),
        Message::Alive(Arc::new(Alive { meta: None, ..Alive::clone(&alive(0, 7)) })),
    ];
    for accusation in accusations {
        let mut solo = Solo::with_others(3, Planted::none());
        solo.hear(accusation.clone());
        assert_eq!(solo.held(0), Some((Liveness::Alive, Incarnation(8))), "{accusation:?}");
        assert_eq!(solo.pool.health_score(), 1);
        assert!(solo.events().any(|event| *event == Event::Refuted));
        solo.run(Duration::from_millis(400));
        let refuted = solo.sent().into_iter().any(|(_, message)| match message {
            Message::Alive(alive) => *alive.node == *"n0" && alive.incarnation.0 == 8,
            _other => false,
        });
        assert!(refuted, "the refutation is told");
    }
}

#[test]
fn what_is_rightly_said_of_this_member_is_not() {
    let mut solo = Solo::with_others(3, Planted::none());
    solo.hear(Message::Suspect(said(0, 0, 1)));
    solo.hear(Message::Alive(alive(0, 0)));
    assert_eq!(solo.held(0), Some((Liveness::Alive, Incarnation(1))));
    assert_eq!(solo.pool.health_score(), 0);
}

#[test]
fn six_versions_and_a_port_are_told_on() {
    for versions in [vec![], vec![1, 5], VERSIONS.to_vec()] {
        let mut solo = Solo::with_others(2, Planted::none());
        let short = Alive { versions, port: 0, ..Alive::clone(&alive(7, 1)) };
        solo.hear(Message::Alive(Arc::new(short)));
        assert_eq!(solo.liveness(7), Some(Liveness::Alive));
        solo.run(secs(1));
        for (_, message) in solo.sent() {
            if let Message::Alive(alive) = message {
                assert_eq!((alive.versions.len(), alive.port), (6, 8301));
            }
        }
    }
}

#[test]
fn bad_versions_are_refused() {
    for versions in [[0, 5, 2, 2, 5, 4], [1, 0, 2, 2, 5, 4], [4, 3, 3, 2, 5, 4]] {
        let mut solo = Solo::with_others(1, Planted::none());
        let bad = Alive { versions: versions.to_vec(), ..Alive::clone(&alive(7, 1)) };
        solo.hear(Message::Alive(Arc::new(bad)));
        assert_eq!(solo.held(7), None);
    }
    // what a member speaks is not looked at here
    let mut solo = Solo::with_others(1, Planted::none());
    let odd = Alive { versions: vec![1, 5, 9, 2, 5, 4], ..Alive::clone(&alive(7, 1)) };
    solo.hear(Message::Alive(Arc::new(odd)));
    assert_eq!(solo.liveness(7), Some(Liveness::Alive));
}

#[test]
fn nobody_is_nameless() {
    let mut solo = Solo::with_others(1, Planted::none());
    let nameless = Arc::new(Alive { node: "".into(), ..Alive::clone(&alive(7, 1)) });
    solo.hear(Message::Alive(Arc::clone(&nameless)));
    for join in [false, true] {
        let state = NodeState { alive: Arc::clone(&nameless), ..state(7, 1, Liveness::Alive) };
        solo.told_states(vec![state], join);
    }
    assert_eq!((solo.pool.detected().count(), solo.pool.member_count()), (2, 2));
    assert!(solo.notices().contains("without a name"), "{}", solo.notices());
}

#[test]
fn a_pool_with_a_door_wants_all_versions() {
    let mut solo = Solo::new(|config| {
        config.admission = Admission::Datacenter {
            datacenter: "dc1".into(),
            segment: "".into(),
            id: NodeId(Default::default()),
        };
    });
    let short = Alive { versions: vec![], ..Alive::clone(&alive(7, 1)) };
    solo.hear(Message::Alive(Arc::new(short)));
    assert_eq!(solo.held(7), None);
    assert!(solo.notices().contains("Vsn is not present"));
}

#[test]
fn what_is_too_long_to_be_told_on_is_not_taken() {
    let mut solo = Solo::with_others(1, Planted::none());
    let long = Alive { node: "x".repeat(2000).into(), ..Alive::clone(&alive(7, 1)) };
    solo.hear(Message::Alive(Arc::new(long)));
    assert_eq!(solo.pool.detected().count(), 2);
}

#[test]
fn a_name_is_taken_over_when_it_is_free() {
    let at = |solo: &Solo| solo.pool.detected_of("n1").unwrap();
    let mut solo = Solo::with_others(3, Planted::none());
    solo.hear(elsewhere(1, 9));
    assert_eq!(at(&solo), (Liveness::Alive, Incarnation(1)), "an alive one keeps its name");
    assert!(solo.notices().contains("Conflicting address for n1"));
    solo.hear(Message::Suspect(said(1, 1, 2)));
    solo.hear(elsewhere(1, 9));
    assert_eq!(at(&solo).0, Liveness::Suspect, "a suspect keeps its name");
    solo.hear(Message::Dead(said(1, 1, 2)));
    solo.run(secs(29));
    solo.hear(elsewhere(1, 9));
    assert_eq!(at(&solo).0, Liveness::Dead, "a name is kept for the reclaim time");
    solo.run(secs(2));
    solo.hear(elsewhere(1, 1));
    assert_eq!(at(&solo), (Liveness::Alive, Incarnation(1)), "then it is free");

    let mut solo = Solo::with_others(3, Planted::none());
    solo.hear(Message::Dead(said(1, 1, 1)));
    solo.hear(elsewhere(1, 1));
    assert_eq!(at(&solo).0, Liveness::Alive, "the name of one who left is free at once");

    let mut solo = Solo::new(|config| config.timing.dead_reclaim = Duration::ZERO);
    solo.hear(Message::Alive(alive(1, 1)));
    solo.hear(Message::Dead(said(1, 1, 2)));
    solo.run(secs(25));
    solo.hear(elsewhere(1, 9));
    assert_eq!(at(&solo).0, Liveness::Dead, "without a reclaim time it is never free");
}

#[test]
fn a_suspicion_ends_when_its_confirmations_say() {
    let accusers = |names: &[usize]| {
        let mut solo = Solo::with_others(9, Planted::none());
        for from in names {
            solo.hear(Message::Suspect(said(1, 1, *from)));
        }
        solo.until(1, Liveness::Dead).unwrap().as_millis()
    };
    assert_eq!(accusers(&[2]), 24_000);
    assert_eq!(accusers(&[2, 2, 2]), 24_000, "each accuser counts once");
    assert_eq!(accusers(&[2, 3]), 11_381);
    assert_eq!(accusers(&[2, 3, 3, 2]), 11_381);
    assert_eq!(accusers(&[2, 3, 4]), 4000);
    assert_eq!(accusers(&[2, 3, 4, 5, 6]), 4000);
}

#[test]
fn a_late_confirmation_ends_it_at_once() {
    let mut solo = Solo::with_others(9, Planted::none());
    solo.hear(Message::Suspect(said(1, 1, 2)));
    solo.run(secs(12));
    assert_eq!(solo.liveness(1), Some(Liveness::Suspect));
    solo.hear(Message::Suspect(said(1, 1, 3)));
    assert_eq!(solo.pool.next_wakeup(), Some(solo.now));
    solo.input(Input::Wake);
    assert_eq!(solo.liveness(1), Some(Liveness::Dead));
}

#[test]
fn the_dead_are_forgotten_when_nobody_hears_of_them() {
    let mut solo = Solo::with_others(3, Planted::none());
    solo.hear(Message::Dead(said(1, 1, 2)));
    solo.hear(Message::Dead(said(2, 1, 2)));
    solo.run(secs(20));
    assert_eq!(solo.pool.detected().count(), 4);
    for _ in 0..40 {
        solo.hear(Message::Alive(alive(3, u32::MAX)));
        solo.run(secs(1));
    }
    assert_eq!((solo.held(1), solo.held(2)), (None, None));
}

#[test]
fn a_ping_is_answered_where_it_says() {
    let from = Net::address(9);
    let asked = |node: &str, source| {
        let mut solo = Solo::new(|_| {});
        let ping = Ping { sequence: 77, node: node.into(), source, source_node: "".into() };
        solo.hear_from(from, Message::Ping(Box::new(ping)));
        let sent = solo.sent();
        sent.first().map(|(to, message)| match message {
            Message::Ack(ack) => (*to, ack.sequence, ack.payload.is_some()),
            _other => panic!("only an ack answers a ping"),
        })
    };
    assert_eq!(asked("n0", None), Some((from, 77, true)));
    assert_eq!(asked("", None), Some((from, 77, true)));
    let source = SocketAddr::from(([10, 1, 1, 1], 7));
    assert_eq!(asked("n0", Some(source)), Some((source, 77, true)));
    assert_eq!(asked("n1", Some(source)), None, "a ping for another is not answered");
}

/// What was sent, without the news that went along.
fn besides_news(solo: &mut Solo) -> Vec<(SocketAddr, Message)> {
    let mut sent = solo.sent();
    sent.retain(|(_, message)| !matches!(message, Message::Alive(_)));
    sent
}

#[test]
fn a_relay_answers_yes_or_no() {
    let please = |nack| {
        Message::IndirectPing(Box::new(IndirectPing {
            sequence: 77,
            node: "n2".into(),
            target: Some(Net::address(2).ip()),
            port: 0,
            nack,
            source: None,
            source_node: "n1".into(),
        }))
    };
    for (answers, nack) in [(true, true), (false, true), (false, false)] {
        let mut solo = Solo::new(|config| config.timing.probe_interval = secs(900));
        solo.hear(please(nack));
        let sent = besides_news(&mut solo);
        let [(to, Message::Ping(ping))] = sent.as_slice() else {
            panic!("a relay pings: {sent:?}");
        };
        assert_eq!((*to, &*ping.node, &*ping.source_node), (Net::address(2), "n2", "n0"));
        assert_eq!(ping.source, Some(Net::address(0)), "the answer comes to the relay");
        if answers {
            let payload = Some(crate::net::text("coordinate"));
            solo.hear_from(*to, Message::Ack(Ack { sequence: ping.sequence, payload }));
            let yes = Message::Ack(Ack { sequence: 77, payload: None });
            assert_eq!(besides_news(&mut solo), [(Net::address(1), yes)]);
        }
        solo.run(Duration::from_millis(499));
        assert_eq!(besides_news(&mut solo), []);
        solo.run(Duration::from_millis(1));
        let no = (Net::address(1), Message::Nack { sequence: 77 });
        assert_eq!(besides_news(&mut solo), if nack && !answers { vec![no] } else { vec![] });
    }
}

#[test]
fn a_packet_holds_as_much_news_as_fits() {
    let mut solo = Solo::new(|_| {});
    for host in 1..200 {
        let meta = Some(crate::net::text(&"m".repeat(host)));
        solo.hear(Message::Alive(Arc::new(Alive { meta, ..Alive::clone(&alive(host, 1)) })));
    }
    solo.out.clear();
    solo.run(secs(20));
    let sizes: Vec<usize> = solo
        .out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(_, datagram) => Some(datagram.to_bytes().len()),
            _other => None,
        })
        .collect();
    let largest = sizes.iter().max().copied().unwrap();
    assert!((1200..=1407).contains(&largest), "{largest} bytes");
}

fn state(host: usize, incarnation: u32, liveness: Liveness) -> NodeState {
    NodeState { alive: alive(host, incarnation), liveness }
}

#[test]
fn a_death_told_by_another_is_a_suspicion() {
    let mut solo = Solo::with_others(5, Planted::none());
    let theirs = vec![
        state(1, 1, Liveness::Dead),
        state(2, 1, Liveness::Suspect),
        state(3, 1, Liveness::Left),
        state(4, 9, Liveness::Alive),
    ];
    solo.told_states(theirs, false);
    let held: Vec<_> = (1..=5).map(|host| solo.liveness(host).unwrap()).collect();
    let [one, two, three, four, five] = held.as_slice() else {
        panic!("five others are known");
    };
    assert_eq!((*one, *two, *three), (Liveness::Suspect, Liveness::Suspect, Liveness::Left));
    assert_eq!((*four, *five), (Liveness::Alive, Liveness::Alive));
    assert_eq!(solo.held(4).unwrap().1, Incarnation(9));
}

/// How far news of one incarnation have come; it never goes back.
fn rank(held: (Liveness, Incarnation)) -> (u32, u8) {
    let order = match held.0 {
        Liveness::Alive => 0,
        Liveness::Suspect => 1,
        Liveness::Dead | Liveness::Left => 2,
    };
    (held.1.0, order)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn news_never_replace_newer_ones(
        news in prop::collection::vec((0_usize..4, 0_u32..5, 0_u8..5, 1_usize..6), 1..60),
    ) {
        let mut solo = Solo::with_others(5, Planted::none());
        for (about, incarnation, what, from) in news {
            let before: Vec<_> = (0..4).map(|host| solo.held(host).unwrap()).collect();
            match what {
                0 => solo.hear(Message::Alive(alive(about, incarnation))),
                1 => solo.hear(Message::Suspect(said(about, incarnation, from))),
                2 => solo.hear(Message::Dead(said(about, incarnation, from))),
                3 => {
                    solo.told_states(vec![state(about, incarnation, Liveness::Dead)], false);
                }
                _ => solo.run(secs(1)),
            }
            for (host, before) in before.into_iter().enumerate() {
                let after = solo.held(host).unwrap();
                prop_assert!(rank(after) >= rank(before), "n{host}: {before:?} to {after:?}");
            }
            prop_assert_eq!(solo.liveness(0), Some(Liveness::Alive));
        }
    }
}
