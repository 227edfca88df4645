//! Real agents as child processes.

use crate::place::{Outcome, Place, ensure, secs, text, until};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Where Serf agents gossip.
pub(crate) const SERF_PORT: u16 = 19101;
const RPC_PORT: u16 = 19171;

/// A running program and its log.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(program: &Path, arguments: &[String], log: PathBuf) -> Outcome<Self> {
        let file = File::create(&log).map_err(text)?;
        let child = Command::new(program)
            .args(arguments)
            .stdout(file.try_clone().map_err(text)?)
            .stderr(file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(text)?;
        Ok(Self { child, log })
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) -> Outcome {
        self.child.kill().await.map_err(text)
    }
}

/// Runs a command to its end; everything it printed.
pub(crate) async fn command(program: &Path, arguments: &[&str]) -> String {
    let ran = Command::new(program)
        .args(arguments)
        .env_remove("CONSUL_HTTP_ADDR")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(secs(30), ran).await {
        Ok(Ok(output)) => {
            let both = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&both).into_owned()
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "not done after 30 s".to_owned(),
    }
}

/// A real Serf agent.
#[derive(Debug)]
pub(crate) struct Serf {
    pub(crate) process: Process,
    program: PathBuf,
    rpc: String,
    pub(crate) address: SocketAddr,
}

impl Serf {
    /// Starts an agent at the row's address `host` and waits until it answers.
    pub(crate) async fn start(place: &Place, name: &str, host: u8, more: &[&str]) -> Outcome<Self> {
        let address = place.at(host, SERF_PORT);
        let rpc = place.at(host, RPC_PORT).to_string();
        let mut arguments: Vec<String> =
            ["agent", "-node", name, "-bind"].map(str::to_owned).to_vec();
        arguments.extend([address.to_string(), "-rpc-addr".to_owned(), rpc.clone()]);
        if !more.contains(&"-log-level") {
            arguments.extend(["-log-level".to_owned(), "debug".to_owned()]);
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let log = place.path(&format!("{name}-{host}.log"));
        let process = Process::start(&place.program, &arguments, log)?;
        let serf = Self { process, program: place.program.clone(), rpc, address };
        until(secs(15), || async {
            let shown = serf.ask(&["members"]).await;
            ensure(shown.contains(&address.to_string()), || {
                format!("{name} does not start: {shown}\n{}", serf.process.log())
            })
        })
        .await?;
        Ok(serf)
    }

    /// `serf <words> ...` at this agent; the first word is the command.
    pub(crate) async fn ask(&self, words: &[&str]) -> String {
        let mut arguments = vec![words[0], "-rpc-addr", &self.rpc];
        arguments.extend_from_slice(&words[1..]);
        command(&self.program, &arguments).await
    }

    /// Its line about `name`: address, status, tags.
    pub(crate) async fn line(&self, name: &str) -> Option<(String, String, String)> {
        let shown = self.ask(&["members"]).await;
        shown.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)).then(|| {
                let mut next = || words.next().unwrap_or_default().to_owned();
                (next(), next(), next())
            })
        })
    }

    /// Its own health: how many times longer than usual it waits, less one.
    pub(crate) async fn health(&self) -> Outcome<u32> {
        let shown = self.ask(&["info"]).await;
        let score = shown.lines().find_map(|line| line.trim().strip_prefix("health_score = "));
        score.and_then(|score| score.parse().ok()).ok_or_else(|| format!("no health in:\n{shown}"))
    }

    /// Whether it lists `name` with this status.
    pub(crate) async fn lists(&self, name: &str, status: &str) -> Outcome {
        let line = self.line(name).await;
        let held = line.as_ref().is_some_and(|(_, shown, _)| shown == status);
        ensure(held, || format!("{name} should be {status}, serf shows {line:?}"))
    }
}
