//! The greeting of a connection between agents, and its frames.
//!
//! Servers of all datacenters greet one another: who belongs to whose group, core knows.

use proconsul_core::wire::{FIRST_BYTE, FrameReader, Hello};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A greeting is there within this time, or the connection is closed
/// (`limits.rpc_handshake_timeout`).
pub(super) const GREETING_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of one connection that may wait for the loop, and a message more.
const WAITING_BYTES_MAX: u32 = 8 << 20;
/// Bytes read at once, at least.
const READ_BYTES: usize = 8 * 1024;

/// The dialler's half: greet, hear the greeting, say who answered. The frames that came with the
/// greeting stay in `frames`.
pub(super) async fn greet<S>(stream: &mut S, frames: &mut Frames, own: &Hello) -> io::Result<Hello>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = vec![FIRST_BYTE];
    bytes.extend_from_slice(&own.to_frame().map_err(io::Error::other)?);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let other = hello(frames, stream).await?;
    understood(own, other)
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
    stream.write_all(&own.to_frame().map_err(io::Error::other)?).await?;
    stream.flush().await?;
    understood(own, other)
}

/// Nothing is said to an agent that could not read it.
fn understood(own: &Hello, other: Hello) -> io::Result<Hello> {
    if own.can_talk(&other) {
        return Ok(other);
    }
    let (id, theirs, ours) = (other.id, other.version, own.version);
    let reason = format!("{id} speaks version {theirs} of the protocol, this agent {ours}");
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

async fn hello<S>(frames: &mut Frames, stream: &mut S) -> io::Result<Hello>
where
    S: AsyncRead + Unpin,
{
    let Some(frame) = frames.next(stream).await? else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no greeting"));
    };
    Hello::decode(&frame).map_err(io::Error::other)
}

/// Frames of a stream, one after another, and how much of it may still wait for the loop.
pub(super) struct Frames {
    reader: FrameReader,
    room: Arc<Semaphore>,
}

impl Frames {
    pub(super) fn new() -> Self {
        let room = Semaphore::new(usize::try_from(WAITING_BYTES_MAX).unwrap_or(usize::MAX));
        Self { reader: FrameReader::new(), room: Arc::new(room) }
    }

    /// Waits until the loop has taken in so much of what came that there is room for more.
    pub(super) async fn room(&self) -> io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.map_err(io::Error::other)
    }

    /// The room that a frame of so many bytes takes, until the loop has taken it in.
    pub(super) fn taken(
        &self,
        mut room: OwnedSemaphorePermit,
        bytes: usize,
    ) -> OwnedSemaphorePermit {
        let more = self.room.available_permits().min(bytes.saturating_sub(1));
        let more = u32::try_from(more).unwrap_or(WAITING_BYTES_MAX);
        if let Ok(more) = Arc::clone(&self.room).try_acquire_many_owned(more) {
            room.merge(more);
        }
        room
    }

    /// Waits for whatever comes first; false if the stream ends before that.
    pub(super) async fn begin<S>(&mut self, stream: &mut S) -> io::Result<bool>
    where
        S: AsyncRead + Unpin,
    {
        if self.reader.pending_bytes() > 0 {
            return Ok(true);
        }
        Ok(stream.read_buf(self.reader.room(READ_BYTES)).await? > 0)
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
            if stream.read_buf(self.reader.room(READ_BYTES)).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::types::NodeId;
    use proconsul_core::wire;

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

    #[tokio::test]
    async fn who_looked_for_another_hangs_up_without_a_word() {
        for word in [&b""[..], b"\x01"] {
            let (mut dialler, mut answerer) = tokio::io::duplex(1024);
            let mut frames = Frames::new();
            dialler.write_all(word).await.unwrap();
            drop(dialler);
            assert_eq!(frames.begin(&mut answerer).await.unwrap(), !word.is_empty());
            assert_eq!(frames.reader.pending_bytes(), word.len(), "nothing is lost");
        }
    }

    #[tokio::test]
    async fn what_waits_for_the_loop_has_a_bound() {
        let most = usize::try_from(WAITING_BYTES_MAX).unwrap();
        let frames = Frames::new();
        let mut waiting = Vec::new();
        for bytes in [1, most / 2, most, 7] {
            let room = tokio::time::timeout(Duration::from_millis(10), frames.room()).await;
            let Ok(room) = room else { break };
            waiting.push(frames.taken(room.unwrap(), bytes));
        }
        assert_eq!(waiting.len(), 3, "the last one finds no room");
        drop(waiting.remove(0));
        let room = frames.room().await.unwrap();
        waiting.push(frames.taken(room, 9));
        assert_eq!(frames.room.available_permits(), 0);
        waiting.clear();
        assert_eq!(frames.room.available_permits(), most, "all of it comes back");
    }

    #[tokio::test]
    async fn versions_are_compared() {
        let mut newer = hello_of(2, "dc1");
        newer.version += 1;
        let (heard, seen) = meet(&hello_of(1, "dc1"), &newer).await;
        // The older one does not know what the newer one can; that one cannot write for it.
        assert_eq!(heard.unwrap(), newer);
        let refused = seen.unwrap_err();
        let (id, ours) = (NodeId(1), newer.version);
        let words =
            format!("{id} speaks version {} of the protocol, this agent {ours}", wire::VERSION);
        assert_eq!((refused.kind(), refused.to_string()), (io::ErrorKind::Unsupported, words));
    }
}
