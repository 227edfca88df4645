//! `/v1/health/service` with 100 instances: from the cache, and encoded anew.
#![expect(missing_docs, reason = "criterion's macro makes a function without them")]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use proconsul_catalog::{Catalog, CheckRegistration, Command, NodeRegistration, Register};
use proconsul_http::{AgentFacts, BodyCache, Leadership, Method, Plan, Request, View, read};
use proconsul_types::{CatalogIndex, CheckStatus, Instant, Planted, ServiceRegistration, WallTime};
use std::hint::black_box;
use std::sync::Arc;

fn view() -> View {
    let mut catalog = Catalog::new("dc1".into(), Planted::none());
    for number in 0..100_u64 {
        let node = NodeRegistration {
            name: format!("node-{number:03}").into(),
            address: format!("10.0.0.{number}").into(),
            datacenter: "dc1".into(),
            ..Default::default()
        };
        let service = ServiceRegistration {
            id: "web".into(),
            name: "web".into(),
            tags: Box::new(["v1".into(), "primary".into()]),
            port: 8080,
            ..Default::default()
        };
        let check = CheckRegistration {
            id: "web".into(),
            name: "web answers".into(),
            status: CheckStatus::Passing,
            output: "HTTP GET http://10.0.0.1/health: 200 OK".into(),
            service_id: "web".into(),
            ..Default::default()
        };
        let (services, checks) = (vec![service], vec![check]);
        let register = Register { node, skip_node_update: false, services, checks };
        catalog.apply(CatalogIndex(number + 10), &Command::Register(Box::new(register)));
    }
    let leadership = Leadership { is_leader: true, ..Leadership::default() };
    View {
        catalog,
        leadership: Arc::new(leadership),
        lease_until: Instant::NEVER,
        last_contact: None,
        log: proconsul_http::LogPosition::default(),
        local: Arc::default(),
        agent: Arc::new(AgentFacts { datacenter: "dc1".into(), ..AgentFacts::default() }),
        pools: Arc::default(),
        wall: WallTime(0),
    }
}

fn bench(c: &mut Criterion) {
    let view = view();
    let target = "/v1/health/service/web?passing";
    let request = Request::new(Method::Get, target, Bytes::new());
    let mut cache = BodyCache::new();
    let Plan::Answer(response) = read(&view, Instant(1), &request, &mut cache) else {
        panic!("a leader answers")
    };
    assert!(response.body.len() > 50_000, "a hundred instances are in it");
    c.bench_function("health/service, 100 instances, kept", |b| {
        b.iter(|| black_box(read(&view, Instant(1), black_box(&request), &mut cache)));
    });
    c.bench_function("health/service, 100 instances, encoded", |b| {
        b.iter(|| {
            let mut cache = BodyCache::new();
            black_box(read(&view, Instant(1), black_box(&request), &mut cache))
        });
    });
    let key = Request::new(Method::Get, "/v1/kv/some/key", Bytes::new());
    c.bench_function("kv, one key", |b| {
        b.iter(|| black_box(read(&view, Instant(1), black_box(&key), &mut cache)));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
