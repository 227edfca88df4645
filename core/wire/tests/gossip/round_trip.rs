//! What is written is read again: every message, every layer, in any pieces.

use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use proconsul_types::{Incarnation, LamportTime, Liveness, TextMap};
use proconsul_wire::consul_event;
use proconsul_wire::crypto::{Key, Keyring, Seal};
use proconsul_wire::memberlist::{
    Accusation, Ack, Alive, IndirectPing, Message, NodeState, Ping, PushPull, StreamMessage,
};
use proconsul_wire::packet::{self, Datagram, Opened};
use proconsul_wire::serf;
use proconsul_wire::serf::{EventsAt, PushPullState};
use proconsul_wire::stream::{Reader, Sealed};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::sync::Arc;

fn name() -> impl Strategy<Value = Arc<str>> {
    ".{0,40}".prop_map(Arc::from)
}

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|octets| IpAddr::from(octets).to_canonical()),
    ]
}

fn place() -> impl Strategy<Value = SocketAddr> {
    (address(), 1..=u16::MAX).prop_map(SocketAddr::from)
}

fn ping() -> impl Strategy<Value = Ping> {
    (any::<u32>(), name(), option::of(place()), name()).prop_map(
        |(sequence, node, source, source_node)| Ping { sequence, node, source, source_node },
    )
}

fn ack() -> impl Strategy<Value = Ack> {
    (any::<u32>(), option::of(blob())).prop_map(|(sequence, payload)| Ack { sequence, payload })
}

fn accusation() -> impl Strategy<Value = Accusation> {
    (any::<u32>(), name(), name()).prop_map(|(incarnation, node, from)| Accusation {
        incarnation: Incarnation(incarnation),
        node,
        from,
    })
}

fn alive() -> impl Strategy<Value = Arc<Alive>> {
    let versions = vec(any::<u8>(), 0..9);
    (any::<u32>(), name(), option::of(address()), any::<u16>(), option::of(blob()), versions)
        .prop_map(|(incarnation, node, address, port, meta, versions)| {
            let incarnation = Incarnation(incarnation);
            Arc::new(Alive { incarnation, node, address, port, meta, versions })
        })
}

