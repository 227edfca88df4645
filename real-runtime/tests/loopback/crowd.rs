//! Many clients that hold their connections, more than the process was started to have.

use crate::process::{Agent, PROCONSUL, Scratch, free_ports, pause};
use crate::web::{ask, dns, dns_counts, dns_tcp, get, put};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const A: u16 = 1;
/// What one address may hold, less a few for those who ask beside them.
const HELD_PER_ADDRESS: u16 = 150;

/// A `-dev` agent that was started with these bounds on open files.
fn bounded(scratch: &Scratch, bounds: &str, config: &str) -> Agent {
    let address = IpAddr::from([127, 0, 0, 1]);
    let ports = free_ports(address, 3);
    let file = scratch.file("c.json", config);
    let script = format!("ulimit {bounds} && exec \"$@\"");
    let agent = Agent::start_by(
        &["sh", "-c", &script, "sh", PROCONSUL],
        &scratch.0.join("dev.log"),
        address,
        &ports,
        &["-dev", "-config-file", file.to_str().unwrap()],
    );
    agent.wait_for_leader(Duration::from_secs(20));
    agent
}

/// A connection from an address of one's own.
fn connect(from: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(5))?;
    Ok(socket.into())
}

/// Connections from many addresses.
fn crowd(to: SocketAddr, count: u16) -> Vec<TcpStream> {
    let one = |number: u16| {
        let address = u8::try_from(1 + number / HELD_PER_ADDRESS).unwrap();
        connect([127, 7, 0, address], to).unwrap()
    };
    (0..count).map(one).collect()
}

fn until(agent: &Agent, what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}; the log:\n{}", agent.log());
        pause();
    }
}

#[test]
fn thousands_hold_connections_and_the_agent_goes_on() {
    let mut own = getrlimit(Resource::Nofile);
    own.current = own.maximum;
    setrlimit(Resource::Nofile, own).unwrap();
    let room = own.maximum.unwrap_or(u64::MAX).saturating_sub(500);
    let count = 3000.min(u16::try_from(room).unwrap_or(u16::MAX));
    assert!(count > 500, "this machine allows {:?} open files", own.maximum);
    let probed = TcpListener::bind("127.0.0.1:0").unwrap();
    let probed_at = probed.local_addr().unwrap();
    let scratch = Scratch::new("crowd");
    let check = format!(
        r#"{{"service": {{"name": "web", "check": {{"tcp": "{probed_at}", "interval": "1s"}}}}}}"#
    );
    let agent = bounded(&scratch, "-Sn 256", &check);
    assert!(agent.log().contains("Raised the bound on open files: from=256"), "{}", agent.log());
    let held = crowd(agent.http, count);
    put(agent.http, "/v1/kv/a", "1");
    assert_eq!(get(agent.http, "/v1/kv/a?raw").body, "1");
    let status = |wanted: &str| {
        get(agent.http, "/v1/agent/checks").json()["service:web"]["Status"] == *wanted
    };
    until(&agent, "the check does not pass", || status("passing"));
    drop(probed);
    until(&agent, "the check does not fail", || status("critical"));
    let name = "consul.service.consul";
    assert_eq!(dns_counts(&dns(agent.dns, name, A)), (1, 0));
    assert_eq!(dns_counts(&dns_tcp(agent.dns, name, A)), (1, 0));
    assert_eq!(held.len(), usize::from(count));
}

#[test]
fn who_finds_no_room_waits_and_nothing_ends() {
    let scratch = Scratch::new("no-files");
    // Neither bound can be raised.
    let mut agent = bounded(&scratch, "-n 96", "{}");
    put(agent.http, "/v1/kv/a", "1");
    let crowd = crowd(agent.http, 200);
    until(&agent, "it never ran out of files", || agent.log().contains("could not accept"));
    // Datagrams need no file of their own.
    assert_eq!(dns_counts(&dns(agent.dns, "consul.service.consul", A)), (1, 0));
    let tried = |agent: &Agent| agent.log().matches("could not accept").count();
    let before = tried(&agent);
    std::thread::park_timeout(Duration::from_secs(1));
    let in_a_second = tried(&agent) - before;
    assert!(in_a_second < 200, "{in_a_second} attempts in a second");
    drop(crowd);
    let answers = || ask(agent.http, "GET", "/v1/kv/a?raw", "").is_ok_and(|a| a.body == "1");
    until(&agent, "it does not accept again", answers);
    agent.kill();
}
