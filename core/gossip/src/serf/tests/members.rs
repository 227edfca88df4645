//! Leaves, failures, forced leaves, prunes, refutations, reaping, reconnecting.

use super::*;
use alloc::vec;
use proconsul_types::LamportTime;
use proconsul_wire::serf::{Join, Leave, Message};

#[test]
fn a_leave_is_a_leave_and_a_silence_is_a_failure() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    pool.forget_events();
    let now = pool.now;
    pool.serf("b").leave(now);
    pool.settle();
    pool.die("c");
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Left));
    assert_eq!(pool.status("b", "b"), Some(MemberStatus::Left));
    assert_eq!(pool.status("a", "c"), Some(MemberStatus::Failed));
    let events = pool.take_events("a");
    assert_eq!((count(&events, "b", left), count(&events, "b", failed)), (1, 0));
    assert_eq!((count(&events, "c", left), count(&events, "c", failed)), (0, 1));
    assert!(!pool.take_events("b").contains(&Event::LeftPool), "it waits for the leave to spread");
    pool.pass(second(3));
    assert!(pool.take_events("b").contains(&Event::LeftPool));
}

#[test]
fn a_leave_at_a_time_that_is_over_counts_when_its_member_goes() {
    let after = |seconds: u64, own_word: bool| {
        let mut pool = Pool::of(&["a", "b"]);
        // Others spoke of "b" later than it knows.
        let join = Join { time: LamportTime(9), node: Arc::from("b") };
        let leave = Leave { time: LamportTime(8), node: Arc::from("b"), prune: false };
        let now = pool.now;
        pool.serf("a").on_join_intent(now, &join);
        assert!(!pool.serf("a").on_leave_told(now, &leave), "that is no news");
        pool.serf("a").on_gone(now.after(second(seconds)), "b", own_word);
        pool.status("a", "b")
    };
    assert_eq!(after(1, true), Some(MemberStatus::Left));
    assert_eq!(after(1, false), Some(MemberStatus::Failed));
    assert_eq!(after(60, true), Some(MemberStatus::Failed));
}

#[test]
fn who_left_and_spoke_later_than_that_has_come_back() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    let now = pool.now;
    let leave = Leave { time: LamportTime(9), node: Arc::from("b"), prune: false };
    pool.serf("a").on_leave_intent(now, &leave);
    pool.serf("a").on_gone(now, "b", true);
    let mut hold = |time: u64| {
        let mut state = pool.serfs["c"].local_state();
        state.status_times = vec![(Arc::from("b"), LamportTime(time))].into();
        pool.serf("a").merge(now, &state, false);
        pool.status("a", "b")
    };
    assert_eq!(hold(9), Some(MemberStatus::Left), "another may not have heard the end of it");
    assert_eq!(hold(10), Some(MemberStatus::Failed), "until the failure detector meets it");
}

#[test]
fn between_intent_and_death_a_member_is_leaving() {
    let mut pool = Pool::of(&["a", "b"]);
    let leave = Leave { time: LamportTime(9), node: Arc::from("b"), prune: false };
    pool.deliver("a", &Message::Leave(leave).to_bytes());
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Leaving));
    pool.settle();
    // b has heard the intent too, is alive, and says so with a later time.
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Alive));
    assert!(pool.take_events("b").contains(&Event::Refuted));
}

#[test]
fn a_leave_that_its_member_never_heard_of_is_contradicted() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    let leave = Leave { time: LamportTime(9), node: Arc::from("b"), prune: false };
    let now = pool.now;
    pool.serf("a").on_leave_intent(now, &leave);
    // The intent itself reaches nobody else; its time does, by exchanges.
    pool.serf("a").intents_queue = crate::serf::Broadcasts::default();
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Leaving));
    pool.exchange("a", "c");
    pool.exchange("c", "b");
    pool.settle();
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Alive));
    assert_eq!(pool.status("c", "b"), Some(MemberStatus::Alive));
}

#[test]
fn a_leave_of_the_very_time_its_member_spoke_is_contradicted() {
    let mut pool = Pool::of(&["a", "b"]);
    let now = pool.now;
    // b speaks of itself once more, and nobody hears it.
    pool.serf("b").clocks.member = LamportTime(9);
    pool.serf("b").announce_join(now);
    pool.serf("b").intents_queue = crate::serf::Broadcasts::default();
    // Someone still holds b's former life for gone.
    let time = LamportTime(own_time(&pool, "b") - 1);
    let mut state = pool.serfs["a"].local_state();
    (state.left, state.status_times) = (vec!["b".into()], vec![("b".into(), time)].into());
    pool.serf("a").merge(now, &state, false);
    pool.settle();
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Leaving));
    pool.pass(second(31));
    pool.settle();
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Alive));
}

