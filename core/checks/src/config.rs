//! What a [`Local`](crate::Local) must be told once.

use alloc::sync::Arc;
use proconsul_catalog::NodeRegistration;
use proconsul_types::{Duration, Planted, limits};

/// How often what is critical for too long is looked for.
pub(crate) const REAP_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest `DeregisterCriticalServiceAfter`; shorter ones are raised to it.
pub(crate) const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);
/// The shortest interval between two runs of a probe; shorter ones are raised to it.
pub(crate) const PROBE_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long after a failed write to the catalog the next attempt comes, less a random stagger.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(15);

/// Parameters of the part that knows what this agent offers.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The node as it must stand in the catalog.
    pub node: NodeRegistration,
    /// Whether this agent is a server: the catalog's `consul` service on its node is not its own.
    pub server: bool,
    /// Whether there is a data directory to keep registrations in.
    pub durable: bool,
    /// Between two full comparisons with the catalog; a random stagger of the same length is added.
    pub sync_interval: Duration,
    /// Changes of output alone are sent at most this often; zero sends them at once.
    pub check_update_interval: Duration,
    /// Whether outputs are thrown away.
    pub discard_output: bool,
    /// Most bytes of output that are kept of a check; a check may ask for less.
    pub output_bytes_max: usize,
    /// Whether clients may have programs run. What they registered while they might is left alone,
    /// unread, while they may not.
    pub script_checks: bool,
    /// The first completion token this part may use; it counts up from there.
    pub first_token: u64,
    /// The bug this part carries, if any (test builds only).
    pub planted: Planted,
}

impl LocalConfig {
    /// The defaults for a node of this name: what Consul's defaults are.
    #[must_use]
    pub fn new(node: NodeRegistration) -> Self {
        Self {
            node,
            server: true,
            durable: false,
            sync_interval: Duration::from_secs(60),
            check_update_interval: Duration::from_secs(300),
            discard_output: false,
            output_bytes_max: limits::CHECK_OUTPUT_BYTES_MAX,
            script_checks: false,
            first_token: 1 << 62,
            planted: Planted::none(),
        }
    }

    /// The node's name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.node.name
    }
}
