//! Probes: HTTP and TCP checks, run as tasks that report to the loop.

use crate::script::execute;
use crate::shared::Shared;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use proconsul_core::Input;
use proconsul_core::checks::{CheckOutcome, CheckRun, ProbeSpec, Tail};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// Probes that run now.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    running: BTreeMap<CheckRun, AbortHandle>,
}

impl Probes {
    /// Starts one; its outcome goes into the loop.
    pub(crate) fn run(&mut self, run: CheckRun, spec: ProbeSpec, shared: &Arc<Shared>) {
        self.running.retain(|_, task| !task.is_finished());
        let shared = Arc::clone(shared);
        let task = tokio::spawn(async move {
            let outcome = probe(&spec).await;
            shared.input(Input::CheckDone(run, outcome));
        });
        self.running.insert(run, task.abort_handle());
    }

    /// Stops one, if it still runs.
    pub(crate) fn stop(&mut self, run: CheckRun) {
        if let Some(task) = self.running.remove(&run) {
            task.abort();
        }
    }
}

async fn probe(spec: &ProbeSpec) -> CheckOutcome {
    match spec {
        ProbeSpec::Http { url, method, headers, body, timeout, output_bytes_max, .. } => {
            let asked = Asked { url, method, headers, body, output_bytes_max: *output_bytes_max };
            let mut answer = None;
            match tokio::time::timeout(*timeout, ask(&asked, &mut answer)).await {
                Ok(Err(reason)) => CheckOutcome::http_failed(method, url, &reason),
                // An answer counts as far as it came.
                Ok(Ok(())) | Err(_) => match answer {
                    Some(answer) => answer.outcome(&asked),
                    None => CheckOutcome::http_timeout(method, url),
                },
            }
        }
        ProbeSpec::Script { args, timeout, output_bytes_max } => {
            execute(args, *timeout, *output_bytes_max).await
        }
        ProbeSpec::Tcp { address, timeout } => {
            match tokio::time::timeout(*timeout, TcpStream::connect(&**address)).await {
                Ok(Ok(_)) => CheckOutcome::tcp(address),
                Ok(Err(error)) => CheckOutcome::tcp_failed(address, &connect_reason(&error)),
                Err(_) => CheckOutcome::tcp_failed(address, "i/o timeout"),
            }
        }
    }
}

/// What an HTTP probe asks.
struct Asked<'a> {
    url: &'a str,
    method: &'a str,
    headers: &'a [(Arc<str>, Arc<str>)],
    body: &'a str,
    output_bytes_max: usize,
}

/// Asks, and follows redirects: the last answer counts.
async fn ask(asked: &Asked<'_>, answer: &mut Option<Answer>) -> Result<(), String> {
    let mut method =
        Method::from_bytes(asked.word().as_bytes()).map_err(|error| error.to_string())?;
    let mut url: Uri = asked.url.parse().map_err(|error| format!("invalid URL: {error}"))?;
    let mut body = Bytes::copy_from_slice(asked.body.as_bytes());
    for _ in 0..=REDIRECTS_MAX {
        match exchange(&url, &method, asked, body.clone(), answer).await? {
            None => return Ok(()),
            Some(Redirect { code, location }) => {
                url = follow(&url, &location)?;
                if !matches!(code, 307 | 308) {
                    method = Method::GET;
                    body = Bytes::new();
                }
            }
        }
    }
    Err(format!("stopped after {REDIRECTS_MAX} redirects"))
}

impl Asked<'_> {
    fn word(&self) -> &str {
        if self.method.is_empty() { "GET" } else { self.method }
    }
}

/// An answer, as far as it came.
struct Answer {
    code: u16,
    status_line: String,
    body: Tail,
}

impl Answer {
    fn outcome(&self, asked: &Asked<'_>) -> CheckOutcome {
        let text = self.body.text();
        CheckOutcome::http(asked.word(), asked.url, self.code, &self.status_line, &text)
    }
}

/// The answer is elsewhere.
struct Redirect {
    code: u16,
    location: String,
}

/// One question. The answer is put into `put`, its body as it comes; one that breaks off counts.
async fn exchange(
    url: &Uri,
    method: &Method,
    asked: &Asked<'_>,
    body: Bytes,
    put: &mut Option<Answer>,
) -> Result<Option<Redirect>, String> {
    let host = url.host().ok_or_else(|| "http: no Host in request URL".to_owned())?;
    if url.scheme_str() != Some("http") {
        let scheme = url.scheme_str().unwrap_or_default();
        return Err(format!("unsupported protocol scheme \"{scheme}\""));
    }
    let port = url.port_u16().unwrap_or(80);
    let plain_host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((plain_host, port))
        .await
        .map_err(|error| format!("dial tcp {host}:{port}: {}", connect_reason(&error)))?;
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|error| error.to_string())?;
    let request = request(url, method, asked, body)?;
    let exchanged = async {
        let answer = sender.send_request(request).await.map_err(|_| "EOF".to_owned())?;
        let (head, mut incoming) = answer.into_parts();
        let code = head.status.as_u16();
        let location = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        if let (301 | 302 | 303 | 307 | 308, Some(location)) = (code, location) {
            return Ok(Some(Redirect { code, location: location.to_owned() }));
        }
        let reason = head.status.canonical_reason().unwrap_or_default();
        let answer = put.insert(Answer {
            code,
            status_line: format!("{code} {reason}").trim_end().to_owned(),
            body: Tail::new(asked.output_bytes_max),
        });
        while let Some(Ok(frame)) = incoming.frame().await {
            if let Some(bytes) = frame.data_ref() {
                answer.body.push(bytes);
            }
        }
        Ok(None)
    };
    tokio::pin!(exchanged);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        answer = &mut exchanged => answer,
        ended = &mut connection => match (ended, exchanged.await) {
            // The answer may have come together with the end of the connection.
            (_, Ok(answer)) => Ok(answer),
            (Err(error), Err(_)) => Err(error.to_string()),
            (Ok(()), Err(reason)) => Err(reason),
        }
    }
}

