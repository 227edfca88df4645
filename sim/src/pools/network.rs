//! The network between machines: who reaches whom, how fast, and what gets lost. Every fate is a
//! stateless draw.

use super::plan::{Carrier, Options, Who};
use super::world::{Machine, of_machine};
use crate::draw::{between, draw, ppm, stream};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of a LAN pool.
pub(super) const LAN_PORT: u16 = 8301;
/// The port of the WAN pool.
pub(super) const WAN_PORT: u16 = 8302;

/// Whether datagrams or streams are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Udp,
    Tcp,
}

/// Links that do not work as they should.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    Cut { from: Who, to: Who, carrier: Carrier },
    Split { side: Who },
    Lossy { ppm: u32 },
    Slow { who: Who, extra: u64 },
}

/// The links of a world.
#[derive(Debug)]
pub(super) struct Network {
    seed: u64,
    latency: (u64, u64),
    between: Vec<Vec<u64>>,
    jitter_ppm: u32,
    loss_ppm: u32,
    duplicate_ppm: u32,
    /// What is wrong, by the act that did it.
    pub(super) troubles: Vec<(usize, Trouble)>,
}

/// What becomes of a datagram: when it comes, once or twice.
pub(super) type Fates = [Option<u64>; 2];

impl Network {
    pub(super) fn new(seed: u64, options: &Options) -> Self {
        Self {
            seed,
            latency: (options.latency_min * 1_000, options.latency_max * 1_000),
            between: options.between.clone(),
            jitter_ppm: options.jitter_ppm,
            loss_ppm: options.loss_ppm,
            duplicate_ppm: options.duplicate_ppm,
            troubles: Vec::new(),
        }
    }

    /// Whether anything gets from one machine to another this way.
    pub(super) fn reaches(&self, from: &Machine, to: &Machine, way: Way) -> bool {
        self.troubles.iter().all(|(_, trouble)| match trouble {
            Trouble::Cut { from: one, to: other, carrier } => {
                let meant = match carrier {
                    Carrier::Both => true,
                    Carrier::Udp => way == Way::Udp,
                    Carrier::Tcp => way == Way::Tcp,
                };
                !(meant && of_machine(*one, from) && of_machine(*other, to))
            }
            Trouble::Split { side } => of_machine(*side, from) == of_machine(*side, to),
            Trouble::Lossy { .. } | Trouble::Slow { .. } => true,
        })
    }

    /// How long a message takes. `number` tells messages of one moment apart.
    pub(super) fn latency(&self, from: &Machine, to: &Machine, number: u64) -> u64 {
        let who = pair(from, to);
        let drawn = draw(self.seed, stream::LATENCY, who, number);
        let mut time = if from.dc == to.dc {
            let usual = between(drawn, self.latency.0, self.latency.1);
            // One in a hundred takes up to ten times as long.
            let slow = ppm(draw(self.seed, stream::REORDER, who, number), 10_000);
            if slow { usual * between(drawn.rotate_left(32), 2, 10) } else { usual }
        } else {
            let base = self.between.get(from.dc).and_then(|row| row.get(to.dc));
            let base = base.copied().unwrap_or(30_000) * 1_000;
            let most = base / 1_000 * u64::from(self.jitter_ppm) / 1_000;
            base + between(drawn, 0, most)
        };
        for (_, trouble) in &self.troubles {
            if let Trouble::Slow { who, extra } = trouble {
                let ends = u64::from(of_machine(*who, from)) + u64::from(of_machine(*who, to));
                time += ends * extra * 1_000;
            }
        }
        time
    }

    /// The share of datagrams that get lost now.
    fn loss(&self) -> u32 {
        let more = self.troubles.iter().map(|(_, trouble)| match trouble {
            Trouble::Lossy { ppm } => *ppm,
            Trouble::Cut { .. } | Trouble::Split { .. } | Trouble::Slow { .. } => 0,
        });
        self.loss_ppm + more.max().unwrap_or(0)
    }

    /// When a datagram sent now comes.
    pub(super) fn datagram(&self, from: &Machine, to: &Machine, number: u64) -> Fates {
        if !self.reaches(from, to, Way::Udp) {
            return [None, None];
        }
        let who = pair(from, to);
        if ppm(draw(self.seed, stream::LOSS, who, number), self.loss()) {
            return [None, None];
        }
        let first = self.latency(from, to, number);
        let twice = ppm(draw(self.seed, stream::DUPLICATE, who, number), self.duplicate_ppm);
        [Some(first), twice.then(|| self.latency(from, to, number ^ (1 << 63)))]
    }

    /// When what is written to a stream now comes: what gets lost is sent again, later and later.
    pub(super) fn streamed(&self, from: &Machine, to: &Machine, number: u64) -> u64 {
        let mut time = self.latency(from, to, number);
        let mut wait = 200_000_000;
        for attempt in 0..6_u64 {
            let drawn = draw(self.seed, stream::LOSS, pair(from, to), number ^ (attempt << 56) ^ 1);
            if !ppm(drawn, self.loss()) {
                break;
            }
            time += wait;
            wait *= 2;
        }
        time
    }
}

fn pair(from: &Machine, to: &Machine) -> u64 {
    (u64::from(from.number) << 32) | u64::from(to.number)
}

/// Where a machine is: its number, and how often it has moved.
pub(super) fn address(number: u16, moves: u8, port: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, moves, high, low)), port)
}

/// The number and the moves of a machine at an address.
pub(super) fn machine_at(address: SocketAddr) -> Option<(u16, u8)> {
    match address.ip() {
        IpAddr::V4(ip) => {
            let [ten, moves, high, low] = ip.octets();
            (ten == 10).then(|| (u16::from_be_bytes([high, low]), moves))
        }
        IpAddr::V6(_) => None,
    }
}
