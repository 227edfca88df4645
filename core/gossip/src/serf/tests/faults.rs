//! Every planted fault does what its name says, and the sound code does not.

use super::*;
use proconsul_types::{Fault, NodeId};
use proconsul_wire::serf::{Join, Message};

/// A pool of which every member may carry a fault.
fn pool(names: &[&str], planted: Planted) -> Pool {
    Pool::with(names, |config| {
        config.planted = planted;
        config.keyring = Keyring::new(alloc::vec![key(1)]);
    })
}

/// Whether `broken` tells a pool with `fault` from one without.
fn tells_apart(fault: Fault, broken: impl Fn(Planted) -> bool) {
    assert!(!broken(Planted::none()), "{fault:?}: the sound code is sound");
    #[cfg(feature = "planted")]
    assert!(broken(Planted::with(fault)), "{fault:?}: the fault shows");
}

#[test]
fn an_old_leave_intent_makes_a_member_leave_again() {
    tells_apart(Fault::LeaveIntentIgnoresClock, |planted| {
        let mut pool = pool(&["a", "b", "c"], planted);
        let now = pool.now;
        pool.serf("b").on_join_done(now, 1);
        pool.serf("b").on_join_done(now, 1);
        pool.settle();
        let leave = proconsul_wire::serf::Leave {
            time: proconsul_types::LamportTime(1),
            node: Arc::from("b"),
            prune: false,
        };
        let old = Message::Leave(leave).to_bytes();
        pool.deliver("a", &old);
        pool.status("a", "b") != Some(MemberStatus::Alive)
    });
}

#[test]
fn an_event_like_one_of_512_ticks_ago_is_lost() {
    tells_apart(Fault::EventRingForgetsTime, |planted| {
        let mut pool = pool(&["a"], planted);
        for _ in 0..=512 {
            let now = pool.now;
            pool.serf("a").fire(now, Arc::from("tick"), Bytes::new(), false).unwrap();
        }
        pool.settle();
        pool.user_events("a").len() != 513
    });
}

#[test]
fn a_restarted_member_speaks_of_times_that_were_used() {
    tells_apart(Fault::RejoinReusesClock, |planted| {
        let mut pool = rejoin::restarted(|config| config.planted = planted);
        let now = pool.now;
        pool.serf("b").fire(now, Arc::from("e0"), Bytes::new(), false).unwrap();
        pool.settle();
        pool.user_events("a").is_empty()
    });
}

#[test]
fn a_failed_member_is_never_tried_again() {
    tells_apart(Fault::ReapForgetsFailedAtOnce, |planted| {
        let mut pool = pool(&["a", "b"], planted);
        pool.die("b");
        pool.serfs.remove("b");
        pool.joins.clear();
        pool.pass(second(60));
        pool.status("a", "b").is_none() && pool.joins.is_empty()
    });
}

#[test]
fn a_key_is_used_that_others_do_not_have() {
    tells_apart(Fault::KeyUsedBeforeInstalled, |planted| {
        let mut pool = pool(&["a", "b", "c"], planted);
        // c misses the installation, then hears the use.
        pool.cut_off.insert("c".to_string());
        let new = Bytes::from(alloc::vec![2; 16]);
        keys::change(&mut pool, "a", crate::KeyOp::Install(new.clone()));
        pool.cut_off.clear();
        keys::change(&mut pool, "a", crate::KeyOp::Use(new)).failed == 0
    });
}

#[test]
fn who_missed_a_leave_takes_it_for_a_failure() {
    tells_apart(Fault::PushPullForgetsLeft, |planted| {
        let mut pool = pool(&["a", "b", "c"], planted);
        pool.cut_off.insert("b".to_string());
        pool.die("c");
        let now = pool.now;
        pool.serf("a").force_leave(now, &Arc::from("c"), false);
        pool.settle();
        pool.cut_off.remove("b");
        pool.exchange("a", "b");
        pool.status("b", "c") != Some(MemberStatus::Left)
    });
}

