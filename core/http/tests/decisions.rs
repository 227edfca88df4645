//! Who may answer, who must wait, what is kept.

mod world;

use proconsul_catalog::Topic;
use proconsul_http::{HostOp, Plan, QueryTimes, Request};
use proconsul_types::{CatalogIndex, Duration, Instant, LogLevel};
use world::{World, request};

fn get(target: &str) -> Request {
    request(&format!("GET {target}"), "")
}

fn put(world: &mut World, target: &str, body: &str) {
    let response = world.ask(&request(&format!("PUT {target}"), body));
    assert_eq!(response.status, 200, "{target}");
}

fn header(plan: Plan, name: &str) -> String {
    let Plan::Answer(response) = plan else { panic!("an answer, not {plan:?}") };
    response.header(name).expect("the header is there").to_owned()
}

#[test]
fn a_leader_answers_under_its_lease_alone() {
    let mut world = World::new();
    assert!(matches!(world.read(&get("/v1/catalog/nodes")), Plan::Answer(_)));
    world.view.lease_until = world.now;
    assert_eq!(world.read(&get("/v1/catalog/nodes")), Plan::Enter);
    assert_eq!(world.plan(&get("/v1/catalog/nodes"), false, false), Plan::Confirm);
    assert!(matches!(world.plan(&get("/v1/catalog/nodes"), true, false), Plan::Answer(_)));
    let consistent = get("/v1/kv/x?consistent");
    assert_eq!(world.read(&consistent), Plan::Enter);
    assert_eq!(world.plan(&consistent, false, false), Plan::Confirm);
    assert!(matches!(world.plan(&consistent, true, false), Plan::Answer(_)));
}

#[test]
fn a_follower_answers_stale_reads_and_its_own_affairs() {
    let mut world = World::new();
    world.follow(Some(world.now.before(Duration::from_millis(21))));
    assert_eq!(world.plan(&get("/v1/kv/x"), false, false), Plan::Leader);
    assert_eq!(world.plan(&get("/v1/kv/x?consistent"), false, false), Plan::Leader);
    let put = request("PUT /v1/kv/x", "v");
    assert_eq!(world.read(&put), Plan::Enter);
    assert_eq!(world.plan(&put, false, false), Plan::Leader);
    let stale = world.read(&get("/v1/catalog/nodes?stale"));
    assert_eq!(header(stale.clone(), "X-Consul-LastContact"), "21");
    assert_eq!(header(stale, "X-Consul-Effective-Consistency"), "stale");
    assert!(matches!(world.read(&get("/v1/kv/?keys&max_stale=1s")), Plan::Answer(_)));
    assert_eq!(world.read(&get("/v1/kv/?keys&max_stale=20ms")), Plan::Enter);
    assert!(matches!(world.read(&get("/v1/agent/services")), Plan::Answer(_)));
    assert!(matches!(world.read(&get("/v1/status/leader")), Plan::Answer(_)));
    world.follow(None);
    assert!(matches!(world.read(&get("/v1/kv/?keys&stale")), Plan::Answer(_)));
}

#[test]
fn a_blocking_read_waits_for_a_newer_index() {
    let mut world = World::new();
    put(&mut world, "/v1/kv/a", "1");
    let now = header(world.read(&get("/v1/kv/a")), "X-Consul-Index");
    let blocking = get(&format!("/v1/kv/a?wait=16s&index={now}"));
    assert_eq!(world.read(&blocking), Plan::Enter);
    let Plan::Park(wait) = world.plan(&blocking, false, false) else { panic!("it waits") };
    assert_eq!(wait.min_index, CatalogIndex(now.parse().unwrap()));
    assert_eq!(wait.key, "/v1/kv/a");
    let seconds = |seconds| Duration::from_secs(seconds);
    assert!((seconds(16)..=seconds(17)).contains(&wait.at_most));
    // Another key changes: it goes on waiting. Time passes: it answers what is.
    put(&mut world, "/v1/kv/b", "1");
    assert!(matches!(world.plan(&blocking, false, false), Plan::Park(_)));
    assert_eq!(header(world.plan(&blocking, false, true), "X-Consul-Index"), now);
    // The key changes.
    put(&mut world, "/v1/kv/a", "2");
    let later = header(world.read(&blocking), "X-Consul-Index");
    assert!(later.parse::<u64>().unwrap() > now.parse().unwrap());
    let ceiling = get("/v1/kv/a?wait=9000h&index=99");
    let Plan::Park(wait) = world.plan(&ceiling, false, false) else { panic!("it waits") };
    assert_eq!(wait.at_most, seconds(600));
}

