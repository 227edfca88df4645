//! Plans drawn from a seed.

use super::plan::{Carrier, Options, Plan, What, Who};
use crate::plans::Setting;
use crate::schedule::Freshness;
use proconsul_core::types::{Rng, Seed};

/// The plan of a seed. The same seed gives the same plan.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::new(Seed(seed)).split("clusters");
    let mut more = Rng::new(Seed(seed)).split("more");
    let options = options(&mut rng, &mut more);
    let mut plan = Plan { seed, options, ..Plan::default() };
    let mut draw = Draw {
        rng: &mut rng,
        plan: &mut plan,
        server_died: false,
        founds_again: false,
        keeps_one: false,
    };
    draw.all();
    // A stream of its own: what it draws leaves the rest of the world as it was.
    if more.chance(1, 4) {
        draw.rng = &mut more;
        draw.more();
    }
    plan.acts.sort_by_key(|act| act.at);
    plan
}

fn narrow(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

fn options(rng: &mut Rng, more: &mut Rng) -> Options {
    let mut options = Options::default();
    // Three in sixteen have the size of a small company: three datacenters of three servers and ten
    // clients each.
    let (count, fewest, most) = match rng.below(8) {
        0 => (3, 10, 10),
        1 if more.chance(1, 2) => (3, 10, 10),
        1..3 => (2, 1, 3),
        _ => (1, 1, 4),
    };
    options.datacenters = (0..count)
        .map(|_| {
            let servers = if rng.chance(1, 5) && count < 3 { 5 } else { 3 };
            (servers, narrow(rng.between(fewest, most)))
        })
        .collect();
    if count > 1 {
        let way = |rng: &mut Rng| rng.between(5_000, 120_000);
        options.between = (0..count).map(|_| (0..count).map(|_| way(rng)).collect()).collect();
    }
    options.latency_max = rng.between(1_000, 10_000);
    options.latency_min = options.latency_max / 10;
    if rng.chance(1, 4) {
        options.loss_ppm = u32::try_from(rng.between(1_000, 30_000)).unwrap_or(0);
    }
    if rng.chance(1, 4) {
        options.duplicate_ppm = u32::try_from(rng.between(1_000, 200_000)).unwrap_or(0);
    }
    options.encrypted = rng.chance(1, 4);
    options.sync_max = rng.between(500, 10_000);
    options.heartbeat = rng.between(100, 250) * 1_000;
    if rng.chance(1, 3) {
        options.snapshot_log_bytes = rng.between(4_000, 16_000);
    }
    options.length = rng.between(40, 150) * 1_000_000;
    options
}

struct Draw<'a> {
    rng: &'a mut Rng,
    plan: &'a mut Plan,
    /// Whether a server is dead for good.
    server_died: bool,
    /// Whether all servers of a datacenter lose their state.
    founds_again: bool,
    /// Whether one of them keeps it.
    keeps_one: bool,
}

