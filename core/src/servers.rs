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

    /// Notes what a member says of itself.
    fn note(&mut self, pool: Pool, member: &Member, datacenter: &str) -> Noted {
        let Some(server) = server_of(member) else {
            // Who is a client agent now is no server under this name any more.
            self.forget(pool, member);
            return Noted::Nothing;
        };
        if self.is_past(pool, &server) {
            return Noted::Nothing;
        }
        match pool {
            Pool::Lan => {
                let Some(id) = server.id.filter(|_| &*server.datacenter == datacenter) else {
                    return Noted::Known;
                };
                let alive = server.status == MemberStatus::Alive;
                // A name that comes with another id is another server's now.
                self.local.retain(|known, old| *known == id || old.name != server.name);
                let old = self.local.insert(id, server);
                if alive && !self.order.contains(&id) {
                    let at = self.rng.index(self.order.len() + 1);
                    self.order.insert(at, id);
                }
                came_back(alive, old.as_ref())
            }
            Pool::Wan => {
                let there = self.remote.entry(Arc::clone(&server.datacenter)).or_default();
                let alive = server.status == MemberStatus::Alive;
                let old = there.insert(Arc::clone(&server.name), server);
                came_back(alive, old.as_ref())
            }
        }
    }

    /// Whether this is the past of a server that lives on under another name: its identity moved
    /// on, and what is said of the old name says nothing of it.
    fn is_past(&self, pool: Pool, server: &Server) -> bool {
        let Some(id) = server.id.filter(|_| server.status != MemberStatus::Alive) else {
            return false;
        };
        let lives_on =
            |known: &Server| known.name != server.name && known.status == MemberStatus::Alive;
        match pool {
            Pool::Lan => self.local.get(&id).is_some_and(lives_on),
            Pool::Wan => self.remote.get(&server.datacenter).is_some_and(|there| {
                there.values().any(|known| known.id == Some(id) && lives_on(known))
            }),
        }
    }

    /// Forgets a member for good.
    fn forget(&mut self, pool: Pool, member: &Member) {
        match pool {
            Pool::Lan => {
                self.local.retain(|_, server| server.name != member.name);
                let Self { local, order, .. } = self;
                order.retain(|id| local.contains_key(id));
            }
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

    /// Whether this is a server of any datacenter.
    pub(crate) fn knows(&self, id: NodeId) -> bool {
        let is_it = |server: &Server| server.id == Some(id);
        self.local.contains_key(&id) || self.remote.values().any(|there| there.values().any(is_it))
    }

    /// Where a server answers that is alive in the WAN and of another datacenter than `own`.
    pub(crate) fn address_afar(&self, id: NodeId, own: &str) -> Option<SocketAddr> {
        let is_it =
            |server: &&Server| server.id == Some(id) && server.status == MemberStatus::Alive;
        let others = self.remote.iter().filter(|(name, _)| &***name != own);
        others.flat_map(|(_, there)| there.values()).find(is_it).map(Server::rpc)
    }

    /// Whether this server is here under another name than this one.
    pub(crate) fn lives_as_another(&self, id: NodeId, name: &str) -> bool {
        let known = self.local.get(&id);
        known.is_some_and(|known| &*known.name != name && known.status == MemberStatus::Alive)
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

/// What it means that a server is `alive`, after what was known of it.
fn came_back(alive: bool, old: Option<&Server>) -> Noted {
    if alive && old.is_none_or(|old| old.status != MemberStatus::Alive) {
        Noted::New
    } else {
        Noted::Known
    }
}

/// What a word about a member means for the book of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    /// It is no server, or the past of one that lives on.
    Nothing,
    /// A server is as it was, or is gone.
    Known,
    /// A server became known or came back.
    New,
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
        let noted = self.servers.note(pool, member, &datacenter);
        let Some(server) = server_of(member).filter(|_| noted != Noted::Nothing) else {
            return;
        };
        // In the WAN pool the own datacenter's servers show addresses for others. Who failed where
        // it was may have greeted from elsewhere since.
        let counts = (pool == Pool::Lan || server.datacenter != datacenter)
            && (server.status == MemberStatus::Alive || !self.has_address(server.id));
        if let Some(id) = server.id.filter(|_| counts) {
            // An address is looked up at each send, so the newest word counts (design D15); this
            // server's own is what it tells when it leads.
            self.peer_at(id, server.rpc());
        }
        if noted == Noted::New {
            if let Some(id) = server.id {
                self.heard(id);
            }
            self.look_again_at_held();
            if !self.config.facts.server {
                self.server_found();
            }
        }
    }

    fn has_address(&self, id: Option<NodeId>) -> bool {
        id.is_some_and(|id| self.addresses.get(id).is_some())
    }

    /// The server that this member was, if it does not live on under another name.
    pub(crate) fn server_gone(&self, pool: Pool, member: &Member) -> Option<NodeId> {
        let server = server_of(member)?;
        let id = server.id.filter(|id| *id != self.config.id)?;
        // The LAN knows best how the own datacenter's servers are.
        let counts = pool == Pool::Lan || server.datacenter != self.config.facts.datacenter;
        (counts && !self.servers.is_past(pool, &server)).then_some(id)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_types::Seed;

    fn member(name: &str, role: &str, id: &str, status: MemberStatus) -> Member {
        let tags = [
            ("build", "1.8.7:"),
            ("dc", "dc1"),
            ("role", role),
            ("port", "8300"),
            ("vsn", "2"),
            ("id", id),
        ];
        let tags = tags.map(|(key, value)| (Arc::from(key), Arc::from(value))).into();
        let address = ([10, 0, 0, 1], 8301).into();
        let versions = Default::default();
        Member { name: name.into(), address, tags: Arc::new(tags), status, versions }
    }

    #[test]
    fn a_server_that_becomes_a_client_agent_is_none() {
        let id = "00000000-0000-0000-0000-000000000001";
        let mut servers = Servers::new(Rng::new(Seed(1)));
        let server = member("s1", "consul", id, MemberStatus::Alive);
        assert_eq!(servers.note(Pool::Lan, &server, "dc1"), Noted::New);
        let failed = member("old", "consul", id, MemberStatus::Failed);
        assert_eq!(servers.note(Pool::Lan, &failed, "dc1"), Noted::Nothing);
        assert_eq!(servers.preferred(), Some(NodeId(1)));
        let agent = member("s1", "node", id, MemberStatus::Alive);
        assert_eq!(servers.note(Pool::Lan, &agent, "dc1"), Noted::Nothing);
        assert_eq!(servers.get(NodeId(1)), None);
        assert_eq!(servers.order, []);
    }
}