/// When `name` was last spoken of, as it knows itself.
fn own_time(pool: &Pool, name: &str) -> u64 {
    let times = pool.serfs[name].local_state().status_times;
    times.iter().find(|(node, _)| &**node == name).map(|(_, time)| time.0).unwrap()
}

/// An exchange tells "b" that someone heard of it at `time`.
fn hear_of_b(pool: &mut Pool, time: u64) -> u64 {
    let mut state = pool.serfs["a"].local_state();
    state.status_times = alloc::vec![(Arc::from("b"), LamportTime(time))].into();
    let now = pool.now;
    pool.serf("b").merge(now, &state, false);
    own_time(pool, "b")
}

#[test]
fn a_later_word_about_oneself_is_contradicted_once_a_reap_interval() {
    let mut pool = Pool::of(&["a", "b"]);
    assert_eq!(hear_of_b(&mut pool, 9), 10);
    assert_eq!(hear_of_b(&mut pool, 10), 10, "that was its own");
    assert_eq!(hear_of_b(&mut pool, 20), 20, "it has just spoken");
    pool.now = pool.now.after(Duration::from_millis(14_999));
    assert_eq!(hear_of_b(&mut pool, 20), 20);
    pool.now = pool.now.after(Duration::from_millis(1));
    assert_eq!(hear_of_b(&mut pool, 20), 21);
    pool.now = pool.now.after(second(60));
    let now = pool.now;
    pool.serf("b").leave(now);
    assert_eq!(hear_of_b(&mut pool, 30), 30, "it is leaving");
}

#[test]
fn a_join_of_the_own_name_that_is_told_to_all_is_not_answered() {
    let mut pool = Pool::of(&["a", "b"]);
    for time in [9, 11, 13] {
        let join = Join { time: LamportTime(time), node: Arc::from("b") };
        pool.deliver("b", &Message::Join(join).to_bytes());
        pool.settle();
        assert_eq!((own_time(&pool, "b"), pool.serfs["b"].clocks().member.0), (time, time + 1));
    }
    // But an exchange, later, is.
    assert_eq!(hear_of_b(&mut pool, 13), 14);
}

#[test]
fn a_leave_that_nobody_hears_goes_on_after_the_broadcast_timeout() {
    let mut pool = Pool::of(&["a", "b"]);
    let now = pool.now;
    pool.serf("a").leave(now);
    pool.serf("a").leave(now);
    // No packet goes out at all: nothing to piggyback on.
    let due = pool.serfs["a"].next_wakeup().unwrap();
    assert!(due <= now.after(second(5)));
    let end = now.after(second(5));
    pool.serf("a").wake(end);
    let mut asks = Vec::new();
    while let Some(ask) = pool.serf("a").take_ask() {
        asks.push(ask);
    }
    assert_eq!(asks.iter().filter(|ask| matches!(ask, Ask::LeaveSwim)).count(), 1);
    pool.serf("a").on_swim_left(end);
    pool.serf("a").on_swim_left(end);
    assert_eq!(pool.serf("a").next_wakeup(), Some(end.after(second(3))));
}

#[test]
fn one_alone_leaves_without_telling_anyone() {
    let mut pool = Pool::of(&["a"]);
    let now = pool.now;
    pool.serf("a").leave(now);
    pool.settle();
    pool.pass(second(3));
    assert_eq!(pool.take_events("a").last(), Some(&Event::LeftPool));
}

#[test]
fn a_failed_member_that_is_forced_out_counts_as_left_everywhere() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    pool.die("c");
    pool.forget_events();
    let now = pool.now;
    pool.serf("a").force_leave(now, &Arc::from("c"), false);
    pool.settle();
    for at in ["a", "b"] {
        assert_eq!(pool.status(at, "c"), Some(MemberStatus::Left));
        assert_eq!(count(&pool.take_events(at), "c", left), 1);
    }
    pool.serf("b").force_leave(now, &Arc::from("c"), true);
    pool.settle();
    for at in ["a", "b"] {
        assert_eq!(pool.status(at, "c"), None);
        let events = pool.take_events(at);
        assert_eq!((count(&events, "c", reaped), count(&events, "c", left)), (1, 0));
    }
}

