//! Snapshots: chunks by identity and offset, installs that replace a conflicting log, compaction.

use crate::bench::{
    Bench, append, appended, committed, entry, entry_id, log_of, membership, persisted, sent,
};
use crate::server::id;
use bytes::Bytes;
use proconsul_raft::{
    Effect, Event, Input, Membership, Message, ReplicationMode, SnapshotChunk, SnapshotMeta,
};
use proconsul_types::{EntryId, LogIndex, Planted, Term};

pub(crate) fn meta(last: EntryId) -> SnapshotMeta {
    let membership = Membership::of_voters([1, 2, 3, 7].map(id));
    SnapshotMeta { last, membership, membership_index: LogIndex(2) }
}

pub(crate) fn chunk(last: EntryId, offset: u64, is_last: bool) -> Message {
    let bytes = Bytes::from_static(b"12345");
    let chunk = SnapshotChunk { snapshot: meta(last), offset, bytes, last: is_last };
    Message::Snapshot { term: Term(5), round: 1, chunk: Box::new(chunk) }
}

fn stored(bench: &mut Bench, last: EntryId, offset: u64, installed: bool) -> Vec<Effect> {
    bench.step(Input::ChunkStored { snapshot: meta(last), offset, installed })
}

fn answers(effects: &[Effect]) -> Vec<(EntryId, u64, bool)> {
    let answers = sent(effects).into_iter().filter_map(|(_, message)| {
        let Message::SnapshotStored { snapshot, offset, installed, .. } = message else {
            return None;
        };
        Some((snapshot, offset, installed))
    });
    answers.collect()
}

fn keeps(effects: &[Effect]) -> Vec<u64> {
    let chunks = effects.iter().filter_map(|effect| {
        let Effect::StoreChunk(chunk) = effect else { return None };
        Some(chunk.offset)
    });
    chunks.collect()
}

/// A follower with a log that conflicts with everything of term 5.
pub(crate) fn follower(planted: Planted) -> Bench {
    let mut terms = vec![1, 1];
    terms.extend([3; 18]);
    let mut bench = Bench::of(3, log_of(&terms), planted);
    bench.step(Input::Wake);
    bench.hear(2, append(5, entry_id(1, 2), Vec::new(), 2, 1));
    bench.sync();
    bench
}

#[test]
fn chunks_follow_one_another_and_a_new_leader_resumes() {
    let mut bench = follower(Planted::none());
    let last = entry_id(5, 10);
    assert_eq!(keeps(&bench.hear(2, chunk(last, 0, false))), vec![0]);
    assert_eq!(answers(&stored(&mut bench, last, 5, false)), vec![(last, 5, false)]);
    let effects = bench.hear(2, chunk(last, 10, false));
    assert_eq!((keeps(&effects), answers(&effects)), (vec![], vec![(last, 5, false)]));
    let effects = bench.hear(2, chunk(last, 0, false));
    assert_eq!(answers(&effects), vec![(last, 5, false)], "it need not begin again");
    assert_eq!(keeps(&bench.hear(2, chunk(last, 5, true))), vec![5]);
}

#[test]
fn bytes_of_two_snapshots_are_never_mixed() {
    let mut bench = follower(Planted::none());
    bench.hear(2, chunk(entry_id(5, 10), 0, false));
    stored(&mut bench, entry_id(5, 10), 5, false);
    let other = entry_id(5, 12);
    let effects = bench.hear(2, chunk(other, 5, true));
    assert_eq!((keeps(&effects), answers(&effects)), (vec![], vec![(other, 0, false)]));
    assert_eq!(keeps(&bench.hear(2, chunk(other, 0, false))), vec![0]);
}

#[test]
fn an_install_replaces_a_conflicting_log_and_its_membership() {
    let mut bench = follower(Planted::none());
    let last = entry_id(5, 10);
    bench.hear(2, chunk(last, 0, true));
    let effects = stored(&mut bench, last, 5, true);
    assert_eq!(bench.raft.last(), last);
    assert_eq!(persisted(&effects).unwrap().truncate_from, Some(LogIndex(3)));
    assert_eq!(bench.raft.membership(), &meta(last).membership);
    assert!(!effects.contains(&Effect::Compact(LogIndex(10))), "not before the cut is durable");
    assert!(bench.sync().contains(&Effect::Compact(LogIndex(10))));
    let effects = bench.hear(2, append(5, last, vec![entry(5, 11)], 11, 2));
    assert!(committed(&effects).is_empty());
    assert_eq!(committed(&bench.sync()), vec![entry_id(5, 11)]);
}

