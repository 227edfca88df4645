//! Whether a message says what a capture's `decoded` says, field by field; and whether what is
//! inside its raw fields has the same bytes when it is written again.

use crate::fixture::{hex, unhex};
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use proconsul_types::{Coordinate, TextMap};
use proconsul_wire::memberlist::{
    Accusation, Ack, Alive, IndirectPing, Message, NodeState, Ping, StreamMessage,
};
use proconsul_wire::serf;
use proconsul_wire::serf::{EventsAt, PushPullState};
use serde_json::{Value, json};

/// The messages inside a decoded datagram: checksum, compression and compound taken off.
pub(crate) fn leaves(decoded: &Value) -> Vec<&Value> {
    match decoded["msg"].as_str().unwrap() {
        "hasCrc" | "compress" => leaves(&decoded["inner"]),
        "compound" => decoded["parts"].as_array().unwrap().iter().flat_map(leaves).collect(),
        _ => vec![decoded],
    }
}

/// A message of a datagram says that.
pub(crate) fn check_message(expected: &Value, message: &Message) {
    let body = &expected["body"];
    match (expected["msg"].as_str().unwrap(), message) {
        ("ping", Message::Ping(ping)) => check_ping(body, ping),
        ("indirectPing", Message::IndirectPing(ping)) => check_indirect(body, ping),
        ("ackResp", Message::Ack(ack)) => check_ack(body, ack),
        ("suspect", Message::Suspect(said)) | ("dead", Message::Dead(said)) => {
            check_accusation(body, said);
        }
        ("alive", Message::Alive(alive)) => check_alive(body, "Node", alive),
        ("nackResp", Message::Nack { sequence }) => assert_eq!(body, &json!({"SeqNo": sequence})),
        ("user", Message::User(bytes)) => check_user(&expected["inner"], bytes),
        (told, found) => panic!("expected {told}, found {found:?}"),
    }
}

/// A message of a stream says that.
pub(crate) fn check_stream(expected: &Value, message: &StreamMessage) {
    let body = &expected["body"];
    match (expected["msg"].as_str().unwrap(), message) {
        ("ping", StreamMessage::Ping(ping)) => check_ping(body, ping),
        ("ackResp", StreamMessage::Ack(ack)) => check_ack(body, ack),
        ("err", StreamMessage::Error(text)) => assert_eq!(body, &json!({"Error": text})),
        ("user", StreamMessage::User(bytes)) => {
            assert_eq!(expected["header"]["UserMsgLen"], bytes.len());
            check_user(&expected["inner"], bytes);
        }
        ("pushPull", StreamMessage::PushPull(state)) => {
            let nodes = expected["nodes"].as_array().unwrap();
            assert_eq!(expected["header"]["Join"], state.join);
            assert_eq!(nodes.len(), state.nodes.len());
            for (told, NodeState { alive, liveness }) in nodes.iter().zip(state.nodes.iter()) {
                check_alive(told, "Name", alive);
                assert_eq!(
                    told["State"]["name"].as_str().unwrap(),
                    format!("{liveness:?}").to_lowercase()
                );
            }
            let user = &expected["user_state"];
            match &state.user {
                Some(state) => check_state(&user["body"], state),
                None => assert_eq!(user["serf"], "(opaque)"),
            }
        }
        (told, found) => panic!("expected {told}, found {found:?}"),
    }
}

/// Raw bytes are those: text, hexadecimal, null, tags, a coordinate, or a message of Serf's.
fn check_raw(expected: &Value, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        assert_eq!(expected, &Value::Null);
        return;
    };
    if let Some(text) = expected.as_str() {
        assert_eq!(text.as_bytes(), bytes);
    } else if let Some(digits) = expected["hex"].as_str() {
        assert_eq!(digits, hex(bytes));
    } else if expected.get("tags").is_some() {
        let tags = serf::decode_tags(bytes);
        check_tags(&expected["tags"], &tags);
        let again = serf::encode_tags(&tags);
        assert_eq!(again.len(), bytes.len(), "the same pairs in some order");
        assert_eq!(serf::decode_tags(&again), tags);
    } else if let Some(told) = expected.get("coordinate") {
        let coordinate = serf::decode_coordinate(bytes).unwrap();
        check_coordinate(told, &coordinate);
        assert_eq!(hex(&serf::encode_coordinate(&coordinate)), hex(bytes));
    } else {
        check_payload(expected, bytes);
    }
}

fn check_tags(expected: &Value, tags: &TextMap) {
    let found: serde_json::Map<String, Value> =
        tags.iter().map(|(name, value)| (name.to_string(), json!(**value))).collect();
    assert_eq!(expected, &Value::Object(found));
}

