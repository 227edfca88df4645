//! The network between machines: who reaches whom, how fast, and what gets lost. Every fate is a
//! stateless draw.

use super::{Carrier, Place, Who};
use crate::draw::{between, draw, ppm, stream};

/// Whether datagrams or streams are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Udp,
    Tcp,
}

/// Links that do not work as they should.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Cut { from: Who, to: Who, carrier: Carrier },
    Split { side: Who },
    Lossy { ppm: u32 },
    Slow { who: Who, extra: u64 },
}

/// What is usual between machines. Times are in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    /// Shortest and longest usual way within a datacenter.
    pub(crate) latency: (u64, u64),
    /// The way between datacenters, by the sender's and the receiver's; 30 ms where it is missing.
    pub(crate) between: Vec<Vec<u64>>,
    /// Up to this share of a way between datacenters is added by chance (millionths).
    pub(crate) jitter_ppm: u32,
    /// Share of datagrams lost (millionths).
    pub(crate) loss_ppm: u32,
    /// What is lost besides between datacenters, by the sender's and the receiver's (millionths).
    pub(crate) between_loss_ppm: Vec<Vec<u32>>,
    /// Share of datagrams that come twice (millionths).
    pub(crate) duplicate_ppm: u32,
}

/// The links of a world.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    ways: Ways,
    /// What is wrong, by the act that did it.
    pub(crate) troubles: Vec<(usize, Trouble)>,
}

/// What becomes of a datagram: when it comes, once or twice.
pub(crate) type Fates = [Option<u64>; 2];

impl Network {
    pub(crate) fn new(seed: u64, ways: Ways) -> Self {
        Self { seed, ways, troubles: Vec::new() }
    }

    /// Whether anything gets from one machine to another this way.
    pub(crate) fn reaches(&self, from: Place, to: Place, way: Way) -> bool {
        self.troubles.iter().all(|(_, trouble)| match trouble {
            Trouble::Cut { from: one, to: other, carrier } => {
                let meant = match carrier {
                    Carrier::Both => true,
                    Carrier::Udp => way == Way::Udp,
                    Carrier::Tcp => way == Way::Tcp,
                };
                !(meant && one.names(from) && other.names(to))
            }
            Trouble::Split { side } => side.names(from) == side.names(to),
            Trouble::Lossy { .. } | Trouble::Slow { .. } => true,
        })
    }

    /// Whether something gets through both ways.
    pub(crate) fn linked(&self, one: Place, other: Place, way: Way) -> bool {
        self.reaches(one, other, way) && self.reaches(other, one, way)
    }

    /// How long a message takes. `number` tells messages of one moment apart.
    pub(crate) fn latency(&self, from: Place, to: Place, number: u64) -> u64 {
        let who = pair(from, to);
        let drawn = draw(self.seed, stream::LATENCY, who, number);
        let mut time = if from.dc == to.dc {
            let usual = between(drawn, self.ways.latency.0 * 1_000, self.ways.latency.1 * 1_000);
            // One in a hundred takes up to ten times as long.
            let slow = ppm(draw(self.seed, stream::REORDER, who, number), 10_000);
            if slow { usual * between(drawn.rotate_left(32), 2, 10) } else { usual }
        } else {
            let base = self.ways.between.get(from.dc).and_then(|row| row.get(to.dc));
            let base = base.copied().unwrap_or(30_000) * 1_000;
            let most = base / 1_000 * u64::from(self.ways.jitter_ppm) / 1_000;
            base + between(drawn, 0, most)
        };
        for (_, trouble) in &self.troubles {
            if let Trouble::Slow { who, extra } = trouble {
                let ends = u64::from(who.names(from)) + u64::from(who.names(to));
                time += ends * extra * 1_000;
            }
        }
        time
    }

    /// The share of datagrams that get lost now on a way.
    fn loss(&self, from: Place, to: Place) -> u32 {
        let row = self.ways.between_loss_ppm.get(from.dc).filter(|_| from.dc != to.dc);
        let between = row.and_then(|row| row.get(to.dc)).copied().unwrap_or(0);
        let more = self.troubles.iter().map(|(_, trouble)| match trouble {
            Trouble::Lossy { ppm } => *ppm,
            Trouble::Cut { .. } | Trouble::Split { .. } | Trouble::Slow { .. } => 0,
        });
        self.ways.loss_ppm + between + more.max().unwrap_or(0)
    }

    /// When a datagram sent now comes.
    pub(crate) fn datagram(&self, from: Place, to: Place, number: u64) -> Fates {
        if !self.reaches(from, to, Way::Udp) {
            return [None, None];
        }
        let who = pair(from, to);
        if ppm(draw(self.seed, stream::LOSS, who, number), self.loss(from, to)) {
            return [None, None];
        }
        let first = self.latency(from, to, number);
        let twice = ppm(draw(self.seed, stream::DUPLICATE, who, number), self.ways.duplicate_ppm);
        [Some(first), twice.then(|| self.latency(from, to, number ^ (1 << 63)))]
    }

    /// When what is written to a stream now comes: what gets lost is sent again, later and later.
    pub(crate) fn streamed(&self, from: Place, to: Place, number: u64) -> u64 {
        let mut time = self.latency(from, to, number);
        let mut wait = 200_000_000;
        for attempt in 0..6_u64 {
            let drawn = draw(self.seed, stream::LOSS, pair(from, to), number ^ (attempt << 56) ^ 1);
            if !ppm(drawn, self.loss(from, to)) {
                break;
            }
            time += wait;
            wait *= 2;
        }
        time
    }
}

fn pair(from: Place, to: Place) -> u64 {
    (u64::from(from.number) << 32) | u64::from(to.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_between_datacenters_loses_its_own_share() {
        let between_loss_ppm = vec![vec![0, 500_000], vec![0, 0]];
        let ways = Ways { latency: (200, 2_000), between_loss_ppm, ..Ways::default() };
        let network = Network::new(7, ways);
        let [near, other, far] = [(0, 0), (1, 0), (2, 1)].map(|(number, dc)| Place { number, dc });
        let lost = |from, to| {
            (0..1_000).filter(|number| network.datagram(from, to, *number)[0].is_none()).count()
        };
        assert!((400..600).contains(&lost(near, far)), "{}", lost(near, far));
        assert_eq!((lost(far, near), lost(near, other)), (0, 0));
    }
}
