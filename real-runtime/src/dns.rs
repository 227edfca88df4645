//! DNS over UDP and TCP: core's function on the published view, on worker tasks.

use crate::clock::wall;
use crate::dns_line::Line;
use crate::net;
use crate::recurse;
use crate::shared::{Inbound, Shared};
use arc_swap::ArcSwap;
use proconsul_core::DnsTransport;
use proconsul_core::dns::{Config, Facts, elsewhere, other_datacenter, read};
use proconsul_core::types::{Rng, Seed};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Tasks that answer datagrams of one socket: one for each worker thread.
const UDP_TASKS: u64 = 2;
/// Questions of one task that wait for others at one time.
const ABROAD_MAX: usize = 512;
/// No question is longer than this.
const UDP_BYTES_MAX: usize = 4096;
/// A TCP client that says nothing, or takes nothing, for this long is let go.
const TCP_IDLE_MAX: Duration = Duration::from_secs(60);
/// Servers that say nothing for this long are given up; the loop gives up earlier.
const SERVERS_PATIENCE: Duration = Duration::from_secs(20);
/// TCP clients at one time.
const TCP_CLIENTS_MAX: usize = 1024;

/// What answering needs besides the view.
#[derive(Debug)]
pub(crate) struct Resolver {
    shared: Arc<Shared>,
    config: ArcSwap<Config>,
}

impl Resolver {
    /// A resolver that reads `shared`'s view.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>, config: Arc<Config>) -> Self {
        Self { shared, config: ArcSwap::new(config) }
    }

    /// Answers by `config` from now on.
    pub(crate) fn reconfigure(&self, config: Arc<Config>) {
        self.config.store(config);
    }

    /// Whether `answer` leaves the question to others, and there are some.
    fn is_for_others(&self, answer: &[u8]) -> bool {
        elsewhere::is_wanted(answer) && !self.config.load().recursors.is_empty()
    }

    /// What others say; `refusal` is our own answer.
    async fn ask_others(&self, question: &[u8], mut refusal: Vec<u8>, tcp: bool) -> Vec<u8> {
        let config = self.config.load_full();
        recurse::ask(&config, question, tcp).await.unwrap_or_else(|| {
            elsewhere::nobody_settled(&mut refusal);
            refusal
        })
    }

    /// Whether the question needs a server that this agent is not: it is none, or another
    /// datacenter's know the answer.
    fn is_for_servers(&self, question: &[u8]) -> bool {
        let view = self.shared.view.load();
        if !view.agent.server {
            return true;
        }
        let others = &view.pools.datacenters;
        others.len() > 1
            && other_datacenter(&self.config.load(), &view.agent.datacenter, question)
                .is_some_and(|named| others.iter().any(|known| known.eq_ignore_ascii_case(&named)))
    }

    /// What a server says, through the loop. `None`: the agent stops.
    async fn ask_servers(&self, question: Vec<u8>, tcp: bool) -> Option<Vec<u8>> {
        let transport = if tcp { DnsTransport::Tcp } else { DnsTransport::Udp };
        let (sender, receiver) = oneshot::channel();
        let id = self.shared.request_id();
        self.shared.enter(Inbound::Dns(id, transport, question.into(), sender));
        let answer = timeout(SERVERS_PATIENCE, receiver).await.ok()?.ok()?;
        Some(answer.to_vec())
    }

    /// The answer of whoever knows it: servers, then recursors.
    async fn ask_away(
        &self,
        question: Vec<u8>,
        own: Option<Vec<u8>>,
        tcp: bool,
    ) -> Option<Vec<u8>> {
        let answer = match own {
            Some(answer) => answer,
            None => self.ask_servers(question.clone(), tcp).await?,
        };
        if self.is_for_others(&answer) {
            return Some(self.ask_others(&question, answer, tcp).await);
        }
        Some(answer)
    }

    /// What one task knows of the agent; the rest of it changes with each question.
    fn facts(&self) -> Facts {
        let view = self.shared.view.load();
        Facts {
            datacenter: Arc::clone(&view.agent.datacenter),
            unix_seconds: 0,
            ready: false,
            node: Arc::clone(&view.agent.name),
            address: Arc::clone(&view.agent.address),
        }
    }

    fn answer(
        &self,
        facts: &mut Facts,
        rng: &mut Rng,
        tcp: bool,
        question: &[u8],
    ) -> Option<Vec<u8>> {
        let view = self.shared.view.load();
        facts.ready = view.is_catalog_known();
        facts.unix_seconds = wall().0.div_euclid(1000);
        read(&view.catalog, &self.config.load(), facts, rng, tcp, question)
    }
}

