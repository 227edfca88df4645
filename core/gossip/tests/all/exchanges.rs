//! Full exchanges, joins and everything else on streams.

use crate::net::Net;
use crate::solo::{Solo, VERSIONS, alive, value};
use bytes::Bytes;
use proconsul_gossip::{Asked, Effect, Event, Input, StreamEvent, StreamId};
use proconsul_types::{Duration, Liveness, Planted};
use proconsul_wire::crypto::{Key, Keyring, Seal};
use proconsul_wire::memberlist::{Ack, Alive, Message, NodeState, Ping, PushPull, StreamMessage};
use proconsul_wire::stream::Sealed;
use std::net::SocketAddr;
use std::sync::Arc;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn state(host: usize, versions: &[u8], liveness: Liveness) -> NodeState {
    let alive = Alive { versions: versions.to_vec(), ..Alive::clone(&alive(host, 1)) };
    NodeState { alive: Arc::new(alive), liveness }
}

fn push_pull(nodes: Vec<NodeState>) -> StreamMessage {
    StreamMessage::PushPull(PushPull { join: true, nodes: nodes.into(), user: None })
}

#[test]
fn the_answer_goes_out_before_the_question_is_judged() {
    let mut solo = Solo::with_others(2, Planted::none());
    let poison = vec![state(7, &[1, 5, 9, 2, 5, 4], Liveness::Alive)];
    let (answers, closed) = solo.served(value(push_pull(poison)));
    let [StreamMessage::PushPull(answer)] = answers.as_slice() else {
        panic!("a push/pull is answered by one: {answers:?}");
    };
    assert!(closed && answer.join, "the answer repeats whether it is a join");
    assert_eq!(answer.nodes.len(), 3, "this member and two others");
    assert!(answer.nodes.iter().all(|node| node.alive.versions.len() == 6));
    assert_eq!(solo.held(7), None, "and what came was refused");
    let why = "Node 'n7' protocol version (9) is incompatible: [1, 5]";
    assert!(solo.notices().contains(why), "{}", solo.notices());
}

#[test]
fn everyone_must_speak_what_everyone_alive_understands() {
    let told = |versions: &[u8], liveness| {
        let mut solo = Solo::with_others(1, Planted::none());
        solo.told_states(
            vec![state(7, versions, liveness), state(8, &VERSIONS, Liveness::Alive)],
            false,
        );
        (solo.held(8).is_some(), solo.notices())
    };
    assert!(told(&VERSIONS, Liveness::Alive).0);
    let (taken, why) = told(&[], Liveness::Left);
    assert!(!taken && why.contains("Node 'n7' protocol version (0) is incompatible: [1, 5]"));
    let (taken, why) = told(&[1, 5, 2, 2, 5, 1], Liveness::Dead);
    let text = "Node 'n7' delegate protocol version (1) is incompatible: [2, 5]";
    assert!(!taken && why.contains(text), "{why}");
    let (taken, why) = told(&[3, 5, 3, 2, 5, 4], Liveness::Alive);
    assert!(!taken && why.contains("protocol version (2) is incompatible: [3, 5]"), "{why}");
}

#[test]
fn pings_on_streams() {
    let ask = |node: &str| {
        let mut solo = Solo::new(|_| {});
        let ping = Ping { sequence: 5, node: node.into(), ..Ping::default() };
        solo.served(value(StreamMessage::Ping(ping)))
    };
    let yes = StreamMessage::Ack(Ack { sequence: 5, payload: None });
    assert_eq!(ask("n0"), (vec![yes.clone()], true));
    assert_eq!(ask(""), (vec![yes], true));
    assert_eq!(ask("n1"), (vec![], true), "a wrong name is closed without a word");
}

fn keyring(byte: u8) -> Keyring {
    Keyring::new(vec![Key::new(&[byte; 16]).unwrap()])
}

fn sealed_by(byte: u8) -> Seal {
    Seal { key: Key::new(&[byte; 16]).unwrap(), nonce: [9; 12], version: 1 }
}

fn error(text: &str) -> Vec<StreamMessage> {
    vec![StreamMessage::Error(text.into())]
}

