//! Asking other name servers what is not ours to answer.

use crate::dns_line::Line;
use crate::net;
use proconsul_core::dns::{Config, elsewhere};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};

/// No reply by datagram is longer than this.
const UDP_BYTES_MAX: usize = 4096;

/// The first reply that settles the question; `None` if no recursor gives one.
pub(crate) async fn ask(config: &Config, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let patience = config.recursor_timeout;
    for recursor in &config.recursors {
        let asked = async {
            match tcp {
                true => by_tcp(*recursor, question, patience).await,
                false => by_udp(*recursor, question).await,
            }
        };
        match tokio::time::timeout(patience, asked).await {
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

async fn by_tcp(recursor: SocketAddr, question: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let mut line = Line::new(TcpStream::connect(recursor).await?, patience);
    line.send(question).await?;
    line.receive().await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
