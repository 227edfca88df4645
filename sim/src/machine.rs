//! The one place where the simulator touches the node it attacks: how it is configured, started,
//! read, and what may be seen of its inside.

use crate::draw::{between, draw, ppm, stream};
use crate::model::Instances;
use crate::net::Kind;
use crate::options::Options;
use crate::schedule::Mark;
use crate::world::{Host, Life, MILLI};
use bytes::Bytes;
use proconsul_core::catalog::Command;
use proconsul_core::checks::CheckOutcome;
use proconsul_core::http::{AgentFacts, Request, Response};
use proconsul_core::raft::{self, Entry, Message, Payload};
use proconsul_core::types::{
    CheckStatus, Duration, EntryId, Instant, LogIndex, NodeId, Planted, Seed, Service, SessionId,
    Term,
};
use proconsul_core::{Boot, BootError, Call, Config, Event};

pub(crate) use proconsul_core::http::{BodyCache, Plan, View};
pub(crate) use proconsul_core::{Node, PeerMessage};

/// What a server of a world is.
pub(crate) fn config(id: NodeId, server: usize, options: &Options) -> Config {
    let planted = planted(&options.planted);
    let [heartbeat, min, max] = options.timing_of(server);
    let limits = options.limits_of(server);
    let micros = Duration::from_micros;
    let count = |value: u32| usize::try_from(value).expect("32 bits fit");
    let bytes = |value: u64| usize::try_from(value).expect("worlds are small");
    let name = format!("s{server}");
    let address = format!("10.0.0.{}", server + 1);
    Config {
        id,
        facts: AgentFacts {
            id: Some(id),
            name: name.into(),
            datacenter: "dc1".into(),
            address: address.into(),
            server: true,
            version: "1.8.7".into(),
            serf_lan_port: 8301,
            serf_wan_port: 8302,
            server_port: 8300,
            kv_value_bytes_max: bytes(limits.value_bytes_max),
            txn_bytes_max: 512 * 1024,
            session_ttl_min: Some(Duration::from_millis(100)),
            planted,
            ..AgentFacts::default()
        },
        raft: raft::Config {
            id,
            heartbeat_interval: micros(heartbeat),
            election_timeout_min: micros(min),
            election_timeout_max: micros(max),
            lease_margin_percent: 20,
            append_bytes_max: bytes(limits.append_bytes_max),
            append_entries_max: count(limits.append_entries_max),
            inflight_bytes_max: 1024 * 1024,
            inflight_messages_max: count(limits.inflight_messages_max),
            uncommitted_bytes_max: bytes(limits.uncommitted_bytes_max),
            trailing_bytes_max: bytes(limits.trailing_bytes),
            transfer_timeout: micros(max),
            planted,
        },
        dns: std::sync::Arc::new(proconsul_core::dns::Config::default()),
        durable: true,
        segment_bytes: limits.segment_bytes,
        snapshot_log_bytes: limits.snapshot_log_bytes,
        restore_part_bytes: 1_024,
        rpc_hold_timeout: Duration::from_millis(1_500),
        session_ttl_min: Duration::from_millis(100),
        session_ttl_percent: 200,
        anti_entropy_interval: Duration::from_secs(60),
        check_update_interval: Duration::from_secs(300),
        check_output_bytes_max: 4096,
        discard_check_output: false,
        services: Vec::new(),
        checks: Vec::new(),
        cluster: None,
        planted,
    }
}

#[cfg(feature = "planted")]
pub(crate) fn planted(name: &str) -> Planted {
    // Each server of each world asks, and nearly all of them for none.
    if name.is_empty() {
        return Planted::none();
    }
    crate::mutants::fault_named(name).map_or(Planted::none(), Planted::with)
}

#[cfg(not(feature = "planted"))]
pub(crate) fn planted(name: &str) -> Planted {
    assert!(name.is_empty(), "this build cannot plant {name}: build with the feature `planted`");
    Planted::none()
}

/// Starts a node.
pub(crate) fn start(config: Config, seed: Seed, boot: Boot) -> Result<Node, BootError> {
    Node::new(config, seed, boot)
}

/// All rules that hold between steps are looked at after every so many steps of a node.
const CHECKED_EVERY: u64 = 32;

