//! Who is here, as a small network finds out: forming, failing, refuting, coming back.

use crate::net::Net;
use crate::solo::{plain, said};
use proconsul_gossip::{Config, Event, Input};
use proconsul_types::{Duration, Incarnation, Liveness, MemberStatus};
use proconsul_wire::crypto::{Key, Keyring};
use proconsul_wire::memberlist::Message;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What makes a pool differ from a plain one.
type Adjust = fn(&mut Config);

/// No member failed in the eyes of anyone since the start.
fn nobody_died(net: &Net) -> bool {
    (0..net.len()).all(|about| {
        (0..net.len()).filter(|host| net.is_up(*host)).all(|host| match net.liveness(host, about) {
            Some(Liveness::Dead | Liveness::Left) => false,
            Some(Liveness::Alive | Liveness::Suspect) | None => true,
        })
    })
}

#[test]
fn a_pool_forms() {
    let keys = || Keyring::new(vec![Key::new(&[7; 16]).unwrap()]);
    let forms: [(&str, Adjust); 4] = [
        ("plain", |_| {}),
        ("compressed", |config| config.compress = true),
        ("labelled", |config| config.label = "blue".into()),
        ("wan", |config| config.timing = proconsul_gossip::Timing::wan()),
    ];
    for as_bytes in [false, true] {
        for (name, adjust) in forms {
            for sealed in [false, true] {
                let mut net = Net::new(1);
                net.as_bytes = as_bytes;
                for _ in 0..4 {
                    net.start(|config| {
                        adjust(config);
                        if sealed {
                            config.keyring = keys();
                        }
                    });
                }
                for host in 1..4 {
                    net.join(host, &[0]);
                }
                let met = net.until(secs(10), Net::all_see_all);
                assert!(met.is_some(), "{name}, bytes {as_bytes}, sealed {sealed}");
                net.run(secs(60));
                assert!(net.all_see_all(), "{name}, bytes {as_bytes}, sealed {sealed}: it stays");
            }
        }
    }
}

#[test]
fn news_reach_everyone_in_a_lossy_network() {
    for seed in 0..4 {
        let mut net = Net::new(seed);
        net.loss = 100;
        for _ in 0..20 {
            net.start(|_| {});
        }
        for host in 1..20 {
            net.join(host, &[host - 1]);
        }
        let met = net.until(secs(60), Net::all_see_all);
        assert!(met.is_some(), "seed {seed}: all meet although a tenth is lost");
        net.run(secs(60));
        assert!(nobody_died(&net), "seed {seed}: loss alone kills nobody");
    }
}

#[test]
fn who_is_doubted_is_probed_at_once() {
    for seed in 0..20 {
        let mut net = Net::pool(seed, 20, |_| {});
        net.kill(7);
        // Both at once: the second waits for the first; neither is believed to be gone for it.
        for about in [5, 7] {
            net.input(3, Input::Doubt(Net::name(about).into()));
        }
        assert_eq!(net.liveness(3, 7), Some(Liveness::Alive), "seed {seed}: a doubt is no proof");
        // A probe lasts a second; one of the round may be under way.
        let found = net.until(secs(2), |net| net.liveness(3, 7) == Some(Liveness::Suspect));
        assert!(found.is_some(), "seed {seed}: its turn of the round came first");
        assert!(net.until(secs(12), |net| net.all_hold(7, Liveness::Dead)).is_some());
        assert!(net.all_hold(5, Liveness::Alive), "seed {seed}: who answers stays");
        // Doubts about nobody, about the dead, and about itself change nothing.
        for about in [7, 3, 99] {
            net.input(3, Input::Doubt(Net::name(about).into()));
        }
        net.run(secs(5));
        assert!(net.all_hold(3, Liveness::Alive), "seed {seed}");
    }
}

