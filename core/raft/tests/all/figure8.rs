//! Figure 3.7 of the dissertation (Figure 8 of the paper), word by word: an entry of an older term
//! on a majority is not committed yet.

use crate::bench::{Bench, append, appended, entry, entry_id, log_of, request, vote_said};
use proconsul_types::{LogIndex, Planted};

/// S1 led term 2 and put 2.2 on S1 and S2; S5 led term 3 and put 3.2 on itself alone; S1 leads term
/// 4 and copies 2.2 to S3, so a majority holds it. Returns S1 before anything of term 4 is
/// anywhere.
fn s1_in_term_4(planted: Planted) -> Bench {
    let mut s1 = Bench::of(5, log_of(&[1, 2]), planted);
    s1.hear(5, request(3, entry_id(3, 2), true, false));
    s1.hear(5, request(3, entry_id(1, 1), false, false)); // refused: shorter log, but term 3
    s1.lead(&[2, 3]);
    assert_eq!(s1.raft.term().0, 4);
    s1.hear(2, appended(4, 1, Ok(LogIndex(2))));
    s1.hear(3, appended(4, 1, Ok(LogIndex(2))));
    s1
}

#[test]
fn an_old_entry_on_a_majority_is_not_committed() {
    let mut s1 = s1_in_term_4(Planted::none());
    assert_eq!(s1.raft.committed(), LogIndex(0));
    // (d) So S5 may be elected by S2, S3 and S4, and overwrite 2.2 where it was.
    let mut s3 = Bench::of(5, log_of(&[1, 2]), Planted::none());
    let effects = s3.hear(5, request(5, entry_id(3, 2), false, false));
    assert_eq!(vote_said(&effects), None, "the vote waits for the disk");
    assert_eq!(vote_said(&s3.sync()), Some(true));
    s3.hear(5, append(5, entry_id(1, 1), vec![entry(3, 2)], 0, 1));
    assert_eq!(s3.raft.last(), entry_id(3, 2));
    // (e) But once an entry of term 4 is on a majority, everything before it is committed too, and
    // S5 cannot win.
    s1.hear(2, appended(4, 1, Ok(LogIndex(3))));
    s1.hear(3, appended(4, 1, Ok(LogIndex(3))));
    assert_eq!(s1.raft.committed(), LogIndex(3));
    let mut s2 = Bench::of(5, log_of(&[1, 2, 4]), Planted::none());
    s2.hear(5, request(5, entry_id(3, 2), false, false));
    assert_eq!(vote_said(&s2.sync()), Some(false));
}

#[cfg(feature = "planted")]
#[test]
fn the_planted_fault_commits_what_can_be_overwritten() {
    let s1 = s1_in_term_4(Planted::with(proconsul_types::Fault::CommitOldTerm));
    assert_eq!(s1.raft.committed(), LogIndex(2), "2.2 is said to be safe, but S5 can win");
}
