//! The network as a pure model: who hears whom, when, how often.
//!
//! Servers talk over connections: messages of one connection arrive in order, and when one is lost
//! the connection is broken and both sides are told. In a hostile world Raft's messages have no
//! connections: each is lost, doubled or overtaken by itself.

use crate::draw::{between, draw, ppm, stream};
use crate::options::Options;

const MICRO: u64 = 1_000;
/// The life of no connection: a message that travels by itself.
const LOOSE: u32 = u32::MAX;
/// How long a narrow line's queue may get for messages without a connection.
const LOOSE_QUEUE_MAX: u64 = 500_000_000;

/// What a message needs of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Raft's: it must bear to be lost, doubled and overtaken.
    Promise,
    /// A call, its reply: they rely on the connection, and on being told when it breaks.
    Call,
}

/// Something wrong with the network, in force until it is taken away again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing gets from the first to the second.
    Cut(usize, usize),
    /// Nothing gets in or out.
    Isolated(usize),
    /// Those with their bit set and the others do not hear each other, except through `middle`.
    Split {
        /// Bit n: server n.
        side: u8,
        /// Whom both halves hear.
        middle: Option<usize>,
    },
    /// Messages in and out take this many nanoseconds longer.
    Slow(usize, u64),
    /// Messages get lost (millionths).
    Lossy(u32),
    /// What this server sends goes through a line of so many bytes a second.
    Narrow(usize, u64),
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then; a second time, too, if there is a second time.
    Arrives {
        /// When.
        at: u64,
        /// When again.
        again: Option<u64>,
        /// The life of the connection it travels on.
        epoch: u32,
        /// Whether the connection was opened for it: the receiver is greeted first.
        opened: bool,
    },
    /// It does not arrive. The sender learns of the broken connection then, if it does.
    Lost {
        /// When both sides notice.
        noticed: Option<u64>,
        /// Why.
        why: Loss,
    },
}

/// Why a message does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing gets through between the two.
    Cut,
    /// Nobody is there: the process is down, or has moved.
    Unreachable,
    /// It found no room in the queue of a narrow line.
    Full,
    /// Chance.
    Chance,
    /// Its connection broke before, and that was not noticed yet.
    Breaking,
}

impl Loss {
    /// In a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Cut => "the link is cut",
            Self::Unreachable => "nobody is at that address",
            Self::Full => "the narrow line's queue is full",
            Self::Chance => "by chance",
            Self::Breaking => "the connection is breaking",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// Messages sent.
    sent: u64,
    /// The last arrival, for order.
    last: u64,
    /// When the line is free again.
    free: u64,
    /// Latency added, nanoseconds.
    extra: u64,
    /// Bytes a second; 0: no bound.
    line: u64,
    /// Whether nothing gets through.
    cut: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    epoch: u32,
    open: bool,
    breaking: bool,
}

/// All links between servers.
#[derive(Debug)]
pub struct Net {
    seed: u64,
    servers: usize,
    links: Vec<Link>,
    connections: Vec<Connection>,
    troubles: Vec<(usize, Trouble)>,
    loss: u32,
    usual_loss: u32,
    hostile: bool,
    duplicate: u32,
    latency: [u64; 2],
    tail: u64,
    tail_ppm: u32,
}

impl Net {
    /// A whole network.
    #[must_use]
    pub fn new(seed: u64, options: &Options) -> Self {
        let servers = usize::from(options.servers);
        Self {
            seed,
            servers,
            links: vec![Link::default(); servers * servers],
            connections: vec![Connection::default(); servers * servers],
            troubles: Vec::new(),
            loss: options.loss_ppm,
            usual_loss: options.loss_ppm,
            hostile: options.hostile,
            duplicate: options.duplicate_ppm,
            latency: [options.latency_min * MICRO, options.latency_max * MICRO],
            tail: options.tail_max * MICRO,
            tail_ppm: options.tail_ppm,
        }
    }

    /// Decides about a message of `bytes` (asked only where a line is narrow).
    pub fn send(
        &mut self,
        now: u64,
        from: usize,
        to: usize,
        reachable: bool,
        kind: Kind,
        bytes: impl FnOnce() -> u64,
    ) -> Fate {
        let place = from * self.servers + to;
        let link = &mut self.links[place];
        link.sent += 1;
        let number = link.sent;
        let who = u64::try_from(place).unwrap_or(0);
        let drawn = draw(self.seed, stream::LATENCY, who, number);
        let mut delay = between(drawn, self.latency[0], self.latency[1]) + link.extra;
        if ppm(mix_again(drawn), self.tail_ppm) {
            delay += between(mix_again(drawn ^ 1), 0, self.tail);
        }
        let mut start = now;
        let loose = self.hostile && kind == Kind::Promise;
        let mut full = false;
        if let Some(line) = std::num::NonZeroU64::new(link.line) {
            // What has no connection finds no room in a long queue; a stream waits.
            full = loose && link.free > now + LOOSE_QUEUE_MAX;
            if !full {
                let nanos = bytes().saturating_mul(1_000_000_000) / line;
                start = link.free.max(now) + nanos;
                link.free = start;
            }
        }
        let lost = if link.cut {
            Some(Loss::Cut)
        } else if !reachable {
            Some(Loss::Unreachable)
        } else if full {
            Some(Loss::Full)
        } else {
            ppm(draw(self.seed, stream::LOSS, who, number), self.loss).then_some(Loss::Chance)
        };
        if loose {
            return self.datagram(start, delay, who, number, lost);
        }
        self.streamed(now, start + delay, (from, to), number, lost)
    }

