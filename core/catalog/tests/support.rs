//! Short ways to say commands, and a strategy that draws them.

use proconsul_catalog::{
    Applied, AutopilotChange, AutopilotConfig, Catalog, CheckRegistration, Command, Deregister,
    KvOp, KvVerb, NodeRegistration, Outcome, Place, RecordVerb, Register, SessionCreate, TxnOp,
};
use proconsul_types::{
    CatalogIndex, CheckStatus, Coordinate, Duration, NodeId, Planted, ServiceRegistration,
    SessionBehavior, SessionId,
};
use proptest::prelude::*;
use std::sync::Arc;

/// A catalog and the next index. The first entry of a log is never a command.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) next: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Planted::none())
    }

    pub(crate) fn with(planted: Planted) -> Self {
        Self { catalog: Catalog::new(Arc::from("dc1"), planted), next: 2 }
    }

    pub(crate) fn apply(&mut self, command: &Command) -> Applied {
        let applied = self.catalog.apply(CatalogIndex(self.next), command);
        self.next += 1;
        applied
    }

    pub(crate) fn does(&mut self, command: &Command) -> Outcome {
        self.apply(command).outcome
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) -> u64 {
        self.does(&kv(KvVerb::Set, key, value));
        self.next - 1
    }

    pub(crate) fn refused(&mut self, command: &Command) -> String {
        let outcome = self.does(command);
        let Outcome::Rejected(rejected) = outcome else {
            panic!("not refused: {outcome:?}");
        };
        rejected.text
    }
}

pub(crate) fn kv_op(verb: KvVerb, key: &str, value: &str) -> KvOp {
    KvOp { verb, key: key.into(), value: value.as_bytes().into(), flags: 0 }
}

pub(crate) fn kv(verb: KvVerb, key: &str, value: &str) -> Command {
    Command::Kv(kv_op(verb, key, value))
}

pub(crate) fn node(name: &str, id: Option<u128>) -> NodeRegistration {
    NodeRegistration {
        id: id.map(NodeId::from_bits),
        name: name.into(),
        address: "10.0.0.1".into(),
        datacenter: "dc1".into(),
        ..NodeRegistration::default()
    }
}

pub(crate) fn service(id: &str, name: &str) -> ServiceRegistration {
    ServiceRegistration { id: id.into(), name: name.into(), ..ServiceRegistration::default() }
}

pub(crate) fn check(id: &str, service_id: &str, status: CheckStatus) -> CheckRegistration {
    CheckRegistration {
        id: id.into(),
        name: id.into(),
        status,
        service_id: service_id.into(),
        ..CheckRegistration::default()
    }
}

pub(crate) fn register(
    node: NodeRegistration,
    services: Vec<ServiceRegistration>,
    checks: Vec<CheckRegistration>,
) -> Command {
    Command::Register(Box::new(Register { node, skip_node_update: false, services, checks }))
}

pub(crate) fn deregister(node: &str, service: Option<&str>, check: Option<&str>) -> Command {
    Command::Deregister(Deregister {
        node: node.into(),
        service_id: service.map(Arc::from),
        check_id: check.map(Arc::from),
    })
}

pub(crate) fn session(id: u128, node: &str, checks: &[&str]) -> SessionCreate {
    SessionCreate {
        id: SessionId::from_bits(id),
        name: "".into(),
        node: node.into(),
        lock_delay: Duration::from_secs(15),
        behavior: SessionBehavior::Release,
        ttl: "".into(),
        node_checks: checks.iter().map(|check| Arc::from(*check)).collect(),
        service_checks: Box::default(),
    }
}

pub(crate) fn create(session: SessionCreate) -> Command {
    Command::SessionCreate(Box::new(session))
}

fn any_key() -> impl Strategy<Value = String> {
    "[ab/]{0,4}"
}

fn any_session() -> impl Strategy<Value = SessionId> {
    (1_u128..6).prop_map(SessionId::from_bits)
}

fn any_index() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1_u64..40]
}

fn any_kv() -> impl Strategy<Value = KvOp> {
    let verb = prop_oneof![
        6 => Just(KvVerb::Set),
        2 => any_index().prop_map(KvVerb::Cas),
        3 => Just(KvVerb::Delete),
        2 => any_index().prop_map(KvVerb::DeleteCas),
        1 => Just(KvVerb::DeleteTree),
        4 => any_session().prop_map(KvVerb::Acquire),
        2 => any_session().prop_map(KvVerb::Release),
    ];
    (verb, any_key(), "[xy]{0,2}", 0_u64..2).prop_map(|(verb, key, value, flags)| KvOp {
        verb,
        key: key.into(),
        value: value.as_bytes().into(),
        flags,
    })
}

