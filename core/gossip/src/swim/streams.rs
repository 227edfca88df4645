//! Streams, both ends: one message each way, within a deadline.

use super::{Swim, Timer, Turn};
use crate::face::{Effect, StreamEvent, StreamId};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::SocketAddr;
use proconsul_types::Instant;
use proconsul_wire::crypto::OpenError;
use proconsul_wire::memberlist::{Ack, StreamMessage};
use proconsul_wire::stream::{PLAIN_BYTES_MAX, Reader, Sealed, StreamError};

/// Accepted streams that may be open at once; beyond, they are closed without a word.
const ACCEPTED_MAX: usize = 128;
/// Bytes that all accepted streams together may hold unread; beyond, the largest is closed. One
/// alone may hold the largest message there is.
const HELD_BYTES_MAX: usize = 64 << 20;
const _: () = assert!(PLAIN_BYTES_MAX < HELD_BYTES_MAX, "the largest message fits");

/// What a stream is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Another dialled, from there; what it wants, it says.
    Serve(SocketAddr),
    /// A full exchange; for which join, if any, and with whom.
    Exchange {
        /// The join's number and the seed.
        join: Option<(u64, SocketAddr)>,
    },
    /// A ping with this number, to this member.
    Ping(u32, Arc<str>),
}

/// An open stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    purpose: Purpose,
    /// There is one as soon as bytes come.
    reader: Option<Box<Reader>>,
    connected: bool,
}

impl Stream {
    /// Bytes of others that it holds: nothing if this side dialled, for that is asked for.
    pub(super) fn held_bytes(&self) -> usize {
        let reader = self.reader.as_ref().filter(|_| !self.is_dialled());
        reader.map_or(0, |reader| reader.held_bytes())
    }

    fn is_dialled(&self) -> bool {
        match self.purpose {
            Purpose::Serve(_) => false,
            Purpose::Exchange { .. } | Purpose::Ping(..) => true,
        }
    }
}

