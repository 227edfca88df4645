//! How many answers a second: SRV and A for a hundred instances, A for a node.

#![expect(missing_docs, reason = "criterion's macro writes a function without any")]

use criterion::{Criterion, criterion_group, criterion_main};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use proconsul_catalog::{Catalog, CheckRegistration, Command, NodeRegistration, Register};
use proconsul_dns::{Config, Facts, read};
use proconsul_types::{CatalogIndex, CheckStatus, Planted, Rng, Seed, ServiceRegistration};
use std::hint::black_box;

fn catalog() -> Catalog {
    let mut catalog = Catalog::new("dc1".into(), Planted::none());
    for place in 0..100_u64 {
        let register = Register {
            node: NodeRegistration {
                name: format!("node-{place:03}").into(),
                address: format!("10.0.0.{place}").into(),
                datacenter: "dc1".into(),
                ..NodeRegistration::default()
            },
            skip_node_update: false,
            services: vec![ServiceRegistration {
                id: "web".into(),
                name: "web".into(),
                port: 8080,
                ..ServiceRegistration::default()
            }],
            checks: vec![CheckRegistration {
                id: "alive".into(),
                status: CheckStatus::Passing,
                service_id: "web".into(),
                ..CheckRegistration::default()
            }],
        };
        catalog.apply(CatalogIndex(place + 1), &Command::Register(Box::new(register)));
    }
    catalog
}

fn question(name: &str, kind: RecordType, edns: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    if let Some(bytes) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(bytes);
        message.set_edns(edns);
    }
    message.to_vec().expect("a small message")
}

fn answers(criterion: &mut Criterion) {
    let catalog = catalog();
    let config = Config::default();
    let facts = Facts { datacenter: "dc1".into(), ready: true, ..Facts::default() };
    let mut rng = Rng::new(Seed(1));
    let web = "web.service.consul.";
    for (name, bytes, tcp) in [
        ("SRV of 100, EDNS 1232", question(web, RecordType::SRV, Some(1232)), false),
        ("SRV of 100, EDNS 4096", question(web, RecordType::SRV, Some(4096)), false),
        ("SRV of 100, TCP", question(web, RecordType::SRV, None), true),
        ("SRV of 100, no EDNS", question(web, RecordType::SRV, None), false),
        ("A of 100, EDNS 4096", question(web, RecordType::A, Some(4096)), false),
        ("A of a node", question("node-007.node.consul.", RecordType::A, None), false),
    ] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| read(&catalog, &config, &facts, &mut rng, tcp, black_box(&bytes)));
        });
    }
}

criterion_group!(benches, answers);
criterion_main!(benches);
