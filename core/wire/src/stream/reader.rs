//! A stream's message from bytes that come piece by piece.
//!
//! Unencrypted messages have no length before them: their msgpack values are followed one after
//! another, each byte looked at once, until the message is whole.

use super::{NODES_MAX, PLAIN_BYTES_MAX, SEALED_BYTES_MAX};
use crate::crypto::{Keyring, OpenError, unseal};
use crate::lzw;
use crate::memberlist::{Ack, Header, Ping, PushPull, StreamMessage, kind};
use crate::msgpack::{Cursor, DecodeError, Scanner};
use crate::packet::read_compressed;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::{fmt, mem};

/// Type byte and length before an encrypted message.
const SEALED_HEAD_BYTES: usize = 5;

/// Why a stream gives no message. It is to be closed, after [`StreamError::reply`] if it was
/// dialled by the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// A label header without a label.
    LabelForm,
    /// Another pool's label, or none where one is needed.
    LabelMismatch,
    /// It is encrypted, and there are no keys here.
    NotConfigured,
    /// It is not encrypted, and must be.
    NotEncrypted,
    /// It says that it has this many encrypted bytes: too many.
    TooLarge(usize),
    /// It cannot be decrypted.
    Sealed(OpenError),
    /// A compression other than LZW.
    Algorithm(u8),
    /// A compressed message of a form that is not understood.
    CompressedForm(DecodeError),
    /// Compressed bytes that are broken, or unpack to more than is allowed.
    Compression,
    /// An encrypted or compressed message with nothing in it.
    Empty,
    /// More members, or more bytes, than are taken.
    Limit,
    /// A message that cannot be read, or of a type that does not travel on streams.
    Message(DecodeError),
}

impl StreamError {
    /// The text that the other side gets as its answer, if it gets one: only for what goes wrong
    /// in the layers around a message.
    pub fn reply(&self) -> Option<String> {
        match self {
            Self::NotConfigured
            | Self::NotEncrypted
            | Self::TooLarge(_)
            | Self::Sealed(_)
            | Self::Algorithm(_)
            | Self::CompressedForm(_)
            | Self::Compression => Some(self.to_string()),
            Self::LabelForm
            | Self::LabelMismatch
            | Self::Empty
            | Self::Limit
            | Self::Message(_) => None,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LabelForm => f.write_str("label header is malformed"),
            Self::LabelMismatch => f.write_str("label is not ours"),
            Self::NotConfigured => {
                f.write_str("Remote state is encrypted and encryption is not configured")
            }
            Self::NotEncrypted => {
                f.write_str("Encryption is configured but remote state is not encrypted")
            }
            Self::TooLarge(bytes) => {
                write!(f, "Remote node state is larger than limit ({bytes})")
            }
            Self::Sealed(reason) => reason.fmt(f),
            Self::Algorithm(number) => {
                write!(f, "Cannot decompress unknown algorithm {number}")
            }
            Self::CompressedForm(reason) | Self::Message(reason) => reason.fmt(f),
            Self::Compression => f.write_str("Cannot decompress broken payload"),
            Self::Empty => f.write_str("message has no type"),
            Self::Limit => f.write_str("message is over the limits"),
        }
    }
}

impl core::error::Error for StreamError {}

/// Reads the one message of one side of a stream.
#[derive(Clone, Debug)]
pub struct Reader {
    label: Arc<str>,
    /// What came, or what it held once a layer is off.
    buffer: Vec<u8>,
    /// Where in `buffer` the current layer begins.
    start: usize,
    /// Whether `buffer` is the inside of a layer, to which nothing is added any more.
    whole: bool,
    stage: Stage,
}

/// The layer that is being read.
#[derive(Clone, Debug)]
enum Stage {
    /// The label header, if there is one.
    Label,
    /// Encrypted or not.
    Outer,
    /// Compressed or not.
    Inner,
    /// The body of a compressed message.
    Packed(Scanner),
    /// The message.
    Body(Scanner, Part),
    /// Nothing more is read.
    Done,
}

/// How far a message is.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Its first value.
    First,
    /// The members that the header announced.
    Nodes(Header),
    /// Plain bytes: from and to where.
    Tail(usize, usize),
}