/// What is answered to a push/pull under this seal and label, as a value and as bytes.
fn asked(
    adjust: fn(&mut proconsul_gossip::Config),
    seal: Option<Seal>,
    label: &str,
) -> [Vec<StreamMessage>; 2] {
    let sealed = Sealed {
        label: label.into(),
        dialled: true,
        seal,
        compress: false,
        message: push_pull(vec![state(7, &VERSIONS, Liveness::Alive)]),
    };
    let bytes = StreamEvent::Bytes(sealed.to_bytes());
    [StreamEvent::Message(Box::new(sealed)), bytes].map(|event| {
        let mut solo = Solo::new(adjust);
        let (answers, closed) = solo.served(event);
        assert!(closed, "a stream is closed after its answer");
        let errors = answers.iter().all(|answer| matches!(answer, StreamMessage::Error(_)));
        assert_eq!(solo.held(7).is_some(), !errors && !answers.is_empty(), "refused is not taken");
        answers
    })
}

#[test]
fn streams_are_refused_with_their_reason() {
    let plain = asked(|config| config.keyring = keyring(1), None, "");
    let text = "Encryption is configured but remote state is not encrypted";
    assert_eq!(plain, [error(text), error(text)]);
    let unexpected = asked(|_| {}, Some(sealed_by(1)), "");
    let text = "Remote state is encrypted and encryption is not configured";
    assert_eq!(unexpected, [error(text), error(text)]);
    let strange = asked(|config| config.keyring = keyring(1), Some(sealed_by(2)), "");
    let text = "No installed keys could decrypt the message";
    assert_eq!(strange, [error(text), error(text)]);
    let labelled = asked(|_| {}, None, "blue");
    assert_eq!(labelled, [vec![], vec![]], "another label is closed without a word");
    for answers in asked(
        |config| {
            config.keyring = keyring(1);
            config.verify_incoming = false;
        },
        None,
        "",
    ) {
        assert!(matches!(answers.as_slice(), [StreamMessage::PushPull(_)]), "plaintext may pass");
    }
}

#[test]
fn who_joins_learns_why_not() {
    let mut net = Net::new(1);
    net.start(|config| config.keyring = keyring(1));
    net.start(|_| {});
    net.join(1, &[0]);
    net.run(secs(1));
    let done = net.told.iter().find_map(|(_, host, event)| match event {
        Event::JoinDone(Asked(0), met, failures) if *host == 1 => Some((*met, failures.clone())),
        _other => None,
    });
    let text = "remote error: Encryption is configured but remote state is not encrypted";
    // the answer is sealed, and whoever has no keys cannot read it
    let (met, failures) = done.unwrap();
    let [(seed, reason)] = failures.as_slice() else {
        panic!("one seed failed");
    };
    assert_eq!((met, *seed), (0, Net::address(0)));
    let unreadable = "Remote state is encrypted and encryption is not configured";
    assert!(reason == text || reason == unreadable, "{reason}");
}

#[test]
fn a_join_tells_how_many_were_met() {
    let mut net = Net::new(1);
    for _ in 0..4 {
        net.start(|_| {});
    }
    net.kill(2);
    net.streams_pass = Box::new(|_, to| to != 3);
    net.join(0, &[1, 2, 3]);
    net.run(secs(11));
    let done = net.told.iter().find_map(|(_, _, event)| match event {
        Event::JoinDone(_, met, failures) => Some((*met, failures.clone())),
        _other => None,
    });
    let (met, mut failures) = done.unwrap();
    failures.sort();
    assert_eq!(met, 1);
    let expected = [
        (Net::address(2), String::from("connection refused")),
        (Net::address(3), String::from("i/o timeout")),
    ];
    assert_eq!(failures, expected);
}

#[test]
fn who_was_met_is_told_before_the_join_is_done() {
    let mut net = Net::new(1);
    for _ in 0..2 {
        net.start(|_| {});
    }
    net.join(1, &[0]);
    net.run(secs(1));
    let place = |what: fn(&Event) -> bool| {
        net.told.iter().position(|(_, host, event)| *host == 1 && what(event)).unwrap()
    };
    let joined = place(|event| match event {
        Event::Joined(member) => *member.name == *"n0",
        _other => false,
    });
    assert!(joined < place(|event| matches!(event, Event::JoinDone(..))));
}

#[test]
fn a_seed_that_held_who_joins_for_gone_hears_its_answer_at_once() {
    for (held, told) in [(None, 0), (Some(Liveness::Dead), 1), (Some(Liveness::Left), 1)] {
        let mut solo = Solo::with_others(1, Planted::none());
        let seeds = vec![Net::address(5)];
        solo.input(Input::Join { asked: Asked(3), seeds, replay: false });
        let dialled = solo.out.iter().find_map(|effect| match effect {
            Effect::Dial(stream, _) => Some(*stream),
            _other => None,
        });
        let stream = dialled.expect("the seed is dialled");
        solo.input(Input::Stream(stream, StreamEvent::Connected));
        solo.sent();
        let mut states = vec![state(5, &VERSIONS, Liveness::Alive)];
        states.extend(held.map(|held| state(0, &VERSIONS, held)));
        solo.input(Input::Stream(stream, value(push_pull(states))));
        let refuted = solo.sent().into_iter().filter(|(to, message)| match message {
            Message::Alive(own) => *to == Net::address(5) && own.incarnation.0 == 2,
            _other => false,
        });
        assert_eq!(refuted.count(), told, "{held:?}");
    }
}

