//! Speaking to other agents.

use super::framed::{Framed, framed};
use super::greet::{Frames, GREETING_TIME_MAX, greet};
use super::listen::listen;
use crate::net;
use crate::shared::Shared;
use bytes::BytesMut;
use proconsul_core::types::NodeId;
use proconsul_core::wire::Hello;
use proconsul_core::{Input, PeerMessage};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Messages that wait for one peer; more are dropped (and the loop hears of it).
const QUEUE_MESSAGES_MAX: usize = 8192;
/// Messages written at once.
const BATCH_MESSAGES_MAX: usize = 256;
/// A connection is made within this time or not at all.
const DIAL_TIME_MAX: Duration = Duration::from_secs(2);
/// A batch is written within this time or the connection is given up.
const WRITE_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause after the first failed dial; doubled up to the next one.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Longest pause between two dials.
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// A write buffer larger than this is not kept.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

type Letter = (SocketAddr, PeerMessage);

/// The peers this agent speaks to.
#[derive(Debug)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
    own: Hello,
    queues: BTreeMap<NodeId, mpsc::Sender<Letter>>,
}

impl Peers {
    /// Nobody yet; connections begin with this greeting.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>, own: Hello) -> Self {
        Self { shared, own, queues: BTreeMap::new() }
    }

    /// Ends the connection to a peer, with all that is on its way; the next message opens another.
    pub(crate) fn hang_up(&mut self, peer: NodeId) {
        if self.queues.remove(&peer).is_some() {
            self.shared.input(Input::PeerLost(peer));
        }
    }

    /// Queues a message. It never blocks.
    pub(crate) fn send(&mut self, to: NodeId, address: SocketAddr, message: PeerMessage) {
        if address.port() == 0 {
            let (call, is_waited_for) = (message.call(), is_waited_for(&message));
            if !self.shared.lines.send(to, message) {
                if is_waited_for {
                    self.shared.lines.lost(to);
                }
                self.shared.input(Input::PeerUnreached(to, call.into_iter().collect()));
            }
            return;
        }
        let queue = self.queues.entry(to).or_insert_with(|| {
            let (sender, letters) = mpsc::channel(QUEUE_MESSAGES_MAX);
            let speaker = Speaker {
                shared: Arc::clone(&self.shared),
                own: self.own.clone(),
                to,
                letters,
                backoff: BACKOFF_MIN,
            };
            tokio::spawn(speaker.run());
            sender
        });
        match queue.try_send((address, message)) {
            Ok(()) => {}
            Err(TrySendError::Full((_, message))) => {
                if is_waited_for(&message) {
                    self.shared.lines.lost(to);
                }
                let unsent = message.call().into_iter().collect();
                self.shared.input(Input::PeerUnreached(to, unsent));
            }
            Err(TrySendError::Closed(_)) => {
                // Its task ended with the runtime; there is nobody left to tell.
            }
        }
    }
}

/// Whether the peer waits for this message, and would wait for ever.
fn is_waited_for(message: &PeerMessage) -> bool {
    matches!(message, PeerMessage::Reply { .. })
}

/// The task that speaks to one peer.
struct Speaker {
    shared: Arc<Shared>,
    own: Hello,
    to: NodeId,
    letters: mpsc::Receiver<Letter>,
    backoff: Duration,
}