fn any_txn_op() -> impl Strategy<Value = TxnOp> {
    let key = || any_key().prop_map(Arc::from);
    prop_oneof![
        8 => any_kv().prop_map(TxnOp::Write),
        1 => key().prop_map(TxnOp::Get),
        1 => key().prop_map(TxnOp::GetTree),
        1 => (key(), any_index()).prop_map(|(key, index)| TxnOp::CheckIndex(key, index)),
        1 => (key(), any_session()).prop_map(|(key, id)| TxnOp::CheckSession(key, id)),
        1 => key().prop_map(TxnOp::CheckNotExists),
        1 => (key(), proptest::option::of(any_session())).prop_map(|(key, id)| {
            TxnOp::CheckHolder(key, id.map(|id| id.to_string()).unwrap_or_default().into())
        }),
        3 => (any_record_verb(), any_node())
            .prop_map(|(verb, node)| TxnOp::Node(verb, Box::new(node))),
        3 => (any_record_verb(), "[mnN]", any_service())
            .prop_map(|(verb, node, service)| TxnOp::Service(verb, node.into(), Box::new(service))),
        3 => (any_record_verb(), "[mnN]", any_check())
            .prop_map(|(verb, node, check)| TxnOp::Check(verb, node.into(), Box::new(check))),
    ]
}

fn any_record_verb() -> impl Strategy<Value = RecordVerb> {
    prop_oneof![
        1 => Just(RecordVerb::Get),
        4 => Just(RecordVerb::Set),
        2 => any_index().prop_map(RecordVerb::Cas),
        2 => Just(RecordVerb::Delete),
        1 => any_index().prop_map(RecordVerb::DeleteCas),
    ]
}

fn any_status() -> impl Strategy<Value = CheckStatus> {
    prop_oneof![
        3 => Just(CheckStatus::Passing), 1 => Just(CheckStatus::Warning),
        1 => Just(CheckStatus::Critical)
    ]
}

fn any_node() -> impl Strategy<Value = NodeRegistration> {
    ("[mnN]", proptest::option::of(1_u128..4), 1..3).prop_map(|(name, id, address)| {
        NodeRegistration { address: format!("10.0.0.{address}").into(), ..node(&name, id) }
    })
}

fn any_service() -> impl Strategy<Value = ServiceRegistration> {
    ("[st]", "[vwV]", 0..2, proptest::collection::vec("[pq]", 0..2)).prop_map(
        |(id, name, port, tags)| ServiceRegistration {
            port,
            tags: tags.into_iter().map(Arc::from).collect(),
            ..service(&id, &name)
        },
    )
}

fn any_check() -> impl Strategy<Value = CheckRegistration> {
    ("[cd]", prop_oneof![Just(""), Just("s"), Just("t")], any_status(), "[o]{0,1}").prop_map(
        |(id, service, status, output)| CheckRegistration {
            output: output.into(),
            ..check(&id, service, status)
        },
    )
}

fn any_register() -> impl Strategy<Value = Command> {
    (
        any_node(),
        any::<bool>(),
        proptest::collection::vec(any_service(), 0..3),
        proptest::collection::vec(any_check(), 0..3),
    )
        .prop_map(|(node, skip_node_update, services, checks)| {
            Command::Register(Box::new(Register { node, skip_node_update, services, checks }))
        })
}

fn any_deregister() -> impl Strategy<Value = Command> {
    ("[mnN]", proptest::option::of("[st]"), proptest::option::of("[cd]"))
        .prop_map(|(node, service, check)| deregister(&node, service.as_deref(), check.as_deref()))
}

fn any_create() -> impl Strategy<Value = Command> {
    (any_session(), "[mn]", any::<bool>(), 0_u64..2, proptest::collection::vec("[cd]", 0..2))
        .prop_map(|(id, node, deletes, delay, checks)| {
            let checks: Vec<&str> = checks.iter().map(String::as_str).collect();
            create(SessionCreate {
                behavior: if deletes { SessionBehavior::Delete } else { SessionBehavior::Release },
                lock_delay: Duration::from_secs(delay),
                ..session(id.0, &node, &checks)
            })
        })
}

/// Where a node is: `x` seconds from everyone.
pub(crate) fn place(node: &str, segment: &str, x: f64) -> Place {
    let vector = [x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5];
    let coordinate = Coordinate { vector, error: 1.5, adjustment: -0.25, height: 1e-5 };
    Place { node: node.into(), segment: segment.into(), coordinate }
}

fn any_place() -> impl Strategy<Value = Place> {
    let number = prop_oneof![4 => Just(0.5), 2 => -1.0..1.0, 1 => Just(f64::NAN)];
    ("[mnN]", "[a]{0,1}", number).prop_map(|(node, segment, x)| place(&node, &segment, x))
}

pub(crate) fn autopilot(cleanup: bool, trailing: u64, cas: Option<u64>) -> Command {
    let config = AutopilotConfig {
        cleanup_dead_servers: cleanup,
        max_trailing_logs: trailing,
        ..AutopilotConfig::default()
    };
    Command::Autopilot(Box::new(AutopilotChange { config, cas }))
}

/// Commands over few names, so that they meet.
pub(crate) fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        10 => any_kv().prop_map(Command::Kv),
        3 => proptest::collection::vec(any_txn_op(), 0..4).prop_map(Command::Txn),
        8 => any_register(),
        2 => any_deregister(),
        4 => any_create(),
        1 => any_session().prop_map(Command::SessionDestroy),
        2 => proptest::collection::vec(any_key().prop_map(Arc::from), 0..6)
            .prop_map(Command::LockDelayOver),
        2 => proptest::collection::vec(any_place(), 0..4).prop_map(Command::Coordinates),
        1 => (any::<bool>(), 0_u64..3, proptest::option::of(any_index()))
            .prop_map(|(cleanup, trailing, cas)| autopilot(cleanup, trailing, cas)),
    ]
}
