//! A stream cut into frames.

use crate::codec::LENGTH_BYTES;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use proconsul_types::limits::PEER_MESSAGE_BYTES_MAX;

/// Why a stream is no sequence of frames. The connection is of no further use: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A frame without even a version byte.
    Empty,
    /// A frame claims this many bytes.
    TooLarge(u32),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("frame of 0 bytes"),
            Self::TooLarge(bytes) => {
                write!(f, "frame of {bytes} bytes is over the limit of {PEER_MESSAGE_BYTES_MAX}")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// An empty buffer larger than this is not kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Collects a stream's bytes and gives back whole frames.
///
/// It holds what was received and reserves nothing on the word of a length.
#[derive(Clone, Debug, Default)]
pub struct FrameReader {
    buffer: BytesMut,
    broken: Option<FrameError>,
}

impl FrameReader {
    /// A reader at the start of a stream (after [`crate::FIRST_BYTE`], if it was dialled).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Where the next bytes of the stream belong, with room for at least so many: what
    /// [`Self::push`] does, without a copy.
    pub fn room(&mut self, bytes: usize) -> &mut BytesMut {
        // This may take back all that a frame had.
        self.buffer.reserve(bytes);
        if self.buffer.is_empty() && self.buffer.capacity() > bytes.max(KEPT_BYTES_MAX) {
            self.buffer = BytesMut::with_capacity(bytes);
        }
        &mut self.buffer
    }

    /// The content of the next whole frame (for [`crate::decode`]); `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`], for good, once a length is impossible.
    pub fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let Some(head) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let claimed = u32::from_le_bytes(*head);
        let length = usize::try_from(claimed).unwrap_or(usize::MAX);
        if length == 0 {
            return Err(self.refuse(FrameError::Empty));
        }
        if length > PEER_MESSAGE_BYTES_MAX {
            return Err(self.refuse(FrameError::TooLarge(claimed)));
        }
        if self.buffer.len() - LENGTH_BYTES < length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// All whole frames that are there.
    ///
    /// # Errors
    /// As [`Self::take`]; frames before the impossible length are lost with the connection.
    pub fn take_all(&mut self) -> Result<Vec<Bytes>, FrameError> {
        let mut frames = Vec::new();
        while let Some(frame) = self.take()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Bytes held that belong to no whole frame yet.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn refuse(&mut self, error: FrameError) -> FrameError {
        self.broken = Some(error);
        self.buffer = BytesMut::new();
        error
    }
}
