//! Arbitrary inputs: nothing panics, rules hold, values and bytes decide alike, runs repeat.

use crate::net::{Net, text};
use crate::solo::{Solo, alive, said};
use bytes::Bytes;
use proconsul_gossip::{Asked, Effect, Input, KeyOp, QueryId, QueryParams, StreamEvent, StreamId};
use proconsul_types::{Duration, LamportTime, Liveness};
use proconsul_wire::crypto::{Key, Keyring, Seal};
use proconsul_wire::memberlist::{
    Ack, Alive, IndirectPing, Message, NodeState, Ping, PushPull, StreamMessage,
};
use proconsul_wire::packet::Datagram;
use proconsul_wire::stream::Sealed;
use proptest::prelude::*;
use std::sync::Arc;

fn any_alive() -> impl Strategy<Value = Arc<Alive>> {
    let versions = prop_oneof![
        4 => Just(vec![1, 5, 2, 2, 5, 4]),
        1 => prop::collection::vec(0_u8..7, 0..8),
    ];
    let meta = prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
    (0_usize..8, 0_u32..6, versions, meta, 0_u8..4).prop_map(
        |(host, incarnation, versions, meta, place)| {
            let base = alive(host, incarnation);
            let address = match place {
                0 => None,
                1 => Net::address(host + 1).ip().into(),
                _other => base.address,
            };
            let port = if place == 3 { 0 } else { base.port };
            let meta = meta.map(Bytes::from);
            Arc::new(Alive { versions, meta, address, port, ..Alive::clone(&base) })
        },
    )
}

fn any_accusation() -> impl Strategy<Value = Arc<proconsul_wire::memberlist::Accusation>> {
    (0_usize..8, 0_u32..6, 0_usize..8).prop_map(|(about, at, from)| said(about, at, from))
}

fn any_message() -> impl Strategy<Value = Message> {
    let user = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|mut bytes| {
            bytes.insert(0, 3);
            bytes
        }),
    ];
    prop_oneof![
        any_alive().prop_map(Message::Alive),
        any_accusation().prop_map(Message::Suspect),
        any_accusation().prop_map(Message::Dead),
        (0_u32..9, 0_usize..3).prop_map(|(sequence, host)| Message::Ping(Box::new(Ping {
            sequence,
            node: Net::name(host).into(),
            source: None,
            source_node: "".into(),
        }))),
        (0_u32..9, 0_usize..9, any::<bool>()).prop_map(|(sequence, host, nack)| {
            Message::IndirectPing(Box::new(IndirectPing {
                sequence,
                node: Net::name(host).into(),
                target: (host > 2).then(|| Net::address(host).ip()),
                port: 0,
                nack,
                source: None,
                source_node: "".into(),
            }))
        }),
        (0_u32..20).prop_map(|sequence| Message::Ack(Ack { sequence, payload: None })),
        (0_u32..20, prop::collection::vec(any::<u8>(), 0..90)).prop_map(|(sequence, payload)| {
            Message::Ack(Ack { sequence, payload: Some(payload.into()) })
        }),
        (0_u32..20).prop_map(|sequence| Message::Nack { sequence }),
        user.prop_map(|bytes| Message::User(bytes.into())),
    ]
}

fn any_datagram() -> impl Strategy<Value = Datagram> {
    let messages = prop::collection::vec(any_message(), 1..5);
    let label = prop_oneof![3 => Just(""), 1 => Just("blue")];
    let key = prop::option::of(1_u8..4);
    (messages, label, key, any::<bool>(), any::<bool>()).prop_map(
        |(messages, label, key, checksum, compress)| Datagram {
            label: label.into(),
            seal: key.map(seal),
            checksum,
            compress,
            messages,
        },
    )
}

fn seal(byte: u8) -> Seal {
    Seal { key: Key::new(&[byte; 16]).unwrap(), nonce: [byte; 12], version: 1 }
}

fn any_stream_message() -> impl Strategy<Value = StreamMessage> {
    let liveness = prop_oneof![
        Just(Liveness::Alive),
        Just(Liveness::Suspect),
        Just(Liveness::Dead),
        Just(Liveness::Left),
    ];
    let states =
        (any_alive(), liveness).prop_map(|(alive, liveness)| NodeState { alive, liveness });
    prop_oneof![
        3 => (any::<bool>(), prop::collection::vec(states, 0..6))
            .prop_map(|(join, nodes)| {
                StreamMessage::PushPull(PushPull { join, nodes: nodes.into(), user: None })
            }),
        1 => (0_u32..9).prop_map(|sequence| StreamMessage::Ack(Ack { sequence, payload: None })),
        1 => Just(StreamMessage::Error("no".into())),
        1 => prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| StreamMessage::User(bytes.into())),
    ]
}

fn any_stream_event() -> impl Strategy<Value = StreamEvent> {
    prop_oneof![
        2 => Just(StreamEvent::Accepted(Net::address(3))),
        2 => Just(StreamEvent::Connected),
        1 => Just(StreamEvent::Closed),
        1 => prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| StreamEvent::Bytes(bytes.into())),
        4 => (any_stream_message(), any::<bool>(), any::<bool>()).prop_map(
            |(message, dialled, as_bytes)| {
                let label = "".into();
                let sealed = Sealed { label, dialled, seal: None, compress: false, message };
                if as_bytes {
                    StreamEvent::Bytes(sealed.to_bytes())
                } else {
                    StreamEvent::Message(Box::new(sealed))
                }
            }
        ),
    ]
}

