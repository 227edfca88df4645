//! One running agent: sockets, files and tasks around one node.

use crate::clock::Clock;
use crate::dns::{self, Resolver};
use crate::driver::{Driver, Inboxes, Outside};
use crate::http;
use crate::limit::ClientLimit;
use crate::net;
use crate::peers::{self, Peers};
use crate::pool::{self, Sockets};
use crate::reload::Reloading;
use crate::shared::{Inbound, Shared};
use crate::storage::Storage;
use crate::witness::Bench;
use proconsul_core::disk::IoError;
use proconsul_core::types::{NodeId, Pool, Seed};
use proconsul_core::wire::{self, Hello};
use proconsul_core::{Admin, Boot, BootError, Config, ExitReason, Input, Node, PeerEntry};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

/// What the pools heard and the loop has not yet taken in: streams wait, datagrams are lost.
const HEARD_MAX: usize = 1024;

/// How long the answer to `leave` has to reach whoever asked.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Everything an agent is started with. Text was checked before; ports of 0 take a free one.
#[derive(Debug)]
pub struct AgentConfig {
    /// What the node is.
    pub node: Config,
    /// Where its random choices come from.
    pub seed: Seed,
    /// The servers to start with; see [`Boot::peers`].
    pub peers: Vec<PeerEntry>,
    /// See [`Boot::recover`].
    pub recover: bool,
    /// Where files live.
    pub storage: Box<dyn Storage>,
    /// HTTP addresses.
    pub http: Vec<SocketAddr>,
    /// DNS addresses, both UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Where other agents dial; nowhere on client agents, and where there are no others.
    pub rpc: Option<SocketAddr>,
    /// Where other agents are told to dial: `rpc` if absent. Without either they answer on the
    /// connections that this agent opens.
    pub advertise: Option<SocketAddr>,
    /// Where the pools of the node's cluster listen.
    pub pools: Vec<(Pool, SocketAddr)>,
    /// `limits.http_max_conns_per_client`.
    pub http_conns_per_client_max: usize,
    /// `limits.rpc_max_conns_per_client`.
    pub rpc_conns_per_client_max: usize,
    /// How configuration is read again.
    pub reloading: Reloading,
}

/// Why an agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("Failed to start {what} server on {address}: {source}")]
    Listen {
        /// Which server.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {0}")]
    Read(IoError),
    /// What the files hold cannot be started from.
    #[error("{}", .0.text)]
    Boot(BootError),
    /// Threads or the like cannot be started.
    #[error("cannot start: {0}")]
    Host(io::Error),
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    http: Vec<SocketAddr>,
    dns: Vec<SocketAddr>,
    rpc: Option<SocketAddr>,
    servers: Vec<AbortHandle>,
    done: JoinHandle<ExitReason>,
}

struct Listeners {
    http: Vec<TcpListener>,
    dns: Vec<(UdpSocket, TcpListener)>,
    rpc: Option<TcpListener>,
    pools: Vec<(Pool, pool::Bound)>,
}

