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
//! - [`bounds`]: how long things may take, from the formulas. `judge`, `rounds`: beside each pool,
//!   message by message. `views`: what pools hold of each other, against the truth.
//!
//! The bounds hold while nothing is wrong but deaths: a death is timed only if the world was calm
//! before, and views are compared when calm has lasted.

mod acts;
pub mod bounds;
pub mod drawn;
mod judge;
pub mod plan;
mod rounds;
mod seats;
mod views;
mod world;

pub use plan::{Carrier, Held, Options, Plan, Turn, What, Who};
pub use world::World;

/// A story of pools with a name.
pub type PoolStory = crate::plans::PlannedStory<Options>;