#[test]
fn the_agent_bounds_how_long_a_read_waits() {
    let mut world = World::new();
    let mut facts = (*world.view.agent).clone();
    let seconds = |seconds| Duration::from_secs(seconds);
    facts.query_times = QueryTimes { default: seconds(16), max: seconds(32) };
    world.view.agent = facts.into();
    put(&mut world, "/v1/agent/service/register", r#"{"Name":"h","Port":80}"#);
    let hash = header(world.read(&get("/v1/agent/service/h")), "X-Consul-ContentHash");
    for target in ["/v1/kv/a?index=99".into(), format!("/v1/agent/service/h?hash={hash}")] {
        for (wait, shortest, longest) in [("", 16, 17), ("&wait=1s", 1, 2), ("&wait=9h", 32, 32)] {
            let asked = get(&format!("{target}{wait}"));
            let Plan::Park(wait) = world.plan(&asked, false, false) else { panic!("it waits") };
            let bounds = seconds(shortest)..=seconds(longest);
            assert!(bounds.contains(&wait.at_most), "{}: {:?}", asked.query, wait.at_most);
        }
    }
}

#[test]
fn a_node_that_is_shown_or_asked_for_governs_the_answer() {
    let mut world = World::new();
    let node = |role: &str, address: &str| {
        format!(r#"{{"Node":"n","Address":"{address}","NodeMeta":{{"role":"{role}"}}}}"#)
    };
    put(
        &mut world,
        "/v1/catalog/register",
        r#"{"Node":"n","Address":"10.0.0.1","NodeMeta":{"role":"db"},
            "Service":{"Service":"web","Connect":{"Native":true}},
            "Check":{"Name":"c","Status":"passing","ServiceID":"web"}}"#,
    );
    for target in [
        "/v1/catalog/services?node-meta=role:db",
        "/v1/catalog/connect/web",
        "/v1/health/connect/web",
        "/v1/health/node/n?node-meta=role:db",
        "/v1/health/checks/web?node-meta=role:db",
        "/v1/health/state/passing?node-meta=role:db",
    ] {
        put(&mut world, "/v1/catalog/register", &node("db", "10.0.0.1"));
        let Plan::Answer(before) = world.read(&get(target)) else { panic!("an answer") };
        let index = before.header("X-Consul-Index").expect("a read has an index").to_owned();
        let separator = if target.contains('?') { '&' } else { '?' };
        let waiting = get(&format!("{target}{separator}index={index}"));
        let Plan::Park(wait) = world.plan(&waiting, false, false) else { panic!("{target} waits") };
        assert!(wait.topics.contains(&Topic::Nodes), "{target} is woken by nodes");
        put(&mut world, "/v1/catalog/register", &node("web", "10.0.0.2"));
        let Plan::Answer(after) = world.read(&waiting) else { panic!("{target} is answered") };
        assert_ne!(before.header("X-Consul-Index"), after.header("X-Consul-Index"), "{target}");
        assert_ne!(before.body, after.body, "{target}");
    }
}

#[test]
fn who_waits_behind_another_index_is_shown_the_same_bytes() {
    let mut world = World::new();
    put(&mut world, "/v1/catalog/register", r#"{"Node":"n","Address":"a"}"#);
    let body = |plan| {
        let Plan::Answer(response) = plan else { panic!("an answer, not {plan:?}") };
        response.body
    };
    let first = body(world.read(&get("/v1/catalog/nodes?wait=1s&index=2")));
    let other = body(world.read(&get("/v1/catalog/nodes?index=3&wait=2s")));
    assert_eq!(first.as_ptr(), other.as_ptr(), "the same bytes are given again");
    assert_eq!(first.as_ptr(), body(world.read(&get("/v1/catalog/nodes"))).as_ptr());
    assert_eq!(world.cache.len(), 1);
}

#[test]
fn health_is_one_word_for_who_accepts_text() {
    let mut world = World::new();
    let service = r#"{"Name":"web","ID":"w","Check":{"TTL":"10s","Status":"warning"}}"#;
    put(&mut world, "/v1/agent/service/register", service);
    for target in ["/v1/agent/health/service/id/w", "/v1/agent/health/service/name/web"] {
        let mut request = get(target);
        for (accepted, is_text) in
            [("application/json", false), ("text/plain", true), ("text/plain; q=0.5", true)]
        {
            request.headers = vec![("accept".into(), accepted.into())];
            let Plan::Answer(response) = world.read(&request) else { panic!("an answer") };
            assert_eq!(response.status, 429);
            assert_eq!(response.body == "warning", is_text, "{target} {accepted}");
            let wanted = if is_text { "text/plain" } else { "application/json" };
            assert_eq!(response.header("content-type"), Some(wanted));
        }
    }
}

#[test]
fn a_body_is_encoded_once_per_change() {
    let mut world = World::new();
    let register = |port: u32| {
        format!(r#"{{"Node":"n","Address":"a","Service":{{"Service":"web","Port":{port}}}}}"#)
    };
    put(&mut world, "/v1/catalog/register", &register(1));
    let asked = get("/v1/health/service/web");
    let body = |plan| {
        let Plan::Answer(response) = plan else { panic!("an answer, not {plan:?}") };
        response.body
    };
    let first = body(world.read(&asked));
    let kept = body(world.read(&asked));
    assert_eq!(first.as_ptr(), kept.as_ptr(), "the same bytes are given again");
    put(&mut world, "/v1/kv/unrelated", "x");
    assert_eq!(first.as_ptr(), body(world.read(&asked)).as_ptr(), "another table is no change");
    put(&mut world, "/v1/catalog/register", &register(2));
    let changed = body(world.read(&asked));
    assert_ne!(first, changed);
    // Last contact is never kept with the body.
    world.follow(Some(world.now));
    world.now = world.now.after(Duration::from_millis(5));
    let stale = get("/v1/health/service/web?stale");
    assert_eq!(header(world.read(&stale), "X-Consul-LastContact"), "5");
    world.now = world.now.after(Duration::from_millis(5));
    assert_eq!(header(world.read(&stale), "X-Consul-LastContact"), "10");
}

#[test]
fn a_forwarded_request_keeps_the_node_it_came_to() {
    let mut world = World::new();
    let mut facts = (*world.view.agent).clone();
    facts.name = "other".into();
    let mut other = world.view.clone();
    other.agent = facts.into();
    let forwarded = proconsul_http::forward(&other, &request("PUT /v1/session/create", ""));
    let response = world.ask(&forwarded);
    assert_eq!(&response.body[..], b"Missing node registration");
    let passed_on = proconsul_http::error::forwarded(&other, response);
    assert_eq!(&passed_on.body[..], b"rpc error making call: Missing node registration");
}

#[test]
fn what_is_in_another_datacenter_is_shown_where_the_wan_reaches_it() {
    let mut world = World::new();
    let node = r#"{"Node":"n","Address":"10.0.0.1","TaggedAddresses":{"wan":"198.51.100.1"},
        "Service":{"Service":"web","Port":80,"Address":"10.0.0.2",
        "TaggedAddresses":{"wan":{"Address":"198.51.100.2","Port":8080}}}}"#;
    put(&mut world, "/v1/catalog/register", node);
    let mut asked = world.view.clone();
    let mut facts = (*asked.agent).clone();
    (facts.datacenter, facts.translate_wan_addrs) = ("dc2".into(), true);
    asked.agent = facts.into();
    for (target, own, wan) in [
        ("/v1/catalog/nodes", vec!["10.0.0.1"], vec!["198.51.100.1"]),
        ("/v1/catalog/node/n", vec!["10.0.0.1"], vec!["198.51.100.1"]),
        (
            "/v1/catalog/service/web",
            vec!["10.0.0.1", "10.0.0.2"],
            vec!["198.51.100.1", "198.51.100.2"],
        ),
        (
            "/v1/health/service/web",
            vec!["10.0.0.1", "10.0.0.2"],
            vec!["198.51.100.1", "198.51.100.2"],
        ),
    ] {
        // `Address` and `ServiceAddress`, and nothing that is tagged.
        let shown = |response: &proconsul_http::Response, address: &str| {
            let text = String::from_utf8_lossy(&response.body).replace(": ", ":");
            text.contains(&format!("Address\":\"{address}\",\"Datacenter"))
                || text.contains(&format!("ServiceAddress\":\"{address}"))
                || text.contains(&format!("\"Address\":\"{address}\",\"TaggedAddresses"))
        };
        for (dc, expected, others) in [("dc1", &wan, &own), ("dc2", &own, &wan)] {
            let request = get(&format!("{target}?dc={dc}"));
            let mut request = proconsul_http::forward(&asked, &request);
            // Whoever answers is in dc1 in either case.
            request.query = request.query.replace("dc=dc2", "dc=dc1");
            let response = world.ask(&request);
            let response = proconsul_http::error::forwarded(&asked, response);
            for address in expected {
                assert!(shown(&response, address), "{target} {dc} {address}: {response:?}");
            }
            for address in others {
                assert!(!shown(&response, address), "{target} {dc} {address}: {response:?}");
            }
            assert_eq!(response.header("X-Consul-Translate-Addresses"), Some("true"));
        }
    }
}

#[test]
fn agent_services_wait_by_hash() {
    let mut world = World::new();
    put(&mut world, "/v1/agent/service/register", r#"{"Name":"h","Port":80}"#);
    let hash = header(world.read(&get("/v1/agent/service/h")), "X-Consul-ContentHash");
    let waiting = get(&format!("/v1/agent/service/h?wait=1s&hash={hash}"));
    assert_eq!(world.read(&waiting), Plan::Enter);
    assert!(matches!(world.plan(&waiting, false, false), Plan::Park(_)));
    assert_eq!(header(world.plan(&waiting, false, true), "X-Consul-ContentHash"), hash);
    put(&mut world, "/v1/agent/service/register", r#"{"Name":"h","Port":81}"#);
    assert_ne!(header(world.read(&waiting), "X-Consul-ContentHash"), hash);
}

#[cfg(feature = "planted")]
mod planted {
    use super::*;
    use proconsul_types::Fault;

    #[test]
    fn each_fault_does_the_wrong_thing() {
        let mut world = World::carrying(Some(Fault::FollowerServesDefault));
        world.follow(Some(world.now));
        assert!(matches!(world.read(&get("/v1/kv/?keys")), Plan::Answer(_)));

        let mut world = World::carrying(Some(Fault::LeaseIgnored));
        world.view.lease_until = Instant::START;
        assert!(matches!(world.read(&get("/v1/kv/?keys")), Plan::Answer(_)));

        let mut world = World::carrying(Some(Fault::IndexNewerThanBody));
        put(&mut world, "/v1/kv/a", "1");
        let blocking = get("/v1/kv/a?index=1");
        let Plan::Answer(old) = world.read(&blocking) else { panic!("an answer") };
        put(&mut world, "/v1/kv/a", "2");
        let Plan::Answer(new) = world.read(&blocking) else { panic!("an answer") };
        assert_eq!(old.body, new.body);
        assert_ne!(old.header("X-Consul-Index"), new.header("X-Consul-Index"));
    }
}

#[cfg(not(feature = "planted"))]
#[test]
fn no_moment_is_before_the_start() {
    assert!(World::new().now > Instant::START);
}

#[test]
fn the_host_tells_of_its_machine_and_of_the_log() {
    let mut world = World::new();
    let Plan::Host(HostOp::Log { level, json, head }) =
        world.read(&get("/v1/agent/monitor?loglevel=warn&logjson"))
    else {
        panic!("the host writes the log");
    };
    assert_eq!((level, json, head.status), (LogLevel::Warn, true, 200));
    assert_eq!(head.header("content-type"), None);
    let told = world.read(&get("/v1/agent/host?pretty"));
    assert_eq!(told, Plan::Host(HostOp::Machine { pretty: true }));
    let Plan::Host(HostOp::Snapshot { head }) = world.read(&get("/v1/snapshot")) else {
        panic!("who holds the leader's view makes the archive");
    };
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/x-gzip")));
    assert_eq!(world.read(&get("/v1/snapshot?consistent")), Plan::Enter);
    // Who has no host around it has no such endpoints.
    let Plan::Answer(unknown) = world.plan(&get("/v1/agent/host"), false, false) else {
        panic!("the loop answers")
    };
    assert_eq!(unknown.status, 404);
    let Plan::Answer(refused) = world.read(&get("/v1/agent/monitor?loglevel=nope")) else {
        panic!("a refusal is an answer")
    };
    assert_eq!(refused.status, 400);
    assert_eq!(&refused.body[..], b"Bad request: Unknown log level: nope");
}
