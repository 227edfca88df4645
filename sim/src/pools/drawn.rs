//! Plans drawn from a seed.

use super::plan::{Carrier, Options, Plan, Turn, What, Who};
use crate::plans::Setting;
use proconsul_core::types::{Rng, Seed};

/// The plan of a seed. The same seed gives the same plan.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::new(Seed(seed)).split("pools");
    let options = options(&mut rng);
    let mut plan = Plan { seed, options, ..Plan::default() };
    let mut draw = Draw { rng: &mut rng, plan: &mut plan };
    draw.all();
    plan.acts.sort_by_key(|act| act.at);
    plan
}

fn options(rng: &mut Rng) -> Options {
    let small = |rng: &mut Rng| u16::try_from(rng.between(3, 14)).unwrap_or(5);
    let mut options = Options { founded: rng.chance(1, 2), ..Options::default() };
    let wide = rng.chance(1, 5);
    options.datacenters = if wide {
        (0..rng.between(2, 3)).map(|_| (3, u16::try_from(rng.below(3)).unwrap_or(0))).collect()
    } else if rng.chance(1, 12) {
        vec![(0, u16::try_from(rng.between(40, 70)).unwrap_or(50))]
    } else {
        vec![(u16::try_from(rng.below(4)).unwrap_or(0), small(rng))]
    };
    options.wan = wide;
    if wide {
        let count = options.datacenters.len();
        let way = |rng: &mut Rng| rng.between(5_000, 150_000);
        options.between = (0..count).map(|_| (0..count).map(|_| way(rng)).collect()).collect();
    }
    options.late = u16::try_from(rng.below(3)).unwrap_or(0).min(options.machines() - 3);
    options.latency_max = rng.between(1_000, 20_000);
    options.latency_min = options.latency_max / 10;
    if rng.chance(1, 4) {
        options.loss_ppm = u32::try_from(rng.between(1_000, 60_000)).unwrap_or(0);
    }
    if rng.chance(1, 3) {
        options.duplicate_ppm = u32::try_from(rng.between(1_000, 300_000)).unwrap_or(0);
    }
    if rng.chance(1, 3) {
        options.probe_timeout_ms = 200;
    }
    options.encrypted = rng.chance(1, 3);
    options.retry_join = rng.chance(2, 3);
    options.length = rng.between(60, 200) * 1_000_000;
    options
}

struct Draw<'a> {
    rng: &'a mut Rng,
    plan: &'a mut Plan,
}