/// Panics if a rule is broken that holds between steps, after the n-th step of a node: one of Raft
/// after each, any other now and then, as they take time by what the node holds.
pub(crate) fn check(node: &Node, step: u64) {
    if step.is_multiple_of(CHECKED_EVERY) {
        node.check_invariants();
    } else {
        node.raft().check_invariants();
    }
}

/// What is shown before a node ever ran.
pub(crate) fn first_view(config: &Config) -> View {
    View {
        catalog: proconsul_core::catalog::Catalog::new("dc1".into(), Planted::none()),
        leadership: std::sync::Arc::default(),
        lease_until: Instant::START,
        last_contact: None,
        log: proconsul_core::http::LogPosition::default(),
        local: std::sync::Arc::default(),
        agent: std::sync::Arc::new(config.facts.clone()),
        pools: std::sync::Arc::default(),
        wall: proconsul_core::types::WallTime(0),
    }
}

/// What a worker thread makes of a request.
pub(crate) fn read(view: &View, now: Instant, request: &Request, cache: &mut BodyCache) -> Plan {
    proconsul_core::http::read(view, now, request, cache)
}

/// Whether an answer says that nothing was done and nothing will be.
pub(crate) fn certainly_refused(answer: &Response) -> bool {
    let text = proconsul_core::http::error::NO_LEADER.as_bytes();
    answer.status == 500 && answer.body.windows(text.len()).any(|window| window == text)
}

/// The index of the last command a view shows.
pub(crate) fn catalog_index(view: &View) -> u64 {
    view.catalog.index().0
}

/// A number that stands for everything a view's catalog holds.
pub(crate) fn state_hash(view: &View) -> u64 {
    view.catalog.state_hash()
}

/// A key of a view's catalog: its author's number and its holder.
pub(crate) fn pair(view: &View, key: usize) -> Option<(u64, Option<SessionId>)> {
    view.catalog.kv_get(&format!("k/{key}")).map(|pair| (pair.flags, pair.session))
}

/// The instances of a service in a view's catalog, by node, with the status of each one's check.
pub(crate) fn instances(view: &View, name: &str) -> Instances {
    let catalog = &view.catalog;
    let one = |service: &Service| {
        let checks = &mut catalog.instance_checks(&service.node, &service.registration.id);
        (service.node.to_string(), checks.next().map(|check| check.status))
    };
    catalog.service_instances(name).map(one).collect()
}

pub(crate) fn entry(node: &Node, index: LogIndex) -> Option<&Entry> {
    node.raft().entry(index)
}

pub(crate) fn entry_id(node: &Node, index: LogIndex) -> Option<EntryId> {
    node.raft().entry_id(index)
}

pub(crate) fn first_index(node: &Node) -> LogIndex {
    node.raft().first_index()
}

pub(crate) fn leads(node: &Node) -> bool {
    node.raft().is_leader()
}

/// The newest entry that it knows to be committed.
pub(crate) fn committed(node: &Node) -> Option<EntryId> {
    node.raft().entry_id(node.raft().committed())
}

pub(crate) fn term(node: &Node) -> Term {
    node.raft().term()
}

/// The command in a committed entry, if it carries one.
pub(crate) fn command(payload: &Payload) -> Result<Option<Command>, String> {
    match payload {
        Payload::Command(bytes) => proconsul_core::catalog::codec::decode_command(bytes)
            .map(Some)
            .map_err(|error| format!("{error:?}")),
        Payload::Noop | Payload::Membership(_) => Ok(None),
    }
}

/// Encodes a message and decodes it.
fn round_trip(message: &PeerMessage) -> Result<PeerMessage, String> {
    let bytes: Bytes =
        proconsul_core::wire::encode(message).map_err(|error| format!("{error:?}"))?;
    proconsul_core::wire::decode(&bytes).map_err(|error| format!("{error:?}"))
}

/// How a message comes out of the codec, if not as it went in (design D7b).
pub(crate) fn codec_differs(message: &PeerMessage) -> Option<String> {
    match round_trip(message) {
        Ok(decoded) if decoded == *message => None,
        Ok(decoded) => Some(format!("sent {message:?}, received {decoded:?}")),
        Err(error) => Some(format!("{error}: {message:?}")),
    }
}

/// What a check's probe says, and after how many nanoseconds.
pub(crate) fn probe(seed: u64, who: u64, number: u64) -> (u64, CheckOutcome) {
    let drawn = draw(seed, stream::PROBE, who, number);
    let status = if ppm(drawn, 100_000) { CheckStatus::Critical } else { CheckStatus::Passing };
    let outcome = CheckOutcome { status, output: String::new() };
    (between(drawn, MILLI, 50 * MILLI), outcome)
}

