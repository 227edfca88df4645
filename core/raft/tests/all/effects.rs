//! Exact lists of effects: what a host is told, and in which order.

use crate::bench::{Bench, append, appended, entry, entry_id, log_of, request};
use crate::server::id;
use bytes::Bytes;
use proconsul_raft::{
    Effect, Entry, Event, HardState, Input, Membership, Message, Payload, Persist, Refusal, Ticket,
    Timer,
};
use proconsul_types::{Instant, LogIndex, Planted, Term};

fn only(server: u128) -> Membership {
    Membership::of_voters([id(server)])
}

#[test]
fn a_server_alone_leads_after_two_syncs() {
    let mut bench = Bench::of(1, Vec::new(), Planted::none());
    assert_eq!(bench.raft.next_wakeup(), Some((bench.now, Timer::Boot)));
    let hard_state = HardState { term: Term(1), vote: Some(id(1)) };
    let expected = vec![
        Effect::Event(Event::PreCandidate(Term(1))),
        Effect::Event(Event::Candidate(Term(1))),
        Effect::Membership(only(1)),
        Effect::StatusChanged,
        Effect::Persist(Persist {
            number: 1,
            hard_state: Some(hard_state),
            urgent: true,
            ..Persist::default()
        }),
    ];
    assert_eq!(bench.step(Input::Wake), expected);
    let first = Entry { id: entry_id(1, 1), payload: Payload::Membership(only(1)) };
    let expected = vec![
        Effect::Event(Event::Leader(Term(1))),
        Effect::Event(Event::MembershipChanged(LogIndex(1))),
        Effect::Membership(only(1)),
        Effect::StatusChanged,
        Effect::Persist(Persist {
            number: 2,
            entries: vec![first.clone()],
            urgent: true,
            ..Persist::default()
        }),
    ];
    assert_eq!(bench.sync(), expected);
    let expected = vec![
        Effect::Event(Event::Committed(LogIndex(1))),
        Effect::Commit(vec![first]),
        Effect::Lease(Instant::NEVER),
    ];
    assert_eq!(bench.sync(), expected);
    assert_eq!(bench.raft.next_wakeup(), None, "alone and idle, it sleeps");
}

#[test]
fn a_heartbeat_costs_one_answer() {
    let mut bench = Bench::of(3, log_of(&[1]), Planted::none());
    bench.hear(2, append(1, entry_id(1, 1), Vec::new(), 0, 1));
    bench.sync();
    let answer = appended(1, 2, Ok(LogIndex(1)));
    let effects = bench.hear(2, append(1, entry_id(1, 1), Vec::new(), 0, 2));
    assert_eq!(effects, vec![Effect::Send(id(2), answer)]);
}

#[test]
fn an_acknowledgement_waits_for_its_sync() {
    let mut bench = Bench::of(3, log_of(&[1]), Planted::none());
    bench.step(Input::Wake);
    bench.hear(2, append(1, entry_id(1, 1), Vec::new(), 0, 1));
    let effects = bench.hear(2, append(1, entry_id(1, 1), vec![entry(1, 2)], 1, 2));
    let expected = vec![
        Effect::Event(Event::Committed(LogIndex(1))),
        Effect::Commit(vec![entry(1, 1)]),
        Effect::Persist(Persist {
            number: 1,
            entries: vec![entry(1, 2)],
            committed: LogIndex(1),
            urgent: true,
            ..Persist::default()
        }),
    ];
    assert_eq!(effects, expected);
    let expected = vec![
        Effect::Event(Event::AppendAcked(LogIndex(2))),
        Effect::Send(id(2), appended(1, 2, Ok(LogIndex(2)))),
    ];
    assert_eq!(bench.step(Input::Persisted(1)), expected);
    assert_eq!(bench.step(Input::Persisted(1)), Vec::new(), "twice is once");
}

#[test]
fn a_vote_waits_for_its_sync() {
    let mut bench = Bench::of(3, Vec::new(), Planted::none());
    bench.step(Input::Wake);
    let effects = bench.hear(2, request(1, entry_id(0, 0), false, false));
    let hard_state = HardState { term: Term(1), vote: Some(id(2)) };
    let expected = vec![
        Effect::Event(Event::Follower(Term(1), None)),
        Effect::Event(Event::VoteGranted(Term(1), id(2))),
        Effect::StatusChanged,
        Effect::Persist(Persist {
            number: 1,
            hard_state: Some(hard_state),
            urgent: true,
            ..Persist::default()
        }),
    ];
    assert_eq!(effects, expected);
    let vote = Message::Vote { term: Term(1), stood: Term(1), granted: true, pre: false };
    assert_eq!(bench.sync(), vec![Effect::Send(id(2), vote)]);
}

#[test]
fn a_proposal_goes_to_the_network_before_the_disk() {
    let mut bench = Bench::of(2, Vec::new(), Planted::none());
    bench.lead(&[2]);
    bench.acknowledge(2, 1);
    let effects = bench.step(Input::Propose(Ticket(9), Bytes::from_static(b"x")));
    let payload = Payload::Command(Bytes::from_static(b"x"));
    let entries = vec![Entry { id: entry_id(1, 2), payload }];
    let message = append(1, entry_id(1, 1), entries.clone(), 1, 1);
    let expected = vec![
        Effect::Proposed(Ticket(9), entry_id(1, 2)),
        Effect::Event(Event::AppendSent(id(2), LogIndex(2))),
        Effect::Send(id(2), message),
        Effect::Persist(Persist {
            number: 3,
            entries,
            committed: LogIndex(1),
            urgent: true,
            ..Persist::default()
        }),
    ];
    assert_eq!(effects, expected);
}

#[test]
fn the_lease_ends_before_anything_else() {
    let mut bench = Bench::of(2, Vec::new(), Planted::none());
    bench.lead(&[2]);
    bench.acknowledge(2, 1);
    assert!(bench.raft.lease_until() > bench.now);
    bench.propose(5);
    let effects = bench.hear(2, appended(7, 1, Err(entry_id(0, 0))));
    let hard_state = HardState { term: Term(7), vote: None };
    let expected = vec![
        Effect::Lease(Instant::START),
        Effect::Event(Event::SteppedDown(Term(1))),
        Effect::Refused(Ticket(5), Refusal::LeadershipLost),
        Effect::Event(Event::Follower(Term(7), None)),
        Effect::StatusChanged,
        Effect::Persist(Persist {
            number: 4,
            hard_state: Some(hard_state),
            committed: LogIndex(1),
            urgent: true,
            ..Persist::default()
        }),
    ];
    assert_eq!(effects, expected);
}