impl Draw<'_> {
    fn who(&mut self) -> Who {
        let machines = self.plan.options.machines();
        match self.rng.below(6) {
            0 => Who::Every(2, u16::try_from(self.rng.below(2)).unwrap_or(0)),
            1 => Who::Span(0, self.machine().max(1)),
            2 if machines > 4 => Who::Every(3, 1),
            _ => Who::One(self.machine()),
        }
    }

    fn machine(&mut self) -> u16 {
        u16::try_from(self.rng.below(u64::from(self.plan.options.machines()))).unwrap_or(0)
    }

    fn moment(&mut self) -> u64 {
        self.rng.between(15_000, self.plan.options.length / 1_000)
    }

    fn span(&mut self, low: u64, high: u64) -> u64 {
        self.rng.between(low, high) * 1_000
    }

    fn put(&mut self, at: u64, what: What) {
        self.plan.at(at, what);
    }

    fn all(&mut self) {
        match self.rng.below(9) {
            0 => self.deaths(),
            1 => self.restarts(),
            2 => self.splits(),
            3 => self.leaves(),
            4 => self.links(),
            5 => self.events(),
            6 => self.keys(),
            7 => self.names(),
            _ => {
                self.restarts();
                self.splits();
                self.leaves();
            }
        }
        let late = self.plan.options.late;
        let machines = self.plan.options.machines();
        for machine in machines - late..machines {
            if self.rng.chance(2, 3) {
                let at = self.moment();
                self.put(at, What::Start { who: Who::One(machine) });
            }
        }
        for _ in 0..self.rng.below(4) {
            let (at, by) = (self.moment(), self.machine());
            self.put(at, What::Fire { by, again: false });
        }
        if self.rng.chance(1, 2) {
            let (at, by) = (self.moment(), self.machine());
            self.put(at, What::Ask { by, relay: 2 });
        }
        if self.plan.options.wan && self.rng.chance(1, 2) {
            let (at, by, to) = (self.moment(), self.machine(), self.machine());
            let wan = self.rng.chance(1, 2);
            self.put(at, What::Trespass { by, to, wan });
        }
    }

    /// Deaths in a calm world, one or several at once.
    fn deaths(&mut self) {
        self.plan.options.founded = true;
        if self.rng.chance(1, 3) {
            // In a larger pool a single accuser takes much longer than several.
            self.plan.options.datacenters =
                vec![(3, u16::try_from(self.rng.between(60, 90)).unwrap_or(70))];
            (self.plan.options.wan, self.plan.options.loss_ppm) = (false, 0);
        }
        for _ in 0..self.rng.between(1, 3) {
            let at = self.moment().max(70_000);
            for _ in 0..self.rng.between(1, 2) {
                let who = Who::One(self.machine());
                self.put(at, What::Crash { who, down: 0, moved: false, lost: false });
            }
        }
        self.plan.options.length += 60_000_000;
    }

    /// Processes that come back, sometimes elsewhere, sometimes having forgotten.
    fn restarts(&mut self) {
        for _ in 0..self.rng.between(1, 6) {
            let (at, who) = (self.moment(), self.who());
            let down = if self.rng.chance(1, 2) {
                self.span(100, 3_000)
            } else {
                self.span(3_000, 90_000)
            };
            let (moved, lost) = (self.rng.chance(1, 4), self.rng.chance(1, 5));
            self.put(at, What::Crash { who, down, moved, lost });
        }
        for _ in 0..self.rng.below(3) {
            let (at, by) = (self.moment(), self.machine());
            self.put(at, What::Fire { by, again: false });
        }
    }

    /// Halves, and one-way cuts of one carrier or both.
    fn splits(&mut self) {
        for _ in 0..self.rng.between(1, 4) {
            let (at, side) = (self.moment(), self.who());
            let span = self.span(2_000, 90_000);
            if self.rng.chance(1, 2) {
                self.put(at, What::Split { side, span });
                continue;
            }
            let carrier = [Carrier::Udp, Carrier::Tcp, Carrier::Both][self.rng.index(3)];
            let to = self.who();
            self.put(at, What::Cut { from: side, to, carrier, span });
        }
    }

    /// Members that go in good order, and come back while some have not heard.
    fn leaves(&mut self) {
        for _ in 0..self.rng.between(1, 3) {
            let at = self.moment();
            let machine = self.machine();
            let who = Who::One(machine);
            self.put(at, What::Leave { who });
            if self.rng.chance(2, 3) {
                let back = at + self.rng.between(9_000, 60_000);
                if self.rng.chance(1, 2) {
                    let side = Who::One(self.machine());
                    let span = self.span(10_000, 60_000);
                    self.put(back.saturating_sub(1_000), What::Split { side, span });
                }
                self.put(back, What::Start { who });
                if self.rng.chance(1, 2) {
                    let again = back + self.rng.between(20_000, 60_000);
                    self.put(again, What::Leave { who });
                }
            }
        }
        for _ in 0..self.rng.below(3) {
            let (at, by, who) = (self.moment(), self.machine(), self.machine());
            let prune = self.rng.chance(1, 3);
            self.put(at, What::ForceLeave { by, who, prune });
        }
    }

    /// Slow machines, loss, clocks that drift, processes that stand still.
    fn links(&mut self) {
        for _ in 0..self.rng.between(1, 5) {
            let (at, who) = (self.moment(), self.who());
            let span = self.span(3_000, 60_000);
            let what = match self.rng.below(4) {
                0 => What::Slow { who, extra: self.span(100, 1_500), span },
                1 => {
                    let ppm = u32::try_from(self.rng.between(50_000, 400_000)).unwrap_or(0);
                    What::Lossy { ppm, span }
                }
                2 => {
                    let rate = u32::try_from(self.rng.between(700_000, 1_300_000));
                    What::ClockRate { who, rate: rate.unwrap_or(1_000_000), span }
                }
                _ => What::Pause { who, span: self.span(500, 20_000) },
            };
            self.put(at, what);
        }
    }

    /// Events, more than a ring holds, while members come and go.
    fn events(&mut self) {
        let by = self.machine();
        let many = self.rng.chance(1, 3);
        let count = if many { 620 } else { self.rng.between(5, 60) };
        for number in 0..count {
            self.put(20_000 + number * 60, What::Fire { by, again: many });
        }
        let (at, who) = (self.moment(), self.who());
        let down = self.span(500, 20_000);
        self.put(at, What::Crash { who, down, moved: false, lost: false });
    }

    /// Keys that change, one step after another, while something may be wrong.
    fn keys(&mut self) {
        self.plan.options.encrypted = true;
        // Who comes later would not have the new key.
        self.plan.options.late = 0;
        let by = self.machine();
        let start = self.rng.between(20_000, 60_000);
        let turns = [(Turn::Install, 1), (Turn::Use, 1), (Turn::Remove, 0)];
        for (number, (turn, key)) in (0_u64..).zip(turns) {
            self.put(start + number * 20_000, What::Keys { by, turn, key });
        }
        // Someone tries a key that not all have.
        if self.rng.chance(1, 2) {
            self.put(start - 5_000, What::Keys { by, turn: Turn::Use, key: 2 });
        }
        if self.rng.chance(1, 2) {
            let (who, span) = (self.who(), self.span(1_000, 8_000));
            self.put(start + 100, What::Pause { who, span });
        }
        self.plan.options.length = self.plan.options.length.max((start + 90_000) * 1_000);
    }

    /// Two under one name, or with one id; a name whose owner has just died.
    fn names(&mut self) {
        self.plan.options.late = self.plan.options.late.max(1);
        let by = self.plan.options.machines() - 1;
        let (servers, clients) = self.plan.options.datacenters.last().copied().unwrap_or((0, 1));
        let home = by + 1 - servers - clients;
        let of = u16::try_from(self.rng.between(u64::from(home), u64::from(by) - 1)).unwrap_or(0);
        let at = self.moment();
        let name = self.rng.chance(2, 3);
        if self.rng.chance(1, 2) {
            self.put(at, What::Crash { who: Who::One(of), down: 0, moved: false, lost: false });
            let after = at + self.rng.between(5_000, 30_000);
            self.put(after, What::Claim { by, of, name });
        } else {
            self.put(at, What::Claim { by, of, name });
        }
        self.restarts();
    }
}
