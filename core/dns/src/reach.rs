//! Where things are reached: by their own addresses, or by those of the WAN for whoever asks from
//! another datacenter (`translate_wan_addrs`).

use crate::Asked;
use proconsul_types::{Node, Service};

/// The tag of addresses by which the WAN reaches something.
const WAN: &str = "wan";

impl Asked<'_> {
    /// Whether whoever asks is to be told addresses of the WAN.
    pub(crate) fn is_from_afar(&self) -> bool {
        let beyond = &*self.config.translate_beyond;
        !beyond.is_empty() && *beyond != *self.facts.datacenter
    }
}

/// The address of a node.
pub(crate) fn of_node(node: &Node, from_afar: bool) -> &str {
    let wan = node.tagged_addresses.get(WAN).filter(|_| from_afar);
    wan.unwrap_or(&node.address)
}

/// An instance's own address, empty if it has none, and its port.
pub(crate) fn of_service(service: &Service, from_afar: bool) -> (&str, i32) {
    let service = &service.registration;
    match service.tagged_addresses.get(WAN).filter(|_| from_afar) {
        Some(place) => (&place.address, place.port),
        None => (&service.address, service.port),
    }
}
