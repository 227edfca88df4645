//! From a member of the pool to a write of the catalog: who is alive passes, who failed is
//! critical, who left is not there.

use crate::entry::{self, SERF_HEALTH};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{Catalog, Command, Deregister, NodeRegistration, Register};
use proconsul_gossip::{Member, Server, server_of};
use proconsul_types::{
    CheckStatus, Fault, MemberStatus, Node, NodeId, Planted, ServiceRegistration,
};

/// What a plan is made from besides the member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// What the catalog says.
    pub(crate) catalog: &'a Catalog,
    /// The leader's own name: it never deregisters itself.
    pub(crate) own: &'a str,
    /// The datacenter.
    pub(crate) datacenter: &'a Arc<str>,
    /// The bug these functions carry, if any.
    pub(crate) planted: Planted,
}

/// What must be written because of what `member` is now.
pub(crate) fn plan(member: &Member, context: &Context<'_>) -> Option<Command> {
    let server = server_of(member).filter(|server| server.datacenter == *context.datacenter);
    let tag = |name: &str| member.tags.get(name).map_or("", |value| &**value);
    let is_client = tag("role") == "node" && tag("dc") == &**context.datacenter;
    if server.is_none() && !is_client {
        return None;
    }
    match member.status {
        MemberStatus::Alive => alive(member, server.as_ref(), context),
        MemberStatus::Failed => failed(member, context),
        MemberStatus::Left => gone(&member.name, context),
        // Who is leaving is here until it has left.
        MemberStatus::Leaving | MemberStatus::None => None,
    }
}

/// Whether the catalog holds a name for someone whom the pool does not know any more: an agent that
/// lost its identity with its disk came back under its old name before anybody missed it.
fn is_another(known: Option<&Node>, id: Option<NodeId>) -> bool {
    known.is_some_and(|node| node.id.is_some() && id.is_some() && node.id != id)
}

/// Someone is here: its node, its check, and the service of a server. A name that another identity
/// holds is freed first; the pool has one member of a name, so the holder is gone.
fn alive(member: &Member, server: Option<&Server>, context: &Context<'_>) -> Option<Command> {
    let catalog = context.catalog;
    let id: Option<NodeId> = member.tags.get("id").and_then(|id| id.parse().ok());
    let address: Arc<str> = member.address.ip().to_string().into();
    let known = catalog.node(&member.name);
    let service = server.map(|server| service(member, server));
    if entry::is_there(catalog, &member.name, (id, &address), service.as_ref()) {
        return None;
    }
    if is_another(known, id) && !context.planted.is(Fault::ReconcileKeepsOldId) {
        let node = Arc::clone(&member.name);
        return Some(Command::Deregister(Deregister { node, service_id: None, check_id: None }));
    }
    let node = NodeRegistration {
        id,
        name: Arc::clone(&member.name),
        address,
        datacenter: Arc::clone(context.datacenter),
        tagged_addresses: known.map(|node| node.tagged_addresses.clone()).unwrap_or_default(),
        meta: known.map(|node| node.meta.clone()).unwrap_or_default(),
    };
    Some(Command::Register(Box::new(Register {
        node,
        skip_node_update: false,
        services: service.into_iter().collect(),
        checks: Vec::from([entry::serf_health(CheckStatus::Passing)]),
    })))
}

/// Someone is away without a word: known nodes alone get a critical check, and nothing else of
/// them changes.
fn failed(member: &Member, context: &Context<'_>) -> Option<Command> {
    let node = context.catalog.node(&member.name)?;
    let told = context.catalog.check(&member.name, SERF_HEALTH);
    if told.is_some_and(|check| check.status == CheckStatus::Critical) {
        return None;
    }
    Some(Command::Register(Box::new(Register {
        node: node.into(),
        skip_node_update: true,
        services: Vec::new(),
        checks: Vec::from([entry::serf_health(CheckStatus::Critical)]),
    })))
}

