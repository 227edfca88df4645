//! From settings to an agent: identity, addresses, timing.

use super::peers::{self, Known};
use super::pools::{self, Places};
use super::settings::Settings;
use super::source::{Sources, settings};
use super::template;
use crate::agent::AgentConfig;
use crate::cli::{API_VERSION, WORKERS};
use crate::reload::{Reloaded, Reloading};
use crate::storage::{Directory, Nowhere, Storage};
use proconsul_core::http::{AgentFacts, HostFacts, QueryTimes};
use proconsul_core::raft;
use proconsul_core::types::limits::RESTORE_PART_BYTES;
use proconsul_core::types::{Duration, NodeId, Planted, Seed, TextMap};
use proconsul_core::{Cluster, Config, PeerEntry};
use serde_json::json;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the node id is kept, below the data directory.
const NODE_ID: &str = "node-id";
/// Bytes of a log segment.
const SEGMENT_BYTES: u64 = 8 << 20;
/// A snapshot is worth its while after this much log.
const SNAPSHOT_LOG_BYTES: u64 = 64 << 20;

/// An agent, ready to start, and what its banner shows.
#[derive(Debug)]
pub struct Built {
    /// For `Agent::start`.
    pub config: AgentConfig,
    /// Node id.
    pub id: NodeId,
    /// Node name.
    pub name: String,
    /// Advertised address.
    pub address: IpAddr,
    /// The data directory whose `peers.json` was taken and is to be put aside once the log has it.
    formed: Option<PathBuf>,
}

impl Built {
    /// The log says what `peers.json` in `data_dir` said: the file is put aside.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn put_aside(data_dir: &Path) -> Result<(), String> {
        peers::applied(data_dir)
    }

    /// The data directory whose `peers.json` was taken.
    #[must_use]
    pub fn formed(&self) -> Option<PathBuf> {
        self.formed.clone()
    }
}

/// Looks at the machine and makes an agent of `settings`; `sources` are kept for reloads.
///
/// # Errors
/// What cannot be done, in words for the operator.
pub fn build(settings: &Settings, sources: &Sources) -> Result<Built, String> {
    let bind = bind_address(settings)?;
    let address = advertised(settings, bind)?;
    let (storage, id, known): (Box<dyn Storage>, NodeId, Known) = match &settings.data_dir {
        Some(data_dir) if !settings.dev => {
            if settings.server {
                refuse_consuls(data_dir)?;
            }
            let storage = Directory::open(data_dir).map_err(|error| error.to_string())?;
            let id = node_id(settings, Some(data_dir))?;
            let known = peers::read(data_dir)?;
            (Box::new(storage), id, known)
        }
        Some(_) | None => {
            let id = node_id(settings, None)?;
            (Box::new(Nowhere::default()), id, Known::default())
        }
    };
    let name = settings.node_name.clone().unwrap_or_else(host_name);
    let rpc_port = settings.ports.server.ok_or("ports.server cannot be switched off")?;
    let own = PeerEntry { id, address: SocketAddr::new(address, rpc_port), non_voter: false };
    let (peers, recover) = group(settings, &known, &own)?;
    let formed = settings.data_dir.clone().filter(|_| known.given);
    let address_wan = match &settings.advertise_wan {
        Some(text) => parse_address("advertise_addr_wan", text)?,
        None => address,
    };
    let at = |key: &str, text: &Option<String>| match text {
        Some(text) => parse_address(key, text),
        None => Ok(bind),
    };
    let places = Places {
        lan: at("serf_lan", &settings.cluster.serf_lan)?,
        wan: at("serf_wan", &settings.cluster.serf_wan)?,
        address,
        address_wan,
    };
    let (cluster, pools) = pools::cluster(settings, id, &name, places)?;
    let config = AgentConfig {
        node: node_config(settings, id, &name, address, cluster),
        seed: Seed(u64::from_le_bytes(entropy())),
        peers,
        recover,
        storage,
        http: listen_on(settings, settings.http_addresses.as_ref(), settings.ports.http)?,
        dns: listen_on(settings, settings.dns_addresses.as_ref(), settings.ports.dns)?,
        // Nobody dials a client agent.
        rpc: settings.server.then(|| SocketAddr::new(bind, rpc_port)),
        advertise: settings.server.then_some(own.address),
        pools,
        http_conns_per_client_max: settings.http_conns_per_client_max,
        rpc_conns_per_client_max: settings.rpc_conns_per_client_max,
        reloading: Reloading::by({
            let sources = sources.clone();
            move || reload(&sources)
        }),
    };
    Ok(Built { config, id, name, address, formed })
}

