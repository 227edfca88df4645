//! One request: from hyper's value to core's, through the view or the loop, and back.

use crate::archive;
use crate::http::compress::{accepts_gzip, gzip};
use crate::http::pieces::{Pieces, archive_of};
use crate::shared::{Inbound, Shared};
use crate::{log, machine, net};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http};
use proconsul_core::RequestId;
use proconsul_core::catalog::Restore;
use proconsul_core::http::{HostOp, Method, Plan, Request, Response, is_snapshot, read};
use proconsul_core::syntax::duration::format_duration;
use proconsul_core::types::Planted;
use proconsul_core::types::limits::HTTP_BODY_BYTES_MAX;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tracing::Level;

/// Largest snapshot archive that is taken.
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;
/// Compressing more than this takes milliseconds.
const PACKED_ASIDE_BYTES: usize = 256 * 1024;
/// The headers core wants to see.
const HEADERS: [&str; 5] =
    ["x-consul-token", "accept", "authorization", "cache-control", "content-type"];

type Answer = hyper::Response<Either<Full<Bytes>, Either<LogLines, Pieces>>>;

/// Answers one request.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    client: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Infallible> {
    let asked = tracing::enabled!(target: "agent.http", Level::DEBUG).then(|| {
        let url = request.uri().path_and_query().map_or("", |url| url.as_str());
        (shared.clock.now(), request.method().clone(), hidden(url))
    });
    let packed = request
        .headers()
        .get(header::ACCEPT_ENCODING)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(accepts_gzip);
    let answer = match collect(shared, request).await {
        Ok(request) => match decide(shared, request).await {
            Decided::Whole(response) => whole(response, packed).await,
            Decided::Log(head, lines) => {
                convert(head, false).map(|_| Either::Right(Either::Left(lines)))
            }
            Decided::Archive(head, pieces) => {
                convert(head, false).map(|_| Either::Right(Either::Right(pieces)))
            }
        },
        Err(refusal) => convert(refusal, packed),
    };
    if let Some((came, method, url)) = asked {
        let latency = format_duration(shared.clock.now().since(came));
        tracing::debug!(
            target: "agent.http",
            "Request finished: method={method} url={url} from={client} latency={latency}"
        );
    }
    Ok(answer)
}

/// A path and query without the secrets in it.
fn hidden(url: &str) -> String {
    let mut kept = String::with_capacity(url.len());
    for (at, part) in url.split_inclusive(['?', '&']).enumerate() {
        match part.strip_prefix("token=").filter(|_| at > 0) {
            Some(secret) => {
                kept.push_str("token=<hidden>");
                kept.push_str(if secret.ends_with('&') { "&" } else { "" });
            }
            None => kept.push_str(part),
        }
    }
    kept
}

/// How a request is answered.
enum Decided {
    Whole(Response),
    /// With the log, after this head.
    Log(Response, LogLines),
    /// With an archive that is being made, after this head.
    Archive(Response, Pieces),
}

/// A body that lasts as long as someone reads it.
pub(super) struct LogLines(log::Heard);

impl Body for LogLines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.get_mut().0.poll(task);
        line.map(|line| line.map(|line| Ok(Frame::data(line.into()))))
    }
}

/// Reads the body and makes core's request. `Err` is the answer to one that cannot be taken.
async fn collect(
    shared: &Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<Request, Response> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let bytes = if body.is_end_stream() {
        Bytes::new()
    } else {
        let agent = Arc::clone(&shared.view.load().agent);
        let is_archive = is_snapshot(&path) && head.method == http::Method::PUT;
        let limit = if is_archive {
            SNAPSHOT_BYTES_MAX
        } else {
            HTTP_BODY_BYTES_MAX.max(agent.kv_value_bytes_max).max(agent.txn_bytes_max)
        };
        // A body in chunks does not say how long it is.
        let declared = body.size_hint().exact();
        let too_large =
            declared.is_some_and(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX) > limit);
        let read = match too_large {
            true => None,
            false if is_archive => read_archive(body, limit).await?,
            false => read_body(body, limit).await?,
        };
        match read {
            Some(bytes) => bytes,
            None => return Err(oversized(&path, declared, agent.kv_value_bytes_max, limit)),
        }
    };
    let query = head.uri.query().unwrap_or_default().to_owned();
    let headers = wanted_headers(&head.headers);
    Ok(Request { method: method(&head.method), path, query, headers, body: bytes })
}

