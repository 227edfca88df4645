//! Who may come in, and what the others are told.

use super::*;
use proconsul_types::NodeId;

const OURS: &str = "859dd897-9323-16ec-ed85-14e0cca3dd82";
const OTHER: &str = "00000000-0000-0000-0000-000000000001";

fn lan() -> Pool {
    Pool::with(&["a"], |config| {
        config.admission = Admission::Datacenter {
            datacenter: Arc::from("dc1"),
            segment: Arc::from(""),
            id: OURS.parse::<NodeId>().unwrap(),
        };
    })
}

fn wan() -> Pool {
    Pool::with(&["a.dc1"], |config| config.admission = Admission::Servers)
}

fn client<'a>(id: &'a str, dc: &'a str) -> Vec<(&'a str, &'a str)> {
    [("role", "node"), ("dc", dc), ("segment", ""), ("id", id), ("build", "1.8.7:")].to_vec()
}

fn server<'a>(id: &'a str, dc: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut tags = client(id, dc);
    tags[0] = ("role", "consul");
    tags.extend([("port", "8300"), ("vsn", "2"), ("raft_vsn", "3")]);
    tags
}

fn one(pool: &Pool, name: &str, pairs: &[(&str, &str)], liveness: Liveness) -> Result<(), String> {
    let serf = pool.serfs.values().next().unwrap();
    admit(serf, &[is_alive(name, &tags(pairs), liveness)])
}

#[test]
fn a_datacenter_takes_its_own() {
    let pool = lan();
    assert_eq!(one(&pool, "n", &client(OTHER, "dc1"), Liveness::Alive), Ok(()));
    assert_eq!(one(&pool, "s", &server(OTHER, "dc1"), Liveness::Alive), Ok(()));
    assert_eq!(one(&pool, "a", &client(OURS, "dc1"), Liveness::Alive), Ok(()));
    assert_eq!(one(&pool, "x", &[], Liveness::Alive), Ok(()));
    let left = Liveness::Left;
    assert_eq!(one(&pool, "n", &client(OURS, "dc9"), left), Ok(()));
}

#[test]
fn a_datacenter_refuses_in_consuls_words() {
    let pool = lan();
    let refusal = |pairs: &[(&str, &str)]| one(&pool, "n", pairs, Liveness::Suspect).unwrap_err();
    assert_eq!(refusal(&client(OTHER, "dc9")), "Member 'n' part of wrong datacenter 'dc9'");
    assert_eq!(refusal(&server(OTHER, "dc9")), "Member 'n' part of wrong datacenter 'dc9'");
    assert_eq!(refusal(&[("role", "node")]), "Member 'n' part of wrong datacenter ''");
    assert_eq!(
        refusal(&[("segment", "alpha")]),
        "Member 'n' part of wrong segment 'alpha' (expected '')"
    );
    assert_eq!(
        refusal(&client(OURS, "dc1")),
        alloc::format!("Member 'n' has conflicting node ID '{OURS}' with this agent's ID")
    );
}

#[test]
fn one_id_twice_in_a_batch_keeps_all_out() {
    let pool = lan();
    let twin = |build| {
        let mut pairs = client(OTHER, "dc1");
        pairs[4] = ("build", build);
        [
            is_alive("n", &tags(&pairs), Liveness::Alive),
            is_alive("m", &tags(&pairs), Liveness::Suspect),
        ]
    };
    assert_eq!(
        admit(&pool.serfs["a"], &twin("0.8.5:x")).unwrap_err(),
        alloc::format!("Member 'm' has conflicting node ID '{OTHER}' with member 'n'")
    );
    assert_eq!(admit(&pool.serfs["a"], &twin("0.8.4:x")), Ok(()), "ids were not unique then");
}

#[test]
fn who_is_dead_bars_nobody_from_its_id() {
    let pool = lan();
    let batch = |states: &[(&str, Liveness)]| -> Vec<_> {
        let tags = tags(&server(OTHER, "dc1"));
        states.iter().map(|(name, liveness)| is_alive(name, &tags, *liveness)).collect()
    };
    let asked = |states: &[(&str, Liveness)]| admit(&pool.serfs["a"], &batch(states));
    let (up, dead) = (Liveness::Alive, Liveness::Dead);
    assert_eq!(one(&pool, "n", &client(OURS, "dc1"), dead), Ok(()));
    assert_eq!(asked(&[("old", dead), ("new", up)]), Ok(()));
    assert_eq!(asked(&[("new", up), ("old", dead), ("older", dead)]), Ok(()));
    assert!(asked(&[("old", dead), ("new", up), ("twin", up)]).is_err());
    // A name of the other pool does not come in behind a dead one, nor dead itself.
    assert!(asked(&[("s", dead), ("s.dc1", up)]).is_err());
    assert!(asked(&[("s.dc1", dead), ("s", up)]).is_err());
    assert!(one(&pool, "a.dc1", &server(OURS, "dc1"), dead).is_err());
    assert!(one(&pool, "n", &client(OTHER, "dc9"), dead).is_err(), "places are looked at");
}

#[test]
fn the_wan_takes_servers_with_wan_names() {
    let pool = wan();
    assert_eq!(one(&pool, "s.dc2", &server(OTHER, "dc2"), Liveness::Alive), Ok(()));
    let refusal =
        |name, pairs: &[(&str, &str)], liveness| one(&pool, name, pairs, liveness).unwrap_err();
    let client = client(OTHER, "dc2");
    assert_eq!(refusal("w1", &client, Liveness::Left), "Member 'w1' is not a server");
    let server = server(OTHER, "dc2");
    assert_eq!(
        refusal("s", &server, Liveness::Alive),
        "Member 's' has no WAN name (expected 's.dc2')"
    );
    assert!(one(&pool, ".dc2", &server, Liveness::Alive).is_err());
    assert!(one(&pool, "s.dc3", &server, Liveness::Alive).is_err());
}

#[test]
fn a_wan_name_does_not_come_into_the_lan() {
    let mut pool = lan();
    let (known, _) = is_alive("s", &tags(&server(OTHER, "dc1")), Liveness::Alive);
    let now = pool.now;
    pool.serf("a").on_joined(now, &known, VERSIONS, address("s"));
    let leaked = one(&pool, "s.dc1", &server(OTHER, "dc1"), Liveness::Alive);
    let text = alloc::format!("Member 's.dc1' has conflicting node ID '{OTHER}' with member 's'");
    assert_eq!(leaked, Err(text));
    let own =
        alloc::format!("Member 'a.dc1' has conflicting node ID '{OURS}' with this agent's ID");
    assert_eq!(one(&pool, "a.dc1", &server(OURS, "dc1"), Liveness::Alive), Err(own));
}

#[test]
fn short_versions_and_no_address_are_refused_where_anyone_is_judged() {
    for (pool, judges) in [(lan(), true), (wan(), true), (Pool::of(&["a"]), false)] {
        let serf = pool.serfs.values().next().unwrap();
        let (mut alive, liveness) =
            is_alive("s.dc1", &tags(&server(OTHER, "dc1")), Liveness::Alive);
        for length in 0..6 {
            alive.versions.truncate(5 - length);
            let refusal = admit(serf, &[(alive.clone(), liveness)]);
            let expected = if judges { Err("Vsn is not present".to_string()) } else { Ok(()) };
            assert_eq!(refusal, expected);
        }
        alive.versions = [1, 5, 2, 2, 5, 4].to_vec();
        alive.address = None;
        assert_eq!(admit(serf, &[(alive, liveness)]).is_err(), judges);
    }
}