/// A server that began empty beside Consul's own log would take the place of the one whose state
/// is there.
fn refuse_consuls(data_dir: &Path) -> Result<(), String> {
    if !data_dir.join("raft").join("raft.db").exists() {
        return Ok(());
    }
    Err(format!(
        "data_dir \"{}\" holds the log of a Consul server (raft/raft.db), which this agent does \
         not read. Choose another directory, or move raft/raft.db away to begin with no state",
        data_dir.display()
    ))
}

/// What takes effect while the agent runs.
fn reload(sources: &Sources) -> Result<Reloaded, String> {
    let read = settings(sources)?;
    let addresses = match &read.data_dir {
        Some(data_dir) if !read.dev => {
            let known = peers::read(data_dir)?;
            (!known.peers.is_empty()).then(|| peers::addresses(&known.peers))
        }
        Some(_) | None => None,
    };
    crate::log::set_level(read.log_level);
    Ok(Reloaded {
        node_meta: Some(node_meta(&read)),
        discard_check_output: Some(read.discard_check_output),
        services: read.services,
        checks: read.checks,
        addresses,
        dns: Some(Arc::new(read.dns)),
        http_conns_per_client_max: Some(read.http_conns_per_client_max),
        rpc_conns_per_client_max: Some(read.rpc_conns_per_client_max),
    })
}

/// Whom the group begins with, and whether that replaces what the disk remembers.
fn group(
    settings: &Settings,
    known: &Known,
    own: &PeerEntry,
) -> Result<(Vec<PeerEntry>, bool), String> {
    if known.given && !known.peers.iter().any(|peer| peer.id == own.id) {
        return Err(format!("raft/peers.json does not list this server ({})", own.id));
    }
    if !known.peers.is_empty() {
        return Ok((known.peers.clone(), known.given));
    }
    if !settings.server {
        return Ok((Vec::new(), false));
    }
    if settings.dev || settings.bootstrap {
        return Ok((vec![own.clone()], false));
    }
    Ok((Vec::new(), false))
}

fn node_config(
    settings: &Settings,
    id: NodeId,
    name: &str,
    address: IpAddr,
    cluster: Cluster,
) -> Config {
    let mut node = settings.clone();
    Config {
        id,
        facts: facts(settings, id, name, address),
        raft: raft_config(settings, id),
        dns: Arc::new(node.dns),
        durable: !settings.dev,
        segment_bytes: SEGMENT_BYTES,
        snapshot_log_bytes: SNAPSHOT_LOG_BYTES,
        restore_part_bytes: RESTORE_PART_BYTES,
        rpc_hold_timeout: settings.rpc_hold_timeout,
        session_ttl_min: settings.session_ttl_min,
        session_ttl_percent: 200,
        anti_entropy_interval: settings.ae_interval,
        check_update_interval: settings.check_update_interval,
        check_output_bytes_max: settings.check_output_bytes_max,
        discard_check_output: settings.discard_check_output,
        services: std::mem::take(&mut node.services),
        checks: std::mem::take(&mut node.checks),
        cluster: Some(cluster),
        planted: Planted::none(),
    }
}

/// The node's metadata as others see it.
fn node_meta(settings: &Settings) -> TextMap {
    let mut meta = settings.node_meta.clone();
    meta.insert("consul-network-segment".into(), "".into());
    meta
}