#[test]
fn a_living_member_cannot_be_forced_out_or_pruned() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    pool.forget_events();
    let now = pool.now;
    pool.serf("a").force_leave(now, &Arc::from("c"), true);
    pool.settle();
    pool.pass(second(60));
    for at in ["a", "b", "c"] {
        assert_eq!(pool.status(at, "c"), Some(MemberStatus::Alive), "at {at}");
        let events = pool.take_events(at);
        assert_eq!(count(&events, "c", left) + count(&events, "c", reaped), 0);
    }
}

#[test]
fn a_leaving_member_is_pruned_when_it_has_left_and_all_know_of_it() {
    let mut pool = Pool::of(&["a", "b"]);
    pool.cut_off.insert("b".to_string());
    let now = pool.now;
    pool.serf("a").force_leave(now, &Arc::from("b"), true);
    pool.settle();
    pool.die("b");
    pool.pass(Duration::from_millis(7_999));
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Left));
    pool.pass(Duration::from_millis(2));
    assert_eq!(pool.status("a", "b"), None);
}

#[test]
fn who_is_to_be_pruned_is_not_forgotten_while_it_is_here() {
    let mut pool = Pool::of(&["a", "b"]);
    pool.cut_off.insert("b".to_string());
    let now = pool.now;
    pool.serf("a").force_leave(now, &Arc::from("b"), true);
    pool.settle();
    pool.pass(second(30));
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Leaving), "its death is not known");
    // At last it hears of it and contradicts; when it dies later, that is a failure like others.
    pool.cut_off.clear();
    pool.exchange("a", "b");
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Alive));
    pool.die("b");
    pool.pass(second(30));
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Failed));
}

#[test]
fn a_join_that_is_told_counts_against_a_leave_of_its_time() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    let node = Arc::from("b");
    let (join, leave) = (
        Join { time: LamportTime(9), node: Arc::clone(&node) },
        Leave { time: LamportTime(9), node, prune: false },
    );
    let now = pool.now;
    // Someone who holds "b" for left since 8 makes a leave of it; "b" says at 9 that it is back.
    pool.serf("a").on_leave_intent(now, &leave);
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Leaving));
    pool.serf("c").on_join_intent(now, &join);
    pool.serf("c").on_leave_intent(now, &leave);
    assert_eq!(pool.status("c", "b"), Some(MemberStatus::Alive));
    // What "c" holds may be the leave of another life, so it does not count; the word does.
    let held = pool.serfs["c"].local_state();
    pool.serf("a").merge(now, &held, false);
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Leaving));
    pool.deliver("a", &Message::Join(join).to_bytes());
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Alive));
}

#[test]
fn a_leave_of_the_very_time_of_the_own_join_is_refuted() {
    let mut pool = Pool::of(&["a", "b"]);
    let time_of = |pool: &Pool| {
        let times = pool.serfs["b"].local_state().status_times;
        times.iter().find(|(node, _)| &**node == "b").map(|(_, time)| *time).unwrap()
    };
    // "a" made its leave of "b" before it heard of the join that has the same time.
    let time = time_of(&pool);
    let leave = Leave { time, node: Arc::from("b"), prune: false };
    pool.deliver("b", &Message::Leave(leave).to_bytes());
    assert!(time_of(&pool) > time);
    pool.settle();
    assert!(pool.take_events("b").contains(&Event::Refuted));
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Alive));
    assert_eq!(pool.status("b", "b"), Some(MemberStatus::Alive));
}

#[test]
fn an_intent_that_came_before_its_member_counts_when_it_comes() {
    let mut pool = Pool::of(&["a"]);
    let node = Arc::from("n");
    let leave = Leave { time: LamportTime(5), node: Arc::clone(&node), prune: false };
    let join = Join { time: LamportTime(6), node: Arc::from("m") };
    pool.deliver("a", &Message::Leave(leave.clone()).to_bytes());
    pool.deliver("a", &Message::Join(join.clone()).to_bytes());
    assert_eq!(pool.serfs["a"].queue_lengths().intents, 2);
    // The same again is not told on.
    pool.deliver("a", &Message::Leave(leave).to_bytes());
    assert_eq!(pool.serfs["a"].queue_lengths().intents, 2);
    let now = pool.now;
    for name in ["n", "m"] {
        let (alive, _) = is_alive(name, &tags(&[]), Liveness::Alive);
        pool.serf("a").on_joined(now, &alive, VERSIONS, address(name));
    }
    assert_eq!(pool.status("a", "n"), Some(MemberStatus::Leaving));
    assert_eq!(pool.status("a", "m"), Some(MemberStatus::Alive));
    let times = pool.serfs["a"].local_state().status_times;
    let said = |node: &Arc<str>| times.iter().find(|(name, _)| name == node).map(|said| said.1);
    assert_eq!(said(&node), Some(LamportTime(5)));
    assert_eq!(said(&join.node), Some(LamportTime(6)));
    assert_eq!(pool.serfs["a"].clocks().member, LamportTime(7));
}

