//! Every planted fault is a real bug: the table finds it, or a hand-written story shows it.

use crate::nemesis::{ALL, Story, tell};
use proconsul_types::{Fault, Planted};
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

#[test]
fn survey() {
    for fault in [
        Fault::VoteNotPersisted,
        Fault::AckBeforeSync,
        Fault::VoteWithoutLogCheck,
        Fault::LogComparedByLength,
        Fault::CommitOldTerm,
        Fault::NoPreviousTermCheck,
        Fault::TruncateAlways,
        Fault::QuorumOffByOne,
        Fault::VotesCountedTwice,
        Fault::PreVoteClearsVote,
        Fault::CommitBeyondMatched,
        Fault::LeaderNeverStepsDown,
        Fault::OwnMatchBeforeSync,
        Fault::MembershipBeforeOwnCommit,
        Fault::MembershipOnApply,
        Fault::ReadBeforeOwnCommit,
        Fault::ReadWithoutQuorum,
        Fault::LeaseFromReceipt,
        Fault::LeaseDuringTransfer,
        Fault::TransferFlagStuck,
        Fault::ChunkIgnoresSnapshotId,
        Fault::SnapshotKeepsLog,
        Fault::VoteAtOnceAfterRestart,
    ] {
        let found = find(fault, ALL, 3_000);
        println!("{fault:?}: {found:.200?}");
    }
}

#[test]
fn adhoc() {
    let (table, broken) = tell(434, ALL, Planted::with(Fault::LeaderNeverStepsDown));
    println!("now {} {}", table.now, broken.unwrap_or_default());
    for (place, event) in table.events.iter().rev().take(90).rev() {
        println!("  {} {event:?}", place + 1);
    }
    for server in &table.servers {
        if let Some(raft) = &server.raft {
            println!(
                "{} rate {} et {:?} clock {:?} {:?}",
                server.config.id,
                server.rate,
                server.config.election_timeout_min,
                server.clock(table.now),
                raft.status()
            );
        }
    }
}
