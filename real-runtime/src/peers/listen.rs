//! Hearing other servers.

use super::greet::{Frames, GREETING_TIME_MAX, answer};
use crate::shared::Shared;
use proconsul_core::types::NodeId;
use proconsul_core::wire::{self, Hello};
use proconsul_core::{Input, PeerMessage};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts other servers for as long as the agent lives.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, own: Hello) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let (shared, own) = (Arc::clone(&shared), own.clone());
                tokio::spawn(async move {
                    if let Err(error) = hear(stream, &shared, &own).await {
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
    stream.set_nodelay(true)?;
    let mut frames = Frames::new();
    let greeted = answer(&mut stream, &mut frames, own);
    let other = tokio::time::timeout(GREETING_TIME_MAX, greeted)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no greeting"))??;
    shared.input(Input::PeerAt(other.id, other.advertised));
    let heard = listen(&mut stream, &mut frames, shared, other.id).await;
    shared.input(Input::PeerLost(other.id));
    heard
}

async fn listen(
    stream: &mut TcpStream,
    frames: &mut Frames,
    shared: &Shared,
    from: NodeId,
) -> io::Result<()> {
    while let Some(frame) = frames.next(stream).await? {
        let message: PeerMessage = wire::decode(&frame).map_err(io::Error::other)?;
        shared.input(Input::Peer { from, message });
    }
    Ok(())
}