#[test]
fn intents_that_nobody_came_to_are_forgotten() {
    let mut pool = Pool::of(&["a"]);
    let leave = Leave { time: LamportTime(5), node: Arc::from("n"), prune: false };
    pool.deliver("a", &Message::Leave(leave).to_bytes());
    pool.settle();
    pool.pass(second(330));
    let (alive, _) = is_alive("n", &tags(&[]), Liveness::Alive);
    let now = pool.now;
    pool.serf("a").on_joined(now, &alive, VERSIONS, address("n"));
    assert_eq!(pool.status("a", "n"), Some(MemberStatus::Alive));
}

#[test]
fn intents_about_strangers_are_bounded() {
    let mut pool = Pool::of(&["a"]);
    let leave = |name: &str| {
        Message::Leave(Leave { time: LamportTime(5), node: Arc::from(name), prune: false })
    };
    let long = "x".repeat(1401);
    pool.deliver("a", &leave(&long).to_bytes());
    for number in 0..4_200 {
        pool.deliver("a", &leave(&alloc::format!("n{number}")).to_bytes());
    }
    pool.serfs["a"].check_invariants();
    let now = pool.now;
    for (name, status) in [
        ("n0", MemberStatus::Alive),
        ("n103", MemberStatus::Alive),
        ("n104", MemberStatus::Leaving),
        ("n4199", MemberStatus::Leaving),
        (&long, MemberStatus::Alive),
    ] {
        let (mut alive, _) = is_alive("n", &tags(&[]), Liveness::Alive);
        alive.node = Arc::from(name);
        pool.serf("a").on_joined(now, &alive, VERSIONS, address("n"));
        assert_eq!(pool.status("a", name), Some(status), "{name}");
    }
}

#[test]
fn a_member_that_comes_back_is_here_again() {
    let mut pool = Pool::of(&["a", "b"]);
    let now = pool.now;
    pool.serf("b").leave(now);
    pool.settle();
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Left));
    pool.pass(second(3));
    pool.forget_events();
    pool.start(config("b"));
    pool.meet("b");
    pool.exchange("b", "a");
    let now = pool.now;
    pool.serf("b").on_join_done(now, 1);
    pool.settle();
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Alive));
    assert_eq!(pool.status("b", "b"), Some(MemberStatus::Alive));
    assert_eq!(count(&pool.take_events("a"), "b", joined), 1);
    // And it can leave again: its clock went on.
    pool.serf("b").leave(now);
    pool.settle();
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Left));
}

#[test]
fn who_missed_a_leave_learns_it_by_an_exchange() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    pool.cut_off.insert("b".to_string());
    pool.die("c");
    let now = pool.now;
    pool.serf("a").force_leave(now, &Arc::from("c"), false);
    pool.settle();
    pool.cut_off.remove("b");
    assert_eq!(pool.status("b", "c"), Some(MemberStatus::Failed));
    pool.exchange("a", "b");
    assert_eq!(pool.status("b", "c"), Some(MemberStatus::Left));
}

#[test]
fn the_failed_are_kept_for_the_reconnect_timeout_and_the_left_for_theirs() {
    let mut pool = Pool::of(&["a", "b", "c"]);
    let now = pool.now;
    pool.serf("b").leave(now);
    pool.settle();
    pool.serfs.remove("b");
    pool.die("c");
    pool.serfs.remove("c");
    pool.forget_events();
    pool.pass(second(24 * 3600));
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Left));
    pool.pass(second(60));
    assert_eq!((pool.status("a", "b"), pool.status("a", "c")), (None, Some(MemberStatus::Failed)));
    pool.pass(second(48 * 3600));
    assert_eq!(pool.status("a", "c"), None);
    let events = pool.take_events("a");
    assert_eq!((count(&events, "b", reaped), count(&events, "c", reaped)), (1, 1));
    assert_eq!(pool.serfs["a"].next_wakeup(), None, "nobody is gone, so nothing is due");
}

#[test]
fn a_member_may_say_how_long_it_is_waited_for() {
    let mut pool = Pool::of(&["a", "b"]);
    let mut own = pool.serfs["b"].tags.clone();
    own.insert(Arc::from("rc_tm"), Arc::from("10m"));
    pool.serf("b").set_tags(own).unwrap();
    pool.settle();
    pool.die("b");
    pool.serfs.remove("b");
    pool.pass(second(590));
    assert_eq!(pool.status("a", "b"), Some(MemberStatus::Failed));
    pool.pass(second(40));
    assert_eq!(pool.status("a", "b"), None);
}

