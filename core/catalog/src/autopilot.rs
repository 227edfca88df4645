//! What autopilot is to do: one record for the whole cluster.

use crate::catalog::{Catalog, domain};
use crate::outcome::Outcome;
use alloc::sync::Arc;
use proconsul_types::{CatalogIndex, Duration};
use serde::{Deserialize, Serialize};

/// How the leader looks after the group of servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutopilotConfig {
    /// Remove servers that failed when new ones replace them.
    pub cleanup_dead_servers: bool,
    /// A server not heard of for longer is unhealthy.
    pub last_contact_threshold: Duration,
    /// A server further behind the leader's log is unhealthy.
    pub max_trailing_logs: u64,
    /// Never remove a dead server if fewer than this remain; 0: no bound of its own.
    pub min_quorum: u64,
    /// A new server must be healthy for this long before it votes.
    pub server_stabilization_time: Duration,
    /// Kept and shown; zones are not there.
    pub redundancy_zone_tag: Arc<str>,
    /// Kept and shown; migrations are not there.
    pub disable_upgrade_migration: bool,
    /// Kept and shown; migrations are not there.
    pub upgrade_version_tag: Arc<str>,
}

impl Default for AutopilotConfig {
    fn default() -> Self {
        Self {
            cleanup_dead_servers: true,
            last_contact_threshold: Duration::from_millis(200),
            max_trailing_logs: 250,
            min_quorum: 0,
            server_stabilization_time: Duration::from_secs(10),
            redundancy_zone_tag: Arc::from(""),
            disable_upgrade_migration: false,
            upgrade_version_tag: Arc::from(""),
        }
    }
}

/// A change of autopilot's configuration, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutopilotChange {
    /// The new one.
    pub config: AutopilotConfig,
    /// Only if the present one has this modify index; 0: if none was stored yet.
    pub cas: Option<u64>,
}

/// Autopilot's configuration as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autopilot {
    /// It.
    pub config: AutopilotConfig,
    /// When the first one was stored.
    pub created: CatalogIndex,
    /// When it last changed.
    pub modified: CatalogIndex,
}

impl Catalog {
    pub(crate) fn configure_autopilot(
        &mut self,
        index: CatalogIndex,
        change: &AutopilotChange,
    ) -> Outcome {
        let current = self.autopilot.as_ref().map_or(0, |stored| stored.modified.0);
        if change.cas.is_some_and(|expected| expected != current) {
            return Outcome::Answer(false);
        }
        let created = self.autopilot.as_ref().map_or(index, |stored| stored.created);
        self.put_autopilot(Autopilot { config: change.config.clone(), created, modified: index });
        Outcome::Answer(true)
    }

    pub(crate) fn put_autopilot(&mut self, stored: Autopilot) {
        self.count_in(domain::AUTOPILOT, &stored);
        if let Some(old) = self.autopilot.replace(Arc::new(stored)) {
            self.count_out(domain::AUTOPILOT, &*old);
        }
    }

    /// Autopilot's configuration; `None` until the first leader has stored one.
    #[must_use]
    pub fn autopilot(&self) -> Option<&Autopilot> {
        self.autopilot.as_deref()
    }
}
