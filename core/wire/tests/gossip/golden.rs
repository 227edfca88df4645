//! Every capture is understood, and written again it has the bytes of the capture.

use crate::expected::{check_message, check_stream, leaves};
use crate::fixture::{Fixture, hex};
use proconsul_types::LamportTime;
use proconsul_wire::consul_event;
use proconsul_wire::memberlist::{Message, StreamMessage};
use proconsul_wire::packet::{self, Datagram};
use proconsul_wire::serf;
use proconsul_wire::serf::{EventsAt, PushPullState};
use proconsul_wire::stream::{Reader, Sealed};
use serde_json::Value;
use std::sync::Arc;

/// Whether the capture is compressed without an opening clear code, as by the older Go that Consul
/// 1.8.7 was built with. Its bytes are understood, but they are not those that are written today
/// (the tests of `lzw` compare them).
fn packed_by_old_go(fixture: &Fixture, compressed: bool) -> bool {
    compressed && fixture.name.contains("consul")
}

/// Whether a layer of that name is in a decoded datagram, outside of compounds.
fn has_layer(decoded: &Value, layer: &str) -> bool {
    let outer = &decoded["msg"];
    *outer == *layer
        || ((*outer == "hasCrc" || *outer == "compress") && has_layer(&decoded["inner"], layer))
}

#[test]
fn datagrams_are_understood_and_written_again() {
    for fixture in Fixture::all("udp-") {
        let name = &fixture.name;
        let opened =
            packet::open(&fixture.bytes, &fixture.keyring, &fixture.label, true).expect(name);
        assert_eq!(opened.skipped, [], "{name}");
        let expected = leaves(&fixture.decoded);
        assert_eq!(opened.messages.len(), expected.len(), "{name}");
        for (told, message) in expected.into_iter().zip(&opened.messages) {
            check_message(told, message);
            assert_eq!(message.encoded_len(), message.to_bytes().len());
            assert_eq!(&Message::decode(&message.to_bytes()).unwrap(), message);
        }
        let compress = has_layer(&fixture.decoded, "compress");
        if packed_by_old_go(&fixture, compress) {
            let datagram = Datagram {
                label: Arc::from(""),
                seal: None,
                checksum: false,
                compress: false,
                messages: opened.messages,
            };
            let told = &fixture.decoded["inner"]["plain_hex"];
            assert_eq!(told.as_str().unwrap(), hex(&datagram.to_bytes()), "{name}");
            continue;
        }
        let written: Vec<String> = (0..fixture.keyring.keys().len().max(1))
            .map(|key| {
                let datagram = Datagram {
                    label: Arc::from(fixture.label.as_str()),
                    seal: fixture.seal(key),
                    checksum: has_layer(&fixture.decoded, "hasCrc"),
                    compress,
                    messages: opened.messages.clone(),
                };
                hex(&datagram.to_bytes())
            })
            .collect();
        assert!(written.contains(&hex(&fixture.bytes)), "{name} is written as {written:?}");
    }
}

/// The message of a stream that comes in pieces of that many bytes.
fn read(fixture: &Fixture, dialled: bool, piece: usize) -> StreamMessage {
    let mut reader = Reader::new(dialled, &fixture.label);
    let mut found = None;
    for bytes in fixture.bytes.chunks(piece) {
        assert_eq!(found, None, "{}: a message before its end", fixture.name);
        reader.push(bytes);
        found = reader.take(&fixture.keyring, true).expect(&fixture.name);
    }
    found.unwrap_or_else(|| panic!("{}: no message", fixture.name))
}

#[test]
fn streams_are_understood_and_written_again() {
    for fixture in Fixture::all("tcp-") {
        let name = &fixture.name;
        // Only the dialler writes the label, so a stream that begins with one was dialled by the
        // other side; without labels both directions look alike.
        let ours = !fixture.label.is_empty() && fixture.bytes[0] != 0xf4;
        let message = read(&fixture, ours, fixture.bytes.len());
        check_stream(&fixture.decoded, &message);
        assert_eq!(read(&fixture, ours, 1), message, "{name}, byte by byte");

        let sealed = Sealed {
            label: Arc::from(fixture.label.as_str()),
            dialled: !ours,
            seal: fixture.seal(0),
            compress: fixture.decoded.get("compress").is_some(),
            message: message.clone(),
        };
        match message {
            StreamMessage::PushPull(state) => check_push_pull(&fixture, sealed, state.user),
            StreamMessage::Ping(_)
            | StreamMessage::Ack(_)
            | StreamMessage::User(_)
            | StreamMessage::Error(_)
                if packed_by_old_go(&fixture, sealed.compress) =>
            {
                let plain = Sealed { label: Arc::from(""), seal: None, compress: false, ..sealed };
                assert_eq!(hex(&plain.to_bytes()), hex(&fixture.plain()), "{name}");
            }
            StreamMessage::Ping(_)
            | StreamMessage::Ack(_)
            | StreamMessage::User(_)
            | StreamMessage::Error(_) => {
                assert_eq!(hex(&sealed.to_bytes()), hex(&fixture.bytes), "{name}");
            }
        }
    }
}

