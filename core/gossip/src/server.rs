//! What makes a member a Consul server, and what its tags then say.

use crate::face::Member;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::SocketAddr;
use proconsul_types::{MemberStatus, NodeId, TextMap};

/// A server of some datacenter, as its tags describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name in the pool it was seen in (`node`, or `node.dc` in the WAN).
    pub name: Arc<str>,
    /// Its id (`id`), if it is a UUID.
    pub id: Option<NodeId>,
    /// Its datacenter (`dc`).
    pub datacenter: Arc<str>,
    /// Its segment; empty in the community edition.
    pub segment: Arc<str>,
    /// Where it gossips.
    pub gossip: SocketAddr,
    /// Its RPC port (`port`).
    pub port: u16,
    /// Its port in the WAN pool, if it says so.
    pub wan_join_port: Option<u16>,
    /// How many servers it expects to bootstrap with; 0: none.
    pub expect: u32,
    /// Whether it may bootstrap alone.
    pub bootstrap: bool,
    /// Whether it has no vote (`nonvoter`, `read_replica`).
    pub non_voter: bool,
    /// Whether it speaks TLS on its RPC port.
    pub use_tls: bool,
    /// The version of Consul in its `build`.
    pub build: Build,
    /// `build` as it is.
    pub build_text: Arc<str>,
    /// Consul's protocol version (`vsn`).
    pub version: u32,
    /// Raft's protocol version; 0 if it says nothing.
    pub raft_version: u32,
    /// `acls`: "0" off, "1" on, "2" legacy.
    pub acls: Arc<str>,
    /// What else it can (`ft_*`, without the prefix).
    pub features: BTreeMap<Arc<str>, u32>,
    /// Whether it is here.
    pub status: MemberStatus,
}

impl Server {
    /// Where it answers RPC.
    #[must_use]
    pub fn rpc(&self) -> SocketAddr {
        SocketAddr::new(self.gossip.ip(), self.port)
    }

    /// Its name without the datacenter of a WAN name.
    #[must_use]
    pub fn short_name(&self) -> &str {
        let datacenter = self.name.strip_suffix(&*self.datacenter);
        datacenter.and_then(|name| name.strip_suffix('.')).unwrap_or(&self.name)
    }
}

/// A version of Consul.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Build {
    /// Incompatible changes.
    pub major: u32,
    /// New abilities.
    pub minor: u32,
    /// Repairs.
    pub patch: u32,
}

impl Build {
    /// The first version whose node ids are unique to a machine.
    pub const UNIQUE_NODE_IDS: Self = Self { major: 0, minor: 8, patch: 5 };

    /// The first `N.N.N` in `text`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            rest = &rest[start..];
            if let Some(build) = Self::at_start(rest) {
                return Some(build);
            }
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        None
    }

    fn at_start(text: &str) -> Option<Self> {
        let (major, text) = number(text)?;
        let (minor, text) = number(text.strip_prefix('.')?)?;
        let (patch, _) = number(text.strip_prefix('.')?)?;
        Some(Self { major, minor, patch })
    }
}

/// The number at the start of `text`, and what follows it.
fn number(text: &str) -> Option<(u32, &str)> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    Some((digits.parse().ok()?, rest))
}

/// What `member` says of itself as a server of some datacenter; `None` if it is none.
#[must_use]
pub fn server_of(member: &Member) -> Option<Server> {
    let tags = &member.tags;
    let parts = read_tags(tags)?;
    let text = |tag: &str| tags.get(tag).map_or_else(|| Arc::from(""), Arc::clone);
    Some(Server {
        name: Arc::clone(&member.name),
        id: tags.get("id").and_then(|id| id.parse().ok()),
        datacenter: text("dc"),
        segment: text("segment"),
        gossip: member.address,
        port: parts.port,
        wan_join_port: parts.wan_join_port,
        expect: parts.expect,
        bootstrap: tags.contains_key("bootstrap"),
        non_voter: tags.contains_key("nonvoter") || tags.contains_key("read_replica"),
        use_tls: tags.contains_key("use_tls"),
        build: parts.build,
        build_text: text("build"),
        version: parts.version,
        raft_version: parts.raft_version,
        acls: text("acls"),
        features: parts.features,
        status: member.status,
    })
}

/// Whether these are the tags of a server.
pub(crate) fn is_server(tags: &TextMap) -> bool {
    read_tags(tags).is_some()
}

/// The tags of a server that are numbers.
struct Parts {
    port: u16,
    wan_join_port: Option<u16>,
    expect: u32,
    version: u32,
    raft_version: u32,
    build: Build,
    features: BTreeMap<Arc<str>, u32>,
}

/// The server test. One number that is none, and the member is no server.
fn read_tags(tags: &TextMap) -> Option<Parts> {
    if tags.get("role").map(AsRef::as_ref) != Some("consul") {
        return None;
    }
    let port = integer(tags.get("port")?)?;
    let version = integer(tags.get("vsn")?)?;
    let build = Build::find(tags.get("build")?)?;
    let expect = optional(tags, "expect")?.unwrap_or(0);
    let wan_join_port = optional(tags, "wan_join_port")?;
    let raft_version = optional(tags, "raft_vsn")?.unwrap_or(0);
    let mut features = BTreeMap::new();
    for (tag, value) in tags {
        if let Some(feature) = tag.strip_prefix("ft_") {
            features.insert(Arc::from(feature), integer(value)?);
        } else if tag.starts_with("sl_") {
            let (_, port) = value.rsplit_once(':')?;
            let _: u16 = integer(port)?;
        }
    }
    let grpc = [optional::<i64>(tags, "grpc_port")?, optional::<i64>(tags, "grpc_tls_port")?];
    let mut ports = grpc.iter().flatten().peekable();
    if ports.peek().is_some() && !ports.any(|port| *port > 0) {
        return None;
    }
    Some(Parts { port, wan_join_port, expect, version, raft_version, build, features })
}

