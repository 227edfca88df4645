//! LZW against Go's own output, and against itself.

use super::{pack, pack_unopened, unpack};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
}

#[test]
fn both_ways_as_go_does_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gossip/fixtures");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with("lzw-") {
            continue;
        }
        let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name: String = json["name"].as_str().unwrap().into();
        let packed = unhex(json["hex"].as_str().unwrap());
        let plain = unhex(json["decoded"]["plain_hex"].as_str().unwrap());
        assert!(pack(&plain) == packed, "{name} packs to other bytes");
        assert_eq!(unpack(&packed, plain.len()).as_ref(), Some(&plain), "{name}");
        assert_eq!(unpack(&packed, plain.len() - 1), None, "{name} over the limit");
        assert_eq!(unpack(&packed[..packed.len() - 2], plain.len()), None, "{name} cut short");
        seen += 1;
    }
    assert_eq!(seen, 7);
}

/// Consul 1.8.7 was built with a Go that leaves the opening clear code out; nothing else differs.
#[test]
fn as_older_go_does_it_but_for_the_opening() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gossip/fixtures");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().contains("-consul-") {
            continue;
        }
        let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let decoded = &json["decoded"];
        let layers = [&decoded["compress"], &decoded["inner"]];
        let plain = layers.into_iter().find_map(|layer| layer["plain_hex"].as_str());
        let Some(plain) = plain.map(unhex) else { continue };
        // What is packed ends the message, once it is decrypted.
        let around = decoded["plain_hex"].as_str().or_else(|| json["hex"].as_str());
        let (around, packed) = (unhex(around.unwrap()), pack_unopened(&plain));
        assert!(around.ends_with(&packed), "{} packs to other bytes", json["name"]);
        assert_eq!(unpack(&packed, plain.len()), Some(plain), "{}", json["name"]);
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn a_full_table_that_is_not_cleared_stays() {
    // Literals at the width that the reader expects, until the table is full, and then more: 300
    // codes of 12 bits follow, among them the last entry.
    let mut bits: Vec<bool> = Vec::new();
    let mut emit = |code: u32, width: u32| {
        (0..width).for_each(|bit| bits.push(code >> bit & 1 == 1));
    };
    emit(256, 9);
    let mut high = 257_u32;
    let mut width = 9;
    let mut plain = Vec::new();
    for step in 0..4200_u32 {
        let literal = u8::try_from(step * 7 % 251).unwrap();
        emit(u32::from(literal), width);
        plain.push(literal);
        if high < 4095 {
            high += 1;
            if high == 1 << width {
                width += 1;
            }
        }
    }
    assert_eq!(width, 12);
    emit(4094, 12);
    let pair = usize::try_from(4094 - 258).unwrap();
    plain.extend_from_within(pair..pair + 2);
    emit(257, 12);
    let packed: Vec<u8> = bits
        .chunks(8)
        .map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)))
        .collect();
    assert_eq!(unpack(&packed, 10_000), Some(plain));
}

#[test]
fn broken_streams_are_refused() {
    assert_eq!(unpack(&[], 100), None);
    assert_eq!(unpack(&[0xff; 20], 100), None);
    assert_eq!(unpack(&pack(&[]), 0), Some(vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_goes_in_comes_out(
        plain in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..6000),
            proptest::collection::vec(0_u8..3, 0..6000),
        ],
    ) {
        prop_assert_eq!(unpack(&pack(&plain), plain.len()), Some(plain));
    }

    #[test]
    fn hostile_bytes_do_no_harm(packed in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(unpack(&packed, 5000).is_none_or(|plain| plain.len() <= 5000));
    }
}
