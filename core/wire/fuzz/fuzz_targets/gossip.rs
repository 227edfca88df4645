//! Whatever comes by datagram or stream: nothing panics, a stream says the same however it is cut,
//! and a message that was read is read again from its own bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proconsul_wire::crypto::{Key, Keyring};
use proconsul_wire::memberlist::{Message, StreamMessage};
use proconsul_wire::stream::{Reader, StreamError};
use proconsul_wire::{consul_event, packet, serf};

fuzz_target!(|bytes: &[u8]| {
    let ring = Key::new(&[1; 16]).map(|key| Keyring::new(vec![key])).unwrap_or_default();
    for keys in [Keyring::default(), ring] {
        if let Ok(opened) = packet::open(bytes, &keys, "", false) {
            opened.messages.iter().for_each(again);
        }
        assert_eq!(stream(bytes, &keys, bytes.len().max(1)), stream(bytes, &keys, 3));
    }
    inside(bytes);
});

/// A message is read again from its own bytes; what a user message carries is read as well.
fn again(message: &Message) {
    let bytes = message.to_bytes();
    assert_eq!(bytes.len(), message.encoded_len());
    assert_eq!(Message::decode(&bytes).as_ref(), Ok(message));
    if let Message::User(bytes) = message {
        inside(bytes);
    }
}

/// Everything that reads what user messages carry.
fn inside(bytes: &[u8]) {
    if let Ok(message) = serf::Message::decode(bytes) {
        assert_eq!(serf::Message::decode(&message.to_bytes()), Ok(message));
    }
    if let Ok(filter) = serf::Filter::decode(bytes) {
        assert_eq!(serf::Filter::decode(&filter.to_bytes()), Ok(filter));
    }
    if let Ok(request) = serf::KeyRequest::decode(bytes) {
        assert_eq!(serf::KeyRequest::decode(&request.to_bytes()), Ok(request));
    }
    if let Ok(response) = serf::KeyResponse::decode(bytes) {
        assert_eq!(serf::KeyResponse::decode(&response.to_bytes()), Ok(response));
    }
    if let Ok(holder) = serf::decode_conflict(bytes) {
        assert_eq!(serf::decode_conflict(&serf::encode_conflict(holder.as_ref())), Ok(holder));
    }
    if let Ok(event) = consul_event::decode(bytes) {
        assert_eq!(consul_event::decode(&consul_event::encode(&event)), Ok(event));
    }
    let tags = serf::decode_tags(bytes);
    assert_eq!(serf::decode_tags(&serf::encode_tags(&tags)), tags);
    if let Ok(coordinate) = serf::decode_coordinate(bytes) {
        assert!(serf::decode_coordinate(&serf::encode_coordinate(&coordinate)).is_ok());
    }
}

/// What a stream gives when its bytes come in pieces of that many.
fn stream(
    bytes: &[u8],
    keys: &Keyring,
    piece: usize,
) -> Result<Option<StreamMessage>, StreamError> {
    let mut reader = Reader::new(false, "");
    for bytes in bytes.chunks(piece) {
        reader.push(bytes);
        let outcome = reader.take(keys, false);
        if outcome != Ok(None) {
            return outcome;
        }
    }
    Ok(None)
}