impl Reader {
    /// For a stream that this side dialled or the other one. Only the dialler's own bytes begin
    /// with the label; an empty `label` is none.
    pub fn new(dialled: bool, label: &str) -> Self {
        Self {
            label: Arc::from(label),
            buffer: Vec::new(),
            start: 0,
            whole: false,
            stage: if dialled { Stage::Outer } else { Stage::Label },
        }
    }

    /// Takes bytes that came. After the message or an error, they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.whole && !matches!(self.stage, Stage::Done) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The message, as soon as it is whole; once. `verify_incoming` refuses plaintext where there
    /// are keys.
    ///
    /// # Errors
    /// What makes the stream worthless; afterwards nothing more is read.
    pub fn take(
        &mut self,
        keyring: &Keyring,
        verify_incoming: bool,
    ) -> Result<Option<StreamMessage>, StreamError> {
        let outcome = self.advance(keyring, verify_incoming);
        if !matches!(outcome, Ok(None)) {
            self.stage = Stage::Done;
            self.buffer = Vec::new();
        }
        outcome
    }

    /// Goes through the layers as far as the bytes reach.
    fn advance(
        &mut self,
        keyring: &Keyring,
        verify_incoming: bool,
    ) -> Result<Option<StreamMessage>, StreamError> {
        loop {
            let stepped = match mem::replace(&mut self.stage, Stage::Done) {
                Stage::Label => self.label()?,
                Stage::Outer => self.outer(keyring, verify_incoming)?,
                Stage::Inner => self.inner()?,
                Stage::Packed(scanner) => self.packed(scanner)?,
                Stage::Body(scanner, part) => return self.body(scanner, part),
                Stage::Done => false,
            };
            if !stepped {
                return Ok(None);
            }
        }
    }

    /// What is there of the current layer.
    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Goes to a stage; `true` so that it is tried at once.
    fn go(&mut self, stage: Stage) -> bool {
        self.stage = stage;
        true
    }

    /// Waits in a stage for more bytes, or finds that none can come.
    fn wait(&mut self, stage: Stage) -> Result<bool, StreamError> {
        if self.whole {
            return Err(StreamError::Message(DecodeError::Short));
        }
        if self.rest().len() > PLAIN_BYTES_MAX {
            return Err(StreamError::Limit);
        }
        self.stage = stage;
        Ok(false)
    }

    /// The inside of a layer takes the place of what came.
    fn unwrap_layer(&mut self, inside: Vec<u8>) {
        self.buffer = inside;
        self.start = 0;
        self.whole = true;
    }

    fn label(&mut self) -> Result<bool, StreamError> {
        let (found, behind) = match self.rest() {
            [] | [kind::LABEL] => return self.wait(Stage::Label),
            [kind::LABEL, 0, ..] => return Err(StreamError::LabelForm),
            [kind::LABEL, length, rest @ ..] => {
                let length = usize::from(*length);
                match rest.get(..length) {
                    Some(found) => (found, 2 + length),
                    None => return self.wait(Stage::Label),
                }
            }
            _ => (&[][..], 0),
        };
        if found != self.label.as_bytes() {
            return Err(StreamError::LabelMismatch);
        }
        self.start = behind;
        Ok(self.go(Stage::Outer))
    }

    fn outer(&mut self, keyring: &Keyring, verify_incoming: bool) -> Result<bool, StreamError> {
        let rest = self.rest();
        let sealed = match rest.first() {
            None => return self.wait(Stage::Outer),
            Some(&kind::ENCRYPT) => true,
            Some(_) => false,
        };
        if !sealed {
            if verify_incoming && !keyring.is_empty() {
                return Err(StreamError::NotEncrypted);
            }
            return Ok(self.go(Stage::Inner));
        }
        if keyring.is_empty() {
            return Err(StreamError::NotConfigured);
        }
        let Some((head, rest)) = rest.split_first_chunk::<SEALED_HEAD_BYTES>() else {
            return self.wait(Stage::Outer);
        };
        let [_, a, b, c, d] = *head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > SEALED_BYTES_MAX {
            return Err(StreamError::TooLarge(length));
        }
        let Some(sealed) = rest.get(..length) else {
            return self.wait(Stage::Outer);
        };
        let mut aad = head.to_vec();
        aad.extend_from_slice(self.label.as_bytes());
        let plain = unseal(keyring, &aad, sealed).map_err(StreamError::Sealed)?;
        if plain.is_empty() {
            return Err(StreamError::Empty);
        }
        self.unwrap_layer(plain);
        Ok(self.go(Stage::Inner))
    }