#[test]
fn who_heard_only_of_its_death_takes_a_leave_for_a_failure() {
    tells_apart(Fault::LeaveToldBefore, |planted| {
        let mut pool = pool(&["a", "b"], planted);
        let now = pool.now;
        pool.serf("b").leave(now);
        // The intent goes to others, until it is told.
        let told = |serf: &Serf| serf.asks.iter().any(|ask| matches!(ask, Ask::LeaveSwim));
        while !told(&pool.serfs["b"]) {
            pool.serf("b").broadcasts(1300, &mut Vec::new());
        }
        pool.settle();
        pool.status("a", "b") == Some(MemberStatus::Failed)
    });
}

#[test]
fn who_came_back_is_told_to_leave_later() {
    tells_apart(Fault::ReturnKeepsLeft, |planted| {
        let mut pool = pool(&["a", "b", "c"], planted);
        pool.die("b");
        let now = pool.now;
        pool.serf("a").force_leave(now, &Arc::from("b"), false);
        pool.settle();
        let (alive, _) = is_alive("b", &tags(&[]), Liveness::Alive);
        pool.serf("c").on_joined(now, &alive, VERSIONS, address("b"));
        let join = Join { time: pool.serfs["a"].clocks().member, node: Arc::from("b") };
        pool.deliver("a", &Message::Join(join.clone()).to_bytes());
        pool.deliver("c", &Message::Join(join).to_bytes());
        pool.exchange("a", "c");
        pool.status("c", "b") == Some(MemberStatus::Leaving)
    });
}

#[test]
fn a_dead_member_keeps_its_id() {
    tells_apart(Fault::DeadKeepTheirId, |planted| {
        let pool = Pool::with(&["a"], |config| {
            let (datacenter, segment) = (Arc::from("dc1"), Arc::from(""));
            config.admission =
                Admission::Datacenter { datacenter, segment, id: NodeId::from_bits(7) };
            config.planted = planted;
        });
        let id = NodeId::from_bits(1).to_string();
        let client = tags(&[("role", "node"), ("dc", "dc1"), ("build", "1.8.7:"), ("id", &id)]);
        let old = is_alive("old", &client, Liveness::Dead);
        admit(&pool.serfs["a"], &[old, is_alive("new", &client, Liveness::Alive)]).is_err()
    });
}

#[test]
fn a_lan_name_comes_into_the_wan() {
    tells_apart(Fault::GuardLetsOtherPoolIn, |planted| {
        let pool = Pool::with(&["a.dc1"], |config| {
            (config.planted, config.admission) = (planted, Admission::Servers);
        });
        let client = tags(&[("role", "node"), ("dc", "dc1"), ("build", "1.8.7:")]);
        admit(&pool.serfs["a.dc1"], &[is_alive("n", &client, Liveness::Alive)]).is_ok()
    });
}

#[test]
fn a_change_of_keys_is_complete_before_all_have_answered() {
    tells_apart(Fault::AnswersCountedTwice, |planted| {
        let mut pool = pool(&["a", "b", "c"], planted);
        pool.cut_off.insert("c".to_string());
        pool.forget_events();
        let now = pool.now;
        pool.serf("a").keys(now, crate::Asked(3), crate::KeyOp::List, 0);
        let mut told = Vec::new();
        pool.serf("a").broadcasts(1300, &mut told);
        pool.deliver("b", &told[0]);
        while let Some(ask) = pool.serf("b").take_ask() {
            // The network brings b's answer twice.
            if let Ask::Send(_, bytes) = ask {
                pool.deliver("a", &bytes);
                pool.deliver("a", &bytes);
            }
        }
        pool.settle();
        pool.pass(second(4));
        let report = pool.take_events("a").into_iter().find_map(|event| match event {
            Event::Keys(_, report) => Some(report),
            _ => None,
        });
        report.unwrap().error.is_none()
    });
}
