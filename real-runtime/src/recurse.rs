//! Asking other name servers what is not ours to answer.

use crate::net;
use bytes::{Buf, BytesMut};
use proconsul_core::dns::{Config, elsewhere};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};

/// No reply by datagram is longer than this.
const UDP_BYTES_MAX: usize = 4096;

/// The first reply that settles the question; `None` if no recursor gives one.
pub(crate) async fn ask(config: &Config, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
    for recursor in &config.recursors {
        let asked = async {
            if tcp { by_tcp(*recursor, question).await } else { by_udp(*recursor, question).await }
        };
        match tokio::time::timeout(config.recursor_timeout, asked).await {
            Ok(Ok(mut reply)) if elsewhere::settles(question, &reply) => {
                elsewhere::relay(&mut reply);
                return Some(reply);
            }
            Ok(Ok(_)) => tracing::debug!(target: "agent.dns", "recursor {recursor} did not know"),
            Ok(Err(error)) => {
                tracing::warn!(target: "agent.dns", "recurse failed: {recursor}: {error}");
            }
            Err(_) => tracing::warn!(target: "agent.dns", "recurse timed out: {recursor}"),
        }
    }
    None
}

async fn by_udp(recursor: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let own: SocketAddr = match recursor {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    net::send_to(&socket, question, recursor).await?;
    let mut buffer = vec![0_u8; UDP_BYTES_MAX];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer).await?;
        // Anyone may send to this socket; only the recursor is believed.
        if from == recursor && buffer.get(..2) == question.get(..2) {
            buffer.truncate(bytes);
            return Ok(buffer);
        }
    }
}

async fn by_tcp(recursor: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(recursor).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(question).await?;
    stream.flush().await?;
    let mut buffer = BytesMut::with_capacity(512);
    if !net::fill(&mut stream, &mut buffer, 2).await? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = usize::from(buffer.get_u16());
    if !net::fill(&mut stream, &mut buffer, length).await? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(buffer.split_to(length).to_vec())
}
