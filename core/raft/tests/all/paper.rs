//! One test for each statement of the dissertation that the code cites.

use crate::bench::{
    Bench, append, appended, appended_by, committed, entry, entry_id, log_of, membership, outcome,
    persisted, refusal, request, round_to, sent, vote_said,
};
use crate::server::{config, id};
use proconsul_raft::{
    Boot, Effect, HardState, Input, Member, MembershipChange, Message, Refusal, Role, Ticket, Timer,
};
use proconsul_types::{Duration, Instant, LogIndex, Planted, Term};

fn of(voters: u128, terms: &[u64]) -> Bench {
    let mut bench = Bench::of(voters, log_of(terms), Planted::none());
    bench.step(Input::Wake);
    bench
}

/// A leader of three whose first entry is committed.
fn leader_of(voters: u128) -> Bench {
    let mut bench = of(voters, &[]);
    let others: Vec<u128> = (2..=voters).collect();
    bench.lead(&others);
    for other in others {
        bench.acknowledge(other, 1);
    }
    bench
}

// 3.3: "If a server receives a request with a stale term number, it rejects the request."
#[test]
fn stale_terms_are_answered_with_the_newer_one() {
    let mut bench = of(3, &[1, 4]);
    let effects = bench.hear(2, append(3, entry_id(1, 1), Vec::new(), 0, 1));
    assert_eq!(sent(&effects), vec![(id(2), appended(4, 1, Err(entry_id(4, 2))))]);
    assert_eq!(bench.raft.leader(), None);
}

// 3.4: "Each server will vote for at most one candidate in a given term."
#[test]
fn one_vote_in_a_term() {
    let mut bench = of(3, &[]);
    bench.hear(2, request(1, entry_id(0, 0), false, false));
    assert_eq!(vote_said(&bench.sync()), Some(true));
    assert_eq!(vote_said(&bench.hear(3, request(1, entry_id(9, 9), false, false))), Some(false));
    let again = bench.hear(2, request(1, entry_id(0, 0), false, false));
    assert_eq!(vote_said(&again), Some(true), "the same answer to the same candidate");
}

// 3.4: "election timeouts are chosen randomly from a fixed interval."
#[test]
fn election_timeouts_are_in_the_interval() {
    let mut bench = of(3, &[1]);
    let mut seen = Vec::new();
    for round in 1..50 {
        bench.hear(2, append(1, entry_id(1, 1), Vec::new(), 0, round));
        let (at, timer) = bench.raft.next_wakeup().unwrap();
        assert_eq!(timer, Timer::Election);
        let wait = at.since(bench.now);
        assert!((Duration::from_millis(250)..=Duration::from_millis(500)).contains(&wait));
        seen.push(wait);
    }
    seen.dedup();
    assert!(seen.len() > 40, "they differ");
}

// 3.5: "If the follower does not find an entry in its log with the same index and term, then it
// refuses the new entries."
#[test]
fn the_previous_entry_must_agree() {
    let mut bench = of(3, &[1, 1, 2]);
    let effects = bench.hear(2, append(4, entry_id(3, 3), vec![entry(4, 4)], 0, 1));
    assert_eq!(outcome(&effects), None, "the new term is not durable yet");
    assert_eq!(outcome(&bench.sync()), Some(Err(entry_id(2, 3))));
    let effects = bench.hear(2, append(4, entry_id(4, 9), vec![entry(4, 10)], 0, 1));
    assert_eq!(outcome(&effects), Some(Err(entry_id(2, 3))), "too short: go on from the end");
    let effects = bench.hear(2, append(4, entry_id(1, 3), vec![entry(4, 4)], 0, 1));
    assert_eq!(outcome(&effects), Some(Err(entry_id(1, 2))), "a whole term is skipped");
}

// 3.5: "If an existing entry conflicts with a new one, delete the existing entry and all that
// follow it" - and only then.
#[test]
fn only_a_true_conflict_cuts_the_log() {
    let mut bench = of(3, &[1, 1, 1]);
    let effects = bench.hear(2, append(2, entry_id(1, 1), vec![entry(1, 2)], 0, 1));
    assert_eq!(persisted(&effects).unwrap().truncate_from, None);
    assert_eq!(bench.raft.last(), entry_id(1, 3), "a shorter message is no reason to cut");
    let effects = bench.hear(2, append(2, entry_id(1, 1), vec![entry(2, 2)], 0, 1));
    let batch = persisted(&effects).unwrap();
    assert_eq!((batch.truncate_from, batch.entries), (Some(LogIndex(2)), vec![entry(2, 2)]));
    assert_eq!(bench.raft.last(), entry_id(2, 2));
}

