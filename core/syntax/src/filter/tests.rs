//! Cases against what Consul answers (`testdata/filter.txt`), and what it never said.

use super::*;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use proconsul_types::TextMap;
use proptest::prelude::*;

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

static NODE: Schema = Schema {
    fields: &[
        field("ID", Kind::Text),
        field("Node", Kind::Text),
        field("Address", Kind::Text),
        field("Datacenter", Kind::Text),
        field("TaggedAddresses", Kind::TextMap),
        field("Meta", Kind::TextMap),
    ],
};

static ADDRESS: Schema =
    Schema { fields: &[field("Address", Kind::Text), field("Port", Kind::Int)] };

static WEIGHTS: Schema =
    Schema { fields: &[field("Passing", Kind::Int), field("Warning", Kind::Int)] };

static PROXY: Schema = Schema {
    fields: &[
        field("DestinationServiceName", Kind::Text),
        field("Upstreams", Kind::Records(&ADDRESS)),
    ],
};

static SERVICE: Schema = Schema {
    fields: &[
        field("ID", Kind::Text),
        field("Kind", Kind::Text),
        field("Service", Kind::Text),
        field("Address", Kind::Text),
        field("Port", Kind::Int),
        field("EnableTagOverride", Kind::Bool),
        field("Tags", Kind::TextList),
        field("Meta", Kind::TextMap),
        field("TaggedAddresses", Kind::RecordMap(&ADDRESS)),
        field("Weights", Kind::Record(&WEIGHTS)),
        field("Proxy", Kind::Record(&PROXY)),
    ],
};

static CHECK: Schema =
    Schema { fields: &[field("Status", Kind::Text), field("ServiceTags", Kind::TextList)] };

static HEALTH: Schema = Schema {
    fields: &[
        field("Node", Kind::Record(&NODE)),
        field("Service", Kind::Record(&SERVICE)),
        field("Checks", Kind::Records(&CHECK)),
    ],
};

fn texts(pairs: &[(&str, &str)]) -> TextMap {
    pairs.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value))).collect()
}

fn boxed<'a>(record: impl Record + 'a) -> Box<dyn Record + 'a> {
    Box::new(record)
}

struct Node {
    addresses: TextMap,
    meta: TextMap,
}

impl Record for Node {
    fn field(&self, name: &str) -> Value<'_> {
        match name {
            "Node" => Value::Text("kit1"),
            "TaggedAddresses" => Value::TextMap(&self.addresses),
            "Meta" => Value::TextMap(&self.meta),
            _ => Value::Absent,
        }
    }
}

struct Address;

impl Record for Address {
    fn field(&self, name: &str) -> Value<'_> {
        if name == "Port" { Value::Int(9) } else { Value::Text("1.2.3.4") }
    }
}

struct Weights;

impl Record for Weights {
    fn field(&self, _: &str) -> Value<'_> {
        Value::Int(1)
    }
}

struct Service {
    tags: [Arc<str>; 2],
    meta: TextMap,
}

impl Record for Service {
    fn field(&self, name: &str) -> Value<'_> {
        match name {
            "ID" => Value::Text("web1"),
            "Service" => Value::Text("web"),
            "Port" => Value::Int(80),
            "EnableTagOverride" => Value::Bool(false),
            "Tags" => Value::TextList(&self.tags),
            "Meta" => Value::TextMap(&self.meta),
            "TaggedAddresses" => Value::RecordMap(Vec::from([("lan", boxed(Address))])),
            "Weights" => Value::Made(Box::new(Weights)),
            _ => Value::Absent,
        }
    }
}

struct Check;

impl Record for Check {
    fn field(&self, name: &str) -> Value<'_> {
        if name == "Status" { Value::Text("passing") } else { Value::Absent }
    }
}

struct Health {
    node: Node,
    service: Service,
}

impl Record for Health {
    fn field(&self, name: &str) -> Value<'_> {
        match name {
            "Node" => Value::Record(&self.node),
            "Service" => Value::Record(&self.service),
            "Checks" => Value::Records(Vec::from([boxed(Check)])),
            _ => Value::Absent,
        }
    }
}

