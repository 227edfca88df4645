//! The msgpack that memberlist and Serf speak: a writer of exactly their bytes, and a reader that
//! forgives exactly what theirs forgives.
//!
//! Their dialect is older than msgpack's text and binary families: text and bytes share one form,
//! nothing is ever written as `str8` or `bin`. Values are read straight into the messages; there
//! is no tree of values between.
//!
//! Structs are maps whose keys are written in ascending order. They are read from a map in any
//! order, from an array in the order in which the original declares its fields, or from nil.

mod read;
mod skip;
mod write;

pub(crate) use read::Cursor;
pub(crate) use skip::Scanner;
pub(crate) use write::{Count, Sink};

use core::fmt;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end too early.
    Short,
    /// A message number that is not known here.
    Kind(u8),
    /// A field holds another kind of value; the first byte of that value.
    Mismatch(u8),
    /// A number does not fit its field.
    Range,
    /// A text or an address is none.
    Form,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("message ends too early"),
            Self::Kind(number) => write!(f, "message type {number} is not supported"),
            Self::Mismatch(byte) => write!(f, "unexpected kind of value (0x{byte:02x})"),
            Self::Range => f.write_str("number out of range"),
            Self::Form => f.write_str("field of a form that is not understood"),
        }
    }
}

impl core::error::Error for DecodeError {}
