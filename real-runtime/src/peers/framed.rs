//! Messages as frames, and what becomes of those that are too large.

use bytes::Bytes;
use proconsul_core::types::NodeId;
use proconsul_core::types::limits::PEER_MESSAGE_BYTES_MAX;
use proconsul_core::wire::{self, EncodeError};
use proconsul_core::{CallAnswer, CallId, Input, PeerMessage};

/// What is done with a message.
#[derive(Debug)]
pub(super) enum Framed {
    /// This goes to the peer.
    Frame(Bytes),
    /// Nothing goes to the peer; the loop hears this.
    Answered(Input),
    /// Nothing: nobody waits for it.
    Dropped,
}

/// `message` for `to`. One that is too large is never lost in silence: who waits for an answer gets
/// one that says so, and does not ask again.
pub(super) fn framed(to: NodeId, message: &PeerMessage) -> Framed {
    framed_within(to, message, PEER_MESSAGE_BYTES_MAX)
}

fn framed_within(to: NodeId, message: &PeerMessage, limit: usize) -> Framed {
    let error = match wire::frame(message) {
        Ok(frame) if frame.len() <= limit.saturating_add(wire::LENGTH_BYTES) => {
            return Framed::Frame(frame);
        }
        Ok(frame) => EncodeError::TooLarge(frame.len() - wire::LENGTH_BYTES),
        Err(error) => error,
    };
    tracing::error!(target: "agent.server.rpc", "message not sent: peer={to} error=\"{error}\"");
    let refused = |what: &str, id: CallId| {
        let text = match &error {
            EncodeError::TooLarge(bytes) => {
                format!("{what} of {bytes} bytes is over the limit of {limit} between agents")
            }
            EncodeError::Form(_) => format!("{what} could not be sent: {error}"),
        };
        PeerMessage::Reply { id, answer: Box::new(CallAnswer::Failed(text)) }
    };
    match message {
        PeerMessage::Reply { id, .. } => {
            wire::frame(&refused("response", *id)).map_or(Framed::Dropped, Framed::Frame)
        }
        PeerMessage::Call { id, .. } => {
            Framed::Answered(Input::Peer { from: to, message: refused("request", *id) })
        }
        PeerMessage::Raft(_) | PeerMessage::Abandon(_) | PeerMessage::StateHash { .. } => {
            Framed::Dropped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::Call;
    use proconsul_core::http::{Method, Request};

    const LIMIT: usize = 200;
    const PEER: NodeId = NodeId(7);

    fn answer(bytes: usize) -> PeerMessage {
        let answer = Box::new(CallAnswer::Dns(vec![0; bytes].into()));
        PeerMessage::Reply { id: CallId(3), answer }
    }

    fn call(bytes: usize) -> PeerMessage {
        let request = Request::new(Method::Put, "/v1/kv/a", vec![0; bytes].into());
        let call = Box::new(Call::Http(request));
        PeerMessage::Call { id: CallId(4), hops: 0, call }
    }

    #[test]
    fn what_fits_is_sent() {
        for message in [answer(20), call(20)] {
            let Framed::Frame(frame) = framed_within(PEER, &message, LIMIT) else {
                panic!("it fits");
            };
            assert_eq!(wire::decode(&frame[wire::LENGTH_BYTES..]), Ok(message));
        }
    }

    #[test]
    fn what_is_too_large_is_answered_in_words() {
        let Framed::Frame(frame) = framed_within(PEER, &answer(500), LIMIT) else {
            panic!("the peer waits for an answer");
        };
        let told: PeerMessage = wire::decode(&frame[wire::LENGTH_BYTES..]).unwrap();
        let PeerMessage::Reply { id: CallId(3), answer } = told else {
            panic!("no answer: {told:?}");
        };
        let CallAnswer::Failed(text) = *answer else { panic!("not a failure: {answer:?}") };
        assert!(text.starts_with("response of 5") && text.contains("limit of 200"), "{text}");

        let answered = framed_within(PEER, &call(500), LIMIT);
        let Framed::Answered(Input::Peer { from: PEER, message }) = answered else {
            panic!("the caller waits here: {answered:?}");
        };
        let PeerMessage::Reply { id: CallId(4), answer } = message else {
            panic!("no answer: {message:?}");
        };
        assert!(matches!(*answer, CallAnswer::Failed(text) if text.starts_with("request of 5")));
    }
}