    fn datagram(
        &mut self,
        start: u64,
        delay: u64,
        who: u64,
        number: u64,
        lost: Option<Loss>,
    ) -> Fate {
        if let Some(why) = lost {
            return Fate::Lost { noticed: None, why };
        }
        let drawn = draw(self.seed, stream::DUPLICATE, who, number);
        let again = ppm(drawn, self.duplicate)
            .then(|| start + delay + between(mix_again(drawn), 0, 400_000_000));
        let drawn = draw(self.seed, stream::REORDER, who, number);
        let late = if ppm(drawn, 50_000) { between(mix_again(drawn), 0, 200_000_000) } else { 0 };
        Fate::Arrives { at: start + delay + late, again, epoch: LOOSE, opened: false }
    }

    fn streamed(
        &mut self,
        now: u64,
        at: u64,
        (from, to): (usize, usize),
        number: u64,
        lost: Option<Loss>,
    ) -> Fate {
        let pair = from.min(to) * self.servers + from.max(to);
        if self.connections[pair].breaking {
            return Fate::Lost { noticed: None, why: Loss::Breaking };
        }
        let who = u64::try_from(from * self.servers + to).unwrap_or(0);
        let drawn = draw(self.seed, stream::BREAK, who, number);
        let mut resent = 0;
        if let Some(why) = lost {
            let fatal = matches!(why, Loss::Cut | Loss::Unreachable);
            if fatal || drawn.is_multiple_of(4) {
                self.connections[pair].breaking = true;
                // A dead process refuses at once; silence is noticed late.
                let late = if why == Loss::Cut { 1_500_000_000 } else { 100_000_000 };
                let noticed = now + between(drawn, 1_000_000, late);
                return Fate::Lost { noticed: Some(noticed), why };
            }
            // A lost segment is sent again: everything behind it waits.
            resent = between(mix_again(drawn), 200_000_000, 600_000_000);
        }
        let link = &mut self.links[from * self.servers + to];
        let at = (at + resent).max(link.last + 1);
        link.last = at;
        let connection = &mut self.connections[pair];
        let opened = !connection.open;
        connection.open = true;
        Fate::Arrives { at, again: None, epoch: connection.epoch, opened }
    }

    /// Whether a message that set out in this life of the connection still arrives.
    #[must_use]
    pub fn alive(&self, from: usize, to: usize, epoch: u32) -> bool {
        if epoch == LOOSE {
            return !self.links[from * self.servers + to].cut;
        }
        let pair = from.min(to) * self.servers + from.max(to);
        self.connections[pair].epoch == epoch && !self.connections[pair].breaking
    }

    /// The connection between two servers is gone, with everything on it. Says whether there was
    /// one.
    pub fn break_connection(&mut self, one: usize, other: usize) -> bool {
        let pair = one.min(other) * self.servers + one.max(other);
        let connection = &mut self.connections[pair];
        let was = connection.open || connection.breaking;
        *connection = Connection { epoch: connection.epoch + 1, open: false, breaking: false };
        self.links[one * self.servers + other].last = 0;
        self.links[other * self.servers + one].last = 0;
        was
    }

    /// Puts a trouble in force, under a number that takes it away again.
    pub fn add(&mut self, number: usize, trouble: Trouble) {
        self.troubles.push((number, trouble));
        self.refresh();
    }

    /// Takes a trouble away.
    pub fn remove(&mut self, number: usize) {
        self.troubles.retain(|(other, _)| *other != number);
        self.refresh();
    }

    /// Takes every trouble away, and the usual loss and the long ways as well.
    pub fn heal(&mut self) {
        self.troubles.clear();
        (self.usual_loss, self.duplicate, self.tail_ppm) = (0, 0, 0);
        self.refresh();
    }

    /// Servers that send through a narrow line now.
    #[must_use]
    pub fn narrowed(&self) -> Vec<usize> {
        let narrow = |trouble: &Trouble| match trouble {
            Trouble::Narrow(who, _) => Some(*who),
            Trouble::Cut(..)
            | Trouble::Isolated(_)
            | Trouble::Split { .. }
            | Trouble::Slow(..)
            | Trouble::Lossy(_) => None,
        };
        self.troubles.iter().filter_map(|(_, trouble)| narrow(trouble)).collect()
    }

    /// Whether messages get from one to the other now.
    #[must_use]
    pub fn hears(&self, from: usize, to: usize) -> bool {
        !self.links[from * self.servers + to].cut
    }

