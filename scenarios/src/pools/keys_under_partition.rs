//! An operator rotates the pool's key while a part of it does not hear: install, use, remove. Then
//! again after the cut, while a member stands still or datagrams get lost at two of the steps, and
//! once more in peace. What cannot be complete must not be reported complete; nobody uses a key
//! that it was not given; and at the end all seal with the new key, none has the old one, and all
//! see each other.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, Turn, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "keys_under_partition",
    doc: "Keys are rotated under a partition, beside pauses and losses, and in peace. No step is \
          reported complete that is not, and all end up with the new key alone.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 9)],
        encrypted: true,
        duplicate_ppm: if seed.is_multiple_of(2) { 200_000 } else { 0 },
        length: 420_000_000,
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let side = Who::Span(9, 12);
    plan.at(10_000, What::Split { side, span: 40_000_000 });
    plan.at(12_000, What::Keys { by: 0, turn: Turn::Install, key: 1 });
    plan.at(25_000, What::Keys { by: 0, turn: Turn::Use, key: 2 });
    let steps = [(Turn::Install, 1), (Turn::Use, 1), (Turn::Remove, 0)];
    for (begun, troubled) in [(240_000, true), (340_000, false)] {
        for (number, (turn, key)) in (0_u64..).zip(steps) {
            let at = begun + number * 20_000;
            plan.at(at, What::Keys { by: 0, turn, key });
            if troubled && turn != Turn::Install {
                plan.at(at - 200, trouble(seed, number));
            }
        }
    }
    let (by, about) = (Who::All, Who::All);
    plan.at(415_000, What::ExpectKeys { by, primary: 1, absent: 0 });
    plan.at(415_000, What::Expect { by, about, held: Held::Alive, wan: false });
    plan
}

/// What goes wrong at a step, drawn from the seed: a member stands still, or news get lost.
fn trouble(seed: u64, step: u64) -> What {
    let drawn = (seed + step).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let span = 1_000_000 + drawn % 4_000 * 1_000;
    if drawn.is_multiple_of(2) {
        let who = Who::One(1 + u16::try_from(drawn / 2 % 11).unwrap_or(0));
        What::Pause { who, span }
    } else {
        What::Lossy { ppm: 300_000, span }
    }
}
