//! Members that many pools begin with, held once.

use crate::serf::Founders;
use crate::swim::{Members, reachable};
use alloc::sync::Arc;
use proconsul_types::Instant;
use proconsul_wire::memberlist::Alive;

/// What the pools of a large simulation know when they begin: everyone, all alive. A clone is a
/// few reference counts, and so is a pool's share of it until the pool learns something else.
#[derive(Clone, Debug)]
pub struct Founding {
    pub(crate) swim: Members,
    pub(crate) serf: Founders,
}

impl Founding {
    /// Members that have been alive since `now`. Names that repeat are taken once.
    ///
    /// # Panics
    /// If a port is 0 or there are not six versions: bugs of the simulation.
    pub fn new(everyone: impl IntoIterator<Item = Arc<Alive>>, now: Instant) -> Self {
        let swim = Members::founding(everyone, now);
        let mut serf = Founders::default();
        for record in swim.iter() {
            serf.add(&record.alive, record.versions(), reachable(&record.alive));
        }
        Self { swim, serf }
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.swim.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.swim.is_empty()
    }
}