/// Real senders ship their whole ring of events and, without Serf, anything at all; so a push/pull
/// is compared piece by piece: header, members, Serf's part without the empty slots.
fn check_push_pull(fixture: &Fixture, sealed: Sealed, user: Option<PushPullState>) {
    let plain = Sealed { label: Arc::from(""), seal: None, compress: false, ..sealed };
    let (ours, theirs) = (plain.to_bytes(), fixture.plain());
    let [our_header, our_nodes, our_part] = split(&ours);
    let [header, nodes, part] = split(&theirs);
    assert_eq!(hex(our_header), hex(header), "{}", fixture.name);
    assert_eq!(hex(our_nodes), hex(nodes), "{}", fixture.name);
    match user {
        Some(state) => assert_eq!(hex(our_part), hex(&without_empty_slots(part, &state))),
        None => assert_eq!(our_part.len(), 0),
    }
}

/// A plain push/pull in three: the header up to the length of Serf's part, the members, that part.
fn split(plain: &[u8]) -> [&[u8]; 3] {
    let key = b"\xacUserStateLen";
    let at = plain.windows(key.len()).position(|bytes| bytes == key).unwrap() + key.len();
    let (length, behind) = match plain[at] {
        0xcd => (usize::from(plain[at + 1]) * 256 + usize::from(plain[at + 2]), at + 3),
        small => (usize::from(small), at + 1),
    };
    let user = plain.len() - length;
    [&plain[..at], &plain[behind..user], &plain[user..]]
}

/// What a real Serf's part would be if its ring of 512 slots held the used ones only.
fn without_empty_slots(part: &[u8], state: &PushPullState) -> Vec<u8> {
    let key = b"\xa6Events\xdc\x02\x00";
    let Some(at) = part.windows(key.len()).position(|bytes| bytes == key) else {
        return part.to_vec();
    };
    let mut kept = part[..at + key.len() - 3].to_vec();
    kept.push(0x90 + u8::try_from(state.events.len()).unwrap());
    let mut rest = &part[at + key.len()..];
    let mut used = state.events.iter();
    for _ in 0..512 {
        if let Some(behind) = rest.strip_prefix(b"\xc0") {
            rest = behind;
        } else {
            let slot = slot_bytes(used.next().expect("as many events as used slots"));
            rest = rest.strip_prefix(slot.as_slice()).expect("a slot is written as it came");
            kept.extend_from_slice(&slot);
        }
    }
    kept.extend_from_slice(rest);
    kept
}

/// One slot of the ring.
fn slot_bytes(at: &EventsAt) -> Vec<u8> {
    let write = |events| {
        serf::Message::PushPull(PushPullState { events, ..PushPullState::default() }).to_bytes()
    };
    let (empty, one) = (write(vec![]), write(vec![at.clone()]));
    let before = empty.iter().zip(&one).take_while(|(a, b)| a == b).count() + 1;
    one[before..before + one.len() - empty.len()].to_vec()
}

#[test]
fn what_the_label_does_not_say_the_direction_does() {
    for fixture in Fixture::all("tcp-label-") {
        let theirs = fixture.bytes[0] == 0xf4;
        let mut reader = Reader::new(theirs, &fixture.label);
        reader.push(&fixture.bytes);
        assert!(reader.take(&fixture.keyring, true).is_err(), "{}", fixture.name);
    }
}

#[test]
fn consul_events_are_understood_and_written_again() {
    let mut seen = 0;
    for fixture in Fixture::all("udp-consul-user-event") {
        let told = &fixture.decoded["event_payload_decoded"];
        let opened = packet::open(&fixture.bytes, &fixture.keyring, "", true).unwrap();
        let [Message::User(bytes)] = opened.messages.as_slice() else {
            panic!("one user message, not {opened:?}");
        };
        let Ok(serf::Message::UserEvent(event)) = serf::Message::decode(bytes) else {
            panic!("a user event");
        };
        let payload = event.payload.unwrap();
        let found = consul_event::decode(&payload).unwrap();
        assert!(event.time > LamportTime(0));
        assert_eq!(event.name.strip_prefix(consul_event::NAME_PREFIX), Some(&*found.name));
        assert_eq!(told["ID"], found.id);
        assert_eq!(told["n"], found.name);
        assert_eq!(told["p"].as_str().unwrap().as_bytes(), found.payload);
        assert_eq!(told["v"], found.version);
        for (field, value) in
            [("nf", &found.node_filter), ("sf", &found.service_filter), ("tf", &found.tag_filter)]
        {
            assert_eq!(told[field].as_str().unwrap_or_default(), value);
        }
        assert_eq!(hex(&consul_event::encode(&found)), hex(&payload));
        seen += 1;
    }
    assert_eq!(seen, 2);
}