#[test]
fn a_failure_is_detected_within_its_bound() {
    for seed in 0..8 {
        let mut net = Net::pool(seed, 8, |_| {});
        net.run(secs(5));
        net.kill(3);
        let suspected = net
            .until(secs(30), |net| {
                (0..8)
                    .any(|host| net.is_up(host) && net.liveness(host, 3) == Some(Liveness::Suspect))
            })
            .unwrap();
        let told = net.until(secs(30), |net| net.all_hold(3, Liveness::Dead)).unwrap();
        // seven probers meet it in a second or two; an accusation takes a second, its
        // confirmations a few more; then four seconds since the first accusation
        assert!(suspected <= secs(8), "seed {seed}: suspected after {suspected:?}");
        assert!(told >= secs(3), "seed {seed}: time to refute, {told:?}");
        assert!(suspected + told <= secs(20), "seed {seed}: {suspected:?} and {told:?}");
        assert!(net.all_see_all(), "seed {seed}: nobody else");
    }
}

#[test]
fn an_accusation_is_refuted_without_a_flap() {
    for seed in 0..8 {
        let mut net = Net::pool(seed, 6, |_| {});
        let from = Net::address(5);
        for round in 0_u32..5 {
            let (_, now) = net.held(0, 2).unwrap();
            let accusation = Message::Suspect(said(2, now.0, 4));
            net.input(0, Input::Datagram(from, plain(accusation)));
            assert_eq!(net.liveness(0, 2), Some(Liveness::Suspect));
            let refuted = net.until(secs(4), |net| net.all_hold(2, Liveness::Alive));
            assert!(refuted.is_some(), "seed {seed}, round {round}: refuted in time");
            net.run(secs(3));
            assert!(net.held(0, 2).unwrap().1 > now, "with a higher incarnation");
        }
        net.run(secs(30));
        assert!(net.all_see_all());
        let gone = net.count(Default::default(), |_, event| {
            matches!(event, Event::Failed(_) | Event::Left(_))
        });
        assert_eq!(gone, 0, "seed {seed}: nobody ever went away");
    }
}

#[test]
fn a_restart_refutes_the_old_death() {
    for seed in 0..4 {
        let mut net = Net::pool(seed, 5, |config| config.durable = false);
        net.kill(4);
        net.until(secs(30), |net| net.all_hold(4, Liveness::Dead)).unwrap();
        let (_, dead_at) = net.held(0, 4).unwrap();
        net.restart(4);
        net.join(4, &[0]);
        let back = net.until(secs(5), Net::all_see_all);
        assert!(back.is_some(), "seed {seed}: alive within a few rounds of gossip");
        assert!(net.held(0, 4).unwrap().1 > dead_at, "seed {seed}");
    }
}

#[test]
fn a_quick_restart_is_no_failure() {
    for seed in 0..4 {
        let mut net = Net::pool(seed, 5, |config| config.durable = false);
        net.kill(4);
        net.run(Duration::from_millis(300));
        net.restart(4);
        net.join(4, &[0]);
        assert!(net.until(secs(5), Net::all_see_all).is_some());
        net.run(secs(30));
        assert!(net.all_see_all() && nobody_died(&net), "seed {seed}");
    }
}

#[test]
fn half_of_a_pool_restarts() {
    for seed in 0..4 {
        let mut net = Net::pool(seed, 10, |config| config.durable = false);
        for host in 5..10 {
            net.kill(host);
        }
        let all_told = |net: &Net| (5..10).all(|host| net.all_hold(host, Liveness::Dead));
        // half of all helpers are gone, so everyone doubts itself and is patient
        let told = net.until(secs(30), all_told);
        assert!(told.is_some(), "seed {seed}: five deaths are told");
        for host in 5..10 {
            net.restart(host);
            net.join(host, &[host - 5]);
        }
        assert!(net.until(secs(10), Net::all_see_all).is_some(), "seed {seed}");
        net.run(secs(60));
        assert!(net.all_see_all(), "seed {seed}");
    }
}

