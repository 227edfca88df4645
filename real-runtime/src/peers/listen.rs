//! Hearing other agents.

use super::framed::{Framed, framed};
use super::greet::{Frames, GREETING_TIME_MAX, answer};
use crate::limit::ClientLimit;
use crate::net;
use crate::shared::{Inbound, Shared};
use bytes::BytesMut;
use proconsul_core::types::NodeId;
use proconsul_core::wire::{self, Hello};
use proconsul_core::{Input, PeerMessage};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What the smallest message takes while it waits for the loop.
const MESSAGE_BYTES_MIN: usize = 256;
/// Messages written at once.
const BATCH_MESSAGES_MAX: usize = 256;
/// A batch is written within this time or the connection is given up.
const WRITE_TIME_MAX: Duration = Duration::from_secs(10);

/// Accepts other servers for as long as the agent lives.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    own: Hello,
    limit: Arc<ClientLimit>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let Some(slot) = limit.enter(from.ip()) else {
                    tracing::debug!(
                        target: "agent.server.rpc",
                        "rejecting RPC conn because rpc_max_conns_per_client exceeded: from={from}"
                    );
                    continue;
                };
                let (shared, own) = (Arc::clone(&shared), own.clone());
                tokio::spawn(async move {
                    let _slot = slot;
                    if let Err(error) = hear(stream, &shared, &own).await {
                        shared.lines.warn_of(&error);
                        tracing::debug!(
                            target: "agent.server.rpc",
                            "connection ended: from={from} error=\"{error}\""
                        );
                    }
                });
            }
            Err(error) => {
                tracing::warn!(target: "agent.server.rpc", "could not accept: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn hear(mut stream: TcpStream, shared: &Shared, own: &Hello) -> io::Result<()> {
    net::between_agents(&stream)?;
    let mut frames = Frames::new();
    let greeted = answer(&mut stream, &mut frames, own);
    let other = tokio::time::timeout(GREETING_TIME_MAX, greeted)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no greeting"))??;
    // Whoever looked for another agent here hangs up without a word, and goes on being heard on the
    // connection that it has.
    if !frames.begin(&mut stream).await? {
        return Ok(());
    }
    let (mut line, had_another) = shared.lines.listens(other.id);
    if had_another {
        // Said before anything of the new connection: what is asked on that is not forgotten.
        shared.input(Input::PeerLost(other.id));
    }
    // One that cannot be dialled is answered on this connection.
    let back = (other.advertised.port() == 0).then(|| shared.lines.open(other.id));
    shared.input(Input::PeerAt(other.id, other.advertised));
    let heard = tokio::select! {
        biased;
        () = line.over() => Err(io::Error::other("replaced, or what was for it is lost")),
        ended = converse(stream, frames, shared, (other.id, back)) => ended,
    };
    if shared.lines.ended(line) {
        shared.input(Input::PeerLost(other.id));
    }
    heard
}

/// Hears an agent, and writes what is to go back to it.
async fn converse(
    mut stream: TcpStream,
    mut frames: Frames,
    shared: &Shared,
    (id, back): (NodeId, Option<mpsc::Receiver<PeerMessage>>),
) -> io::Result<()> {
    let Some(messages) = back else {
        return listen(&mut stream, &mut frames, shared, id).await;
    };
    let (mut from, to) = tokio::io::split(stream);
    tokio::select! {
        ended = listen(&mut from, &mut frames, shared, id) => ended,
        ended = answer_back(to, messages, shared, id) => ended,
    }
}

/// Writes what is for an agent on the connection that it opened.
async fn answer_back(
    mut to: WriteHalf<TcpStream>,
    mut messages: mpsc::Receiver<PeerMessage>,
    shared: &Shared,
    id: NodeId,
) -> io::Result<()> {
    let mut batch = Vec::new();
    let mut bytes = BytesMut::new();
    while messages.recv_many(&mut batch, BATCH_MESSAGES_MAX).await > 0 {
        for message in batch.drain(..) {
            match framed(id, &message) {
                Framed::Frame(frame) => bytes.extend_from_slice(&frame),
                Framed::Answered(input) => shared.input(input),
                Framed::Dropped => {}
            }
        }
        let written = async {
            to.write_all(&bytes).await?;
            to.flush().await
        };
        tokio::time::timeout(WRITE_TIME_MAX, written)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it does not read"))??;
        bytes = BytesMut::new();
    }
    Ok(())
}

pub(super) async fn listen<S: AsyncRead + Unpin>(
    stream: &mut S,
    frames: &mut Frames,
    shared: &Shared,
    from: NodeId,
) -> io::Result<()> {
    loop {
        // What was read enters at once: this may be dropped wherever it waits, and loses nothing.
        let room = frames.room().await?;
        let Some(frame) = frames.next(stream).await? else { return Ok(()) };
        let message: PeerMessage = wire::decode(&frame).map_err(io::Error::other)?;
        let bytes = frame.len().max(MESSAGE_BYTES_MIN);
        shared.enter(Inbound::Peer(from, message, frames.taken(room, bytes)));
    }
}
