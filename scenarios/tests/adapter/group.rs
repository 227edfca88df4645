//! A plain group of three under kills, cuts and jumps of all clocks.

use crate::client::exchange;
use bytes::Bytes;
use madsim::net::NetSim;
use madsim::rand::{self, Rng as _};
use madsim::runtime::{Handle, NodeHandle};
use proconsul::agent::{Agent, AgentConfig};
use proconsul::reload::Reloading;
use proconsul::storage::MemoryDisk;
use proconsul_core::http::{AgentFacts, Method, Request};
use proconsul_core::types::{CatalogIndex, Instant, NodeId, Planted, Seed};
use proconsul_core::{Boot, Config, Effect, Input, Node, PeerEntry, RequestId, raft};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const SERVERS: usize = 3;
const HTTP: u16 = 8500;
const RPC: u16 = 8300;

fn id(server: usize) -> NodeId {
    NodeId::from_bits(u128::try_from(server + 1).unwrap())
}

fn at(server: usize, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(server + 1).unwrap()], port))
}

fn node_config(server: usize, durable: bool) -> Config {
    let facts = AgentFacts {
        id: Some(id(server)),
        name: format!("s{server}").into(),
        datacenter: "dc1".into(),
        address: at(server, 0).ip().to_string().into(),
        server: true,
        version: "1.8.7".into(),
        server_port: RPC,
        kv_value_bytes_max: 512 * 1024,
        txn_bytes_max: 512 * 1024,
        ..AgentFacts::default()
    };
    let election = Duration::from_millis(300);
    Config {
        id: id(server),
        facts,
        raft: raft::Config {
            id: id(server),
            heartbeat_interval: Duration::from_millis(60),
            election_timeout_min: election,
            election_timeout_max: election * 2,
            lease_margin_percent: 20,
            append_bytes_max: 1 << 20,
            append_entries_max: 1024,
            inflight_bytes_max: 8 << 20,
            inflight_messages_max: 64,
            uncommitted_bytes_max: 64 << 20,
            trailing_bytes_max: 1 << 20,
            transfer_timeout: Duration::from_secs(2),
            planted: Planted::none(),
        },
        dns: Arc::new(proconsul_core::dns::Config::default()),
        durable,
        segment_bytes: 256 * 1024,
        snapshot_log_bytes: 64 * 1024,
        restore_part_bytes: 16 * 1024,
        rpc_hold_timeout: Duration::from_secs(7),
        session_ttl_min: Duration::from_secs(10),
        session_ttl_percent: 200,
        anti_entropy_interval: Duration::from_secs(60),
        check_update_interval: Duration::from_secs(300),
        check_output_bytes_max: 4096,
        discard_check_output: false,
        services: Vec::new(),
        checks: Vec::new(),
        cluster: None,
        planted: Planted::none(),
    }
}

/// A group of three, each on a machine of its own.
struct Group {
    handle: Handle,
    machines: Vec<NodeHandle>,
    disks: Vec<MemoryDisk>,
}

