//! Bytes: what is written is read, what was written is still read, and nothing else is believed.

use crate::support::{
    World, any_command, autopilot, check, create, kv, kv_op, node, place, register, service,
    session,
};
use bytes::Bytes;
use proconsul_catalog::codec::{decode_command, encode_command};
use proconsul_catalog::{
    Catalog, Command, KvVerb, Outcome, RecordVerb, Restore, RestoreError, RestorePart, TxnOp,
};
use proconsul_types::{CatalogIndex, CheckStatus, Planted, SessionId};
use proptest::prelude::*;
use std::sync::Arc;

fn bytes_of(catalog: &Catalog, chunk: usize) -> Vec<u8> {
    let mut reader = catalog.snapshot();
    assert_eq!(reader.index(), catalog.index());
    let mut bytes = Vec::new();
    while let Some(part) = reader.next_chunk(chunk) {
        assert!(part.len() <= chunk && !part.is_empty());
        bytes.extend_from_slice(&part);
    }
    bytes
}

fn restore(bytes: &[u8], chunk: usize) -> Result<Catalog, RestoreError> {
    let mut restore = Restore::new(Arc::from("dc1"), Planted::none());
    for part in bytes.chunks(chunk) {
        restore.push(part)?;
    }
    restore.finish()
}

/// One command of every kind, with every field that a kind has.
fn samples() -> Vec<Command> {
    let one = SessionId::from_bits(1);
    vec![
        kv(KvVerb::Set, "a/b", "value"),
        kv(KvVerb::Cas(300), "a", ""),
        kv(KvVerb::Delete, "a", ""),
        kv(KvVerb::DeleteCas(7), "a", ""),
        kv(KvVerb::DeleteTree, "a/", ""),
        kv(KvVerb::Acquire(one), "lock", "me"),
        kv(KvVerb::Release(one), "lock", "me"),
        Command::Txn(vec![
            TxnOp::Write(kv_op(KvVerb::Set, "k", "v")),
            TxnOp::Get("k".into()),
            TxnOp::GetTree("k".into()),
            TxnOp::CheckIndex("k".into(), 9),
            TxnOp::CheckSession("k".into(), one),
            TxnOp::CheckNotExists("k2".into()),
        ]),
        register(
            node("n", Some(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
            vec![service("s", "web")],
            vec![check("c", "s", CheckStatus::Warning)],
        ),
        crate::support::deregister("n", Some("s"), None),
        crate::support::deregister("n", None, Some("c")),
        create(session(2, "n", &["c"])),
        Command::SessionDestroy(one),
        Command::LockDelayOver(vec!["lock".into()]),
        Command::Restore(Bytes::from_static(b"snapshot")),
        Command::Txn(vec![
            TxnOp::CheckHolder("k".into(), "".into()),
            TxnOp::Node(RecordVerb::Get, Box::new(node("n", None))),
            TxnOp::Node(RecordVerb::Set, Box::new(node("n", Some(3)))),
            TxnOp::Service(RecordVerb::Cas(300), "n".into(), Box::new(service("s", "web"))),
            TxnOp::Check(
                RecordVerb::Delete,
                "n".into(),
                Box::new(check("c", "s", CheckStatus::Passing)),
            ),
            TxnOp::Check(
                RecordVerb::DeleteCas(7),
                "n".into(),
                Box::new(check("c", "", CheckStatus::Critical)),
            ),
        ]),
        Command::Coordinates(vec![place("n", "", 0.5), place("m", "alpha", -2.0)]),
        autopilot(true, 300, None),
        autopilot(false, 0, Some(4)),
        Command::RestoreBegin,
        Command::RestorePart(part(300, 7, b"abc")),
        Command::RestoreEnd(CatalogIndex(300)),
    ]
}

fn part(begun: u64, offset: u64, bytes: &[u8]) -> RestorePart {
    let bytes = Bytes::copy_from_slice(bytes);
    RestorePart { begun: CatalogIndex(begun), offset, bytes }
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
fn version_1_commands_are_read_for_ever() {
    let golden: Vec<&str> = include_str!("testdata/commands-v1.txt").lines().collect();
    let samples = samples();
    let ours: Vec<String> = samples.iter().map(|command| hex(&encode_command(command))).collect();
    assert_eq!(ours, golden, "commands are written as they ever were");
    for (command, line) in samples.iter().zip(golden) {
        assert_eq!(decode_command(&unhex(line)).as_ref(), Ok(command));
    }
}

fn small_world() -> World {
    let mut world = World::new();
    world.does(&register(
        node("n", Some(5)),
        vec![service("s", "web")],
        vec![check("c", "s", CheckStatus::Passing), check("d", "", CheckStatus::Warning)],
    ));
    world.does(&create(session(1, "n", &["c"])));
    world.does(&create(session(2, "n", &[])));
    world.does(&kv(KvVerb::Acquire(SessionId::from_bits(1)), "lock", "me"));
    world.does(&kv(KvVerb::Acquire(SessionId::from_bits(2)), "lock2", "me"));
    world.set("p/1", "a");
    world.set("p/2", "b");
    world.does(&kv(KvVerb::Delete, "p/2", ""));
    world.does(&Command::SessionDestroy(SessionId::from_bits(2)));
    world
}

#[test]
fn a_version_1_snapshot_is_read_for_ever() {
    let golden = unhex(include_str!("testdata/snapshot-v1.txt").trim());
    let world = small_world();
    assert_eq!(hex(&bytes_of(&world.catalog, 1 << 20)), hex(&golden));
    let restored = restore(&golden, 1 << 20).unwrap();
    assert_eq!(restored.state_hash(), world.catalog.state_hash());
}

#[test]
fn what_came_later_is_in_records_of_its_own() {
    let golden = unhex(include_str!("testdata/snapshot-v1-places.txt").trim());
    let mut world = World::new();
    world.does(&register(node("n", None), vec![], vec![]));
    world.does(&Command::Coordinates(vec![place("N", "", 0.5), place("n", "alpha", -2.0)]));
    world.does(&autopilot(false, 300, None));
    assert_eq!(hex(&bytes_of(&world.catalog, 1 << 20)), hex(&golden));
    let restored = restore(&golden, 1 << 20).unwrap();
    assert_eq!(restored.state_hash(), world.catalog.state_hash());
    assert_eq!(restored.places().count(), 2);
    assert_eq!(restored.autopilot(), world.catalog.autopilot());
    // Into a cluster with a shorter log: no index is ahead of it.
    let mut young = World::new();
    young.does(&Command::Restore(Bytes::from(golden)));
    young.catalog.check_invariants();
    assert_eq!(young.catalog.autopilot().unwrap().modified, CatalogIndex(2));
}

#[test]
fn every_broken_bit_and_every_cut_is_noticed() {
    let bytes = bytes_of(&small_world().catalog, 1 << 20);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1 << bit;
            assert!(restore(&wrong, 1 << 20).is_err(), "bit {bit} of byte {at}");
        }
        assert!(restore(&bytes[..at], 7).is_err(), "cut at {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(restore(&longer, 1 << 20).unwrap_err(), RestoreError::Trailing);
    let mut newer = bytes;
    newer[7] = 9;
    assert_eq!(restore(&newer, 1 << 20).unwrap_err(), RestoreError::Version(9));
    assert_eq!(restore(b"hello, world", 5).unwrap_err(), RestoreError::NotASnapshot);
    assert_eq!(restore(b"", 5).unwrap_err(), RestoreError::Truncated);
}

#[test]
fn a_restore_brings_everything_back_and_no_index_goes_backwards() {
    let mut world = small_world();
    let bytes = bytes_of(&world.catalog, 1 << 20);
    let before: Vec<_> = world.catalog.kv_prefix("").cloned().collect();
    for n in 0..50 {
        world.set(&format!("later/{n}"), "v");
    }
    world.does(&crate::support::deregister("n", None, None));
    let applied = world.apply(&Command::Restore(Bytes::from(bytes.clone())));
    assert_eq!(applied.outcome, Outcome::Done);
    let now = CatalogIndex(world.next - 1);
    assert_eq!(world.catalog.kv_prefix("").cloned().collect::<Vec<_>>(), before);
    assert_eq!(world.catalog.node_services("n").count(), 1);
    assert_eq!(world.catalog.session_keys(SessionId::from_bits(1)).count(), 1);
    for index in [
        world.catalog.kv_key_index("p/1"),
        world.catalog.kv_prefix_index("later/"),
        world.catalog.nodes_index(),
        world.catalog.service_index("web"),
    ] {
        assert_eq!(index, now);
    }
    world.catalog.check_invariants();
    // Into a cluster with a shorter log: nothing may be ahead of it.
    let mut young = World::new();
    young.does(&Command::Restore(Bytes::from(bytes)));
    young.catalog.check_invariants();
    let old = young.catalog.kv_prefix_index("p/");
    young.set("p/1", "changed");
    assert!(young.catalog.kv_prefix_index("p/") > old);
    let broken = Command::Restore(Bytes::from_static(b"pcatlog\x01\xff\xff"));
    let hash = young.catalog.kv_get("p/1").cloned();
    assert!(young.refused(&broken).starts_with("catalog snapshot refused"));
    assert_eq!(young.catalog.kv_get("p/1").cloned(), hash);
}

#[test]
fn a_restore_in_parts_is_seen_at_its_end() {
    let world = small_world();
    let bytes = bytes_of(&world.catalog, 1 << 20);
    let mut young = World::new();
    young.set("own", "");
    let (hash, own) = (young.catalog.state_hash(), bytes_of(&young.catalog, 1 << 20));
    let offset = |at: usize| u64::try_from(at).unwrap();

    // Another beginning, or a new leader, and what came is lost.
    for is_leader in [false, true] {
        young.does(&Command::RestoreBegin);
        let begun = young.next - 1;
        young.does(&Command::RestorePart(part(begun, 0, &bytes[..50])));
        assert!(young.catalog.is_restoring());
        if is_leader {
            assert!(!young.catalog.restore_lost() && !young.catalog.is_restoring());
        } else {
            young.does(&Command::RestoreBegin);
        }
        let next = Command::RestorePart(part(begun, 50, &bytes[50..]));
        assert_eq!(young.refused(&next), "the restore was broken off");
        assert_eq!(
            young.refused(&Command::RestoreEnd(CatalogIndex(begun))),
            "the restore was broken off"
        );
    }
    // So is it with a part that does not follow, one that makes no sense, and an early end.
    for (at, wrong) in [(51, &bytes[51..]), (50, b"what is this?".as_slice())] {
        young.does(&Command::RestoreBegin);
        let begun = young.next - 1;
        young.does(&Command::RestorePart(part(begun, 0, &bytes[..50])));
        if at == 51 {
            let wrong = Command::RestorePart(part(begun, offset(at), wrong));
            assert_eq!(young.refused(&wrong), "a part of the snapshot is missing");
        } else {
            young.does(&Command::RestorePart(part(begun, offset(at), &bytes[50..100])));
            let end = Command::RestoreEnd(CatalogIndex(begun));
            assert!(young.refused(&end).ends_with("it ends too early"));
        }
        assert!(!young.catalog.is_restoring());
    }
    assert_eq!(young.catalog.kv_prefix("").count(), 1, "nothing of all this is seen");
    assert_ne!(young.catalog.state_hash(), hash, "but for the index");

    young.does(&Command::RestoreBegin);
    let begun = young.next - 1;
    for at in (0..bytes.len()).step_by(37) {
        let end = bytes.len().min(at + 37);
        young.does(&Command::RestorePart(part(begun, offset(at), &bytes[at..end])));
        assert_ne!(bytes_of(&young.catalog, 1 << 20), bytes);
    }
    // What is saved meanwhile is what is seen, without the parts.
    assert_eq!(bytes_of(&young.catalog, 1 << 20).len(), own.len());
    assert_eq!(young.does(&Command::RestoreEnd(CatalogIndex(begun))), Outcome::Done);
    young.catalog.check_invariants();
    let pairs =
        |catalog: &Catalog| catalog.kv_prefix("").map(|p| p.key.clone()).collect::<Vec<_>>();
    assert_eq!(pairs(&young.catalog), pairs(&world.catalog));
    assert!(!young.catalog.is_restoring());
}

#[test]
fn a_reader_sees_what_was_when_it_began() {
    let mut world = small_world();
    let expected = bytes_of(&world.catalog, 1 << 20);
    let mut reader = world.catalog.snapshot();
    let mut bytes = reader.next_chunk(16).unwrap().to_vec();
    world.set("p/3", "later");
    world.does(&kv(KvVerb::DeleteTree, "", ""));
    let copy = reader.clone();
    for mut reader in [reader, copy] {
        let mut rest = bytes.clone();
        while let Some(part) = reader.next_chunk(16) {
            rest.extend_from_slice(&part);
        }
        assert_eq!(rest, expected);
    }
    bytes.clear();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn commands_survive_encoding(command in any_command()) {
        prop_assert_eq!(decode_command(&encode_command(&command)), Ok(command));
    }

    #[test]
    fn hostile_bytes_are_refused_calmly(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0_u8..3
    ) {
        let mut plain = vec![version, 0];
        plain.extend_from_slice(&bytes);
        if let Ok(command) = decode_command(&plain) {
            let mut world = World::new();
            world.does(&command);
            world.catalog.check_invariants();
        }
        // Frames with right checksums around anything.
        let mut framed = b"pcatlog\x01".to_vec();
        let len = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&len), &bytes);
        framed.extend_from_slice(&len);
        framed.extend_from_slice(&crc.to_le_bytes());
        framed.extend_from_slice(&bytes);
        prop_assert!(restore(&framed, 64).is_err());
    }

    #[test]
    fn a_spoiled_record_leaves_a_sound_catalog_or_none(
        commands in proptest::collection::vec(any_command(), 1..40),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        more in proptest::collection::vec(any_command(), 1..20),
    ) {
        let mut world = World::new();
        for command in &commands {
            world.apply(command);
        }
        let mut bytes = bytes_of(&world.catalog, 1 << 20);
        let place = 16 + at.index(bytes.len() - 16);
        bytes[place] = byte;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[8..12]), &bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        if let Ok(restored) = restore(&bytes, 1 << 20) {
            let mut world = World { catalog: restored, next: 1 << 62 };
            if world.catalog.index().0 < world.next {
                for command in &more {
                    world.apply(command);
                }
            }
        }
    }

    #[test]
    fn a_restored_catalog_goes_on_as_the_old_one_would(
        commands in proptest::collection::vec(any_command(), 1..60),
        cut in any::<prop::sample::Index>(),
        chunk in 1_usize..300,
    ) {
        let mut world = World::new();
        let cut = cut.index(commands.len());
        let mut other = None;
        for (at, command) in commands.iter().enumerate() {
            if at == cut {
                let bytes = bytes_of(&world.catalog, chunk);
                prop_assert_eq!(&bytes, &bytes_of(&world.catalog, 1 << 20));
                let restored = restore(&bytes, chunk).unwrap();
                restored.check_invariants();
                prop_assert_eq!(&bytes_of(&restored, 1 << 20), &bytes);
                other = Some(World { catalog: restored, next: world.next });
            }
            let applied = world.apply(command);
            if let Some(other) = &mut other {
                prop_assert_eq!(other.apply(command), applied);
                prop_assert_eq!(other.catalog.state_hash(), world.catalog.state_hash());
            }
        }
        if let Some(other) = other {
            prop_assert_eq!(bytes_of(&other.catalog, 1 << 20), bytes_of(&world.catalog, 1 << 20));
        }
    }

    #[test]
    fn the_same_commands_make_the_same_bytes(
        commands in proptest::collection::vec(any_command(), 1..40)
    ) {
        let (mut a, mut b) = (World::new(), World::new());
        b.catalog.set_salt(1);
        let mut hashes = std::collections::BTreeMap::new();
        for command in &commands {
            let applied = a.apply(command);
            prop_assert_eq!(b.apply(&decode_command(&encode_command(command)).unwrap()), applied);
            prop_assert_eq!(a.catalog.state_hash(), b.catalog.state_hash());
            let bytes = bytes_of(&a.catalog, 1 << 20);
            prop_assert_eq!(&bytes_of(&b.catalog, 1 << 20), &bytes);
            if let Some(other) = hashes.insert(a.catalog.state_hash(), bytes.clone()) {
                prop_assert_eq!(other, bytes, "two states have one hash");
            }
        }
    }
}
