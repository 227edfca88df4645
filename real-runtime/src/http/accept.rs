//! Listening for clients, and how many of them one address may bring.

use crate::http::answer::answer;
use crate::shared::Shared;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// What one connection may keep of a request before the body is read out: request line and headers
/// must fit.
const CONNECTION_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Counts connections by client address (`limits.http_max_conns_per_client`).
#[derive(Debug, Default)]
pub(crate) struct ClientLimit {
    max: AtomicUsize,
    open: Mutex<BTreeMap<IpAddr, usize>>,
}

impl ClientLimit {
    /// With this many connections for one address; 0 is without bound.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        Self { max: AtomicUsize::new(max), open: Mutex::default() }
    }

    /// Changes the bound for connections to come.
    pub(crate) fn set(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Slot> {
        let max = self.max.load(Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_insert(0);
        if max > 0 && *count >= max {
            return None;
        }
        *count += 1;
        Some(Slot { limit: Arc::clone(self), client })
    }
}

/// One counted connection.
struct Slot {
    limit: Arc<ClientLimit>,
    client: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.limit.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// Accepts clients for as long as the agent lives.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, limit: Arc<ClientLimit>) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => open(stream, client, &shared, &limit),
            Err(error) => {
                tracing::warn!(target: "agent.http", "could not accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn open(stream: TcpStream, client: SocketAddr, shared: &Arc<Shared>, limit: &Arc<ClientLimit>) {
    let Some(slot) = limit.enter(client.ip()) else {
        tracing::debug!(target: "agent.http", "too many connections: from={client}");
        return;
    };
    // Small answers must not wait for more to come; if it cannot be set the answer is only later.
    drop(stream.set_nodelay(true));
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let _slot = slot;
        let service = service_fn(|request| answer(&shared, client, request));
        let served = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(CONNECTION_BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::trace!(target: "agent.http", "connection ended: from={client} error={error}");
        }
    });
}
