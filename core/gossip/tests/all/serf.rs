//! Serf above the failure detector, in the network: what users of a pool rely on.

use crate::net::{Net, text};
use proconsul_gossip::{
    Admission, Asked, Config, Event, Input, KeyOp, KeyReport, QueryParams, distance,
};
use proconsul_types::{Duration, Instant, MemberStatus, TextMap};
use proconsul_wire::crypto::{Key, Keyring};
use std::sync::Arc;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn name(host: usize) -> Arc<str> {
    Net::name(host).into()
}

fn tags(pairs: &[(&str, &str)]) -> TextMap {
    pairs.iter().map(|(tag, value)| (Arc::from(*tag), Arc::from(*value))).collect()
}

fn fire(net: &mut Net, host: usize, event: &str) {
    let payload = text("p");
    net.input(host, Input::Fire { name: Arc::from(event), payload, coalesce: false });
}

/// The user events that `host` was told since `since`, in order.
fn heard(net: &Net, host: usize, since: Instant) -> Vec<String> {
    let told = net.told.iter().filter(|(at, who, _)| *at >= since && *who == host);
    told.filter_map(|(_, _, event)| match event {
        Event::User { time, name, .. } => Some(format!("{name}@{}", time.0)),
        _ => None,
    })
    .collect()
}

/// Whether everyone else who is up sees `about` so.
fn all_see(net: &Net, about: usize, status: MemberStatus) -> bool {
    let others = (0..net.len()).filter(|host| *host != about && net.is_up(*host));
    others.into_iter().all(|host| net.status(host, about) == Some(status))
}

#[test]
fn who_leaves_has_left_and_who_falls_silent_has_failed() {
    let mut net = Net::pool(1, 5, |_| {});
    let start = net.now;
    net.input(4, Input::Leave);
    net.kill(3);
    let seen = net.until(secs(10), |net| all_see(net, 4, MemberStatus::Left));
    assert!(seen.is_some_and(|time| time < secs(5)));
    let is_gone = |_: usize, event: &Event| matches!(event, Event::Failed(m) if &*m.name == "n4");
    let told = net.until(secs(60), |net| net.count(start, |_, e| *e == Event::LeftPool) == 1);
    assert!(told.is_some());
    net.kill(4);
    assert!(net.until(secs(60), |net| all_see(net, 3, MemberStatus::Failed)).is_some());
    assert_eq!(net.count(start, is_gone), 0, "a leave never shows as a failure");
}

#[test]
fn a_failed_member_is_forced_out_and_pruned_by_anyone() {
    let mut net = Net::pool(2, 4, |_| {});
    net.kill(3);
    assert!(net.until(secs(60), |net| all_see(net, 3, MemberStatus::Failed)).is_some());
    net.input(1, Input::ForceLeave { node: name(3), prune: false });
    assert!(net.until(secs(5), |net| all_see(net, 3, MemberStatus::Left)).is_some());
    net.input(2, Input::ForceLeave { node: name(3), prune: true });
    let gone = |net: &Net| (0..3).all(|host| net.status(host, 3).is_none());
    assert!(net.until(secs(5), gone).is_some());
    net.run(secs(120));
    assert!(gone(&net), "an exchange does not bring it back");
}

#[test]
fn a_living_member_refutes_that_it_left() {
    let mut net = Net::pool(3, 3, |_| {});
    let start = net.now;
    net.input(0, Input::ForceLeave { node: name(2), prune: true });
    net.run(secs(60));
    assert!(net.all_see_all() && all_see(&net, 2, MemberStatus::Alive));
    let reaped = |_: usize, event: &Event| matches!(event, Event::Reaped(_) | Event::Left(_));
    assert_eq!(net.count(start, reaped), 0);
    assert!(net.count(start, |host, event| host == 2 && *event == Event::Refuted) > 0);
}

#[test]
fn every_event_reaches_everyone_once_in_a_lossy_network() {
    let mut net = Net::pool(4, 8, |_| {});
    net.as_bytes = true;
    net.loss = 300;
    let start = net.now;
    for number in 0..30 {
        fire(&mut net, number % 8, &format!("e{number}"));
        net.run(Duration::from_millis(40));
    }
    net.loss = 0;
    net.run(secs(120));
    for host in 0..8 {
        let mut names: Vec<String> = heard(&net, host, start);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 30, "host {host}");
        assert_eq!(heard(&net, host, start).len(), 30, "host {host} is told once");
    }
    let clocks: Vec<u64> = (0..8).map(|host| net.get(host).status().clocks.event.0).collect();
    assert!(clocks.iter().all(|clock| *clock == clocks[0]), "{clocks:?}");
}

