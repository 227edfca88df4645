//! A member of a pool without an agent around it: for tools, and to be held against real agents of
//! others.

use super::sockets::PoolInput;
use super::{Bound, Heard, Sockets};
use crate::clock::Clock;
use bytes::Bytes;
use proconsul_core::gossip::{Config, Effect, Event, Gossip, Input};
use proconsul_core::types::{Instant, Pool, Rng};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// What was heard and is not yet taken in.
const HEARD_MAX: usize = 512;
/// Longest pause of the loop.
const PAUSE_MAX: core::time::Duration = core::time::Duration::from_secs(3600);

/// Sees each datagram that comes, and says whether the member shall.
pub type Tap = Arc<dyn Fn(SocketAddr, &[u8]) -> bool + Send + Sync>;

/// What a member is started with.
pub struct Setup {
    /// What it is in its pool.
    pub config: Config,
    /// Where its random choices come from.
    pub rng: Rng,
    /// Its sockets.
    pub bound: Bound,
    /// Its rejoin file.
    pub rejoin_file: Option<PathBuf>,
    /// Its file of keys.
    pub keyring_file: Option<PathBuf>,
    /// What stands between its socket and it.
    pub tap: Option<Tap>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("config", &self.config).finish_non_exhaustive()
    }
}

enum Order {
    Tell(Input),
    Look(Box<dyn FnOnce(&Gossip) + Send>),
}

/// A running member. Dropped, it is gone without a word, as if its process had been killed.
#[derive(Debug)]
pub struct Bare {
    orders: mpsc::UnboundedSender<Order>,
    address: SocketAddr,
    task: AbortHandle,
}

impl Bare {
    /// Starts a member on the current runtime. What its pool tells goes to `events`.
    ///
    /// # Errors
    /// Its rejoin file cannot be read.
    pub fn start(setup: Setup, events: mpsc::UnboundedSender<Event>) -> io::Result<Self> {
        let Setup { config, rng, bound, rejoin_file, keyring_file, tap } = setup;
        let remembered = match rejoin_file.as_deref().map(fs::read) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Some(Ok(bytes)) => bytes,
            Some(Err(_)) | None => Vec::new(),
        };
        let (orders, received) = mpsc::unbounded_channel();
        let (ear, heard) = mpsc::channel(HEARD_MAX);
        let address = bound.address();
        let sockets = Sockets::start(config.pool, bound, ear);
        let clock = Clock::start();
        let mut effects = Vec::new();
        let gossip = Gossip::new(config, &rng, &remembered, clock.now(), &mut effects);
        let running = Running { gossip, sockets, clock, rejoin_file, keyring_file, tap, events };
        let task = tokio::spawn(running.run(effects, received, heard)).abort_handle();
        Ok(Self { orders, address, task })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells its pool something.
    pub fn tell(&self, input: Input) {
        // A member that has stopped hears nothing.
        drop(self.orders.send(Order::Tell(input)));
    }

    /// Looks at its pool; `None` once it has stopped.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Gossip) -> T + Send + 'static,
    ) -> Option<T> {
        let (seen, answer) = oneshot::channel();
        let look = Box::new(move |gossip: &Gossip| drop(seen.send(look(gossip))));
        self.orders.send(Order::Look(look)).ok()?;
        answer.await.ok()
    }

    /// Whether it has stopped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Running {
    gossip: Gossip,
    sockets: Sockets,
    clock: Clock,
    rejoin_file: Option<PathBuf>,
    keyring_file: Option<PathBuf>,
    tap: Option<Tap>,
    events: mpsc::UnboundedSender<Event>,
}

impl Running {
    async fn run(
        mut self,
        mut effects: Vec<Effect>,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut heard: mpsc::Receiver<(Pool, Heard)>,
    ) {
        loop {
            let now = self.clock.now();
            if self.gossip.next_wakeup().is_some_and(|at| at <= now) {
                self.gossip.step(now, Input::Wake, &mut effects);
            }
            self.perform(&mut effects);
            if self.gossip.is_stopped() {
                return;
            }
            let deadline: Instant =
                self.gossip.next_wakeup().unwrap_or_else(|| now.after(PAUSE_MAX));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Tell(input)) => {
                        self.gossip.step(self.clock.now(), input, &mut effects);
                    }
                    Some(Order::Look(look)) => look(&self.gossip),
                    None => return,
                },
                Some((_, heard)) = heard.recv() => self.hear(heard, &mut effects),
                () = tokio::time::sleep_until(self.clock.at(deadline)) => {}
            }
        }
    }

    fn hear(&mut self, heard: Heard, effects: &mut Vec<Effect>) {
        let input = match self.sockets.hear(heard) {
            Some(PoolInput::Packet(from, bytes)) => {
                if self.tap.as_ref().is_some_and(|tap| !tap(from, &bytes)) {
                    return;
                }
                Input::Packet(from, bytes)
            }
            Some(PoolInput::Stream(id, event)) => Input::Stream(id, event),
            None => return,
        };
        self.gossip.step(self.clock.now(), input, effects);
    }

    fn perform(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(to, datagram) => self.sockets.send(to, datagram),
                Effect::Dial(id, to) => self.sockets.dial(id, to),
                Effect::Write(id, message) => self.sockets.write(id, message),
                Effect::Close(id) => self.sockets.close(id),
                Effect::Remember(bytes) => kept("rejoin", append(&self.rejoin_file, &bytes)),
                Effect::Compact(bytes) => kept("rejoin", replace(&self.rejoin_file, &bytes)),
                Effect::SaveKeys(bytes) => kept("keyring", replace(&self.keyring_file, &bytes)),
                // Whoever started it may not want to know.
                Effect::Event(event) => drop(self.events.send(event)),
            }
        }
    }
}

/// What cannot be kept is lost at the next start, no sooner.
fn kept(what: &str, done: io::Result<()>) {
    if let Err(error) = done {
        tracing::error!(target: "agent.gossip", "{what} file not written: {error}");
    }
}

fn append(file: &Option<PathBuf>, bytes: &Bytes) -> io::Result<()> {
    let Some(file) = file else {
        return Ok(());
    };
    OpenOptions::new().create(true).append(true).mode(0o644).open(file)?.write_all(bytes)
}

fn replace(file: &Option<PathBuf>, bytes: &Bytes) -> io::Result<()> {
    let Some(file) = file else {
        return Ok(());
    };
    let new = Path::new(file).with_extension("new");
    let mut options = OpenOptions::new();
    let mut open = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    fs::rename(new, file)
}