fn facts(settings: &Settings, id: NodeId, name: &str, address: IpAddr) -> AgentFacts {
    let text = address.to_string();
    let wan = settings.advertise_wan.clone().unwrap_or_else(|| text.clone());
    let named = settings.tagged_addresses.iter();
    let mut tagged_addresses: TextMap =
        named.map(|(tag, value)| (tag.as_str().into(), value.as_str().into())).collect();
    for (tag, value) in [("lan", &text), ("wan", &wan)] {
        tagged_addresses.insert(tag.into(), value.as_str().into());
        let version = if value.parse().is_ok_and(|ip: IpAddr| ip.is_ipv6()) { "6" } else { "4" };
        tagged_addresses.insert(format!("{tag}_ipv{version}").into(), value.as_str().into());
    }
    for (tag, value) in &settings.advertise_by_version {
        tagged_addresses.insert(tag.as_str().into(), value.to_string().into());
    }
    AgentFacts {
        id: Some(id),
        name: name.into(),
        datacenter: settings.datacenter.as_str().into(),
        address: text.into(),
        tagged_addresses,
        meta: node_meta(settings),
        server: settings.server,
        dev: settings.dev,
        bootstrap: settings.bootstrap,
        version: API_VERSION.into(),
        host: host(),
        debug_config: debug_config(settings, name).into(),
        serf_lan_port: settings.ports.serf_lan.unwrap_or_default(),
        serf_wan_port: settings.ports.serf_wan.unwrap_or_default(),
        server_port: settings.ports.server.unwrap_or_default(),
        kv_value_bytes_max: settings.kv_value_bytes_max,
        txn_bytes_max: settings.txn_bytes_max,
        query_times: QueryTimes {
            default: settings.default_query_time,
            max: settings.max_query_time,
        },
        translate_wan_addrs: settings.translate_wan_addrs,
        response_headers: settings.response_headers.clone(),
        block_endpoints: settings.block_endpoints.clone(),
        script_checks: settings.enable_script_checks,
        ..AgentFacts::default()
    }
}

/// The machine, in Go's names.
fn host() -> HostFacts {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        other => other,
    };
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    HostFacts {
        arch: arch.into(),
        os: os.into(),
        cpu_count: std::thread::available_parallelism().map_or(1, Into::into),
        thread_count: WORKERS,
    }
}

/// The values by which tools tell what an agent is, under Consul's names for them. Nothing is
/// shown as it was given: secrets may stand anywhere in it.
fn debug_config(settings: &Settings, name: &str) -> String {
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    let (ports, cluster) = (&settings.ports, &settings.cluster);
    let data_dir = settings.data_dir.as_ref().map(|dir| dir.display().to_string());
    json!({
        "ACLsEnabled": false,
        "Bootstrap": settings.bootstrap,
        "BootstrapExpect": settings.bootstrap_expect,
        "ConnectEnabled": false,
        "DNSDomain": settings.dns.domain,
        "DNSPort": port(ports.dns),
        "DataDir": data_dir.unwrap_or_default(),
        "Datacenter": settings.datacenter,
        "DevMode": settings.dev,
        "EnableDebug": false,
        "EnableUI": false,
        "EncryptKey": "hidden",
        "HTTPPort": port(ports.http),
        "LeaveOnTerm": cluster.leave_on_terminate,
        "NodeName": name,
        "PrimaryDatacenter": settings.datacenter,
        "RejoinAfterLeave": cluster.rejoin_after_leave,
        "SerfPortLAN": port(ports.serf_lan),
        "SerfPortWAN": port(ports.serf_wan),
        "ServerMode": settings.server,
        "ServerPort": port(ports.server),
        "SkipLeaveOnInt": cluster.skip_leave_on_interrupt,
    })
    .to_string()
}

/// Our own times, small; the multiplier stretches them as operators expect, but never below what a
/// busy machine can keep.
fn raft_config(settings: &Settings, id: NodeId) -> raft::Config {
    let times = |base_ms: u64, least_ms: u64| {
        Duration::from_millis((base_ms * u64::from(settings.raft_multiplier)).max(least_ms))
    };
    let election = times(60, 250);
    raft::Config {
        id,
        heartbeat_interval: times(16, 50),
        election_timeout_min: election,
        election_timeout_max: election * 2,
        lease_margin_percent: 20,
        append_bytes_max: 1 << 20,
        append_entries_max: 4096,
        inflight_bytes_max: 8 << 20,
        inflight_messages_max: 64,
        uncommitted_bytes_max: 256 << 20,
        trailing_bytes_max: 16 << 20,
        transfer_timeout: Duration::from_secs(2),
        planted: Planted::none(),
    }
}

fn bind_address(settings: &Settings) -> Result<IpAddr, String> {
    let default = if settings.dev { "127.0.0.1" } else { "0.0.0.0" };
    let text = settings.bind.as_deref().unwrap_or(default);
    parse_address("bind_addr", text)
}

fn parse_address(key: &str, text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    bare.parse().map_err(|_| format!("{key}: \"{text}\" is not an IP address"))
}

