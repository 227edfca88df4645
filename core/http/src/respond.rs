//! Responses in the making: headers in the order Go sends them.

use crate::{Response, View};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

/// Headers under construction.
pub(crate) type Headers = Vec<(Cow<'static, str>, String)>;

pub(crate) const JSON: &str = "application/json";
/// Tells clients that addresses may be those of the WAN.
pub(crate) const TRANSLATES: &str = "X-Consul-Translate-Addresses";
const TEXT: &str = "text/plain; charset=utf-8";

/// Headers of every routed response: what the operator configured, the type, `Vary`.
pub(crate) fn headers(view: &View, content_type: Option<&str>) -> Headers {
    let mut headers = Vec::with_capacity(8 + view.agent.response_headers.len());
    for (name, value) in &view.agent.response_headers {
        headers.push((Cow::Owned(name.clone()), value.clone()));
    }
    if view.agent.translate_wan_addrs {
        headers.push((Cow::Borrowed(TRANSLATES), "true".into()));
    }
    if let Some(content_type) = content_type {
        headers.push((Cow::Borrowed("Content-Type"), content_type.into()));
    }
    headers.push((Cow::Borrowed("Vary"), "Accept-Encoding".into()));
    headers
}

/// Adds the headers of a read: index, known leader, last contact, and the mode where it is shown.
pub(crate) fn push_meta(
    headers: &mut Headers,
    index: u64,
    known_leader: bool,
    last_contact_ms: u64,
    effective: Option<&'static str>,
) {
    if let Some(effective) = effective {
        headers.push((Cow::Borrowed("X-Consul-Effective-Consistency"), effective.into()));
    }
    headers.push((Cow::Borrowed("X-Consul-Index"), index.to_string()));
    push_leader(headers, known_leader, last_contact_ms);
}

/// Adds known leader and last contact alone, as read-only transactions have them.
pub(crate) fn push_leader(headers: &mut Headers, known_leader: bool, last_contact_ms: u64) {
    let known = if known_leader { "true" } else { "false" };
    headers.push((Cow::Borrowed("X-Consul-Knownleader"), known.into()));
    headers.push((Cow::Borrowed("X-Consul-Lastcontact"), last_contact_ms.to_string()));
}

/// Plain text of an error.
pub(crate) fn text(view: &View, status: u16, text: &str) -> Response {
    let body = Bytes::copy_from_slice(text.as_bytes());
    Response { status, headers: headers(view, Some(TEXT)), body }
}

/// JSON.
pub(crate) fn json(view: &View, status: u16, body: Vec<u8>) -> Response {
    Response { status, headers: headers(view, Some(JSON)), body: Bytes::from(body) }
}

/// No body.
pub(crate) fn empty(view: &View, status: u16) -> Response {
    Response { status, headers: headers(view, None), body: Bytes::new() }
}

/// What an unknown path gets: nothing at all, not even the configured headers.
pub(crate) fn unknown_path() -> Response {
    Response { status: 404, headers: Vec::new(), body: Bytes::new() }
}
