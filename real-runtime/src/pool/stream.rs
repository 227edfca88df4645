//! One stream of a pool: what comes is handed over in pieces, what is ordered is written.

use super::sockets::{Ear, Heard, What};
use bytes::Bytes;
use proconsul_core::gossip::{StreamEvent, StreamId};
use proconsul_core::types::Pool;
use proconsul_core::wire::stream::Sealed;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

/// Bytes handed over at once.
const PIECE_BYTES: usize = 16 * 1024;
/// A connection is made within this time or not at all.
const DIAL_TIME_MAX: Duration = Duration::from_secs(10);
/// A message is written within this time or the stream is given up.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a closed stream still listens, so that what was written last arrives.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);

/// A message to be written.
#[derive(Debug)]
pub(super) struct Order(pub(super) Box<Sealed>);

/// Whose stream it is, and who hears of it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) pool: Pool,
    pub(super) id: StreamId,
    pub(super) ear: Ear,
}

impl Line {
    /// Whether anybody still listens.
    async fn say(&self, event: StreamEvent) -> bool {
        self.ear.send((self.pool, Heard(What::Stream(self.id, event)))).await.is_ok()
    }
}

/// Opens a stream and carries what goes over it.
pub(super) async fn dial(
    line: Line,
    to: SocketAddr,
    orders: mpsc::UnboundedReceiver<Order>,
    mut closed: watch::Receiver<()>,
) {
    let dialled = tokio::select! {
        dialled = tokio::time::timeout(DIAL_TIME_MAX, TcpStream::connect(to)) => dialled,
        _ = closed.changed() => return,
    };
    match dialled {
        Ok(Ok(socket)) => {
            if line.say(StreamEvent::Connected).await {
                carry(&line, socket, orders, closed).await;
            }
        }
        Ok(Err(_)) | Err(_) => {
            line.say(StreamEvent::Closed).await;
        }
    }
}

/// Carries what goes over an open stream until either side is done, or the pool is.
pub(super) async fn carry(
    line: &Line,
    socket: TcpStream,
    orders: mpsc::UnboundedReceiver<Order>,
    mut closed: watch::Receiver<()>,
) {
    tokio::select! {
        said = exchange(line, socket, orders) => {
            if said.is_err() {
                line.say(StreamEvent::Closed).await;
            }
        }
        _ = closed.changed() => {}
    }
}

async fn exchange(
    line: &Line,
    socket: TcpStream,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut from, mut to) = tokio::io::split(socket);
    let mut piece = vec![0; PIECE_BYTES];
    let mut reading = true;
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(Order(message)) = order else {
                    break;
                };
                let written = async {
                    to.write_all(&message.to_bytes()).await?;
                    to.flush().await
                };
                tokio::time::timeout(WRITE_TIME_MAX, written)
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            }
            read = from.read(&mut piece), if reading => match read? {
                // It says nothing more; an answer may still be wanted.
                0 => {
                    reading = false;
                    line.say(StreamEvent::Closed).await;
                }
                length => {
                    let bytes = Bytes::copy_from_slice(&piece[..length]);
                    if !line.say(StreamEvent::Bytes(bytes)).await {
                        break;
                    }
                }
            }
        }
    }
    // Closing with bytes unread would take back what was just written.
    to.shutdown().await?;
    let drained = async { while reading && from.read(&mut piece).await.is_ok_and(|n| n > 0) {} };
    drop(tokio::time::timeout(LINGER_TIME_MAX, drained).await);
    Ok(())
}
