//! What an agent offers, under virtual time: a small host performs the effects, a real catalog
//! takes the writes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use proconsul_catalog::{Catalog, Command, NodeRegistration, Outcome};
use proconsul_checks::parse::Scripts;
use proconsul_checks::{
    CheckDefinition, CheckKind, CheckOutcome, CheckRun, Local, LocalConfig, LocalEffect,
    NODE_MAINTENANCE, ProbeSpec, ServiceDefinition, Synced, Ticket, parse,
};
use proconsul_disk::{FileOp, IoError, IoToken};
use proconsul_types::{
    CatalogIndex, CheckStatus, Duration, Instant, Planted, Rng, Seed, ServiceRegistration, WallTime,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: Duration = Duration::from_secs(1);
const WALL: i64 = 1_795_000_000_000;

/// One agent, its disk and the cluster's catalog.
#[derive(Clone)]
struct Host {
    now: Instant,
    local: Local,
    catalog: Catalog,
    config: LocalConfig,
    files: BTreeMap<Arc<str>, Bytes>,
    io: Vec<(IoToken, Arc<str>)>,
    runs: Vec<(CheckRun, ProbeSpec, Instant)>,
    stopped: Vec<CheckRun>,
    settled: Vec<(Ticket, bool)>,
    notices: Vec<String>,
    /// What the catalog was told.
    synced: Vec<Synced>,
    /// Checks whose runs ended badly, and those nobody spoke for.
    failed: Vec<Arc<str>>,
    /// Nobody takes writes for the catalog.
    no_leader: bool,
    broken_disk: bool,
    commands: usize,
    sync_due: bool,
}

fn config() -> LocalConfig {
    let mut config = LocalConfig::new(NodeRegistration {
        name: "n0".into(),
        address: "127.0.0.1".into(),
        datacenter: "dc1".into(),
        ..NodeRegistration::default()
    });
    config.durable = true;
    config
}

impl Host {
    fn new() -> Self {
        Self::with(config(), BTreeMap::new(), Catalog::new("dc1".into(), Planted::none()))
    }

    fn with(config: LocalConfig, files: BTreeMap<Arc<str>, Bytes>, catalog: Catalog) -> Self {
        let now = Instant::START;
        let mut out = Vec::new();
        let rng = Rng::new(Seed(5)).split("checks");
        let local = Local::new(config.clone(), rng, &files, now, &mut out);
        let mut host = Self {
            now,
            local,
            catalog,
            config,
            files,
            io: Vec::new(),
            runs: Vec::new(),
            stopped: Vec::new(),
            settled: Vec::new(),
            notices: Vec::new(),
            synced: Vec::new(),
            failed: Vec::new(),
            no_leader: false,
            broken_disk: false,
            commands: 0,
            sync_due: false,
        };
        host.perform(out);
        let mut out = Vec::new();
        host.local.on_wall_clock(WallTime(WALL), now, &mut out);
        host.perform(out);
        host
    }

    /// The same disk and catalog, a new life.
    fn restart(&self) -> Self {
        Self::with(self.config.clone(), self.files.clone(), self.catalog.clone())
    }

    fn perform(&mut self, effects: Vec<LocalEffect>) {
        for effect in effects {
            match effect {
                LocalEffect::RunCheck(run, spec) => self.runs.push((run, spec, self.now)),
                LocalEffect::StopCheck(run) => self.stopped.push(run),
                LocalEffect::File(op) => self.file(op),
                LocalEffect::Settled(ticket, result) => {
                    self.settled.push((ticket, result.is_ok()));
                }
                LocalEffect::Notice(text)
                | LocalEffect::Warning(text)
                | LocalEffect::SyncFailed(text) => self.notices.push(text),
                LocalEffect::Synced(synced) => self.synced.push(synced),
                LocalEffect::CheckFailed(id, _) | LocalEffect::TtlMissed(id) => {
                    self.failed.push(id);
                }
                LocalEffect::SyncDue => self.sync_due = true,
                LocalEffect::Changed | LocalEffect::CheckChanged(..) => {}
            }
        }
        self.local.check_invariants();
    }

    fn file(&mut self, op: FileOp) {
        match op {
            FileOp::Create { file, .. } => {
                self.files.insert(file, Bytes::new());
            }
            FileOp::Write { file, bytes, .. } => {
                self.files.insert(file, bytes);
            }
            FileOp::Sync { file, token, .. } => self.io.push((token, file)),
            FileOp::SyncDir { dir, token, .. } => self.io.push((token, dir)),
            FileOp::Rename { from, to, .. } => {
                let bytes = self.files.remove(&from).expect("what is renamed is there");
                self.files.insert(to, bytes);
            }
            FileOp::Unlink { file, .. } => {
                self.files.remove(&file);
            }
        }
    }

    /// Lets the disk and the catalog catch up.
    fn settle(&mut self) {
        loop {
            let mut out = Vec::new();
            for (token, file) in std::mem::take(&mut self.io) {
                let result = if self.broken_disk {
                    Err(IoError { file, reason: "no space left on device".into() })
                } else {
                    Ok(())
                };
                assert!(self.local.on_io(token, result, &mut out));
            }
            self.perform(out);
            if std::mem::take(&mut self.sync_due) {
                let mut out = Vec::new();
                let plan = self.local.sync_plan(self.now, &self.catalog, &mut out);
                for (id, command) in plan {
                    self.commands += 1;
                    let result = self.write(&command);
                    self.local.on_synced(id, result, self.now, &mut out);
                }
                self.perform(out);
            }
            if let Some((at, _)) = self.local.next_wakeup().filter(|(at, _)| *at <= self.now) {
                assert!(at <= self.now);
                let mut out = Vec::new();
                self.local.on_wake(self.now, &mut out);
                self.perform(out);
            } else if self.io.is_empty() && !self.sync_due {
                return;
            }
        }
    }

    fn write(&mut self, command: &Command) -> Result<(), String> {
        if self.no_leader {
            return Err("No cluster leader".into());
        }
        let index = CatalogIndex(self.catalog.index().0 + 1);
        match self.catalog.apply(index, command).outcome {
            Outcome::Rejected(rejected) => Err(rejected.text),
            Outcome::Done
            | Outcome::Answer(_)
            | Outcome::Session(_)
            | Outcome::Txn(_)
            | Outcome::TxnFailed(_) => Ok(()),
        }
    }

    /// Time passes; probes answer `status` at once.
    fn run(&mut self, duration: Duration, status: CheckStatus) {
        let end = self.now.after(duration);
        self.settle();
        while let Some((at, _)) = self.local.next_wakeup().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            let seen = self.runs.len();
            let mut out = Vec::new();
            self.local.on_wake(self.now, &mut out);
            self.perform(out);
            let begun: Vec<CheckRun> = self.runs[seen..].iter().map(|(run, ..)| *run).collect();
            for run in begun {
                let mut out = Vec::new();
                let outcome = CheckOutcome { status, output: format!("said {status}") };
                self.local.on_check_done(run, &outcome, self.now, &mut out);
                self.perform(out);
            }
            self.settle();
        }
        self.now = end;
    }

    fn pass(&mut self, duration: Duration) {
        self.run(duration, CheckStatus::Passing);
    }

    fn register(&mut self, body: &str) -> Option<Ticket> {
        let service =
            parse::service_registration(body.as_bytes(), Scripts::Refused).expect("a good service");
        let mut out = Vec::new();
        let ticket = self.local.register_service(service, false, self.now, &mut out).unwrap();
        self.perform(out);
        ticket
    }

    fn register_check(&mut self, body: &str) {
        let check =
            parse::check_registration(body.as_bytes(), Scripts::Refused).expect("a good check");
        let mut out = Vec::new();
        self.local.register_check(check, self.now, &mut out).unwrap();
        self.perform(out);
    }

    fn ttl(&mut self, id: &str, status: CheckStatus, note: &str) {
        let mut out = Vec::new();
        self.local.update_ttl(id, status, note, self.now, &mut out).unwrap();
        self.perform(out);
        self.settle();
    }

    fn status(&self, id: &str) -> CheckStatus {
        self.local.view().checks[id].status
    }

    fn output(&self, id: &str) -> String {
        self.local.view().checks[id].output.to_string()
    }

    fn deregister(&mut self, id: &str) {
        let mut out = Vec::new();
        self.local.deregister_service(id, self.now, &mut out).unwrap();
        self.perform(out);
    }

    /// The catalog says exactly what the agent offers.
    fn assert_converged(&self) {
        let view = self.local.view();
        let services: Vec<_> =
            self.catalog.node_services("n0").map(|s| s.registration.id.clone()).collect();
        assert_eq!(services, view.services.keys().cloned().collect::<Vec<_>>());
        let checks: BTreeMap<_, _> =
            self.catalog.node_checks("n0").map(|c| (c.id.clone(), c.status)).collect();
        let own: BTreeMap<_, _> =
            view.checks.iter().map(|(id, c)| (id.clone(), c.status)).collect();
        assert_eq!(checks, own);
        assert!(view.services.values().all(|service| service.in_sync));
        assert!(view.checks.values().all(|check| check.in_sync));
    }
}

