//! Questions and answers as text: what a client sees, decoded by hickory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use proconsul_catalog::{Catalog, CheckRegistration, Command, NodeRegistration, Register};
use proconsul_dns::{Config, Facts, other_datacenter, read};
use proconsul_types::{
    CatalogIndex, CheckStatus, Duration, Planted, Rng, Seed, ServiceAddress, ServiceRegistration,
    TextMap, Weights,
};
use proptest::prelude::*;
use std::str::FromStr;

fn put(catalog: &mut Catalog, register: Register) {
    let index = CatalogIndex(catalog.index().0 + 1);
    catalog.apply(index, &Command::Register(Box::new(register)));
}

fn node(name: &str, address: &str) -> Register {
    let node = NodeRegistration {
        name: name.into(),
        address: address.into(),
        datacenter: "dc1".into(),
        ..NodeRegistration::default()
    };
    Register { node, skip_node_update: false, services: Vec::new(), checks: Vec::new() }
}

fn service(mut register: Register, name: &str, tags: &[&str], port: i32) -> Register {
    register.services.push(ServiceRegistration {
        id: format!("{name}{port}").into(),
        name: name.into(),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        port,
        ..ServiceRegistration::default()
    });
    register
}

fn at(mut register: Register, address: &str) -> Register {
    register.services[0].address = address.into();
    register
}

fn check(mut register: Register, status: CheckStatus) -> Register {
    let service_id =
        register.services.first().map_or_else(|| "".into(), |service| service.id.clone());
    register.checks.push(CheckRegistration {
        id: "c".into(),
        name: "c".into(),
        status,
        service_id,
        ..CheckRegistration::default()
    });
    register
}

fn meta(mut register: Register, pairs: &[(&str, &str)]) -> Register {
    register.node.meta =
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect::<TextMap>();
    register
}

fn fixtures() -> Catalog {
    let mut catalog = Catalog::new("dc1".into(), Planted::none());
    let n1 = meta(node("n1", "10.0.0.1"), &[("os", "linux"), ("rfc1035-00", "plain text")]);
    let n1 = check(service(n1, "web", &["v1", "primary"], 8001), CheckStatus::Passing);
    put(&mut catalog, n1);
    let mut n2 = at(service(node("n2", "10.0.0.2"), "web", &["v2"], 8002), "10.9.0.2");
    n2.services[0].weights = Weights { passing: 7, warning: 3 };
    put(&mut catalog, check(n2, CheckStatus::Warning));
    let n3 = service(node("n3", "10.0.0.3"), "web", &["v1"], 8003);
    put(&mut catalog, check(n3, CheckStatus::Critical));
    put(&mut catalog, service(node("n4", "2001:db8::4"), "six", &[], 6));
    put(&mut catalog, service(node("n5", "host5.example.org"), "cname", &[], 55));
    let mut down = node("down", "10.0.0.7");
    down.checks.push(CheckRegistration {
        id: "nodecheck".into(),
        status: CheckStatus::Critical,
        ..CheckRegistration::default()
    });
    put(&mut catalog, service(down, "dead", &[], 7));
    put(&mut catalog, service(node("UpperNode", "10.0.0.9"), "UpperSvc", &["TagOne"], 9));
    put(&mut catalog, service(node("m6", "10.1.0.6"), "dup", &[], 61));
    put(&mut catalog, service(node("m6", "10.1.0.6"), "dup", &[], 62));
    put(&mut catalog, service(node("s1", "127.0.0.1"), "consul", &[], 8300));
    for place in 0..100 {
        let name = format!("i{place:02}");
        let host = node(&name, &format!("10.2.0.{place}"));
        put(&mut catalog, service(host, "many", &[], 1000 + place));
    }
    catalog
}

fn facts() -> Facts {
    Facts {
        datacenter: "dc1".into(),
        unix_seconds: 1_795_348_316,
        ready: true,
        node: "s1".into(),
        address: "127.0.0.1".into(),
    }
}

fn question(name: &str, kind: &str, edns: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let kind = RecordType::from_str(kind).unwrap();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if let Some(bytes) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(bytes);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

fn line(record: &Record) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
}