fn advertised(settings: &Settings, bind: IpAddr) -> Result<IpAddr, String> {
    if let Some(text) = &settings.advertise {
        return parse_address("advertise_addr", text);
    }
    if !bind.is_unspecified() {
        return Ok(bind);
    }
    template::outgoing().ok_or_else(|| {
        "Failed to find a private address to advertise: set -advertise or -bind".to_owned()
    })
}

fn listen_on(
    settings: &Settings,
    own: Option<&Vec<String>>,
    port: Option<u16>,
) -> Result<Vec<SocketAddr>, String> {
    let Some(port) = port else {
        return Ok(Vec::new());
    };
    let listed = own.unwrap_or(&settings.client);
    listed
        .iter()
        .map(|text| Ok(SocketAddr::new(parse_address("client_addr", text)?, port)))
        .collect()
}

/// The node id: as told, as kept, or new. A file that is there and cannot be used is no reason to
/// become somebody else.
fn node_id(settings: &Settings, data_dir: Option<&Path>) -> Result<NodeId, String> {
    let invalid = |reason: &str| format!("specified NodeID is invalid: {reason}");
    let parse = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        if text.len() != 36 {
            return Err(invalid("uuid string is wrong length"));
        }
        text.parse::<NodeId>().map_err(|_| invalid("uuid is improperly formatted"))
    };
    let failed = |reason: String| format!("failed to setup node ID: {reason}");
    if let Some(text) = &settings.node_id {
        let id = parse(text).map_err(failed)?;
        keep(data_dir, id).map_err(failed)?;
        return Ok(id);
    }
    if let Some(file) = data_dir.map(|data_dir| data_dir.join(NODE_ID)) {
        let shown =
            |reason: &dyn std::fmt::Display| failed(format!("{}: {reason}", file.display()));
        match fs::read_to_string(&file) {
            Ok(text) => return parse(&text).map_err(|reason| shown(&reason)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(shown(&error)),
        }
    }
    let id = NodeId::from_bits(u128::from_le_bytes(entropy()));
    keep(data_dir, id).map_err(failed)?;
    Ok(id)
}

/// Writes the node id so that the file holds this one or the one before, whenever power fails.
fn keep(data_dir: Option<&Path>, id: NodeId) -> Result<(), String> {
    let Some(data_dir) = data_dir else {
        return Ok(());
    };
    let (file, aside) = (data_dir.join(NODE_ID), data_dir.join("node-id.tmp"));
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut open = options.create(true).truncate(true).write(true).mode(0o600).open(&aside)?;
        open.write_all(id.to_string().as_bytes())?;
        open.sync_all()?;
        fs::rename(&aside, &file)?;
        fs::File::open(data_dir)?.sync_all()
    };
    write().map_err(|error: io::Error| format!("{}: {error}", file.display()))
}

/// Random bytes from the operating system.
fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let read = fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    if read.is_err() {
        use std::hash::{BuildHasher, RandomState};
        for piece in bytes.chunks_mut(8) {
            let drawn = RandomState::new().hash_one(std::process::id()).to_le_bytes();
            piece.copy_from_slice(&drawn[..piece.len()]);
        }
    }
    bytes
}

fn host_name() -> String {
    let kept = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"));
    kept.map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_by_their_versions() {
        let flags = json!({
            "advertise_addr_wan": "fd00::9", "advertise_addr_ipv6": "fd00::2",
            "advertise_addr_wan_ipv4": "10.0.0.3", "tagged_addresses": {"lan_ipv6": "fd00::1"},
        });
        let flags = flags.as_object().unwrap().clone();
        let read = settings(&Sources { flags, dev: true, ..Sources::default() }).unwrap();
        let facts = facts(&read, NodeId(1), "a", IpAddr::from([10, 0, 0, 1]));
        let shown: Vec<String> =
            facts.tagged_addresses.iter().map(|(tag, value)| format!("{tag} {value}")).collect();
        let wanted = [
            "lan 10.0.0.1",
            "lan_ipv4 10.0.0.1",
            "lan_ipv6 fd00::2",
            "wan fd00::9",
            "wan_ipv4 10.0.0.3",
            "wan_ipv6 fd00::9",
        ];
        assert_eq!(shown, wanted);
        assert!(facts.host.cpu_count > 0 && !facts.host.arch.is_empty());
    }
}