#[test]
fn queries_are_answered_by_whom_they_mean_straight_or_by_relays() {
    let mut net = Net::pool(5, 6, |config| {
        let role = if &*config.name == "n5" { "db" } else { "web" };
        config.tags = tags(&[("role", role)]);
    });
    net.as_bytes = true;
    // n1's datagrams to n0 get lost; relays carry its answer.
    net.packets_pass = Box::new(|from, to, _| !(from == 1 && to == 0));
    let filter =
        proconsul_wire::serf::Filter::Tag { tag: "role".to_string(), expression: "^w".to_string() };
    let params = QueryParams {
        name: Arc::from("load"),
        payload: text("now"),
        filters: vec![filter.to_bytes()],
        ack: true,
        relay_factor: 3,
        timeout: secs(3),
    };
    let start = net.now;
    net.input(0, Input::Query(Asked(9), params));
    for _ in 0..20 {
        net.run(Duration::from_millis(100));
        let asked: Vec<_> = net.told.iter().filter(|(at, _, _)| *at >= start).cloned().collect();
        for (_, host, event) in asked {
            if let Event::Query { id, payload, source, .. } = event {
                assert_eq!((&*payload, &*source), (b"now".as_slice(), "n0"));
                net.input(host, Input::Respond(id, text(&Net::name(host))));
            }
        }
    }
    net.run(secs(3));
    for host in 0..5 {
        let from = name(host);
        let acked = Event::Acked(Asked(9), Arc::clone(&from));
        let answer = Event::Response(Asked(9), Arc::clone(&from), text(&from));
        assert_eq!(net.count(start, |_, event| *event == acked), 1, "{from} acks once");
        assert_eq!(net.count(start, |_, event| *event == answer), 1, "{from} answers once");
    }
    let from_n5 = |_: usize, event: &Event| matches!(event, Event::Acked(_, n) if &**n == "n5");
    assert_eq!(net.count(start, from_n5), 0);
    assert_eq!(net.count(start, |_, event| *event == Event::QueryDone(Asked(9))), 1);
}

fn key(byte: u8) -> Key {
    Key::new(&[byte; 16]).unwrap()
}

fn change_keys(net: &mut Net, host: usize, op: KeyOp) -> KeyReport {
    let start = net.now;
    net.input(host, Input::Keys(Asked(4), op, 0));
    net.run(secs(5));
    let told = net.told.iter().rev().take_while(|(at, _, _)| *at >= start);
    let mut reports = told.filter_map(|(_, _, event)| match event {
        Event::Keys(Asked(4), report) => Some(report.clone()),
        _ => None,
    });
    reports.next().unwrap()
}

#[test]
fn keys_are_rotated_while_everyone_stays_alive() {
    let mut net = Net::pool(6, 3, |config| config.keyring = Keyring::new(vec![key(1)]));
    net.as_bytes = true;
    let start = net.now;
    let (old, new) = (vec![1; 16], vec![2; 16]);
    for op in [KeyOp::Install(new.clone().into()), KeyOp::Use(new.into())] {
        assert_eq!(change_keys(&mut net, 0, op).error, None);
    }
    assert_eq!(change_keys(&mut net, 2, KeyOp::Remove(old.into())).error, None);
    let report = change_keys(&mut net, 1, KeyOp::List);
    assert_eq!(report.keys.into_iter().collect::<Vec<_>>(), [(key(2).to_base64(), 3)]);
    for host in 0..3 {
        assert_eq!(net.get(host).keyring().keys(), [key(2)]);
    }
    net.run(secs(60));
    assert!(net.all_see_all());
    let failed = |_: usize, event: &Event| matches!(event, Event::Failed(_) | Event::Suspected(_));
    assert_eq!(net.count(start, failed), 0);
    let refused = change_keys(&mut net, 0, KeyOp::Remove(vec![2; 16].into()));
    assert_eq!(refused.error.as_deref(), Some("3/3 nodes reported failure"));
    assert_eq!(refused.messages["n1"], "Removing the primary key is not allowed");
}

#[test]
fn the_second_of_a_name_loses_the_vote_and_stops() {
    for resolve in [true, false] {
        let mut net = Net::pool(7, 3, |config| config.resolve_conflicts = resolve);
        let start = net.now;
        let second = net.start(|config| {
            config.name = name(1);
            config.resolve_conflicts = resolve;
        });
        net.join(second, &[0]);
        net.run(secs(30));
        let lost = net.count(start, |host, event| host == second && *event == Event::LostName);
        assert_eq!(lost, usize::from(resolve));
        let others = net.count(start, |host, event| host != second && *event == Event::LostName);
        assert_eq!(others, 0);
        assert_eq!(net.status(0, 1), Some(MemberStatus::Alive));
        assert_eq!(net.get(0).member("n1").unwrap().address, Net::address(1));
    }
}

#[test]
fn a_restarted_member_finds_its_pool_by_itself_and_is_told_nothing_old() {
    for durable in [true, false] {
        let mut net = Net::pool(8, 4, |config| config.durable = durable);
        for number in 0..5 {
            fire(&mut net, 0, &format!("old{number}"));
            net.run(secs(1));
        }
        net.kill(3);
        assert!(net.until(secs(60), |net| all_see(net, 3, MemberStatus::Failed)).is_some());
        let start = net.now;
        net.restart(3);
        let back = net.until(secs(3), Net::all_see_all);
        assert_eq!(back.is_some(), durable, "only its memory brings it back so soon");
        if durable {
            net.run(secs(60));
            assert_eq!(heard(&net, 3, start), Vec::<String>::new());
            fire(&mut net, 3, "new");
            net.run(secs(5));
            assert_eq!(heard(&net, 1, start), ["new@6"], "its clock went on");
        }
    }
}

