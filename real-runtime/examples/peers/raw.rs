//! Bytes on sockets, without any member: to say what no member would, and to ask what one holds.

use crate::place::{Outcome, secs, text};
use proconsul_core::types::{Incarnation, Liveness};
use proconsul_core::wire::crypto::Keyring;
use proconsul_core::wire::memberlist::{Accusation, Message, PushPull, StreamMessage};
use proconsul_core::wire::shared::SharedList;
use proconsul_core::wire::stream::{Reader, Sealed};
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// A socket of nobody's.
#[derive(Debug)]
pub(crate) struct Voice(UdpSocket);

impl Voice {
    pub(crate) async fn at(ip: IpAddr) -> Outcome<Self> {
        UdpSocket::bind((ip, 0)).await.map(Self).map_err(text)
    }

    pub(crate) fn address(&self) -> Outcome<SocketAddr> {
        self.0.local_addr().map_err(text)
    }

    pub(crate) async fn say(&self, to: SocketAddr, bytes: &[u8]) -> Outcome {
        self.0.send_to(bytes, to).await.map(|_| ()).map_err(text)
    }

    /// The next datagram within this many seconds.
    pub(crate) async fn hear(&self, seconds: u64) -> Outcome<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let heard = tokio::time::timeout(secs(seconds), self.0.recv_from(&mut buffer)).await;
        let (length, _) = heard.map_err(|_| "nothing was heard".to_owned())?.map_err(text)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Says that `node` is suspect.
    pub(crate) async fn suspect(
        &self,
        to: SocketAddr,
        node: &str,
        from: &str,
        incarnation: Incarnation,
    ) -> Outcome {
        let accusation = Accusation { incarnation, node: node.into(), from: from.into() };
        self.say(to, &Message::Suspect(accusation.into()).to_bytes()).await
    }

    /// Says that `node` is dead.
    pub(crate) async fn dead(
        &self,
        to: SocketAddr,
        node: &str,
        from: &str,
        incarnation: Incarnation,
    ) -> Outcome {
        let accusation = Accusation { incarnation, node: node.into(), from: from.into() };
        self.say(to, &Message::Dead(accusation.into()).to_bytes()).await
    }
}

/// Everything the member at `address` knows, asked for with what `own` says.
pub(crate) async fn exchange(address: SocketAddr, own: PushPull) -> Outcome<StreamMessage> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.map_err(text)?;
        let question = Sealed {
            label: "".into(),
            dialled: true,
            seal: None,
            compress: false,
            message: StreamMessage::PushPull(own),
        };
        stream.write_all(&question.to_bytes()).await.map_err(text)?;
        let mut reader = Reader::new(true, "");
        let mut piece = vec![0; 16 * 1024];
        loop {
            let length = stream.read(&mut piece).await.map_err(text)?;
            if length == 0 {
                return Err("closed without an answer".to_owned());
            }
            reader.push(&piece[..length]);
            let taken = reader.take(&Keyring::default(), true);
            if let Some(message) = taken.map_err(|error| format!("{error:?}"))? {
                return Ok(message);
            }
        }
    };
    tokio::time::timeout(secs(10), asked).await.map_err(|_| "no answer".to_owned())?
}

/// What the member at `address` holds of `name`.
pub(crate) async fn held_by(
    address: SocketAddr,
    name: &str,
) -> Outcome<Option<(Incarnation, Liveness)>> {
    let own = PushPull { join: false, nodes: SharedList::default(), user: None };
    match exchange(address, own).await? {
        StreamMessage::PushPull(known) => Ok(known
            .nodes
            .iter()
            .find(|node| &*node.alive.node == name)
            .map(|node| (node.alive.incarnation, node.liveness))),
        other @ (StreamMessage::Ping(_)
        | StreamMessage::Ack(_)
        | StreamMessage::User(_)
        | StreamMessage::Error(_)) => Err(format!("another answer: {other:?}")),
    }
}
