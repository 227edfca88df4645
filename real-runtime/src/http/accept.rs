//! Listening for clients.

use crate::http::answer::answer;
use crate::http::eager::Eager;
use crate::limit::ClientLimit;
use crate::shared::Shared;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// What one connection may keep of a request before the body is read out: request line and headers
/// must fit.
const CONNECTION_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
        let connection = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(CONNECTION_BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = Eager::new(connection).await {
            tracing::trace!(target: "agent.http", "connection ended: from={client} error={error}");
        }
    });
}