fn check_coordinate(expected: &Value, found: &Coordinate) {
    let near = |told: &Value, found: f64| {
        let told = told.as_f64().unwrap();
        assert!((told - found).abs() <= told.abs() * 1e-15, "{told} is not {found}");
    };
    near(&expected["Adjustment"], found.adjustment);
    near(&expected["Error"], found.error);
    near(&expected["Height"], found.height);
    let vector = expected["Vec"].as_array().unwrap();
    assert_eq!(vector.len(), found.vector.len());
    vector.iter().zip(found.vector).for_each(|(told, found)| near(told, found));
}

fn check_ip(expected: &Value, found: Option<IpAddr>) {
    assert_eq!(expected["ip"].as_str().unwrap(), found.unwrap().to_string());
}

fn check_place(body: &Value, names: [&str; 2], place: Option<SocketAddr>) {
    check_ip(&body[names[0]], place.map(|place| place.ip()));
    assert_eq!(body[names[1]], place.unwrap().port());
}

fn check_ping(body: &Value, ping: &Ping) {
    assert_eq!(body["Node"], *ping.node);
    assert_eq!(body["SeqNo"], ping.sequence);
    assert_eq!(body["SourceNode"], *ping.source_node);
    check_place(body, ["SourceAddr", "SourcePort"], ping.source);
}

fn check_indirect(body: &Value, ping: &IndirectPing) {
    assert_eq!(body["Nack"], ping.nack);
    assert_eq!(body["Node"], *ping.node);
    assert_eq!(body["Port"], ping.port);
    assert_eq!(body["SeqNo"], ping.sequence);
    assert_eq!(body["SourceNode"], *ping.source_node);
    check_place(body, ["SourceAddr", "SourcePort"], ping.source);
    check_ip(&body["Target"], ping.target);
}

fn check_ack(body: &Value, ack: &Ack) {
    assert_eq!(body["SeqNo"], ack.sequence);
    check_raw(&body["Payload"], ack.payload.as_deref());
}

fn check_accusation(body: &Value, said: &Accusation) {
    assert_eq!(
        body,
        &json!({"From": *said.from, "Incarnation": said.incarnation.0, "Node": *said.node})
    );
}

fn check_alive(body: &Value, name: &str, alive: &Alive) {
    check_ip(&body["Addr"], alive.address);
    assert_eq!(body["Incarnation"], alive.incarnation.0);
    check_raw(&body["Meta"], alive.meta.as_deref());
    assert_eq!(body[name], *alive.node);
    assert_eq!(body["Port"], alive.port);
    assert_eq!(body["Vsn"], json!(alive.versions));
}

/// A user message holds that, and Serf's messages have the same bytes when written again.
fn check_user(expected: &Value, bytes: &[u8]) {
    if expected["serf"] == "(opaque)" {
        check_raw(&expected["raw"], Some(bytes));
        return;
    }
    let message = serf::Message::decode(bytes).unwrap();
    check_serf(expected, &message);
    assert_eq!(hex(&message.to_bytes()), hex(bytes));
    assert_eq!(message.encoded_len(), bytes.len());
}

fn check_serf(expected: &Value, message: &serf::Message) {
    let body = &expected["body"];
    match (expected["serf"].as_str().unwrap(), message) {
        ("leave", serf::Message::Leave(leave)) => assert_eq!(
            body,
            &json!({"LTime": leave.time.0, "Node": *leave.node, "Prune": leave.prune})
        ),
        ("join", serf::Message::Join(join)) => {
            assert_eq!(body, &json!({"LTime": join.time.0, "Node": *join.node}));
        }
        ("userEvent", serf::Message::UserEvent(event)) => {
            assert_eq!(body["CC"], event.coalesce);
            assert_eq!(body["LTime"], event.time.0);
            assert_eq!(body["Name"], *event.name);
            check_raw(&body["Payload"], event.payload.as_deref());
        }
        ("query", serf::Message::Query(query)) => check_query(body, query),
        ("queryResponse", serf::Message::QueryResponse(response)) => {
            assert_eq!(body["Flags"], response.flags);
            assert_eq!(body["From"], *response.from);
            assert_eq!(body["ID"], response.id);
            assert_eq!(body["LTime"], response.time.0);
            check_raw(&body["Payload"], response.payload.as_deref());
        }
        ("relay", serf::Message::Relay(relay)) => {
            let header = &expected["header"];
            assert_eq!(header["DestName"], *relay.name);
            assert_eq!(header["DestAddr"]["Port"], relay.to.port());
            let told = unhex(header["DestAddr"]["IP"]["hex"].as_str().unwrap());
            let told: [u8; 4] = told.try_into().unwrap();
            assert_eq!(IpAddr::from(told), relay.to.ip());
            check_user(&expected["inner"], &relay.message);
        }
        (told, found) => panic!("expected {told}, found {found:?}"),
    }
}

