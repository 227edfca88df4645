//! Real Consul agents, and the tags by which ours passes for one.

use crate::agents::{Process, command};
use crate::place::{Outcome, Place, ensure, secs, text, until};
use crate::subject::Options;
use proconsul_core::gossip::Timing;
use proconsul_core::types::Pool;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where Consul agents gossip in their datacenter.
pub(crate) const LAN_PORT: u16 = 19301;
/// And between datacenters.
pub(crate) const WAN_PORT: u16 = 19302;
const HTTP_PORT: u16 = 19500;
/// The id of the member under test.
const ID: &str = "859dd897-9323-16ec-ed85-14e0cca3dd82";

/// A real Consul agent.
#[derive(Debug)]
pub(crate) struct Consul {
    pub(crate) process: Process,
    program: PathBuf,
    http: SocketAddr,
    pub(crate) lan: SocketAddr,
    pub(crate) wan: SocketAddr,
}

impl Consul {
    /// A server in memory, called `cs1`, that leads.
    pub(crate) async fn start(place: &Place) -> Outcome<Self> {
        Self::start_with(place, "cs1", 2, &["-dev"]).await
    }

    /// A server with these arguments, of a datacenter that is led.
    pub(crate) async fn start_with(
        place: &Place,
        name: &str,
        host: u8,
        more: &[&str],
    ) -> Outcome<Self> {
        let consul = Self::begin(place, name, host, more)?;
        until(secs(40), || async {
            let leader = consul.get("/v1/status/leader").await?;
            ensure(leader.contains(':'), || format!("no leader\n{}", consul.process.log()))
        })
        .await?;
        Ok(consul)
    }

    /// An agent with these arguments, just started.
    pub(crate) fn begin(place: &Place, name: &str, host: u8, more: &[&str]) -> Outcome<Self> {
        let ip = place.ip(host).to_string();
        let mut arguments: Vec<String> = ["agent", "-node", name, "-bind", &ip, "-client", &ip]
            .into_iter()
            .map(str::to_owned)
            .collect();
        for (flag, port) in [
            ("-server-port", 19300),
            ("-serf-lan-port", LAN_PORT),
            ("-serf-wan-port", WAN_PORT),
            ("-http-port", HTTP_PORT),
            ("-dns-port", 19600),
            ("-grpc-port", 19502),
        ] {
            arguments.extend([flag.to_owned(), port.to_string()]);
        }
        arguments.extend(["-log-level".to_owned(), "debug".to_owned()]);
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let log = place.path(&format!("{name}.log"));
        let process = Process::start(&place.program, &arguments, log)?;
        Ok(Self {
            process,
            program: place.program.clone(),
            http: place.at(host, HTTP_PORT),
            lan: place.at(host, LAN_PORT),
            wan: place.at(host, WAN_PORT),
        })
    }

    /// `consul <words> ...` at this agent; the first word is the command.
    pub(crate) async fn ask(&self, words: &[&str]) -> String {
        let at = format!("-http-addr={}", self.http);
        let mut arguments = vec![words[0], &at];
        arguments.extend_from_slice(&words[1..]);
        command(&self.program, &arguments).await
    }

    /// The body of an answer.
    pub(crate) async fn get(&self, path: &str) -> Outcome<String> {
        let asked = async {
            let mut stream = TcpStream::connect(self.http).await?;
            let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.http);
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = tokio::time::timeout(secs(10), asked)
            .await
            .map_err(|_| format!("no answer to {path}"))?
            .map_err(text)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        body.ok_or_else(|| format!("no body: {answer}"))
    }

    /// Its line about `name`, words separated by one space.
    pub(crate) async fn line(&self, name: &str, wan: bool) -> Option<String> {
        self.listed(name, if wan { &["members", "-wan"] } else { &["members"] }).await
    }

    /// The same with its address, status and tags.
    pub(crate) async fn details(&self, name: &str) -> Option<String> {
        self.listed(name, &["members", "-detailed"]).await
    }

    async fn listed(&self, name: &str, words: &[&str]) -> Option<String> {
        let shown = self.ask(words).await;
        shown.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words.first() == Some(&name)).then(|| words.join(" "))
        })
    }

    /// Whether its line about `name` is this.
    pub(crate) async fn shows(&self, wan: bool, wanted: impl AsRef<str>) -> Outcome {
        let wanted = wanted.as_ref();
        let name = wanted.split(' ').next().unwrap_or_default();
        let line = self.line(name, wan).await;
        ensure(line.as_deref() == Some(wanted), || format!("{line:?}, not {wanted:?}"))
    }

    /// Whether the node's check of its agent is this.
    pub(crate) async fn health(&self, node: &str, status: &str, output: &str) -> Outcome {
        let body = self.get(&format!("/v1/health/node/{node}")).await?;
        let checks: serde_json::Value = serde_json::from_str(&body).map_err(text)?;
        let serf = checks.as_array().into_iter().flatten().find(|c| c["CheckID"] == "serfHealth");
        let held = serf.is_some_and(|check| check["Status"] == status && check["Output"] == output);
        ensure(held, || format!("health of {node}: {body}"))
    }
}

/// What every member of a Consul pool says.
fn common(role: &'static str, datacenter: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("role", role),
        ("dc", datacenter),
        ("segment", ""),
        ("id", ID),
        ("vsn", "2"),
        ("vsn_min", "2"),
        ("vsn_max", "3"),
        ("build", "1.8.7:"),
        ("acls", "0"),
    ]
}

/// What servers say besides.
const SERVER: [(&str, &str); 3] = [("port", "19300"), ("raft_vsn", "3"), ("ft_fs", "1")];

fn consul(mut options: Options) -> Options {
    options.config.delegate_version = 4;
    options.config.resolve_conflicts = false;
    options
}

/// A client agent of `dc1`.
pub(crate) fn client(at: SocketAddr, name: &str) -> Options {
    consul(Options::at(at, name, &common("node", "dc1")))
}

/// A server of `dc1`, whose WAN port is this.
pub(crate) fn server(at: SocketAddr, name: &str, wan_port: u16) -> Options {
    let mut tags = common("consul", "dc1");
    tags.extend(SERVER);
    let port = wan_port.to_string();
    tags.push(("wan_join_port", &port));
    consul(Options::at(at, name, &tags))
}

/// A server in the WAN, of this datacenter.
pub(crate) fn wan_server(at: SocketAddr, name: &str, datacenter: &'static str) -> Options {
    let mut tags = common("consul", datacenter);
    tags.extend(SERVER);
    let mut options = consul(Options::at(at, name, &tags));
    options.config.pool = Pool::Wan;
    options.config.timing = Timing::wan();
    options
}