#[test]
fn an_install_forgets_an_uncommitted_membership() {
    let mut bench = follower(Planted::none());
    bench.hear(2, append(5, entry_id(1, 2), vec![membership(5, 3, &[1, 9])], 2, 1));
    assert_eq!(bench.raft.membership().voter_count(), 2);
    bench.hear(2, chunk(entry_id(5, 10), 0, true));
    stored(&mut bench, entry_id(5, 10), 5, true);
    assert_eq!(bench.raft.membership(), &meta(entry_id(5, 10)).membership);
    assert_eq!(bench.raft.status().membership_index, LogIndex(2));
}

#[test]
fn an_install_keeps_what_follows_a_matching_entry() {
    let mut bench = follower(Planted::none());
    bench.hear(2, append(5, entry_id(1, 2), vec![entry(5, 3), entry(5, 4), entry(5, 5)], 2, 1));
    bench.hear(2, chunk(entry_id(5, 4), 0, true));
    bench.sync();
    let effects = stored(&mut bench, entry_id(5, 4), 5, true);
    assert_eq!(bench.raft.last(), entry_id(5, 5));
    assert!(persisted(&effects).is_none());
}

#[test]
fn commits_wait_while_a_snapshot_is_installed() {
    let mut bench = follower(Planted::none());
    bench.hear(2, chunk(entry_id(5, 4), 0, true));
    let entries = vec![entry(5, 3), entry(5, 4), entry(5, 5)];
    bench.hear(2, append(5, entry_id(1, 2), entries, 5, 2));
    assert!(committed(&bench.sync()).is_empty(), "state and snapshot must not mix");
    let effects = stored(&mut bench, entry_id(5, 4), 5, true);
    assert_eq!(committed(&effects), vec![entry_id(5, 5)]);
}

#[test]
fn a_leader_sends_what_it_has_compacted_as_a_snapshot() {
    let mut bench = Bench::of(3, log_of(&[1; 30]), Planted::none());
    bench.lead(&[2, 3]);
    bench.hear(2, appended(2, 1, Ok(LogIndex(31))));
    bench.step(Input::Applied(LogIndex(31)));
    let taken = bench.raft.snapshot_meta(LogIndex(31)).unwrap();
    let effects = bench.step(Input::SnapshotTaken(taken.clone()));
    let compacted = effects.iter().find_map(|effect| {
        let Effect::Compact(index) = effect else { return None };
        Some(*index)
    });
    assert_eq!(compacted, Some(LogIndex(30)), "trailing_bytes_max is kept");
    let effects = bench.hear(3, appended(2, 1, Err(entry_id(1, 5))));
    let asked = Effect::NeedChunk { to: id(3), snapshot: None, offset: 0 };
    assert!(effects.contains(&asked));
    let bytes = Bytes::from_static(b"12345");
    let piece = SnapshotChunk { snapshot: taken.clone(), offset: 0, bytes, last: false };
    let effects = bench.step(Input::Chunk { to: id(3), chunk: Some(piece.clone()) });
    assert!(effects.contains(&Effect::Event(Event::ChunkSent(id(3), 0))));
    let answer = |offset, installed| Message::SnapshotStored {
        term: Term(2),
        round: 1,
        snapshot: taken.last,
        offset,
        installed,
    };
    let effects = bench.hear(3, answer(5, false));
    let next = Effect::NeedChunk { to: id(3), snapshot: Some(taken.clone()), offset: 5 };
    assert_eq!(effects, vec![next]);
    // The host has a newer snapshot instead: begin again with that.
    let effects = bench.step(Input::Chunk { to: id(3), chunk: None });
    assert_eq!(effects, vec![asked]);
    bench.hear(3, answer(5, true));
    let follower = bench.raft.status().followers[1];
    assert_eq!((follower.matched, follower.mode), (LogIndex(31), ReplicationMode::Replicate));
}