fn indirect() -> impl Strategy<Value = IndirectPing> {
    let who = (any::<u32>(), name(), option::of(address()), any::<u16>());
    (who, any::<bool>(), option::of(place()), name()).prop_map(
        |((sequence, node, target, port), nack, source, source_node)| IndirectPing {
            sequence,
            node,
            target,
            port,
            nack,
            source,
            source_node,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        ping().prop_map(|ping| Message::Ping(Box::new(ping))),
        indirect().prop_map(|ping| Message::IndirectPing(Box::new(ping))),
        ack().prop_map(Message::Ack),
        accusation().prop_map(|said| Message::Suspect(Arc::new(said))),
        alive().prop_map(Message::Alive),
        accusation().prop_map(|said| Message::Dead(Arc::new(said))),
        blob().prop_map(Message::User),
        any::<u32>().prop_map(|sequence| Message::Nack { sequence }),
    ]
}

fn time() -> impl Strategy<Value = LamportTime> {
    any::<u64>().prop_map(LamportTime)
}

fn state() -> impl Strategy<Value = PushPullState> {
    let events = vec((name(), option::of(blob())), 1..4);
    let at = (time(), events).prop_map(|(time, events)| EventsAt { time, events });
    (time(), vec((name(), time()), 0..20), vec(name(), 0..20), time(), vec(at, 0..5), time())
        .prop_map(|(time, status_times, left, event_time, events, query_time)| PushPullState {
            time,
            status_times: status_times.into(),
            left,
            event_time,
            events,
            query_time,
        })
}

fn push_pull() -> impl Strategy<Value = PushPull> {
    let liveness = prop_oneof![
        Just(Liveness::Alive),
        Just(Liveness::Suspect),
        Just(Liveness::Dead),
        Just(Liveness::Left),
    ];
    let node = (alive(), liveness).prop_map(|(alive, liveness)| NodeState { alive, liveness });
    (any::<bool>(), vec(node, 0..20), option::of(state()))
        .prop_map(|(join, nodes, user)| PushPull { join, nodes: nodes.into(), user })
}

fn stream_message() -> impl Strategy<Value = StreamMessage> {
    prop_oneof![
        ping().prop_map(StreamMessage::Ping),
        ack().prop_map(StreamMessage::Ack),
        push_pull().prop_map(StreamMessage::PushPull),
        blob().prop_map(StreamMessage::User),
        ".{0,99}".prop_map(StreamMessage::Error),
    ]
}

fn seal() -> impl Strategy<Value = Seal> {
    let key =
        prop_oneof![Just(16), Just(24), Just(32)].prop_flat_map(|size| vec(any::<u8>(), size));
    (key, any::<[u8; 12]>(), 0_u8..=1).prop_map(|(key, nonce, version)| Seal {
        key: Key::new(&key).unwrap(),
        nonce,
        version,
    })
}

fn query() -> impl Strategy<Value = serf::Message> {
    let who = (time(), any::<u32>(), option::of(place()), name(), vec(blob(), 0..4));
    let what = (any::<u32>(), any::<u8>(), any::<i64>(), name(), option::of(blob()));
    (who, what).prop_map(|(who, what)| {
        let (time, id, reply_to, source_node, filters) = who;
        let (flags, relay_factor, timeout_nanos, name, payload) = what;
        serf::Message::Query(serf::Query {
            time,
            id,
            reply_to,
            source_node,
            filters,
            flags,
            relay_factor,
            timeout_nanos,
            name,
            payload,
        })
    })
}

fn serf_message() -> impl Strategy<Value = serf::Message> {
    let response = (time(), any::<u32>(), name(), any::<u32>(), option::of(blob()));
    prop_oneof![
        (time(), name(), any::<bool>()).prop_map(|(time, node, prune)| serf::Message::Leave(
            serf::Leave { time, node, prune }
        )),
        (time(), name()).prop_map(|(time, node)| serf::Message::Join(serf::Join { time, node })),
        state().prop_map(serf::Message::PushPull),
        (time(), name(), option::of(blob()), any::<bool>()).prop_map(
            |(time, name, payload, coalesce)| {
                serf::Message::UserEvent(serf::UserEvent { time, name, payload, coalesce })
            }
        ),
        query(),
        response.prop_map(|(time, id, from, flags, payload)| {
            serf::Message::QueryResponse(serf::QueryResponse { time, id, from, flags, payload })
        }),
        (name(), place(), blob()).prop_map(|(name, to, message)| {
            serf::Message::Relay(serf::Relay { name, to, message })
        }),
    ]
}

/// The ring that opens what was sealed so.
fn ring(seal: &Option<Seal>) -> Keyring {
    Keyring::new(seal.iter().map(|seal| seal.key.clone()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn datagrams(
        label in "[a-z]{0,9}",
        seal in option::of(seal()),
        checksum in any::<bool>(),
        compress in any::<bool>(),
        messages in vec(message(), 1..9),
    ) {
        let mut keys = ring(&seal);
        if seal.is_some() {
            let other = Key::new(&[9; 32]).unwrap();
            keys.add(other.clone());
            prop_assert!(keys.use_key(&other).is_ok());
        }
        let datagram =
            Datagram { label: Arc::from(label.as_str()), seal, checksum, compress, messages };
        let bytes = datagram.to_bytes();
        let plain = Datagram { compress: false, ..datagram.clone() }.to_bytes();
        prop_assert!(bytes.len() <= plain.len(), "compression never makes a datagram longer");
        let opened = packet::open(&bytes, &keys, &label, true);
        prop_assert_eq!(opened, Ok(Opened { messages: datagram.messages, skipped: vec![] }));
    }

    #[test]
    fn streams(
        label in "[a-z]{0,9}",
        dialled in any::<bool>(),
        seal in option::of(seal()),
        compress in any::<bool>(),
        message in stream_message(),
        piece in 1_usize..200,
    ) {
        let keys = ring(&seal);
        let label: Arc<str> = Arc::from(label);
        let sealed = Sealed { label: Arc::clone(&label), dialled, seal, compress, message };
        let bytes = [&sealed.to_bytes()[..], b"what follows is ignored"].concat();
        let mut reader = Reader::new(!dialled, &label);
        let mut found = None;
        for bytes in bytes.chunks(piece) {
            reader.push(bytes);
            let taken = reader.take(&keys, true).unwrap();
            found = found.or(taken);
        }
        prop_assert_eq!(found, Some(sealed.message));
    }

    #[test]
    fn serf_messages(message in serf_message()) {
        let bytes = message.to_bytes();
        prop_assert_eq!(bytes.len(), message.encoded_len());
        prop_assert_eq!(serf::Message::decode(&bytes), Ok(message));
    }

    #[test]
    fn payloads(
        names in vec(name(), 0..20),
        texts in [".{0,300}", ".{0,40}", ".{0,40}"],
        tags in proptest::collection::btree_map(name(), name(), 0..20),
        blob in blob(),
        holder in (option::of(address()), any::<u16>(), 0_u8..=4, any::<[u8; 6]>()),
        result in any::<bool>(),
    ) {
        let tags: TextMap = tags;
        prop_assert_eq!(&serf::decode_tags(&serf::encode_tags(&tags)), &tags);
        let nodes = serf::Filter::Nodes(names.clone());
        prop_assert_eq!(serf::Filter::decode(&nodes.to_bytes()), Ok(nodes));
        let [long, tag, expression] = texts;
        let filter = serf::Filter::Tag { tag: tag.clone(), expression: expression.clone() };
        prop_assert_eq!(serf::Filter::decode(&filter.to_bytes()), Ok(filter));
        let request = serf::KeyRequest { key: blob.clone() };
        prop_assert_eq!(serf::KeyRequest::decode(&request.to_bytes()), Ok(request));
        let response = serf::KeyResponse {
            result,
            message: long.clone(),
            keys: names.iter().map(|name| name.to_string()).collect(),
            primary: tag.clone(),
        };
        prop_assert_eq!(serf::KeyResponse::decode(&response.to_bytes()), Ok(response));
        let (address, port, status, [a, b, c, d, e, f]) = holder;
        let versions = proconsul_wire::memberlist::Versions {
            protocol_min: a,
            protocol_max: b,
            protocol: c,
            delegate_min: d,
            delegate_max: e,
            delegate: f,
        };
        let name = Arc::from(tag.as_str());
        let member = serf::ConflictMember { name, address, port, tags, status, versions };
        let bytes = serf::encode_conflict(Some(&member));
        prop_assert_eq!(serf::decode_conflict(&bytes), Ok(Some(member)));
        let event = consul_event::Event {
            id: tag,
            name: expression.clone(),
            payload: blob,
            node_filter: long,
            service_filter: expression,
            tag_filter: String::new(),
            version: consul_event::VERSION,
        };
        prop_assert_eq!(consul_event::decode(&consul_event::encode(&event)), Ok(event));
    }
}

#[test]
fn nobody_is_an_answer_too() {
    assert_eq!(&serf::encode_conflict(None)[..], [6, 0xc0]);
    assert_eq!(serf::decode_conflict(&[6, 0xc0]), Ok(None));
}

#[test]
fn tags_without_their_mark_are_the_role() {
    let role = |value: &str| TextMap::from([(Arc::from("role"), Arc::from(value))]);
    assert_eq!(serf::decode_tags(b"web"), role("web"));
    assert_eq!(serf::decode_tags(b""), role(""));
    assert_eq!(serf::decode_tags(b"\xff\x80"), TextMap::new());
    assert_eq!(serf::decode_tags(b"\xff\x82\xa4role\xa1x\xa1y"), role("x"), "as far as it goes");
}
