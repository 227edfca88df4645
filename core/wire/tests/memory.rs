//! No length that a peer tells reserves memory: what reading claims is bounded by what came.
//!
//! The only test of its binary, so that the allocator counts for it alone.

use proconsul_wire::crypto::Keyring;
use proconsul_wire::stream::Reader;
use proconsul_wire::{consul_event, packet, serf};
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::fs;
use std::path::Path;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What reading may claim for each byte that came, all growth of a list counted: an element of one
/// byte (an empty member, an empty text) takes 16 or 24.
const CLAIM_FACTOR: usize = 64;
/// What it may claim for any message: room for small lists, and what a small message unpacks to.
const CLAIM_BASE: usize = 64 * 1024;

/// Reads the bytes as everything that they could be; the most that one reading claimed, all that
/// it ever allocated summed up.
fn claimed(bytes: &[u8], keys: &Keyring) -> usize {
    let region = Region::new(ALLOCATOR);
    let count = |before: &mut usize| {
        let claimed = region.change().bytes_allocated - *before;
        *before += claimed;
        claimed
    };
    let mut before = 0;
    let mut most = 0;
    drop(packet::open(bytes, keys, "", true));
    most = most.max(count(&mut before));
    let mut reader = Reader::new(false, "");
    reader.push(bytes);
    drop(reader.take(keys, true));
    most = most.max(count(&mut before));
    let inside = bytes.get(1..).unwrap_or_default();
    drop(serf::Message::decode(inside));
    drop(serf::Filter::decode(inside));
    drop(serf::KeyResponse::decode(inside));
    drop(serf::decode_conflict(inside));
    drop(serf::decode_tags(inside));
    drop(consul_event::decode(inside));
    most.max(count(&mut before))
}

#[test]
fn no_told_length_reserves_memory() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gossip/fixtures");
    let keys = Keyring::default();
    // Markers of the longest lists, maps, texts and bytes; whole lengths of a packet's part.
    let lies: [&[u8]; 6] = [
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0x7f, 0xff, 0xff, 0xff],
        &[0xce, 0x00, 0x0f, 0xff, 0xff],
        &[0xff, 0xff],
    ];
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name = json["name"].as_str().unwrap();
        if name.starts_with("lzw-") || json.get("keys_base64").is_some() {
            continue;
        }
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        let hex = json["hex"].as_str().unwrap().as_bytes();
        let bytes: Vec<u8> =
            hex.chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect();
        // A checksum would not hold: what is behind it is read.
        let bytes = if bytes[0] == 12 { &bytes[5..] } else { &bytes };
        for place in 0..bytes.len().min(400) {
            for lie in lies {
                let mut changed = bytes.to_vec();
                changed.splice(place..(place + lie.len()).min(bytes.len()), lie.iter().copied());
                let bound = CLAIM_BASE + CLAIM_FACTOR * changed.len();
                let claimed = claimed(&changed, &keys);
                assert!(claimed <= bound, "{name} at {place}: {claimed} bytes for {bound}");
                read += 1;
            }
        }
    }
    assert!(read > 10_000, "{read} lies were told");
}
