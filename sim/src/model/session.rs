//! Lock owners, as the model sees them.

use proconsul_core::catalog::SessionCreate;
use proconsul_core::types::SessionBehavior;
use std::sync::Arc;

/// A session that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionModel {
    /// The node it lives with.
    pub node: Arc<str>,
    /// What becomes of its keys.
    pub behavior: SessionBehavior,
    /// Whether its keys stay unlockable for a while after it ends.
    pub delay: bool,
    /// Whether its clock runs.
    pub has_ttl: bool,
    /// When it was created.
    pub created: u64,
}

impl SessionModel {
    /// A new session.
    #[must_use]
    pub fn new(create: &SessionCreate, now: u64) -> Self {
        Self {
            node: create.node.clone(),
            behavior: create.behavior,
            delay: !create.lock_delay.is_zero(),
            has_ttl: !create.ttl.is_empty(),
            created: now,
        }
    }
}