// 3.5: "if leaderCommit > commitIndex, set commitIndex = min(leaderCommit, last new entry)."
#[test]
fn a_follower_commits_only_what_was_checked() {
    let mut bench = of(3, &[1, 1, 1]);
    let effects = bench.hear(2, append(2, entry_id(1, 1), Vec::new(), 3, 1));
    assert_eq!(committed(&effects), vec![entry_id(1, 1)]);
}

// 3.6.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate."
#[test]
fn the_candidates_log_must_be_up_to_date() {
    for (last, granted) in [
        (entry_id(2, 3), true),
        (entry_id(2, 4), true),
        (entry_id(3, 1), true),
        (entry_id(2, 2), false),
        (entry_id(1, 9), false),
    ] {
        let mut bench = of(3, &[1, 2, 2]);
        let pre = bench.hear(2, request(3, last, true, false));
        assert_eq!(vote_said(&pre), Some(granted), "pre-vote, {last}");
        bench.hear(2, request(3, last, false, false));
        assert_eq!(vote_said(&bench.sync()), Some(granted), "vote, {last}");
    }
}

// 3.8: "Each server persists its current term and vote"; a restarted one remembers them.
#[test]
fn the_vote_survives_a_restart() {
    let hard_state = HardState { term: Term(3), vote: Some(id(2)) };
    let boot = Boot {
        hard_state,
        bootstrap: Some(proconsul_raft::Membership::of_voters((1..=3).map(id))),
        restarted: true,
        ..Boot::default()
    };
    let mut bench = Bench::boot(config(1, Planted::none()), boot);
    bench.now = bench.now.after(Duration::from_millis(251));
    assert_eq!(vote_said(&bench.hear(3, request(3, entry_id(2, 1), false, false))), Some(false));
    assert_eq!(vote_said(&bench.hear(2, request(3, entry_id(2, 1), false, false))), Some(true));
}

// 5.1 with 3.8: a snapshot may be durable before the term it came in. The vote of an earlier term
// is none of that one.
#[test]
fn a_snapshot_of_a_newer_term_brings_its_term() {
    let snapshot = proconsul_raft::SnapshotMeta {
        last: entry_id(3, 28),
        membership: proconsul_raft::Membership::of_voters((1..=3).map(id)),
        membership_index: LogIndex(1),
    };
    let hard_state = HardState { term: Term(2), vote: Some(id(2)) };
    let boot = Boot { hard_state, snapshot: Some(snapshot), restarted: true, ..Boot::default() };
    let mut bench = Bench::boot(config(1, Planted::none()), boot);
    bench.raft.check_invariants();
    assert_eq!(bench.raft.term(), Term(3));
    bench.now = bench.now.after(Duration::from_millis(251));
    bench.hear(3, request(3, entry_id(3, 28), false, false));
    assert_eq!(vote_said(&bench.sync()), Some(true));
}

// 6.4.1 with 3.8: what was promised to a leader before a crash holds after it.
#[test]
fn a_restarted_server_does_not_vote_at_once() {
    let boot = Boot {
        bootstrap: Some(proconsul_raft::Membership::of_voters((1..=3).map(id))),
        restarted: true,
        ..Boot::default()
    };
    let mut bench = Bench::boot(config(1, Planted::none()), boot);
    let ask = request(1, entry_id(0, 0), false, false);
    assert_eq!(vote_said(&bench.hear(2, ask.clone())), Some(false));
    assert_eq!(bench.raft.term(), Term(0), "nor does it follow into the term");
    bench.pass_ms(251);
    bench.hear(2, ask);
    assert_eq!(vote_said(&bench.sync()), Some(true));
}

// 3.10: the leader stops taking requests, brings the target up to date, and tells it to stand.
#[test]
fn a_transfer_waits_for_the_target_and_voids_the_lease() {
    let mut bench = leader_of(3);
    bench.propose(1);
    assert!(bench.raft.lease_until() > bench.now);
    let effects = bench.step(Input::Transfer(Ticket(2), Some(id(3))));
    assert!(effects.contains(&Effect::Lease(Instant::START)));
    assert!(sent(&effects).is_empty(), "the target lacks an entry");
    assert_eq!(refusal(&bench.propose(3)), Some(Refusal::Transferring));
    let effects = bench.acknowledge(3, 1);
    assert!(sent(&effects).contains(&(id(3), Message::TimeoutNow { term: Term(1) })));
    let effects = bench.pass_ms(500);
    assert_eq!(refusal(&effects), Some(Refusal::TimedOut));
    assert_eq!(refusal(&bench.propose(4)), None, "writes go on");
    assert_eq!(bench.raft.lease_until(), Instant::START, "but that message may still arrive");
}

