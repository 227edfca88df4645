//! Lets everything that reads bytes of gossip read some: nothing panics, a stream says the same
//! however it is cut, and what was read is read again from its own bytes. The fuzzer and the tests
//! of this crate share this file.

use proconsul_wire::crypto::{Key, Keyring};
use proconsul_wire::memberlist::{Message, StreamMessage};
use proconsul_wire::stream::{Reader, StreamError};
use proconsul_wire::{consul_event, packet, serf};

/// A ring of one key.
pub(crate) fn ring() -> Keyring {
    Keyring::new(vec![Key::new(&[1; 16]).unwrap()])
}

/// Bytes of a datagram or of a stream.
pub(crate) fn exercise(bytes: &[u8], label: &str) {
    for keys in [Keyring::default(), ring()] {
        for verify in [false, true] {
            if let Ok(opened) = packet::open(bytes, &keys, label, verify) {
                opened.messages.iter().for_each(again);
            }
        }
        // What a stream says does not depend on how it is cut.
        let whole = read(bytes, label, &keys, bytes.len().max(1));
        assert_eq!(read(bytes, label, &keys, 7), whole);
        if let Err(reason) = whole {
            assert!(reason.reply().is_none_or(|text| !text.is_empty()));
        }
    }
    inside(bytes);
}

/// A message is read again from its own bytes; what a user message carries is read as well.
fn again(message: &Message) {
    let bytes = message.to_bytes();
    assert_eq!(bytes.len(), message.encoded_len());
    assert_eq!(Message::decode(&bytes).as_ref(), Ok(message));
    if let Message::User(bytes) = message {
        inside(bytes);
    }
}

/// What a stream gives when its bytes come in pieces of that many.
fn read(
    bytes: &[u8],
    label: &str,
    keys: &Keyring,
    piece: usize,
) -> Result<Option<StreamMessage>, StreamError> {
    let mut reader = Reader::new(false, label);
    for bytes in bytes.chunks(piece) {
        reader.push(bytes);
        let outcome = reader.take(keys, false);
        if outcome != Ok(None) {
            reader.push(bytes);
            assert_eq!(reader.take(keys, false), Ok(None), "one message or one error");
            return outcome;
        }
    }
    Ok(None)
}

/// What user messages carry.
pub(crate) fn inside(bytes: &[u8]) {
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
    // A coordinate may hold numbers that are not equal to themselves: its bytes are compared.
    if let Ok(coordinate) = serf::decode_coordinate(bytes) {
        let written = serf::encode_coordinate(&coordinate);
        let again = serf::decode_coordinate(&written).unwrap();
        assert_eq!(serf::encode_coordinate(&again), written);
    }
}