/// Starts the tasks that answer datagrams.
pub(crate) fn serve_udp(
    socket: UdpSocket,
    resolver: &Arc<Resolver>,
    seed: Seed,
) -> Vec<AbortHandle> {
    let socket = Arc::new(socket);
    let start = |task| {
        let rng = Rng::new(Seed(seed.0 ^ (task + 1))).split("dns.udp");
        tokio::spawn(answer_datagrams(Arc::clone(&socket), Arc::clone(resolver), rng))
            .abort_handle()
    };
    (0..UDP_TASKS).map(start).collect()
}

async fn answer_datagrams(socket: Arc<UdpSocket>, resolver: Arc<Resolver>, mut rng: Rng) {
    let mut buffer = vec![0_u8; UDP_BYTES_MAX];
    let mut facts = resolver.facts();
    let abroad = Arc::new(tokio::sync::Semaphore::new(ABROAD_MAX));
    loop {
        let (bytes, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An earlier answer may have bounced; the socket itself is fine.
                tracing::trace!(target: "agent.dns", "receive failed: {error}");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let own = if resolver.is_for_servers(&buffer[..bytes]) {
            None
        } else {
            match resolver.answer(&mut facts, &mut rng, false, &buffer[..bytes]) {
                None => continue,
                answer => answer,
            }
        };
        let settled = own.as_ref().is_some_and(|answer| !resolver.is_for_others(answer));
        let (Some(answer), true) = (&own, settled) else {
            // A question too many is dropped: whoever asked asks again.
            if let Ok(slot) = Arc::clone(&abroad).try_acquire_owned() {
                let (socket, resolver) = (Arc::clone(&socket), Arc::clone(&resolver));
                let question = buffer[..bytes].to_vec();
                tokio::spawn(async move {
                    let _slot = slot;
                    if let Some(answer) = resolver.ask_away(question, own, false).await
                        && !answer.is_empty()
                    {
                        drop(net::send_to(&socket, &answer, from).await);
                    }
                });
            }
            continue;
        };
        if let Err(error) = net::send_to(&socket, answer, from).await {
            tracing::trace!(target: "agent.dns", "answer not sent: to={from} error={error}");
        }
    }
}

/// Accepts TCP clients for as long as the agent lives.
pub(crate) async fn serve_tcp(listener: TcpListener, resolver: Arc<Resolver>, seed: Seed) {
    let clients = Arc::new(tokio::sync::Semaphore::new(TCP_CLIENTS_MAX));
    let mut count = 0_u64;
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(target: "agent.dns", "could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&clients).try_acquire_owned() else {
            continue;
        };
        count += 1;
        let rng = Rng::new(Seed(seed.0 ^ count)).split("dns.tcp");
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move {
            let _slot = slot;
            if let Err(error) = serve_client(stream, resolver, rng).await {
                tracing::trace!(target: "agent.dns", "connection ended: from={from} error={error}");
            }
        });
    }
}

/// Answers one client until it goes or is silent for too long.
async fn serve_client(
    stream: TcpStream,
    resolver: Arc<Resolver>,
    mut rng: Rng,
) -> std::io::Result<()> {
    let mut line = Line::new(stream, TCP_IDLE_MAX);
    let mut facts = resolver.facts();
    while let Some(question) = line.receive().await? {
        let own = if resolver.is_for_servers(&question) {
            None
        } else {
            match resolver.answer(&mut facts, &mut rng, true, &question) {
                None => return Ok(()),
                answer => answer,
            }
        };
        let answer = resolver.ask_away(question, own, true).await;
        let Some(answer) = answer.filter(|answer| !answer.is_empty()) else {
            return Ok(());
        };
        line.send(&answer).await?;
    }
    Ok(())
}

/// Binds both sockets of one DNS address; with port 0 both get the same free port.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..16 {
        let udp = UdpSocket::bind(address).await?;
        match net::listen(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if address.port() == 0 => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("no free port for DNS")))
}