// 3.10: "the target server's election ... and leadership transfer is complete."
#[test]
fn a_transfer_ends_when_the_target_leads() {
    let mut bench = leader_of(3);
    bench.step(Input::Transfer(Ticket(2), Some(id(3))));
    bench.hear(3, request(2, entry_id(1, 1), false, true));
    assert_eq!(vote_said(&bench.sync()), Some(true), "its own leader is no reason to refuse");
    let effects = bench.hear(3, append(2, entry_id(1, 1), vec![entry(2, 2)], 1, 1));
    assert!(effects.contains(&Effect::Transferred(Ticket(2), id(3))));
}

// 3.10: told to stand, a server skips pre-vote and says so.
#[test]
fn a_target_stands_at_once() {
    let mut bench = of(3, &[1]);
    bench.hear(2, append(1, entry_id(1, 1), Vec::new(), 0, 1));
    bench.hear(3, Message::TimeoutNow { term: Term(1) });
    assert_eq!(bench.raft.role(), Role::Follower, "only its leader may say so");
    bench.hear(2, Message::TimeoutNow { term: Term(1) });
    assert_eq!(bench.raft.role(), Role::Candidate);
    let asked = sent(&bench.sync());
    assert_eq!(asked[0], (id(2), request(2, entry_id(1, 1), false, true)));
}

// 4.1: "a server always uses the latest configuration in its log, regardless of whether the entry
// is committed", and goes back to the earlier one if the entry is removed.
#[test]
fn a_membership_is_in_force_while_it_is_in_the_log() {
    let mut bench = of(3, &[1]);
    bench.hear(2, append(1, entry_id(1, 1), vec![membership(1, 2, &[1, 2, 3, 4])], 0, 1));
    assert_eq!(bench.raft.membership().voter_count(), 4);
    bench.hear(3, append(2, entry_id(1, 1), vec![entry(2, 2)], 0, 1));
    assert_eq!(bench.raft.membership().voter_count(), 3);
}

// 4.1 and its correction of 2015: one change at a time, and none before an entry of the own term is
// committed.
#[test]
fn changes_wait_for_the_own_term_and_for_one_another() {
    let mut bench = of(3, &[]);
    bench.lead(&[2, 3]);
    let voter = Member { voter: true };
    let add = |server: u128| {
        Input::Change(
            Ticket(u64::try_from(server).unwrap()),
            MembershipChange::Set(id(server), voter),
        )
    };
    assert_eq!(refusal(&bench.step(add(4))), Some(Refusal::ChangeInProgress));
    bench.acknowledge(2, 1);
    assert_eq!(refusal(&bench.step(add(4))), None);
    assert_eq!(refusal(&bench.step(add(5))), Some(Refusal::ChangeInProgress));
    let remove = Input::Change(Ticket(9), MembershipChange::Remove(id(9)));
    bench.acknowledge(2, 1);
    bench.sync();
    bench.acknowledge(3, 1);
    assert_eq!(refusal(&bench.step(remove)), Some(Refusal::Invalid));
}

// 4.2.2: "a leader that is removed steps down once C_new is committed."
#[test]
fn a_removed_leader_steps_down_after_the_commit() {
    let mut bench = leader_of(3);
    bench.step(Input::Change(Ticket(1), MembershipChange::Remove(id(1))));
    assert!(bench.raft.is_leader());
    bench.sync();
    bench.acknowledge(2, 2);
    assert!(bench.raft.is_leader(), "it does not count itself: one of two is no majority");
    let effects = bench.acknowledge(3, 2);
    assert_eq!(committed(&effects), vec![entry_id(1, 2)]);
    assert!(!bench.raft.is_leader());
    assert_eq!(bench.raft.lease_until(), Instant::START);
}

// 4.2.3: "if a server receives a RequestVote request within the minimum election timeout of hearing
// from a current leader, it does not update its term or grant its vote."
#[test]
fn votes_are_refused_under_a_live_leader() {
    let mut bench = of(3, &[1]);
    bench.hear(2, append(1, entry_id(1, 1), Vec::new(), 0, 1));
    bench.sync();
    let high = entry_id(9, 9);
    assert_eq!(vote_said(&bench.hear(3, request(9, high, true, false))), Some(false));
    assert_eq!(vote_said(&bench.hear(3, request(9, high, false, false))), Some(false));
    assert_eq!((bench.raft.term(), bench.raft.leader()), (Term(1), Some(id(2))));
    bench.hear(3, request(9, high, false, true));
    assert_eq!(vote_said(&bench.sync()), Some(true), "except when its leader hands over");
}

