//! The agent that is shipped, as a process: `proconsul agent`, built beside this program.

use crate::agents::{Process, command};
use crate::place::{Outcome, Place, ensure, text, until};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where it gossips in its datacenter.
const LAN_PORT: u16 = 19401;
const HTTP_PORT: u16 = 19400;
const STARTED_MAX: Duration = Duration::from_secs(20);

/// A running agent of ours.
#[derive(Debug)]
pub(crate) struct Shipped {
    process: Process,
    program: PathBuf,
    http: SocketAddr,
    pub(crate) lan: SocketAddr,
}

impl Shipped {
    /// Starts an agent of `dc1` at the row's address `host` and waits until it answers.
    pub(crate) async fn start(place: &Place, name: &str, host: u8, more: &[&str]) -> Outcome<Self> {
        let program = program()?;
        let ip = place.ip(host).to_string();
        let data = place.path(name).display().to_string();
        let mut arguments: Vec<String> = ["agent", "-node", name, "-bind", &ip, "-client", &ip]
            .into_iter()
            .chain(["-data-dir", &data, "-log-level", "debug"])
            .map(str::to_owned)
            .collect();
        for (flag, port) in [
            ("-server-port", 19403),
            ("-serf-lan-port", LAN_PORT),
            ("-serf-wan-port", 19402),
            ("-http-port", HTTP_PORT),
            ("-dns-port", 19404),
        ] {
            arguments.extend([flag.to_owned(), port.to_string()]);
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let process = Process::start(&program, &arguments, place.path(&format!("{name}.log")))?;
        let (http, lan) = (place.at(host, HTTP_PORT), place.at(host, LAN_PORT));
        let agent = Self { process, program, http, lan };
        until(STARTED_MAX, || async {
            let line = agent.line(name).await;
            ensure(line.is_some(), || format!("{name} does not start:\n{}", agent.process.log()))
        })
        .await?;
        Ok(agent)
    }

    /// `proconsul members`: its line about `name`, words separated by one space.
    pub(crate) async fn line(&self, name: &str) -> Option<String> {
        let at = format!("-http-addr={}", self.http);
        let shown = command(&self.program, &["members", &at]).await;
        shown.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words.first() == Some(&name)).then(|| words.join(" "))
        })
    }

    /// Whether its line about `name` begins so.
    pub(crate) async fn shows(&self, wanted: &str) -> Outcome {
        let name = wanted.split(' ').next().unwrap_or_default();
        let line = self.line(name).await;
        ensure(line.as_ref().is_some_and(|line| line.starts_with(wanted)), || {
            format!("our agent shows {line:?}, not {wanted:?}; its log:\n{}", self.process.log())
        })
    }
}

/// `proconsul`, where the environment says or of the same build: this program is one of its
/// examples.
fn program() -> Outcome<PathBuf> {
    if let Some(named) = std::env::var_os("PROCONSUL_PEER_AGENT") {
        let named = PathBuf::from(named);
        let missing = format!("PROCONSUL_PEER_AGENT: there is no {}", named.display());
        return Some(named).filter(|path| path.is_file()).ok_or(missing);
    }
    let own = std::env::current_exe().map_err(text)?;
    let folder = own.parent().and_then(|examples| examples.parent());
    let found = folder.map(|folder| folder.join("proconsul")).filter(|path| path.is_file());
    found.ok_or_else(|| {
        format!("no agent beside {}: cargo build -p proconsul --bin proconsul", own.display())
    })
}
