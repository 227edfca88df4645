//! A restore in parts: all or nothing, whoever dies on the way, and others go on meanwhile.

use crate::table::{Table, config, text};
use bytes::Bytes;
use proconsul_core::http::{Method, Request};
use proconsul_core::types::{Duration, Planted};
use proconsul_core::{Input, RequestId};

const PAGES: usize = 30;

/// Three servers, and a leader with pages.
fn group(planted: Planted) -> (Table, usize) {
    let configs = (1..=3).map(|number| {
        let mut config = config(number, true);
        config.planted = planted;
        config.snapshot_log_bytes = 2_000;
        config.raft.trailing_bytes_max = 1_000;
        config
    });
    let mut table = Table::with(configs.collect());
    let leader = table.elect();
    (table, leader)
}

fn write_pages(table: &mut Table, at: usize, content: &str) {
    for page in 0..PAGES {
        table.put(at, &format!("/v1/kv/page/{page:02}"), content);
    }
}

/// How many pages there are, and how many of them read like this.
fn pages(table: &mut Table, at: usize, content: &str) -> (usize, usize) {
    let mut counts = (0, 0);
    for page in 0..PAGES {
        let page = table.ask(at, Method::Get, &format!("/v1/kv/page/{page:02}?raw"), "");
        counts.0 += usize::from(page.status == 200);
        counts.1 += usize::from(text(&page) == content);
    }
    counts
}

/// The state of whoever leads, as bytes.
fn saved(table: &mut Table, at: usize) -> Bytes {
    let saved = table.ask(at, Method::Get, "/v1/snapshot", "");
    assert_eq!(saved.status, 200);
    saved.body
}

fn begin(table: &mut Table, at: usize, id: u64, state: &Bytes) -> RequestId {
    let id = RequestId(1 << 40 | id);
    let request = Request::new(Method::Put, "/v1/snapshot", state.clone());
    table.step(at, Input::Http(id, request));
    id
}

fn is_restoring(table: &Table, at: usize) -> bool {
    table.nodes[at].as_ref().is_some_and(|node| node.catalog().is_restoring())
}

#[test]
fn others_write_while_a_restore_is_under_way() {
    let (mut table, leader) = group(Planted::none());
    write_pages(&mut table, leader, "saved");
    let state = saved(&mut table, leader);
    write_pages(&mut table, leader, "later");
    let restore = begin(&mut table, leader, 1, &state);
    table.until(|table| is_restoring(table, leader));
    assert_eq!(table.put(leader, "/v1/kv/page/00", "meanwhile"), "true");
    assert!(!table.answers.contains_key(&restore), "it takes more than one command");
    assert_eq!(pages(&mut table, leader, "later"), (PAGES, PAGES - 1), "nothing of it is seen");
    let second = begin(&mut table, leader, 2, &state);
    let refused = text(&table.answers[&second]);
    assert!(refused.contains("another restore is in progress"), "{refused}");
    table.until(|table| table.answers.contains_key(&restore));
    assert_eq!(table.answers[&restore].status, 200);
    assert_eq!(pages(&mut table, leader, "saved"), (PAGES, PAGES));
    table.converge();
}

#[test]
fn a_restore_at_a_follower_goes_to_the_leader() {
    let (mut table, leader) = group(Planted::none());
    write_pages(&mut table, leader, "saved");
    let state = saved(&mut table, leader);
    write_pages(&mut table, leader, "later");
    table.restore((leader + 1) % 3, state);
    assert_eq!(pages(&mut table, leader, "saved"), (PAGES, PAGES));
}

