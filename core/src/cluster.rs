//! What a node is told of the cluster it belongs to: pools, joining, servers, autopilot.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_types::Duration;

/// What a node with pools is. A node without this runs alone or with the peers it is told of.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The pool of this datacenter's agents.
    pub lan: proconsul_gossip::Config,
    /// The pool of all datacenters' servers; `None` on client agents, and where it is off.
    pub wan: Option<proconsul_gossip::Config>,
    /// Start a group when so many servers are here; 0: never.
    pub bootstrap_expect: u32,
    /// Whom to meet in the LAN.
    pub join: Joining,
    /// Whom to meet in the WAN.
    pub join_wan: Joining,
    /// Whether a terminate signal means leaving.
    pub leave_on_terminate: bool,
    /// Whether an interrupt signal means stopping without leaving.
    pub skip_leave_on_interrupt: bool,
    /// How long a server that left goes on answering.
    pub leave_drain: Duration,
    /// What autopilot starts with; later the catalog says.
    pub autopilot: proconsul_catalog::AutopilotConfig,
    /// Whether and how often this agent tells its place in the network.
    pub coordinates: Option<Coordinates>,
    /// Whether the file of keys is read and written (`disable_keyring_file` says no).
    pub keyring_file: bool,
}

/// Whom to meet at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joining {
    /// Once; a failure is fatal (`start_join`).
    pub start: Vec<Arc<str>>,
    /// Until it succeeds (`retry_join`).
    pub retry: Vec<Arc<str>>,
    /// Between two attempts of the latter.
    pub interval: Duration,
    /// How many attempts before this agent gives up and stops; 0: no limit.
    pub attempts_max: u32,
}

/// How places in the network reach the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// Updates of all agents together, per second (`sync_coordinate_rate_target`).
    pub rate_target: u32,
    /// An agent tells its place at most this often (`sync_coordinate_interval_min`).
    pub interval_min: Duration,
    /// Between two writes of the leader (`update_period`).
    pub period: Duration,
    /// Places in one write (`update_batch_size`).
    pub batch_size: usize,
    /// Writes in one period (`update_max_batches`); what is more is dropped.
    pub batches_max: usize,
}

impl Default for Coordinates {
    fn default() -> Self {
        Self {
            rate_target: 64,
            interval_min: Duration::from_secs(15),
            period: Duration::from_secs(5),
            batch_size: 128,
            batches_max: 5,
        }
    }
}

/// A host and port as people write them: `host`, `host:port`, `[v6]`, `[v6]:port`, bare IPv6.
/// `Err` holds the host's name, which only the host system can resolve.
pub(crate) fn seed(text: &str, port: u16) -> Result<SocketAddr, (&str, u16)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Ok(SocketAddr::new(ip, port));
    }
    match text.rsplit_once(':') {
        Some((host, number)) => match number.parse() {
            Ok(number) => Err((host, number)),
            Err(_) => Err((text, port)),
        },
        None => Err((text, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_people_write_them() {
        assert_eq!(seed("10.0.0.1", 8301), Ok("10.0.0.1:8301".parse().unwrap()));
        assert_eq!(seed("10.0.0.1:99", 8301), Ok("10.0.0.1:99".parse().unwrap()));
        assert_eq!(seed("::1", 8301), Ok("[::1]:8301".parse().unwrap()));
        assert_eq!(seed("[::1]", 8301), Ok("[::1]:8301".parse().unwrap()));
        assert_eq!(seed("a.example:7", 8301), Err(("a.example", 7)));
        assert_eq!(seed("a.example", 8301), Err(("a.example", 8301)));
    }
}
