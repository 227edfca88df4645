//! What agents say to one another, as bytes: what was written is still written and read.
//!
//! `testdata/messages-v1.txt` has one line for each sample. New variants come at the end of their
//! types and get lines of their own; a line that changes is a new version of the form.

use proconsul_core::catalog::{
    Command, KvOp, KvVerb, NodeRegistration, Outcome, Place, Register, Rejected, RestorePart,
    TxnError, TxnResult,
};
use proconsul_core::http::{KeyAction, KeyringAnswer, KeyringOp, Method, Request, Response};
use proconsul_core::raft::{
    Entry, Member, Membership, Message, Payload, SnapshotChunk, SnapshotMeta,
};
use proconsul_core::types::{
    CatalogIndex, Coordinate, EntryId, KvPair, LogIndex, NodeId, SessionId, Term,
};
use proconsul_core::wire::{decode, encode};
use proconsul_core::{Call, CallAnswer, CallId, PeerMessage};
use std::sync::Arc;

const A: NodeId = NodeId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
const B: NodeId = NodeId(7);

fn id(term: u64, index: u64) -> EntryId {
    EntryId::new(Term(term), LogIndex(index))
}

fn membership() -> Membership {
    let members = [(A, Member { voter: true }), (B, Member { voter: false })];
    Membership { members: members.into() }
}

fn raft() -> Vec<Message> {
    let term = Term(300);
    let command = Payload::Command(b"abc".to_vec().into());
    let payloads = [Payload::Noop, command, Payload::Membership(membership())];
    let entries = (1..).zip(payloads).map(|(at, payload)| Entry { id: id(2, at), payload });
    let snapshot = SnapshotMeta {
        last: id(2, 70_000),
        membership: membership(),
        membership_index: LogIndex(3),
    };
    let chunk =
        SnapshotChunk { snapshot, offset: 262_144, bytes: b"piece".to_vec().into(), last: true };
    let appended =
        |outcome| Message::Appended { term, round: 9, outcome, election_timeout_min: 216_000_000 };
    vec![
        Message::RequestVote { term, last: id(2, 5), pre: true, transfer: false },
        Message::Vote { term, stood: Term(301), granted: true, pre: false },
        Message::Append {
            term,
            previous: id(1, 0),
            entries: entries.collect(),
            committed: LogIndex(4),
            round: 8,
        },
        appended(Ok(LogIndex(6))),
        appended(Err(id(1, 2))),
        Message::Snapshot { term, round: 10, chunk: Box::new(chunk) },
        Message::SnapshotStored {
            term,
            round: 11,
            snapshot: id(2, 70_000),
            offset: 5,
            installed: true,
        },
        Message::TimeoutNow { term },
    ]
}

fn calls() -> Vec<Call> {
    let request = |method| Request {
        method,
        path: "/v1/kv/a".into(),
        query: "raw".into(),
        headers: vec![("content-type".into(), "text/plain".into())],
        body: b"body".to_vec().into(),
    };
    let key =
        KvOp { verb: KvVerb::Cas(300), key: "a".into(), value: b"v".to_vec().into(), flags: 1 };
    let coordinate =
        Coordinate { vector: [0.5; 8], error: 1.5, adjustment: -0.25, height: 0.00001 };
    let place = Place { node: "n".into(), segment: "".into(), coordinate };
    let part = RestorePart { begun: CatalogIndex(300), offset: 7, bytes: b"abc".to_vec().into() };
    let keys =
        |action| KeyringOp { action, key: vec![3; 16].into(), relay_factor: 2, local_only: true };
    let mut calls = vec![
        Call::Apply(Command::Kv(key)),
        Call::Submit(Command::RestorePart(part)),
        Call::Node("n".into()),
        Call::Place(Box::new(place)),
        Call::Peers,
        Call::Dns(
            true,
            b"question".to_vec().into(),
            Arc::new(proconsul_core::dns::Config::default()),
        ),
    ];
    let methods = [
        Method::Get,
        Method::Put,
        Method::Post,
        Method::Delete,
        Method::Head,
        Method::Options,
        Method::Other("PATCH".into()),
    ];
    calls.extend(methods.into_iter().map(|method| Call::Http(request(method))));
    calls.push(Call::Serve(request(Method::Get)));
    let actions = [KeyAction::List, KeyAction::Install, KeyAction::Use, KeyAction::Remove];
    calls.extend(actions.into_iter().map(|action| Call::Keys(keys(action))));
    calls
}

