//! The smallest HTTP client that does, and the smallest DNS question.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// An answer of the agent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks once, on a connection of its own.
pub(crate) fn ask(
    to: SocketAddr,
    method: &str,
    target: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    read(&mut BufReader::new(stream))
}

/// Reads with one more header, on a connection of its own.
pub(crate) fn get_with(to: SocketAddr, target: &str, header: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{header}\r\n\r\n")?;
    read(&mut BufReader::new(stream))
}

/// Reads one answer.
pub(crate) fn read(reader: &mut impl BufRead) -> std::io::Result<Answer> {
    let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(|_| bad())?;
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Reads; anything but 200 fails the test.
pub(crate) fn get(to: SocketAddr, target: &str) -> Answer {
    let answer = ask(to, "GET", target, "").unwrap();
    assert_eq!(answer.status, 200, "GET {target}: {}", answer.body);
    answer
}

/// Writes; anything but 200 fails the test.
pub(crate) fn put(to: SocketAddr, target: &str, body: &str) -> Answer {
    let answer = ask(to, "PUT", target, body).unwrap();
    assert_eq!(answer.status, 200, "PUT {target}: {}", answer.body);
    answer
}

/// Asks for one record type by UDP, once; the answer's bytes.
pub(crate) fn ask_dns(to: SocketAddr, name: &str, kind: u16) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send_to(&question(name, kind), to)?;
    let mut buffer = [0; 4096];
    let (bytes, _) = socket.recv_from(&mut buffer)?;
    Ok(buffer[..bytes].to_vec())
}

/// The same as resolvers do it, who ask again: on a busy machine a datagram may be late, or lost.
pub(crate) fn dns(to: SocketAddr, name: &str, kind: u16) -> Vec<u8> {
    let answer = (0..10).find_map(|_| ask_dns(to, name, kind).ok());
    answer.unwrap_or_else(|| panic!("no answer about {name}"))
}

/// Asks for one record type by TCP.
pub(crate) fn dns_tcp(to: SocketAddr, name: &str, kind: u16) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let question = question(name, kind);
    let length = u16::try_from(question.len()).unwrap();
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(&question).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// How many answers a DNS message has, and its response code.
pub(crate) fn dns_counts(message: &[u8]) -> (u16, u8) {
    (u16::from_be_bytes([message[6], message[7]]), message[3] & 15)
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes
}
