//! Agents as child processes, on free ports, gone when the test is.

use crate::web;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The command under test.
pub(crate) const PROCONSUL: &str = env!("CARGO_BIN_EXE_proconsul");

/// A directory that is gone when the test is.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir()
            .join(format!("proconsul-test-{}-{number}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Ports that were free a moment ago, for streams and for datagrams, all different.
pub(crate) fn free_ports(address: IpAddr, count: usize) -> Vec<u16> {
    let (mut held, mut ports) = (Vec::new(), Vec::new());
    while ports.len() < count {
        let streams = TcpListener::bind((address, 0)).unwrap();
        let port = streams.local_addr().unwrap().port();
        let datagrams = UdpSocket::bind((address, port));
        if datagrams.is_ok() {
            ports.push(port);
        }
        held.push((streams, datagrams));
        assert!(held.len() < count + 100, "no port of {address} is free for both");
    }
    ports
}

/// A running agent.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    log: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) dns: SocketAddr,
}

impl Agent {
    /// Starts an agent at `address` with these arguments besides its ports.
    pub(crate) fn start(log: &Path, address: IpAddr, ports: &[u16], arguments: &[&str]) -> Self {
        Self::start_by(&[PROCONSUL], log, address, ports, arguments)
    }

    /// The same by a command that becomes the agent in the end.
    pub(crate) fn start_by(
        command: &[&str],
        log: &Path,
        address: IpAddr,
        ports: &[u16],
        arguments: &[&str],
    ) -> Self {
        let file = File::create(log).unwrap();
        let serf = free_ports(address, 2);
        let pools: Vec<String> = match arguments.contains(&"-serf-lan-port") {
            true => Vec::new(),
            false => {
                ["-serf-lan-port", &serf[0].to_string(), "-serf-wan-port", &serf[1].to_string()]
                    .map(str::to_owned)
                    .to_vec()
            }
        };
        let child = Command::new(command[0])
            .args(&command[1..])
            .arg("agent")
            .args(pools)
            .args(["-http-port", &ports[0].to_string(), "-dns-port", &ports[1].to_string()])
            .args(["-server-port", &ports[2].to_string()])
            .args(["-bind", &address.to_string(), "-client", &address.to_string()])
            .args(arguments)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let at = |port| SocketAddr::new(address, port);
        Self { child, log: log.to_owned(), http: at(ports[0]), dns: at(ports[1]) }
    }

    /// A `-dev` agent that leads.
    pub(crate) fn dev(scratch: &Scratch, arguments: &[&str]) -> Self {
        let address = IpAddr::from([127, 0, 0, 1]);
        let ports = free_ports(address, 3);
        let mut all = vec!["-dev"];
        all.extend_from_slice(arguments);
        let agent = Self::start(&scratch.0.join("dev.log"), address, &ports, &all);
        agent.wait_for_leader(Duration::from_secs(10));
        agent
    }

    /// Waits until it knows a leader; who that is.
    pub(crate) fn wait_for_leader(&self, at_most: Duration) -> String {
        let until = Instant::now() + at_most;
        while Instant::now() < until {
            if let Ok(answer) = web::ask(self.http, "GET", "/v1/status/leader", "") {
                let leader = answer.body.trim().trim_matches('"').to_owned();
                if answer.status == 200 && !leader.is_empty() {
                    return leader;
                }
            }
            pause();
        }
        panic!("no leader within {at_most:?}; the log:\n{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A path as the agent sees it.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(path.strip_prefix("/").unwrap())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self, at_most: Duration) -> ExitStatus {
        let until = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end; the log:\n{}", self.log());
            pause();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A short while.
pub(crate) fn pause() {
    std::thread::park_timeout(Duration::from_millis(20));
}

/// Runs a command to its end: exit code, standard output, standard error.
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(PROCONSUL)
        .args(arguments)
        .env_remove("CONSUL_HTTP_ADDR")
        .env_remove("CONSUL_HTTP_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}