/// What a message needs of the network.
pub(crate) fn kind(message: &PeerMessage) -> Kind {
    if matches!(message, PeerMessage::Raft(_)) { Kind::Promise } else { Kind::Call }
}

/// About how many bytes a message has.
pub(crate) fn size(message: &PeerMessage) -> u64 {
    let bytes = match message {
        PeerMessage::Raft(Message::Append { entries, .. }) => {
            entries.iter().fold(64, |sum, entry| sum + 32 + payload_bytes(&entry.payload))
        }
        PeerMessage::Raft(Message::Snapshot { chunk, .. }) => 96 + chunk.bytes.len(),
        PeerMessage::Raft(
            Message::RequestVote { .. }
            | Message::Vote { .. }
            | Message::Appended { .. }
            | Message::SnapshotStored { .. }
            | Message::TimeoutNow { .. },
        )
        | PeerMessage::Abandon(_)
        | PeerMessage::StateHash { .. } => 64,
        PeerMessage::Call { call, .. } => match &**call {
            Call::Http(request) | Call::Serve(request) => 128 + request.body.len(),
            Call::Apply(_)
            | Call::Submit(_)
            | Call::Node(_)
            | Call::Place(_)
            | Call::Peers
            | Call::Dns(..)
            | Call::Keys(_) => 256,
        },
        PeerMessage::Reply { .. } => 256,
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn payload_bytes(payload: &Payload) -> usize {
    match payload {
        Payload::Command(bytes) => bytes.len(),
        Payload::Noop | Payload::Membership(_) => 16,
    }
}

/// A number that tells messages apart in the trace.
pub(crate) fn fingerprint(message: &PeerMessage) -> u64 {
    match message {
        PeerMessage::Raft(message) => match message {
            Message::RequestVote { term, last, pre, transfer } => {
                (term.0 << 8) ^ (last.index.0 << 24) ^ u64::from(*pre) << 1 ^ u64::from(*transfer)
            }
            Message::Vote { term, granted, .. } => 0x10 ^ (term.0 << 8) ^ u64::from(*granted),
            Message::Append { term, previous, entries, committed, round } => {
                let count = u64::try_from(entries.len()).unwrap_or(0);
                0x20 ^ (term.0 << 8)
                    ^ (previous.index.0 << 20)
                    ^ (count << 36)
                    ^ (committed.0 << 44)
                    ^ round.rotate_left(50)
            }
            Message::Appended { term, round, outcome, .. } => {
                let matched = outcome.map_or_else(|hint| hint.index.0 << 1, |matched| matched.0);
                0x30 ^ (term.0 << 8) ^ (matched << 20) ^ round.rotate_left(50)
            }
            Message::Snapshot { term, chunk, .. } => 0x40 ^ (term.0 << 8) ^ (chunk.offset << 20),
            Message::SnapshotStored { term, offset, .. } => 0x50 ^ (term.0 << 8) ^ (offset << 20),
            Message::TimeoutNow { term } => 0x60 ^ (term.0 << 8),
        },
        PeerMessage::Call { id, hops, .. } => 0x70 ^ (id.0 << 8) ^ u64::from(*hops),
        PeerMessage::Reply { id, .. } => 0x80 ^ (id.0 << 8),
        PeerMessage::Abandon(id) => 0x90 ^ (id.0 << 8),
        PeerMessage::StateHash { index, hash } => 0xa0 ^ (index.0 << 8) ^ hash.rotate_left(20),
    }
}

/// A message in a few words.
pub(crate) fn describe(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Raft(Message::Append { term, previous, entries, committed, round }) => {
            format!(
                "append t{term} after {previous} +{} commit {committed} round {round}",
                entries.len()
            )
        }
        PeerMessage::Raft(Message::Appended { term, round, outcome, .. }) => match outcome {
            Ok(matched) => format!("appended t{term} up to {matched} round {round}"),
            Err(hint) => format!("appended t{term} refused, hint {hint} round {round}"),
        },
        PeerMessage::Raft(Message::Snapshot { term, chunk, .. }) => {
            format!("snapshot t{term} {} from {}", chunk.snapshot.last, chunk.offset)
        }
        PeerMessage::Raft(message) => format!("{message:?}"),
        PeerMessage::Call { id, hops, call } => match &**call {
            Call::Http(request) | Call::Serve(request) => format!(
                "call {} hop {hops} {:?} {}?{}",
                id.0, request.method, request.path, request.query
            ),
            Call::Apply(_) | Call::Submit(_) => format!("call {} hop {hops} apply", id.0),
            Call::Node(_) | Call::Place(_) | Call::Peers | Call::Dns(..) | Call::Keys(_) => {
                format!("call {} hop {hops} {call:?}", id.0)
            }
        },
        PeerMessage::Reply { id, answer } => {
            let text = format!("{answer:?}");
            format!("reply {} {}", id.0, text.chars().take(60).collect::<String>())
        }
        PeerMessage::Abandon(id) => format!("abandon {}", id.0),
        PeerMessage::StateHash { index, hash } => format!("state {hash:016x} at {}", index.0),
    }
}

/// An event in a few words.
pub(crate) fn tell(event: &Event) -> String {
    match event {
        Event::Raft(event) => format!("{event:?}"),
        Event::Applied(_)
        | Event::SnapshotTaken(..)
        | Event::TailCut { .. }
        | Event::GroupKept
        | Event::SessionExpired(_)
        | Event::Forwarded(_)
        | Event::CheckChanged(..)
        | Event::CheckFailed(..)
        | Event::TtlMissed(_)
        | Event::Synced(_)
        | Event::NewLeader(_)
        | Event::SyncFailed(_)
        | Event::Member(..)
        | Event::Suspected(..)
        | Event::Refuted(_)
        | Event::Notice(_)
        | Event::Warning(_) => format!("{event:?}"),
    }
}

/// The mark of an event, and the server it is about, if it is about one.
pub(crate) fn mark(event: &Event) -> Option<(Mark, Option<NodeId>)> {
    if matches!(event, Event::SnapshotTaken(..)) {
        return Some((Mark::SnapshotTaken, None));
    }
    let Event::Raft(event) = event else { return None };
    Some(match event {
        raft::Event::PreCandidate(_) => (Mark::PreCandidate, None),
        raft::Event::Candidate(_) => (Mark::Candidate, None),
        raft::Event::Leader(_) => (Mark::Leader, None),
        raft::Event::Follower(..) => return None,
        raft::Event::SteppedDown(_) => (Mark::SteppedDown, None),
        raft::Event::VoteGranted(_, other) => (Mark::VoteGranted, Some(*other)),
        raft::Event::AppendAcked(_) => (Mark::AppendAcked, None),
        raft::Event::AppendSent(other, _) => (Mark::AppendSent, Some(*other)),
        raft::Event::Committed(_) => (Mark::Committed, None),
        raft::Event::Truncated(_) => (Mark::Truncated, None),
        raft::Event::MembershipChanged(_) => (Mark::MembershipChanged, None),
        raft::Event::ChunkSent(other, _) => (Mark::ChunkSent, Some(*other)),
        raft::Event::SnapshotInstalled(_) => (Mark::SnapshotInstalled, None),
        raft::Event::TransferStarted(other) => (Mark::TransferStarted, Some(*other)),
        raft::Event::Compacted(_) => (Mark::Compacted, None),
    })
}

/// How a host stands, in a few words.
pub(crate) fn standing(host: &Host) -> String {
    match &host.life {
        Life::Up(node) => {
            let raft = node.raft();
            format!(
                "{:?} in term {}, log {}..{}, committed {}, applied {}",
                raft.role(),
                raft.term(),
                raft.first_index(),
                raft.last(),
                raft.committed(),
                raft.applied()
            )
        }
        Life::Down => "down".into(),
        Life::Refused(reason) => format!("refuses to start: {reason}"),
        Life::Stopped(reason) => format!("stopped: {reason:?}"),
    }
}

/// A check of a view's catalog whose node or service is gone, if there is one.
pub(crate) fn orphan(view: &View) -> Option<String> {
    let catalog = &view.catalog;
    let orphan = catalog.checks().find(|check| {
        let known = catalog.node(&check.node).is_some();
        let serves =
            |id: &str| catalog.node_services(&check.node).any(|it| *it.registration.id == *id);
        !known || (!check.service_id.is_empty() && !serves(&check.service_id))
    });
    orphan.map(|check| format!("check {} of {} {}", check.id, check.node, check.service_id))
}