fn check_query(body: &Value, query: &serf::Query) {
    check_place(body, ["Addr", "Port"], query.reply_to);
    assert_eq!(body["Flags"], query.flags);
    assert_eq!(body["ID"], query.id);
    assert_eq!(body["LTime"], query.time.0);
    assert_eq!(body["Name"], *query.name);
    check_raw(&body["Payload"], query.payload.as_deref());
    assert_eq!(body["RelayFactor"], query.relay_factor);
    assert_eq!(body["SourceNode"], *query.source_node);
    assert_eq!(body["Timeout"], query.timeout_nanos);
    let filters: Vec<Value> = query.filters.iter().map(filter_json).collect();
    assert_eq!(body["Filters"], if filters.is_empty() { Value::Null } else { json!(filters) });
}

fn filter_json(bytes: &Bytes) -> Value {
    let filter = serf::Filter::decode(bytes).unwrap();
    assert_eq!(hex(&filter.to_bytes()), hex(bytes));
    match filter {
        serf::Filter::Nodes(names) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            json!({"filter_type": 0, "value": names})
        }
        serf::Filter::Tag { tag, expression } => {
            json!({"filter_type": 1, "value": {"Expr": expression, "Tag": tag}})
        }
    }
}

/// What Serf puts into the payloads of queries and answers.
fn check_payload(expected: &Value, bytes: &[u8]) {
    let body = &expected["body"];
    let again = match expected["serf"].as_str().unwrap() {
        "keyRequest" => {
            let request = serf::KeyRequest::decode(bytes).unwrap();
            check_raw(&body["Key"], Some(&request.key));
            request.to_bytes()
        }
        "keyResponse" => {
            let response = serf::KeyResponse::decode(bytes).unwrap();
            let keys = &response.keys;
            assert_eq!(
                body,
                &json!({
                    "Keys": if keys.is_empty() { Value::Null } else { json!(keys) },
                    "Message": response.message,
                    "PrimaryKey": response.primary,
                    "Result": response.result,
                })
            );
            response.to_bytes()
        }
        "conflictResponse" => {
            let member = serf::decode_conflict(bytes).unwrap().unwrap();
            check_ip(&body["Addr"], member.address);
            assert_eq!(body["Name"], *member.name);
            assert_eq!(body["Port"], member.port);
            assert_eq!(body["Status"], member.status);
            check_tags(&body["Tags"], &member.tags);
            let versions = member.versions;
            assert_eq!(body["ProtocolMin"], versions.protocol_min);
            assert_eq!(body["ProtocolMax"], versions.protocol_max);
            assert_eq!(body["ProtocolCur"], versions.protocol);
            assert_eq!(body["DelegateMin"], versions.delegate_min);
            assert_eq!(body["DelegateMax"], versions.delegate_max);
            assert_eq!(body["DelegateCur"], versions.delegate);
            serf::encode_conflict(Some(&member))
        }
        other => panic!("no payload is called {other}"),
    };
    assert_eq!(hex(&again), hex(bytes));
}

/// Serf's part of a push/pull; empty slots of the sender's ring are not kept.
fn check_state(body: &Value, state: &PushPullState) {
    assert_eq!(body["EventLTime"], state.event_time.0);
    assert_eq!(body["LTime"], state.time.0);
    assert_eq!(body["QueryLTime"], state.query_time.0);
    let left: Vec<&str> = state.left.iter().map(|name| &**name).collect();
    assert_eq!(body["LeftMembers"], json!(left));
    let times: serde_json::Map<String, Value> =
        state.status_times.iter().map(|(name, time)| (name.to_string(), json!(time.0))).collect();
    assert_eq!(body["StatusLTimes"], Value::Object(times));
    let slots: Vec<&Value> =
        body["Events"].as_array().unwrap().iter().filter(|slot| !slot.is_null()).collect();
    assert_eq!(slots.len(), state.events.len());
    for (told, EventsAt { time, events }) in slots.into_iter().zip(&state.events) {
        assert_eq!(told["LTime"], time.0);
        let told = told["Events"].as_array().unwrap();
        assert_eq!(told.len(), events.len());
        for (told, (name, payload)) in told.iter().zip(events) {
            assert_eq!(told["Name"], **name);
            check_raw(&told["Payload"], payload.as_deref());
        }
    }
}