#[test]
fn a_short_cut_separates_nobody() {
    for seed in 0..4 {
        let mut net = Net::pool(seed, 8, |_| {});
        net.packets_pass = Box::new(|a, b, _| (a < 4) == (b < 4));
        net.streams_pass = Box::new(|a, b| (a < 4) == (b < 4));
        net.run(secs(3));
        net.packets_pass = Box::new(|_, _, _| true);
        net.streams_pass = Box::new(|_, _| true);
        net.run(secs(30));
        assert!(net.all_see_all() && nobody_died(&net), "seed {seed}");
    }
}

#[test]
fn who_is_deaf_to_datagrams_is_met_by_streams() {
    let mut net = Net::pool(3, 5, |_| {});
    net.packets_pass = Box::new(|_, to, _| to != 2);
    for _ in 0..60 {
        net.run(secs(1));
        assert!(net.all_hold(2, Liveness::Alive), "it is never doubted");
    }
    let warned = net.count(Default::default(), |_, event| match event {
        Event::Notice(text) => text.contains("Was able to connect to n2 over TCP"),
        _other => false,
    });
    assert!(warned > 0, "but operators are told");
}

#[test]
fn one_bad_link_kills_nobody() {
    for seed in 0..4 {
        let mut net = Net::pool(seed, 6, |_| {});
        net.packets_pass = Box::new(|a, b, _| (a, b) != (1, 2) && (a, b) != (2, 1));
        net.streams_pass = Box::new(|a, b| (a, b) != (1, 2) && (a, b) != (2, 1));
        for _ in 0..60 {
            net.run(secs(1));
            assert!(nobody_died(&net), "seed {seed}: others reach it");
        }
        let doubted =
            net.count(Default::default(), |_, event| matches!(event, Event::Suspected(_)));
        assert_eq!(doubted, 0, "seed {seed}: an indirect answer is an answer");
    }
}

#[test]
fn who_hears_nobody_doubts_itself() {
    let mut net = Net::pool(3, 6, |_| {});
    net.packets_pass = Box::new(|a, b, _| a != 0 && b != 0);
    net.streams_pass = Box::new(|a, b| a != 0 && b != 0);
    net.run(secs(40));
    assert_eq!(net.get(0).health_score(), 7, "it assumes to be slow");
    assert!((1..6).all(|host| net.get(host).health_score() < 7), "the others know better");
    net.packets_pass = Box::new(|_, _, _| true);
    net.streams_pass = Box::new(|_, _| true);
    net.join(0, &[1]);
    net.until(secs(60), Net::all_see_all).unwrap();
    net.until(secs(120), |net| net.get(0).health_score() == 0).unwrap();
}

#[test]
fn helpers_that_answer_no_take_the_blame_off() {
    let mut net = Net::pool(3, 6, |config| {
        config.timing.probe_timeout = Duration::from_millis(300);
        config.timing.suspicion_mult = 20;
    });
    net.kill(5);
    let mut worst = 0;
    for _ in 0..200 {
        net.run(Duration::from_millis(100));
        worst = worst.max((0..5).map(|host| net.get(host).health_score()).max().unwrap());
    }
    assert!(net.all_hold(5, Liveness::Suspect), "everyone probed it in vain");
    assert_eq!(worst, 0, "and knows that it was not its own fault");
}

#[test]
fn who_leaves_is_not_called_dead() {
    let mut net = Net::pool(3, 5, |_| {});
    net.input(4, Input::Leave);
    let left =
        net.until(secs(10), |net| (0..4).all(|host| net.liveness(host, 4) == Some(Liveness::Left)));
    assert!(left.is_some(), "everyone hears of it");
    let stopped = net.until(secs(10), |net| net.get(4).is_stopped());
    assert!(stopped.is_some(), "and it may stop");
    assert_eq!(net.get(4).next_wakeup(), None);
    net.kill(4);
    net.run(secs(60));
    let failed = net.count(Default::default(), |_, event| matches!(event, Event::Failed(_)));
    assert_eq!(failed, 0);
    let left = (0..4).all(|host| net.status(host, 4) == Some(MemberStatus::Left));
    assert!(left, "users see that it left");
}

