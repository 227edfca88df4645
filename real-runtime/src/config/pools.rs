//! From settings to the pools of an agent: names, tags, addresses, keys.

use super::settings::Settings;
use crate::cli::API_VERSION;
use proconsul_core::Cluster;
use proconsul_core::gossip::{Admission, Config};
use proconsul_core::types::{NodeId, Planted, Pool, TextMap};
use proconsul_core::wire::crypto::Keyring;
use std::net::{IpAddr, SocketAddr};

/// Consul's protocol, and what of it is understood.
const PROTOCOL: [(&str, &str); 3] = [("vsn", "2"), ("vsn_min", "2"), ("vsn_max", "3")];
/// The highest Serf version spoken in Consul's pools.
const DELEGATE_VERSION: u8 = 4;
/// Longest encoded user event.
const EVENT_BYTES_MAX: usize = 512;

/// Where the pools of an agent listen, and where others reach them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Where the LAN is bound.
    pub(super) lan: IpAddr,
    /// Where the WAN is bound.
    pub(super) wan: IpAddr,
    /// Advertised in the LAN.
    pub(super) address: IpAddr,
    /// Advertised in the WAN.
    pub(super) address_wan: IpAddr,
}

/// The cluster an agent belongs to, and where its pools listen.
pub(super) fn cluster(
    settings: &Settings,
    id: NodeId,
    name: &str,
    places: Places,
) -> Result<(Cluster, Vec<(Pool, SocketAddr)>), String> {
    let own = &settings.cluster;
    let lan_port = settings.ports.serf_lan.ok_or("ports.serf_lan cannot be switched off")?;
    let wan_port = settings.ports.serf_wan.filter(|_| settings.server);
    let base = |pool: Pool, port: u16| member(settings, id, name, pool, port, &places);
    let mut sockets = vec![(Pool::Lan, SocketAddr::new(places.lan, lan_port))];
    sockets.extend(wan_port.map(|port| (Pool::Wan, SocketAddr::new(places.wan, port))));
    if !settings.server && !own.join_wan.start.is_empty() {
        return Err("start_join_wan: Must be a server to join WAN cluster".into());
    }
    let joins_wan = !(own.join_wan.start.is_empty() && own.join_wan.retry.is_empty());
    if settings.server && wan_port.is_none() && joins_wan {
        return Err("start_join_wan and retry_join_wan are for servers with ports.serf_wan".into());
    }
    let expect = if settings.bootstrap { 0 } else { settings.bootstrap_expect };
    let cluster = Cluster {
        lan: base(Pool::Lan, lan_port),
        wan: wan_port.map(|port| base(Pool::Wan, port)),
        bootstrap_expect: u32::try_from(expect).unwrap_or(0),
        join: own.join.clone(),
        join_wan: own.join_wan.clone(),
        leave_on_terminate: own.leave_on_terminate,
        skip_leave_on_interrupt: own.skip_leave_on_interrupt,
        leave_drain: own.leave_drain_time,
        autopilot: own.autopilot.clone(),
        coordinates: own.coordinates.clone(),
        keyring_file: !own.disable_keyring_file,
    };
    Ok((cluster, sockets))
}

fn member(
    settings: &Settings,
    id: NodeId,
    name: &str,
    pool: Pool,
    port: u16,
    places: &Places,
) -> Config {
    let own = &settings.cluster;
    let datacenter = settings.datacenter.as_str();
    let (name, ip, admission, timing, allowed) = match pool {
        Pool::Lan => (
            name.into(),
            places.address,
            Admission::Datacenter { datacenter: datacenter.into(), segment: "".into(), id },
            own.gossip_lan.clone(),
            own.serf_lan_allowed_cidrs.clone(),
        ),
        Pool::Wan => (
            format!("{name}.{datacenter}").into(),
            places.address_wan,
            Admission::Servers,
            own.gossip_wan.clone(),
            own.serf_wan_allowed_cidrs.clone(),
        ),
    };
    Config {
        pool,
        name,
        advertised: SocketAddr::new(ip, port),
        bind_port: port,
        tags: tags(settings, id, pool),
        admission,
        allowed,
        keyring: Keyring::new(own.encrypt.iter().cloned().collect()),
        verify_incoming: own.encrypt_verify_incoming,
        verify_outgoing: own.encrypt_verify_outgoing,
        label: "".into(),
        compress: true,
        delegate_version: DELEGATE_VERSION,
        durable: !settings.dev,
        rejoin_after_leave: own.rejoin_after_leave,
        resolve_conflicts: false,
        event_bytes_max: EVENT_BYTES_MAX,
        timing,
        planted: Planted::none(),
    }
}

/// What a member says of itself.
fn tags(settings: &Settings, id: NodeId, pool: Pool) -> TextMap {
    let mut tags = TextMap::new();
    let mut say = |tag: &str, value: &str| drop(tags.insert(tag.into(), value.into()));
    say("role", if settings.server { "consul" } else { "node" });
    say("dc", &settings.datacenter);
    say("segment", "");
    say("id", &id.to_string());
    for (tag, value) in PROTOCOL {
        say(tag, value);
    }
    say("build", &format!("{API_VERSION}:"));
    say("acls", "0");
    if !settings.server {
        return tags;
    }
    say("port", &settings.ports.server.unwrap_or_default().to_string());
    say("raft_vsn", "3");
    say("ft_fs", "1");
    if let (Pool::Lan, Some(port)) = (pool, settings.ports.serf_wan) {
        say("wan_join_port", &port.to_string());
    }
    if settings.bootstrap {
        say("bootstrap", "1");
    } else if settings.bootstrap_expect > 0 {
        say("expect", &settings.bootstrap_expect.to_string());
    }
    tags
}
