//! Values to bodies and back.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bincode::config;
use bytes::Bytes;
use core::fmt;
use proconsul_types::limits::PEER_MESSAGE_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the form of bodies: the first byte of each frame's content.
pub const VERSION: u8 = 1;

/// Bytes of a frame before its version byte.
pub const LENGTH_BYTES: usize = 4;

/// What decoding may claim for each byte of body: a number of 16 bytes may take one on the wire.
const CLAIM_FACTOR: usize = 16;

/// Why a value has no body. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// It is larger than [`PEER_MESSAGE_BYTES_MAX`]; this many bytes.
    TooLarge(usize),
    /// It cannot be expressed (a sequence of unknown length, say): a bug of the type's author.
    Form(String),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => {
                write!(f, "message of {bytes} bytes is over the limit of {PEER_MESSAGE_BYTES_MAX}")
            }
            Self::Form(reason) => write!(f, "message has no binary form: {reason}"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Why bytes are no value. The peer is at fault, or of another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not even a version byte.
    Empty,
    /// A version this build does not know.
    Version(u8),
    /// Bytes are left after the value: this many.
    Trailing(usize),
    /// The body is no such value.
    Body(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty message"),
            Self::Version(version) => {
                write!(f, "message version {version}, this build speaks {VERSION}")
            }
            Self::Trailing(bytes) => write!(f, "{bytes} bytes left after the message"),
            Self::Body(reason) => write!(f, "malformed message: {reason}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The content of a frame: version byte and body.
///
/// # Errors
/// [`EncodeError`] when the value is too large or has no binary form.
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes, EncodeError> {
    let mut out = Vec::new();
    encode_into(VERSION, value, &mut out)?;
    Ok(Bytes::from(out))
}

/// A whole frame: length, version byte, body. What [`crate::FrameReader`] takes apart.
///
/// # Errors
/// As [`encode`].
pub fn frame<T: Serialize>(value: &T) -> Result<Bytes, EncodeError> {
    frame_as(VERSION, value)
}

/// A frame of this version.
pub(crate) fn frame_as<T: Serialize>(version: u8, value: &T) -> Result<Bytes, EncodeError> {
    let mut out = Vec::from([0; LENGTH_BYTES]);
    encode_into(version, value, &mut out)?;
    let length = u32::try_from(out.len() - LENGTH_BYTES)
        .expect("encode_into refuses contents over the limit, which fits 32 bits");
    out[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(Bytes::from(out))
}

fn encode_into<T: Serialize>(version: u8, value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    out.push(version);
    let mut writer = VecWriter(out);
    bincode::serde::encode_into_writer(value, &mut writer, config::standard())
        .map_err(|error| EncodeError::Form(error.to_string()))?;
    let content = out.len() - start;
    if content > PEER_MESSAGE_BYTES_MAX {
        return Err(EncodeError::TooLarge(content));
    }
    Ok(())
}

/// The value in a frame's content (version byte and body). The whole content must be used up.
///
/// # Errors
/// [`DecodeError`] on anything [`encode`] would not have made of a `T`.
pub fn decode<T: DeserializeOwned>(content: &[u8]) -> Result<T, DecodeError> {
    decode_as(VERSION, content)
}

/// The value in the content of a frame of this version.
pub(crate) fn decode_as<T: DeserializeOwned>(wanted: u8, content: &[u8]) -> Result<T, DecodeError> {
    let (version, body) = content.split_first().ok_or(DecodeError::Empty)?;
    if *version != wanted {
        return Err(DecodeError::Version(*version));
    }
    // The limit is a constant of the type, so a ladder: a short body that claims a huge string is
    // refused before anything is reserved for it.
    let (value, used) = match body.len().saturating_mul(CLAIM_FACTOR) {
        0..=0x1_0000 => decode_within::<T, 0x1_0000>(body),
        0x1_0001..=0x10_0000 => decode_within::<T, 0x10_0000>(body),
        0x10_0001..=0x100_0000 => decode_within::<T, 0x100_0000>(body),
        _ => decode_within::<T, { CLAIM_FACTOR * PEER_MESSAGE_BYTES_MAX }>(body),
    }?;
    if used != body.len() {
        return Err(DecodeError::Trailing(body.len() - used));
    }
    Ok(value)
}

fn decode_within<T: DeserializeOwned, const LIMIT: usize>(
    body: &[u8],
) -> Result<(T, usize), DecodeError> {
    bincode::serde::decode_from_slice(body, config::standard().with_limit::<LIMIT>())
        .map_err(|error| DecodeError::Body(error.to_string()))
}

struct VecWriter<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for VecWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