#[test]
fn a_ttl_runs_out_and_each_word_restarts_it() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Check":{"TTL":"10s"}}"#);
    assert_eq!(host.status("service:web"), CheckStatus::Critical);
    host.ttl("service:web", CheckStatus::Passing, "hello");
    host.pass(9 * SECOND);
    host.ttl("service:web", CheckStatus::Warning, "slow");
    host.pass(9 * SECOND);
    assert_eq!(host.status("service:web"), CheckStatus::Warning);
    host.pass(2 * SECOND);
    assert_eq!(host.status("service:web"), CheckStatus::Critical);
    let text = "TTL expired (last output before timeout follows): slow";
    assert_eq!(host.output("service:web"), text);
    assert_eq!(host.failed, ["service:web".into()]);
    host.assert_converged();
}

#[test]
fn a_status_survives_registering_again() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Port":80,"Check":{"TTL":"60s"}}"#);
    host.ttl("service:web", CheckStatus::Passing, "hello");
    host.register(r#"{"Name":"web","Port":81,"Check":{"TTL":"60s","Status":"warning"}}"#);
    assert_eq!(host.status("service:web"), CheckStatus::Passing);
    assert_eq!(host.output("service:web"), "hello");
    host.pass(SECOND);
    host.assert_converged();
    assert_eq!(host.catalog.service("n0", "web").unwrap().registration.port, 81);
}