fn any_wish() -> impl Strategy<Value = Input> {
    let query = QueryParams {
        name: "q".into(),
        payload: text("p"),
        filters: vec![],
        ack: true,
        relay_factor: 1,
        timeout: Duration::ZERO,
    };
    prop_oneof![
        (0_u64..4, 0_usize..9, any::<bool>()).prop_map(|(asked, seed, replay)| Input::Join {
            asked: Asked(asked),
            seeds: vec![Net::address(seed)],
            replay
        }),
        (0_usize..9, any::<bool>())
            .prop_map(|(host, prune)| Input::ForceLeave { node: Net::name(host).into(), prune }),
        Just(Input::Fire { name: "e".into(), payload: text("p"), coalesce: true }),
        Just(Input::Query(Asked(7), query)),
        (0_u64..4, 0_u32..4).prop_map(|(time, id)| {
            Input::Respond(QueryId { time: LamportTime(time), id }, text("r"))
        }),
        Just(Input::Keys(Asked(8), KeyOp::List, 2)),
        Just(Input::Tags([("role".into(), "x".into())].into_iter().collect())),
        Just(Input::Leave),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Input(Input),
    Pass(Duration),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_message().prop_map(|message| {
            Step::Input(Input::Datagram(Net::address(2), crate::solo::plain(message)))
        }),
        2 => any_datagram().prop_map(|datagram| {
            Step::Input(Input::Packet(Net::address(2), datagram.to_bytes()))
        }),
        1 => prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| Step::Input(Input::Packet(Net::address(2), bytes.into()))),
        4 => (0_u64..8, any_stream_event())
            .prop_map(|(stream, event)| Step::Input(Input::Stream(StreamId(stream), event))),
        1 => any_wish().prop_map(Step::Input),
        1 => Just(Step::Input(Input::Wake)),
        3 => (0_u64..3000).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => (0_u64..100).prop_map(|secs| Step::Pass(Duration::from_secs(secs))),
    ]
}

/// Feeds a pool; gives everything it asked for, as text.
fn fed(steps: &[Step]) -> String {
    let mut solo = Solo::new(|_| {});
    for step in steps {
        match step {
            Step::Input(input) => solo.input(input.clone()),
            Step::Pass(time) => solo.run(*time),
        }
    }
    assert!(solo.pool.local().name == "n0".into(), "a pool never forgets itself");
    format!("{:?}", solo.out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_from_outside_breaks_a_rule(steps in prop::collection::vec(any_step(), 0..80)) {
        let first = fed(&steps);
        prop_assert_eq!(first, fed(&steps));
    }

    #[test]
    fn values_and_bytes_decide_alike(
        datagram in any_datagram(),
        keys in prop::collection::vec(1_u8..4, 0..3),
        label in prop_oneof![Just(""), Just("blue")],
        verify in any::<bool>(),
    ) {
        // without a check, what no key opens is read as plaintext: noise, as bytes alone
        let noise = !verify && datagram.seal.as_ref().is_some_and(|seal| {
            !keys.iter().any(|key| seal.key.as_bytes()[0] == *key)
        });
        prop_assume!(!noise);
        let taken = |input: &dyn Fn() -> Input| {
            let mut solo = Solo::new(|config| {
                config.keyring = Keyring::new(keys.iter().map(|key| seal(*key).key).collect());
                config.label = label.into();
                config.verify_incoming = verify;
            });
            solo.out.clear();
            solo.input(input());
            solo.out.retain(|effect| {
                !matches!(effect, Effect::Event(proconsul_gossip::Event::Notice(_)))
            });
            let mut held: Vec<_> = solo.pool.detected()
                .map(|(name, liveness, at)| (name.clone(), liveness, at))
                .collect();
            held.sort();
            (held, format!("{:?}", solo.out))
        };
        let from = Net::address(2);
        let value = taken(&|| Input::Datagram(from, datagram.clone()));
        let bytes = taken(&|| Input::Packet(from, datagram.to_bytes()));
        prop_assert_eq!(value, bytes);
    }
}

/// A story with everything in it; gives a hash over every effect of every pool.
fn story(seed: u64, as_bytes: bool) -> u64 {
    let mut net = Net::new(seed);
    net.as_bytes = as_bytes;
    net.loss = 30;
    for _ in 0..7 {
        net.start(|config| config.durable = false);
    }
    for host in 1..7 {
        net.join(host, &[0]);
    }
    net.run(Duration::from_secs(20));
    net.kill(3);
    net.input(5, Input::Fire { name: "e".into(), payload: text("p"), coalesce: false });
    net.packets_pass = Box::new(|a, b, _| a != 1 && b != 1);
    net.run(Duration::from_secs(20));
    net.packets_pass = Box::new(|_, _, _| true);
    net.input(6, Input::Leave);
    net.restart(3);
    net.join(3, &[0, 1]);
    net.run(Duration::from_secs(20));
    net.digest()
}

#[test]
fn the_same_run_twice() {
    for seed in 0..4 {
        assert_eq!(story(seed, false), story(seed, false), "seed {seed}");
        assert_eq!(story(seed, true), story(seed, true), "seed {seed}");
    }
    assert_ne!(story(1, false), story(2, false));
}

#[test]
fn values_and_bytes_tell_the_same_story() {
    for seed in 0..4 {
        let run = |as_bytes| {
            let mut net = Net::pool(seed, 5, |_| {});
            net.as_bytes = as_bytes;
            net.run(Duration::from_secs(10));
            net.kill(4);
            net.run(Duration::from_secs(30));
            (0..4).map(|host| (net.held(host, 4), net.get(host).health_score())).collect::<Vec<_>>()
        };
        assert_eq!(run(false), run(true), "seed {seed}");
    }
}
