//! Lock owners, as the model sees them.

use proconsul_core::catalog::SessionCreate;
use proconsul_core::syntax::duration;
use proconsul_core::types::{Duration, SessionBehavior};
use std::sync::Arc;

/// A session that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionModel {
    /// The node it lives with.
    pub node: Arc<str>,
    /// What becomes of its keys.
    pub behavior: SessionBehavior,
    /// How long its keys stay unlockable after it ends.
    pub delay: Duration,
    /// How long it lives without renewal, if its clock runs.
    pub ttl: Option<Duration>,
    /// When it was first seen committed, in nanoseconds of the world.
    pub created: u64,
}

impl SessionModel {
    /// A new session.
    #[must_use]
    pub fn new(create: &SessionCreate, now: u64) -> Self {
        Self {
            node: create.node.clone(),
            behavior: create.behavior,
            delay: create.lock_delay,
            ttl: duration::parse_unsigned(&create.ttl).ok().filter(|ttl| !ttl.is_zero()),
            created: now,
        }
    }
}
