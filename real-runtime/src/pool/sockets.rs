//! One pool's UDP socket, its listener, and its open streams.

use super::stream::{self, Order};
use crate::net;
use bytes::Bytes;
use proconsul_core::gossip::{StreamEvent, StreamId};
use proconsul_core::types::Pool;
use proconsul_core::wire::packet::Datagram;
use proconsul_core::wire::stream::Sealed;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Datagrams that wait to be sent; more are dropped.
const OUTGOING_MAX: usize = 4_096;
/// Accepted streams at one time; more are not taken from the listener.
const ACCEPTED_MAX: usize = 256;
/// Free ports are asked for this often before there is none for both UDP and TCP.
const BIND_TRIES: usize = 16;
/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Sockets of a pool that nobody listens to yet.
#[derive(Debug)]
pub struct Bound {
    udp: UdpSocket,
    tcp: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds both sockets to `address`; port 0 takes one that is free for both.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn at(address: SocketAddr) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            let tcp = net::listen(address).await?;
            let bound = SocketAddr::new(address.ip(), tcp.local_addr()?.port());
            match net::bind_datagrams(bound).await {
                Ok(udp) => return Ok(Self { udp, tcp, address: bound }),
                Err(error) if address.port() != 0 || tries >= BIND_TRIES => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }

    /// Where.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Something that happened at a pool's sockets; they make an input of it.
#[derive(Debug)]
pub struct Heard(pub(super) What);

#[derive(Debug)]
pub(super) enum What {
    Packet(SocketAddr, Bytes),
    Accepted(StreamId, SocketAddr, mpsc::UnboundedSender<Order>),
    Stream(StreamId, StreamEvent),
}

/// An input of a pool.
#[derive(Debug)]
pub(crate) enum PoolInput {
    Packet(SocketAddr, Bytes),
    Stream(StreamId, StreamEvent),
}

/// Where the sockets of a pool say what they hear.
pub(crate) type Ear = mpsc::Sender<(Pool, Heard)>;

/// The open sockets of one pool. Dropped, everything is closed at once.
#[derive(Debug)]
pub struct Sockets {
    pool: Pool,
    address: SocketAddr,
    outgoing: mpsc::Sender<(SocketAddr, Datagram)>,
    streams: BTreeMap<StreamId, mpsc::UnboundedSender<Order>>,
    ear: Ear,
    tasks: Vec<AbortHandle>,
    open: tokio::sync::watch::Sender<()>,
}

impl Sockets {
    /// Starts to listen; what is heard goes to `ear`.
    #[must_use]
    pub fn start(pool: Pool, bound: Bound, ear: mpsc::Sender<(Pool, Heard)>) -> Self {
        let Bound { udp, tcp, address } = bound;
        let udp = Arc::new(udp);
        let (outgoing, letters) = mpsc::channel(OUTGOING_MAX);
        let (open, closed) = tokio::sync::watch::channel(());
        let tasks = vec![
            tokio::spawn(receive(pool, Arc::clone(&udp), ear.clone())).abort_handle(),
            tokio::spawn(send(udp, letters)).abort_handle(),
            tokio::spawn(accept(pool, tcp, ear.clone(), closed)).abort_handle(),
        ];
        Self { pool, address, outgoing, streams: BTreeMap::new(), ear, tasks, open }
    }

    /// Where.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes an input of what was heard; `None` if it is about a stream that was closed here.
    pub(crate) fn hear(&mut self, heard: Heard) -> Option<PoolInput> {
        match heard.0 {
            What::Packet(from, bytes) => Some(PoolInput::Packet(from, bytes)),
            What::Accepted(id, from, orders) => {
                self.streams.insert(id, orders);
                Some(PoolInput::Stream(id, StreamEvent::Accepted(from)))
            }
            What::Stream(id, StreamEvent::Closed) => {
                let known = self.streams.remove(&id).is_some();
                known.then_some(PoolInput::Stream(id, StreamEvent::Closed))
            }
            What::Stream(id, event) => {
                self.streams.contains_key(&id).then_some(PoolInput::Stream(id, event))
            }
        }
    }

    /// Queues a datagram. It may get lost.
    pub(crate) fn send(&self, to: SocketAddr, datagram: Datagram) {
        drop(self.outgoing.try_send((to, datagram)));
    }

    /// Opens a stream.
    pub(crate) fn dial(&mut self, id: StreamId, to: SocketAddr) {
        let (orders, received) = mpsc::unbounded_channel();
        self.streams.insert(id, orders);
        let line = stream::Line { pool: self.pool, id, ear: self.ear.clone() };
        tokio::spawn(stream::dial(line, to, received, self.open.subscribe()));
    }

    /// Queues a message on a stream.
    pub(crate) fn write(&self, id: StreamId, message: Box<Sealed>) {
        if let Some(orders) = self.streams.get(&id) {
            // Should it be broken, that is on its way here.
            drop(orders.send(Order(message)));
        }
    }

    /// Closes a stream once what was queued is sent.
    pub(crate) fn close(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn receive(pool: Pool, udp: Arc<UdpSocket>, ear: Ear) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match udp.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                // Full: the loop is busy, and a datagram more or less makes no difference.
                drop(ear.try_send((pool, Heard(What::Packet(from, bytes)))));
                if ear.is_closed() {
                    return;
                }
            }
            // Another's "nobody listens here" comes back as an error of this socket.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => {
                tracing::warn!(target: "agent.gossip", "could not receive: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn send(udp: Arc<UdpSocket>, mut letters: mpsc::Receiver<(SocketAddr, Datagram)>) {
    while let Some((to, datagram)) = letters.recv().await {
        if let Err(error) = net::send_to(&udp, &datagram.to_bytes(), to).await {
            tracing::debug!(target: "agent.gossip", "could not send: to={to} error=\"{error}\"");
        }
    }
}

async fn accept(
    pool: Pool,
    listener: TcpListener,
    ear: Ear,
    closed: tokio::sync::watch::Receiver<()>,
) {
    let room = Arc::new(tokio::sync::Semaphore::new(ACCEPTED_MAX));
    let mut next = 1;
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((socket, from)) => {
                let id = StreamId(next);
                next += 2;
                let (orders, received) = mpsc::unbounded_channel();
                if ear.send((pool, Heard(What::Accepted(id, from, orders)))).await.is_err() {
                    return;
                }
                let line = stream::Line { pool, id, ear: ear.clone() };
                let closed = closed.clone();
                tokio::spawn(async move {
                    stream::carry(&line, socket, received, closed).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(target: "agent.gossip", "could not accept: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