#[test]
fn a_question_names_the_datacenter_that_answers() {
    let config = Config { alt_domain: "kit.test".into(), ..Config::default() };
    for (name, kind, wanted) in [
        ("web.service.consul.", "A", None),
        ("web.service.dc1.consul.", "A", None),
        ("web.service.DC1.consul.", "A", None),
        ("web.service.dc2.consul.", "A", Some("dc2")),
        ("v1.web.service.DC2.kit.test.", "SRV", Some("dc2")),
        ("s1.node.dc3.consul.", "ANY", Some("dc3")),
        ("_web._tcp.dc2.consul.", "SRV", Some("dc2")),
        ("web.service.a.b.consul.", "A", None),
        ("service.dc2.consul.", "A", None),
        ("web.service.dc2.consul.", "SOA", None),
        ("web.service.dc2.example.", "A", None),
    ] {
        let asked = question(name, kind, None);
        assert_eq!(other_datacenter(&config, "dc1", &asked).as_deref(), wanted, "{name} {kind}");
    }
    assert_eq!(other_datacenter(&config, "dc1", b"junk"), None);
}

fn lines(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = records.iter().map(line).collect();
    lines.sort();
    lines
}

fn ask_with(config: &Config, name: &str, kind: &str, tcp: bool, edns: Option<u16>) -> Message {
    let mut rng = Rng::new(Seed(3));
    let bytes = question(name, kind, edns);
    let answer = read(&fixtures(), config, &facts(), &mut rng, tcp, &bytes).expect("an answer");
    assert!(answer.len() <= if tcp { 65535 } else { usize::from(edns.unwrap_or(512).max(512)) });
    let message = Message::from_vec(&answer).expect("hickory reads what we write");
    assert_eq!(message.metadata.id, 7);
    assert_eq!(message.queries.len(), 1);
    message
}

fn ask(name: &str, kind: &str) -> Message {
    ask_with(&Config::default(), name, kind, false, Some(1232))
}

const SOA: &str = "consul. 0 SOA ns.consul. hostmaster.consul. 1795348316 3600 600 86400 0";

/// Name and type, code, answer, whether there is an SOA, additional.
use ResponseCode::{NXDomain, NoError};

