//! Any request whatever gets an answer, and none is the server's fault.

mod world;

use bytes::Bytes;
use proconsul_http::{Method, Plan, Request};
use proptest::prelude::*;
use world::{World, request};

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Get),
        Just(Method::Put),
        Just(Method::Post),
        Just(Method::Delete),
        Just(Method::Head),
        Just(Method::Options),
        "[A-Z]{1,9}".prop_map(Method::Other),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let family = prop_oneof![
        Just("kv/"),
        Just("txn"),
        Just("session/create"),
        Just("session/renew/"),
        Just("session/info/"),
        Just("catalog/register"),
        Just("catalog/deregister"),
        Just("catalog/nodes"),
        Just("catalog/service/"),
        Just("catalog/connect/"),
        Just("catalog/node/"),
        Just("health/service/"),
        Just("health/state/"),
        Just("agent/self"),
        Just("agent/service/"),
        Just("agent/service/register"),
        Just("agent/check/register"),
        Just("agent/check/update/"),
        Just("agent/health/service/name/"),
        Just("operator/raft/peer"),
        Just("snapshot"),
    ];
    prop_oneof![
        8 => (family, "([a-zA-Z0-9/_.-]|%[0-9a-fA-F]{2}){0,12}")
            .prop_map(|(family, tail)| format!("/v1/{family}{tail}")),
        1 => "\\PC{0,24}",
        1 => "/[ -~]{0,24}",
    ]
}

fn query() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("index"),
        Just("wait"),
        Just("stale"),
        Just("consistent"),
        Just("max_stale"),
        Just("recurse"),
        Just("keys"),
        Just("separator"),
        Just("raw"),
        Just("cas"),
        Just("flags"),
        Just("acquire"),
        Just("release"),
        Just("filter"),
        Just("passing"),
        Just("tag"),
        Just("node-meta"),
        Just("pretty"),
        Just("enable"),
        Just("id"),
        Just("hash"),
    ];
    let pair = (name, "([a-z0-9:=. ]|%[0-9a-f]{2}){0,8}")
        .prop_map(|(name, value)| format!("{name}={value}"));
    prop_oneof![
        6 => proptest::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&")),
        1 => "\\PC{0,24}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[0-9]{1,20}(\\.[0-9]{1,3})?",
        "\"[a-zA-Z0-9:/ ]{0,9}\"",
    ];
    let name = "(Node|Name|Address|Service|Check|Checks|KV|Verb|Key|Value|TTL|Port|Tags|Meta|Proxy\
                |Connect|Weights|LockDelay|Behavior|NodeChecks|Interval|HTTP|Status|ID|Session)";
    let json = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((name, inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    prop_oneof![
        4 => json.prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..48),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_request_is_answered(
        requests in proptest::collection::vec((method(), path(), query(), body()), 1..12),
        leads in any::<bool>(),
    ) {
        let mut world = World::new();
        if !leads {
            world.follow(None);
        }
        for (method, path, query, body) in requests {
            let request =
                Request { method, path, query, headers: Vec::new(), body: Bytes::from(body) };
            let plan = world.read(&request);
            prop_assert!(matches!(plan, Plan::Answer(_) | Plan::Enter | Plan::Host(_)), "a worker gave {plan:?}");
            let response = world.ask(&request);
            prop_assert!((200..=503).contains(&response.status));
            prop_assert!(response.status != 500 || !response.body.is_empty());
            let is_json = response.header("Content-Type") == Some("application/json");
            if is_json {
                let parsed = serde_json::from_slice::<serde_json::Value>(&response.body);
                prop_assert!(parsed.is_ok(), "not JSON: {:?}", response.body);
            }
        }
        prop_assert_eq!(world.ask(&request("GET /v1/status/leader", "")).status, 200);
    }
}
