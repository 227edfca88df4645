//! The few places where the simulated runtime is called differently from the real one.

use bytes::BytesMut;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpStream, UdpSocket};

/// What is wished for as the receive buffer of a socket for datagrams.
#[cfg(not(madsim))]
const DATAGRAM_BUFFER_BYTES: usize = 2 << 20;

/// A connection that is silent for so long is asked whether it still stands.
#[cfg(not(madsim))]
const SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(30);
/// And again after so long, nine times.
#[cfg(not(madsim))]
const ASK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

/// What was sent and not acknowledged for so long breaks its connection. Otherwise the system sends
/// it again after ever longer pauses, and a connection that outlived a cut in the network would be
/// silent for as long again.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[cfg(not(madsim))]
const UNHEARD_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// Sends one datagram.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn send_to(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
    #[cfg(madsim)]
    {
        socket.send_to(to, bytes).await
    }
    #[cfg(not(madsim))]
    {
        socket.send_to(bytes, to).await.map(|_| ())
    }
}

/// Reads until `buffer` holds at least `bytes`. `false` if the stream ended before.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn fill<R: AsyncRead + Unpin>(
    stream: &mut R,
    buffer: &mut BytesMut,
    bytes: usize,
) -> io::Result<bool> {
    while buffer.len() < bytes {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Listens on `address`. On real machines the backlog is deep and the address may be taken over
/// from a process that just died.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    #[cfg(madsim)]
    {
        tokio::net::TcpListener::bind(address).await
    }
    #[cfg(not(madsim))]
    {
        use tokio::net::TcpSocket;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        std::future::ready(socket.listen(4096)).await
    }
}

/// Binds a socket for datagrams with room for bursts of them.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn bind_datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await?;
    #[cfg(not(madsim))]
    {
        // As much as the system grants: less only means that more is lost when many speak at once.
        let granted = socket2::SockRef::from(&socket).set_recv_buffer_size(DATAGRAM_BUFFER_BYTES);
        if let Err(error) = granted {
            tracing::debug!(target: "agent.gossip", "receive buffer not enlarged: {error}");
        }
    }
    Ok(socket)
}

/// Makes a connection between agents quick, and lets it end where the other side is gone without a
/// word: a machine without power closes nothing.
///
/// # Errors
/// What the operating system says.
pub(crate) fn between_agents(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(not(madsim))]
    {
        let keepalive =
            socket2::TcpKeepalive::new().with_time(SILENCE_MAX).with_interval(ASK_INTERVAL);
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(Some(UNHEARD_MAX))?;
    }
    Ok(())
}

/// The addresses a host name stands for, or why it stands for none.
///
/// # Errors
/// In the words of the resolver.
pub(crate) async fn addresses_of(host: &str) -> Result<Vec<IpAddr>, String> {
    #[cfg(madsim)]
    {
        std::future::ready(()).await;
        Err(format!("lookup {host}: no such host"))
    }
    #[cfg(not(madsim))]
    {
        let found = tokio::net::lookup_host((host, 0)).await;
        let found = found.map_err(|error| format!("lookup {host}: {error}"))?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Does work that takes long where it holds up nobody. In the simulation, which has one thread,
/// that is here and now.
#[cfg_attr(madsim, expect(clippy::unused_async, reason = "there is nothing to wait for"))]
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    #[cfg(madsim)]
    {
        Ok(work())
    }
    #[cfg(not(madsim))]
    {
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
    }
}
