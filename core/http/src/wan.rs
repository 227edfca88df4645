//! `translate_wan_addrs`: what is in another datacenter is shown where the WAN reaches it.
//!
//! The agent that was asked says so in the request that it passes on, and whoever answers for the
//! other datacenter writes the addresses.

use crate::decide::Call;
use alloc::borrow::Cow;
use alloc::sync::Arc;
use proconsul_types::{Node, Service};

/// The parameter that asks for WAN addresses.
pub(crate) const WISH: &str = "wan-addresses";
/// The tag under which they are kept.
const TAG: &str = "wan";

/// A node as the client is to see it.
pub(crate) fn node<'a>(call: &Call<'_>, node: &'a Node) -> Cow<'a, Node> {
    match node.tagged_addresses.get(TAG) {
        Some(address) if call.params.has(WISH) => {
            Cow::Owned(Node { address: Arc::clone(address), ..node.clone() })
        }
        Some(_) | None => Cow::Borrowed(node),
    }
}

/// An instance as the client is to see it.
pub(crate) fn service<'a>(call: &Call<'_>, service: &'a Service) -> Cow<'a, Service> {
    match service.registration.tagged_addresses.get(TAG) {
        Some(place) if call.params.has(WISH) => {
            let mut shown = service.clone();
            shown.registration.address = Arc::clone(&place.address);
            shown.registration.port = place.port;
            Cow::Owned(shown)
        }
        Some(_) | None => Cow::Borrowed(service),
    }
}
