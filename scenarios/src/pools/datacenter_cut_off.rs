//! Three datacenters, near and far, share a WAN pool of their servers. One of them is cut off as a
//! whole for minutes. In its own LAN nobody may notice anything; in the WAN both sides hold the
//! other for failed, and meet again after the cut. LAN and WAN names never mix, though a stray join
//! tries it.

use proconsul_sim::pools::{Held, Options, Plan, PoolStory, What, Who};

pub(crate) const STORY: PoolStory = PoolStory {
    name: "datacenter_cut_off",
    doc: "A whole datacenter is cut off and comes back. Its LAN notices nothing, the WAN \
          heals, and the pools never mix.",
    long: false,
    plan,
};

fn plan(seed: u64) -> Plan {
    let options = Options {
        datacenters: vec![(3, 4), (3, 2), (3, 0)],
        wan: true,
        length: 900_000_000,
        between: vec![vec![0, 20_000, 90_000], vec![35_000, 0, 140_000], vec![80_000, 150_000, 0]],
        ..Options::default()
    };
    let mut plan = Plan { options, ..Plan::default() };
    let cut = u8::try_from(seed % 3).unwrap_or(0);
    let (from, whole) = (Who::Dc(cut), Who::All);
    plan.at(30_000, What::Split { side: from, span: 420_000_000 });
    plan.at(5_000, What::Trespass { by: 0, to: 8, wan: true });
    plan.at(6_000, What::Trespass { by: 8, to: 1, wan: false });
    plan.at(440_000, What::Expect { by: from, about: from, held: Held::Alive, wan: false });
    for other in (0..3).filter(|other| *other != cut) {
        let about = Who::Dc(other);
        plan.at(440_000, What::Expect { by: from, about, held: Held::Failed, wan: true });
        plan.at(441_000, What::Expect { by: about, about: from, held: Held::Failed, wan: true });
    }
    plan.at(899_000, What::Expect { by: whole, about: whole, held: Held::Alive, wan: true });
    plan
}