    fn inner(&mut self) -> Result<bool, StreamError> {
        let mut scanner = Scanner::default();
        scanner.expect(1);
        match self.rest().first() {
            None => self.wait(Stage::Inner),
            Some(&kind::COMPRESS) => {
                self.start += 1;
                Ok(self.go(Stage::Packed(scanner)))
            }
            Some(_) => Ok(self.go(Stage::Body(scanner, Part::First))),
        }
    }

    fn packed(&mut self, mut scanner: Scanner) -> Result<bool, StreamError> {
        if scanner.advance(self.rest()).is_none() {
            return match self.wait(Stage::Packed(scanner)) {
                Err(StreamError::Message(reason)) => Err(StreamError::CompressedForm(reason)),
                outcome => outcome,
            };
        }
        let (algorithm, packed) =
            read_compressed(self.rest()).map_err(StreamError::CompressedForm)?;
        if algorithm != 0 {
            return Err(StreamError::Algorithm(algorithm));
        }
        let plain = lzw::unpack(&packed, PLAIN_BYTES_MAX).ok_or(StreamError::Compression)?;
        if plain.is_empty() {
            return Err(StreamError::Empty);
        }
        self.unwrap_layer(plain);
        let mut scanner = Scanner::default();
        scanner.expect(1);
        Ok(self.go(Stage::Body(scanner, Part::First)))
    }

    fn body(
        &mut self,
        mut scanner: Scanner,
        mut part: Part,
    ) -> Result<Option<StreamMessage>, StreamError> {
        let (number, body) = self.rest().split_first().ok_or(StreamError::Empty)?;
        let known = [kind::PING, kind::ACK, kind::PUSH_PULL, kind::USER, kind::ERROR];
        if !known.contains(number) {
            return Err(StreamError::Message(DecodeError::Kind(*number)));
        }
        loop {
            if let Part::Tail(from, to) = part
                && body.len() >= to
            {
                return match *number {
                    kind::USER => Ok(StreamMessage::User(Bytes::copy_from_slice(&body[from..to]))),
                    _ => PushPull::read(&mut Cursor::new(body)).map(StreamMessage::PushPull),
                }
                .map(Some)
                .map_err(StreamError::Message);
            }
            let reached = match part {
                Part::First | Part::Nodes(_) => scanner.advance(body),
                Part::Tail(..) => None,
            };
            let Some(behind) = reached else {
                return self.wait(Stage::Body(scanner, part)).map(|_| None);
            };
            part = match (part, *number) {
                (Part::First, kind::PUSH_PULL) => {
                    let header =
                        Header::read(&mut Cursor::new(body)).map_err(StreamError::Message)?;
                    if header.nodes > NODES_MAX || header.user_bytes > SEALED_BYTES_MAX {
                        return Err(StreamError::Limit);
                    }
                    scanner.expect(header.nodes);
                    Part::Nodes(header)
                }
                (Part::First, kind::USER) => {
                    let length = user_length(body).map_err(StreamError::Message)?;
                    if length > SEALED_BYTES_MAX {
                        return Err(StreamError::Limit);
                    }
                    Part::Tail(behind, behind + length)
                }
                (Part::Nodes(header), _) => Part::Tail(behind, behind + header.user_bytes),
                (Part::First | Part::Tail(..), number) => {
                    return single(number, body).map(Some).map_err(StreamError::Message);
                }
            };
        }
    }
}

/// The header of a user message: how many bytes follow.
fn user_length(body: &[u8]) -> Result<usize, DecodeError> {
    let mut length = 0;
    Cursor::new(body).fields(&["UserMsgLen"], |_, value| {
        length = value.number()?;
        Ok(())
    })?;
    Ok(length)
}

/// A message of one value.
fn single(number: u8, body: &[u8]) -> Result<StreamMessage, DecodeError> {
    let mut cursor = Cursor::new(body);
    match number {
        kind::PING => Ping::read(&mut cursor).map(StreamMessage::Ping),
        kind::ACK => Ack::read(&mut cursor).map(StreamMessage::Ack),
        kind::ERROR => {
            let mut text = String::new();
            cursor.fields(&["Error"], |_, value| {
                text = value.string()?;
                Ok(())
            })?;
            Ok(StreamMessage::Error(text))
        }
        other => Err(DecodeError::Kind(other)),
    }
}