#[test]
fn a_join_of_nobody_ends_at_once() {
    let mut solo = Solo::new(|_| {});
    solo.input(Input::Join { asked: Asked(3), seeds: vec![], replay: false });
    assert!(solo.events().any(|event| *event == Event::JoinDone(Asked(3), 0, vec![])));
}

#[test]
fn too_many_streams_are_closed() {
    let mut solo = Solo::new(|_| {});
    solo.out.clear();
    for stream in 0..200 {
        let accepted = StreamEvent::Accepted(Net::address(9));
        solo.input(Input::Stream(StreamId(2 * stream + 1), accepted));
    }
    let closed =
        |solo: &Solo| solo.out.iter().filter(|effect| matches!(effect, Effect::Close(_))).count();
    assert_eq!(closed(&solo), 72, "128 stay open");
    solo.run(secs(11));
    assert_eq!(closed(&solo), 200, "and those that say nothing are closed in time");
}

#[test]
fn streams_that_hold_too_much_together_are_closed() {
    const MIB: usize = 1 << 20;
    let mut solo = Solo::new(|_| {});
    solo.out.clear();
    // The header of a user message of 20 MiB, which never comes whole.
    let mut head = b"\x08\x81\xaaUserMsgLen\xce".to_vec();
    head.extend_from_slice(&20_971_520_u32.to_be_bytes());
    let piece = |bytes: usize| StreamEvent::Bytes(Bytes::from(vec![7; bytes]));
    for (stream, mib) in [(1, 17), (3, 18), (5, 17), (7, 11)] {
        let id = StreamId(stream);
        solo.input(Input::Stream(id, StreamEvent::Accepted(Net::address(9))));
        solo.input(Input::Stream(id, StreamEvent::Bytes(head.clone().into())));
        solo.input(Input::Stream(id, piece(mib * MIB)));
    }
    let closed = |solo: &mut Solo| {
        let closed = solo.out.drain(..).filter_map(|effect| match effect {
            Effect::Close(id) => Some(id.0),
            _other => None,
        });
        closed.collect::<Vec<_>>()
    };
    assert_eq!(closed(&mut solo), [0; 0], "63 MiB are held");
    solo.input(Input::Stream(StreamId(7), piece(2 * MIB)));
    assert_eq!(closed(&mut solo), [3], "the largest makes room");
    solo.run(secs(11));
    assert_eq!(closed(&mut solo), [1, 5, 7]);
    solo.input(Input::Stream(StreamId(9), StreamEvent::Accepted(Net::address(9))));
    solo.input(Input::Stream(StreamId(9), StreamEvent::Bytes(head.into())));
    solo.input(Input::Stream(StreamId(9), piece(19 * MIB)));
    assert_eq!(closed(&mut solo), [0; 0], "what was closed holds nothing");
}

#[test]
fn members_drift_together_by_exchanges_alone() {
    let mut net = Net::new(5);
    for _ in 0..5 {
        net.start(|config| config.timing.push_pull_interval = secs(2));
    }
    for host in 1..5 {
        net.join(host, &[0]);
    }
    // no gossip at all, only pings and their answers
    net.packets_pass = Box::new(|_, _, datagram| {
        datagram.messages.iter().all(|message| {
            matches!(message, Message::Ping(_) | Message::Ack(_) | Message::Nack { .. })
        })
    });
    assert!(net.until(secs(60), Net::all_see_all).is_some());
}

#[test]
fn late_and_double_stream_events_are_harmless() {
    let mut solo = Solo::with_others(1, Planted::none());
    let id = StreamId(4);
    for event in [
        StreamEvent::Connected,
        StreamEvent::Closed,
        StreamEvent::Bytes(Bytes::from_static(b"\x06")),
        StreamEvent::Accepted(SocketAddr::from(([1, 2, 3, 4], 5))),
    ] {
        solo.input(Input::Stream(id, event.clone()));
        solo.input(Input::Stream(id, event));
    }
    assert_eq!(solo.pool.detected().count(), 2);
}