impl Swim {
    /// Opens a stream that must be done by `deadline`.
    pub(super) fn dial(
        &mut self,
        turn: &mut Turn<'_>,
        to: SocketAddr,
        purpose: Purpose,
        deadline: Instant,
    ) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 2;
        self.streams.insert(id, Stream { purpose, reader: None, connected: false });
        self.timers.set(Timer::Stream(id), deadline);
        turn.out.push(Effect::Dial(id, to));
        id
    }

    /// Closes a stream that is not needed any more, if it is open.
    pub(super) fn hang_up(&mut self, turn: &mut Turn<'_>, id: StreamId) {
        if self.forget_stream(id).is_some() {
            turn.out.push(Effect::Close(id));
        }
    }

    fn forget_stream(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        self.timers.clear(&Timer::Stream(id));
        self.accepted -= usize::from(!stream.is_dialled());
        self.held_bytes -= stream.held_bytes();
        Some(stream)
    }

    /// Something happened on a stream.
    pub(crate) fn stream_event(&mut self, turn: &mut Turn<'_>, id: StreamId, event: StreamEvent) {
        match event {
            StreamEvent::Accepted(from) => self.accept(turn, id, from),
            StreamEvent::Connected => self.connected(turn, id),
            StreamEvent::Bytes(bytes) => self.stream_bytes(turn, id, &bytes),
            StreamEvent::Message(message) => self.stream_value(turn, id, *message),
            StreamEvent::Closed => self.broken(turn, id, "connection closed"),
        }
    }

    fn accept(&mut self, turn: &mut Turn<'_>, id: StreamId, from: SocketAddr) {
        if id.0.is_multiple_of(2) || self.streams.contains_key(&id) {
            return;
        }
        if self.accepted >= ACCEPTED_MAX {
            turn.out.push(Effect::Close(id));
            return;
        }
        self.accepted += 1;
        let stream = Stream { purpose: Purpose::Serve(from), reader: None, connected: true };
        self.streams.insert(id, stream);
        let patience = self.config.timing.stream_timeout;
        self.timers.set(Timer::Stream(id), turn.now.after(patience));
    }

    fn connected(&mut self, turn: &mut Turn<'_>, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.connected {
            return;
        }
        stream.connected = true;
        let purpose = stream.purpose.clone();
        let message = match purpose {
            Purpose::Serve(_) => return,
            Purpose::Ping(sequence, node) => StreamMessage::Ping(self.ping(sequence, &node)),
            Purpose::Exchange { join } => {
                let patience = self.config.timing.stream_timeout;
                self.timers.set(Timer::Stream(id), turn.now.after(patience));
                StreamMessage::PushPull(self.local_state(turn, join.is_some()))
            }
        };
        self.write(turn, id, true, message);
    }

    fn write(&mut self, turn: &mut Turn<'_>, id: StreamId, dialled: bool, message: StreamMessage) {
        let sealed = Sealed {
            label: self.config.label.clone(),
            dialled,
            seal: self.seal(),
            compress: self.config.compress,
            message,
        };
        turn.out.push(Effect::Write(id, Box::new(sealed)));
    }

    fn stream_bytes(&mut self, turn: &mut Turn<'_>, id: StreamId, bytes: &Bytes) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let dialled = stream.is_dialled();
        let label = &self.config.label;
        let held = stream.held_bytes();
        let reader = stream.reader.get_or_insert_with(|| Box::new(Reader::new(dialled, label)));
        reader.push(bytes);
        let taken = reader.take(&self.keyring, self.config.verify_incoming);
        self.held_bytes = self.held_bytes - held + stream.held_bytes();
        match taken {
            Ok(None) => self.make_room(turn),
            Ok(Some(message)) => self.stream_message(turn, id, message),
            Err(reason) => self.stream_error(turn, id, &reason),
        }
    }

    /// Closes the largest of the streams that others opened while all together hold too much.
    fn make_room(&mut self, turn: &mut Turn<'_>) {
        while self.held_bytes > HELD_BYTES_MAX {
            let largest = self.streams.iter().max_by_key(|(_, stream)| stream.held_bytes());
            let Some((id, stream)) = largest else { return };
            let (id, purpose) = (*id, stream.purpose.clone());
            if let Purpose::Serve(from) = purpose {
                turn.notice(format!("Failed to receive: too much is being received from={from}"));
            }
            self.fail(turn, id, "too much is being received");
        }
    }

    /// A stream's message as a value: what its bytes would have been refused for refuses it too.
    fn stream_value(&mut self, turn: &mut Turn<'_>, id: StreamId, sealed: Sealed) {
        let labelled = sealed.label == self.config.label;
        let refusal = match (&sealed.seal, self.keyring.is_empty()) {
            _ if sealed.dialled && !labelled => Some(StreamError::LabelMismatch),
            (None, true) => None,
            (None, false) => self.config.verify_incoming.then_some(StreamError::NotEncrypted),
            (Some(_), true) => Some(StreamError::NotConfigured),
            (Some(seal), false) => {
                let opens = labelled && self.keyring.keys().contains(&seal.key);
                (!opens).then_some(StreamError::Sealed(OpenError::Keys))
            }
        };
        match refusal {
            None => self.stream_message(turn, id, sealed.message),
            Some(reason) => self.stream_error(turn, id, &reason),
        }
    }

    fn stream_error(&mut self, turn: &mut Turn<'_>, id: StreamId, reason: &StreamError) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        if let Purpose::Serve(from) = stream.purpose {
            turn.notice(format!("Failed to receive: {reason} from={from}"));
            if let Some(text) = reason.reply() {
                self.write(turn, id, false, StreamMessage::Error(text));
            }
        }
        self.fail(turn, id, &reason.to_string());
    }

    fn stream_message(&mut self, turn: &mut Turn<'_>, id: StreamId, message: StreamMessage) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        match stream.purpose.clone() {
            Purpose::Serve(from) => self.serve(turn, id, from, message),
            Purpose::Exchange { join } => self.exchanged(turn, id, join, message),
            Purpose::Ping(sequence, _) => {
                if let StreamMessage::Ack(ack) = message
                    && ack.sequence == sequence
                {
                    self.reached_by_stream(sequence);
                }
                self.hang_up(turn, id);
            }
        }
    }

    fn serve(
        &mut self,
        turn: &mut Turn<'_>,
        id: StreamId,
        from: SocketAddr,
        message: StreamMessage,
    ) {
        match message {
            StreamMessage::PushPull(theirs) => {
                // the answer goes out before what came is judged
                let ours = self.local_state(turn, theirs.join);
                self.write(turn, id, false, StreamMessage::PushPull(ours));
                self.hang_up(turn, id);
                if let Err(reason) = self.merge(turn, &theirs, theirs.join, false) {
                    turn.notice(format!("Failed push/pull merge: {reason} from={from}"));
                }
            }
            StreamMessage::Ping(ping) => {
                if ping.node.is_empty() || self.is_own(&ping.node) {
                    let ack = Ack { sequence: ping.sequence, payload: None };
                    self.write(turn, id, false, StreamMessage::Ack(ack));
                } else {
                    let name = &ping.node;
                    turn.notice(format!("Got ping for unexpected node '{name}' from={from}"));
                }
                self.hang_up(turn, id);
            }
            StreamMessage::User(bytes) => {
                self.hang_up(turn, id);
                turn.serf.on_user(turn.now, &bytes);
            }
            StreamMessage::Error(text) => {
                turn.notice(format!("Got an error: {text} from={from}"));
                self.hang_up(turn, id);
            }
            StreamMessage::Ack(_) => {
                turn.notice(format!("Received an answer that nobody asked for from={from}"));
                self.hang_up(turn, id);
            }
        }
    }

    fn exchanged(
        &mut self,
        turn: &mut Turn<'_>,
        id: StreamId,
        join: Option<(u64, SocketAddr)>,
        message: StreamMessage,
    ) {
        let theirs = match message {
            StreamMessage::PushPull(theirs) => theirs,
            StreamMessage::Error(text) => {
                self.fail(turn, id, &format!("remote error: {text}"));
                return;
            }
            StreamMessage::Ping(_) | StreamMessage::Ack(_) | StreamMessage::User(_) => {
                self.fail(turn, id, "received an answer to another question");
                return;
            }
        };
        self.hang_up(turn, id);
        let ignore_old = join.is_some_and(|(join, _)| self.ignores_old(join));
        let before = self.incarnation;
        let merged = self.merge(turn, &theirs, join.is_some(), ignore_old);
        match join {
            Some((join, seed)) => {
                if self.incarnation > before {
                    self.contradict(turn, seed);
                }
                self.seed_done(turn, join, seed, merged);
            }
            None => {
                if let Err(reason) = merged {
                    turn.notice(format!("Push/Pull failed: {reason}"));
                }
            }
        }
    }

    /// A stream took too long.
    pub(super) fn stream_expired(&mut self, turn: &mut Turn<'_>, id: StreamId) {
        self.fail(turn, id, "i/o timeout");
    }

    fn broken(&mut self, turn: &mut Turn<'_>, id: StreamId, reason: &str) {
        let connected = self.streams.get(&id).is_some_and(|stream| stream.connected);
        let reason = if connected { reason } else { "connection refused" };
        if let Some(stream) = self.forget_stream(id) {
            self.failed(turn, stream.purpose, reason);
        }
    }

    /// A stream ends without its result.
    fn fail(&mut self, turn: &mut Turn<'_>, id: StreamId, reason: &str) {
        let Some(stream) = self.forget_stream(id) else {
            return;
        };
        turn.out.push(Effect::Close(id));
        self.failed(turn, stream.purpose, reason);
    }

    fn failed(&mut self, turn: &mut Turn<'_>, purpose: Purpose, reason: &str) {
        match purpose {
            Purpose::Exchange { join: Some((join, seed)) } => {
                self.seed_done(turn, join, seed, Err(String::from(reason)));
            }
            Purpose::Exchange { join: None } => {
                turn.notice(format!("Push/Pull failed: {reason}"));
            }
            Purpose::Serve(_) | Purpose::Ping(..) => {}
        }
    }
}