#[test]
fn the_last_one_leaves_at_once() {
    let mut net = Net::new(1);
    net.start(|_| {});
    net.input(0, Input::Leave);
    assert!(net.until(secs(6), |net| net.get(0).is_stopped()).is_some());
}

#[test]
fn halves_meet_again() {
    for seed in 0..4 {
        let mut net = Net::pool(seed, 8, |_| {});
        net.packets_pass = Box::new(|a, b, _| (a < 4) == (b < 4));
        net.streams_pass = Box::new(|a, b| (a < 4) == (b < 4));
        net.run(secs(90));
        for host in 0..8 {
            for other in 0..8 {
                let here = (host < 4) == (other < 4);
                let alive = net.liveness(host, other) == Some(Liveness::Alive);
                assert_eq!(alive, here, "seed {seed}: each half is a pool of its own");
            }
        }
        net.packets_pass = Box::new(|_, _, _| true);
        net.streams_pass = Box::new(|_, _| true);
        let whole = net.until(secs(180), Net::all_see_all);
        assert!(whole.is_some(), "seed {seed}: members that failed are looked for");
        net.run(secs(60));
        assert!(net.all_see_all(), "seed {seed}");
    }
}

#[test]
fn incarnations_grow_only_by_need() {
    let mut net = Net::pool(3, 6, |_| {});
    net.run(secs(120));
    for host in 0..6 {
        assert_eq!(net.held(0, host), Some((Liveness::Alive, Incarnation(1))));
    }
}

#[test]
fn a_member_moves_to_another_address() {
    let mut net = Net::pool(3, 5, |config| config.durable = false);
    net.kill(4);
    net.until(secs(30), |net| net.all_hold(4, Liveness::Dead)).unwrap();
    net.reconfigure(4, |config| config.advertised = Net::address(40));
    net.restart(4);
    net.join(4, &[0]);
    net.run(secs(15));
    assert!(net.all_hold(4, Liveness::Dead), "its name is kept for half a minute");
    let moved = net.until(secs(90), |net| {
        let at = |host: usize| net.get(host).member("n4").map(|member| member.address);
        net.all_see_all() && (0..4).all(|host| at(host) == Some(Net::address(40)))
    });
    assert!(moved.is_some(), "then everyone knows where it is");
}

#[test]
fn a_second_one_of_a_name_is_kept_out() {
    let mut net = Net::pool(3, 4, |_| {});
    let thief = net.start(|config| config.name = "n1".into());
    net.join(thief, &[0]);
    net.run(secs(60));
    for host in 0..4 {
        let address = net.get(host).member("n1").unwrap().address;
        assert_eq!(address, Net::address(1), "the name belongs to who had it first");
        assert_eq!(net.liveness(host, 1), Some(Liveness::Alive));
    }
    let told = net.count(Default::default(), |host, event| match event {
        Event::Notice(text) => host == 0 && text.contains("Conflicting address for n1"),
        _other => false,
    });
    assert!(told > 0, "operators hear of it");
}

#[test]
fn a_founded_pool_stands() {
    let mut net = Net::founded(3, 60, |config| config.durable = false);
    assert!(net.all_see_all());
    net.run(secs(30));
    assert!(net.all_see_all());
    assert_eq!(net.held(1, 0), Some((Liveness::Alive, Incarnation(1))), "nobody spoke anew");
    net.kill(7);
    assert!(net.until(secs(30), |net| net.all_hold(7, Liveness::Dead)).is_some());
    net.restart(7);
    net.join(7, &[0]);
    assert!(net.until(secs(10), Net::all_see_all).is_some());
    let seen = (0..60).filter(|host| *host != 7);
    assert!(seen.clone().all(|host| net.get(host).members().count() == 60));
    assert!(seen.clone().all(|host| net.status(host, 7) == Some(MemberStatus::Alive)));
}