/// `None` if the body is larger than `limit`.
async fn read_body(body: Incoming, limit: usize) -> Result<Option<Bytes>, Response> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(Some(collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => Err(plain(400, format!("could not read the request body: {error}"))),
    }
}

/// The same of an archive, as long as it may be one.
async fn read_archive(body: Incoming, limit: usize) -> Result<Option<Bytes>, Response> {
    let (mut body, mut bytes) = (Limited::new(body, limit), BytesMut::new());
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) if error.is::<LengthLimitError>() => return Ok(None),
            Err(error) => {
                return Err(plain(400, format!("could not read the request body: {error}")));
            }
        }
        archive::begins(&bytes).map_err(|reason| plain(500, reason))?;
    }
    Ok(Some(bytes.freeze()))
}

/// The answer to a body that is not read to its end, so that nothing else can come after it.
fn oversized(path: &str, declared: Option<u64>, value_bytes_max: usize, limit: usize) -> Response {
    let text = if path.starts_with("/v1/kv/") {
        let bytes =
            declared.map_or_else(|| format!("more than {limit}"), |declared| declared.to_string());
        format!(
            "Request body({bytes} bytes) too large, max size: {value_bytes_max} bytes. \
             See https://www.consul.io/docs/agent/options.html#kv_max_value_size."
        )
    } else {
        format!("Request body too large, max size: {limit} bytes.")
    };
    let mut refusal = plain(413, text);
    refusal.headers.push(("Connection".into(), "close".to_owned()));
    refusal
}

/// Asks the view; what it cannot answer goes through the loop.
async fn decide(shared: &Arc<Shared>, request: Request) -> Decided {
    let planned = {
        let view = shared.view.load();
        let planned = read(&view, shared.clock.now(), &request, &mut shared.cache());
        if let Plan::Host(HostOp::Snapshot { head }) = planned {
            return Decided::Archive(head, archive_of(Arc::clone(&view)));
        }
        planned
    };
    if is_snapshot(&request.path) && planned == Plan::Enter {
        return Decided::Whole(snapshot(shared, request).await);
    }
    Decided::Whole(match planned {
        Plan::Answer(response) => response,
        Plan::Host(HostOp::Log { level, json, head }) => {
            return Decided::Log(head, LogLines(log::listen(level, json)));
        }
        Plan::Host(HostOp::Machine { pretty }) => {
            match net::aside(move || machine::tell(pretty)).await {
                Ok(told) => proconsul_core::http::machine(&shared.view.load(), told),
                Err(reason) => plain(500, reason),
            }
        }
        Plan::Enter
        | Plan::Host(HostOp::Snapshot { .. })
        | Plan::Leader
        | Plan::Confirm
        | Plan::Park(_)
        | Plan::Write(..)
        | Plan::Renew(..)
        | Plan::Local(_)
        | Plan::SnapshotSave
        | Plan::SnapshotRestore(_)
        | Plan::Operator(_)
        | Plan::Elsewhere(_) => enter(shared, request).await,
    })
}

/// Hands a request to the loop and waits for the answer. If this future is dropped first, because
/// the client went away, the loop is told.
async fn enter(shared: &Arc<Shared>, request: Request) -> Response {
    let id = shared.request_id();
    let (sender, receiver) = oneshot::channel();
    let mut waiting = Waiting { shared, id: Some(id) };
    shared.enter(Inbound::Http(id, request, sender));
    let answered = receiver.await;
    waiting.id = None;
    answered.unwrap_or_else(|_| plain(500, "agent is shutting down".to_owned()))
}

struct Waiting<'a> {
    shared: &'a Shared,
    id: Option<RequestId>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.enter(Inbound::HttpGone(id));
        }
    }
}