/// Someone left, or is forgotten: all of it goes. The leader leaves that to the next one when it
/// is about itself.
pub(crate) fn gone(name: &Arc<str>, context: &Context<'_>) -> Option<Command> {
    if &**name == context.own || context.planted.is(Fault::ReconcileForgetsLeft) {
        return None;
    }
    context.catalog.node(name)?;
    let node = Arc::clone(name);
    Some(Command::Deregister(Deregister { node, service_id: None, check_id: None }))
}

/// What agents alone write among a node's words.
const SEGMENT: &str = "consul-network-segment";

/// Nodes that were members once and are none now: they have the members' check, or an agent's word
/// (one that died before the pool told the leader of it).
pub(crate) fn strangers(catalog: &Catalog, is_member: impl Fn(&str) -> bool) -> BTreeSet<Arc<str>> {
    let was_member = |node: &&Node| {
        catalog.check(&node.name, SERF_HEALTH).is_some() || node.meta.contains_key(SEGMENT)
    };
    let names = catalog.nodes().filter(was_member).map(|node| &node.name);
    names.filter(|name| !is_member(name)).cloned().collect()
}

fn service(member: &Member, server: &Server) -> ServiceRegistration {
    let versions = &member.versions;
    let words = [
        ("non_voter", if server.non_voter { "true" } else { "false" }.into()),
        ("raft_version", server.raft_version.to_string().into()),
        ("serf_protocol_current", versions.protocol.to_string().into()),
        ("serf_protocol_max", versions.protocol_max.to_string().into()),
        ("serf_protocol_min", versions.protocol_min.to_string().into()),
        ("version", version(server).into()),
    ];
    entry::servers_service(server.port, words)
}

