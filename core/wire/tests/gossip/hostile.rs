//! Whatever comes, nothing breaks: no bytes make a reader panic or disagree with itself.

use crate::exercise::{exercise, inside, ring};
use crate::fixture::Fixture;
use proconsul_wire::crypto::Keyring;
use proconsul_wire::memberlist::{self, StreamMessage};
use proconsul_wire::packet::{self, PacketError};
use proconsul_wire::stream::{Reader, StreamError};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Captures whose plaintext can be changed to good effect.
static PLAIN: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
    let mut found = Fixture::all("udp-");
    found.extend(Fixture::all("tcp-"));
    found.retain(|fixture| fixture.keyring.is_empty());
    found
});

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_bytes_do_no_harm(
        kind in 0_u8..16,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        exercise(&bytes, "");
        exercise(&[&[kind], &bytes[..]].concat(), "");
        exercise(&[&[kind, 0x86], &bytes[..]].concat(), "");
    }

    #[test]
    fn changed_captures_do_no_harm(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let fixture = which.get(PLAIN.as_slice());
        let mut bytes = fixture.bytes.clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(fixture.bytes.len()));
        }
        exercise(&bytes, &fixture.label);
        // Behind a checksum that no longer holds there is more to read.
        if let Some((&12, rest)) = bytes.split_first() {
            exercise(rest.get(4..).unwrap_or_default(), "");
        }
        if let Some((&8, rest)) = bytes.split_first() {
            inside(rest);
        }
    }
}

#[test]
fn layers_within_each_other_have_an_end() {
    let mut bytes = vec![0x0b, 0x80];
    for _ in 0..7 {
        bytes = [&[7, 1][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat();
    }
    let open = |bytes: &[u8]| packet::open(bytes, &Keyring::default(), "", true).unwrap();
    assert_eq!(open(&bytes).messages, [memberlist::Message::Nack { sequence: 0 }]);
    for _ in 0..2 {
        bytes = [&[7, 1][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat();
    }
    assert_eq!(open(&bytes).skipped, [PacketError::Depth]);
}

#[test]
fn labels_must_be_ours() {
    let open = |bytes: &[u8], label| packet::open(bytes, &Keyring::default(), label, true);
    let nack = [0x0b, 0x80];
    assert!(open(&[&[0xf4, 1, b'a'][..], &nack].concat(), "a").is_ok());
    assert_eq!(open(&[&[0xf4, 1, b'b'][..], &nack].concat(), "a"), Err(PacketError::LabelMismatch));
    assert_eq!(open(&nack, "a"), Err(PacketError::LabelMismatch));
    assert_eq!(open(&[0xf4, 1, b'a'], ""), Err(PacketError::LabelMismatch));
    for broken in [&[0xf4][..], &[0xf4, 0, 1], &[0xf4, 3, b'a', b'b']] {
        assert_eq!(open(broken, "ab"), Err(PacketError::LabelForm));
    }
    let mut reader = Reader::new(false, "a");
    reader.push(&[0xf4, 1]);
    assert_eq!(reader.take(&Keyring::default(), true), Ok(None));
    reader.push(b"b");
    assert_eq!(reader.take(&Keyring::default(), true), Err(StreamError::LabelMismatch));
}

#[test]
fn streams_are_refused_with_the_texts_that_peers_know() {
    let reply = |bytes: &[u8], keys: &Keyring, verify| {
        let mut reader = Reader::new(false, "");
        reader.push(bytes);
        reader.take(keys, verify).expect_err("a refusal").reply()
    };
    let none = Keyring::default();
    let ping = [0, 0x80];
    assert_eq!(
        reply(&[10, 0, 0, 0, 1, 1], &none, true).as_deref(),
        Some("Remote state is encrypted and encryption is not configured")
    );
    assert_eq!(
        reply(&ping, &ring(), true).as_deref(),
        Some("Encryption is configured but remote state is not encrypted")
    );
    assert_eq!(
        reply(&[&[10, 0, 0, 0, 29][..], &[1; 29]].concat(), &ring(), true).as_deref(),
        Some("No installed keys could decrypt the message")
    );
    assert_eq!(
        reply(&[10, 0x40, 0, 0, 0], &ring(), true).as_deref(),
        Some("Remote node state is larger than limit (1073741824)")
    );
    assert_eq!(
        reply(&[&[9, 0x81, 0xa4][..], b"Algo", &[3]].concat(), &none, true).as_deref(),
        Some("Cannot decompress unknown algorithm 3")
    );
    assert_eq!(reply(&[4, 0x80], &none, true), None, "a type that is none of streams");
    assert_eq!(reply(&[6, 0x81, 5, 5], &none, true), None, "a header that is none");
    let mut reader = Reader::new(false, "");
    reader.push(&ping);
    assert!(matches!(reader.take(&ring(), false), Ok(Some(StreamMessage::Ping(_)))));
}

#[test]
fn announced_sizes_have_limits() {
    let take = |bytes: &[u8]| {
        let mut reader = Reader::new(false, "");
        reader.push(bytes);
        reader.take(&Keyring::default(), true)
    };
    let nodes = |count: [u8; 4]| [&[6, 0x81, 0xa5][..], b"Nodes", &[0xce], &count].concat();
    assert_eq!(take(&nodes([0, 16, 0, 0])), Ok(None), "a mebi of members is waited for");
    assert_eq!(take(&nodes([0, 16, 0, 1])), Err(StreamError::Limit));
    let user = |count: [u8; 4]| [&[8, 0x81, 0xaa][..], b"UserMsgLen", &[0xce], &count].concat();
    assert_eq!(take(&user([1, 64, 0, 0])), Ok(None), "20 MiB are waited for");
    assert_eq!(take(&user([1, 64, 0, 1])), Err(StreamError::Limit));
}