/// Snapshots cross into core as bare state; the archive around it is made and opened here.
async fn snapshot(shared: &Arc<Shared>, mut request: Request) -> Response {
    if request.method == Method::Put {
        let archive = std::mem::take(&mut request.body);
        let datacenter = Arc::clone(shared.view.load().catalog.datacenter());
        let opened = move || {
            let check = Restore::new(datacenter, Planted::none());
            archive::unpack(&archive, Some(check)).and_then(archive::Archive::restorable)
        };
        match net::aside(opened).await {
            Ok(Ok(state)) => request.body = state,
            Ok(Err(reason)) | Err(reason) => return plain(500, reason),
        }
        return enter(shared, request).await;
    }
    let saving = request.method == Method::Get;
    let mut response = enter(shared, request).await;
    if saving && response.status == 200 {
        let view = shared.view.load_full();
        let state = std::mem::take(&mut response.body);
        let index = response.header("x-consul-index").and_then(|text| text.parse().ok());
        let meta = archive::Meta::of(&view, index.unwrap_or(0), crate::clock::wall(), state.len());
        match net::aside(move || archive::pack(&meta, &state)).await {
            Ok(Ok(archive)) => response.body = Bytes::from(archive),
            Ok(Err(error)) => return plain(500, error.to_string()),
            Err(reason) => return plain(500, reason),
        }
    }
    response
}

fn method(method: &http::Method) -> Method {
    match method.as_str() {
        "GET" => Method::Get,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}

fn wanted_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut wanted = Vec::new();
    for name in HEADERS {
        for value in headers.get_all(name) {
            wanted.push((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
    }
    wanted
}

fn plain(status: u16, text: String) -> Response {
    let content_type = ("Content-Type".into(), "text/plain; charset=utf-8".to_owned());
    let vary = ("Vary".into(), "Accept-Encoding".to_owned());
    Response { status, headers: vec![content_type, vary], body: Bytes::from(text) }
}

/// A response; a large one is compressed aside, so that the loop and its heartbeats are not late.
async fn whole(response: Response, packed: bool) -> Answer {
    if !packed || response.body.len() < PACKED_ASIDE_BYTES {
        return convert(response, packed);
    }
    let converted = net::aside(move || convert(response, true)).await;
    converted.unwrap_or_else(|reason| convert(plain(500, reason), false))
}

/// Core's response as hyper's, compressed if the client takes that.
fn convert(response: Response, packed: bool) -> Answer {
    let mut body = response.body;
    let mut answer = hyper::Response::new(Either::Left(Full::default()));
    *answer.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut plain_body = true;
    for (name, value) in &response.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) else {
            continue;
        };
        plain_body &= name != header::CONTENT_ENCODING && value != "application/x-gzip";
        answer.headers_mut().append(name, value);
    }
    if packed
        && plain_body
        && let Some(smaller) = gzip(&body)
    {
        body = smaller;
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *answer.body_mut() = Either::Left(Full::new(body));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn oversized_values_are_refused_in_consuls_words() {
        for (declared, said) in [
            (Some(9_000_000), "Request body(9000000 bytes) too large, max size: 524288 bytes."),
            (None, "Request body(more than 8388608 bytes) too large, max size: 524288 bytes."),
        ] {
            let refusal = oversized("/v1/kv/a", declared, 524_288, HTTP_BODY_BYTES_MAX);
            assert_eq!(refusal.status, 413);
            assert_eq!(refusal.header("connection"), Some("close"));
            let text = String::from_utf8(refusal.body.to_vec()).unwrap();
            assert!(text.starts_with(said), "{text}");
        }
    }

    #[test]
    fn no_secret_is_logged() {
        assert_eq!(hidden("/v1/kv/a?token=s&b=1"), "/v1/kv/a?token=<hidden>&b=1");
        assert_eq!(hidden("/v1/kv/a?dc=x&token=s"), "/v1/kv/a?dc=x&token=<hidden>");
        assert_eq!(hidden("/v1/kv/token=s"), "/v1/kv/token=s");
    }

    #[test]
    fn a_large_body_is_compressed_aside() {
        let text = "a key, a value\n".repeat(PACKED_ASIDE_BYTES / 10);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(async {
            let answer = whole(plain(200, text.clone()), true).await;
            assert_eq!(answer.headers()["content-encoding"], "gzip");
            answer.into_body().collect().await.unwrap().to_bytes()
        });
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut unpacked).unwrap();
        assert!(body.len() < text.len() && unpacked == text);
    }

    #[test]
    fn headers_that_cannot_be_sent_are_left_out() {
        let mut response = plain(200, "x".to_owned());
        response.headers.push(("X-Bad\n".into(), "1".to_owned()));
        response.headers.push(("X-Good".into(), "1".to_owned()));
        let answer = convert(response, true);
        assert!(answer.headers().contains_key("x-good"));
        assert_eq!(answer.headers()["content-encoding"], "gzip");
    }
}