#[test]
fn probes_start_staggered_and_repeat_one_at_a_time() {
    let mut host = Host::new();
    host.register_check(r#"{"Name":"a","HTTP":"http://h/","Interval":"10s"}"#);
    host.register_check(r#"{"Name":"b","TCP":"h:1","Interval":"10s"}"#);
    host.pass(40 * SECOND);
    assert!((7..=9).contains(&host.runs.len()), "{} runs", host.runs.len());
    assert!(host.runs[0].2 < Instant::START.after(10 * SECOND));
    assert_ne!(host.runs[0].2, host.runs[1].2, "the first runs are spread");
    assert_eq!(host.status("a"), CheckStatus::Passing);
    let (run, spec, _) = host.runs[0].clone();
    let spec_timeout = match spec {
        ProbeSpec::Http { timeout, .. }
        | ProbeSpec::Tcp { timeout, .. }
        | ProbeSpec::Script { timeout, .. } => timeout,
    };
    assert_eq!(spec_timeout, 10 * SECOND);
    // A run that ended long ago changes nothing.
    let late = CheckOutcome { status: CheckStatus::Critical, output: "late".into() };
    let mut out = Vec::new();
    host.local.on_check_done(run, &late, host.now, &mut out);
    assert_eq!(out, []);
}

#[test]
fn a_probe_whose_answer_never_comes_counts_as_failed() {
    let mut host = Host::new();
    host.register_check(
        r#"{"Name":"a","Status":"passing","TCP":"h:1","Interval":"10s","Timeout":"1s"}"#,
    );
    let end = Instant::START.after(20 * SECOND);
    while let Some((at, _)) = host.local.next_wakeup().filter(|(at, _)| *at <= end) {
        host.now = at;
        let mut out = Vec::new();
        host.local.on_wake(at, &mut out);
        host.perform(out);
        host.settle();
    }
    assert!(!host.stopped.is_empty());
    assert_eq!(host.status("a"), CheckStatus::Critical);
    assert_eq!(host.output("a"), "dial tcp h:1: i/o timeout");
}

#[test]
fn thresholds_count_results_in_a_row() {
    let mut host = Host::new();
    host.register_check(
        r#"{"Name":"a","TCP":"h:1","Interval":"1s","SuccessBeforePassing":3,"FailuresBeforeCritical":3}"#,
    );
    let results = |host: &mut Host, status, wanted: CheckStatus| {
        let before = host.runs.len();
        for _ in 0..200 {
            if host.status("a") == wanted {
                break;
            }
            host.run(SECOND / 20, status);
        }
        host.runs.len() - before
    };
    let (passing, warning, critical) =
        (CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical);
    assert_eq!(results(&mut host, passing, passing), 1, "the first result counts at once");
    assert_eq!(results(&mut host, warning, warning), 1);
    assert_eq!(results(&mut host, passing, passing), 1);
    assert_eq!(results(&mut host, critical, critical), 3);
    assert_eq!(results(&mut host, warning, warning), 3);
    assert_eq!(results(&mut host, critical, critical), 3);
    assert_eq!(results(&mut host, passing, passing), 3);
}

#[test]
fn what_is_critical_for_too_long_is_deregistered() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Check":{"TTL":"10s","DeregisterCriticalServiceAfter":"5s"}}"#);
    host.ttl("service:web", CheckStatus::Passing, "");
    host.pass(60 * SECOND);
    // Critical for 50 s: less than the minute it is raised to.
    assert!(host.local.view().services.contains_key("web"));
    host.pass(45 * SECOND);
    assert!(host.local.view().services.is_empty());
    assert!(host.catalog.node_services("n0").next().is_none());
    assert!(host.catalog.node_checks("n0").next().is_none());
    assert!(!host.files.keys().any(|path| path.starts_with("services/")));
    assert_eq!(host.local.next_wakeup().map(|(at, _)| at > host.now), Some(true));
}

#[test]
fn maintenance_keeps_its_first_reason() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web"}"#);
    let mut out = Vec::new();
    let now = host.now;
    let none = host.local.service_maintenance("nope", true, "", now, &mut out).unwrap_err();
    assert_eq!((none.status, &*none.text), (404, "No service registered with ID \"nope\""));
    host.local.service_maintenance("web", true, "upgrade", now, &mut out).unwrap();
    host.local.service_maintenance("web", true, "other", now, &mut out).unwrap();
    host.local.node_maintenance(true, "", now, &mut out).unwrap();
    host.perform(out);
    host.pass(SECOND);
    host.assert_converged();
    let view = host.local.view();
    let check = &view.checks["_service_maintenance:web"];
    assert_eq!(&*check.definition.notes, "upgrade");
    assert_eq!(&*check.definition.name, "Service Maintenance Mode");
    assert_eq!(check.definition.type_word(), "maintenance");
    assert_eq!(check.status, CheckStatus::Critical);
    let node = &view.checks[NODE_MAINTENANCE];
    assert!(node.definition.notes.starts_with("Maintenance mode is enabled for this node, but"));
    let mut again = host.restart();
    assert_eq!(again.status("_service_maintenance:web"), CheckStatus::Critical);
    assert_eq!(&*again.local.view().checks["_service_maintenance:web"].definition.notes, "upgrade");
    let mut out = Vec::new();
    again.local.service_maintenance("web", false, "", Instant::START, &mut out).unwrap();
    again.local.node_maintenance(false, "", Instant::START, &mut out).unwrap();
    again.perform(out);
    again.pass(SECOND);
    again.assert_converged();
    assert!(again.local.view().checks.is_empty());
}