fn request(
    url: &Uri,
    method: &Method,
    asked: &Asked<'_>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, String> {
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    for (name, value) in asked.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        // A list of values is as many headers, but a request has one host.
        if name != header::HOST || !headers.contains_key(header::HOST) {
            headers.append(name, value);
        }
    }
    for (name, value) in [
        ("host", authority.as_str()),
        ("user-agent", "Consul Health Check"),
        ("accept", "text/plain, text/*, */*"),
        ("connection", "close"),
    ] {
        let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        headers.entry(HeaderName::from_static(name)).or_insert(value);
    }
    Ok(request)
}

/// Where a `Location` leads from `url`.
fn follow(url: &Uri, location: &str) -> Result<Uri, String> {
    let bad = |error: hyper::http::uri::InvalidUri| format!("bad redirect: {error}");
    if location.contains("://") {
        return location.parse().map_err(bad);
    }
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    if location.starts_with('/') {
        return format!("http://{authority}{location}").parse().map_err(bad);
    }
    let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("http://{authority}{folder}/{location}").parse().map_err(bad)
}

/// What an operating system's refusal is called elsewhere.
fn connect_reason(error: &io::Error) -> String {
    const WORDS: [(io::ErrorKind, &str); 5] = [
        (io::ErrorKind::ConnectionRefused, "connect: connection refused"),
        (io::ErrorKind::ConnectionReset, "connect: connection reset by peer"),
        (io::ErrorKind::HostUnreachable, "connect: no route to host"),
        (io::ErrorKind::NetworkUnreachable, "connect: network is unreachable"),
        (io::ErrorKind::TimedOut, "i/o timeout"),
    ];
    let known = WORDS.iter().find(|(kind, _)| *kind == error.kind());
    match known {
        Some((_, words)) => (*words).to_owned(),
        None if error.raw_os_error().is_none() => "lookup failed: no such host".to_owned(),
        None => format!("connect: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proconsul_core::types::CheckStatus;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn serve_once(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address.to_string()
    }

    /// A probe with more time than any answer takes on a busy machine.
    fn http(url: &str) -> ProbeSpec {
        http_within(url, Duration::from_secs(30))
    }

    fn http_within(url: &str, timeout: Duration) -> ProbeSpec {
        ProbeSpec::Http {
            url: url.into(),
            method: "".into(),
            headers: Vec::new(),
            body: "".into(),
            tls_skip_verify: false,
            timeout,
            output_bytes_max: 8,
        }
    }

    #[tokio::test]
    async fn an_answer_is_an_outcome() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789".to_owned();
        let address = serve_once(vec![ok]).await;
        let url = format!("http://{address}/ok");
        let outcome = probe(&http(&url)).await;
        assert_eq!(outcome.output, format!("HTTP GET {url}: 200 OK Output: 23456789"));
        assert_eq!(outcome.status, CheckStatus::Passing);
    }

    #[test]
    fn a_list_of_values_is_sent_in_full() {
        let given =
            [("X-A", "1"), ("User-Agent", "mine"), ("x-a", "2"), ("Host", "h"), ("Host", "i")]
                .map(|(name, value)| (name.into(), value.into()));
        let asked = Asked { url: "", method: "", headers: &given, body: "", output_bytes_max: 0 };
        let url = "http://127.0.0.1:1/a".parse().unwrap();
        let request = request(&url, &Method::GET, &asked, Bytes::new()).unwrap();
        let sent = |name: &str| -> Vec<&str> {
            let values = request.headers().get_all(name).iter();
            values.map(|value| value.to_str().unwrap()).collect()
        };
        assert_eq!(sent("x-a"), ["1", "2"]);
        assert_eq!(sent("user-agent"), ["mine"]);
        assert_eq!(sent("host"), ["h"]);
        assert_eq!(sent("connection"), ["close"]);
    }

    #[tokio::test]
    async fn redirects_are_followed() {
        let away = "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".to_owned();
        let busy = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n".to_owned();
        let address = serve_once(vec![away, busy]).await;
        let outcome = probe(&http(&format!("http://{address}/a"))).await;
        assert_eq!(outcome.status, CheckStatus::Warning);
    }

    #[tokio::test]
    async fn nobody_there_is_critical() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let outcome = probe(&http(&format!("http://{address}/"))).await;
        assert_eq!(
            outcome.output,
            format!("Get \"http://{address}/\": dial tcp {address}: connect: connection refused")
        );
        let spec =
            ProbeSpec::Tcp { address: address.clone().into(), timeout: Duration::from_secs(1) };
        let outcome = probe(&spec).await;
        assert_eq!(outcome.output, format!("dial tcp {address}: connect: connection refused"));
    }

    #[tokio::test]
    async fn silence_runs_out_of_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let outcome = probe(&http_within(&url, Duration::from_millis(300))).await;
        assert!(outcome.output.contains("context deadline exceeded"), "{}", outcome.output);
    }

    #[tokio::test]
    async fn an_answer_counts_as_far_as_it_came() {
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned();
        let address = serve_once(vec![half]).await;
        let url = format!("http://{address}/");
        let outcome = probe(&http(&url)).await;
        assert_eq!(outcome.output, format!("HTTP GET {url}: 200 OK Output: half"));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let endless = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(b"no").await.is_ok() {}
        });
        let outcome = probe(&http_within(&url, Duration::from_secs(3))).await;
        assert!(outcome.output.contains("503 Service Unavailable Output: "), "{}", outcome.output);
        endless.await.unwrap();
    }
}
