//! Every planted fault is a real bug: the table finds it, or a hand-written story shows it.

use crate::bench::{
    Bench, appended_by, entry_id, log_of, membership, request, round_to, vote_said,
};
use crate::nemesis::{ALL, Story, tell};
use crate::server::{config, id};
use crate::snapshots;
use proconsul_raft::{Boot, Effect, Input, Membership, MembershipChange, Ticket};
use proconsul_types::{Duration, Fault, LogIndex, Planted};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The first seed that shows `fault`, and what it broke.
fn find(fault: Fault, story: Story, seeds: u64) -> Option<(u64, String)> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = (0..seeds).find_map(|seed| {
        let told = catch_unwind(AssertUnwindSafe(|| tell(seed, story, Planted::with(fault)).1));
        match told {
            Ok(broken) => broken.map(|rule| (seed, rule)),
            Err(panic) => {
                let rule = panic.downcast_ref::<&str>().map(ToString::to_string);
                let rule = rule.or_else(|| panic.downcast_ref::<String>().cloned());
                Some((seed, rule.unwrap_or_default()))
            }
        }
    });
    std::panic::set_hook(hook);
    found
}

/// What a few hundred random stories find without being told where to look.
#[test]
fn the_table_finds_them() {
    for fault in [
        Fault::AckBeforeSync,
        Fault::ChunkIgnoresSnapshotId,
        Fault::CommitBeyondMatched,
        Fault::LeaseDuringTransfer,
        Fault::LogComparedByLength,
        Fault::MembershipOnApply,
        Fault::NoPreviousTermCheck,
        Fault::OwnMatchBeforeSync,
        Fault::QuorumOffByOne,
        Fault::ReadBeforeOwnCommit,
        Fault::ReadWithoutQuorum,
        Fault::TransferFlagStuck,
        Fault::TruncateAlways,
        Fault::VoteWithoutLogCheck,
    ] {
        let found = find(fault, ALL, 2_000);
        assert!(found.is_some(), "{fault:?} is found");
    }
}

fn with(fault: Fault, voters: u128, terms: &[u64]) -> Bench {
    let mut bench = Bench::of(voters, log_of(terms), Planted::with(fault));
    bench.step(Input::Wake);
    bench
}

#[test]
fn a_vote_can_be_forgotten() {
    let mut bench = with(Fault::VoteNotPersisted, 3, &[]);
    let effects = bench.hear(2, request(1, entry_id(0, 0), false, false));
    assert_eq!(vote_said(&effects), Some(true), "a crash now lets it vote again");
}

#[test]
fn two_votes_of_one_server_elect() {
    let mut bench = with(Fault::VotesCountedTwice, 5, &[]);
    bench.pass_ms(600);
    bench.vote(2, true);
    bench.vote(2, true);
    bench.sync();
    bench.vote(2, false);
    bench.vote(2, false);
    assert!(bench.raft.is_leader(), "two of five said yes");
}

#[test]
fn a_pre_vote_lets_it_vote_twice() {
    let mut bench = with(Fault::PreVoteClearsVote, 3, &[]);
    bench.hear(2, request(1, entry_id(0, 0), false, false));
    assert_eq!(vote_said(&bench.sync()), Some(true));
    bench.pass_ms(600);
    bench.hear(3, request(1, entry_id(0, 0), false, false));
    assert_eq!(vote_said(&bench.sync()), Some(true), "in the same term");
}

#[test]
fn a_leader_nobody_hears_leads_for_ever() {
    let mut bench = with(Fault::LeaderNeverStepsDown, 3, &[]);
    bench.lead(&[2, 3]);
    for _ in 0..100 {
        bench.pass_ms(50);
    }
    assert!(bench.raft.is_leader());
}

#[test]
fn a_leader_beats_for_itself_alone() {
    let mut bench = with(Fault::BeatIgnoresPatience, 3, &[]);
    bench.lead(&[2, 3]);
    let round = round_to(&bench.pass_ms(60), 2).unwrap();
    bench.hear(2, appended_by(40, 1, round, Ok(LogIndex(1))));
    bench.pass_ms(20);
    assert!(round_to(&bench.pass_ms(20), 2).is_none(), "who waits for 40 ms has lost its leader");
}

#[test]
fn a_membership_changes_before_the_term_is_committed() {
    let recorded = membership(1, 1, &[1, 2, 3, 4]);
    let planted = Planted::with(Fault::MembershipBeforeOwnCommit);
    let mut boot = Boot { entries: vec![recorded], committed: LogIndex(1), ..Boot::default() };
    boot.hard_state.term.0 = 1;
    let mut bench = Bench::boot(config(1, planted), boot);
    bench.lead(&[2, 3]);
    let change = MembershipChange::Remove(id(4));
    assert_eq!(bench.raft.committed(), LogIndex(1));
    let effects = bench.step(Input::Change(Ticket(1), change));
    let is_taken = effects.iter().any(|effect| matches!(effect, Effect::Proposed(..)));
    assert!(is_taken, "another leader may do the same with another server");
}

#[test]
fn a_lease_is_counted_from_the_receipt() {
    let mut bench = with(Fault::LeaseFromReceipt, 3, &[]);
    bench.lead(&[2, 3]);
    bench.acknowledge(2, 1);
    let round = round_to(&bench.pass_ms(60), 2).unwrap();
    let begun = bench.now;
    bench.now = bench.now.after(Duration::from_millis(200));
    bench.acknowledge(2, round);
    let promised = begun.after(Duration::from_millis(250));
    assert!(bench.raft.lease_until() > promised, "the follower's promise ends earlier");
}

#[test]
fn a_restart_forgets_the_promise() {
    let boot = Boot {
        bootstrap: Some(Membership::of_voters((1..=3).map(id))),
        restarted: true,
        ..Boot::default()
    };
    let config = config(1, Planted::with(Fault::VoteAtOnceAfterRestart));
    let mut bench = Bench::boot(config, boot);
    bench.hear(2, request(1, entry_id(0, 0), false, false));
    assert_eq!(vote_said(&bench.sync()), Some(true));
}

#[test]
fn an_installed_snapshot_keeps_a_conflicting_tail() {
    let mut bench = snapshots::follower(Planted::with(Fault::SnapshotKeepsLog));
    bench.hear(2, snapshots::chunk(entry_id(5, 10), 0, true));
    let snapshot = snapshots::meta(entry_id(5, 10));
    let installed = catch_unwind(AssertUnwindSafe(|| {
        bench.step(Input::ChunkStored { snapshot, offset: 5, installed: true });
    }));
    let broken = installed.expect_err("entries of another history follow the snapshot");
    assert_eq!(broken.downcast_ref::<&str>(), Some(&"terms never fall along the log"));
}
