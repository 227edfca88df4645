//! Requests that several stories send themselves: sessions, locks, operators' wishes, blocking
//! queries. An answer that did not come, or a server error, is `None`: nobody knows.

use proconsul_sim::{Bytes, Freshness, Method, Request, Response, Told, World, millis};

/// A request without a body to speak of.
pub(crate) async fn ask(
    world: &World,
    server: usize,
    method: Method,
    target: &str,
    body: &str,
) -> Option<Response> {
    let request = Request::new(method, target, Bytes::from(body.to_owned()));
    world.http(server, request).await.ok().filter(|answer| answer.status < 500)
}

/// A session without checks; `ttl` 0: it lives until it is destroyed. Tried at all servers.
pub(crate) async fn session(world: &World, ttl: u64, delay: u64) -> Option<String> {
    let node = r#"{"Node":"keeper","Address":"10.2.0.1"}"#;
    let life = if ttl == 0 { String::new() } else { format!(r#""TTL":"{ttl}ms","#) };
    let wish = format!(r#"{{"Node":"keeper","Checks":[],{life}"LockDelay":"{delay}ms"}}"#);
    for number in 0..40 {
        let server = number % world.servers();
        let kept = ask(world, server, Method::Put, "/v1/catalog/register", node).await;
        if kept.is_some_and(|answer| answer.status == 200)
            && let Some(answer) = ask(world, server, Method::Put, "/v1/session/create", &wish).await
            && let Some(id) = text(&answer).split('"').nth(3)
        {
            return Some(id.to_owned());
        }
        world.sleep(millis(50)).await;
    }
    None
}

/// Tries to lock a key: whether the session holds it now.
pub(crate) async fn acquire(world: &World, server: usize, key: &str, id: &str) -> Option<bool> {
    let target = format!("/v1/kv/{key}?acquire={id}");
    let answer = ask(world, server, Method::Put, &target, id).await?;
    Some(answer.status == 200 && text(&answer).trim() == "true")
}

/// Renews a session: whether it still lived.
pub(crate) async fn renew(world: &World, server: usize, id: &str) -> Option<bool> {
    let target = format!("/v1/session/renew/{id}");
    match ask(world, server, Method::Put, &target, "").await?.status {
        200 => Some(true),
        404 => Some(false),
        _ => None,
    }
}

/// Whether a session lives, asked so that the answer is of now.
pub(crate) async fn lives(world: &World, server: usize, id: &str) -> Option<bool> {
    let target = format!("/v1/session/info/{id}?consistent");
    let answer = ask(world, server, Method::Get, &target, "").await?;
    (answer.status == 200).then(|| text(&answer).contains(id))
}

/// Asks a server that this one leaves the group: whether it was done.
pub(crate) async fn remove(world: &World, server: usize, which: usize) -> bool {
    let target = format!("/v1/operator/raft/peer?address=10.0.0.{}:8300", which + 1);
    let answer = ask(world, server, Method::Delete, &target, "").await;
    answer.is_some_and(|answer| answer.status == 200)
}

/// The keys below a prefix that a server shows, at any age; `None` for an error.
pub(crate) async fn stale_keys(world: &World, server: usize, prefix: &str) -> Option<usize> {
    let target = format!("/v1/kv/{prefix}?keys&stale");
    let answer = ask(world, server, Method::Get, &target, "").await?;
    match answer.status {
        200 => Some(text(&answer).matches(prefix).count()),
        404 => Some(0),
        _ => None,
    }
}

/// A key reads as this at some server within a few attempts, read so that the answer is of now.
pub(crate) async fn reads_as(world: &World, key: &str, value: &str) -> Told {
    let mut seen = Ok(None);
    for number in 0..20 {
        let server = number % world.servers();
        seen = world.kv_get(server, key, Freshness::Consistent).await;
        if seen.is_ok() {
            break;
        }
        world.sleep(millis(100)).await;
    }
    let text = format!("{key} must read as {value}, it reads as {seen:?}");
    world.expect(seen == Ok(Some(value.into())), &text)
}

/// The index header of an answer.
pub(crate) fn index_of(answer: &Response) -> u64 {
    answer.header("X-Consul-Index").and_then(|index| index.parse().ok()).unwrap_or(0)
}

/// A body as text.
pub(crate) fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
