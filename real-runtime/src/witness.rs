//! Whoever stands beside a running agent and sees each step: the judges of a simulated world. A
//! deployed agent has none.

use proconsul_core::types::{Duration, Instant};
use proconsul_core::{Effect, Node};
use std::fmt;

/// Sees what a node does, as it does it.
pub trait Witness: Send {
    /// The node was made from what its disk holds, and has not taken a step.
    fn started(&mut self, node: &Node);

    /// The node took a step and asks for these effects; none of them is performed yet.
    fn stepped(&mut self, node: &Node, effects: &[Effect]);
}

/// How a machine's clocks differ from true ones.
pub trait Bent: fmt::Debug + Sync {
    /// What the monotonic clock of the agent shows now; it begins with the agent.
    fn now(&self) -> Instant;

    /// How long it truly takes until that clock shows `moment`.
    fn until(&self, moment: Instant) -> Duration;

    /// How far the time of day is off, in milliseconds.
    fn wall_ms(&self) -> i64;
}

/// What a simulated machine adds to an agent.
#[derive(Default)]
pub struct Bench {
    /// Who sees each step.
    pub witness: Option<Box<dyn Witness>>,
    /// How the clocks are bent.
    pub bent: Option<&'static dyn Bent>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("bent", &self.bent).finish_non_exhaustive()
    }
}