impl Agent {
    /// Starts an agent on the current runtime. When this returns, its sockets accept.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: AgentConfig) -> Result<Self, StartError> {
        Self::start_on(config, Bench::default()).await
    }

    /// Starts an agent on a simulated machine.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on(config: AgentConfig, bench: Bench) -> Result<Self, StartError> {
        let listeners = listen(&config).await?;
        let AgentConfig { node, seed, peers, recover, mut storage, advertise, .. } = config;
        let files = storage.files().map_err(StartError::Read)?;
        let hello = Hello {
            version: wire::VERSION,
            id: node.id,
            datacenter: Arc::clone(&node.facts.datacenter),
            advertised: advertise
                .or(config.rpc)
                .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
        };
        let dns_config = node.dns.clone();
        let boot = Boot { files, peers, recover };
        let clock = Clock::start_bent(bench.bent);
        let node = Node::new(node, seed, boot).map_err(StartError::Boot)?;
        let mut witness = bench.witness;
        if let Some(witness) = &mut witness {
            witness.started(&node);
        }
        let (inbox, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(node.view(), clock, inbox));
        let completed = Arc::clone(&shared);
        storage
            .start(Arc::new(move |token, result| completed.input(Input::Io(token, result))))
            .map_err(StartError::Host)?;

        let http_limit = Arc::new(ClientLimit::new(config.http_conns_per_client_max));
        let rpc_limit = Arc::new(ClientLimit::new(config.rpc_conns_per_client_max));
        let resolver = Arc::new(Resolver::new(Arc::clone(&shared), dns_config));
        let http = addresses(listeners.http.iter().map(TcpListener::local_addr));
        let dns = addresses(listeners.dns.iter().map(|(udp, _)| udp.local_addr()));
        let rpc = listeners.rpc.as_ref().and_then(|listener| listener.local_addr().ok());
        let mut servers = Vec::new();
        for listener in listeners.http {
            let served = http::serve(listener, Arc::clone(&shared), Arc::clone(&http_limit));
            servers.push(tokio::spawn(served).abort_handle());
        }
        for (udp, tcp) in listeners.dns {
            servers.extend(dns::serve_udp(udp, &resolver, seed));
            let served = dns::serve_tcp(tcp, Arc::clone(&resolver), seed);
            servers.push(tokio::spawn(served).abort_handle());
        }
        if let Some(listener) = listeners.rpc {
            let limit = Arc::clone(&rpc_limit);
            let served = peers::serve(listener, Arc::clone(&shared), hello.clone(), limit);
            servers.push(tokio::spawn(served).abort_handle());
        }
        let peers = Peers::new(Arc::clone(&shared), hello);
        let (ear, heard) = mpsc::channel(HEARD_MAX);
        let start = |(pool, bound)| (pool, Sockets::start(pool, bound, ear.clone()));
        let pools = listeners.pools.into_iter().map(start).collect();
        let reloading = config.reloading;
        let outside = Outside { storage, peers, pools, reloading, http_limit, rpc_limit, resolver };
        let driver = Driver::new(
            node,
            Arc::clone(&shared),
            Inboxes { inputs: received, heard, _ear: ear },
            outside,
            witness,
        );
        let done = tokio::spawn(driver.run());
        Ok(Self { shared, http, dns, rpc, servers, done })
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Where DNS is served.
    #[must_use]
    pub fn dns(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// Where other servers dial.
    #[must_use]
    pub fn rpc(&self) -> Option<SocketAddr> {
        self.rpc
    }

    /// Waits until the group that `peers.json` names stands in the log.
    pub fn group_kept(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.group_kept.notified().await }
    }

    /// A handle for signals.
    #[must_use]
    pub fn handle(&self) -> AgentHandle {
        AgentHandle { shared: Arc::clone(&self.shared) }
    }

    /// Waits until it ends. `Err` says that the loop itself broke, with the panic's words.
    ///
    /// # Errors
    /// The loop panicked: a rule of the node was broken.
    pub async fn ended(&mut self) -> Result<ExitReason, String> {
        let ended = (&mut self.done).await;
        if matches!(ended, Ok(ExitReason::Left)) {
            // Whoever asked for it is answered by another task.
            tokio::time::sleep(LAST_WORDS).await;
        }
        for server in self.servers.drain(..) {
            server.abort();
        }
        ended.map_err(|error| error.to_string())
    }
}

/// What others may ask of a running agent.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    shared: Arc<Shared>,
}

impl AgentHandle {
    /// Stop in good order.
    pub fn stop(&self) {
        self.shared.input(Input::Admin(Admin::Stop));
    }

    /// SIGINT: leave or stop, as configured.
    pub fn interrupt(&self) {
        self.shared.input(Input::Admin(Admin::Interrupt));
    }

    /// SIGTERM: leave or stop, as configured.
    pub fn terminate(&self) {
        self.shared.input(Input::Admin(Admin::Terminate));
    }

    /// Break the connection to a peer: what a system does that has waited long enough for an
    /// acknowledgement, for those that never do.
    pub fn hang_up(&self, peer: NodeId) {
        self.shared.enter(Inbound::HangUp(peer));
    }

    /// Read configuration again.
    pub fn reload(&self) {
        self.shared.enter(Inbound::Reload);
    }
}

async fn listen(config: &AgentConfig) -> Result<Listeners, StartError> {
    let mut listeners =
        Listeners { http: Vec::new(), dns: Vec::new(), rpc: None, pools: Vec::new() };
    for &(pool, address) in &config.pools {
        let what = match pool {
            Pool::Lan => "Serf LAN",
            Pool::Wan => "Serf WAN",
        };
        let failed = |source| StartError::Listen { what, address, source };
        listeners.pools.push((pool, pool::Bound::at(address).await.map_err(failed)?));
    }
    if let Some(address) = config.rpc {
        let bound = net::listen(address).await;
        let failed = |source| StartError::Listen { what: "RPC", address, source };
        listeners.rpc = Some(bound.map_err(failed)?);
    }
    for &address in &config.dns {
        let failed = |source| StartError::Listen { what: "DNS", address, source };
        listeners.dns.push(dns::bind(address).await.map_err(failed)?);
    }
    for &address in &config.http {
        let failed = |source| StartError::Listen { what: "HTTP", address, source };
        listeners.http.push(net::listen(address).await.map_err(failed)?);
    }
    Ok(listeners)
}

fn addresses(bound: impl Iterator<Item = io::Result<SocketAddr>>) -> Vec<SocketAddr> {
    bound.filter_map(Result::ok).collect()
}
