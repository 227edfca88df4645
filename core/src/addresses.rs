//! Where agents can be reached, as far as anyone has told.
//!
//! Servers are known by identity (design D15); an address is looked up each time something is
//! sent. Gossip will feed this book; until then `peers.json`, operators and greetings do.

use crate::node::Node;
use crate::{Effect, PeerEntry, PeerMessage};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_types::NodeId;

/// The address book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    by_id: BTreeMap<NodeId, SocketAddr>,
}

impl Addresses {
    /// A book with the addresses of `peers`.
    pub(crate) fn new(peers: &[PeerEntry]) -> Self {
        Self { by_id: peers.iter().map(|peer| (peer.id, peer.address)).collect() }
    }

    /// Where `id` was last known to be.
    pub(crate) fn get(&self, id: NodeId) -> Option<SocketAddr> {
        self.by_id.get(&id).copied()
    }

    /// Notes where `id` is; whether that is news.
    fn set(&mut self, id: NodeId, address: SocketAddr) -> bool {
        self.by_id.insert(id, address) != Some(address)
    }
}

impl Node {
    /// Sends, if anyone knows where to. A message to nowhere is a lost message.
    pub(crate) fn send_peer(&mut self, to: NodeId, message: PeerMessage, out: &mut Vec<Effect>) {
        if let Some(address) = self.addresses.get(to) {
            out.push(Effect::SendPeer { to, address, message });
        }
    }

    pub(crate) fn peer_at(&mut self, peer: NodeId, address: SocketAddr) {
        if self.addresses.set(peer, address) {
            self.publisher.leadership_changed();
            self.look_again_at_held();
        }
    }

    pub(crate) fn new_addresses(&mut self, addresses: BTreeMap<NodeId, SocketAddr>) {
        for (peer, address) in addresses {
            self.peer_at(peer, address);
        }
    }
}
