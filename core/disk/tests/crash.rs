//! Crashes at every point, in every form: nothing durable is lost, nothing else is invented, and
//! what no crash leaves behind is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use bytes::Bytes;
use proconsul_disk::{
    Batch, Config, Entry, FileOp, HardState, LocalFiles, Recovered, Store, recover,
};
use proconsul_types::{EntryId, LogIndex, NodeId, Planted, Rng, Seed, Term};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::{Bits, Files, settle};

#[test]
fn every_crash_leaves_what_was_promised() {
    let mut checked = 0;
    for seed in 0..60 {
        match world::run(seed, 150, Planted::none(), 6) {
            Ok(world) => checked += world.checked,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(checked > 20_000, "only {checked} crashes were tried");
}

#[cfg(feature = "planted")]
#[test]
fn planted_faults_are_found() {
    use proconsul_types::Fault;
    for fault in [
        Fault::TornTailAccepted,
        Fault::TruncationNotLogged,
        Fault::SnapshotBeforeDirSync,
        Fault::FailedSyncIgnored,
        Fault::CompactBeforeSnapshot,
    ] {
        let caught = |seed| {
            let run = || world::run(seed, 200, Planted::with(fault), 4).is_err();
            std::panic::catch_unwind(run).unwrap_or(true)
        };
        let found = (0..200).find(|seed| caught(*seed));
        assert!(found.is_some(), "{fault:?} was not found in 200 seeds");
    }
}

fn no_files() -> BTreeMap<Arc<str>, Bytes> {
    BTreeMap::new()
}

fn store(config: Config, files: &Files, seed: u64) -> (Store, Recovered) {
    let recovered = recover(&files.view(), Planted::none()).expect("these files are sound");
    let rng = Rng::new(Seed(seed));
    (Store::new(config, &recovered, rng, Planted::none()), recovered)
}

fn batch(number: u64, index: u64, payload_bytes: usize) -> Batch {
    let id = EntryId::new(Term(1), LogIndex(index));
    let payload = Bytes::from(vec![u8::try_from(index % 251).unwrap() + 1; payload_bytes]);
    Batch {
        number,
        entries: vec![Entry { id, kind: 1, payload }],
        urgent: true,
        ..Batch::default()
    }
}

#[test]
fn batches_that_come_meanwhile_are_one_write_and_one_sync() {
    let mut files = Files::default();
    let (mut store, _) = store(Config::default(), &files, 1);
    let mut ops = Vec::new();
    store.open(&mut ops);
    settle(&mut files, &mut store, std::mem::take(&mut ops));
    store.append(batch(1, 1, 10), &mut ops);
    for number in 2..=64 {
        store.append(batch(number, number, 10), &mut ops);
    }
    let log = |ops: &[FileOp]| {
        let of_log = |op: &&FileOp| matches!(op, FileOp::Write { .. } | FileOp::Sync { .. });
        ops.iter().filter(of_log).count()
    };
    let first = std::mem::take(&mut ops);
    // The first batch, and the next segment in advance.
    assert_eq!(log(&first), 3);
    let done: Vec<_> = first.iter().filter_map(|op| files.perform(op)).collect();
    let mut durable = None;
    for (token, result) in done {
        let progress = store.on_io(token, result, &mut ops).unwrap();
        durable = durable.max(progress.durable);
    }
    assert_eq!(durable, Some(1));
    assert_eq!(log(&ops), 2, "63 batches are one write and one sync");
    let done: Vec<_> = ops.iter().filter_map(|op| files.perform(op)).collect();
    let progress = store.on_io(done[0].0, Ok(()), &mut Vec::new()).unwrap();
    assert_eq!(progress.durable, Some(64));
}

#[test]
fn a_failed_sync_is_final() {
    let mut files = Files::default();
    let (mut store, _) = store(Config::default(), &files, 1);
    let mut ops = Vec::new();
    store.open(&mut ops);
    settle(&mut files, &mut store, std::mem::take(&mut ops));
    store.append(batch(1, 1, 10), &mut ops);
    files.fail_next_sync = true;
    let (token, result) = ops.iter().find_map(|op| files.perform(op)).unwrap();
    let error = store.on_io(token, result, &mut ops).unwrap_err();
    assert!(error.to_string().ends_with("input/output error"), "{error}");
    assert!(store.on_io(token, Ok(()), &mut ops).is_err());
}

#[test]
fn a_batch_nobody_waits_for_rides_along() {
    let mut files = Files::default();
    let (mut store, _) = store(Config::default(), &files, 1);
    let mut ops = Vec::new();
    store.append(Batch { urgent: false, ..batch(1, 1, 10) }, &mut ops);
    settle(&mut files, &mut store, std::mem::take(&mut ops));
    assert!(!store.is_idle());
    store.append(batch(2, 2, 10), &mut ops);
    settle(&mut files, &mut store, ops);
    assert!(store.is_idle());
    let recovered = recover(&files.view(), Planted::none()).unwrap();
    assert_eq!(recovered.entries.len(), 2);
}

#[test]
fn bytes_on_disk_are_bounded() {
    let config = Config { segment_bytes: 4096 };
    let mut files = Files::default();
    let (mut store, _) = store(config, &files, 1);
    let mut most = 0;
    for number in 1..=3000 {
        let mut ops = Vec::new();
        store.append(batch(number, number, 100), &mut ops);
        settle(&mut files, &mut store, ops);
        if number % 50 == 0 {
            let mut ops = Vec::new();
            let id = EntryId::new(Term(1), LogIndex(number));
            store.snapshot_begin(id, Bytes::new(), &mut ops);
            store.snapshot_write(Bytes::from(vec![1; 1000]), &mut ops);
            store.snapshot_finish(&mut ops);
            settle(&mut files, &mut store, std::mem::take(&mut ops));
            store.compact(id.index, &mut ops);
            settle(&mut files, &mut store, ops);
        }
        most = most.max(files.bytes());
    }
    // 50 batches of 216 bytes fill three segments; one is begun, one is spare, two are snapshots.
    assert!(most <= 6 * 4096 + 2 * 1200, "{most} bytes");
    // A crash loop does not grow it either.
    for boot in 0..50 {
        let (mut next, recovered) = self::store(config, &files, boot);
        assert!(recovered.restarted);
        let mut ops = Vec::new();
        next.open(&mut ops);
        settle(&mut files, &mut next, ops);
        assert!(next.is_open());
    }
    assert!(files.bytes() <= 6 * 4096 + 2 * 1200, "{} bytes", files.bytes());
}

/// A log of several segments, and where its last write begins.
fn history() -> (BTreeMap<Arc<str>, Bytes>, Arc<str>, u64) {
    let mut files = Files::default();
    let (mut store, _) = store(Config { segment_bytes: 1024 }, &files, 1);
    let mut last = None;
    for number in 1..=24 {
        let mut ops = Vec::new();
        let hard_state = HardState { term: Term(number), vote: Some(NodeId(7)) };
        let batch = Batch { hard_state: Some(hard_state), ..batch(number, number, 60) };
        store.append(batch, &mut ops);
        while !ops.is_empty() {
            for op in &ops {
                if let FileOp::Write { file, offset, .. } = op {
                    last = Some((file.clone(), *offset));
                }
            }
            let done: Vec<_> = ops.drain(..).filter_map(|op| files.perform(&op)).collect();
            for (token, result) in done {
                store.on_io(token, result, &mut ops).unwrap();
            }
        }
    }
    let (file, offset) = last.unwrap();
    (files.view(), file, offset)
}

#[test]
fn damage_is_refused_and_never_skipped() {
    let (files, last, offset) = history();
    let whole = recover(&files, Planted::none()).unwrap();
    assert!(whole.state_is(24), "the history is sound");
    let mut refused = 0;
    for (file, bytes) in &files {
        for at in 0..bytes.len() {
            let mut bad = bytes.to_vec();
            bad[at] ^= 0x10;
            let mut files = files.clone();
            files.insert(file.clone(), Bytes::from(bad));
            match recover(&files, Planted::none()) {
                Ok(found) if found.state_is(24) => {}
                Ok(found) => {
                    let in_last = *file == last && u64::try_from(at).unwrap() >= offset;
                    assert!(in_last && found.state_is(23), "{file} {at}: {:?}", found.last());
                }
                Err(error) => {
                    assert!(error.to_string().contains("restore the file"));
                    refused += 1;
                }
            }
        }
        if *file != last && bytes.iter().any(|byte| *byte != 0) {
            let mut files = files.clone();
            files.remove(file);
            assert!(recover(&files, Planted::none()).is_err(), "{file} is missing");
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[cfg(feature = "planted")]
#[test]
fn a_hole_is_skipped_only_by_the_fault() {
    let (mut files, last, _) = history();
    let (first, bytes) = files.iter().next().unwrap();
    assert_ne!(*first, last, "the log has several segments");
    let mut bad = bytes.to_vec();
    bad[700] ^= 0x10;
    files.insert(first.clone(), Bytes::from(bad));
    assert!(recover(&files, Planted::none()).is_err());
    let found = recover(&files, Planted::with(proconsul_types::Fault::HoleSkipped)).unwrap();
    assert!(found.last().index > LogIndex(0) && found.last().index < LogIndex(24));
}

/// Shorthand of these tests.
trait StateIs {
    fn state_is(&self, number: u64) -> bool;
}

impl StateIs for Recovered {
    fn state_is(&self, number: u64) -> bool {
        self.hard_state.term == Term(number) && self.last().index == LogIndex(number)
    }
}

#[test]
fn a_damaged_snapshot_is_passed_over_only_if_the_log_covers_it() {
    let mut files = Files::default();
    let (mut store, _) = store(Config { segment_bytes: 1024 }, &files, 1);
    let mut step = |store: &mut Store, work: &mut dyn FnMut(&mut Store, &mut Vec<FileOp>)| {
        let mut ops = Vec::new();
        work(store, &mut ops);
        settle(&mut files, store, ops);
        files.view()
    };
    for number in 1..=20 {
        step(&mut store, &mut |store, ops| store.append(batch(number, number, 60), ops));
    }
    let whole = step(&mut store, &mut |store, ops| {
        store.snapshot_begin(EntryId::new(Term(1), LogIndex(20)), Bytes::new(), ops);
        store.snapshot_write(Bytes::from_static(b"everything"), ops);
        store.snapshot_finish(ops);
    });
    let compacted = step(&mut store, &mut |store, ops| store.compact(LogIndex(20), ops));
    let damaged = |files: &BTreeMap<Arc<str>, Bytes>| {
        let mut files = files.clone();
        let (name, bytes) = files.iter().find(|(name, _)| name.contains("snapshot")).unwrap();
        let mut bad = bytes.to_vec();
        bad[12] ^= 1;
        files.insert(name.clone(), Bytes::from(bad));
        recover(&files, Planted::none())
    };
    assert!(recover(&compacted, Planted::none()).unwrap().snapshot.is_some());
    let found = damaged(&whole).unwrap();
    assert_eq!((found.snapshot, found.entries.len()), (None, 20));
    let error = damaged(&compacted).unwrap_err();
    assert_eq!((error.offset, &*error.reason), (8, "block fails its CRC"));
}

#[test]
fn a_small_file_is_old_or_new_but_never_a_mix() {
    let file: Arc<str> = "services/a".into();
    let content = |n: u8| Bytes::from(vec![n; 1500]);
    let mut files = Files::default();
    let mut local = LocalFiles::new(1 << 60);
    let mut newest_done = 0;
    for wish in 1..=3 {
        let mut ops = Vec::new();
        local.replace(&file, content(wish), &mut ops);
        while !ops.is_empty() {
            let op = ops.remove(0);
            if let Some((token, result)) = files.perform(&op) {
                assert!(token.0 > 1 << 60);
                if let Some(done) = local.on_io(token, result, &mut ops) {
                    assert_eq!(done.result, Ok(()));
                    newest_done = wish;
                }
            }
            let mut seen = BTreeSet::new();
            for bits in 0..1 << files.unsynced() {
                let view = files.crash(&mut Bits(bits)).view();
                let found = view.get(&file).cloned().unwrap_or_default();
                let whole = (1..=wish).find(|n| found == content(*n)).unwrap_or(0);
                assert!(whole > 0 || found.is_empty(), "a mix of old and new");
                seen.insert(whole);
            }
            assert!(seen.first() >= Some(&newest_done), "{seen:?} after {newest_done}");
        }
    }
    assert!(local.is_idle());
    let mut ops = Vec::new();
    local.replace(&file, content(4), &mut ops);
    local.replace(&file, content(5), &mut ops);
    local.remove(&file, &mut ops);
    files.fail_next_sync = true;
    let mut results = Vec::new();
    while !ops.is_empty() {
        let op = ops.remove(0);
        if let Some((token, result)) = files.perform(&op) {
            results.extend(local.on_io(token, result, &mut ops).map(|done| done.result.is_ok()));
        }
    }
    assert_eq!(results, [false, true], "the newest wish is tried after a failure");
    assert!(!files.view().contains_key(&file));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        contents in proptest::collection::vec(
            (0_usize..6, proptest::collection::vec(any::<u8>(), 0..400)), 0..4,
        ),
    ) {
        let names = [
            "raft/log-0000000000000001-0000000000000002",
            "raft/log-0000000000000002-0000000000000003",
            "raft/log-ffffffffffffffff-0000000000000003",
            "raft/snapshot-0000000000000002-0000000000000001",
            "raft/snapshot-0000000000000002-0000000000000001.tmp",
            "raft/log-x",
        ];
        let mut files = no_files();
        for (name, mut bytes) in contents {
            let log = names[name].contains("log");
            let magic = if log { b"PCLOG\0\0\x01" } else { b"PCSNAP\0\x01" };
            bytes.splice(0..0, magic.iter().copied());
            files.insert(names[name].into(), Bytes::from(bytes));
        }
        if let Ok(recovered) = recover(&files, Planted::none()) {
            prop_assert!(recovered.entries.is_empty());
            let mut store =
                Store::new(Config::default(), &recovered, Rng::new(Seed(1)), Planted::none());
            store.open(&mut Vec::new());
        }
    }

    /// Cuts, splices and swaps of sound files: an error, or one of the states that were.
    #[test]
    fn mangled_files_never_panic_or_invent(
        edits in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u8>()), 1..4),
    ) {
        let (mut files, ..) = history();
        let names: Vec<Arc<str>> = files.keys().cloned().collect();
        for (place, length, how) in edits {
            let pick = |n: u64, of: usize| Rng::new(Seed(n)).index(of.max(1));
            let name = &names[pick(place, names.len())];
            let Some(mut bytes) = files.get(name).map(|bytes| bytes.to_vec()) else { continue };
            let at = pick(place ^ 1, bytes.len());
            let end = at + pick(length, bytes.len() - at);
            match how % 5 {
                0 => bytes.truncate(at),
                1 => bytes[at..end].fill(0),
                2 => drop(bytes.drain(at..end)),
                3 => bytes[at..end].reverse(),
                _ => {
                    let other = files[&names[pick(length, names.len())]].to_vec();
                    bytes.splice(at..end, other);
                }
            }
            files.insert(name.clone(), Bytes::from(bytes));
        }
        if let Ok(found) = recover(&files, Planted::none()) {
            let last = found.last().index.0;
            prop_assert_eq!(found.hard_state.term.0, last);
            prop_assert!(found.entries.iter().map(|entry| entry.id.index.0).eq(1..=last));
        }
    }
}
