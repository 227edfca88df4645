//! The radix tree against the standard library's `BTreeMap`, and what a command costs.

use criterion::{BatchSize, Criterion};
use proconsul_catalog::radix::{Keyed, Tree};
use proconsul_catalog::{Catalog, Command, KvOp, KvVerb};
use proconsul_types::{CatalogIndex, Planted, Rng, Seed};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

const RECORDS: u64 = 100_000;

#[derive(Debug)]
struct Record {
    key: Box<[u8]>,
    index: u64,
}

impl Keyed for Record {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn index(&self) -> u64 {
        self.index
    }
}

/// Keys of 32 bytes, in random order.
fn keys() -> Vec<Box<[u8]>> {
    let mut keys: Vec<Box<[u8]>> = (0..RECORDS)
        .map(|n| format!("svc/{:06}/prod/config/{n:09}", n / 100).into_bytes().into_boxed_slice())
        .collect();
    Rng::new(Seed(1)).shuffle(&mut keys);
    keys
}

fn record(key: &[u8], index: u64) -> Arc<Record> {
    Arc::new(Record { key: Box::from(key), index })
}

fn trees(c: &mut Criterion) {
    let keys = keys();
    let mut tree = Tree::default();
    let mut map = BTreeMap::new();
    for key in &keys {
        tree.insert(record(key, 1));
        map.insert(key.clone(), record(key, 1));
    }
    let mut group = c.benchmark_group("100k keys");
    group.sample_size(10);
    let mut at = keys.iter().cycle();
    group.bench_function("get/tree", |b| {
        b.iter(|| tree.get(black_box(at.next().expect("the keys go round"))))
    });
    group.bench_function("get/map", |b| {
        b.iter(|| map.get(black_box(at.next().expect("the keys go round"))))
    });
    let mut index = 1;
    group.bench_function("update/tree", |b| {
        b.iter(|| {
            index += 1;
            tree.insert(record(at.next().expect("the keys go round"), index))
        });
    });
    group.bench_function("update/map", |b| {
        b.iter(|| {
            index += 1;
            let key = at.next().expect("the keys go round");
            map.insert(key.clone(), record(key, index))
        });
    });
    group.bench_function("update under a snapshot each/tree", |b| {
        let mut held = tree.clone();
        b.iter(|| {
            index += 1;
            tree.insert(record(at.next().expect("the keys go round"), index));
            held = tree.clone();
        });
        drop(held);
    });
    group.bench_function("scan 100/tree", |b| {
        b.iter(|| {
            tree.prefix(&at.next().expect("the keys go round")[..11])
                .map(|found| found.index)
                .sum::<u64>()
        });
    });
    group.bench_function("scan 100/map", |b| {
        b.iter(|| {
            let prefix = &at.next().expect("the keys go round")[..11];
            map.range::<[u8], _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(_, found)| found.index)
                .sum::<u64>()
        });
    });
    group.finish();
}

fn commands(c: &mut Criterion) {
    let keys: Vec<Arc<str>> = keys()
        .iter()
        .map(|key| Arc::from(std::str::from_utf8(key).expect("keys are text")))
        .collect();
    let mut catalog = Catalog::new(Arc::from("dc1"), Planted::none());
    let mut index = 0;
    let mut at = keys.iter().cycle();
    let mut rng = Rng::new(Seed(2));
    let mut next = || {
        Command::Kv(KvOp {
            verb: KvVerb::Set,
            key: Arc::clone(at.next().expect("the keys go round")),
            value: Arc::from(
                std::iter::repeat_with(|| rng.next_u64().to_le_bytes())
                    .take(13)
                    .flatten()
                    .take(100)
                    .collect::<Vec<u8>>(),
            ),
            flags: 0,
        })
    };
    c.bench_function("apply set", |b| {
        b.iter_batched(
            &mut next,
            |command| {
                index += 1;
                catalog.apply(CatalogIndex(index), &command)
            },
            BatchSize::SmallInput,
        );
    });
    c.bench_function("clone", |b| b.iter(|| catalog.clone()));
    c.bench_function("state hash", |b| b.iter(|| catalog.state_hash()));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    trees(&mut criterion);
    commands(&mut criterion);
    criterion.final_summary();
}
