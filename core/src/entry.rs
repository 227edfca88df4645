//! A member's entry in the catalog: its words, its forms, and whether it is there already. The
//! leader writes it for every member; a server without pools writes its own.

use alloc::sync::Arc;
use proconsul_catalog::{Catalog, CheckRegistration};
use proconsul_types::{CheckStatus, NodeId, ServiceRegistration, Weights};

/// The check that says whether a member is alive.
pub(crate) const SERF_HEALTH: &str = "serfHealth";
/// The service that servers offer.
const SERVERS: &str = "consul";
const SERF_HEALTH_NAME: &str = "Serf Health Status";
const ALIVE: &str = "Agent alive and reachable";
const FAILED: &str = "Agent not live or unreachable";

/// The members' check with this status.
pub(crate) fn serf_health(status: CheckStatus) -> CheckRegistration {
    let output = match status {
        CheckStatus::Passing => ALIVE,
        CheckStatus::Warning | CheckStatus::Critical => FAILED,
    };
    CheckRegistration {
        id: SERF_HEALTH.into(),
        name: SERF_HEALTH_NAME.into(),
        status,
        output: output.into(),
        ..CheckRegistration::default()
    }
}

/// The service of a server that listens on `port`, with these words about it.
pub(crate) fn servers_service(port: u16, words: [(&str, Arc<str>); 6]) -> ServiceRegistration {
    ServiceRegistration {
        id: SERVERS.into(),
        name: SERVERS.into(),
        port: i32::from(port),
        meta: words.into_iter().map(|(name, value)| (Arc::from(name), value)).collect(),
        weights: Weights { passing: 1, warning: 1 },
        ..ServiceRegistration::default()
    }
}

/// Whether the node stands in the catalog as it should: identity and address, the service if it
/// offers one, and a passing check.
pub(crate) fn is_there(
    catalog: &Catalog,
    name: &str,
    (id, address): (Option<NodeId>, &str),
    service: Option<&ServiceRegistration>,
) -> bool {
    let is_known =
        catalog.node(name).is_some_and(|node| node.id == id && *node.address == *address);
    let offers = service.is_none_or(|own| {
        catalog.node_services(name).any(|there| {
            there.registration.id == own.id
                && there.registration.port == own.port
                && there.registration.meta == own.meta
        })
    });
    let check = catalog.check(name, SERF_HEALTH);
    is_known && offers && check.is_some_and(|check| check.status == CheckStatus::Passing)
}