    /// Marks the connection between two servers as breaking, if it is open: the life it had.
    pub fn hang_up(&mut self, one: usize, other: usize) -> Option<u32> {
        let pair = one.min(other) * self.servers + one.max(other);
        let connection = &mut self.connections[pair];
        if !connection.open || connection.breaking {
            return None;
        }
        connection.breaking = true;
        Some(connection.epoch)
    }

    /// The life of the connection between two servers.
    #[must_use]
    pub fn epoch(&self, one: usize, other: usize) -> u32 {
        self.connections[one.min(other) * self.servers + one.max(other)].epoch
    }

    /// Whether any trouble is in force.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.troubles.is_empty()
    }

    fn refresh(&mut self) {
        self.loss = self.usual_loss;
        for link in &mut self.links {
            (link.cut, link.extra, link.line) = (false, 0, 0);
        }
        for (_, trouble) in &self.troubles {
            match trouble {
                Trouble::Lossy(share) => self.loss = self.loss.max(*share),
                Trouble::Cut(..)
                | Trouble::Isolated(_)
                | Trouble::Split { .. }
                | Trouble::Slow(..)
                | Trouble::Narrow(..) => {
                    for (place, link) in self.links.iter_mut().enumerate() {
                        trouble.touch(place / self.servers, place % self.servers, link);
                    }
                }
            }
        }
    }
}

impl Trouble {
    fn touch(&self, from: usize, to: usize, link: &mut Link) {
        match self {
            Self::Cut(one, other) => link.cut |= from == *one && to == *other,
            Self::Isolated(who) => link.cut |= from == *who || to == *who,
            Self::Split { side, middle } => {
                let apart = (side >> from) & 1 != (side >> to) & 1;
                link.cut |= apart && Some(from) != *middle && Some(to) != *middle;
            }
            Self::Slow(who, extra) => {
                if from == *who || to == *who {
                    link.extra += extra;
                }
            }
            Self::Narrow(who, line) => {
                if from == *who {
                    link.line = *line;
                }
            }
            Self::Lossy(_) => {}
        }
    }
}

fn mix_again(drawn: u64) -> u64 {
    crate::draw::mix(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(fate: Fate) -> u64 {
        match fate {
            Fate::Arrives { at, .. } => at,
            Fate::Lost { .. } => u64::MAX,
        }
    }

    #[test]
    fn a_connection_keeps_order() {
        let mut net = Net::new(5, &Options { tail_ppm: 300_000, ..Options::default() });
        let mut last = 0;
        for step in 0..500 {
            let at = arrival(net.send(step * 1_000, 0, 1, true, Kind::Promise, || 0));
            assert!(at > last);
            last = at;
        }
    }

    #[test]
    fn a_cut_goes_one_way_and_breaks_the_connection() {
        let mut net = Net::new(5, &Options::default());
        net.add(1, Trouble::Cut(0, 1));
        assert!(net.hears(1, 0) && !net.hears(0, 1));
        let fate = net.send(0, 0, 1, true, Kind::Promise, || 0);
        assert!(matches!(fate, Fate::Lost { noticed: Some(_), why: Loss::Cut }));
        assert_eq!(
            net.send(1, 1, 0, true, Kind::Promise, || 0),
            Fate::Lost { noticed: None, why: Loss::Breaking }
        );
        net.remove(1);
        assert!(net.break_connection(0, 1));
        assert!(matches!(
            net.send(2, 0, 1, true, Kind::Promise, || 0),
            Fate::Arrives { opened: true, .. }
        ));
    }

    #[test]
    fn a_bridge_hears_both_sides() {
        let mut net = Net::new(5, &Options::default());
        net.add(1, Trouble::Split { side: 0b00011, middle: Some(2) });
        assert!(net.hears(0, 2) && net.hears(2, 4) && !net.hears(0, 4) && net.hears(3, 4));
        net.heal();
        assert!(net.hears(0, 4) && net.is_whole());
    }

    #[test]
    fn hostile_messages_double_and_overtake() {
        let options = Options { hostile: true, duplicate_ppm: 500_000, ..Options::default() };
        let mut net = Net::new(5, &options);
        let (mut doubled, mut overtaken, mut last) = (0, 0, 0);
        for step in 0..500 {
            if let Fate::Arrives { at, again, .. } =
                net.send(step * 1_000_000, 0, 1, true, Kind::Promise, || 0)
            {
                doubled += u32::from(again.is_some());
                overtaken += u32::from(at < last);
                last = at;
            }
        }
        assert!(doubled > 100 && overtaken > 10, "{doubled} doubled, {overtaken} overtaken");
    }

    #[test]
    fn a_narrow_line_makes_messages_wait() {
        let mut net = Net::new(5, &Options::default());
        net.add(1, Trouble::Narrow(0, 1_000));
        let at = arrival(net.send(0, 0, 1, true, Kind::Promise, || 2_000));
        assert!(at >= 2_000_000_000);
    }
}
