//! The table: it performs effects and moves time to whatever comes next.

use proconsul_core::disk::{FileOp, IoError};
use proconsul_core::gossip::{StreamEvent, StreamId};
use proconsul_core::http::{AgentFacts, Method, Request, Response};
use proconsul_core::types::{Duration, Instant, NodeId, Planted, Pool, Seed, WallTime};
use proconsul_core::{
    Boot, CallId, Config, Effect, Event, ExitReason, Input, Lookup, Node, PeerEntry, PeerMessage,
    RequestId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

const DELAY: Duration = Duration::from_millis(1);

/// One end of a stream: whose, in which pool, under which name.
type End = (usize, Pool, StreamId);

/// What is on its way to a node.
enum Coming {
    Peer(usize, PeerMessage),
    Input(Input),
    /// A dial failed; with it everything that waited.
    Unreached(usize),
}

/// Some nodes, their wires and their disks.
pub(crate) struct Table {
    pub(crate) nodes: Vec<Option<Node>>,
    configs: Vec<Config>,
    peers: Vec<PeerEntry>,
    pub(crate) files: Vec<BTreeMap<Arc<str>, Vec<u8>>>,
    pub(crate) now: Instant,
    /// When each node's present life began on the table's clock.
    born: Vec<Instant>,
    coming: BTreeMap<(Instant, u64), (usize, Coming)>,
    sequence: u64,
    pub(crate) answers: BTreeMap<RequestId, Response>,
    next_request: u64,
    /// Nodes whose messages are lost, in both directions.
    pub(crate) cut: BTreeSet<usize>,
    /// Pairs (lower number first) that do not hear one another.
    pub(crate) cut_pairs: BTreeSet<(usize, usize)>,
    /// Streams of pools: each end and the end it belongs to.
    streams: BTreeMap<End, End>,
    next_accepted: u64,
    lives: u64,
    pub(crate) saw_big: usize,
    /// What is odd, in words.
    pub(crate) warnings: Vec<String>,
    /// Who said that its group is written down.
    pub(crate) kept: BTreeSet<usize>,
    /// Who left.
    pub(crate) left: Option<usize>,
    /// Answers to questions of DNS.
    pub(crate) replies: BTreeMap<RequestId, bytes::Bytes>,
    /// Names that nodes asked the host to look up.
    pub(crate) lookups: Vec<(Lookup, Arc<str>)>,
    /// The server that a client agent called last.
    pub(crate) called: Option<usize>,
    /// Where each node last dialled each other one.
    pub(crate) dialled: BTreeMap<(usize, usize), SocketAddr>,
    /// Calls that wait for a dial that will fail: who dials whom.
    unsent: BTreeMap<(usize, usize), Vec<CallId>>,
    /// Everyone with pools who left.
    pub(crate) gone: BTreeSet<usize>,
    /// Nodes on whose disks nothing new finds room.
    pub(crate) no_room: BTreeSet<usize>,
    /// Files for which there was none.
    unmade: BTreeSet<Arc<str>>,
}

/// A configuration as the host would build it.
pub(crate) fn config(number: usize, durable: bool) -> Config {
    let id = node_id(number);
    Config {
        id,
        facts: AgentFacts {
            name: format!("s{number}").into(),
            datacenter: "dc1".into(),
            address: format!("10.0.0.{number}").into(),
            server: true,
            server_port: 8300,
            version: "1.8.7".into(),
            kv_value_bytes_max: 512 * 1024,
            txn_bytes_max: 512 * 1024,
            ..AgentFacts::default()
        },
        raft: proconsul_core::raft::Config {
            id,
            heartbeat_interval: Duration::from_millis(50),
            election_timeout_min: Duration::from_millis(250),
            election_timeout_max: Duration::from_millis(500),
            lease_margin_percent: 20,
            append_bytes_max: 1 << 20,
            append_entries_max: 1024,
            inflight_bytes_max: 8 << 20,
            inflight_messages_max: 64,
            uncommitted_bytes_max: 64 << 20,
            trailing_bytes_max: 64 << 10,
            transfer_timeout: Duration::from_secs(1),
            planted: Planted::none(),
        },
        dns: Arc::new(proconsul_core::dns::Config::default()),
        durable,
        segment_bytes: 1 << 20,
        snapshot_log_bytes: 1 << 20,
        restore_part_bytes: 256,
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

/// The id of the node with this number; numbers count from 1.
pub(crate) fn node_id(number: usize) -> NodeId {
    NodeId(0x1111_0000 + u128::try_from(number).unwrap())
}

impl Table {
    /// `count` nodes that know one another.
    pub(crate) fn new(count: usize, durable: bool) -> Self {
        Self::with((1..=count).map(|number| config(number, durable)).collect())
    }

    /// Nodes of these configurations.
    pub(crate) fn with(configs: Vec<Config>) -> Self {
        let peers = (1..=configs.len()).map(|number| PeerEntry {
            id: node_id(number),
            address: format!("10.0.0.{number}:8300").parse().unwrap(),
            non_voter: false,
        });
        let mut table = Self {
            nodes: Vec::new(),
            peers: peers.collect(),
            files: vec![BTreeMap::new(); configs.len()],
            now: Instant::START,
            born: vec![Instant::START; configs.len()],
            coming: BTreeMap::new(),
            sequence: 0,
            answers: BTreeMap::new(),
            next_request: 0,
            cut: BTreeSet::new(),
            cut_pairs: BTreeSet::new(),
            streams: BTreeMap::new(),
            next_accepted: 1,
            lives: 0,
            saw_big: 0,
            warnings: Vec::new(),
            kept: BTreeSet::new(),
            left: None,
            replies: BTreeMap::new(),
            lookups: Vec::new(),
            called: None,
            dialled: BTreeMap::new(),
            unsent: BTreeMap::new(),
            gone: BTreeSet::new(),
            no_room: BTreeSet::new(),
            unmade: BTreeSet::new(),
            configs,
        };
        for number in 0..table.configs.len() {
            table.nodes.push(None);
            table.boot(number);
        }
        table
    }

    /// Adds a node and starts it; its number for calls of this table.
    pub(crate) fn add(&mut self, config: Config) -> usize {
        let number = self.configs.len();
        self.peers.push(PeerEntry {
            id: config.id,
            address: format!("10.0.0.{}:8300", number + 1).parse().unwrap(),
            non_voter: false,
        });
        self.configs.push(config);
        self.files.push(BTreeMap::new());
        self.born.push(self.now);
        self.nodes.push(None);
        self.boot(number);
        number
    }

    /// Changes the configuration with which a node starts next.
    pub(crate) fn configure(&mut self, number: usize, change: impl FnOnce(&mut Config)) {
        change(&mut self.configs[number]);
    }

    /// Starts a node from what its disk holds.
    pub(crate) fn boot(&mut self, number: usize) {
        // A node with pools learns of others by gossip alone.
        let alone = self.configs[number].cluster.is_some();
        let peers = if alone { Vec::new() } else { self.peers.clone() };
        self.start(number, peers, false);
    }

    fn start(&mut self, number: usize, peers: Vec<PeerEntry>, recover: bool) {
        let files = self.files[number]
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes.clone().into()))
            .collect();
        let boot = Boot { files, peers, recover };
        self.lives += 1;
        let node = Node::new(self.configs[number].clone(), Seed(self.lives), boot);
        self.nodes[number] = Some(node.expect("the disk is sound"));
        self.born[number] = self.now;
        self.step(number, Input::WallClock(WallTime(1_700_000_000_000)));
    }

    /// Starts a node in a group of these, whatever its disk says of the group.
    pub(crate) fn recover(&mut self, number: usize, among: &[usize]) {
        let peers = among.iter().map(|peer| self.peers[*peer].clone()).collect();
        self.start(number, peers, true);
    }

    /// Kills a node; its disk keeps everything it was told.
    pub(crate) fn kill(&mut self, number: usize) {
        self.nodes[number] = None;
        self.coming.retain(|_, (to, what)| {
            *to != number && !matches!(what, Coming::Peer(from, _) if *from == number)
        });
        let broken: Vec<(End, End)> = self.streams.iter().map(|(a, b)| (*a, *b)).collect();
        for (end, other) in broken {
            if end.0 == number {
                self.streams.remove(&end);
                self.streams.remove(&other);
                self.step(other.0, Input::Stream(other.1, other.2, StreamEvent::Closed));
            }
        }
        for other in 0..self.nodes.len() {
            self.step(other, Input::PeerLost(node_id(number + 1)));
        }
    }

    /// Whether what `from` sends reaches `to`.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let pair = (from.min(to), from.max(to));
        !self.cut.contains(&from) && !self.cut.contains(&to) && !self.cut_pairs.contains(&pair)
    }

    /// Which node gossips at this address. A server hears the WAN at its address in the LAN too,
    /// where the others of its datacenter meet it first.
    fn at(&self, pool: Pool, address: SocketAddr) -> Option<usize> {
        let gossips = |config: &Config| {
            let Some(cluster) = &config.cluster else { return false };
            let lan = cluster.lan.advertised;
            match (pool, &cluster.wan) {
                (Pool::Lan, _) => lan == address,
                (Pool::Wan, None) => false,
                (Pool::Wan, Some(wan)) => {
                    [wan.advertised.ip(), lan.ip()].contains(&address.ip())
                        && wan.advertised.port() == address.port()
                }
            }
        };
        let found = self.configs.iter().position(gossips)?;
        self.nodes[found].is_some().then_some(found)
    }

    fn gossip_address(&self, number: usize, pool: Pool) -> SocketAddr {
        let cluster = self.configs[number].cluster.as_ref().unwrap();
        match pool {
            Pool::Lan => cluster.lan.advertised,
            Pool::Wan => cluster.wan.as_ref().unwrap().advertised,
        }
    }

    fn dial(&mut self, number: usize, pool: Pool, stream: StreamId, to: SocketAddr) {
        let there = self.at(pool, to).filter(|there| self.reaches(number, *there));
        let Some(there) = there else {
            let closed = Input::Stream(pool, stream, StreamEvent::Closed);
            self.later(number, Coming::Input(closed));
            return;
        };
        let accepted = StreamId(self.next_accepted);
        self.next_accepted += 2;
        let (here, other) = ((number, pool, stream), (there, pool, accepted));
        self.streams.insert(here, other);
        self.streams.insert(other, here);
        let from = self.gossip_address(number, pool);
        self.later(
            there,
            Coming::Input(Input::Stream(pool, accepted, StreamEvent::Accepted(from))),
        );
        self.later(number, Coming::Input(Input::Stream(pool, stream, StreamEvent::Connected)));
    }

    fn pool_effect(&mut self, number: usize, effect: Effect) {
        match effect {
            Effect::Send { pool, to, datagram } => {
                let from = self.gossip_address(number, pool);
                if let Some(there) = self.at(pool, to)
                    && self.reaches(number, there)
                {
                    self.later(there, Coming::Input(Input::Datagram(pool, from, datagram)));
                }
            }
            Effect::Dial { pool, stream, to } => self.dial(number, pool, stream, to),
            Effect::Write { pool, stream, message } => {
                if let Some((there, _, other)) = self.streams.get(&(number, pool, stream)).copied()
                    && self.reaches(number, there)
                {
                    let said = StreamEvent::Message(message);
                    self.later(there, Coming::Input(Input::Stream(pool, other, said)));
                }
            }
            Effect::Close { pool, stream } => {
                if let Some(other) = self.streams.remove(&(number, pool, stream)) {
                    self.streams.remove(&other);
                    let closed = Input::Stream(pool, other.2, StreamEvent::Closed);
                    self.later(other.0, Coming::Input(closed));
                }
            }
            Effect::SendPeer { .. }
            | Effect::Resolve(..)
            | Effect::Respond(..)
            | Effect::Reply(..)
            | Effect::Io(_)
            | Effect::RunCheck(..)
            | Effect::StopCheck(_)
            | Effect::Publish(_)
            | Effect::Reload(_)
            | Effect::Event(_)
            | Effect::Exit(_)
            | _ => panic!("this is no effect of a pool"),
        }
    }

    /// Gives one input to one node and performs what comes out.
    pub(crate) fn step(&mut self, number: usize, input: Input) {
        let at = Instant(self.now.0 - self.born[number].0);
        let Some(node) = self.nodes[number].as_mut() else {
            return;
        };
        let mut effects = Vec::new();
        node.step(at, input, &mut effects);
        node.check_invariants();
        for effect in effects {
            self.perform(number, effect);
        }
    }

    fn perform(&mut self, number: usize, effect: Effect) {
        match effect {
            Effect::SendPeer { to, address, message } => {
                let to = self.peers.iter().position(|peer| peer.id == to).unwrap();
                self.dialled.insert((number, to), address);
                if let PeerMessage::Raft(proconsul_core::raft::Message::Snapshot { .. }) = &message
                {
                    self.saw_big += 1;
                }
                if !self.configs[number].facts.server && matches!(message, PeerMessage::Call { .. })
                {
                    self.called = Some(to);
                }
                if self.nodes[to].is_some() {
                    self.later(to, Coming::Peer(number, message));
                } else {
                    // Nobody is there to dial: nothing was sent.
                    self.unsent.entry((number, to)).or_default().extend(message.call());
                    self.later(number, Coming::Unreached(to));
                }
            }
            Effect::Respond(id, response) => {
                let twice = self.answers.insert(id, response);
                assert!(twice.is_none(), "a request is answered once");
            }
            Effect::Io(op) => self.file(number, op),
            Effect::Exit(ExitReason::Left) => {
                self.left = Some(number);
                if self.configs[number].cluster.is_some() {
                    self.gone.insert(number);
                }
            }
            Effect::Exit(reason) => panic!("node {number} stopped: {reason:?}"),
            Effect::Reply(id, answer) => {
                let twice = self.replies.insert(id, answer);
                assert!(twice.is_none(), "a question is answered once");
            }
            Effect::Event(Event::GroupKept) => {
                self.kept.insert(number);
            }
            Effect::Event(Event::Warning(text)) => self.warnings.push(text),
            Effect::RunCheck(..)
            | Effect::StopCheck(_)
            | Effect::Publish(_)
            | Effect::Reload(_)
            | Effect::Event(_) => {}
            Effect::Resolve(lookup, name) => self.lookups.push((lookup, name)),
            Effect::Send { .. }
            | Effect::Dial { .. }
            | Effect::Write { .. }
            | Effect::Close { .. } => self.pool_effect(number, effect),
            _ => panic!("an effect this table does not know"),
        }
    }

    fn later(&mut self, to: usize, what: Coming) {
        self.sequence += 1;
        self.coming.insert((self.now.after(DELAY), self.sequence), (to, what));
    }

    fn file(&mut self, number: usize, op: FileOp) {
        let files = &mut self.files[number];
        match op {
            FileOp::Create { file, .. } if self.no_room.contains(&number) => {
                self.unmade.insert(file);
            }
            FileOp::Create { file, size, .. } => {
                files.insert(file, vec![0; usize::try_from(size).unwrap()]);
            }
            FileOp::Write { file, offset, bytes, .. } => {
                let content = files.entry(file).or_default();
                let start = usize::try_from(offset).unwrap();
                let end = start + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[start..end].copy_from_slice(&bytes);
            }
            FileOp::Rename { from, to, .. } => {
                if let Some(content) = files.remove(&from) {
                    files.insert(to, content);
                }
            }
            FileOp::Unlink { file, .. } => {
                files.remove(&file);
            }
            FileOp::Sync { file, token, .. } => {
                let reason = "no space left on device";
                let result = match self.unmade.remove(&file) {
                    true => Err(IoError { file, reason: reason.into() }),
                    false => Ok(()),
                };
                self.later(number, Coming::Input(Input::Io(token, result)));
            }
            FileOp::SyncDir { token, .. } => {
                self.later(number, Coming::Input(Input::Io(token, Ok(()))));
            }
        }
    }

    /// Lets `span` pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Goes on until `done` says so; panics after a minute.
    pub(crate) fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = self.now.after(Duration::from_secs(60));
        if !self.run_until(end, done) {
            let states: Vec<_> = self.nodes.iter().flatten().map(Node::status).collect();
            panic!("it does not take a minute: {states:#?}");
        }
    }

    fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..5_000_000 {
            if done(self) {
                return true;
            }
            let wire = self.coming.first_key_value().map(|((at, _), _)| *at);
            let wake = (0..self.nodes.len())
                .filter_map(|number| {
                    let (at, _) = self.nodes[number].as_ref()?.next_wakeup()?;
                    Some((
                        at.max(Instant::START).after(self.born[number].since(Instant::START)),
                        number,
                    ))
                })
                .min();
            let next = [wire, wake.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                return false;
            };
            self.now = self.now.max(at);
            if wire == Some(at)
                && let Some((_, (to, what))) = self.coming.pop_first()
            {
                match what {
                    Coming::Input(input) => self.step(to, input),
                    Coming::Unreached(peer) => {
                        let unsent = self.unsent.remove(&(to, peer)).unwrap_or_default();
                        self.step(to, Input::PeerUnreached(node_id(peer + 1), unsent));
                    }
                    Coming::Peer(from, message) => {
                        if self.reaches(from, to) {
                            // The greeting of the connection it comes by.
                            let address = self.peers[from].address;
                            if self.configs[to].cluster.is_some() {
                                self.step(to, Input::PeerAt(node_id(from + 1), address));
                            }
                            self.step(to, Input::Peer { from: node_id(from + 1), message });
                        }
                    }
                }
            } else if let Some((_, number)) = wake {
                self.step(number, Input::Wake);
            }
        }
        panic!("time does not pass");
    }

    /// Sends a request and does not wait.
    pub(crate) fn send(
        &mut self,
        number: usize,
        method: Method,
        target: &str,
        body: &str,
    ) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let request = Request::new(method, target, body.as_bytes().to_vec().into());
        self.step(number, Input::Http(id, request));
        id
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(
        &mut self,
        number: usize,
        method: Method,
        target: &str,
        body: &str,
    ) -> Response {
        let id = self.send(number, method, target, body);
        self.until(|table| table.answers.contains_key(&id));
        self.answers[&id].clone()
    }

    /// `GET`, as text; panics unless it succeeds.
    pub(crate) fn get(&mut self, number: usize, target: &str) -> String {
        let response = self.ask(number, Method::Get, target, "");
        assert_eq!(response.status, 200, "{target}: {}", text(&response));
        text(&response)
    }

    /// `PUT`, as text; panics unless it succeeds.
    pub(crate) fn put(&mut self, number: usize, target: &str, body: &str) -> String {
        let response = self.ask(number, Method::Put, target, body);
        assert_eq!(response.status, 200, "{target}: {}", text(&response));
        text(&response)
    }

    /// `PUT /v1/snapshot` with the bare state.
    pub(crate) fn restore(&mut self, number: usize, state: bytes::Bytes) {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let request = Request::new(Method::Put, "/v1/snapshot", state);
        self.step(number, Input::Http(id, request));
        self.until(|table| table.answers.contains_key(&id));
        assert_eq!(self.answers[&id].status, 200, "{}", text(&self.answers[&id]));
    }

    /// Which node leads, if exactly one of those that are up and not cut off does.
    pub(crate) fn leader(&self) -> Option<usize> {
        let mut leaders = (0..self.nodes.len()).filter(|number| {
            !self.cut.contains(number)
                && self.nodes[*number].as_ref().is_some_and(|node| node.raft().is_leader())
        });
        let leader = leaders.next()?;
        leaders.next().is_none().then_some(leader)
    }

    /// Waits for a leader.
    pub(crate) fn elect(&mut self) -> usize {
        self.until(|table| table.leader().is_some());
        self.leader().unwrap()
    }

    /// Waits until everyone up has applied the same.
    pub(crate) fn converge(&mut self) {
        self.until(|table| {
            let mut states =
                table.nodes.iter().flatten().map(|node| (node.applied(), node.digest()));
            let first = states.next();
            states.all(|state| Some(state) == first)
        });
    }
}

/// A body as text.
pub(crate) fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

/// The index of a read.
pub(crate) fn index(response: &Response) -> u64 {
    response.header("X-Consul-Index").expect("a read has an index").parse().unwrap()
}
