//! Commands as bytes, and what can be wrong with bytes.
//!
//! A format is a promise: the first byte is its version, and `tests/testdata` holds bytes that
//! every later version must read.

use crate::command::Command;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bytes::{BufMut, Bytes};
use core::fmt;
use serde::Deserializer;
use serde::de::Visitor;

/// The form in which records are written: little-endian, small numbers short, and no record larger
/// than the largest message between servers.
pub(crate) const FORM: Configuration<LittleEndian, Varint, Limit<RECORD_BYTES_MAX>> =
    bincode::config::standard().with_limit::<RECORD_BYTES_MAX>();

/// The largest record. A length beyond it is a lie.
pub(crate) const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The first byte of an encoded command.
const VERSION: u8 = 1;
/// The second byte: the rest is the command in [`FORM`].
const PLAIN: u8 = 0;
/// The second byte: the rest is a snapshot to restore.
const RESTORE: u8 = 1;

/// Why bytes are not a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    what: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a catalog command: {}", self.what)
    }
}

impl core::error::Error for DecodeError {}

/// Why bytes are not a snapshot. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The bytes do not begin as a snapshot does.
    NotASnapshot,
    /// A version this program does not read.
    Version(u8),
    /// A checksum is wrong: frame by number, from 0.
    Checksum(u64),
    /// A frame that no snapshot has: by number and reason.
    Frame(u64, String),
    /// The bytes end before the snapshot does.
    Truncated,
    /// There are bytes after the end.
    Trailing,
    /// The snapshot's own count of its records is another.
    Count,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("catalog snapshot refused: ")?;
        match self {
            Self::NotASnapshot => f.write_str("it does not begin as one"),
            Self::Version(version) => write!(f, "version {version} is not known here"),
            Self::Checksum(frame) => write!(f, "frame {frame} has a wrong checksum"),
            Self::Frame(frame, reason) => write!(f, "frame {frame}: {reason}"),
            Self::Truncated => f.write_str("it ends too early"),
            Self::Trailing => f.write_str("it goes on after its end"),
            Self::Count => f.write_str("records are missing"),
        }
    }
}

impl core::error::Error for RestoreError {}

/// A command as the log carries it.
#[must_use]
pub fn encode_command(command: &Command) -> Bytes {
    let value = if let Command::Kv(op) = command { op.key.len() + op.value.len() } else { 0 };
    let mut bytes = Vec::with_capacity(64 + value);
    if let Command::Restore(snapshot) = command {
        bytes.reserve_exact(snapshot.len());
        bytes.extend_from_slice(&[VERSION, RESTORE]);
        bytes.extend_from_slice(snapshot);
    } else {
        bytes.extend_from_slice(&[VERSION, PLAIN]);
        append(&mut bytes, command);
    }
    Bytes::from(bytes)
}

/// Reads a command back.
pub fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
    let error = |what: &str| DecodeError { what: String::from(what) };
    match bytes {
        [VERSION, RESTORE, snapshot @ ..] => Ok(Command::Restore(Bytes::copy_from_slice(snapshot))),
        [VERSION, PLAIN, rest @ ..] => {
            let (command, read) = bincode::serde::decode_from_slice(rest, FORM)
                .map_err(|cause| DecodeError { what: alloc::format!("{cause}") })?;
            if read != rest.len() {
                return Err(error("bytes are left over"));
            }
            Ok(command)
        }
        [VERSION, ..] => Err(error("it has no form known here")),
        [version, ..] => Err(DecodeError { what: alloc::format!("version {version}") }),
        [] => Err(error("it is empty")),
    }
}

/// Reads bytes with a single pass over them: the usual way fills memory with zeros first.
pub(crate) fn copied<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    struct Copied;
    impl Visitor<'_> for Copied {
        type Value = Bytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
            Ok(Bytes::copy_from_slice(bytes))
        }

        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
            Ok(Bytes::from(bytes))
        }
    }
    from.deserialize_bytes(Copied)
}

/// A value as it is kept, written as bytes and read with a single pass over them.
pub(crate) mod value {
    use super::{Arc, Vec, Visitor, fmt};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
        struct Kept;
        impl Visitor<'_> for Kept {
            type Value = Arc<[u8]>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Arc<[u8]>, E> {
                Ok(Arc::from(bytes))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Arc<[u8]>, E> {
                Ok(Arc::from(bytes))
            }
        }
        from.deserialize_bytes(Kept)
    }
}

/// Appends a record in [`FORM`].
pub(crate) fn append<T: serde::Serialize + ?Sized>(bytes: &mut impl BufMut, record: &T) {
    struct Tail<'a, B>(&'a mut B);
    impl<B: BufMut> bincode::enc::write::Writer for Tail<'_, B> {
        fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.0.put_slice(bytes);
            Ok(())
        }
    }
    bincode::serde::encode_into_writer(record, Tail(bytes), FORM)
        .expect("records have no forms that cannot be written");
}
