//! Configurations of nodes with pools, as a host would build them.

use crate::table::{Table, config, node_id};
use proconsul_core::catalog::AutopilotConfig;
use proconsul_core::gossip::{Admission, Config as Pools, Timing};
use proconsul_core::types::{Duration, Planted, Pool, TextMap};
use proconsul_core::wire::crypto::Keyring;
use proconsul_core::{Cluster, Config, Coordinates, Joining};
use std::sync::Arc;

/// A server of `datacenter` that waits for `expect` servers. Numbers count from 1.
pub(crate) fn server(number: usize, datacenter: &str, expect: u32) -> Config {
    agent(number, datacenter, expect, true)
}

/// A client agent of `datacenter`.
pub(crate) fn client(number: usize, datacenter: &str) -> Config {
    agent(number, datacenter, 0, false)
}

fn agent(number: usize, datacenter: &str, expect: u32, server: bool) -> Config {
    let mut node = config(number, true);
    node.facts.datacenter = datacenter.into();
    node.facts.server = server;
    node.facts.serf_lan_port = 8301;
    node.facts.serf_wan_port = 8302;
    node.facts.tagged_addresses = [(Arc::from("lan"), Arc::clone(&node.facts.address))].into();
    if !server {
        node.facts.name = format!("c{number}").into();
    }
    node.cluster = Some(Cluster {
        lan: pool(&node, Pool::Lan, number, expect),
        wan: server.then(|| pool(&node, Pool::Wan, number, expect)),
        bootstrap_expect: expect,
        join: Joining::default(),
        join_wan: Joining::default(),
        leave_on_terminate: !server,
        skip_leave_on_interrupt: server,
        leave_drain: Duration::from_secs(5),
        autopilot: AutopilotConfig::default(),
        coordinates: Some(Coordinates::default()),
        keyring_file: true,
    });
    node
}

fn pool(node: &Config, pool: Pool, number: usize, expect: u32) -> Pools {
    let lan = pool == Pool::Lan;
    let port = if lan { 8301 } else { 8302 };
    let datacenter = &node.facts.datacenter;
    let name = &node.facts.name;
    Pools {
        pool,
        name: if lan { name.clone() } else { format!("{name}.{datacenter}").into() },
        advertised: format!("10.0.0.{number}:{port}").parse().unwrap(),
        bind_port: port,
        tags: tags(node, lan, expect),
        admission: match lan {
            true => Admission::Datacenter {
                datacenter: datacenter.clone(),
                segment: "".into(),
                id: node.id,
            },
            false => Admission::Servers,
        },
        keyring: Keyring::default(),
        verify_incoming: true,
        verify_outgoing: true,
        label: "".into(),
        compress: true,
        delegate_version: 4,
        durable: true,
        rejoin_after_leave: false,
        resolve_conflicts: false,
        allowed: Vec::new(),
        event_bytes_max: 512,
        timing: if lan { Timing::lan() } else { Timing::wan() },
        planted: Planted::none(),
    }
}

fn tags(node: &Config, lan: bool, expect: u32) -> TextMap {
    let mut tags: Vec<(&str, String)> = vec![
        ("dc", node.facts.datacenter.to_string()),
        ("segment", String::new()),
        ("id", node.id.to_string()),
        ("vsn", "2".into()),
        ("vsn_min", "2".into()),
        ("vsn_max", "3".into()),
        ("build", "1.8.7:".into()),
        ("acls", "0".into()),
    ];
    if node.facts.server {
        tags.push(("role", "consul".into()));
        tags.push(("port", "8300".into()));
        tags.push(("raft_vsn", "3".into()));
        tags.push(("ft_fs", "1".into()));
        if lan {
            tags.push(("wan_join_port", "8302".into()));
        }
        if expect > 0 {
            tags.push(("expect", expect.to_string()));
        }
    } else {
        tags.push(("role", "node".into()));
    }
    tags.into_iter().map(|(name, value)| (Arc::from(name), Arc::from(value))).collect()
}

/// The same node, which meets `seed` in its LAN.
pub(crate) fn joining(mut node: Config, seed: usize) -> Config {
    if let Some(cluster) = &mut node.cluster {
        cluster.join.retry = vec![format!("10.0.0.{seed}").into()];
        cluster.join.interval = Duration::from_secs(5);
    }
    node
}

/// The same node, which meets `seed` in the WAN.
pub(crate) fn joining_wan(node: Config, seed: usize) -> Config {
    joining_wan_at(node, &format!("10.0.0.{seed}"))
}

/// The same node, which meets whoever is at `seed` in the WAN.
pub(crate) fn joining_wan_at(mut node: Config, seed: &str) -> Config {
    if let Some(cluster) = &mut node.cluster {
        cluster.join_wan.retry = vec![seed.into()];
        cluster.join_wan.interval = Duration::from_secs(5);
    }
    node
}

/// The same node, which has an address of its own for other datacenters: 10.9.0.N.
pub(crate) fn advertising_wan(mut node: Config, number: usize) -> Config {
    if let Some(wan) = node.cluster.as_mut().and_then(|cluster| cluster.wan.as_mut()) {
        wan.advertised = format!("10.9.0.{number}:8302").parse().unwrap();
    }
    node
}

/// The same node with this fault.
pub(crate) fn faulty(mut node: Config, planted: Planted) -> Config {
    node.planted = planted;
    node
}

/// `count` servers of dc1 that find one another and elect; then `clients` client agents.
pub(crate) fn cluster(count: usize, clients: usize, planted: Planted) -> Table {
    let expect = u32::try_from(count).unwrap();
    let mut configs = Vec::new();
    for number in 1..=count {
        configs.push(faulty(joining(server(number, "dc1", expect), 1), planted));
    }
    for number in count + 1..=count + clients {
        configs.push(faulty(joining(client(number, "dc1"), 1), planted));
    }
    let mut table = Table::with(configs);
    table.elect();
    let all = count + clients;
    table.until(|table| passing(table) == all);
    table
}

/// How many nodes the leader's catalog holds for alive.
pub(crate) fn passing(table: &Table) -> usize {
    let Some(leader) = table.leader() else {
        return 0;
    };
    let catalog = table.nodes[leader].as_ref().unwrap().catalog();
    catalog.nodes().filter(|node| health(table, &node.name) == Some("passing")).count()
}

/// What the leader's catalog says of a node's life.
pub(crate) fn health(table: &Table, name: &str) -> Option<&'static str> {
    let leader = table.leader()?;
    let catalog = table.nodes[leader].as_ref()?.catalog();
    let check = catalog.check(name, "serfHealth")?;
    Some(match check.status {
        proconsul_core::types::CheckStatus::Passing => "passing",
        proconsul_core::types::CheckStatus::Warning => "warning",
        proconsul_core::types::CheckStatus::Critical => "critical",
    })
}

/// The numbers (from 0) of the voters and the non-voters of the leader's group.
pub(crate) fn group(table: &Table) -> (Vec<usize>, Vec<usize>) {
    let leader = table.leader().expect("someone leads");
    let membership = table.nodes[leader].as_ref().unwrap().raft().membership().clone();
    let number = |id| (0..64).find(|number| node_id(number + 1) == id).unwrap();
    let of = |voter: bool| {
        let members = membership.members.iter().filter(|(_, member)| member.voter == voter);
        members.map(|(id, _)| number(*id)).collect()
    };
    (of(true), of(false))
}