#[test]
fn failed_members_are_tried_about_once_an_interval_by_the_whole_pool() {
    let mut pool = Pool::of(&["a", "b", "c", "d", "e"]);
    pool.die("e");
    pool.serfs.remove("e");
    pool.joins.clear();
    pool.pass(second(30 * 200));
    let tries = pool.joins.len();
    assert!((120..280).contains(&tries), "{tries} of about 200");
    assert!(pool.joins.iter().all(|(_, seeds)| seeds == &[address("e")]));
}

#[test]
fn tags_reach_all_and_have_a_limit() {
    let mut pool = Pool::of(&["a", "b"]);
    pool.forget_events();
    pool.serf("a").set_tags(tags(&[("role", "node"), ("x", "1")])).unwrap();
    pool.settle();
    assert_eq!(pool.serfs["b"].member("a").unwrap().tags.get("x").map(|x| &**x), Some("1"));
    assert_eq!(count(&pool.take_events("b"), "a", updated), 1);
    let long = "x".repeat(600);
    let refused = pool.serf("a").set_tags(tags(&[("role", &long)]));
    assert_eq!(refused, Err("Encoded length of tags exceeds limit of 512 bytes".to_string()));
}

#[test]
fn coordinates_are_learned_kept_and_forgotten_with_their_member() {
    let mut pool = Pool::of(&["a", "b"]);
    let name = Arc::from("b");
    for _ in 0..20 {
        let payload = pool.serf("b").ack_payload();
        pool.serf("a").on_ack(&name, &payload, Duration::from_millis(20));
        let payload = pool.serf("a").ack_payload();
        pool.serf("b").on_ack(&Arc::from("a"), &payload, Duration::from_millis(20));
    }
    let (own, theirs) = (pool.serfs["a"].coordinate(), pool.serfs["a"].coordinate_of("b"));
    let estimate = crate::distance(own, theirs.unwrap());
    assert!((0.018..0.022).contains(&estimate), "{estimate}");
    pool.serf("a").on_ack(&name, b"\x02\x80", Duration::from_millis(1));
    pool.serf("a").on_ack(&name, b"", Duration::from_millis(1));
    pool.settle();
    let notices = pool.take_events("a").into_iter();
    assert_eq!(notices.filter(|event| matches!(event, Event::Notice(_))).count(), 1);
    pool.die("b");
    let now = pool.now;
    pool.serf("a").force_leave(now, &name, true);
    assert_eq!(pool.serfs["a"].coordinate_of("b"), None);
}

#[test]
fn coordinates_of_the_last_peers_are_kept_and_no_more() {
    let mut pool = Pool::of(&["a"]);
    let payload = pool.serf("a").ack_payload();
    let name = |number: usize| Arc::<str>::from(alloc::format!("n{number}"));
    let most = crate::coordinate::PEERS_MAX;
    for number in 0..most + 2 {
        pool.serf("a").on_ack(&name(number), &payload, Duration::from_millis(1));
        // The first one is met again and again.
        pool.serf("a").on_ack(&name(0), &payload, Duration::from_millis(1));
    }
    let held = |number| pool.serfs["a"].coordinate_of(&name(number)).is_some();
    assert_eq!((0..most + 2).filter(|number| held(*number)).count(), most);
    assert_eq!([0, 1, 2, 3].map(held), [true, false, false, true]);
}

#[test]
fn founded_pools_share_their_members_and_part_when_they_differ() {
    let mut founders = super::super::Founders::default();
    for name in ["a", "b", "c"] {
        let (alive, _) = is_alive(name, &tags(&[("role", "node")]), Liveness::Alive);
        founders.add(&alive, VERSIONS, address(name));
    }
    let mut pools = ["a", "b"].map(|name| {
        let mut serf = Serf::new(&config(name), &Rng::new(Seed(1)), b"", Instant::START);
        serf.found(Instant::START, &founders);
        serf.check_invariants();
        assert!(serf.take_ask().is_none(), "nobody is told");
        serf
    });
    let shared = pools.iter().map(|serf| serf.member("c").unwrap()).collect::<Vec<_>>();
    assert!(Arc::ptr_eq(&shared[0], &shared[1]));
    pools[0].on_gone(Instant::START, "c", false);
    let statuses = pools.each_ref().map(|serf| serf.member("c").unwrap().status);
    assert_eq!(statuses, [MemberStatus::Failed, MemberStatus::Alive]);
}
