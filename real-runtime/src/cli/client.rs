//! A small HTTP client for one question and one answer, without a runtime.

use super::flag::Flags;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;

/// Where an agent is when nobody says otherwise.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8500";

/// Knows where the agent is and who asks.
#[derive(Debug)]
pub(super) struct Client {
    address: String,
    token: Option<String>,
    query: Vec<(&'static str, String)>,
}

/// What the agent said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `X-Consul-Index`, if there was one.
    pub(super) index: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// Why there is no good answer. The texts are those of Consul's client.
#[derive(Debug)]
pub(super) enum Failed {
    /// The agent was not reached.
    Unreachable(String),
    /// It answered with another status than 200.
    Status(u16, String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text) => f.write_str(text),
            Self::Status(code, body) => write!(f, "Unexpected response code: {code} ({body})"),
        }
    }
}

/// What a variable of the environment says; `None` if it is not there or empty.
type Environment = dyn Fn(&str) -> Option<String>;

/// Variables that ask for TLS. What would be sent must not go in clear instead.
const TLS_VARIABLES: [&str; 5] = [
    "CONSUL_CACERT",
    "CONSUL_CAPATH",
    "CONSUL_CLIENT_CERT",
    "CONSUL_CLIENT_KEY",
    "CONSUL_TLS_SERVER_NAME",
];

/// Refuses what the environment asks for and this client cannot do.
fn refuse_unbuilt(environment: &Environment) -> Result<(), String> {
    let is_off = |text: &str| matches!(text, "0" | "f" | "F" | "FALSE" | "false" | "False");
    let tls = environment("CONSUL_HTTP_SSL").filter(|text| !is_off(text));
    let tls = tls.map(|_| "CONSUL_HTTP_SSL");
    let asked = |name: &&str| environment(name).is_some();
    if let Some(name) = tls.or_else(|| TLS_VARIABLES.into_iter().find(asked)) {
        return Err(format!("{name} is set, but TLS is not supported yet: unset it and use http"));
    }
    match environment("CONSUL_NAMESPACE") {
        Some(_) => Err("CONSUL_NAMESPACE is set, but there are no namespaces: unset it".to_owned()),
        None => match environment("CONSUL_HTTP_AUTH") {
            Some(_) => {
                Err("CONSUL_HTTP_AUTH is set, but is not supported yet: unset it".to_owned())
            }
            None => Ok(()),
        },
    }
}

/// A connection of either kind.
trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

impl Client {
    /// As flags and environment say.
    pub(super) fn new(flags: &Flags) -> Result<Self, String> {
        Self::told(flags, &|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
    }

    fn told(flags: &Flags, environment: &Environment) -> Result<Self, String> {
        refuse_unbuilt(environment)?;
        let address = flags
            .text("http-addr")
            .map(str::to_owned)
            .or_else(|| environment("CONSUL_HTTP_ADDR"))
            .unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        match address.split_once("://") {
            None | Some(("http" | "unix", _)) => {}
            Some(("https", _)) => return Err("https is not supported yet: use http".to_owned()),
            Some((scheme, _)) => {
                return Err(format!(
                    "Error connecting to Consul agent: Unknown protocol scheme: {scheme}"
                ));
            }
        }
        let token_file = flags
            .text("token-file")
            .map(str::to_owned)
            .or_else(|| environment("CONSUL_HTTP_TOKEN_FILE"));
        let mut token =
            flags.text("token").map(str::to_owned).or_else(|| environment("CONSUL_HTTP_TOKEN"));
        if let (None, Some(path)) = (&token, token_file) {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("Error loading token file {path}: {error}"))?;
            token = Some(text.trim().to_owned());
        }
        Ok(Self { address, token, query: Vec::new() })
    }