#[test]
fn aliases_follow_what_they_stand_for() {
    let mut host = Host::new();
    host.register(r#"{"Name":"db","Check":{"TTL":"1h"}}"#);
    host.register(r#"{"Name":"web","Check":{"AliasService":"db"}}"#);
    host.register(r#"{"Name":"edge","Check":{"AliasService":"web"}}"#);
    assert_eq!(host.status("service:edge"), CheckStatus::Critical);
    host.ttl("service:db", CheckStatus::Passing, "");
    assert_eq!(host.status("service:web"), CheckStatus::Passing);
    assert_eq!(host.output("service:edge"), "All checks passing.");
    host.ttl("service:db", CheckStatus::Warning, "slow");
    assert_eq!(host.output("service:web"), "Aliased check \"Service 'db' check\" failing: slow");
    host.register_check(r#"{"Name":"node","TTL":"1h"}"#);
    assert_eq!(host.status("service:edge"), CheckStatus::Critical, "the node's checks count too");
    host.register(r#"{"Name":"lone","Check":{"AliasNode":"elsewhere"}}"#);
    assert!(host.local.wants_catalog());
    let mut out = Vec::new();
    let catalog = host.catalog.clone();
    host.local.on_catalog(&catalog, host.now, &mut out);
    host.perform(out);
    assert_eq!(host.status("service:lone"), CheckStatus::Critical, "an unknown node is no crash");
}

#[test]
fn the_catalog_is_made_to_agree() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Port":80,"Checks":[{"TTL":"1h"},{"TTL":"1h"}]}"#);
    host.pass(SECOND);
    host.assert_converged();
    assert_eq!(host.catalog.node_checks("n0").count(), 2);
    let settled = host.commands;
    host.pass(30 * SECOND);
    assert_eq!(host.commands, settled, "nothing is written while nothing changes");
    // Somebody else changes what is ours and adds what is not.
    let mut other = Host::with(config(), BTreeMap::new(), host.catalog.clone());
    other.register(r#"{"Name":"web","Port":99}"#);
    other.register(r#"{"Name":"stray"}"#);
    other.pass(SECOND);
    host.catalog = other.catalog;
    let serf = Command::Register(Box::new(proconsul_catalog::Register {
        node: config().node,
        skip_node_update: true,
        services: vec![ServiceRegistration {
            id: "consul".into(),
            name: "consul".into(),
            ..ServiceRegistration::default()
        }],
        checks: vec![proconsul_catalog::CheckRegistration {
            id: "serfHealth".into(),
            status: CheckStatus::Passing,
            ..proconsul_catalog::CheckRegistration::default()
        }],
    }));
    host.write(&serf).unwrap();
    host.pass(125 * SECOND);
    assert_eq!(host.catalog.service("n0", "web").unwrap().registration.port, 80);
    assert!(host.catalog.service("n0", "stray").is_none());
    assert!(host.catalog.service("n0", "consul").is_some(), "the servers' service stays");
    assert!(host.catalog.check("n0", "serfHealth").is_some(), "the servers' check stays");
}

#[test]
fn everything_is_registered_again_when_the_catalog_is_lost() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Check":{"TTL":"1h"}}"#);
    host.register_check(r#"{"Name":"node","TTL":"1h"}"#);
    host.pass(SECOND);
    host.assert_converged();
    host.catalog = Catalog::new("dc1".into(), Planted::none());
    host.pass(125 * SECOND);
    host.assert_converged();
}

#[test]
fn a_deregistration_that_fails_is_tried_again() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Check":{"TTL":"1h"}}"#);
    host.pass(SECOND);
    host.no_leader = true;
    host.deregister("web");
    host.pass(10 * SECOND);
    assert!(host.catalog.service("n0", "web").is_some());
    assert!(host.notices.iter().any(|text| text.contains("No cluster leader")));
    assert_eq!(host.synced, [Synced::Node, Synced::Service("web".into())]);
    host.no_leader = false;
    host.synced.clear();
    host.pass(31 * SECOND);
    assert!(host.catalog.service("n0", "web").is_none());
    assert_eq!(host.synced, [Synced::ServiceGone("web".into())]);
    host.register_check(r#"{"Name":"alone","TTL":"1h"}"#);
    host.pass(SECOND);
    assert_eq!(host.synced.last(), Some(&Synced::Check("alone".into())));
    host.assert_converged();
}

#[test]
fn changes_of_output_alone_are_told_late() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Check":{"TTL":"1h"}}"#);
    host.ttl("service:web", CheckStatus::Passing, "0");
    host.pass(SECOND);
    let before = host.commands;
    for beat in 1..=100 {
        host.ttl("service:web", CheckStatus::Passing, &beat.to_string());
        host.pass(SECOND);
    }
    assert_eq!(host.commands, before, "a hundred notes are no write");
    host.pass(450 * SECOND);
    assert_eq!(host.commands, before + 1);
    assert_eq!(&*host.catalog.check("n0", "service:web").unwrap().output, "100");
    host.ttl("service:web", CheckStatus::Warning, "101");
    host.pass(SECOND);
    assert_eq!(host.commands, before + 2, "a status is told at once");
}

#[test]
fn tags_of_the_catalog_win_where_they_may() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Tags":["a"],"EnableTagOverride":true}"#);
    host.pass(SECOND);
    let mut other = Host::with(config(), BTreeMap::new(), host.catalog.clone());
    other.register(r#"{"Name":"web","Tags":["b"],"EnableTagOverride":true}"#);
    other.local.sync_soon(Instant::START, false);
    let command = Command::Register(Box::new(proconsul_catalog::Register {
        node: config().node,
        skip_node_update: true,
        services: vec![ServiceRegistration {
            id: "web".into(),
            name: "web".into(),
            tags: ["b".into()].into(),
            enable_tag_override: true,
            ..ServiceRegistration::default()
        }],
        checks: Vec::new(),
    }));
    host.write(&command).unwrap();
    host.pass(125 * SECOND);
    let view = host.local.view();
    assert_eq!(&*view.services["web"].definition.registration.tags, ["b".into()]);
    assert_eq!(&*host.catalog.service("n0", "web").unwrap().registration.tags, ["b".into()]);
}

#[test]
fn registrations_survive_a_restart() {
    let mut host = Host::new();
    let ticket = host.register(
        r#"{"ID":"w1","Name":"web","Port":80,"Tags":["a"],"Meta":{"k":"v"},"Address":"10.0.0.1",
            "Weights":{"Passing":5,"Warning":2},"Token":"t",
            "Checks":[{"TTL":"60s","Notes":"n"},
                      {"HTTP":"http://h/","Header":{"A":["b","c"]},"Interval":"10s","Timeout":"1s"}]}"#,
    );
    host.register_check(r#"{"Name":"t","TCP":"h:1","Interval":"3s","FailuresBeforeCritical":2}"#);
    host.settle();
    assert_eq!(host.settled.first(), Some(&(ticket.unwrap(), true)));
    host.ttl("service:w1:1", CheckStatus::Passing, "fine");
    let again = host.restart();
    let (old, new) = (host.local.view(), again.local.view());
    assert_eq!(again.notices, Vec::<String>::new());
    for (id, service) in &old.services {
        assert_eq!(service.definition, new.services[id].definition);
    }
    for (id, check) in &old.checks {
        assert_eq!(check.definition, new.checks[id].definition, "{id}");
    }
    assert_eq!(again.status("service:w1:1"), CheckStatus::Passing);
    assert_eq!(again.output("service:w1:1"), "fine");
    assert_eq!(again.status("service:w1:2"), CheckStatus::Critical);
    // An expired status does not hold.
    let mut late = host.restart();
    late.files.retain(|path, _| !path.starts_with("checks/state/"));
    let state = r#"{"CheckID":"service:w1:1","Output":"x","Status":"passing","Expires":1}"#;
    let path = host.files.keys().find(|path| path.starts_with("checks/state/")).unwrap().clone();
    late.files.insert(path.clone(), state.into());
    let mut late = late.restart();
    assert_eq!(late.status("service:w1:1"), CheckStatus::Critical);
    late.settle();
    assert!(!late.files.contains_key(&path), "what has expired is removed");
}

#[test]
fn a_check_of_a_configured_service_survives_a_restart() {
    let web = || ServiceDefinition {
        registration: ServiceRegistration { name: "web".into(), ..ServiceRegistration::default() },
        ..ServiceDefinition::default()
    };
    let configure = |host: &mut Host, services| {
        let mut out = Vec::new();
        host.local.configure(services, Vec::new(), host.now, &mut out).unwrap();
        host.perform(out);
        host.settle();
    };
    let mut host = Host::new();
    configure(&mut host, Vec::from([web()]));
    host.register_check(r#"{"Name":"own","ServiceID":"web","TTL":"1h"}"#);
    let mut out = Vec::new();
    host.local.service_maintenance("web", true, "upgrade", host.now, &mut out).unwrap();
    host.perform(out);
    host.settle();
    let mut again = host.restart();
    configure(&mut again, Vec::from([web()]));
    assert_eq!(again.notices, Vec::<String>::new());
    assert_eq!(again.local.view().checks.len(), 2);
    assert_eq!(again.output("_service_maintenance:web"), host.output("_service_maintenance:web"));
    // They go with their service as ever.
    configure(&mut again, Vec::new());
    assert!(again.files.is_empty(), "{:?}", again.files.keys());
    // Where the configuration no longer brings it, they are named and stay.
    let mut without = host.restart();
    configure(&mut without, Vec::new());
    assert_eq!(without.notices.len(), 2);
    assert!(without.notices.iter().all(|text| text.contains("\"web\" does not exist")));
    assert_eq!(without.files, host.files);
}

#[test]
fn a_file_of_consul_is_read() {
    let mut files: BTreeMap<Arc<str>, Bytes> = BTreeMap::new();
    files.insert("services/2567a5ec9705eb7ac2c984033e06189d".into(), r#"{"Token":"","Service":{"ID":"web","Service":"web","Tags":null,"Address":"","Meta":null,"Port":81,"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{},"CreateIndex":0,"ModifyIndex":0},"Source":"remote"}"#.into());
    files.insert("checks/0ab886b1e368cf16be60486e2b1f6e05".into(), r#"{"Check":{"Node":"n0","CheckID":"_service_maintenance:web","Name":"Service Maintenance Mode","Status":"critical","Notes":"why","Output":"","ServiceID":"web","ServiceName":"web","ServiceTags":null,"Type":"maintenance","Definition":{},"CreateIndex":0,"ModifyIndex":0},"ChkType":null,"Token":"","Source":"local"}"#.into());
    files.insert("checks/5e36941b3d856737e81516acd45edc50".into(), r#"{"Check":{"Node":"n0","CheckID":"hh","Name":"hh","Status":"critical","Notes":"","Output":"","ServiceID":"","ServiceName":"","ServiceTags":null,"Type":"http","Definition":{},"CreateIndex":0,"ModifyIndex":0},"ChkType":{"CheckID":"","Name":"hh","Status":"","Notes":"","ScriptArgs":null,"HTTP":"http://127.0.0.1:1/","Header":{"A":["b"]},"Method":"","Body":"","TCP":"","Interval":10000000000,"AliasNode":"","AliasService":"","DockerContainerID":"","Shell":"","GRPC":"","GRPCUseTLS":false,"TLSSkipVerify":false,"Timeout":0,"TTL":0,"SuccessBeforePassing":0,"FailuresBeforeCritical":3,"ProxyHTTP":"","ProxyGRPC":"","DeregisterCriticalServiceAfter":5000000000,"OutputMaxSize":0},"Token":"","Source":"remote"}"#.into());
    files.insert("checks/9906c89e008eb0bfcb7146e12c7f8811".into(), "{\"Check\":{".into());
    files.insert("services/0000".into(), "\0\u{ff}".into());
    let host = Host::with(config(), files.clone(), Catalog::new("dc1".into(), Planted::none()));
    let view = host.local.view();
    assert_eq!(view.services["web"].definition.registration.port, 81);
    assert_eq!(&*view.checks["_service_maintenance:web"].definition.notes, "why");
    let CheckKind::Http { headers, interval, .. } = &view.checks["hh"].definition.kind else {
        panic!("an HTTP check")
    };
    assert_eq!((headers.len(), *interval), (1, 10 * SECOND));
    assert_eq!(host.notices.len(), 2, "both bad files are named: {:?}", host.notices);
    assert!(host.files.contains_key("services/0000"), "and left where they are");
}

#[test]
fn a_full_disk_is_said_and_forgotten_by_nobody() {
    let mut host = Host::new();
    host.broken_disk = true;
    let ticket = host.register(r#"{"Name":"web","Check":{"TTL":"1h"}}"#).unwrap();
    host.settle();
    assert_eq!(host.settled, [(ticket, false)]);
    assert!(host.notices.iter().any(|text| text.contains("no space left")));
    assert!(host.local.view().services.contains_key("web"));
    assert!(host.files.keys().all(|path| !path.ends_with(".tmp")), "{:?}", host.files.keys());
    host.broken_disk = false;
    let ticket = host.register(r#"{"Name":"web","Check":{"TTL":"1h"}}"#).unwrap();
    host.settle();
    assert_eq!(host.settled.last(), Some(&(ticket, true)));
    assert!(host.restart().local.view().services.contains_key("web"));
}

#[test]
fn files_of_configuration_win_and_may_go() {
    let mut host = Host::new();
    host.register(r#"{"Name":"web","Port":1,"Check":{"TTL":"1h"}}"#);
    host.register(r#"{"Name":"api"}"#);
    host.settle();
    let file = |port| ServiceDefinition {
        registration: ServiceRegistration {
            name: "web".into(),
            port,
            ..ServiceRegistration::default()
        },
        checks: vec![CheckDefinition {
            kind: CheckKind::Ttl(60 * SECOND),
            ..CheckDefinition::default()
        }],
        ..ServiceDefinition::default()
    };
    let mut out = Vec::new();
    host.local.configure(vec![file(2)], Vec::new(), host.now, &mut out).unwrap();
    host.perform(out);
    host.settle();
    assert_eq!(host.local.view().services["web"].definition.registration.port, 2);
    assert_eq!(host.files.keys().filter(|path| path.starts_with("services/")).count(), 1);
    let mut out = Vec::new();
    host.local.configure(Vec::new(), Vec::new(), host.now, &mut out).unwrap();
    host.perform(out);
    host.pass(SECOND);
    assert_eq!(host.local.view().services.keys().map(|id| &**id).collect::<Vec<_>>(), ["api"]);
    host.assert_converged();
}

#[test]
fn unknown_ids_are_answered_as_consul_answers_them() {
    let mut host = Host::new();
    let mut out = Vec::new();
    let now = host.now;
    let local = &mut host.local;
    assert_eq!(local.deregister_service("nope", now, &mut out), Ok(None));
    assert_eq!(local.deregister_check("nope", now, &mut out), Ok(None));
    let error = |result: Result<Option<Ticket>, proconsul_checks::LocalError>| {
        let error = result.unwrap_err();
        (error.status, error.text)
    };
    let missing = (500, "ServiceID missing".into());
    assert_eq!(error(local.deregister_service("", now, &mut out)), missing);
    let missing = (500, "CheckID missing".into());
    assert_eq!(error(local.deregister_check("", now, &mut out)), missing);
    let passing = CheckStatus::Passing;
    let unknown = (500, "CheckID \"zzz\" does not have associated TTL".into());
    assert_eq!(error(local.update_ttl("zzz", passing, "", now, &mut out)), unknown);
    let check = parse::check_registration(
        br#"{"Name":"c","ServiceID":"nope","TTL":"1s"}"#,
        Scripts::Refused,
    );
    let nowhere = (500, "ServiceID \"nope\" does not exist".into());
    assert_eq!(error(local.register_check(check.unwrap(), now, &mut out)), nowhere);
}

#[test]
fn other_checks_go_only_when_asked() {
    let mut host = Host::new();
    host.register(
        r#"{"Name":"web","Checks":[{"CheckID":"a","TTL":"1h"},{"CheckID":"b","TTL":"1h"}]}"#,
    );
    host.register(r#"{"Name":"web","Check":{"CheckID":"a","TTL":"1h"}}"#);
    assert_eq!(host.local.view().checks.len(), 2);
    let service = br#"{"Name":"web","Check":{"CheckID":"a","TTL":"1h"}}"#;
    let service = parse::service_registration(service, Scripts::Refused).unwrap();
    let mut out = Vec::new();
    host.local.register_service(service, true, host.now, &mut out).unwrap();
    host.perform(out);
    assert_eq!(host.local.view().checks.keys().map(|id| &**id).collect::<Vec<_>>(), ["a"]);
    host.pass(SECOND);
    host.assert_converged();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to an agent, a healed world ends with a catalog that says what it offers,
    /// and a restart offers the same.
    #[test]
    fn any_history_converges(steps in prop::collection::vec((0_u8..10, 0_u8..4), 1..40)) {
        let mut host = Host::new();
        for (step, which) in steps {
            let name = format!("s{which}");
            match step {
                0 | 1 => {
                    host.register(&format!(
                        r#"{{"Name":"{name}","Port":{step},"Check":{{"TTL":"30s"}}}}"#
                    ));
                }
                2 => host.deregister(&name),
                3 if host.local.view().services.contains_key(&*name) => {
                    host.ttl(&format!("service:{name}"), CheckStatus::Passing, "x");
                }
                4 => host.no_leader = !host.no_leader,
                5 => host.catalog = Catalog::new("dc1".into(), Planted::none()),
                6 => {
                    host.settle();
                    let no_leader = host.no_leader;
                    host = host.restart();
                    host.no_leader = no_leader;
                }
                7 => {
                    let command = Command::Deregister(proconsul_catalog::Deregister {
                        node: "n0".into(),
                        service_id: Some(name.as_str().into()),
                        check_id: None,
                    });
                    let _gone = host.write(&command).is_ok();
                }
                _ => host.pass(Duration::from_secs(u64::from(which) * 7)),
            }
        }
        host.no_leader = false;
        host.pass(150 * SECOND);
        host.assert_converged();
        let again = host.restart();
        prop_assert_eq!(again.notices.len(), 0);
        let ids = |host: &Host| host.local.view().services.keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(ids(&again), ids(&host));
    }

    #[test]
    fn any_file_is_read_or_named(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        dir in 0_usize..3,
    ) {
        let dir = ["services", "checks", "checks/state"][dir];
        let mut files: BTreeMap<Arc<str>, Bytes> = BTreeMap::new();
        files.insert(format!("{dir}/x").into(), bytes.into());
        let host = Host::with(config(), files, Catalog::new("dc1".into(), Planted::none()));
        prop_assert_eq!(host.notices.len(), 1);
        prop_assert_eq!(host.files.len(), 1);
    }

    #[test]
    fn any_body_is_a_definition_or_an_error(text in "\\PC{0,60}") {
        for body in [text.clone(), format!("{{\"Name\":{text}}}"), format!("{{\"{text}\":1}}")] {
            if let Err(error) = parse::service_registration(body.as_bytes(), Scripts::Refused) {
                prop_assert!(!error.text.is_empty());
            }
            if let Err(error) = parse::check_registration(body.as_bytes(), Scripts::Refused) {
                prop_assert!(!error.text.is_empty());
            }
        }
    }
}

#[cfg(feature = "planted")]
mod planted {
    use super::*;
    use proconsul_types::Fault;

    fn host(fault: Fault) -> Host {
        let mut config = config();
        config.planted = Planted::with(fault);
        let mut host =
            Host::with(config, BTreeMap::new(), Catalog::new("dc1".into(), Planted::none()));
        host.register(r#"{"Name":"web","Check":{"TTL":"1h"}}"#);
        host.pass(SECOND);
        host
    }

    #[test]
    fn a_forgotten_deregistration_leaves_an_orphan() {
        let mut host = host(Fault::SyncForgetsDeregister);
        host.no_leader = true;
        host.deregister("web");
        host.pass(10 * SECOND);
        host.no_leader = false;
        host.pass(300 * SECOND);
        assert!(host.catalog.service("n0", "web").is_some());
    }

    #[test]
    fn trusted_marks_never_notice_a_lost_catalog() {
        let mut host = host(Fault::SyncTrustsMarks);
        host.catalog = Catalog::new("dc1".into(), Planted::none());
        host.pass(300 * SECOND);
        assert!(host.catalog.service("n0", "web").is_none());
    }
}

#[test]
fn a_probe_runs_once_a_second_at_most() {
    let mut host = Host::new();
    host.register_check(r#"{"Name":"fast","TCP":"h:1","Interval":"1ns"}"#);
    let warning = "check has interval below minimum: check=fast minimum_interval=1s";
    assert_eq!(host.notices, [warning]);
    host.pass(Duration::from_secs(10));
    assert!((9..=11).contains(&host.runs.len()), "{} runs in 10 s", host.runs.len());
    host.register_check(r#"{"Name":"sound","TCP":"h:1","Interval":"1s"}"#);
    assert_eq!(host.notices, [warning]);
}

#[test]
fn a_check_keeps_no_more_output_than_the_agent() {
    let mut config = config();
    config.output_bytes_max = 100;
    let catalog = Catalog::new("dc1".into(), Planted::none());
    let mut host = Host::with(config, BTreeMap::new(), catalog);
    let note = "n".repeat(300);
    for (id, asked, kept) in [("silent", 0, 100), ("less", 7, 7), ("more", 200, 100)] {
        host.register_check(&format!(r#"{{"Name":"{id}","TTL":"10s","OutputMaxSize":{asked}}}"#));
        host.ttl(id, CheckStatus::Passing, &note);
        let said = format!("{} ... (captured {kept} of 300 bytes)", &note[..kept]);
        assert_eq!(*host.local.view().checks[id].output, *said, "{id}");
    }
    host.local.discard_output(true);
    host.ttl("less", CheckStatus::Warning, &note);
    assert_eq!(&*host.local.view().checks["less"].output, "");
}

#[test]
fn a_program_that_a_client_named_runs_after_a_restart_only_if_it_may() {
    let mut host = Host::new();
    host.config.script_checks = true;
    let body = br#"{"Name":"c","Args":["/bin/true","x"],"Interval":"10s"}"#;
    let check = parse::check_registration(body, Scripts::Run).unwrap();
    let mut out = Vec::new();
    host.local.register_check(check, host.now, &mut out).unwrap();
    host.perform(out);
    host.pass(Duration::from_secs(1));
    let mut again = host.restart();
    let definition = again.local.view().checks["c"].definition.clone();
    assert_eq!(definition, host.local.view().checks["c"].definition);
    again.pass(Duration::from_secs(11));
    assert!(matches!(&again.runs[0].1, ProbeSpec::Script { args, .. } if args.len() == 2));
    host.config.script_checks = false;
    let refused = host.restart();
    assert!(refused.local.view().checks.is_empty());
    assert!(refused.notices[0].contains("scripts are disabled"), "{:?}", refused.notices);
    // Nothing is lost: it is there again where it may run.
    host.config.script_checks = true;
    assert_eq!(host.restart().local.view().checks.len(), 1);
}

#[test]
fn metadata_of_the_node_may_change() {
    let mut host = Host::new();
    host.pass(Duration::from_secs(1));
    let meta = |host: &Host| host.catalog.node("n0").unwrap().meta.clone();
    assert!(meta(&host).is_empty());
    let new: proconsul_types::TextMap = [("rack".into(), "r1".into())].into();
    host.local.set_node_meta(new.clone(), host.now);
    host.pass(Duration::from_secs(1));
    assert_eq!(meta(&host), new);
    let told = host.commands;
    host.local.set_node_meta(new, host.now);
    host.pass(Duration::from_secs(1));
    assert_eq!(host.commands, told, "the same again is no news");
}