// 6.2: "a leader steps down if an election timeout elapses without a successful round of heartbeats
// to a majority of its cluster."
#[test]
fn a_leader_without_a_quorum_steps_down() {
    let mut bench = leader_of(5);
    for _ in 0..20 {
        let effects = bench.pass_ms(50);
        if let Some(round) = round_to(&effects, 2) {
            bench.hear(2, appended(1, round, Ok(LogIndex(1))));
        }
    }
    assert!(!bench.raft.is_leader(), "one of four others is not enough of five");
    let mut bench = leader_of(3);
    for _ in 0..20 {
        let effects = bench.pass_ms(50);
        if let Some(round) = round_to(&effects, 2) {
            bench.hear(2, appended(1, round, Ok(LogIndex(1))));
        }
    }
    assert!(bench.raft.is_leader(), "one of two others is enough of three");
}

// 9.3: "broadcastTime << electionTimeout": of each voter, whose timeout need not be ours.
#[test]
fn a_leader_beats_as_its_most_impatient_voter_needs() {
    let mut bench = leader_of(3);
    let round = round_to(&bench.pass_ms(60), 2).unwrap();
    bench.hear(2, appended_by(40, 1, round, Ok(LogIndex(1))));
    for _ in 0..5 {
        assert!(round_to(&bench.pass_ms(20), 2).is_some(), "twice in 40 ms");
    }
    bench.hear(2, appended_by(1, 1, round, Ok(LogIndex(1))));
    bench.pass_ms(20);
    assert!(round_to(&bench.pass_ms(3), 2).is_none(), "within reason");
    bench.hear(2, appended_by(900, 1, round, Ok(LogIndex(1))));
    bench.pass_ms(20);
    assert!(round_to(&bench.pass_ms(20), 2).is_none(), "and no oftener than configured");
}

fn ready(effects: &[Effect]) -> Vec<(Ticket, LogIndex)> {
    let reads = effects.iter().filter_map(|effect| {
        let Effect::ReadReady(ticket, index) = effect else { return None };
        Some((*ticket, *index))
    });
    reads.collect()
}

// 6.4: "the leader ... issues a new round of heartbeats and waits for acknowledgments from a majority"
// - one round for all that wait.
#[test]
fn one_round_confirms_all_reads_that_wait() {
    let mut bench = leader_of(3);
    let first = round_to(&bench.step(Input::Read(Ticket(1))), 2).unwrap();
    assert_eq!(sent(&bench.step(Input::Read(Ticket(2)))), Vec::new());
    assert_eq!(sent(&bench.step(Input::Read(Ticket(3)))), Vec::new());
    let effects = bench.acknowledge(2, first);
    assert_eq!(ready(&effects), vec![(Ticket(1), LogIndex(1))]);
    let second = round_to(&effects, 2).unwrap();
    assert!(second > first);
    assert_eq!(ready(&bench.acknowledge(3, first)), Vec::new(), "a late answer proves nothing new");
    let expected = vec![(Ticket(2), LogIndex(1)), (Ticket(3), LogIndex(1))];
    assert_eq!(ready(&bench.acknowledge(3, second)), expected);
}

// 6.4: "If the leader has not yet marked an entry from its current term committed, it waits until it
// has done so."
#[test]
fn reads_wait_for_an_entry_of_the_own_term() {
    let mut bench = of(3, &[1, 1]);
    bench.lead(&[2, 3]);
    let round = round_to(&bench.step(Input::Read(Ticket(1))), 2).unwrap();
    let effects = bench.hear(2, appended(2, round, Ok(LogIndex(2))));
    assert_eq!(ready(&effects), Vec::new());
    let effects = bench.acknowledge(2, round);
    assert_eq!(ready(&effects), vec![(Ticket(1), LogIndex(3))]);
}

// 6.4.1: "the lease extends from the time the round was sent", by less than an election timeout.
#[test]
fn the_lease_is_measured_from_the_sending() {
    let mut bench = leader_of(3);
    let effects = bench.pass_ms(60);
    let begun = bench.now;
    let round = round_to(&effects, 2).unwrap();
    bench.now = bench.now.after(Duration::from_millis(150));
    bench.acknowledge(2, round);
    assert_eq!(bench.raft.lease_until(), begun.after(Duration::from_millis(200)));
}

