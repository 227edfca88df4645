//! HTTP as a client speaks it: one request, one connection.

use proconsul_core::http::{Request, Response};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoAnswer {
    /// Whether the request may have been taken.
    pub(crate) taken: bool,
}

/// Asks once, without an end to patience.
pub(crate) async fn exchange(to: SocketAddr, request: &Request) -> Result<Response, NoAnswer> {
    let stream = TcpStream::connect(to).await.map_err(|_| NoAnswer { taken: false })?;
    speak(stream, request).await.map_err(|_| NoAnswer { taken: true })
}

async fn speak(mut stream: TcpStream, request: &Request) -> io::Result<Response> {
    let method = request.method.name();
    let mark = if request.query.is_empty() { "" } else { "?" };
    let head = format!(
        "{method} {}{mark}{} HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        request.path,
        request.query,
        request.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&request.body).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    loop {
        if let Some(whole) = whole(&answer)? {
            return Ok(whole);
        }
        let mut piece = [0; 16 * 1024];
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => answer.extend_from_slice(&piece[..bytes]),
        }
    }
}

/// The answer, once all of it is there.
fn whole(bytes: &[u8]) -> io::Result<Option<Response>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| bad())?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or_else(bad)?;
    let status = status.parse().map_err(|_| bad())?;
    let headers: Vec<(Cow<'static, str>, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (Cow::Owned(name.to_owned()), value.to_owned()))
        .collect();
    let body = &bytes[end + 4..];
    let response = Response { status, headers, body: body.to_vec().into() };
    let length = response.header("content-length").and_then(|length| length.parse().ok());
    Ok((body.len() >= length.unwrap_or(0)).then_some(response))
}
