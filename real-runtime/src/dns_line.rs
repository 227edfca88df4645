//! Messages of DNS on a stream (RFC 1035 4.2.2), those of clients and those of recursors.

use crate::net;
use bytes::{Buf, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A connection on which messages come and go, each after its length.
pub(crate) struct Line<S> {
    stream: S,
    buffer: BytesMut,
    /// How long each wait for the other side may last.
    patience: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(512), patience }
    }

    /// The next message; `None` once the other side is gone.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !self.fill(2).await? {
            return Ok(None);
        }
        let length = usize::from(self.buffer.get_u16());
        if !self.fill(length).await? {
            return Ok(None);
        }
        Ok(Some(self.buffer.split_to(length).to_vec()))
    }

    async fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        timeout(self.patience, net::fill(&mut self.stream, &mut self.buffer, bytes)).await?
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        let mut framed = Vec::with_capacity(message.len() + 2);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        timeout(self.patience, self.stream.write_all(&framed)).await??;
        timeout(self.patience, self.stream.flush()).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn who_goes_on_asking_is_answered() {
        let (mut client, server) = tokio::io::duplex(64);
        let patience = Duration::from_millis(400);
        let served = tokio::spawn(async move {
            let mut line = Line::new(server, patience);
            loop {
                match line.receive().await {
                    Ok(Some(question)) => line.send(&question).await.unwrap(),
                    Ok(None) => panic!("the client is not gone"),
                    Err(error) => return error.kind(),
                }
            }
        });
        for letter in *b"0123456789" {
            tokio::time::sleep(patience / 4).await;
            client.write_all(&[0, 1, letter]).await.unwrap();
            let mut answer = [0; 3];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, [0, 1, letter]);
        }
        assert_eq!(served.await.unwrap(), io::ErrorKind::TimedOut, "silence ends it");
    }

    #[tokio::test]
    async fn half_a_question_is_silence_too() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&[0, 9, 1]).await.unwrap();
        let asked = Line::new(server, Duration::from_millis(50)).receive().await;
        assert_eq!(asked.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
