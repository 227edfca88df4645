//! Keys: rotation across the pool, refusals in the words of each, files, secrecy.

use super::*;
use crate::face::{Asked, KeyOp, KeyReport};

fn bytes(byte: u8) -> Bytes {
    Bytes::from(alloc::vec![byte; 16])
}

fn encrypted() -> Pool {
    Pool::with(&["a", "b", "c"], |config| config.keyring = Keyring::new(alloc::vec![key(1)]))
}

pub(super) fn change(pool: &mut Pool, at: &str, op: KeyOp) -> KeyReport {
    pool.forget_events();
    let now = pool.now;
    pool.serf(at).keys(now, Asked(3), op, 0);
    pool.settle();
    pool.pass(second(4));
    let mut reports = pool.take_events(at).into_iter().filter_map(|event| match event {
        Event::Keys(Asked(3), report) => Some(report),
        _ => None,
    });
    let report = reports.next().unwrap();
    assert!(reports.next().is_none());
    report
}

#[test]
fn a_key_is_rotated_across_the_pool() {
    let mut pool = encrypted();
    for op in [KeyOp::Install(bytes(2)), KeyOp::Use(bytes(2)), KeyOp::Remove(bytes(1))] {
        let report = change(&mut pool, "b", op);
        assert_eq!((report.members, report.answered, report.failed), (3, 3, 0));
        assert_eq!(report.error, None);
        assert!(report.messages.is_empty() && report.keys.is_empty());
    }
    for name in ["a", "b", "c"] {
        assert_eq!(pool.serfs[name].keyring().keys(), [key(2)]);
        let file = Keyring::from_json(&pool.saved_keys[name]).unwrap();
        assert_eq!(&file, pool.serfs[name].keyring());
    }
    let report = change(&mut pool, "a", KeyOp::List);
    assert_eq!(report.keys, BTreeMap::from([(key(2).to_base64(), 3)]));
    assert_eq!(report.primary_keys, BTreeMap::from([(key(2).to_base64(), 3)]));
}

#[test]
fn refusals_are_reported_by_member() {
    let mut pool = encrypted();
    let report = change(&mut pool, "a", KeyOp::Remove(bytes(1)));
    assert_eq!(report.error.as_deref(), Some("3/3 nodes reported failure"));
    assert_eq!(report.messages["b"], "Removing the primary key is not allowed");
    let report = change(&mut pool, "a", KeyOp::Use(bytes(9)));
    assert_eq!(report.messages["c"], "Requested key is not in the keyring");
    let report = change(&mut pool, "a", KeyOp::Install(Bytes::from("short")));
    assert_eq!(report.failed, 3);
    assert!(pool.saved_keys.is_empty(), "nothing changed, so nothing is written");
    let mut plain = Pool::of(&["a", "b"]);
    let report = change(&mut plain, "a", KeyOp::Install(bytes(2)));
    let text = "No keyring to modify (encryption not enabled)";
    assert_eq!(report.messages["b"], text);
    let report = change(&mut plain, "a", KeyOp::List);
    assert_eq!(report.messages["a"], "Keyring is empty (encryption not enabled)");
}

#[test]
fn who_does_not_answer_is_missed() {
    let mut pool = encrypted();
    pool.cut_off.insert("c".to_string());
    let report = change(&mut pool, "a", KeyOp::Install(bytes(2)));
    assert_eq!((report.answered, report.failed), (2, 0));
    assert_eq!(report.error.as_deref(), Some("2/3 nodes reported success"));
}

#[test]
fn answers_are_relayed_as_often_as_was_asked() {
    for (relays, sent) in [(0, 1), (1, 2), (2, 3)] {
        let mut pool = encrypted();
        let now = pool.now;
        pool.serf("a").keys(now, Asked(3), KeyOp::List, relays);
        let mut told = Vec::new();
        pool.serf("a").broadcasts(1300, &mut told);
        pool.deliver("b", &told[0]);
        let mut answers = 0;
        while let Some(ask) = pool.serf("b").take_ask() {
            answers += usize::from(matches!(ask, Ask::Send(..)));
        }
        assert_eq!(answers, sent, "straight, and by {relays} others");
    }
}

#[test]
fn a_long_list_is_cut_from_its_end() {
    let mut keys = Vec::new();
    for byte in 1..=60 {
        keys.push(key(byte));
    }
    let mut pool = Pool::with(&["a"], |config| config.keyring = Keyring::new(keys.clone()));
    let report = change(&mut pool, "a", KeyOp::List);
    let shown = report.keys.len();
    assert!((20..60).contains(&shown), "{shown}");
    let text = alloc::format!("truncated key list response, showing first {shown} of 60 keys");
    assert_eq!(report.messages["a"], text);
    assert!(report.keys.contains_key(&key(1).to_base64()), "the first stay");
    assert_eq!(report.error, None);
}

#[test]
fn no_key_shows_itself() {
    let mut pool = Pool::with(&["a", "b"], |config| {
        config.keyring = Keyring::new(alloc::vec![Key::new(b"SECRETSECRETKEYS").unwrap()]);
    });
    let secrets = ["SECRET", "83, 69, 67, 82", "U0VDUkVUU0VDUkVUS0VZUw"];
    let now = pool.now;
    let op = KeyOp::Install(Bytes::from_static(b"SECRETSECRETKEY2"));
    let mut shown = alloc::format!("{op:?}");
    pool.serf("a").keys(now, Asked(3), op, 0);
    pool.serf("b").keys(now, Asked(3), KeyOp::List, 0);
    shown.push_str(&alloc::format!("{:?}", pool.serfs));
    pool.settle();
    shown.push_str(&alloc::format!("{:?}{:?}", pool.serfs, pool.events));
    let file = Effect::SaveKeys(Bytes::from(pool.saved_keys["a"].clone()));
    shown.push_str(&alloc::format!("{file:?}"));
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