impl Draw<'_> {
    fn below(&mut self, end: u16) -> u16 {
        narrow(self.rng.below(u64::from(end.max(1))))
    }

    fn machine(&mut self) -> u16 {
        let machines = self.plan.options.machines();
        self.below(machines)
    }

    fn dc(&mut self) -> u8 {
        let count = narrow(u64::try_from(self.plan.options.datacenters.len()).unwrap_or(1));
        u8::try_from(self.below(count)).unwrap_or(0)
    }

    fn client(&mut self) -> u16 {
        let dc = usize::from(self.dc());
        let (servers, clients) = self.plan.options.datacenters[dc];
        let first = self.plan.options.first_of(dc) + servers;
        first + self.below(clients)
    }

    fn moment(&mut self) -> u64 {
        self.rng.between(12_000, self.plan.options.length / 1_000)
    }

    fn span(&mut self, low: u64, high: u64) -> u64 {
        self.rng.between(low, high) * 1_000
    }

    fn put(&mut self, at: u64, what: What) {
        self.plan.at(at, what);
    }

    fn all(&mut self) {
        self.people();
        for _ in 0..self.rng.between(1, 4) {
            match self.rng.below(9) {
                0 | 1 => self.restarts(),
                8 => self.haste(),
                2 => self.deaths(),
                3 => self.leaves(),
                4 => self.splits(),
                5 => self.links(),
                6 => self.meddling(),
                _ => self.forgetting(),
            }
        }
    }

    /// What few worlds have: watchers, links that fail one way only or lose more than others, joins
    /// that lead astray, servers that leave and come back, servers that come for the first time.
    fn more(&mut self) {
        let count = self.plan.options.datacenters.len();
        if count > 1 && self.rng.chance(1, 2) {
            let mut loss = || u32::try_from(self.rng.between(0, 20_000)).unwrap_or(0);
            let lost = (0..count).map(|_| (0..count).map(|_| loss()).collect()).collect();
            self.plan.options.between_loss_ppm = lost;
        }
        for _ in 0..self.rng.below(4) {
            let (at, by, dc) = (self.moment(), self.machine(), self.dc());
            let key = u8::try_from(self.rng.below(3)).unwrap_or(0);
            self.put(at, What::Watch { by, dc, key });
        }
        for _ in 0..self.rng.between(1, 3) {
            match self.rng.below(4) {
                0 => self.cut(),
                1 => {
                    let (at, by, to) = (self.moment(), self.machine(), self.machine());
                    let wan = self.rng.chance(1, 2);
                    self.put(at, What::Join { by, to, wan });
                }
                2 => self.server_leaves(),
                _ => self.newcomer(),
            }
        }
    }

    /// One direction of some links fails, for datagrams, for streams or for both.
    fn cut(&mut self) {
        let at = self.moment();
        let [from, to] = [(), ()].map(|()| match self.rng.below(3) {
            0 => Who::All,
            1 => Who::Dc(self.dc()),
            _ => Who::One(self.machine()),
        });
        let carrier = match self.rng.below(3) {
            0 => Carrier::Udp,
            1 => Carrier::Tcp,
            _ => Carrier::Both,
        };
        let span = self.span(1_000, 30_000);
        self.put(at, What::Cut { from, to, carrier, span });
    }

    /// A server leaves, unless one of them is dead; it may come back.
    fn server_leaves(&mut self) {
        if self.server_died || self.founds_again {
            return;
        }
        self.server_died = true;
        let dc = usize::from(self.dc());
        let first = self.plan.options.first_of(dc);
        let servers = self.plan.options.datacenters[dc].0;
        let (at, who) = (self.moment(), Who::One(first + self.below(servers)));
        self.put(at, What::Leave { who });
        if self.rng.chance(1, 2) {
            let later = at + self.rng.between(15_000, 40_000);
            self.put(later, What::Start { who });
        }
    }

    /// Of five servers one comes later. Not where all but one lose their disks: they would be as
    /// many as found a group, and do so beside the one that is cut off from them just then.
    fn newcomer(&mut self) {
        let dc = usize::from(self.dc());
        let options = &mut self.plan.options;
        if options.datacenters[dc].0 < 5 || !options.off.is_empty() || self.keeps_one {
            return;
        }
        let number = options.first_of(dc) + 4;
        options.off.push(number);
        let at = self.moment();
        self.put(at, What::Start { who: Who::One(number) });
    }

    /// What people do all the time.
    fn people(&mut self) {
        for _ in 0..self.rng.between(5, 40) {
            let (at, by, dc) = (self.moment(), self.machine(), self.dc());
            let key = u8::try_from(self.rng.below(3)).unwrap_or(0);
            let what = match self.rng.below(5) {
                0 | 1 => What::Put { by, dc, key },
                2 => What::Create { by, dc },
                3 => What::Read { by, dc, key, how: Freshness::Consistent },
                _ => What::Read { by, dc, key, how: Freshness::Default },
            };
            self.put(at, what);
        }
        for _ in 0..self.rng.between(1, 12) {
            let (at, by) = (self.moment(), self.machine());
            let (service, port) = (u8::try_from(self.rng.below(4)).unwrap_or(0), self.below(9) + 1);
            self.put(at, What::Register { by, service, port });
            if self.rng.chance(1, 3) {
                let later = at + self.rng.between(100, 30_000);
                self.put(later, What::Deregister { by, service });
            }
        }
        for _ in 0..self.rng.below(4) {
            let (at, by) = (self.moment(), self.machine());
            self.put(at, What::Hold { by });
        }
    }

    /// Everyone of a datacenter writes much at once, and one of its servers dies meanwhile: what
    /// was under way is done once, or not at all.
    fn haste(&mut self) {
        let dc = self.dc();
        let (servers, clients) = self.plan.options.datacenters[usize::from(dc)];
        let first = self.plan.options.first_of(dc.into());
        let at = self.moment();
        for number in 0..40 {
            let by = first + servers + self.below(clients);
            self.put(at - 30 + number, What::Create { by, dc });
        }
        let (who, down) = (Who::One(first + self.below(servers)), self.span(1_000, 20_000));
        self.put(at, What::Crash { who, down, moved: false, lost: false });
    }

    /// Agents that come back, sometimes elsewhere.
    fn restarts(&mut self) {
        for _ in 0..self.rng.between(1, 5) {
            let at = self.moment();
            let who = match self.rng.below(5) {
                0 => Who::Every(2, self.below(2)),
                1 => Who::Dc(self.dc()),
                _ => Who::One(self.machine()),
            };
            let down = self.span(100, 40_000);
            let moved = self.rng.chance(1, 6);
            self.put(at, What::Crash { who, down, moved, lost: false });
        }
    }

    /// Deaths for good: any clients, and of servers one in a datacenter.
    fn deaths(&mut self) {
        for _ in 0..self.rng.between(1, 2) {
            let (at, who) = (self.moment(), Who::One(self.client()));
            self.put(at, What::Crash { who, down: 0, moved: false, lost: false });
        }
        if self.rng.chance(1, 2) && !self.founds_again && !self.server_died {
            self.server_died = true;
            let dc = usize::from(self.dc());
            let first = self.plan.options.first_of(dc);
            let servers = self.plan.options.datacenters[dc].0;
            let (at, who) = (self.moment(), Who::One(first + self.below(servers)));
            self.put(at, What::Crash { who, down: 0, moved: false, lost: false });
        }
    }

    /// Clients leave; some come back. Now and then someone is forced out.
    fn leaves(&mut self) {
        let (at, client) = (self.moment(), self.client());
        self.put(at, What::Leave { who: Who::One(client) });
        if self.rng.chance(1, 2) {
            let later = at + self.rng.between(15_000, 40_000);
            self.put(later, What::Start { who: Who::One(client) });
        }
        if self.rng.chance(1, 3) {
            let (at, by, who) = (self.moment(), self.machine(), self.client());
            self.put(at, What::ForceLeave { by, who });
        }
    }

    fn splits(&mut self) {
        let at = self.moment();
        let side = match self.rng.below(3) {
            0 => Who::Dc(self.dc()),
            1 => Who::Every(2, self.below(2)),
            _ => Who::One(self.machine()),
        };
        let span = self.span(2_000, 60_000);
        self.put(at, What::Split { side, span });
    }

    fn links(&mut self) {
        let (at, who) = (self.moment(), Who::One(self.machine()));
        let span = self.span(2_000, 30_000);
        let what = match self.rng.below(3) {
            0 => What::Pause { who, span },
            1 => What::Slow { who, extra: self.span(5, 400), span },
            _ => What::Lossy { ppm: u32::try_from(self.span(1, 150)).unwrap_or(0), span },
        };
        self.put(at, what);
    }

    /// Someone takes services out of the catalog by hand.
    fn meddling(&mut self) {
        for _ in 0..self.rng.between(1, 3) {
            let (at, by, of) = (self.moment(), self.machine(), self.machine());
            let service = u8::try_from(self.rng.below(4)).unwrap_or(0);
            self.put(at, What::Meddle { by, of, service });
        }
    }

    /// Disks are lost: a client's, those of all servers of a datacenter at once, or of all but one:
    /// what that one holds is not founded anew beside it.
    fn forgetting(&mut self) {
        let (at, down) = (self.moment(), self.span(500, 20_000));
        // A group is founded again by as many as before: none of them may be dead.
        let who = if self.rng.chance(1, 2) && !self.server_died {
            self.founds_again = true;
            let dc = usize::from(self.dc());
            let first = self.plan.options.first_of(dc);
            let kept = u16::from(self.rng.chance(1, 3));
            self.keeps_one |= kept > 0;
            Who::Span(first + kept, first + self.plan.options.datacenters[dc].0)
        } else {
            Who::One(self.client())
        };
        self.put(at, What::Crash { who, down, moved: false, lost: true });
    }
}
