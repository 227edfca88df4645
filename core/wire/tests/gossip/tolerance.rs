//! What an old peer accepts is accepted, what it refuses is refused: row by row.

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr};
use proconsul_types::Incarnation;
use proconsul_wire::crypto::Keyring;
use proconsul_wire::memberlist::{Alive, DecodeError, Message, Versions};
use proconsul_wire::packet::{self, PacketError};
use proconsul_wire::serf;
use std::sync::Arc;

/// A short text or bytes.
fn raw(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 32);
    [&[0xa0 + u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// The fields of an alive message in the order in which they are declared, as values.
fn fields() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("Incarnation", vec![7]),
        ("Node", raw(b"s2")),
        ("Addr", raw(&[127, 0, 0, 3])),
        ("Port", vec![0xcd, 0x4a, 0x9d]),
        ("Meta", raw(b"\xff\x80")),
        ("Vsn", raw(&[1, 5, 2, 2, 5, 5])),
    ]
}

/// The same fields with another value for one of them.
fn with(name: &str, value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = fields();
    fields.iter_mut().find(|(field, _)| *field == name).unwrap().1 = value.to_vec();
    fields
}

/// An alive message whose body is a map of these.
fn as_map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![4, 0x80 + u8::try_from(fields.len()).unwrap()];
    for (name, value) in fields {
        bytes.extend(raw(name.as_bytes()));
        bytes.extend(value);
    }
    bytes
}

/// What those fields say.
fn plain() -> Alive {
    Alive {
        incarnation: Incarnation(7),
        node: Arc::from("s2"),
        address: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3))),
        port: 19101,
        meta: Some(Bytes::from_static(b"\xff\x80")),
        versions: vec![1, 5, 2, 2, 5, 5],
    }
}

/// The verdict on an alive message that came by datagram.
fn verdict(bytes: &[u8]) -> Result<Alive, PacketError> {
    let opened = packet::open(bytes, &Keyring::default(), "", true).unwrap();
    match (opened.messages.as_slice(), opened.skipped.as_slice()) {
        ([Message::Alive(alive)], []) => Ok(Alive::clone(alive)),
        ([], [reason]) => Err(reason.clone()),
        other => panic!("one message or one reason, not {other:?}"),
    }
}

fn accepted(fields: &[(&str, Vec<u8>)], expected: Alive) {
    assert_eq!(verdict(&as_map(fields)), Ok(expected));
}

fn refused(fields: &[(&str, Vec<u8>)], reason: DecodeError) {
    assert_eq!(verdict(&as_map(fields)), Err(PacketError::Message(reason)));
}

#[test]
fn integers_of_any_width_and_sign() {
    for value in [
        &[0xcd, 0x4a, 0x9d][..],
        &[0xce, 0, 0, 0x4a, 0x9d],
        &[0xcf, 0, 0, 0, 0, 0, 0, 0x4a, 0x9d],
        &[0xd1, 0x4a, 0x9d],
        &[0xd2, 0, 0, 0x4a, 0x9d],
        &[0xd3, 0, 0, 0, 0, 0, 0, 0x4a, 0x9d],
    ] {
        accepted(&with("Port", value), plain());
    }
    accepted(&with("Port", &[0xcc, 200]), Alive { port: 200, ..plain() });
    accepted(&with("Port", &[0xd0, 100]), Alive { port: 100, ..plain() });
    for value in [&[0xce, 0, 1, 0, 0][..], &[0xd0, 0x9c], &[0xff], &[0xd3; 9]] {
        refused(&with("Port", value), DecodeError::Range);
    }
    refused(&with("Port", &raw(b"80")), DecodeError::Mismatch(0xa2));
}

#[test]
fn unknown_keys_are_stepped_over_whatever_they_hold() {
    let values: [&[u8]; 12] = [
        &[0xc0],
        &[0xc3],
        &[0xcb, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xd9, 2, b'a', b'b'],
        &[0xc4, 1, 0],
        &[0xc5, 0, 1, 0],
        &[0xd4, 1, 2],
        &[0xd8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xc7, 2, 9, 1, 1],
        &[0x93, 0x81, 1, 0x91, 0xc0, 0xdc, 0, 1, 2, 0xe0],
        &[0xdf, 0, 0, 0, 1, 0xa1, b'x', 0x90],
        &[0xdd, 0, 0, 0, 2, 1, 0xc9, 0, 0, 0, 1, 5, 6],
    ];
    for value in values {
        let mut fields = fields();
        fields.insert(2, ("Unheard", value.to_vec()));
        accepted(&fields, plain());
    }
}

#[test]
fn missing_keys_nil_and_wrong_case_are_zero() {
    let zero: [(&str, Alive); 6] = [
        ("Incarnation", Alive { incarnation: Incarnation(0), ..plain() }),
        ("Node", Alive { node: Arc::from(""), ..plain() }),
        ("Addr", Alive { address: None, ..plain() }),
        ("Port", Alive { port: 0, ..plain() }),
        ("Meta", Alive { meta: None, ..plain() }),
        ("Vsn", Alive { versions: vec![], ..plain() }),
    ];
    for (name, expected) in zero {
        let mut without = fields();
        without.retain(|(field, _)| *field != name);
        accepted(&without, expected.clone());
        accepted(&with(name, &[0xc0]), expected.clone());
        let lower = name.to_lowercase();
        let mut fields = fields();
        fields.iter_mut().find(|(field, _)| *field == name).unwrap().0 = lower.as_str();
        accepted(&fields, expected);
    }
    assert_eq!(verdict(&[4, 0xc0]), Ok(Alive::default()));
    assert_eq!(verdict(&[4, 0x80]), Ok(Alive::default()));
}