fn answers() -> Vec<CallAnswer> {
    let response = Response {
        status: 200,
        headers: vec![("X-Consul-Index".into(), "7".into())],
        body: b"body".to_vec().into(),
    };
    let pair = KvPair {
        key: "a".into(),
        value: b"v".as_slice().into(),
        flags: 1,
        lock_index: 2,
        session: Some(SessionId::from_bits(3)),
        created: CatalogIndex(4),
        modified: CatalogIndex(300),
    };
    let register = Register {
        node: NodeRegistration {
            id: Some(A),
            name: "n".into(),
            address: "10.0.0.1".into(),
            datacenter: "dc1".into(),
            ..NodeRegistration::default()
        },
        skip_node_update: true,
        services: vec![],
        checks: vec![],
    };
    let keys = KeyringAnswer {
        wan: true,
        datacenter: "dc1".into(),
        messages: [("n".into(), "no".into())].into(),
        keys: [("AwM=".into(), 2)].into(),
        primary_keys: [("AwM=".into(), 1)].into(),
        members: 3,
        error: Some("1/3 nodes reported failure".into()),
    };
    let outcomes = [
        Outcome::Done,
        Outcome::Answer(true),
        Outcome::Session(SessionId::from_bits(1)),
        Outcome::Txn(vec![TxnResult::Pair { pair, with_value: true }]),
        Outcome::TxnFailed(vec![TxnError { op: 1, text: "no".into() }]),
        Outcome::Rejected(Rejected { text: "no".into() }),
    ];
    let mut answers = vec![
        CallAnswer::Http(response),
        CallAnswer::NotLeader(Some(A)),
        CallAnswer::NotLeader(None),
        CallAnswer::Failed("rpc error".into()),
        CallAnswer::Done,
        CallAnswer::Node(Some(Box::new(register))),
        CallAnswer::Node(None),
        CallAnswer::Peers(vec![A, B]),
        CallAnswer::Dns(b"answer".to_vec().into()),
        CallAnswer::Keys(vec![keys]),
    ];
    answers.extend(outcomes.into_iter().map(CallAnswer::Applied));
    answers
}

fn samples() -> Vec<PeerMessage> {
    let mut samples: Vec<_> = raft().into_iter().map(PeerMessage::Raft).collect();
    let call = |call| PeerMessage::Call { id: CallId(300), hops: 2, call: Box::new(call) };
    samples.extend(calls().into_iter().map(call));
    let reply = |answer| PeerMessage::Reply { id: CallId(300), answer: Box::new(answer) };
    samples.extend(answers().into_iter().map(reply));
    samples.push(PeerMessage::Abandon(CallId(300)));
    samples.push(PeerMessage::StateHash { index: LogIndex(1024), hash: u64::MAX });
    samples
}

/// The variant and what it holds. Whoever adds one is sent here, and adds a sample above.
fn name(message: &PeerMessage) -> &'static str {
    match message {
        PeerMessage::Raft(message) => match message {
            Message::RequestVote { .. } => "raft.request-vote",
            Message::Vote { .. } => "raft.vote",
            Message::Append { .. } => "raft.append",
            Message::Appended { .. } => "raft.appended",
            Message::Snapshot { .. } => "raft.snapshot",
            Message::SnapshotStored { .. } => "raft.snapshot-stored",
            Message::TimeoutNow { .. } => "raft.timeout-now",
        },
        PeerMessage::Call { call, .. } => match **call {
            Call::Http(_) => "call.http",
            Call::Apply(_) => "call.apply",
            Call::Serve(_) => "call.serve",
            Call::Submit(_) => "call.submit",
            Call::Node(_) => "call.node",
            Call::Place(_) => "call.place",
            Call::Peers => "call.peers",
            Call::Dns(..) => "call.dns",
            Call::Keys(_) => "call.keys",
        },
        PeerMessage::Reply { answer, .. } => match **answer {
            CallAnswer::Http(_) => "reply.http",
            CallAnswer::Applied(_) => "reply.applied",
            CallAnswer::NotLeader(_) => "reply.not-leader",
            CallAnswer::Failed(_) => "reply.failed",
            CallAnswer::Done => "reply.done",
            CallAnswer::Node(_) => "reply.node",
            CallAnswer::Peers(_) => "reply.peers",
            CallAnswer::Dns(_) => "reply.dns",
            CallAnswer::Keys(_) => "reply.keys",
        },
        PeerMessage::Abandon(_) => "abandon",
        PeerMessage::StateHash { .. } => "state-hash",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

#[test]
fn version_1_messages_are_read_for_ever() {
    let golden: Vec<&str> = include_str!("../testdata/messages-v1.txt").lines().collect();
    let samples = samples();
    let line = |message: &PeerMessage| {
        format!("{} {}", name(message), hex(&encode(message).expect("a sample is small")))
    };
    let ours: Vec<String> = samples.iter().map(line).collect();
    assert_eq!(ours, golden, "messages are written as they ever were:\n{}", ours.join("\n"));
    for (message, line) in samples.iter().zip(golden) {
        let (_, bytes) = line.split_once(' ').unwrap();
        assert_eq!(decode::<PeerMessage>(&unhex(bytes)).as_ref(), Ok(message));
    }
}