#[test]
fn a_damaged_state_changes_nothing() {
    let (mut table, leader) = group(Planted::none());
    write_pages(&mut table, leader, "saved");
    let state = saved(&mut table, leader);
    let mut damaged = state.to_vec();
    damaged[state.len() / 2] ^= 1;
    write_pages(&mut table, leader, "later");
    for (id, wrong) in [(1, damaged), (2, state[..state.len() - 1].to_vec()), (3, b"x".to_vec())] {
        let restore = begin(&mut table, leader, id, &wrong.into());
        table.until(|table| table.answers.contains_key(&restore));
        let answer = text(&table.answers[&restore]);
        assert!(
            answer.contains("failed to restore snapshot: catalog snapshot refused"),
            "{answer}"
        );
        assert!(!is_restoring(&table, leader));
    }
    assert_eq!(pages(&mut table, leader, "later"), (PAGES, PAGES));
    table.restore(leader, state);
    assert_eq!(pages(&mut table, leader, "saved"), (PAGES, PAGES));
    table.converge();
}

#[test]
fn no_snapshot_is_taken_of_half_a_restore() {
    let (mut table, leader) = group(Planted::none());
    write_pages(&mut table, leader, "saved");
    let state = saved(&mut table, leader);
    write_pages(&mut table, leader, "later");
    let behind = (leader + 1) % 3;
    let restore = begin(&mut table, leader, 1, &state);
    table.until(|table| is_restoring(table, behind));
    let before = table.nodes[behind].as_ref().unwrap().status().snapshot;
    // It restarts with half of it in its log, and comes to the same end.
    table.kill(behind);
    table.boot(behind);
    table.until(|table| table.answers.contains_key(&restore));
    assert_eq!(table.answers[&restore].status, 200);
    table.converge();
    table.run(Duration::from_secs(1));
    write_pages(&mut table, leader, "more");
    table.converge();
    let after = table.nodes[behind].as_ref().unwrap().status().snapshot;
    assert!(after > before, "afterwards there are snapshots again");
}

/// A leader dies in the middle of a restore: whether all is as it was, and the table.
pub(crate) fn broken_off(planted: Planted) -> (bool, Table) {
    let (mut table, leader) = group(planted);
    write_pages(&mut table, leader, "saved");
    let state = saved(&mut table, leader);
    write_pages(&mut table, leader, "later");
    begin(&mut table, leader, 1, &state);
    table.until(|table| is_restoring(table, (leader + 1) % 3));
    table.kill(leader);
    let next = table.elect();
    table.until(|table| !is_restoring(table, next));
    let is_whole = pages(&mut table, next, "later") == (PAGES, PAGES);
    table.boot(leader);
    (is_whole, table)
}

#[test]
fn a_leader_that_dies_leaves_nothing_of_its_restore() {
    let (is_whole, mut table) = broken_off(Planted::none());
    assert!(is_whole);
    table.converge();
    let leader = table.elect();
    assert_eq!(table.put(leader, "/v1/kv/page/00", "on"), "true");
}

#[test]
fn a_group_recovered_by_hand_forgets_a_restore() {
    let (mut table, leader) = group(Planted::none());
    write_pages(&mut table, leader, "saved");
    let state = saved(&mut table, leader);
    write_pages(&mut table, leader, "later");
    begin(&mut table, leader, 1, &state);
    table.until(|table| is_restoring(table, leader));
    (0..3).for_each(|number| table.kill(number));
    // Its first entry is the group, not an empty one.
    table.recover(leader, &[leader]);
    table.until(|table| table.kept.contains(&leader));
    assert!(!is_restoring(&table, leader));
    assert_eq!(pages(&mut table, leader, "later"), (PAGES, PAGES));
}

#[test]
fn a_write_that_no_follower_could_be_sent_is_refused() {
    let mut only = config(1, false);
    only.facts.kv_value_bytes_max = 80 << 20;
    let mut table = Table::with(vec![only]);
    let body = "x".repeat(64 << 20);
    let answer = table.ask(0, Method::Put, "/v1/kv/large", &body);
    assert_eq!(answer.status, 500);
    assert!(text(&answer).contains("is over the limit of 66060288"), "{}", text(&answer));
}
