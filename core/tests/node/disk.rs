//! Servers with disks: restart, compaction, followers that fell behind.

use crate::table::{Table, config, text};
use proconsul_core::http::{Method, Response};
use proconsul_core::types::{Duration, EntryId, LogIndex, Planted};

#[test]
fn a_single_server_remembers() {
    let mut table = Table::new(1, true);
    table.put(0, "/v1/kv/a", "1");
    table.put(0, "/v1/kv/b", "2");
    table.put(0, "/v1/agent/service/register", r#"{"Name":"web","Port":80}"#);
    table.run(Duration::from_secs(1));
    let digest = table.nodes[0].as_ref().unwrap().digest();
    table.kill(0);
    table.boot(0);
    table.elect();
    table.run(Duration::from_secs(1));
    assert_eq!(table.nodes[0].as_ref().unwrap().digest(), digest);
    assert_eq!(table.get(0, "/v1/kv/b?raw"), "2");
    assert!(table.get(0, "/v1/agent/services").contains("\"web\""));
}

#[test]
fn a_full_disk_refuses_writes_keeps_reads_and_recovers() {
    let mut only = config(1, true);
    only.segment_bytes = 32 << 10;
    let mut table = Table::with(vec![only]);
    table.put(0, "/v1/kv/first", "1");
    table.run(Duration::from_secs(1));
    table.no_room.insert(0);
    // What is prepared is used up; then whoever writes is told why not.
    let value = "x".repeat(4000);
    let full = |answer: &Response| {
        let why = "cannot write the log: ";
        answer.status == 500 && text(answer).starts_with(why) && text(answer).contains("no space")
    };
    let mut written = 0;
    loop {
        let answer = table.ask(0, Method::Put, &format!("/v1/kv/k{written}"), &value);
        if full(&answer) {
            break;
        }
        assert_eq!(answer.status, 200, "{}", text(&answer));
        written += 1;
        assert!(written < 40, "two segments hold less");
    }
    for _ in 0..3 {
        table.run(Duration::from_secs(10));
        assert!(full(&table.ask(0, Method::Put, "/v1/kv/more", "1")));
        assert_eq!(table.get(0, "/v1/kv/first?raw"), "1");
        assert_eq!(table.get(0, "/v1/kv/first?raw&consistent"), "1");
    }
    // It starts without room too, and serves what it has.
    table.kill(0);
    table.boot(0);
    table.run(Duration::from_secs(10));
    assert_eq!(table.ask(0, Method::Put, "/v1/kv/big", &value).status, 500);
    assert_eq!(table.get(0, "/v1/kv/first?raw&stale"), "1");
    table.no_room.clear();
    table.run(Duration::from_secs(3));
    table.elect();
    assert_eq!(table.put(0, "/v1/kv/more", "2"), "true");
    // Nothing acknowledged is lost, whatever became of what was not.
    table.kill(0);
    table.boot(0);
    table.elect();
    assert_eq!(table.get(0, "/v1/kv/more?raw"), "2");
    for key in 0..written {
        assert_eq!(table.get(0, &format!("/v1/kv/k{key}?raw")), value);
    }
}

#[test]
fn a_leader_without_room_makes_place_for_another() {
    let mut configs: Vec<_> = (1..=3).map(|number| config(number, true)).collect();
    configs.iter_mut().for_each(|config| config.segment_bytes = 32 << 10);
    let mut table = Table::with(configs);
    let leader = table.elect();
    table.no_room.insert(leader);
    let value = "x".repeat(4000);
    let follower = (leader + 1) % 3;
    let mut written = Vec::new();
    for number in 0..60 {
        let answer = table.ask(follower, Method::Put, &format!("/v1/kv/k{number}"), &value);
        if answer.status == 200 {
            written.push(number);
        }
    }
    assert_ne!(table.elect(), leader);
    assert!(written.len() >= 58, "the change of leaders costs little: {written:?}");
    table.no_room.clear();
    table.run(Duration::from_secs(5));
    table.converge();
    for number in written {
        assert_eq!(table.get(leader, &format!("/v1/kv/k{number}?raw&stale")), value);
    }
}

#[test]
fn all_restart_and_nothing_is_lost() {
    let mut table = Table::new(3, true);
    let leader = table.elect();
    for number in 0..20 {
        table.put((leader + number) % 3, &format!("/v1/kv/k{number}"), "v");
    }
    for number in 0..3 {
        table.kill(number);
    }
    for number in 0..3 {
        table.boot(number);
    }
    table.elect();
    table.converge();
    for number in 0..20 {
        assert_eq!(table.get(number % 3, &format!("/v1/kv/k{number}?raw")), "v");
    }
}

#[test]
fn a_follower_that_fell_behind_gets_a_snapshot() {
    let mut configs: Vec<_> = (1..=3).map(|number| config(number, true)).collect();
    for config in &mut configs {
        config.snapshot_log_bytes = 64 << 10;
        config.segment_bytes = 32 << 10;
        config.raft.trailing_bytes_max = 4 << 10;
    }
    let mut table = Table::with(configs);
    let leader = table.elect();
    let behind = (leader + 1) % 3;
    table.put(leader, "/v1/kv/first", "1");
    table.run(Duration::from_secs(1));
    table.kill(behind);
    // The log is kept for a follower that may be back in a moment; this one is not.
    table.run(Duration::from_secs(30));
    let value = "x".repeat(2000);
    for number in 0..200 {
        table.put(leader, &format!("/v1/kv/bulk/{}", number % 40), &value);
    }
    table.run(Duration::from_secs(1));
    let status = table.nodes[leader].as_ref().unwrap().status();
    assert!(status.snapshot.index.0 > 100, "snapshots were taken: {:?}", status.snapshot);
    assert!(status.disk_log_bytes < 400_000, "and the log was cut: {}", status.disk_log_bytes);
    table.boot(behind);
    table.converge();
    assert!(table.saw_big > 0, "the log alone could not bring it up");
    assert_eq!(table.get(behind, "/v1/kv/bulk/7?raw&stale"), value);
    table.kill(behind);
    table.boot(behind);
    table.converge();
    assert_eq!(table.get(behind, "/v1/kv/first?raw&stale"), "1");
}

/// A leader dies between two chunks, and the next one brings its follower on by its log: whether
/// that follower takes snapshots of its own afterwards.
pub(crate) fn transfer_outrun(planted: Planted) -> bool {
    let mut configs: Vec<_> = (1..=3).map(|number| config(number, true)).collect();
    for config in &mut configs {
        config.planted = planted;
        config.snapshot_log_bytes = 64 << 10;
        config.segment_bytes = 256 << 10;
        config.raft.trailing_bytes_max = 4 << 10;
        config.raft.uncommitted_bytes_max = 128 << 10;
    }
    // The first leads, the second has the whole log and is next.
    configs[1].snapshot_log_bytes = 1 << 30;
    for config in &mut configs[1..] {
        config.raft.election_timeout_min = Duration::from_millis(400);
    }
    configs[0].raft.election_timeout_max = Duration::from_millis(300);
    let mut table = Table::with(configs);
    table.until(|table| table.leader() == Some(0));
    table.kill(2);
    table.run(Duration::from_secs(30));
    let value = "x".repeat(100_000);
    for number in 0..10 {
        table.put(0, &format!("/v1/kv/bulk/{number}"), &value);
    }
    table.run(Duration::from_secs(1));
    table.boot(2);
    table.until(|table| {
        let mut files = table.files[2].iter();
        files.any(|(name, bytes)| name.ends_with(".tmp") && bytes.len() > 200_000)
    });
    table.cut.insert(0);
    let newest =
        |table: &Table, number: usize| table.nodes[number].as_ref().unwrap().status().catalog_index;
    table.until(|table| table.leader() == Some(1) && newest(table, 2) == newest(table, 1));
    for number in 0..10 {
        table.put(1, &format!("/v1/kv/more/{number}"), &value);
    }
    table.run(Duration::from_secs(2));
    table.nodes[2].as_ref().unwrap().status().snapshot > EntryId::default()
}

#[test]
fn a_transfer_that_the_log_outruns_is_given_up() {
    assert!(transfer_outrun(Planted::none()));
}

#[test]
fn a_group_of_one_is_recovered_from_what_it_has() {
    let mut table = Table::new(3, true);
    let leader = table.elect();
    table.put(leader, "/v1/kv/kept", "1");
    table.converge();
    for number in 0..3 {
        table.kill(number);
    }
    // Named with one that does not come: nothing is decided, so nothing is written down.
    table.recover(0, &[0, 1]);
    table.run(Duration::from_secs(5));
    assert!(!table.kept.contains(&0), "the file is still needed");
    table.kill(0);
    table.recover(0, &[0]);
    assert_eq!(table.get(0, "/v1/kv/kept?raw"), "1");
    table.until(|table| table.kept.contains(&0));
    // From here on its own log says who belongs to the group.
    table.kill(0);
    table.boot(0);
    assert_eq!(table.put(0, "/v1/kv/more", "2"), "true");
    assert_eq!(table.nodes[0].as_ref().unwrap().raft().membership().members.len(), 1);
    assert_eq!(table.get(0, "/v1/kv/kept?raw"), "1");
}

#[test]
fn a_group_that_was_written_down_is_not_formed_again() {
    let mut table = Table::new(3, true);
    let leader = table.elect();
    table.put(leader, "/v1/kv/kept", "1");
    table.converge();
    (0..3).for_each(|number| table.kill(number));
    table.recover(0, &[0, 1]);
    table.recover(1, &[0, 1]);
    table.until(|table| table.kept.contains(&0) && table.kept.contains(&1));
    // One of them died before it put its file aside. The other leads, and has no more to say.
    table.kill(1);
    table.kept.remove(&1);
    table.recover(1, &[0, 1]);
    table.until(|table| table.kept.contains(&1));
    let index = table.nodes[1].as_ref().unwrap().raft().membership_index();
    assert!(index > LogIndex(0), "its log says who belongs to the group");
}
