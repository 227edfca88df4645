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
    let mut response = Response { status, headers, body: body.to_vec().into() };
    if response.header("transfer-encoding") == Some("chunked") {
        let Some(joined) = joined(body)? else { return Ok(None) };
        response.body = joined.into();
        return Ok(Some(response));
    }
    let length = response.header("content-length").and_then(|length| length.parse().ok());
    Ok((body.len() >= length.unwrap_or(0)).then_some(response))
}

/// A body that came in chunks, once the last is there.
fn joined(mut chunks: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = chunks.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&chunks[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let Some(chunk) = chunks.get(end + 2..end + 4 + size) else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&chunk[..size]);
        chunks = &chunks[end + 4 + size..];
    }
}