/// A server's version without its revision.
pub(crate) fn version(server: &Server) -> alloc::string::String {
    let build = server.build;
    format!("{}.{}.{}", build.major, build.minor, build.patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_types::{CatalogIndex, TextMap};
    use proconsul_wire::memberlist::Versions;

    fn member(name: &str, role: &str, status: MemberStatus) -> Member {
        let tags: TextMap = [
            ("role", role),
            ("dc", "dc1"),
            ("id", "11111111-2222-3333-4444-555555555555"),
            ("port", "8300"),
            ("vsn", "2"),
            ("build", "1.8.7:abc"),
            ("raft_vsn", "3"),
        ]
        .into_iter()
        .map(|(tag, value)| (Arc::from(tag), Arc::from(value)))
        .collect();
        Member {
            name: name.into(),
            address: "10.0.0.9:8301".parse().unwrap(),
            tags: Arc::new(tags),
            status,
            versions: Versions {
                protocol_min: 1,
                protocol_max: 5,
                protocol: 2,
                delegate_min: 2,
                delegate_max: 5,
                delegate: 4,
            },
        }
    }

    struct World {
        catalog: Catalog,
        datacenter: Arc<str>,
        index: u64,
    }

    impl World {
        fn new() -> Self {
            let datacenter: Arc<str> = "dc1".into();
            let catalog = Catalog::new(Arc::clone(&datacenter), Planted::none());
            Self { catalog, datacenter, index: 1 }
        }

        /// Writes what the plan for `member` says; whether there was anything to write.
        fn reconcile(&mut self, member: &Member) -> bool {
            let context = Context {
                catalog: &self.catalog,
                own: "me",
                datacenter: &self.datacenter,
                planted: Planted::none(),
            };
            let Some(command) = plan(member, &context) else {
                return false;
            };
            self.index += 1;
            let applied = self.catalog.apply(CatalogIndex(self.index), &command);
            assert_eq!(applied.outcome, proconsul_catalog::Outcome::Done);
            true
        }

        fn check(&self, name: &str) -> (CheckStatus, &str) {
            let check = self.catalog.check(name, SERF_HEALTH).unwrap();
            (check.status, &*check.output)
        }
    }

    #[test]
    fn a_member_lives_fails_returns_and_leaves() {
        let mut world = World::new();
        assert!(world.reconcile(&member("a", "node", MemberStatus::Alive)));
        assert!(!world.reconcile(&member("a", "node", MemberStatus::Alive)), "said once");
        assert_eq!(world.check("a"), (CheckStatus::Passing, "Agent alive and reachable"));
        let node = world.catalog.node("a").unwrap();
        assert_eq!((&*node.address, node.id.is_some()), ("10.0.0.9", true));
        assert!(world.reconcile(&member("a", "node", MemberStatus::Failed)));
        assert!(!world.reconcile(&member("a", "node", MemberStatus::Failed)));
        assert_eq!(world.check("a"), (CheckStatus::Critical, "Agent not live or unreachable"));
        assert!(world.reconcile(&member("a", "node", MemberStatus::Alive)));
        assert_eq!(world.check("a").0, CheckStatus::Passing);
        assert!(world.reconcile(&member("a", "node", MemberStatus::Left)));
        assert!(world.catalog.node("a").is_none());
        assert!(!world.reconcile(&member("a", "node", MemberStatus::Left)));
    }

    #[test]
    fn a_failed_stranger_is_ignored_and_so_is_another_role() {
        let mut world = World::new();
        assert!(!world.reconcile(&member("a", "node", MemberStatus::Failed)));
        assert!(!world.reconcile(&member("a", "printer", MemberStatus::Alive)));
        let mut elsewhere = member("a", "node", MemberStatus::Alive);
        Arc::make_mut(&mut elsewhere.tags).insert("dc".into(), "dc2".into());
        assert!(!world.reconcile(&elsewhere));
    }

    #[test]
    fn a_server_offers_the_servers_service() {
        let mut world = World::new();
        assert!(world.reconcile(&member("s", "consul", MemberStatus::Alive)));
        let service = world.catalog.node_services("s").next().unwrap();
        assert_eq!((&*service.registration.name, service.registration.port), ("consul", 8300));
        let meta: Vec<(&str, &str)> =
            service.registration.meta.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(
            meta,
            [
                ("non_voter", "false"),
                ("raft_version", "3"),
                ("serf_protocol_current", "2"),
                ("serf_protocol_max", "5"),
                ("serf_protocol_min", "1"),
                ("version", "1.8.7"),
            ]
        );
    }

    #[test]
    fn the_leader_does_not_remove_itself() {
        let mut world = World::new();
        assert!(world.reconcile(&member("me", "consul", MemberStatus::Alive)));
        assert!(!world.reconcile(&member("me", "consul", MemberStatus::Left)));
        assert!(world.catalog.node("me").is_some());
    }

    #[test]
    fn strangers_are_those_who_were_members() {
        let mut world = World::new();
        assert!(world.reconcile(&member("a", "node", MemberStatus::Alive)));
        assert!(world.reconcile(&member("b", "node", MemberStatus::Alive)));
        let missing = strangers(&world.catalog, |name| name == "a");
        assert_eq!(missing, BTreeSet::from([Arc::from("b")]));
    }

    #[test]
    fn what_others_wrote_of_a_node_is_kept() {
        let mut world = World::new();
        let node = NodeRegistration {
            name: "a".into(),
            address: "10.0.0.1".into(),
            datacenter: "dc1".into(),
            meta: [(Arc::from("rack"), Arc::from("7"))].into(),
            ..NodeRegistration::default()
        };
        let register =
            Register { node, skip_node_update: false, services: Vec::new(), checks: Vec::new() };
        world.catalog.apply(CatalogIndex(1), &Command::Register(Box::new(register)));
        assert!(world.reconcile(&member("a", "node", MemberStatus::Alive)));
        let node = world.catalog.node("a").unwrap();
        assert_eq!(node.meta.get("rack").map(|value| &**value), Some("7"));
        assert_eq!(&*node.address, "10.0.0.9");
    }
}
