//! Where a row happens: its addresses, its folder, the program it needs.

use std::env;
use std::fmt::Display;
use std::fs;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a row comes to.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The real programs that are here.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) serf: Option<PathBuf>,
    pub(crate) consul: Option<PathBuf>,
}

impl Programs {
    /// As named by the environment, on the path, or where the user keeps them.
    pub(crate) fn found() -> Self {
        let kept = env::var_os("HOME").map(|home| PathBuf::from(home).join(CONSUL_KEPT));
        let consul = program("PROCONSUL_PEER_CONSUL", "consul");
        let is_named = env::var_os("PROCONSUL_PEER_CONSUL").is_some();
        let kept = kept.filter(|path| !is_named && path.is_file());
        Self { serf: program("PROCONSUL_PEER_SERF", "serf"), consul: consul.or(kept) }
    }
}

/// A Debian package of Consul, unpacked below the user's home.
const CONSUL_KEPT: &str = ".cache/proconsul-peers/consul/usr/bin/consul";

fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// One row's own corner of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) row: u32,
    pub(crate) program: PathBuf,
    folder: Arc<Scratch>,
}

#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Place {
    pub(crate) fn new(row: u32, name: &str, program: &Path) -> Outcome<Self> {
        let folder =
            env::temp_dir().join(format!("proconsul-peers-{}-{name}-{row}", std::process::id()));
        fs::create_dir_all(&folder).map_err(text)?;
        Ok(Self { row, program: program.to_owned(), folder: Arc::new(Scratch(folder)) })
    }

    /// The row's address number `host`. Two runs on one machine have different second octets.
    pub(crate) fn ip(&self, host: u8) -> IpAddr {
        let run = u8::try_from(std::process::id() % 240).unwrap_or(0);
        IpAddr::from([127, 10 + run, u8::try_from(self.row).unwrap_or(u8::MAX), host])
    }

    /// Where the member under test is, as `host`.
    pub(crate) fn at(&self, host: u8, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(host), port)
    }

    /// A file or folder of the row.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }
}

/// An error in its own words.
pub(crate) fn text(error: impl Display) -> String {
    error.to_string()
}

/// Fails with `why` unless `held`.
pub(crate) fn ensure(held: bool, why: impl FnOnce() -> String) -> Outcome {
    if held { Ok(()) } else { Err(why()) }
}

/// A while.
pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Looks until `look` says `Ok`; after `at_most` its last words are the failure. How long it took.
pub(crate) async fn until<F, R>(at_most: Duration, mut look: F) -> Outcome<Duration>
where
    F: FnMut() -> R,
    R: Future<Output = Outcome>,
{
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(()) => return Ok(begun.elapsed()),
            Err(reason) if begun.elapsed() >= at_most => {
                return Err(format!("after {at_most:?}: {reason}"));
            }
            Err(_) => pause(100).await,
        }
    }
}

/// Holds for all of `time`, looked at every so often.
pub(crate) async fn throughout<F, R>(time: Duration, every: Duration, mut look: F) -> Outcome
where
    F: FnMut() -> R,
    R: Future<Output = Outcome>,
{
    let begun = Instant::now();
    while begun.elapsed() < time {
        let at = begun.elapsed();
        look().await.map_err(|reason| format!("after {at:?}: {reason}"))?;
        tokio::time::sleep(every).await;
    }
    Ok(())
}

/// What starting a program to look (`serf members`) may take on a busy machine.
pub(crate) const LOOK: Duration = secs(5);

/// Seconds.
pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