fn health() -> Health {
    let addresses = texts(&[("lan", "127.0.0.1")]);
    let meta = texts(&[("consul-network-segment", "")]);
    let service =
        Service { tags: ["a".into(), "bb".into()], meta: texts(&[("k", "v"), ("odd-key", "x")]) };
    Health { node: Node { addresses, meta }, service }
}

/// What a filter says of the record of a schema: true, false, or why it is none.
fn ask(schema: &str, text: &str) -> Result<bool, String> {
    let record = health();
    let (schema, record): (_, &dyn Record) = match schema {
        "node" => (&NODE, &record.node),
        "service" => (&SERVICE, &record.service),
        _ => (&HEALTH, &record),
    };
    match Filter::parse(text, schema) {
        Ok(filter) => Ok(filter.matches(record)),
        Err(error) => Err(error.reason),
    }
}

#[test]
fn says_what_consul_says() {
    let mut wrong = Vec::new();
    let table = include_str!("../../testdata/filter.txt");
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('\t').collect();
        let text: String = serde_json::from_str(parts[1]).unwrap();
        let expected: serde_json::Value = serde_json::from_str(parts[2]).unwrap();
        let found = match ask(parts[0], &text) {
            Ok(passes) => serde_json::Value::Bool(passes),
            Err(reason) => serde_json::Value::String(reason),
        };
        if found != expected {
            wrong.push(format!("{text:?}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_empty_text_lets_everything_pass() {
    let filter = Filter::parse("", &NODE).unwrap();
    assert!(filter.is_empty());
    assert!(filter.matches(&health().node));
}

#[test]
fn and_binds_tighter_than_or_and_not_tighter_than_both() {
    for (text, passes) in [
        ("Port==1 and Port==1 or Port==80", true),
        ("Port==80 or Port==1 and Port==1", true),
        ("(Port==80 or Port==1) and Port==1", false),
        ("not Port==1 and Port==1", false),
        ("not (Port==1 and Port==1)", true),
        ("Port==1 or Port==2 or Port==80", true),
        ("(Port==1 or Port==2) or (Port==80)", true),
    ] {
        assert_eq!(ask("service", text), Ok(passes), "{text}");
    }
}

#[test]
fn what_a_record_lacks_is_its_zero_value() {
    for (text, passes) in [
        ("Proxy.Upstreams is empty", true),
        ("Proxy.DestinationServiceName == x", false),
        ("Kind == ``", true),
        ("Kind matches `^$`", true),
        ("Address != x", true),
    ] {
        assert_eq!(ask("service", text), Ok(passes), "{text}");
    }
}

#[test]
fn deep_nesting_is_refused_and_costs_little() {
    for text in [
        "(".repeat(5000),
        "not ".repeat(5000),
        format!("{}Port==80{}", "(".repeat(500), ")".repeat(500)),
    ] {
        assert!(Filter::parse(&text, &SERVICE).is_err());
    }
    let text = format!("{}Port==80{}", "(".repeat(60), ")".repeat(60));
    assert_eq!(ask("service", &text), Ok(true));
    let long = ["Port==1"; 5000].join(" or ");
    assert_eq!(ask("service", &long), Ok(false));
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ ()a-zA-Z.\\[\\]\"`0-9=!\u{e9}\\\\*+?{}|^$-]{0,40}|.{0,40}") {
        drop(ask("health", &text));
    }

    #[test]
    fn no_sentence_panics(
        words in proptest::collection::vec(
            prop_oneof![
                Just("Port"), Just("Tags"), Just("Meta.k"), Just("=="), Just("!="), Just("in"),
                Just("not"), Just("is"), Just("empty"), Just("and"), Just("or"), Just("("),
                Just(")"), Just("80"), Just("matches"), Just("contains"), Just("\"x\""),
            ],
            0..14,
        ),
    ) {
        drop(ask("service", &words.join(" ")));
    }

    #[test]
    fn no_pattern_panics(pattern in "[ab*+?(){}\\[\\]|^$.,0-9:<>P=!\\\\-]{0,20}") {
        if let Err(reason) = ask("service", &format!("Service matches `{pattern}`")) {
            prop_assert!(reason.starts_with("Failed to compile"), "{}", reason);
        }
    }
}
