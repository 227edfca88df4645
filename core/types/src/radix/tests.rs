//! The tree against the standard library's map, and its prefix indexes against their definition.

use super::{Keyed, Tree, WalkStep};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    key: Vec<u8>,
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

#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<u8>),
    Remove(Vec<u8>),
    RemovePrefix(Vec<u8>),
    /// The next operation has the same index: they belong to one command.
    Same,
    Hold,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..3, 0..6)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => key().prop_map(Op::Insert),
        4 => key().prop_map(Op::Remove),
        1 => key().prop_map(Op::RemovePrefix),
        2 => Just(Op::Same),
        1 => Just(Op::Hold),
    ]
}

/// What a tree must answer, from the history alone.
#[derive(Clone, Debug, Default)]
struct Model {
    records: BTreeMap<Vec<u8>, u64>,
    /// The last change, deletions included, of every key ever changed.
    changes: BTreeMap<Vec<u8>, u64>,
}

impl Model {
    fn members(&self, prefix: &[u8]) -> Vec<(Vec<u8>, u64)> {
        self.records
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, index)| (key.clone(), *index))
            .collect()
    }

    fn last_change(&self, prefix: &[u8]) -> u64 {
        let below = self.changes.iter().filter(|(key, _)| key.starts_with(prefix));
        below.map(|(_, index)| *index).max().unwrap_or(0)
    }
}

fn pairs<'a>(records: impl Iterator<Item = &'a Arc<Record>>) -> Vec<(Vec<u8>, u64)> {
    records.map(|record| (record.key.clone(), record.index)).collect()
}

fn probes() -> Vec<Vec<u8>> {
    let mut all = alloc::vec![Vec::new()];
    let mut from = 0;
    for _ in 0..4 {
        let to = all.len();
        for at in from..to {
            for byte in 0..3 {
                let mut longer: Vec<u8> = all[at].clone();
                longer.push(byte);
                all.push(longer);
            }
        }
        from = to;
    }
    all
}

fn agree(tree: &Tree<Record>, model: &Model, probes: &[Vec<u8>]) {
    tree.check_invariants();
    assert_eq!(tree.len(), model.records.len());
    assert_eq!(pairs(tree.iter()), model.members(&[]));
    for probe in probes {
        assert_eq!(
            tree.get(probe).map(|record| record.index),
            model.records.get(probe).copied(),
            "get {probe:?}"
        );
        let members = model.members(probe);
        assert_eq!(pairs(tree.prefix(probe)), members, "prefix {probe:?}");
        let after: Vec<_> = model
            .records
            .range::<[u8], _>((core::ops::Bound::Excluded(&**probe), core::ops::Bound::Unbounded))
            .map(|(key, index)| (key.clone(), *index))
            .collect();
        assert_eq!(pairs(tree.after(probe)), after, "after {probe:?}");
        let index = tree.prefix_index(probe);
        if members.is_empty() {
            assert!(index >= model.last_change(probe), "an emptied prefix is not younger");
        } else {
            assert_eq!(index, model.last_change(probe), "index of prefix {probe:?}");
        }
    }
}

fn restored(tree: &Tree<Record>) -> Tree<Record> {
    let mut copy = Tree::default();
    for step in tree.walk() {
        match step {
            WalkStep::Record(record) => {
                assert!(copy.insert(record).is_none());
            }
            WalkStep::Scar(path, top) => copy.raise(&path, top),
        }
    }
    copy
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn equals_a_map_with_memory(ops in proptest::collection::vec(op(), 1..60)) {
        let probes = probes();
        let mut tree = Tree::default();
        let mut model = Model::default();
        let mut held: Vec<(Tree<Record>, Model)> = Vec::new();
        let mut shown: Vec<(u64, u64)> = alloc::vec![(0, 0); probes.len()];
        let mut index = 1;
        let mut same = false;
        for op in &ops {
            if matches!(op, Op::Same) {
                same = true;
                continue;
            }
            index += u64::from(!core::mem::take(&mut same));
            match op {
                Op::Insert(key) => {
                    let old = tree.insert(Arc::new(Record { key: key.clone(), index }));
                    model.changes.insert(key.clone(), index);
                    prop_assert_eq!(
                        old.map(|old| old.index), model.records.insert(key.clone(), index)
                    );
                }
                Op::Remove(key) => {
                    let old = tree.remove(key, index);
                    let expected = model.records.remove(key);
                    prop_assert_eq!(old.map(|old| old.index), expected);
                    if expected.is_some() {
                        model.changes.insert(key.clone(), index);
                    }
                }
                Op::RemovePrefix(prefix) => {
                    let gone = model.members(prefix);
                    prop_assert_eq!(tree.remove_prefix(prefix, index), gone.len());
                    for (key, _) in gone {
                        model.records.remove(&key);
                        model.changes.insert(key, index);
                    }
                }
                Op::Same => {}
                Op::Hold => held.push((tree.clone(), model.clone())),
            }
            tree.check_invariants();
            for (probe, shown) in probes.iter().zip(&mut shown) {
                let now = (tree.prefix_index(probe), tree.key_index(probe));
                prop_assert!(now.0 >= shown.0, "the index of prefix {:?} went backwards", probe);
                prop_assert!(now.1 >= shown.1, "the index of key {:?} went backwards", probe);
                *shown = now;
            }
        }
        agree(&tree, &model, &probes);
        for (tree, model) in &held {
            agree(tree, model, &probes);
        }
        let copy = restored(&tree);
        agree(&copy, &model, &probes);
        for probe in &probes {
            prop_assert_eq!(copy.prefix_index(probe), tree.prefix_index(probe));
            prop_assert_eq!(copy.key_index(probe), tree.key_index(probe));
        }
    }
}

#[test]
fn wide_nodes_are_searched_and_walked() {
    let mut tree = Tree::default();
    for byte in (0..=255_u8).rev() {
        tree.insert(Arc::new(Record { key: alloc::vec![7, byte], index: 1 }));
    }
    tree.check_invariants();
    assert_eq!(tree.prefix(&[7]).count(), 256);
    assert_eq!(tree.after(&[7, 200]).count(), 55);
    for byte in 0..=255_u8 {
        assert!(tree.remove(&[7, byte], 2).is_some());
    }
    assert!(tree.is_empty());
    assert_eq!(tree.prefix_index(&[7]), 2);
}

#[test]
fn a_deep_tree_neither_recurses_nor_overflows() {
    let depth = 5_000;
    let mut tree = Tree::default();
    let mut key = Vec::new();
    for _ in 0..depth {
        key.push(1);
        tree.insert(Arc::new(Record { key: key.clone(), index: 1 }));
    }
    let copy = tree.clone();
    tree.insert(Arc::new(Record { key: key.clone(), index: 2 }));
    assert_eq!(tree.walk().count(), depth);
    assert_eq!(tree.remove_prefix(&[1], 3), depth);
    assert_eq!(copy.iter().count(), depth);
    copy.check_invariants();
}