    /// As [`Self::new`], with `-datacenter` and `-stale`.
    pub(super) fn of_server(flags: &Flags) -> Result<Self, String> {
        let mut client = Self::new(flags)?;
        if let Some(datacenter) = flags.text("datacenter") {
            client.query.push(("dc", datacenter.to_owned()));
        }
        if flags.on("stale")? {
            client.query.push(("stale", String::new()));
        }
        Ok(client)
    }

    /// Reads; only 200 is a good answer.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Failed> {
        good(self.ask("GET", path, query, &[])?)
    }

    /// Writes; only 200 is a good answer.
    pub(super) fn put(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        good(self.ask("PUT", path, query, body)?)
    }

    /// Writes in another way; only 200 is a good answer.
    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        good(self.ask(method, path, query, body)?)
    }

    /// Asks anything.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Failed> {
        let target = self.target(path, query);
        self.exchange(method, &target, body)
            .and_then(|mut reader| read_answer(&mut reader))
            .map_err(|error| self.failed(method, &target, &error))
    }

    /// Reads an answer that has no end, line by line; returns when the agent ends it all the same.
    pub(super) fn follow(
        &self,
        path: &str,
        query: &[(&str, &str)],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Failed> {
        let target = self.target(path, query);
        let failed = |error: io::Error| self.failed("GET", &target, &error);
        let mut reader = self.exchange("GET", &target, &[]).map_err(failed)?;
        let head = read_head(&mut reader).map_err(failed)?;
        if head.status != 200 {
            let body = read_body(&mut reader, &head).map_err(failed)?;
            return good(Answer { status: head.status, index: None, body }).map(drop);
        }
        while let Ok(piece) = read_chunk(&mut reader)
            && !piece.is_empty()
        {
            each(&piece);
        }
        Ok(())
    }

    fn failed(&self, method: &str, target: &str, reason: &io::Error) -> Failed {
        let mut word = method.to_ascii_lowercase();
        word[..1].make_ascii_uppercase();
        let address = self.address.trim_start_matches("http://");
        let reason = if reason.kind() == io::ErrorKind::ConnectionRefused {
            format!("dial tcp {address}: connect: connection refused")
        } else {
            reason.to_string()
        };
        Failed::Unreachable(format!("{word} \"http://{address}{target}\": {reason}"))
    }

    fn target(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut target = encode(path, b"/");
        let mut sign = '?';
        let common = self.query.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in common.chain(query.iter().copied()) {
            target.push(sign);
            target.push_str(name);
            if !value.is_empty() {
                target.push('=');
                target.push_str(&encode(value, b""));
            }
            sign = '&';
        }
        target
    }

    fn exchange(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> io::Result<BufReader<Box<dyn Connection>>> {
        let mut connection = self.connect()?;
        let host = self.address.trim_start_matches("http://");
        let host = if host.starts_with("unix://") { "localhost" } else { host };
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: proconsul\r\n\
             Connection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        if let Some(token) = &self.token {
            head.push_str(&format!("X-Consul-Token: {token}\r\n"));
        }
        head.push_str("\r\n");
        connection.write_all(head.as_bytes())?;
        connection.write_all(body)?;
        connection.flush()?;
        Ok(BufReader::new(connection))
    }

    fn connect(&self) -> io::Result<Box<dyn Connection>> {
        if let Some(path) = self.address.strip_prefix("unix://") {
            return Ok(Box::new(UnixStream::connect(path)?));
        }
        let address = self.address.trim_start_matches("http://").trim_end_matches('/');
        let address = match address.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => address.to_owned(),
            Some(_) | None => format!("{address}:80"),
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for candidate in address.to_socket_addrs()? {
            match TcpStream::connect(candidate) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Box::new(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn good(answer: Answer) -> Result<Vec<u8>, Failed> {
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(Failed::Status(answer.status, text.into_owned()))
}

fn bad(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}

/// What an answer begins with.
struct Head {
    status: u16,
    index: Option<u64>,
    length: Option<u64>,
    chunked: bool,
}

fn read_answer(reader: &mut impl BufRead) -> io::Result<Answer> {
    let head = read_head(reader)?;
    let body = read_body(reader, &head)?;
    Ok(Answer { status: head.status, index: head.index, body })
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Head> {
    let status_line = read_line(reader)?;
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| bad("malformed HTTP response"))?;
    let mut head = Head { status, index: None, length: None, chunked: false };
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(head);
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(bad("malformed HTTP header"));
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.parse().ok(),
            "x-consul-index" => head.index = value.parse().ok(),
            "transfer-encoding" => head.chunked |= value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
}

fn read_body(reader: &mut impl BufRead, head: &Head) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.chunked {
        loop {
            let piece = read_chunk(reader)?;
            if piece.is_empty() {
                break;
            }
            body.extend_from_slice(&piece);
        }
    } else if let Some(length) = head.length {
        reader.take(length).read_to_end(&mut body)?;
        if u64::try_from(body.len()).ok() != Some(length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF"));
        }
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(body)
}

/// One piece of a chunked body; the last one is empty.
fn read_chunk(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let line = read_line(reader)?;
    let size = line.split(';').next().unwrap_or_default().trim();
    let size = u64::from_str_radix(size, 16).map_err(|_| bad("malformed chunk"))?;
    let mut piece = Vec::new();
    if size > 0 {
        reader.take(size).read_to_end(&mut piece)?;
        read_line(reader)?;
    }
    Ok(piece)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.take(64 * 1024).read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "EOF"));
    }
    Ok(line.trim_end().to_owned())
}

/// Percent-encodes everything but letters, digits, `-._~` and what is in `kept`.
fn encode(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn answers_are_read_in_either_form() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcxx";
        let answer = read_answer(&mut &plain[..]).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]));
        let chunked =
            b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        let answer = read_answer(&mut &chunked[..]).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (404, &b"abc"[..]));
        assert!(read_answer(&mut &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"[..]).is_err());
        assert!(read_answer(&mut &b"junk"[..]).is_err());
    }

    #[test]
    fn keys_are_encoded() {
        assert_eq!(encode("/v1/kv/a b/\u{e9}", b"/"), "/v1/kv/a%20b/%C3%A9");
    }

    fn told(variables: &[(&str, &str)]) -> Result<Client, String> {
        let parser = crate::cli::flag::client(clap::Command::new("test"));
        let flags = Flags::parse(parser, &[]).unwrap();
        let given: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Client::told(&flags, &move |name| given.get(name).cloned())
    }

    #[test]
    fn what_the_environment_asks_for_is_done_or_refused() {
        for variable in TLS_VARIABLES {
            let refused = told(&[(variable, "x"), ("CONSUL_HTTP_TOKEN", "secret")]).unwrap_err();
            assert!(
                refused.starts_with(&format!("{variable} is set, but TLS is not")),
                "{refused}"
            );
        }
        for word in ["true", "1", "maybe"] {
            let refused = told(&[("CONSUL_HTTP_SSL", word)]).unwrap_err();
            assert!(refused.starts_with("CONSUL_HTTP_SSL is set"), "{refused}");
        }
        assert!(told(&[("CONSUL_NAMESPACE", "x")]).is_err());
        assert!(told(&[("CONSUL_HTTP_AUTH", "a:b")]).is_err());
        assert_eq!(
            told(&[("CONSUL_HTTP_ADDR", "tcp://127.0.0.1:1")]).unwrap_err(),
            "Error connecting to Consul agent: Unknown protocol scheme: tcp"
        );
        let fine = told(&[
            ("CONSUL_HTTP_SSL", "false"),
            ("CONSUL_HTTP_SSL_VERIFY", "false"),
            ("CONSUL_HTTP_ADDR", "unix:///a"),
            ("CONSUL_HTTP_TOKEN", "secret"),
        ]);
        assert_eq!(fine.unwrap().token.as_deref(), Some("secret"));
    }
}
