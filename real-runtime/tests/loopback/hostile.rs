//! Clients that mean no good, and machines that have no room.

use crate::process::{Agent, Scratch, pause};
use crate::web::{ask, get, put, read};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn broken_requests_do_not_hurt() {
    let scratch = Scratch::new("hostile");
    let agent = Agent::dev(&scratch, &[]);
    for bytes in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"PUT /v1/kv/a HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        b"PUT /v1/kv/a HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT /v1/kv/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(agent.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // Whatever it says, or that it says nothing, is fine; that it lives is checked below.
        drop(stream.read_to_end(&mut answer));
    }
    put(agent.http, "/v1/kv/alive", "yes");
}

#[test]
fn bodies_that_are_too_large_are_refused() {
    let scratch = Scratch::new("large");
    let agent = Agent::dev(&scratch, &[]);
    let mut stream = TcpStream::connect(agent.http).unwrap();
    write!(stream, "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n").unwrap();
    let answer = read(&mut BufReader::new(stream)).unwrap();
    assert_eq!(answer.status, 413);
    assert!(answer.body.starts_with("Request body(99999999 bytes) too large, max size: 524288"));
    assert_eq!(answer.header("Connection"), Some("close"));
    let mut stream = TcpStream::connect(agent.http).unwrap();
    write!(stream, "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let mut answered = BufReader::new(stream.try_clone().unwrap());
    let writer = std::thread::spawn(move || {
        let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
        // It stops listening in the middle.
        (0..12).any(|_| stream.write_all(chunk.as_bytes()).is_err())
    });
    let answer = read(&mut answered).unwrap();
    drop(answered);
    writer.join().unwrap();
    assert_eq!(answer.status, 413);
    assert!(answer.body.starts_with("Request body(more than 8388608 bytes) too large"));
    assert_eq!(answer.header("Connection"), Some("close"));
    let large = "x".repeat(524_289);
    let answer = ask(agent.http, "PUT", "/v1/kv/a", &large).unwrap();
    assert_eq!(answer.status, 413, "{}", answer.body);
    put(agent.http, "/v1/kv/a", &large[..524_288]);
}

#[test]
fn one_client_has_so_many_connections() {
    let scratch = Scratch::new("limit");
    let file = scratch.file("l.json", r#"{"limits": {"http_max_conns_per_client": 10}}"#);
    let agent = Agent::dev(&scratch, &["-config-file", file.to_str().unwrap()]);
    let mut held: Vec<TcpStream> = Vec::new();
    let mut left = 100;
    while held.len() < 10 {
        // The connection that waited for a leader may still be counted.
        match answered(&agent) {
            Ok(stream) => held.push(stream),
            Err(error) => assert!(left > 0, "{} are let in: {error}", held.len()),
        }
        left -= 1;
        pause();
    }
    assert!(ask(agent.http, "GET", "/v1/status/leader", "").is_err());
    drop(held);
    let mut left = 100;
    while ask(agent.http, "GET", "/v1/status/leader", "").is_err() {
        left -= 1;
        assert!(left > 0, "closed connections are still counted");
        pause();
    }
    get(agent.http, "/v1/status/leader");
}

#[test]
fn one_peer_has_so_many_connections() {
    let scratch = Scratch::new("peers");
    let file = scratch.file("l.json", r#"{"limits": {"rpc_max_conns_per_client": 4}}"#);
    let agent = Agent::dev(&scratch, &["-config-file", file.to_str().unwrap()]);
    let about = get(agent.http, "/v1/agent/self").body;
    let told: serde_json::Value = serde_json::from_str(&about).unwrap();
    let rpc = told["Stats"]["consul"]["leader_addr"].as_str().unwrap().to_owned();
    // One byte of a greeting that never comes.
    let dial = || {
        let mut stream = TcpStream::connect(&rpc).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        stream.write_all(b"P").unwrap();
        stream
    };
    let is_closed = |mut stream: &TcpStream| match stream.read(&mut [0]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    let held: Vec<TcpStream> = (0..4).map(|_| dial()).collect();
    assert!(is_closed(&dial()), "the fifth is one too many");
    assert!(!held.iter().any(is_closed), "the others stay");
    drop(held);
    let mut left = 100;
    while is_closed(&dial()) {
        left -= 1;
        assert!(left > 0, "closed connections are still counted");
        pause();
    }
}

/// A connection that stays open after its first answer.
fn answered(agent: &Agent) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(agent.http)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")?;
    assert_eq!(read(&mut BufReader::new(&stream))?.status, 200);
    Ok(stream)
}
