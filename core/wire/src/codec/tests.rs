//! Golden vectors (a format is a promise), round trips, hostile bytes.

use super::*;
use crate::{FrameError, FrameReader, Hello};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use proconsul_types::{EntryId, LogIndex, NodeId, Term};
use proptest::prelude::*;
use serde::Deserialize;

/// Every shape that messages are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Sample {
    Unit,
    Pair(u64, i32),
    Fields { text: String, bytes: Bytes, many: Vec<EntryId>, maybe: Option<bool> },
    Map(BTreeMap<String, u8>),
    Id(NodeId),
}

fn hello() -> Hello {
    Hello {
        version: 1,
        id: NodeId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        datacenter: "dc1".into(),
        advertised: "127.0.0.1:8300".parse().unwrap(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_vectors() {
    let id = EntryId::new(Term(2), LogIndex(300));
    let fields = Sample::Fields {
        text: "hi".into(),
        bytes: Bytes::from_static(&[0xff, 0]),
        many: vec![id],
        maybe: Some(true),
    };
    for (value, golden) in [
        (Sample::Unit, "0100"),
        (Sample::Pair(1, -1), "01010101"),
        (Sample::Pair(u64::MAX, 300), "0101fdfffffffffffffffffb5802"),
        (fields, concat!("01", "02", "026869", "02ff00", "01", "02fb2c01", "0101")),
        (Sample::Map(BTreeMap::from([("k".into(), 7)])), "010301016b07"),
        (Sample::Id(NodeId(9)), "010409"),
    ] {
        let bytes = encode(&value).unwrap();
        assert_eq!(hex(&bytes), golden, "{value:?}");
        assert_eq!(decode::<Sample>(&bytes), Ok(value));
    }
}

#[test]
fn golden_greeting() {
    let bytes = frame(&hello()).unwrap();
    assert_eq!(
        hex(&bytes),
        concat!(
            "1f000000",
            "01",
            "01",
            "feffeeddccbbaa99887766554433221100",
            "03646331",
            "00",
            "7f000001",
            "fb6c20"
        )
    );
    let mut reader = FrameReader::new();
    reader.push(&bytes);
    assert_eq!(decode::<Hello>(&reader.take().unwrap().unwrap()), Ok(hello()));
}

#[test]
fn what_is_no_message_is_refused() {
    assert_eq!(decode::<Sample>(&[]), Err(DecodeError::Empty));
    assert_eq!(decode::<Sample>(&[2, 0]), Err(DecodeError::Version(2)));
    assert_eq!(decode::<Sample>(&[1, 0, 0]), Err(DecodeError::Trailing(1)));
    assert!(matches!(decode::<Sample>(&[1, 9]), Err(DecodeError::Body(_))));
    // A text that claims 2^60 bytes.
    let claim = [1, 2, 0xfd, 0, 0, 0, 0, 0, 0, 0, 16];
    assert!(matches!(decode::<Sample>(&claim), Err(DecodeError::Body(_))));
}

#[test]
fn a_message_over_the_limit_is_not_sent() {
    let bytes = Bytes::from(vec![0; PEER_MESSAGE_BYTES_MAX]);
    assert!(matches!(encode(&bytes), Err(EncodeError::TooLarge(_))));
    let fits = Bytes::from(vec![0; PEER_MESSAGE_BYTES_MAX - 16]);
    assert_eq!(decode::<Bytes>(&encode(&fits).unwrap()), Ok(fits));
}

#[test]
fn hostile_lengths_break_the_stream_for_good() {
    let mut reader = FrameReader::new();
    reader.push(&[0xff; 4]);
    assert_eq!(reader.take(), Err(FrameError::TooLarge(u32::MAX)));
    reader.push(&frame(&1_u8).unwrap());
    assert_eq!(reader.take(), Err(FrameError::TooLarge(u32::MAX)));
    assert_eq!(reader.pending_bytes(), 0);

    let mut reader = FrameReader::new();
    reader.push(&[0; 4]);
    assert_eq!(reader.take_all(), Err(FrameError::Empty));
}

fn sample() -> impl Strategy<Value = Sample> {
    let id = (any::<u64>(), any::<u64>()).prop_map(|(t, i)| EntryId::new(Term(t), LogIndex(i)));
    let fields = (
        ".*",
        proptest::collection::vec(any::<u8>(), 0..300),
        proptest::collection::vec(id, 0..5),
        any::<Option<bool>>(),
    );
    prop_oneof![
        Just(Sample::Unit),
        (any::<u64>(), any::<i32>()).prop_map(|(a, b)| Sample::Pair(a, b)),
        fields.prop_map(|(text, bytes, many, maybe)| {
            Sample::Fields { text, bytes: Bytes::from(bytes), many, maybe }
        }),
        proptest::collection::btree_map(".{0,8}", any::<u8>(), 0..5).prop_map(Sample::Map),
        any::<u128>().prop_map(|id| Sample::Id(NodeId(id))),
    ]
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(
        values in proptest::collection::vec(sample(), 0..6),
        cut in 1_usize..40,
    ) {
        let stream: Vec<u8> =
            values.iter().flat_map(|value| frame(value).unwrap().to_vec()).collect();
        let mut reader = FrameReader::new();
        let mut found = Vec::new();
        for piece in stream.chunks(cut) {
            reader.push(piece);
            for content in reader.take_all().unwrap() {
                found.push(decode::<Sample>(&content).unwrap());
            }
        }
        prop_assert_eq!(found, values);
        prop_assert_eq!(reader.pending_bytes(), 0);
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(decode::<Sample>(&bytes));
        let mut content = vec![VERSION];
        content.extend_from_slice(&bytes);
        drop(decode::<Sample>(&content));
        drop(decode::<Hello>(&content));
        let mut reader = FrameReader::new();
        reader.push(&bytes);
        drop(reader.take_all());
        prop_assert!(reader.pending_bytes() <= bytes.len());
    }
}

#[test]
fn greetings_have_a_version_of_their_own() {
    let hello = Hello {
        version: 9,
        id: NodeId(7),
        datacenter: "dc1".into(),
        advertised: "10.0.0.1:8300".parse().unwrap(),
    };
    let bytes = hello.to_frame().unwrap();
    // Golden: whatever becomes of messages, this is how any two builds meet.
    let (head, rest) = bytes.split_at(6);
    assert_eq!(head, [u8::try_from(bytes.len() - 4).unwrap(), 0, 0, 0, 1, 9]);
    let mut reader = FrameReader::new();
    reader.room(bytes.len()).extend_from_slice(&bytes);
    let content = reader.take().unwrap().unwrap();
    assert_eq!(Hello::decode(&content), Ok(hello.clone()));
    assert!(rest.ends_with(&[10, 0, 0, 1, 251, 0x6c, 0x20]), "{rest:?}");
    let speaks = |version| Hello { version, ..hello.clone() };
    assert!(speaks(1).can_talk(&speaks(1)) && speaks(1).can_talk(&speaks(2)));
    assert!(!speaks(2).can_talk(&speaks(1)), "an older build reads nothing of this one");
}

#[test]
fn a_large_frame_leaves_no_large_buffer() {
    let mut reader = FrameReader::new();
    let large = frame(&vec![7_u8; 1 << 20]).unwrap();
    reader.room(8192).extend_from_slice(&large);
    assert_eq!(reader.take().unwrap().unwrap().len(), large.len() - 4);
    assert!(reader.room(8192).capacity() <= 16 * 1024);
}