type Row<'a> = (&'a str, &'a str, ResponseCode, &'a [&'a str], bool, &'a [&'a str]);

const TEXTS: &[&str] = &["n1.node.consul. 0 TXT os=linux", "n1.node.consul. 0 TXT plain text"];

const ROWS: &[Row<'static>] = &[
    ("n1.node.consul.", "A", NoError, &["n1.node.consul. 0 A 10.0.0.1"], false, TEXTS),
    (
        "n1.node.dc1.consul.",
        "AAAA",
        NoError,
        &[],
        false,
        &["n1.node.dc1.consul. 0 TXT os=linux", "n1.node.dc1.consul. 0 TXT plain text"],
    ),
    (
        "n1.node.consul.",
        "ANY",
        NoError,
        &[
            "n1.node.consul. 0 A 10.0.0.1",
            "n1.node.consul. 0 TXT os=linux",
            "n1.node.consul. 0 TXT plain text",
        ],
        false,
        &[],
    ),
    ("n1.node.consul.", "TXT", NoError, TEXTS, false, &[]),
    ("n1.node.consul.", "SRV", NoError, &[], false, &[]),
    ("n1.node.consul.", "MX", NoError, &[], false, &[]),
    ("n4.node.consul.", "AAAA", NoError, &["n4.node.consul. 0 AAAA 2001:db8::4"], false, &[]),
    ("n5.node.consul.", "A", NoError, &["n5.node.consul. 0 CNAME host5.example.org."], false, &[]),
    ("uppernode.node.consul.", "A", NoError, &["uppernode.node.consul. 0 A 10.0.0.9"], false, &[]),
    ("nope.node.consul.", "A", NXDomain, &[], true, &[]),
    ("n1.node.dc2.consul.", "A", NXDomain, &[], true, &[]),
    (
        "web.service.consul.",
        "A",
        NoError,
        &["web.service.consul. 0 A 10.0.0.1", "web.service.consul. 0 A 10.9.0.2"],
        false,
        &[],
    ),
    ("web.service.consul.", "AAAA", NoError, &[], true, &[]),
    ("web.service.consul.", "MX", NoError, &[], true, &[]),
    (
        "v2.web.service.consul.",
        "SRV",
        NoError,
        &["v2.web.service.consul. 0 SRV 1 3 8002 0a090002.addr.dc1.consul."],
        false,
        &["0a090002.addr.dc1.consul. 0 A 10.9.0.2"],
    ),
    (
        "_web._v1.service.consul.",
        "SRV",
        NoError,
        &["_web._v1.service.consul. 0 SRV 1 1 8001 n1.node.dc1.consul."],
        false,
        &[
            "n1.node.dc1.consul. 0 A 10.0.0.1",
            "n1.node.dc1.consul. 0 TXT os=linux",
            "n1.node.dc1.consul. 0 TXT plain text",
        ],
    ),
    (
        "_web._v2.service.dc1.consul.",
        "SRV",
        NoError,
        &["_web._v2.service.dc1.consul. 0 SRV 1 3 8002 0a090002.addr.dc1.consul."],
        false,
        &["0a090002.addr.dc1.consul. 0 A 10.9.0.2"],
    ),
    (
        "_six._tcp.consul.",
        "SRV",
        NoError,
        &["_six._tcp.consul. 0 SRV 1 1 6 n4.node.dc1.consul."],
        false,
        &["n4.node.dc1.consul. 0 AAAA 2001:db8::4"],
    ),
    ("_web._udp.service.consul.", "SRV", NXDomain, &[], true, &[]),
    ("six.service.consul.", "A", NoError, &[], true, &[]),
    (
        "cname.service.consul.",
        "A",
        NoError,
        &["cname.service.consul. 0 CNAME host5.example.org."],
        false,
        &[],
    ),
    (
        "cname.service.consul.",
        "SRV",
        NoError,
        &["cname.service.consul. 0 SRV 1 1 55 host5.example.org."],
        false,
        &[],
    ),
    ("dead.service.consul.", "A", NXDomain, &[], true, &[]),
    (
        "tagone.UPPERSVC.service.consul.",
        "A",
        NoError,
        &["tagone.UPPERSVC.service.consul. 0 A 10.0.0.9"],
        false,
        &[],
    ),
    ("dup.service.consul.", "A", NoError, &["dup.service.consul. 0 A 10.1.0.6"], false, &[]),
    ("v1.v2.web.service.consul.", "A", NXDomain, &[], true, &[]),
    ("web.service.dc9.consul.", "A", NXDomain, &[], true, &[]),
    ("web.query.consul.", "A", NXDomain, &[], true, &[]),
    ("service.consul.", "A", NXDomain, &[], true, &[]),
    ("foo.consul.", "A", NXDomain, &[], true, &[]),
    ("consul.", "A", NXDomain, &[], true, &[]),
    ("consul.", "ANY", NXDomain, &[], true, &[]),
    ("0a000001.addr.consul.", "AAAA", NoError, &["0a000001.addr.consul. 0 A 10.0.0.1"], false, &[]),
    (
        "20010db8000000000000000000000006.addr.consul.",
        "AAAA",
        NoError,
        &["20010db8000000000000000000000006.addr.consul. 0 AAAA 2001:db8::6"],
        false,
        &[],
    ),
    ("zz.addr.consul.", "A", NoError, &[], false, &[]),
    ("zzzzzzzz.addr.consul.", "A", NXDomain, &[], true, &[]),
    (
        "1.0.0.10.in-addr.arpa.",
        "PTR",
        NoError,
        &["1.0.0.10.in-addr.arpa. 0 PTR n1.node.dc1.consul."],
        false,
        &[],
    ),
    (
        "2.0.9.10.in-addr.arpa.",
        "PTR",
        NoError,
        &["2.0.9.10.in-addr.arpa. 0 PTR web.service.dc1.consul."],
        false,
        &[],
    ),
    (
        "consul.",
        "NS",
        NoError,
        &["consul. 0 NS s1.node.dc1.consul."],
        false,
        &["s1.node.dc1.consul. 0 A 127.0.0.1"],
    ),
];

#[test]
fn answers_are_those_of_consul() {
    for (name, kind, code, answers, negative, along) in ROWS {
        let message = ask(name, kind);
        let at = format!("{name} {kind}");
        assert_eq!(message.metadata.response_code, *code, "{at}");
        assert_eq!(lines(&message.answers), *answers, "{at}");
        let soa: &[&str] = if *negative { &[SOA] } else { &[] };
        assert_eq!(lines(&message.authorities), soa, "{at}");
        assert_eq!(lines(&message.additionals), *along, "{at}");
        assert!(message.metadata.authoritative, "{at}");
        assert!(message.metadata.recursion_desired, "{at}");
        assert_eq!(message.edns.as_ref().map(Edns::max_payload), Some(1232), "{at}");
    }
}

#[test]
fn the_zone_names_itself() {
    let message = ask("anything.consul.", "SOA");
    assert_eq!(lines(&message.answers), [SOA]);
    assert_eq!(lines(&message.authorities), ["consul. 0 NS s1.node.dc1.consul."]);
    assert_eq!(lines(&message.additionals), ["s1.node.dc1.consul. 0 A 127.0.0.1"]);
}

#[test]
fn what_is_not_ours_is_refused() {
    let message = ask("example.com.", "A");
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
    assert!(!message.metadata.authoritative);
    assert!(message.edns.is_none());
    let message = ask("9.9.9.9.in-addr.arpa.", "PTR");
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    assert!(message.metadata.recursion_available);
    assert!(!message.metadata.authoritative);
}

#[test]
fn answers_are_cut_by_one_rule() {
    let count = |config: &Config, kind: &str, tcp: bool, edns: Option<u16>| {
        let message = ask_with(config, "many.service.consul.", kind, tcp, edns);
        let srv = message.answers.iter().filter(|r| r.record_type() == RecordType::SRV).count();
        if srv > 0 {
            assert_eq!(message.additionals.len(), srv, "each SRV comes with its address");
        }
        (message.answers.len(), message.metadata.truncation)
    };
    let plain = Config::default();
    assert_eq!(count(&plain, "A", false, None), (3, false));
    assert_eq!(count(&plain, "SRV", false, Some(512)), (3, false));
    assert_eq!(count(&plain, "A", false, Some(1232)), (74, false));
    assert_eq!(count(&plain, "A", false, Some(4096)), (100, false));
    assert_eq!(count(&plain, "A", true, None), (100, false));
    assert_eq!(count(&plain, "SRV", true, None), (100, false));
    let says = Config { enable_truncate: true, udp_answer_limit: 50, ..Config::default() };
    assert!(count(&says, "SRV", false, None).1, "512 bytes do not hold them");
    assert!(count(&says, "A", false, Some(1232)).1);
    assert_eq!(count(&says, "A", false, Some(4096)), (100, false));
    let few = Config { a_record_limit: 2, ..Config::default() };
    assert_eq!(count(&few, "A", true, None), (2, false));
    assert_eq!(count(&few, "SRV", true, None), (100, false));
    let full = Config { disable_compression: true, ..Config::default() };
    assert_eq!(count(&full, "SRV", true, None), (100, false));
}

#[test]
fn configuration_decides_ttls_health_and_domain() {
    let config = Config {
        domain: "kit.test".into(),
        alt_domain: "alt.test".into(),
        node_ttl: Duration::from_secs(12),
        service_ttl: [("*", 5), ("we*", 7), ("web", 10)]
            .map(|(rule, ttl)| (rule.into(), Duration::from_secs(ttl)))
            .into(),
        only_passing: true,
        enable_additional_node_meta_txt: false,
        ..Config::default()
    };
    let asked = |name, kind| ask_with(&config, name, kind, false, Some(1232));
    let message = asked("web.service.alt.test.", "SRV");
    assert_eq!(
        lines(&message.answers),
        ["web.service.alt.test. 10 SRV 1 1 8001 n1.node.dc1.kit.test."]
    );
    assert_eq!(lines(&message.additionals), ["n1.node.dc1.kit.test. 10 A 10.0.0.1"]);
    assert_eq!(
        lines(&asked("n1.node.kit.test.", "A").answers),
        ["n1.node.kit.test. 12 A 10.0.0.1"]
    );
    assert_eq!(
        lines(&asked("dup.service.kit.test.", "A").answers)[0],
        "dup.service.kit.test. 5 A 10.1.0.6"
    );
    assert_eq!(asked("n1.node.consul.", "A").metadata.response_code, ResponseCode::Refused);
}

#[test]
fn order_changes_and_nobody_is_left_out() {
    let catalog = fixtures();
    let mut rng = Rng::new(Seed(9));
    let mut first = std::collections::BTreeSet::new();
    for _ in 0..2000 {
        let bytes = question("many.service.consul.", "A", None);
        let answer = read(&catalog, &Config::default(), &facts(), &mut rng, false, &bytes).unwrap();
        first.insert(line(&Message::from_vec(&answer).unwrap().answers[0]));
    }
    assert_eq!(first.len(), 100);
}

#[test]
fn messages_that_are_no_questions() {
    let catalog = fixtures();
    let mut rng = Rng::new(Seed(1));
    let mut say =
        |bytes: &[u8]| read(&catalog, &Config::default(), &facts(), &mut rng, false, bytes);
    assert_eq!(say(b""), None);
    assert_eq!(say(&[0; 11]), None);
    let mut response = question("n1.node.consul.", "A", None);
    response[2] |= 0x80;
    assert_eq!(say(&response), None);
    // A header that promises a question that is not there.
    assert_eq!(say(&[1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap()[..4], [1, 2, 0x81, 1]);
    // No question at all; and another operation.
    assert_eq!(say(&[1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap()[3], 1);
    assert_eq!(say(&[1, 2, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap()[3], 4);
    let mut not_ready = facts();
    not_ready.ready = false;
    let bytes = question("web.service.consul.", "A", None);
    let answer = read(&catalog, &Config::default(), &not_ready, &mut rng, false, &bytes).unwrap();
    assert_eq!(Message::from_vec(&answer).unwrap().metadata.response_code, ResponseCode::ServFail);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_answered_or_dropped(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let catalog = Catalog::new("dc1".into(), Planted::none());
        let mut rng = Rng::new(Seed(1));
        let answer = read(&catalog, &Config::default(), &facts(), &mut rng, false, &bytes);
        if let Some(answer) = answer {
            prop_assert_eq!(&answer[..2], &bytes[..2]);
            prop_assert!(answer[2] & 0x80 != 0);
        }
    }

    #[test]
    fn mangled_questions_are_answered_or_dropped(
        place in 0_usize..60,
        value in any::<u8>(),
        size in prop::option::of(any::<u16>()),
        tcp in any::<bool>(),
        kind in prop::sample::select(vec!["A", "SRV", "ANY", "TXT", "SOA", "NS", "PTR"]),
    ) {
        let mut bytes = question("many.service.consul.", kind, size);
        if let Some(byte) = bytes.get_mut(place) {
            *byte = value;
        }
        let config = Config { disable_compression: value & 1 == 0, ..Config::default() };
        let answer = read(&fixtures(), &config, &facts(), &mut Rng::new(Seed(1)), tcp, &bytes);
        if let Some(answer) = answer {
            let limit = if tcp { 65535 } else { usize::from(size.unwrap_or(512).max(512)) };
            prop_assert!(answer.len() <= limit || place > 20);
            prop_assert!(Message::from_vec(&answer).is_ok());
        }
    }

    #[test]
    fn hostile_names_in_the_catalog_do_no_harm(
        host in "\\PC{0,80}",
        address in "\\PC{0,80}",
        key in "\\PC{0,300}",
        value_bytes in 0_usize..70_000,
        pairs in 1_usize..40,
        tcp: bool,
    ) {
        let mut catalog = Catalog::new("dc1".into(), Planted::none());
        let value = "v".repeat(value_bytes);
        let keys: Vec<String> = (0..pairs).map(|place| format!("{key}{place}")).collect();
        let metadata: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, &*value)).collect();
        let hostile = meta(service(node(&host, "10.0.0.1"), "odd", &[], 70000), &metadata);
        put(&mut catalog, at(hostile.clone(), &address));
        put(&mut catalog, meta(service(node("plain", "10.0.0.2"), "odd", &[], 7), &metadata));
        let bytes_max = if tcp { 65_535 } else { 4096 };
        for name in ["odd.service.consul.", "plain.node.consul."] {
            for kind in ["A", "SRV", "ANY", "TXT"] {
                let bytes = question(name, kind, Some(4096));
                let mut rng = Rng::new(Seed(1));
                let answer = read(&catalog, &Config::default(), &facts(), &mut rng, tcp, &bytes);
                let answer = answer.expect("a question is answered");
                prop_assert!(answer.len() <= bytes_max, "{name} {kind}: {}", answer.len());
                prop_assert!(Message::from_vec(&answer).is_ok(), "{name} {kind}");
            }
        }
    }
}

#[test]
fn metadata_that_fits_in_no_message_is_left_out() {
    let mut catalog = Catalog::new("dc1".into(), Planted::none());
    let long = "v".repeat(70_000);
    let host = meta(node("long", "10.0.0.1"), &[("a", "short"), ("b", &long), ("c", "after")]);
    put(&mut catalog, service(host, "web", &[], 80));
    for (name, kind, answers, along) in [
        ("long.node.consul.", "A", 1, 2),
        ("long.node.consul.", "TXT", 2, 0),
        ("long.node.consul.", "ANY", 3, 0),
        ("web.service.consul.", "SRV", 1, 3),
        ("web.service.consul.", "A", 1, 0),
    ] {
        let mut rng = Rng::new(Seed(1));
        let bytes = question(name, kind, None);
        let answer = read(&catalog, &Config::default(), &facts(), &mut rng, true, &bytes).unwrap();
        let message = Message::from_vec(&answer).unwrap();
        let counted = (message.answers.len(), message.additionals.len());
        assert_eq!(counted, (answers, along), "{name} {kind}");
    }
}

#[test]
fn who_asks_from_afar_is_told_addresses_of_the_wan() {
    let mut catalog = Catalog::new("dc1".into(), Planted::none());
    let mut far = at(service(node("n", "10.0.0.1"), "web", &[], 80), "10.0.0.2");
    far.node.tagged_addresses = [("wan".into(), "198.51.100.1".into())].into();
    let wan = ServiceAddress { address: "198.51.100.2".into(), port: 8080 };
    far.services[0].tagged_addresses = [("wan".into(), wan)].into();
    put(&mut catalog, far);
    let mut bare = service(node("m", "10.0.0.3"), "bare", &[], 81);
    bare.node.tagged_addresses = [("wan".into(), "198.51.100.3".into())].into();
    put(&mut catalog, bare);
    for (from, name, kind, expected) in [
        ("dc2", "n.node.consul.", "A", "198.51.100.1"),
        ("dc2", "web.service.consul.", "A", "198.51.100.2"),
        ("dc2", "web.service.consul.", "SRV", "1 1 8080 c6336402.addr.dc1.consul."),
        ("dc2", "bare.service.consul.", "A", "198.51.100.3"),
        ("dc2", "bare.service.consul.", "SRV", "1 1 81 m.node.dc1.consul."),
        ("dc1", "n.node.consul.", "A", "10.0.0.1"),
        ("dc1", "web.service.consul.", "A", "10.0.0.2"),
        ("dc1", "web.service.consul.", "SRV", "1 1 80 0a000002.addr.dc1.consul."),
        ("", "bare.service.consul.", "A", "10.0.0.3"),
    ] {
        let config = Config { translate_beyond: from.into(), ..Config::default() };
        let mut rng = Rng::new(Seed(1));
        let bytes = question(name, kind, None);
        let answer = read(&catalog, &config, &facts(), &mut rng, false, &bytes).unwrap();
        let message = Message::from_vec(&answer).unwrap();
        assert_eq!(message.answers[0].data.to_string(), expected, "{from} {name} {kind}");
    }
}

#[test]
fn an_answer_is_worth_more_than_the_texts_beside_it() {
    for length in [400, 440, 480, 511] {
        let mut catalog = Catalog::new("dc1".into(), Planted::none());
        let long = "v".repeat(length);
        let host = meta(node("long", "10.0.0.1"), &[("a", "short"), ("b", &long)]);
        put(&mut catalog, service(host, "web", &[], 80));
        let mut rng = Rng::new(Seed(1));
        let bytes = question("web.service.consul.", "SRV", None);
        let answer = read(&catalog, &Config::default(), &facts(), &mut rng, false, &bytes).unwrap();
        assert!(answer.len() <= 512);
        let message = Message::from_vec(&answer).unwrap();
        let beside = message.additionals.len();
        assert!(message.answers.len() == 1 && beside >= 2, "{length}: {beside} beside");
    }
}

#[test]
fn a_domain_that_is_no_name_does_no_harm() {
    let mut rng = Rng::new(Seed(1));
    for domain in ["x".repeat(64), "abcdefg.".repeat(31), "a..b".into()] {
        // Asked for by another name of the same agent, answered with this one.
        let config = Config { domain, alt_domain: "kit.test".into(), ..Config::default() };
        for (name, kind) in [("kit.test.", "SOA"), ("kit.test.", "NS"), ("no.node.kit.test.", "A")]
        {
            let bytes = question(name, kind, None);
            let answer = read(&fixtures(), &config, &facts(), &mut rng, false, &bytes).unwrap();
            let message = Message::from_vec(&answer).unwrap();
            assert!(message.answers.is_empty() && message.authorities.is_empty(), "{message:?}");
        }
    }
}