/// The number of `tag`: `Some(None)` without the tag, `None` if it is no number.
fn optional<T: core::str::FromStr>(tags: &TextMap, tag: &str) -> Option<Option<T>> {
    match tags.get(tag) {
        None => Some(None),
        Some(value) => integer(value).map(Some),
    }
}

fn integer<T: core::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_wire::memberlist::Versions;

    fn member(tags: &[(&str, &str)]) -> Member {
        Member {
            name: Arc::from("s1.dc2"),
            address: "10.0.0.7:8302".parse().unwrap(),
            tags: Arc::new(tags.iter().map(|(k, v)| (Arc::from(*k), Arc::from(*v))).collect()),
            status: MemberStatus::Alive,
            versions: Versions::default(),
        }
    }

    const SERVER: [(&str, &str); 6] = [
        ("role", "consul"),
        ("dc", "dc2"),
        ("port", "8300"),
        ("vsn", "2"),
        ("build", "1.8.7:abc"),
        ("raft_vsn", "3"),
    ];

    fn with(more: &[(&str, &str)]) -> Option<Server> {
        let mut tags = SERVER.to_vec();
        tags.extend_from_slice(more);
        server_of(&member(&tags))
    }

    #[test]
    fn the_least_a_server_says() {
        let server = with(&[]).unwrap();
        assert_eq!(server.short_name(), "s1");
        assert_eq!(server.rpc(), "10.0.0.7:8300".parse().unwrap());
        assert_eq!(server.build, Build { major: 1, minor: 8, patch: 7 });
        assert_eq!((server.raft_version, server.expect, server.bootstrap), (3, 0, false));
        for missing in ["role", "port", "vsn", "build"] {
            let tags: alloc::vec::Vec<_> =
                SERVER.iter().copied().filter(|(tag, _)| *tag != missing).collect();
            assert_eq!(server_of(&member(&tags)), None, "without {missing}");
        }
    }

    #[test]
    fn what_consul_1_8_7_says_of_itself() {
        let lan = [
            ("dc", "dc1"),
            ("id", "cfc77ba0-7a62-6838-69a0-fefe74fcd5b1"),
            ("build", "1.8.7:"),
            ("port", "19300"),
            ("acls", "0"),
            ("wan_join_port", "19302"),
            ("role", "consul"),
            ("segment", ""),
            ("vsn", "2"),
            ("vsn_min", "2"),
            ("vsn_max", "3"),
            ("raft_vsn", "3"),
            ("ft_fs", "1"),
        ];
        let server = server_of(&member(&lan)).unwrap();
        assert_eq!((server.port, server.wan_join_port), (19300, Some(19302)));
        assert_eq!((server.version, server.raft_version, &*server.acls), (2, 3, "0"));
        let client = lan.map(|(tag, value)| (tag, if tag == "role" { "node" } else { value }));
        assert_eq!(server_of(&member(&client)), None);
    }

    #[test]
    fn a_number_that_is_none_makes_no_server() {
        for tag in ["expect", "wan_join_port", "raft_vsn", "ft_fs", "sl_alpha", "grpc_port"] {
            assert_eq!(with(&[(tag, "x")]), None, "{tag}");
        }
        assert_eq!(with(&[("build", "1.8")]), None);
        assert_eq!(with(&[("grpc_port", "-1")]), None);
        assert_eq!(with(&[("grpc_port", "-1"), ("grpc_tls_port", "0")]), None);
        assert!(with(&[("grpc_port", "-1"), ("grpc_tls_port", "8503")]).is_some());
    }

    #[test]
    fn optional_tags_are_read() {
        let server = with(&[
            ("wan_join_port", "8302"),
            ("expect", "3"),
            ("bootstrap", "1"),
            ("read_replica", "1"),
            ("use_tls", "1"),
            ("ft_fs", "1"),
            ("sl_alpha", "10.0.0.7:8303"),
            ("id", "859dd897-9323-16ec-ed85-14e0cca3dd82"),
        ])
        .unwrap();
        assert_eq!((server.wan_join_port, server.expect), (Some(8302), 3));
        assert!(server.bootstrap && server.non_voter && server.use_tls && server.id.is_some());
        assert_eq!(server.features.get("fs"), Some(&1));
    }

    #[test]
    fn a_build_is_found_anywhere() {
        let build = |major, minor, patch| Some(Build { major, minor, patch });
        assert_eq!(Build::find("v1.20.3+ent:x"), build(1, 20, 3));
        assert_eq!(Build::find("go1.15 1.8.7"), build(1, 8, 7));
        assert_eq!(Build::find("1.22"), None);
        assert_eq!(Build::find("99999999999.1.1"), None);
    }
}
