//! What a client knows of itself, and how what it wants becomes a request.

use crate::schedule::{Freshness, Want};
use bytes::Bytes;
use proconsul_core::http::{Method, Request};
use proconsul_core::types::SessionId;
use std::fmt::Write as _;

/// Keys that schedules can name.
pub const KEYS_MAX: usize = 8;

/// The node that clients' sessions live with.
pub const HOME: &str = "home";

/// Bytes of a large value.
pub const FILL_BYTES: usize = 150_000;
static FILL: [u8; FILL_BYTES] = [b'x'; FILL_BYTES];

/// One client process.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Its session, once created.
    pub session: Option<SessionId>,
    /// Modify indexes it has seen, for compare-and-set.
    pub seen: [u64; KEYS_MAX],
}

/// What a want needs of its client and world to become a request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The client.
    pub client: &'a Client,
    /// Number of the operation: its values carry it, so that every version has one author.
    pub tag: u64,
    /// Index of the last answer, for blocking queries; 0 for the first.
    pub index: u64,
    /// TTL of sessions, milliseconds.
    pub ttl_ms: u64,
    /// Lock-delay of sessions, milliseconds.
    pub delay_ms: u64,
}

/// The request, or nothing if the client cannot ask this now (no session).
#[must_use]
pub fn request(want: Want, context: &Context<'_>) -> Option<Request> {
    let tag = context.tag;
    let value = || Bytes::from(tag.to_string());
    let put = |target: String, body: Bytes| Some(Request::new(Method::Put, &target, body));
    let get = |target: String| Some(Request::new(Method::Get, &target, Bytes::new()));
    match want {
        Want::Put { key } => put(format!("/v1/kv/k/{key}?flags={tag}"), value()),
        Want::Fill { key } => {
            put(format!("/v1/kv/fill/{key}?flags={tag}"), Bytes::from_static(&FILL))
        }
        Want::Cas { key } => {
            let seen = context.client.seen[usize::from(key) % KEYS_MAX];
            put(format!("/v1/kv/k/{key}?cas={seen}&flags={tag}"), value())
        }
        Want::Acquire { key } => {
            let session = context.client.session?;
            put(format!("/v1/kv/k/{key}?acquire={session}&flags={tag}"), value())
        }
        Want::Release { key } => {
            let session = context.client.session?;
            put(format!("/v1/kv/k/{key}?release={session}&flags={tag}"), value())
        }
        Want::Delete { key } => {
            Some(Request::new(Method::Delete, &format!("/v1/kv/k/{key}"), Bytes::new()))
        }
        Want::DeleteCas { key } => {
            let seen = context.client.seen[usize::from(key) % KEYS_MAX];
            let target = format!("/v1/kv/k/{key}?cas={seen}");
            Some(Request::new(Method::Delete, &target, Bytes::new()))
        }
        Want::DeleteTree => Some(Request::new(Method::Delete, "/v1/kv/k/?recurse", Bytes::new())),
        Want::Get { key, fresh } => get(format!("/v1/kv/k/{key}{}", suffix(fresh, '?'))),
        Want::List { fresh } => get(format!("/v1/kv/k/?recurse{}", suffix(fresh, '&'))),
        Want::WatchKey { key, fresh } => {
            get(format!("/v1/kv/k/{key}?{}{}", blocking(context.index), suffix(fresh, '&')))
        }
        Want::WatchPrefix { fresh } => {
            get(format!("/v1/kv/k/?recurse&{}{}", blocking(context.index), suffix(fresh, '&')))
        }
        Want::WatchService { service, fresh } => get(format!(
            "/v1/health/service/svc{service}?{}{}",
            blocking(context.index),
            suffix(fresh, '&')
        )),
        Want::Txn { key, other } => put("/v1/txn".into(), txn(key, other, context)),
        Want::Session => put("/v1/session/create".into(), session("release", context)),
        Want::Ephemeral => put("/v1/session/create".into(), session("delete", context)),
        Want::Renew => put(format!("/v1/session/renew/{}", context.client.session?), Bytes::new()),
        Want::Destroy => {
            put(format!("/v1/session/destroy/{}", context.client.session?), Bytes::new())
        }
        Want::Register { node, service, passing } => {
            put("/v1/catalog/register".into(), register(node, service, passing))
        }
        Want::Deregister { node, service } => put(
            "/v1/catalog/deregister".into(),
            Bytes::from(format!(r#"{{"Node":"n{node}","ServiceID":"svc{service}"}}"#)),
        ),
        Want::DeregisterNode { node } => {
            put("/v1/catalog/deregister".into(), Bytes::from(format!(r#"{{"Node":"n{node}"}}"#)))
        }
        Want::Health { service, fresh } => {
            get(format!("/v1/health/service/svc{service}{}", suffix(fresh, '?')))
        }
        Want::Services { fresh } => get(format!("/v1/catalog/services{}", suffix(fresh, '?'))),
        // These name servers by identity: the world fills that in.
        Want::Transfer { .. } | Want::RemovePeer { .. } => None,
    }
}

/// Whether asking again can do no harm.
#[must_use]
pub fn is_read(want: Want) -> bool {
    matches!(
        want,
        Want::Get { .. }
            | Want::List { .. }
            | Want::WatchKey { .. }
            | Want::WatchPrefix { .. }
            | Want::WatchService { .. }
            | Want::Health { .. }
            | Want::Services { .. }
    )
}

/// Whether it goes on until the end.
#[must_use]
pub fn is_watch(want: Want) -> bool {
    matches!(want, Want::WatchKey { .. } | Want::WatchPrefix { .. } | Want::WatchService { .. })
}

/// How fresh it must be, if it reads.
#[must_use]
pub fn fresh_of(want: Want) -> Freshness {
    if let Want::Get { fresh, .. }
    | Want::List { fresh }
    | Want::WatchKey { fresh, .. }
    | Want::WatchPrefix { fresh }
    | Want::WatchService { fresh, .. }
    | Want::Health { fresh, .. }
    | Want::Services { fresh } = want
    {
        fresh
    } else {
        Freshness::Default
    }
}

fn suffix(fresh: Freshness, joint: char) -> String {
    match fresh {
        Freshness::Default => String::new(),
        Freshness::Consistent => format!("{joint}consistent"),
        Freshness::Stale => format!("{joint}stale"),
    }
}

/// Longer than any world lasts: an answer means that something changed.
fn blocking(index: u64) -> String {
    if index == 0 { "wait=300s".into() } else { format!("index={index}&wait=300s") }
}

fn txn(key: u8, other: u8, context: &Context<'_>) -> Bytes {
    let value = base64(context.tag.to_string().as_bytes());
    let tag = context.tag;
    let mut body = String::from("[");
    let mut set = |key: u8| {
        write!(
            body,
            r#"{{"KV":{{"Verb":"set","Key":"k/{key}","Value":"{value}","Flags":{tag}}}}},"#
        )
        .expect("a String takes everything");
    };
    set(other);
    set(key);
    // The condition comes last, on a third key: if it fails, what came before must be undone.
    let third = (usize::from(key.max(other)) + 1) % KEYS_MAX;
    let seen = context.client.seen[third];
    if seen == 0 {
        write!(body, r#"{{"KV":{{"Verb":"check-not-exists","Key":"k/{third}"}}}}]"#)
    } else {
        write!(body, r#"{{"KV":{{"Verb":"check-index","Key":"k/{third}","Index":{seen}}}}}]"#)
    }
    .expect("a String takes everything");
    Bytes::from(body)
}

fn session(behavior: &str, context: &Context<'_>) -> Bytes {
    let (ttl, delay) = (context.ttl_ms, context.delay_ms);
    Bytes::from(format!(
        concat!(
            r#"{{"Node":"{0}","Checks":[],"TTL":"{1}ms","LockDelay":"{2}ms","Name":"c","#,
            r#""Behavior":"{3}"}}"#
        ),
        HOME, ttl, delay, behavior
    ))
}

/// The name of a node that clients register services on.
#[must_use]
pub fn node_name(node: u8) -> String {
    if node == u8::MAX { HOME.into() } else { format!("n{node}") }
}

fn register(node: u8, service: u8, passing: bool) -> Bytes {
    let status = if passing { "passing" } else { "critical" };
    if node == u8::MAX {
        return Bytes::from(format!(r#"{{"Node":"{HOME}","Address":"10.1.0.0"}}"#));
    }
    Bytes::from(format!(
        concat!(
            r#"{{"Node":"n{0}","Address":"10.1.0.{0}","Service":{{"ID":"svc{1}","Service":"svc{1}","#,
            r#""Port":80}},"Check":{{"CheckID":"c{1}","Name":"c{1}","ServiceID":"svc{1}","#,
            r#""Status":"{2}"}}}}"#
        ),
        node, service, status
    ))
}

/// The text form of bytes in JSON bodies.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let word = piece.iter().fold(0_usize, |word, byte| (word << 8) | usize::from(*byte))
            << (8 * (3 - piece.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place)) & 63;
            text.push(if place > piece.len() { '=' } else { char::from(DIGITS[digit]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_short_texts() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"1"), "MQ==");
        assert_eq!(base64(b"12"), "MTI=");
        assert_eq!(base64(b"123"), "MTIz");
        assert_eq!(base64(b"1234"), "MTIzNA==");
    }

    #[test]
    fn locks_need_a_session() {
        let client = Client::default();
        let context = Context { client: &client, tag: 1, index: 0, ttl_ms: 1, delay_ms: 1 };
        assert!(request(Want::Acquire { key: 0 }, &context).is_none());
        let get = Want::Get { key: 2, fresh: Freshness::Stale };
        assert_eq!(request(get, &context).unwrap().query, "stale");
        assert!(is_read(get) && !is_watch(get));
    }
}
