//! What an agent of a world is told when it starts.

use super::machines::Machine;
use super::plan::Options;
use crate::links::{LAN_PORT, WAN_PORT, address};
use crate::machine;
use proconsul_core::catalog::AutopilotConfig;
use proconsul_core::gossip::{Admission, Config as Pools, Timing};
use proconsul_core::types::{Duration, NodeId, Pool, TextMap};
use proconsul_core::wire::crypto::{Key, Keyring};
use proconsul_core::{Cluster, Config, Coordinates, Joining};
use std::sync::Arc;

/// Between two attempts to meet someone.
const RETRY: Duration = Duration::from_secs(5);
/// How many names an agent is given to meet.
const SEEDS: u16 = 3;

/// The name of a machine.
pub(super) fn name_of(number: u16, server: bool) -> Arc<str> {
    if server { format!("s{number}").into() } else { format!("c{number}").into() }
}

/// The name of a datacenter.
pub(super) fn datacenter(dc: usize) -> Arc<str> {
    format!("dc{dc}").into()
}

/// The number that a machine's name has.
pub(super) fn number_of(name: &str) -> Option<u16> {
    name.get(1..)?.parse().ok()
}

/// The configuration of a machine's next start.
pub(super) fn config(of: &Machine, id: NodeId, options: &Options) -> Config {
    let number = usize::from(of.place.number);
    let heartbeat = options.heartbeat;
    let inner = crate::Options {
        timing: vec![[heartbeat, heartbeat * 3, heartbeat * 6]],
        snapshot_log_bytes: options.snapshot_log_bytes,
        planted: options.planted.clone(),
        ..crate::Options::default()
    };
    let mut config = machine::config(id, number, &inner);
    let own = address(of.place.number, of.moves, 0).ip().to_string();
    config.facts.name = name_of(of.place.number, of.server);
    config.facts.datacenter = datacenter(of.place.dc);
    config.facts.server = of.server;
    config.facts.address = own.as_str().into();
    config.facts.tagged_addresses = [(Arc::from("lan"), Arc::clone(&config.facts.address))].into();
    config.facts.meta = [(Arc::from("consul-network-segment"), Arc::from(""))].into();
    config.raft.transfer_timeout = Duration::from_micros(heartbeat * 10);
    config.anti_entropy_interval = Duration::from_secs(options.anti_entropy_s);
    config.rpc_hold_timeout = Duration::from_secs(7);
    let first = options.first_of(of.place.dc);
    let founders = options.founders(of.place.dc);
    // A server that comes later joins a group that is there; it never founds one.
    let expect = match of.server && !options.off.contains(&of.place.number) {
        true => u32::from(founders),
        false => 0,
    };
    let seeds = |first: u16, most: u16| (first..first + most).map(|server| name_of(server, true));
    let abroad = (0..options.datacenters.len()).filter(|dc| *dc != of.place.dc);
    let abroad = abroad.flat_map(|dc| seeds(options.first_of(dc), options.founders(dc).min(2)));
    let joining = |names: Vec<Arc<str>>| Joining {
        start: Vec::new(),
        retry: names,
        interval: RETRY,
        attempts_max: 0,
    };
    config.cluster = Some(Cluster {
        lan: pool(&config, of, Pool::Lan, expect, options),
        wan: of.server.then(|| pool(&config, of, Pool::Wan, expect, options)),
        bootstrap_expect: expect,
        join: joining(seeds(first, founders.min(SEEDS)).collect()),
        join_wan: if of.server { joining(abroad.collect()) } else { Joining::default() },
        leave_on_terminate: !of.server,
        skip_leave_on_interrupt: of.server,
        leave_drain: Duration::from_secs(5),
        autopilot: AutopilotConfig {
            last_contact_threshold: Duration::from_micros(heartbeat * 4),
            ..AutopilotConfig::default()
        },
        coordinates: Some(Coordinates::default()),
        keyring_file: true,
    });
    config
}

fn pool(node: &Config, of: &Machine, pool: Pool, expect: u32, options: &Options) -> Pools {
    let lan = pool == Pool::Lan;
    let port = if lan { LAN_PORT } else { WAN_PORT };
    let (name, datacenter) = (&node.facts.name, &node.facts.datacenter);
    let keys = if options.encrypted {
        vec![Key::new(&[7; 16]).expect("16 bytes are a key")]
    } else {
        Vec::new()
    };
    Pools {
        pool,
        name: if lan { Arc::clone(name) } else { format!("{name}.{datacenter}").into() },
        advertised: address(of.place.number, of.moves, port),
        bind_port: port,
        tags: tags(node, lan, expect),
        admission: if lan {
            Admission::Datacenter {
                datacenter: Arc::clone(datacenter),
                segment: "".into(),
                id: node.id,
            }
        } else {
            Admission::Servers
        },
        keyring: Keyring::new(keys),
        verify_incoming: true,
        verify_outgoing: true,
        label: "".into(),
        compress: false,
        delegate_version: 4,
        durable: true,
        rejoin_after_leave: true,
        resolve_conflicts: false,
        allowed: Vec::new(),
        event_bytes_max: 512,
        timing: if lan { Timing::lan() } else { Timing::wan() },
        planted: node.planted,
    }
}

fn tags(node: &Config, lan: bool, expect: u32) -> TextMap {
    let mut tags = TextMap::new();
    let mut put = |key: &str, value: &str| {
        tags.insert(key.into(), value.into());
    };
    put("dc", &node.facts.datacenter);
    put("segment", "");
    put("id", &node.id.to_string());
    put("vsn", "2");
    put("vsn_min", "2");
    put("vsn_max", "3");
    put("build", "1.8.7:");
    put("acls", "0");
    if !node.facts.server {
        put("role", "node");
        return tags;
    }
    put("role", "consul");
    put("port", "8300");
    put("raft_vsn", "3");
    put("ft_fs", "1");
    if lan {
        put("wan_join_port", "8302");
    }
    if expect > 0 {
        put("expect", &expect.to_string());
    }
    tags
}