impl Speaker {
    async fn run(mut self) {
        let mut batch: Vec<Letter> = Vec::new();
        loop {
            if batch.is_empty() && self.letters.recv_many(&mut batch, BATCH_MESSAGES_MAX).await == 0
            {
                return;
            }
            let address = batch[0].0;
            let mut pause = None;
            match self.dial(address).await {
                Ok((stream, frames)) => {
                    self.backoff = BACKOFF_MIN;
                    let ended = self.speak(stream, frames, address, &mut batch).await;
                    tracing::debug!(
                        target: "agent.server.rpc",
                        "connection ended: peer={} address={address} reason=\"{ended}\"", self.to
                    );
                }
                Err(error) => {
                    self.shared.lines.warn_of(&error);
                    tracing::debug!(
                        target: "agent.server.rpc",
                        "dial failed: peer={} address={address} error=\"{error}\"", self.to
                    );
                    pause = Some(self.backoff);
                    self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
                }
            }
            if batch.first().is_some_and(|(wanted, _)| *wanted != address) {
                // Not a loss: the peer moved, and this batch goes to its new address.
                continue;
            }
            // What waited for this connection is old by now; whoever needs it says it again. None
            // of it was written: only what was is gone from the batch.
            while let Ok(letter) = self.letters.try_recv() {
                batch.push(letter);
            }
            if batch.iter().any(|(_, message)| is_waited_for(message)) {
                // Where no connection was made, nobody over there saw one end.
                self.shared.lines.lost(self.to);
            }
            let unsent = batch.drain(..).filter_map(|(_, message)| message.call()).collect();
            self.shared.input(Input::PeerUnreached(self.to, unsent));
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<(TcpStream, Frames)> {
        let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let dialed = tokio::time::timeout(DIAL_TIME_MAX, TcpStream::connect(address)).await;
        let mut stream = dialed.map_err(timed_out)??;
        net::between_agents(&stream)?;
        let mut frames = Frames::new();
        let greeted = greet(&mut stream, &mut frames, &self.own);
        let greeted = tokio::time::timeout(GREETING_TIME_MAX, greeted).await;
        let other = greeted.map_err(timed_out)??;
        if other.id != self.to {
            return Err(io::Error::other(format!("{} answered there", other.id)));
        }
        Ok((stream, frames))
    }

    /// Writes batches until the connection breaks, or the peer is to be reached elsewhere (then the
    /// batch that says so is left in `batch`).
    async fn speak(
        &mut self,
        stream: TcpStream,
        mut frames: Frames,
        address: SocketAddr,
        batch: &mut Vec<Letter>,
    ) -> io::Error {
        let (mut from_peer, mut to_peer) = tokio::io::split(stream);
        let mut bytes = BytesMut::new();
        loop {
            if batch.first().is_some_and(|(wanted, _)| *wanted != address) {
                return io::Error::other("the peer moved");
            }
            for (_, message) in batch.drain(..) {
                match framed(self.to, &message) {
                    Framed::Frame(frame) => bytes.extend_from_slice(&frame),
                    Framed::Answered(input) => self.shared.input(input),
                    Framed::Dropped => {}
                }
            }
            if !bytes.is_empty() {
                let written = async {
                    to_peer.write_all(&bytes).await?;
                    to_peer.flush().await
                };
                match tokio::time::timeout(WRITE_TIME_MAX, written).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return error,
                    Err(_) => return io::Error::new(io::ErrorKind::TimedOut, "it does not read"),
                }
                bytes.clear();
                if bytes.capacity() > BUFFER_BYTES_KEPT {
                    bytes = BytesMut::new();
                }
            }
            tokio::select! {
                biased;
                ended = hear(&mut from_peer, &mut frames, &self.own, &self.shared, self.to) => {
                    return ended;
                }
                count = self.letters.recv_many(batch, BATCH_MESSAGES_MAX) => {
                    if count == 0 {
                        return io::Error::other("this agent stops");
                    }
                }
            }
        }
    }
}

/// What comes back until the connection ends. Only those who cannot be dialled are spoken to: for
/// all others, anything that comes is the end.
async fn hear(
    from: &mut ReadHalf<TcpStream>,
    frames: &mut Frames,
    own: &Hello,
    shared: &Shared,
    peer: NodeId,
) -> io::Error {
    let heard = if own.advertised.port() == 0 {
        listen(from, frames, shared, peer).await
    } else {
        let mut silence = [0_u8; 1];
        from.read(&mut silence).await.and_then(|bytes| match bytes {
            0 => Ok(()),
            _ => Err(io::Error::other("it spoke out of turn")),
        })
    };
    heard.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
