//! Worlds of bare pools: many [`proconsul_core::gossip::Gossip`] values in several datacenters, a
//! network that cuts, delays, loses and doubles, machines that crash, move, stand still and drift,
//! and judges that know the truth.
//!
//! Everything that happens to a world is an item of its [`Plan`]: faults, what operators do, and
//! what must hold at a moment. A story is a function from a seed to a plan, so a story that fails
//! shrinks like a world that the swarm drew ([`drawn`]).
//!
//! - [`plan`]: the text. `world`: the event loop. `seats`: who sits at the links.
//!   `acts`: what acts do.
//! - [`bounds`]: how long things may take, from the formulas. `judge`: beside each pool, message by
//!   message. `views`: what pools hold of each other, against the truth.
//!
//! The bounds hold while nothing is wrong but deaths: a death is timed only if the world was calm
//! before, and views are compared when calm has lasted.

mod acts;
pub mod bounds;
pub mod drawn;
mod judge;
pub mod plan;
mod run;
mod seats;
mod views;
mod world;

pub use plan::{Act, Carrier, Held, Options, Plan, Turn, What, Who};
pub use run::{Shrunk, run, shrink};
pub use world::World;

/// A story of pools with a name.
#[derive(Clone, Copy, Debug)]
pub struct PoolStory {
    /// One word, as typed.
    pub name: &'static str,
    /// What is tried and what must hold. The first sentence is shown in lists.
    pub doc: &'static str,
    /// Whether it is too long for tests: run by name only.
    pub long: bool,
    /// What happens, for a seed.
    pub plan: fn(u64) -> Plan,
}

impl PoolStory {
    /// The first sentence of the documentation.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        let doc = self.doc.trim();
        doc.split_once(". ").map_or(doc, |(first, _)| first).trim_end_matches('.')
    }

    /// The plan of a seed, with a planted fault or none.
    #[must_use]
    pub fn plan(&self, seed: u64, planted: &str) -> Plan {
        let mut plan = (self.plan)(seed);
        (plan.seed, plan.scenario) = (seed, self.name.into());
        planted.clone_into(&mut plan.options.planted);
        plan
    }
}