#[test]
fn structs_as_lists_stand_in_the_order_of_declaration() {
    let values: Vec<u8> = fields().into_iter().flat_map(|(_, value)| value).collect();
    for head in [&[4, 0x96][..], &[4, 0xdc, 0, 6], &[4, 0xdd, 0, 0, 0, 6]] {
        assert_eq!(verdict(&[head, &values].concat()), Ok(plain()));
    }
    let more = [&[4, 0x98][..], &values, &[0x91, 0xc0], &[0xc2]].concat();
    assert_eq!(verdict(&more), Ok(plain()));
    let fewer = Alive { incarnation: Incarnation(7), node: Arc::from("s2"), ..Alive::default() };
    assert_eq!(verdict(&[4, 0x92, 7, 0xa2, b's', b'2']), Ok(fewer));
    assert_eq!(
        serf::Message::decode(&[0, 0x93, 4, 0xa2, b's', b'2', 0xc3]),
        Ok(serf::Message::Leave(serf::Leave {
            time: proconsul_types::LamportTime(4),
            node: Arc::from("s2"),
            prune: true,
        }))
    );
}

#[test]
fn bytes_as_lists_of_numbers() {
    accepted(&with("Vsn", &[0x96, 1, 5, 2, 2, 5, 5]), plain());
    accepted(&with("Addr", &[0x94, 127, 0, 0, 3]), plain());
    refused(&with("Vsn", &[0x91, 0xcd, 1, 0]), DecodeError::Range);
}

#[test]
fn versions_of_any_count_are_no_danger() {
    for count in 0..=9 {
        let versions = vec![1; count];
        accepted(&with("Vsn", &raw(&versions)), Alive { versions, ..plain() });
    }
    assert_eq!(Versions::default().protocol, 0);
}

#[test]
fn texts_and_bytes_of_newer_families() {
    accepted(&with("Node", &[0xd9, 2, b's', b'2']), plain());
    accepted(&with("Node", &[0xda, 0, 2, b's', b'2']), plain());
    accepted(&with("Node", &[0xdb, 0, 0, 0, 2, b's', b'2']), plain());
    for head in [&[0xc4, 2][..], &[0xc5, 0, 2], &[0xc6, 0, 0, 0, 2], &[0xd9, 2]] {
        accepted(&with("Meta", &[head, b"\xff\x80"].concat()), plain());
    }
    refused(&with("Node", &[0xc4, 2, b's', b'2']), DecodeError::Mismatch(0xc4));
}

#[test]
fn truths_as_numbers() {
    for (value, expected) in [(0xc2, false), (0xc3, true), (0, false), (1, true), (0xc0, false)] {
        let bytes = [&[0, 0x81, 0xa5][..], b"Prune", &[value]].concat();
        let Ok(serf::Message::Leave(leave)) = serf::Message::decode(&bytes) else {
            panic!("a leave");
        };
        assert_eq!(leave.prune, expected);
    }
    let bytes = [&[0, 0x81, 0xa5][..], b"Prune", &[2]].concat();
    assert_eq!(serf::Message::decode(&bytes), Err(DecodeError::Mismatch(2)));
}

#[test]
fn what_follows_the_body_is_ignored() {
    let bytes = [&as_map(&fields())[..], b"and more"].concat();
    assert_eq!(verdict(&bytes), Ok(plain()));
}

#[test]
fn addresses_of_odd_lengths_are_none_and_mapped_ones_stay() {
    for bytes in [&[][..], &[1], &[1, 2, 3], &[1; 5], &[1; 15], &[1; 17]] {
        accepted(&with("Addr", &raw(bytes)), Alive { address: None, ..plain() });
    }
    let mapped = Ipv4Addr::new(127, 0, 0, 3).to_ipv6_mapped();
    let told = raw(&mapped.octets());
    accepted(&with("Addr", &told), Alive { address: Some(IpAddr::V6(mapped)), ..plain() });
}

#[test]
fn texts_need_not_be_utf_8() {
    accepted(&with("Node", &raw(b"s\xff")), Alive { node: Arc::from("s\u{fffd}"), ..plain() });
}

#[test]
fn a_key_that_is_no_text_refuses_the_message() {
    assert_eq!(verdict(&[4, 0x81, 5, 5]), Err(PacketError::Message(DecodeError::Mismatch(5))));
}

#[test]
fn what_is_not_single_is_skipped_and_the_rest_stands() {
    let alive = as_map(&fields());
    let parts: [&[u8]; 5] = [&alive, &[6, 0xc0], &[], &[12, 0, 0, 0, 0, 1], &[0x0b, 0x80]];
    let mut bytes = vec![7, 6];
    for part in parts {
        bytes.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
    }
    bytes.extend([0, 9]);
    bytes.extend(parts.concat());
    let opened = packet::open(&bytes, &Keyring::default(), "", true).unwrap();
    assert_eq!(opened.messages, [Message::Alive(Arc::new(plain())), Message::Nack { sequence: 0 }]);
    assert_eq!(
        opened.skipped,
        [
            PacketError::Message(DecodeError::Kind(6)),
            PacketError::Empty,
            PacketError::Message(DecodeError::Kind(12)),
            PacketError::Truncated(1),
        ]
    );
}
