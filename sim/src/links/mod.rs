//! What is between machines: where they are, who hears whom and how fast, and the streams they
//! hold. Worlds of pools and of clusters share it.

mod network;
mod streams;

pub(crate) use network::{Fates, Network, Trouble, Way, Ways};
pub(crate) use streams::{End, Streams};

use bytes::Bytes;
use proconsul_core::wire::crypto::Keyring;
use proconsul_core::wire::packet::{self, Datagram};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of a LAN pool.
pub(crate) const LAN_PORT: u16 = 8301;
/// The port of the WAN pool.
pub(crate) const WAN_PORT: u16 = 8302;

/// Which machine, in which datacenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u16,
    pub(crate) dc: usize,
}

/// Some machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// This one.
    One(u16),
    /// From the first to before the second.
    Span(u16, u16),
    /// Every so many, beginning with this one.
    Every(u16, u16),
    /// Those of a datacenter.
    Dc(u8),
    /// The server that leads a datacenter when the act happens; nobody, where nobody leads or, as
    /// in bare pools, could.
    Leader(u8),
    /// Everyone.
    All,
}

impl Who {
    /// Whether a machine is meant.
    pub(crate) fn names(self, machine: Place) -> bool {
        match self {
            Self::One(number) => machine.number == number,
            Self::Span(from, to) => (from..to).contains(&machine.number),
            Self::Every(step, first) => {
                machine.number >= first && (machine.number - first).is_multiple_of(step.max(1))
            }
            Self::Dc(dc) => machine.dc == usize::from(dc),
            Self::Leader(_) => false,
            Self::All => true,
        }
    }
}

/// What a cut stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carrier {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
    /// Both.
    Both,
}

/// Where a machine is: its number, and how often it has moved.
pub(crate) fn address(number: u16, moves: u8, port: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, moves, high, low)), port)
}

/// The number and the moves of a machine at an address.
pub(crate) fn machine_at(address: SocketAddr) -> Option<(u16, u8)> {
    match address.ip() {
        IpAddr::V4(ip) => {
            let [ten, moves, high, low] = ip.octets();
            (ten == 10).then(|| (u16::from_be_bytes([high, low]), moves))
        }
        IpAddr::V6(_) => None,
    }
}

/// What is true of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has not started.
    Off,
    /// It runs.
    Up,
    /// It crashed.
    Down,
    /// It is leaving.
    Leaving,
    /// It has left.
    Left,
}

/// What came of a datagram's way through the codec; `None`: the same.
pub(crate) fn codec_differs(datagram: &Datagram, bytes: &Bytes) -> Option<String> {
    let keys = datagram.seal.iter().map(|seal| seal.key.clone()).collect();
    match packet::open(bytes, &Keyring::new(keys), &datagram.label, datagram.seal.is_some()) {
        Ok(opened) if opened.skipped.is_empty() && opened.messages == datagram.messages => None,
        Ok(opened) => Some(format!("{:?} became {opened:?}", datagram.messages)),
        Err(error) => Some(format!("{:?} cannot be read: {error}", datagram.messages)),
    }
}