#[test]
fn a_whole_pool_that_restarts_finds_together() {
    let mut net = Net::pool(9, 6, |_| {});
    net.run(secs(5));
    (0..6).for_each(|host| net.kill(host));
    net.run(secs(1));
    (0..6).for_each(|host| net.restart(host));
    assert!(net.until(secs(60), Net::all_see_all).is_some());
}

#[test]
fn a_member_that_left_rejoins_only_if_it_should() {
    for rejoins in [false, true] {
        let mut net = Net::pool(10, 3, |config| config.rejoin_after_leave = rejoins);
        net.run(secs(2));
        net.input(2, Input::Leave);
        net.run(secs(12));
        net.kill(2);
        net.restart(2);
        net.run(secs(20));
        let status = net.status(0, 2);
        let expected = if rejoins { MemberStatus::Alive } else { MemberStatus::Left };
        assert_eq!(status, Some(expected), "rejoin_after_leave = {rejoins}");
        if !rejoins {
            net.join(2, &[0]);
            assert!(net.until(secs(10), |net| all_see(net, 2, MemberStatus::Alive)).is_some());
        }
    }
}

fn agent(config: &mut Config, pairs: &[(&str, &str)]) {
    let id = format!("00000000-0000-0000-0000-00000000000{}", &config.name[1..2]);
    let mut all = tags(pairs);
    all.insert(Arc::from("id"), Arc::from(id.as_str()));
    all.insert(Arc::from("segment"), Arc::from(""));
    all.insert(Arc::from("build"), Arc::from("1.8.7:"));
    config.tags = all;
    config.admission = if pairs.contains(&("pool", "wan")) {
        Admission::Servers
    } else {
        Admission::Datacenter {
            datacenter: Arc::from("dc1"),
            segment: Arc::from(""),
            id: id.parse().unwrap(),
        }
    };
}

const LAN_SERVER: [(&str, &str); 4] =
    [("role", "consul"), ("dc", "dc1"), ("port", "8300"), ("vsn", "2")];
const WAN_SERVER: [(&str, &str); 5] =
    [("role", "consul"), ("dc", "dc1"), ("port", "8300"), ("vsn", "2"), ("pool", "wan")];

#[test]
fn an_agent_of_another_datacenter_stays_outside() {
    let mut net = Net::pool(11, 3, |config| agent(config, &LAN_SERVER));
    let stranger = net.start(|config| {
        agent(config, &[("role", "node"), ("dc", "dc9")]);
        config.admission = Admission::Anyone;
    });
    net.join(stranger, &[0]);
    net.run(secs(60));
    for host in 0..3 {
        assert_eq!(net.status(host, stranger), None);
    }
    let said = |_: usize, event: &Event| {
        matches!(event, Event::Notice(text)
            if text.contains("Member 'n3' part of wrong datacenter 'dc9'"))
    };
    assert!(net.count(Instant::START, said) > 0);
}

#[test]
fn two_pools_never_mix_though_an_address_moves_between_them() {
    let mut net = Net::pool(12, 3, |config| agent(config, &LAN_SERVER));
    // n2 fails; another process, a WAN server of the same machine, takes its address.
    net.kill(2);
    assert!(net.until(secs(60), |net| all_see(net, 2, MemberStatus::Failed)).is_some());
    for (host, own) in [(3, "n3.dc1"), (4, "n4.dc1")] {
        let started = net.start(|config| {
            agent(config, &WAN_SERVER);
            config.name = Arc::from(own);
        });
        assert_eq!(started, host);
    }
    net.join(4, &[3]);
    net.reconfigure(2, |config| {
        agent(config, &WAN_SERVER);
        config.name = Arc::from("n2.dc1");
        config.durable = false;
    });
    net.restart(2);
    net.join(2, &[3]);
    net.run(secs(900));
    for host in [0, 1] {
        let mixed = net.get(host).members().find(|member| member.name.ends_with(".dc1"));
        assert_eq!(mixed, None, "the LAN at n{host}");
    }
    for host in [2, 3, 4] {
        let members: Vec<_> = net.get(host).members().map(|member| member.name.clone()).collect();
        let names: Vec<&str> = members.iter().map(|name| &**name).collect();
        assert_eq!(names, ["n2.dc1", "n3.dc1", "n4.dc1"], "the WAN at n{host}");
    }
}

#[test]
fn coordinates_tell_near_from_far() {
    let mut net = Net::pool(13, 5, |_| {});
    net.delay = (Duration::from_millis(5), Duration::from_micros(5_200));
    net.run(secs(300));
    for (here, there) in [(0, 1), (1, 4), (2, 3)] {
        let pool = net.get(here);
        let other = pool.coordinate_of(&Net::name(there)).unwrap();
        let estimate = distance(pool.coordinate(), other);
        assert!((0.009..0.012).contains(&estimate), "n{here} to n{there}: {estimate}");
        assert_eq!(pool.coordinate_of(&Net::name(here)), Some(pool.coordinate()));
    }
}
