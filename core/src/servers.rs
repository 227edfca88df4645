//! The servers that gossip knows: those of this datacenter by id, those of others by datacenter;
//! and which of them a client agent asks.

use crate::node::Node;
use crate::timers::Timer;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use proconsul_gossip::{Member, Server, server_of};
use proconsul_types::{Duration, MemberStatus, NodeId, Pool, Rng};

/// Who can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    /// This datacenter's, from the LAN.
    local: BTreeMap<NodeId, Server>,
    /// Every datacenter's by full name, from the WAN.
    remote: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Server>>,
    /// The order in which a client agent asks servers.
    order: Vec<NodeId>,
    rng: Rng,
}

/// A client agent asks one server for at least this long before it looks for another.
const REUSE_MIN: Duration = Duration::from_secs(120);
/// All client agents together change servers about so often per second and server.
const CHANGES_PER_SERVER: u64 = 64;

impl Servers {
    /// Nobody is known.
    pub(crate) fn new(rng: Rng) -> Self {
        Self { local: BTreeMap::new(), remote: BTreeMap::new(), order: Vec::new(), rng }
    }

    /// Notes what a member says of itself; true if a server became known or came back.
    fn note(&mut self, pool: Pool, member: &Member, datacenter: &str) -> bool {
        let Some(server) = server_of(member) else {
            return false;
        };
        match pool {
            Pool::Lan => {
                let Some(id) = server.id.filter(|_| &*server.datacenter == datacenter) else {
                    return false;
                };
                let alive = server.status == MemberStatus::Alive;
                // An id that comes under another name is another server's past.
                self.local.retain(|known, old| *known == id || old.name != server.name);
                let old = self.local.insert(id, server);
                if alive && !self.order.contains(&id) {
                    let at = self.rng.index(self.order.len() + 1);
                    self.order.insert(at, id);
                }
                alive && old.is_none_or(|old| old.status != MemberStatus::Alive)
            }
            Pool::Wan => {
                let there = self.remote.entry(Arc::clone(&server.datacenter)).or_default();
                there.insert(Arc::clone(&server.name), server);
                false
            }
        }
    }

    /// Forgets a member for good.
    fn forget(&mut self, pool: Pool, member: &Member) {
        match pool {
            Pool::Lan => self.local.retain(|_, server| server.name != member.name),
            Pool::Wan => {
                for servers in self.remote.values_mut() {
                    servers.remove(&member.name);
                }
                self.remote.retain(|_, servers| !servers.is_empty());
            }
        }
    }

    /// A server of this datacenter.
    pub(crate) fn get(&self, id: NodeId) -> Option<&Server> {
        self.local.get(&id)
    }

    /// All servers of this datacenter that were ever seen and are not forgotten.
    pub(crate) fn all(&self) -> impl Iterator<Item = (NodeId, &Server)> {
        self.local.iter().map(|(id, server)| (*id, server))
    }

    /// How many of them are here.
    pub(crate) fn alive_count(&self) -> usize {
        self.local.values().filter(|server| server.status == MemberStatus::Alive).count()
    }

    /// Every datacenter of which a server is known, in order.
    pub(crate) fn datacenters(&self) -> impl Iterator<Item = &Arc<str>> {
        self.remote.keys()
    }

    /// The server a client agent asks now.
    fn preferred(&self) -> Option<NodeId> {
        let is_alive =
            |id: &&NodeId| self.local.get(id).is_some_and(|s| s.status == MemberStatus::Alive);
        self.order.iter().find(is_alive).copied()
    }

    /// A server did not answer: the others come first.
    pub(crate) fn failed(&mut self, id: NodeId) {
        if let Some(at) = self.order.iter().position(|known| *known == id) {
            self.order.remove(at);
            self.order.push(id);
        }
    }

    /// A random server of another datacenter that is here, those in `silent` last.
    fn of_datacenter(
        &mut self,
        datacenter: &str,
        silent: impl Fn(NodeId) -> bool,
    ) -> Result<(NodeId, SocketAddr), NoWay> {
        let known = self.remote.get(datacenter).ok_or(NoWay::Unknown)?;
        let alive: Vec<(NodeId, SocketAddr)> = known
            .values()
            .filter(|server| server.status == MemberStatus::Alive)
            .filter_map(|server| Some((server.id?, server.rpc())))
            .collect();
        let heard: Vec<(NodeId, SocketAddr)> =
            alive.iter().copied().filter(|(id, _)| !silent(*id)).collect();
        let choice = if heard.is_empty() { alive } else { heard };
        if choice.is_empty() {
            return Err(NoWay::Unreachable);
        }
        Ok(choice[self.rng.index(choice.len())])
    }
}

/// Why no server of a datacenter can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// The datacenter was never seen.
    Unknown,
    /// None of its servers is here.
    Unreachable,
}

impl Node {
    /// A member said something of itself, or something was said of it.
    pub(crate) fn note_server(&mut self, pool: Pool, member: &Member) {
        let datacenter = Arc::clone(&self.config.facts.datacenter);
        let is_new = self.servers.note(pool, member, &datacenter);
        let Some(server) = server_of(member) else {
            return;
        };
        // In the WAN pool the own datacenter's servers show addresses for others.
        let counts = pool == Pool::Lan || server.datacenter != datacenter;
        if let Some(id) = server.id.filter(|_| counts) {
            // An address is looked up at each send, so the newest word counts (design D15); this
            // server's own is what it tells when it leads.
            self.peer_at(id, server.rpc());
        }
        if is_new {
            self.look_again_at_held();
            if !self.config.facts.server {
                self.server_found();
            }
        }
    }

    /// A member is forgotten.
    pub(crate) fn forget_server(&mut self, pool: Pool, member: &Member) {
        self.servers.forget(pool, member);
    }

    /// The server this client agent asks.
    pub(crate) fn preferred_server(&self) -> Option<NodeId> {
        self.servers.preferred()
    }

    /// A server of another datacenter, and its address noted.
    pub(crate) fn server_of_datacenter(&mut self, datacenter: &str) -> Result<NodeId, NoWay> {
        let Self { servers, calls, .. } = self;
        let (id, address) = servers.of_datacenter(datacenter, |id| calls.is_silent(id))?;
        self.peer_at(id, address);
        Ok(id)
    }

    /// From time to time a client agent asks another server, so that all are asked alike.
    pub(crate) fn rebalance(&mut self) {
        if self.config.facts.server || self.config.cluster.is_none() {
            return;
        }
        let Servers { order, rng, .. } = &mut self.servers;
        rng.shuffle(order);
        let members = u64::try_from(self.pools.lan_count()).unwrap_or(u64::MAX);
        let servers = u64::try_from(self.servers.alive_count()).unwrap_or(0).max(1);
        let fair = Duration::from_secs(members / (servers * CHANGES_PER_SERVER));
        let stagger = self.servers.rng.duration(Duration::ZERO, REUSE_MIN / 2);
        let next = fair.max(REUSE_MIN) + stagger;
        self.timers.set(Timer::Rebalance, self.now.after(next));
    }
}
