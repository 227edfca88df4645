//! What a server sees that is not alone: datacenters beside its own, a failed neighbour, events.

use bytes::Bytes;
use proconsul_catalog::{CheckRegistration, Command, NodeRegistration, Place, Register};
use proconsul_gossip::{Clocks, Member, QueueLengths};
use proconsul_http::{
    AutopilotHealth, KeyAction, KeyringAnswer, KeyringOp, PoolMembers, PoolView, ServerHealth,
    UserEvent,
};
use proconsul_types::{
    CheckStatus, Coordinate, Duration, LamportTime, LogIndex, MemberStatus, NodeId,
    ServiceRegistration, Term, WallTime,
};
use std::sync::Arc;

const KEY: &str = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=";

fn at(x: f64) -> Coordinate {
    let vector = [x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    Coordinate { vector, error: 1.5, adjustment: 0.0, height: 1e-5 }
}

fn member(name: &str, host: u8, datacenter: &str, role: &str, status: MemberStatus) -> Arc<Member> {
    let tags = [("dc", datacenter), ("role", role), ("vsn", "2")];
    let tags = tags.map(|(key, value)| (Arc::from(key), Arc::from(value))).into();
    let address = ([127, 0, 0, host], 8301).into();
    let tags = Arc::new(tags);
    let mut member =
        Member { name: name.into(), address, tags, status, versions: Default::default() };
    let versions = &mut member.versions;
    (versions.protocol_min, versions.protocol_max, versions.protocol) = (1, 5, 2);
    (versions.delegate_min, versions.delegate_max, versions.delegate) = (2, 5, 4);
    Arc::new(member)
}

fn event(id: &str, name: &str, payload: &'static [u8], time: u64) -> Arc<UserEvent> {
    Arc::new(UserEvent {
        id: id.into(),
        name: name.into(),
        payload: Bytes::from_static(payload),
        node_filter: "".into(),
        service_filter: "web".into(),
        tag_filter: "".into(),
        version: 1,
        time: LamportTime(time),
    })
}

/// Two datacenters beside the own one, of which `dc2` is the further, and `dc4`, whose place nobody
/// knows; a neighbour that failed, a client agent.
pub(crate) fn meet() -> PoolView {
    use MemberStatus::{Alive, Failed, Left};
    let pool = |members: Vec<Arc<Member>>, places: &[(&str, f64)]| {
        Arc::new(PoolMembers {
            members,
            coordinate: at(0.5),
            coordinates: places.iter().map(|(name, x)| (Arc::from(*name), at(*x))).collect(),
            encrypted: true,
            health_score: 1,
            clocks: Clocks { member: LamportTime(7), event: LamportTime(3), query: LamportTime(2) },
            queues: QueueLengths { intents: 1, events: 2, queries: 3 },
            coordinate_resets: 4,
        })
    };
    let lan = vec![
        member("kit1", 1, "dc1", "consul", Alive),
        member("kit2", 2, "dc1", "consul", Failed),
        member("kit3", 3, "dc1", "node", Alive),
    ];
    let wan = vec![
        member("a.dc4", 6, "dc4", "consul", Alive),
        member("b.dc3", 5, "dc3", "consul", Left),
        member("far.dc2", 4, "dc2", "consul", Alive),
        member("kit1.dc1", 1, "dc1", "consul", Alive),
        member("near.dc3", 5, "dc3", "consul", Failed),
    ];
    let server = ServerHealth {
        id: NodeId::from_bits(0x5f40_40b1_4f76_a6f5_f303_bccf_084d_f4ec),
        name: "kit1".into(),
        address: Some(([127, 0, 0, 1], 8300).into()),
        status: Alive,
        version: "1.8.7".into(),
        leader: true,
        last_contact: Some(Duration::ZERO),
        last_term: Term(2),
        last_index: LogIndex(26),
        healthy: true,
        voter: true,
        stable_since: WallTime(1_795_345_463_000),
    };
    let silent = ServerHealth {
        name: "kit2".into(),
        address: None,
        status: Failed,
        leader: false,
        last_contact: None,
        healthy: false,
        ..server.clone()
    };
    let autopilot =
        AutopilotHealth { healthy: false, failure_tolerance: 0, servers: vec![server, silent] };
    PoolView {
        lan: Some(pool(lan, &[])),
        wan: Some(pool(wan, &[("far.dc2", 3.0), ("near.dc3", 0.75), ("b.dc3", 9.0)])),
        events: Arc::new(vec![
            event("a65a1b02-9737-219b-459d-7121feb02521", "deploy", b"payload", 2),
            event("9ffd7c69-da7b-6884-9cac-55d28ca9e833", "other", b"", 3),
        ]),
        autopilot: Some(Arc::new(autopilot)),
        datacenters: Arc::new(["dc1", "dc2", "dc3", "dc4"].map(Arc::from).to_vec()),
        known_servers: 2,
    }
}

/// Three more nodes with an instance of `web` each: `away`, `close`, and `lost`, whose place nobody
/// knows.
pub(crate) fn commands() -> Vec<Command> {
    let place = |node: &str, x| Place { node: node.into(), segment: "".into(), coordinate: at(x) };
    let mut commands = vec![];
    for node in ["away", "close", "lost"] {
        let register = Register {
            node: NodeRegistration {
                name: node.into(),
                address: "10.0.0.1".into(),
                datacenter: "dc1".into(),
                ..NodeRegistration::default()
            },
            skip_node_update: false,
            services: vec![ServiceRegistration {
                id: "web".into(),
                name: "web".into(),
                ..ServiceRegistration::default()
            }],
            checks: vec![CheckRegistration {
                id: "c".into(),
                status: CheckStatus::Passing,
                service_id: "web".into(),
                ..CheckRegistration::default()
            }],
        };
        commands.push(Command::Register(Box::new(register)));
    }
    let places = vec![place("away", 2.0), place("close", 0.125), place("kit1", 0.0)];
    commands.push(Command::Coordinates(places));
    commands
}

/// Two pools that list one key and refuse to forget it.
pub(crate) fn answers(op: &KeyringOp) -> Vec<KeyringAnswer> {
    let mut answer = KeyringAnswer {
        datacenter: "dc1".into(),
        keys: [(KEY.into(), 1)].into(),
        primary_keys: [(KEY.into(), 1)].into(),
        members: 1,
        ..KeyringAnswer::default()
    };
    let mut answers = Vec::new();
    for wan in [true, false] {
        if wan && op.local_only {
            continue;
        }
        answer.wan = wan;
        if op.action == KeyAction::Remove {
            answer.error = Some("1/1 nodes reported failure".into());
            let name = if wan { "kit1.dc1" } else { "kit1" };
            let text = "Removing the primary key is not allowed";
            answer.messages = [(name.into(), text.into())].into();
        } else if op.relay_factor == 3 {
            let text = "truncated key list response, showing first 1 of 60 keys";
            answer.messages = [("kit1".into(), text.into())].into();
        }
        answers.push(answer.clone());
    }
    answers
}
