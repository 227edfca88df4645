//! Sealing against what real agents sealed, and the ring's rules.

use super::{Key, Keyring, KeyringError, OpenError, Seal, seal, sealed_len, unseal};
use alloc::string::ToString;
use alloc::vec::Vec;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
}

#[test]
fn every_capture_opens_and_seals_to_the_same_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gossip/fixtures");
    let mut versions = [0, 0];
    for entry in fs::read_dir(folder).unwrap() {
        let json: Value =
            serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let encryption = &json["decoded"]["encryption"];
        let Some(nonce) = encryption["nonce"].as_str() else {
            continue;
        };
        let name = json["name"].as_str().unwrap();
        let keys: Vec<Key> = json["keys_base64"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| Key::from_base64(key.as_str().unwrap()).unwrap())
            .collect();
        let version = u8::try_from(encryption["version"].as_u64().unwrap()).unwrap();
        let aad = unhex(encryption["aad"].as_str().unwrap());
        let whole = unhex(json["hex"].as_str().unwrap());
        let label = if whole[0] == 0xf4 { 2 + usize::from(whole[1]) } else { 0 };
        let framing = if json["transport"] == "tcp" { 5 } else { 0 };
        let sealed = &whole[label + framing..];

        let ring = Keyring::new(keys.clone());
        let plain = unseal(&ring, &aad, sealed).expect(name);
        assert_eq!(sealed.len(), sealed_len(version, plain.len()), "{name}");
        if json["decoded"]["msg"] == "compress" && framing == 0 {
            // Here the capture tells what is inside the next layer.
            assert_eq!(plain[0], 9, "{name}");
        } else {
            assert_eq!(plain, unhex(json["decoded"]["plain_hex"].as_str().unwrap()), "{name}");
        }
        let nonce: [u8; 12] = unhex(nonce).try_into().unwrap();
        let again = keys.into_iter().any(|key| {
            let mut out = Vec::new();
            seal(&Seal { key, nonce, version }, &aad, &plain, &mut out);
            out == sealed
        });
        assert!(again, "{name} seals to other bytes");

        let mut changed = sealed.to_vec();
        changed[13] ^= 1;
        assert_eq!(unseal(&ring, &aad, &changed), Err(OpenError::Keys), "{name} changed");
        let other = [&aad[..], b"x"].concat();
        assert_eq!(unseal(&ring, &other, sealed), Err(OpenError::Keys), "{name} other label");
        versions[usize::from(version)] += 1;
    }
    assert!(versions[0] >= 6 && versions[1] >= 20, "captures of both versions: {versions:?}");
}

fn key(byte: u8) -> Key {
    Key::new(&[byte; 16]).unwrap()
}

#[test]
fn what_cannot_be_sealed_bytes_says_so() {
    let ring = Keyring::new([key(1)].into());
    let open = |bytes: &[u8]| unseal(&ring, b"", bytes).map_err(|error| error.to_string());
    assert_eq!(open(b""), Err("Cannot decrypt empty payload".into()));
    assert_eq!(open(&[2; 60]), Err("Unsupported encryption version 2".into()));
    assert_eq!(open(&[1; 28]), Err("Payload is too small to decrypt: 28".into()));
    assert_eq!(open(&[0; 44]), Err("Payload is too small to decrypt: 44".into()));
    assert_eq!(open(&[1; 29]), Err("No installed keys could decrypt the message".into()));
}

#[test]
fn version_0_fills_whole_blocks() {
    let ring = Keyring::new([key(1)].into());
    for length in [0, 1, 15, 16, 17] {
        let plain = alloc::vec![7; length];
        let mut out = Vec::new();
        seal(&Seal { key: key(1), nonce: [3; 12], version: 0 }, b"", &plain, &mut out);
        assert_eq!(out.len(), 29 + (length / 16 + 1) * 16);
        assert_eq!(unseal(&ring, b"", &out), Ok(plain));
    }
}

#[test]
fn a_ring_keeps_its_order_and_its_primary() {
    let mut ring = Keyring::new([key(1), key(2), key(1)].into());
    assert_eq!(ring.keys(), [key(1), key(2)]);
    ring.add(key(3));
    ring.add(key(2));
    assert_eq!(ring.keys(), [key(1), key(2), key(3)]);
    assert_eq!(ring.use_key(&key(3)), Ok(()));
    assert_eq!(ring.keys(), [key(3), key(1), key(2)]);
    assert_eq!(ring.use_key(&key(4)), Err(KeyringError::Absent));
    assert_eq!(ring.remove(&key(3)), Err(KeyringError::Primary));
    assert_eq!(ring.remove(&key(4)), Ok(()));
    assert_eq!(ring.remove(&key(1)), Ok(()));
    assert_eq!(ring.keys(), [key(3), key(2)]);
    assert_eq!(ring.primary(), Some(&key(3)));
    assert_eq!(KeyringError::Primary.to_string(), "Removing the primary key is not allowed");
    assert_eq!(KeyringError::Absent.to_string(), "Requested key is not in the keyring");
}

#[test]
fn a_keyring_file_is_a_list_of_keys() {
    let ring = Keyring::new([key(0), Key::new(&[1; 32]).unwrap()].into());
    let text = ring.to_json();
    assert_eq!(
        text,
        "[\n  \"AAAAAAAAAAAAAAAAAAAAAA==\",\n  \
         \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"\n]"
    );
    assert_eq!(Keyring::from_json(&text), Ok(ring));
    assert_eq!(Keyring::from_json("{}"), Err(KeyringError::File));
    assert_eq!(Keyring::from_json("[\"AAAA\"]"), Err(KeyringError::Size));
    assert_eq!(Keyring::from_json("[\"~\"]"), Err(KeyringError::Base64));
    assert_eq!(alloc::format!("{:?}", key(7)), "Key");
}