impl Group {
    fn form() -> Self {
        let handle = Handle::current();
        let peers: Vec<PeerEntry> = (0..SERVERS)
            .map(|server| PeerEntry { id: id(server), address: at(server, RPC), non_voter: false })
            .collect();
        let lives = Arc::new(AtomicU64::new(rand::thread_rng().r#gen()));
        let mut group = Self { handle: handle.clone(), machines: Vec::new(), disks: Vec::new() };
        for server in 0..SERVERS {
            let disk = MemoryDisk::new(Duration::from_millis(2));
            group.disks.push(disk.clone());
            let (peers, lives) = (peers.clone(), Arc::clone(&lives));
            let machine = handle
                .create_node()
                .name(format!("s{server}"))
                .ip(at(server, 0).ip())
                .init(move || {
                    let config = AgentConfig {
                        node: node_config(server, true),
                        seed: Seed(lives.fetch_add(1, Ordering::Relaxed)),
                        peers: peers.clone(),
                        recover: false,
                        storage: disk.storage(),
                        http: vec![at(server, HTTP)],
                        dns: Vec::new(),
                        rpc: Some(at(server, RPC)),
                        advertise: None,
                        pools: Vec::new(),
                        http_conns_per_client_max: 0,
                        rpc_conns_per_client_max: 0,
                        reloading: Reloading::nothing(),
                    };
                    async move {
                        let mut agent = Agent::start(config).await.unwrap();
                        panic!("server {server} ended: {:?}", agent.ended().await);
                    }
                })
                .build();
            group.machines.push(machine);
        }
        group
    }

    /// Power off: what the disk was not asked to sync is gone.
    fn kill(&self, server: usize) {
        self.handle.kill(self.machines[server].id());
        self.disks[server].power_loss();
    }

    fn restart(&self, server: usize) {
        self.handle.restart(self.machines[server].id());
    }

    fn cut(&self, one: usize, other: usize) {
        let (one, other) = (self.machines[one].id(), self.machines[other].id());
        NetSim::current().clog_link(one, other);
        NetSim::current().clog_link(other, one);
    }

    fn heal(&self, one: usize, other: usize) {
        let (one, other) = (self.machines[one].id(), self.machines[other].id());
        NetSim::current().unclog_link(one, other);
        NetSim::current().unclog_link(other, one);
    }

    /// A task on a machine of its own, as a client is.
    fn client(&self) -> NodeHandle {
        self.handle.create_node().name("client").ip([10, 0, 1, 1].into()).build()
    }
}

/// Asks once; no patience without end. The status and the body, if an answer came.
async fn ask(server: usize, method: Method, target: &str, body: &str) -> Option<(u16, String)> {
    let request = Request::new(method, target, Bytes::copy_from_slice(body.as_bytes()));
    let asked = timeout(Duration::from_secs(10), exchange(at(server, HTTP), &request)).await;
    let answer = asked.ok()?.ok()?;
    Some((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

/// Who leads, once someone knows.
async fn leader() -> usize {
    for _ in 0..600 {
        for server in 0..SERVERS {
            if let Some((200, text)) = ask(server, Method::Get, "/v1/status/leader", "").await {
                let named = text.trim().trim_matches('"').to_owned();
                let found = (0..SERVERS).find(|&other| at(other, RPC).to_string() == named);
                if let Some(found) = found {
                    return found;
                }
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("no leader within a minute");
}

/// Writes keys one after another, at any server, until `count` were acknowledged.
async fn write(prefix: &'static str, count: usize, mut server: usize) -> BTreeMap<String, String> {
    let mut acknowledged = BTreeMap::new();
    let mut number = 0;
    while acknowledged.len() < count {
        number += 1;
        assert!(number < count * 20, "writes do not get through");
        let (key, value) = (format!("{prefix}/{number}"), number.to_string());
        match ask(server, Method::Put, &format!("/v1/kv/{key}"), &value).await {
            Some((200, _)) => {
                acknowledged.insert(key, value);
            }
            Some(_) | None => {
                server = (server + 1) % SERVERS;
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    acknowledged
}

/// Every key of a server with its value, as base64.
async fn pairs(server: usize) -> BTreeMap<String, String> {
    for _ in 0..100 {
        if let Some((200, text)) = ask(server, Method::Get, "/v1/kv/?recurse&consistent", "").await
        {
            return pairs_of(&text);
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("server {server} does not answer consistent reads");
}

fn pairs_of(text: &str) -> BTreeMap<String, String> {
    let listed: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    listed.iter().map(|pair| (text(&pair["Key"]), text(&pair["Value"]))).collect()
}

/// Job one: the adapter under kills, cuts and clock advances.
#[tokio::test]
async fn nothing_acknowledged_is_lost() {
    let group = Group::form();
    let client = group.client();
    leader_from(&client).await;
    let writing = client.spawn(write("w", 150, 0));
    sleep(Duration::from_millis(400)).await;
    let first = leader_from(&client).await;
    group.kill(first);
    sleep(Duration::from_secs(2)).await;
    group.restart(first);
    sleep(Duration::from_secs(1)).await;
    let second = leader_from(&client).await;
    let other = (second + 1) % SERVERS;
    group.cut(second, other);
    group.cut(second, (second + 2) % SERVERS);
    sleep(Duration::from_secs(2)).await;
    group.heal(second, other);
    group.heal(second, (second + 2) % SERVERS);
    madsim::time::advance(Duration::from_millis(700));
    let acknowledged = writing.await.unwrap();
    for server in 0..SERVERS {
        let held = client.spawn(pairs(server)).await.unwrap();
        for key in acknowledged.keys() {
            assert!(held.contains_key(key), "server {server} lost acknowledged key {key}");
        }
    }
    println!("ran on madsim seed {}", Handle::current().seed());
}

async fn leader_from(client: &NodeHandle) -> usize {
    client.spawn(leader()).await.unwrap()
}

/// All three lose power at once, again and again.
#[tokio::test]
async fn a_group_survives_the_loss_of_all_power() {
    let group = Group::form();
    let client = group.client();
    let mut acknowledged = BTreeMap::new();
    for prefix in ["a", "b", "c"] {
        leader_from(&client).await;
        acknowledged.extend(client.spawn(write(prefix, 20, 0)).await.unwrap());
        for server in 0..SERVERS {
            group.kill(server);
        }
        for server in 0..SERVERS {
            group.restart(server);
        }
    }
    leader_from(&client).await;
    let held = client.spawn(pairs(0)).await.unwrap();
    assert!(acknowledged.keys().all(|key| held.contains_key(key)));
    println!("ran on madsim seed {}", Handle::current().seed());
}

/// What a bare node holds after these writes: no adapter, no network, no time.
fn told_alone(writes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let peers = vec![PeerEntry { id: id(0), address: at(0, RPC), non_voter: false }];
    let boot = Boot { peers, ..Boot::default() };
    let mut node = Node::new(node_config(0, false), Seed(1), boot).unwrap();
    let (mut out, mut now) = (Vec::new(), Instant(1));
    let mut requests: Vec<Request> = writes
        .iter()
        .map(|(key, value)| {
            let body = Bytes::copy_from_slice(value.as_bytes());
            Request::new(Method::Put, &format!("/v1/kv/{key}"), body)
        })
        .collect();
    requests.push(Request::new(Method::Get, "/v1/kv/?recurse&consistent", Bytes::new()));
    let mut last = String::new();
    for (number, request) in (0..).zip(requests) {
        node.step(now, Input::Http(RequestId(number), request), &mut out);
        let mut answered = false;
        while !answered {
            for effect in out.drain(..) {
                if let Effect::Respond(RequestId(of), response) = effect {
                    assert_eq!((of, response.status), (number, 200));
                    last = String::from_utf8(response.body.to_vec()).unwrap();
                    answered = true;
                }
            }
            if !answered {
                let (at, _) = node.next_wakeup().expect("someone waits");
                now = now.max(at);
                node.step(now, Input::Wake, &mut out);
            }
        }
    }
    assert!(node.view().catalog.index() > CatalogIndex(0));
    pairs_of(&last)
}

/// Job two: the same writes told to the adapter and to a bare node leave the same state.
#[tokio::test]
async fn two_drivers_agree() {
    let group = Group::form();
    let client = group.client();
    leader_from(&client).await;
    let told = client.spawn(write("same", 40, 1)).await.unwrap();
    let alone = told_alone(&told);
    for server in 0..SERVERS {
        let held = client.spawn(pairs(server)).await.unwrap();
        let same: BTreeMap<String, String> =
            held.into_iter().filter(|(key, _)| told.contains_key(key)).collect();
        assert_eq!(same, alone, "server {server}");
    }
}