// 6.4.1 among servers with different timeouts: the shortest that a voter told counts.
#[test]
fn the_lease_obeys_the_most_impatient_voter() {
    let mut bench = leader_of(3);
    let effects = bench.pass_ms(60);
    let (begun, round) = (bench.now, round_to(&effects, 2).unwrap());
    let message = Message::Appended {
        term: Term(1),
        round,
        outcome: Ok(LogIndex(1)),
        election_timeout_min: 100_000_000,
    };
    bench.hear(3, message);
    assert!(bench.raft.lease_until() <= begun.after(Duration::from_millis(200)));
    let effects = bench.pass_ms(60);
    let begun = bench.now;
    bench.acknowledge(2, round_to(&effects, 2).unwrap());
    assert!(bench.raft.lease_until() <= begun.after(Duration::from_millis(80)).max(bench.now));
}

// 9.6: "a candidate only increments its term if it first learns from a majority that they would be
// willing to grant their votes."
#[test]
fn a_server_cut_off_does_not_raise_its_term() {
    let mut bench = of(3, &[1]);
    for _ in 0..20 {
        bench.pass_ms(600);
    }
    assert_eq!((bench.raft.term(), bench.raft.role()), (Term(1), Role::PreCandidate));
    bench.vote(2, true);
    assert_eq!((bench.raft.term(), bench.raft.role()), (Term(2), Role::Candidate));
    bench.vote(2, true);
    assert_eq!(bench.raft.role(), Role::Candidate, "a pre-vote is no vote");
}

// 10.2.1: "the leader can write to its disk in parallel with replicating to the followers"; it
// counts itself once its own write is durable.
#[test]
fn the_leader_counts_itself_when_its_write_is_durable() {
    let mut bench = leader_of(3);
    bench.propose(1);
    bench.sync();
    assert_eq!(bench.raft.committed(), LogIndex(1));
    bench.propose(2);
    assert_eq!(committed(&bench.acknowledge(2, 1)), vec![entry_id(1, 2)]);
    assert_eq!(committed(&bench.sync()), vec![entry_id(1, 3)]);
}

// 10.2.2: pipelining, within bounds.
#[test]
fn entries_are_sent_ahead_of_the_answers_within_bounds() {
    let mut bench = leader_of(2);
    let mut messages = 0;
    for ticket in 0..10 {
        messages += sent(&bench.propose(ticket)).len();
    }
    assert_eq!(messages, 3, "inflight_messages_max");
    let effects = bench.hear(2, appended(1, 1, Ok(LogIndex(2))));
    let batches: Vec<usize> = sent(&effects)
        .into_iter()
        .map(|(_, message)| {
            let Message::Append { entries, .. } = message else { return 0 };
            entries.len()
        })
        .collect();
    assert_eq!(batches, vec![4], "what waited goes in one message");
}

#[test]
fn too_much_uncommitted_is_refused_and_step_down_leaves_outcomes_unknown() {
    let mut bench = leader_of(3);
    let refused = (0..200).map(|ticket| refusal(&bench.propose(ticket)));
    assert!(refused.collect::<Vec<_>>().contains(&Some(Refusal::Overloaded)));
    let effects = bench.hear(2, append(2, entry_id(1, 1), Vec::new(), 1, 1));
    assert!(effects.contains(&Effect::Refused(Ticket(0), Refusal::LeadershipLost)));
    assert_eq!(refusal(&bench.propose(999)), Some(Refusal::NotLeader(Some(id(2)))));
}

#[test]
fn a_broken_connection_to_the_leader_shortens_the_wait_but_not_the_promise() {
    let mut bench = of(3, &[1]);
    bench.hear(2, append(1, entry_id(1, 1), Vec::new(), 0, 1));
    bench.step(Input::PeerLost(id(3)));
    bench.step(Input::PeerLost(id(2)));
    let (at, timer) = bench.raft.next_wakeup().unwrap();
    assert_eq!(timer, Timer::Election);
    let wait = at.since(bench.now);
    assert!((Duration::from_millis(250)..=Duration::from_millis(313)).contains(&wait));
}

#[test]
fn a_slow_disk_does_not_silence_a_follower() {
    let mut bench = of(3, &[1]);
    bench.hear(2, append(1, entry_id(1, 1), vec![entry(1, 2)], 0, 1));
    let effects = bench.hear(2, append(1, entry_id(1, 2), Vec::new(), 0, 2));
    assert_eq!(outcome(&effects), Some(Ok(LogIndex(1))), "what is durable, at once");
}

#[test]
fn a_leader_whose_disk_hangs_gives_up() {
    let mut bench = leader_of(3);
    bench.propose(1);
    for _ in 0..100 {
        let effects = bench.pass_ms(50);
        for other in [2, 3] {
            if let Some(round) = round_to(&effects, other) {
                bench.hear(other, appended(1, round, Ok(LogIndex(2))));
            }
        }
    }
    assert!(!bench.raft.is_leader());
}
