//! Where agents can be reached, as far as anyone has told.
//!
//! Servers are known by identity (design D15); an address is looked up each time something is
//! sent. Gossip feeds this book, and greetings of this datacenter do; of those of others the WAN
//! knows better, while it holds them alive. `peers.json` and operators name the others.

use crate::node::Node;
use crate::open::Origin;
use crate::{CallId, Effect, PeerEntry, PeerMessage};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_types::{Fault, NodeId};

/// The address book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    by_id: BTreeMap<NodeId, Known>,
    /// How often something was noted.
    noted: u64,
}

/// Where someone is.
#[derive(Clone, Copy, Debug)]
struct Known {
    address: SocketAddr,
    /// When that was last said, as a number of notes; 0 when its connection has ended since.
    noted: u64,
}

/// So many agents are remembered at most, besides those that are needed.
const KNOWN_MAX: usize = 16_384;

impl Addresses {
    /// A book with the addresses of `peers`.
    pub(crate) fn new(peers: &[PeerEntry]) -> Self {
        let known = |peer: &PeerEntry| (peer.id, Known { address: peer.address, noted: 0 });
        Self { by_id: peers.iter().map(known).collect(), noted: 0 }
    }

    /// Where `id` was last known to be.
    pub(crate) fn get(&self, id: NodeId) -> Option<SocketAddr> {
        self.by_id.get(&id).map(|known| known.address)
    }

    /// Notes where `id` is; whether that is news.
    fn set(&mut self, id: NodeId, address: SocketAddr) -> bool {
        self.noted += 1;
        let old = self.by_id.insert(id, Known { address, noted: self.noted });
        old.map(|old| old.address) != Some(address)
    }

    /// The connection of `id` has ended: if someone must be forgotten, it is one of these.
    pub(crate) fn ended(&mut self, id: NodeId) {
        if let Some(known) = self.by_id.get_mut(&id) {
            known.noted = 0;
        }
    }

    fn is_full(&self) -> bool {
        self.by_id.len() > KNOWN_MAX
    }

    /// Makes room: of those that are not needed, a quarter of the book is forgotten, oldest first.
    fn make_room(&mut self, is_needed: impl Fn(NodeId) -> bool) {
        let others = self.by_id.iter().filter(|(id, _)| !is_needed(**id));
        let mut others: Vec<(u64, NodeId)> = others.map(|(id, known)| (known.noted, *id)).collect();
        others.sort_unstable();
        for (_, id) in others.into_iter().take(KNOWN_MAX / 4) {
            self.by_id.remove(&id);
        }
    }
}

impl Node {
    /// Sends, if anyone knows where to. A message to nowhere is a lost message.
    pub(crate) fn send_peer(&mut self, to: NodeId, message: PeerMessage, out: &mut Vec<Effect>) {
        if let Some(address) = self.addresses.get(to) {
            out.push(Effect::SendPeer { to, address, message });
        }
    }

    /// An agent greeted, and said where it can be dialled. It says so in every datacenter alike, so
    /// servers of other datacenters are where the WAN says, while it holds them alive. In the own
    /// datacenter a greeting is the newest word: who came back elsewhere may not be missed yet.
    pub(crate) fn greeted(&mut self, peer: NodeId, address: SocketAddr) {
        let known = self.servers.address_afar(peer, &self.config.facts.datacenter);
        let known = known.filter(|_| !self.planted.is(Fault::GreetingBeatsGossip));
        self.peer_at(peer, known.unwrap_or(address));
        if self.addresses.is_full() {
            let mut addresses = core::mem::take(&mut self.addresses);
            addresses.make_room(|id| self.needs_address_of(id));
            self.addresses = addresses;
        }
    }

    /// Servers, and those who wait for an answer.
    fn needs_address_of(&self, id: NodeId) -> bool {
        let calls = Origin::Peer(id, CallId(0))..=Origin::Peer(id, CallId(u64::MAX));
        self.servers.knows(id)
            || self.raft.membership().contains(id)
            || self.opens.range(calls).next().is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_forgotten_before_those_that_are_needed() {
        let at = |id: u128| (NodeId(id), SocketAddr::from(([10, 0, 0, 1], 8300)));
        let mut book = Addresses::default();
        let most = u128::try_from(KNOWN_MAX).unwrap();
        for id in 0..=most {
            assert!(!book.is_full());
            let (id, address) = at(id);
            assert!(book.set(id, address) && !book.set(id, address));
        }
        assert!(book.is_full());
        (9_000..10_000).for_each(|id| book.ended(NodeId(id)));
        book.make_room(|id| id.0 < 100);
        assert_eq!(book.by_id.len(), KNOWN_MAX + 1 - KNOWN_MAX / 4);
        let knows = |id: u128| book.get(NodeId(id)).is_some();
        assert!((0..100).all(knows), "who is needed stays");
        assert!(!(9_000..10_000).any(knows), "who went goes first");
        assert!(!(100..3_196).any(knows) && (3_196..9_000).all(knows), "then the oldest");
        assert!(knows(most));
    }
}
