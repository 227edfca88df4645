//! The greeting of a connection between agents, and its frames.
//!
//! Servers of all datacenters greet one another: who belongs to whose group, core knows.

use proconsul_core::wire::{self, FIRST_BYTE, FrameReader, Hello};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A greeting is there within this time, or the connection is closed
/// (`limits.rpc_handshake_timeout`).
pub(super) const GREETING_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// The dialler's half: greet, hear the greeting, say who answered. The frames that came with the
/// greeting stay in `frames`.
pub(super) async fn greet<S>(stream: &mut S, frames: &mut Frames, own: &Hello) -> io::Result<Hello>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = vec![FIRST_BYTE];
    bytes.extend_from_slice(&wire::frame(own).map_err(io::Error::other)?);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    hello(frames, stream).await
}

/// The answerer's half. The frames that came with the greeting stay in `frames`.
pub(super) async fn answer<S>(stream: &mut S, frames: &mut Frames, own: &Hello) -> io::Result<Hello>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut first = [0];
    stream.read_exact(&mut first).await?;
    if first[0] != FIRST_BYTE {
        return Err(io::Error::other(format!("unknown protocol byte {}", first[0])));
    }
    let other = hello(frames, stream).await?;
    stream.write_all(&wire::frame(own).map_err(io::Error::other)?).await?;
    stream.flush().await?;
    Ok(other)
}

async fn hello<S>(frames: &mut Frames, stream: &mut S) -> io::Result<Hello>
where
    S: AsyncRead + Unpin,
{
    let Some(frame) = frames.next(stream).await? else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no greeting"));
    };
    wire::decode(&frame).map_err(io::Error::other)
}

/// Frames of a stream, one after another.
pub(super) struct Frames {
    reader: FrameReader,
    buffer: Vec<u8>,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { reader: FrameReader::new(), buffer: Vec::new() }
    }

    /// The content of the next frame; `None` at the end of the stream.
    pub(super) async fn next<S>(&mut self, stream: &mut S) -> io::Result<Option<bytes::Bytes>>
    where
        S: AsyncRead + Unpin,
    {
        loop {
            if let Some(frame) = self.reader.take().map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            self.buffer.resize(READ_BYTES, 0);
            let bytes = stream.read(&mut self.buffer).await?;
            if bytes == 0 {
                return Ok(None);
            }
            self.reader.push(&self.buffer[..bytes]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::types::NodeId;

    fn hello_of(id: u128, datacenter: &str) -> Hello {
        Hello {
            version: wire::VERSION,
            id: NodeId::from_bits(id),
            datacenter: datacenter.into(),
            advertised: "127.0.0.1:8300".parse().unwrap(),
        }
    }

    async fn meet(one: &Hello, two: &Hello) -> (io::Result<Hello>, io::Result<Hello>) {
        let (mut dialler, mut answerer) = tokio::io::duplex(1024);
        let (mut frames, mut heard) = (Frames::new(), Frames::new());
        let greeted = async {
            let greeted = greet(&mut dialler, &mut heard, one).await;
            drop(dialler);
            greeted
        };
        let answered = async {
            let answered = answer(&mut answerer, &mut frames, two).await;
            drop(answerer);
            answered
        };
        tokio::join!(greeted, answered)
    }

    #[tokio::test]
    async fn both_learn_who_the_other_is() {
        let (one, two) = (hello_of(1, "dc1"), hello_of(2, "dc1"));
        let (heard, seen) = meet(&one, &two).await;
        assert_eq!((heard.unwrap(), seen.unwrap()), (two, one));
    }

    #[tokio::test]
    async fn datacenters_meet() {
        let (one, two) = (hello_of(1, "dc1"), hello_of(2, "dc2"));
        let (heard, seen) = meet(&one, &two).await;
        assert_eq!((heard.unwrap(), seen.unwrap()), (two, one));
    }
}
