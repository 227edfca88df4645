//! Stories: what is done to a world and what must hold, told once, as a future.
//!
//! A story speaks to a [`World`]. Behind it stands a [`Stage`]: the event loop of this crate, or
//! the real adapter under madsim. What a stage must be able to do for a story is named by its
//! scenario's [`Capability`] list.

use crate::machine;
use crate::options::Options;
use crate::schedule::{Action, Fault, Freshness, Op, Target, Trip, When};
use crate::world::Lost;
use bytes::Bytes;
use proconsul_core::http::{Method, Request, Response};
use proconsul_core::types::Duration;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What a stage must be able to do for a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Kill and start processes.
    Process,
    /// Let processes stand still.
    Pause,
    /// Cut links, one way or both.
    Cuts,
    /// Delay, lose, reorder, narrow single links.
    Links,
    /// Tear, slow, hang, fail and fill disks.
    Disk,
    /// Bend clocks.
    Clock,
    /// Strike at protocol events.
    Trips,
    /// Drawn clients and their judges.
    Workload,
}

/// Why a story ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What did not hold.
    pub text: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a story ends.
pub type Told = Result<(), Broken>;
/// A story on its way.
pub type Story = Pin<Box<dyn Future<Output = Told>>>;

/// What can be seen of a server from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glimpse {
    /// Whether its process runs.
    pub up: bool,
    /// Whether it says that it leads.
    pub leads: bool,
    /// The newest term it saw.
    pub term: u64,
    /// The index of the last command it shows.
    pub index: u64,
    /// A number that stands for its whole state.
    pub state: u64,
    /// Bytes on its disk.
    pub disk_bytes: u64,
    /// How it stands, in words.
    pub words: String,
}

/// Where stories are played.
pub trait Stage {
    /// Time since the world began.
    fn now(&self) -> Duration;
    /// How many servers there are.
    fn servers(&self) -> usize;
    /// Who leads, if anyone.
    fn leader(&self) -> Option<usize>;
    /// What can be seen of a server.
    fn glimpse(&self, server: usize) -> Glimpse;
    /// Does something to the world, now.
    fn act(&self, action: Action);
    /// Does something to the world later, at a moment or a protocol event.
    fn arm(&self, fault: Fault);
    /// Lets a client do something later; judges look at what comes of it.
    fn plan(&self, op: Op);
    /// Sends a request; the number finds the answer.
    fn ask(&self, server: usize, request: Request, patience: Duration) -> u32;
    /// The answer, when it is there.
    fn poll_answer(&self, asked: u32, cx: &mut Context<'_>) -> Poll<Result<Response, Lost>>;
    /// Ready when `until` has come.
    fn poll_sleep(&self, until: Duration, cx: &mut Context<'_>) -> Poll<()>;
    /// The seed, for what a story draws itself.
    fn seed(&self) -> u64;
    /// The options of this world.
    fn options(&self) -> Options;
}

/// A world, as stories see it. Cloning gives another handle on the same world.
#[derive(Clone)]
pub struct World {
    stage: Rc<dyn Stage>,
    asides: Rc<RefCell<Vec<Story>>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl World {
    /// A handle on a stage.
    #[must_use]
    pub fn on(stage: Rc<dyn Stage>) -> Self {
        Self { stage, asides: Rc::default() }
    }

    /// Time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.stage.now()
    }

    /// How many servers there are; they are called 0, 1, 2, ..
    #[must_use]
    pub fn servers(&self) -> usize {
        self.stage.servers()
    }

    /// The seed of this world.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.stage.seed()
    }

    /// The options of this world.
    #[must_use]
    pub fn options(&self) -> Options {
        self.stage.options()
    }

    /// What can be seen of a server.
    #[must_use]
    pub fn glimpse(&self, server: usize) -> Glimpse {
        self.stage.glimpse(server)
    }

    /// Who leads right now, if anyone says so.
    #[must_use]
    pub fn leader_now(&self) -> Option<usize> {
        self.stage.leader()
    }

    /// Everyone but the present leader.
    #[must_use]
    pub fn followers(&self) -> Vec<usize> {
        let leader = self.leader_now();
        (0..self.servers()).filter(|server| Some(*server) != leader).collect()
    }

    /// Lets time pass.
    pub async fn sleep(&self, span: Duration) {
        let until = self.now() + span;
        poll_fn(|cx| self.stage.poll_sleep(until, cx)).await;
    }

    /// Waits until `holds`, looking every few milliseconds; the text says what did not come.
    ///
    /// # Errors
    /// It did not hold in time.
    pub async fn until(
        &self,
        within: Duration,
        text: &str,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Told {
        let end = self.now() + within;
        while !holds(self) {
            if self.now() >= end {
                let text = format!("{text}: not within {within:?}; {}", self.standing());
                return Err(Broken { text });
            }
            self.sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// A leader, waited for as long as the options' bound.
    ///
    /// # Errors
    /// There was none in time.
    pub async fn leader(&self) -> Result<usize, Broken> {
        let bound = Duration::from_micros(self.options().bound);
        self.until(bound, "a leader", |world| world.leader_now().is_some()).await?;
        Ok(self.leader_now().unwrap_or(0))
    }

    /// A leader that is not `old`.
    ///
    /// # Errors
    /// There was none in time.
    pub async fn leader_other_than(&self, old: usize) -> Result<usize, Broken> {
        let bound = Duration::from_micros(self.options().bound);
        let another = |world: &Self| world.leader_now().is_some_and(|leader| leader != old);
        self.until(bound, "another leader", another).await?;
        Ok(self.leader_now().unwrap_or(0))
    }

    /// What must hold.
    ///
    /// # Errors
    /// It does not; the text says what.
    pub fn expect(&self, holds: bool, text: &str) -> Told {
        if holds { Ok(()) } else { Err(Broken { text: format!("{text}; {}", self.standing()) }) }
    }

    fn standing(&self) -> String {
        let words: Vec<String> = (0..self.servers())
            .map(|server| format!("s{server}: {}", self.glimpse(server).words))
            .collect();
        words.join("; ")
    }

    /// Tells another story at the same time; it ends when the main story ends.
    pub fn aside(&self, story: impl Future<Output = Told> + 'static) {
        self.asides.borrow_mut().push(Box::pin(story));
    }

    /// Does anything a schedule can do, now.
    pub fn act(&self, action: Action) {
        self.stage.act(action);
    }

    /// Does something when a protocol event comes (see [`Trip`]).
    pub fn trip(&self, trip: Trip, action: Action) {
        self.stage.arm(Fault { when: When::On(trip), what: action });
    }

    /// Kills a server with its power; it stays down until [`Self::restart`] or [`Self::heal`].
    pub fn crash(&self, server: usize) {
        self.act(Action::crash(target(server), 0));
    }

    /// Kills a server; it starts again after `down`.
    pub fn crash_for(&self, server: usize, down: Duration) {
        self.act(Action::crash(target(server), micros(down)));
    }

    /// Kills a server; when it starts again it has another address.
    pub fn crash_and_move(&self, server: usize) {
        self.act(Action::Crash { who: target(server), down: 0, moved: true, power: None });
    }

    /// Starts a dead server from its disk.
    pub fn restart(&self, server: usize) {
        self.act(Action::Restart { who: target(server) });
    }

    /// Lets a server stand still; what comes for it waits.
    pub fn pause(&self, server: usize, span: Duration) {
        self.act(Action::Pause { who: target(server), span: micros(span) });
    }

    /// Cuts a server off, both ways, until [`Self::heal`].
    pub fn isolate(&self, server: usize) {
        self.act(Action::Isolate { who: target(server), span: 0 });
    }

    /// Cuts a server off, both ways, for a while.
    pub fn isolate_for(&self, server: usize, span: Duration) {
        self.act(Action::Isolate { who: target(server), span: micros(span) });
    }

    /// Nothing gets from one to the other until [`Self::heal`]; the way back works.
    pub fn cut(&self, from: usize, to: usize) {
        self.act(Action::Cut { from: target(from), to: target(to), span: 0 });
    }

    /// These servers and the others no longer hear each other, until [`Self::heal`].
    pub fn split(&self, side: &[usize]) {
        self.act(Action::Split { side: mask(side), span: 0 });
    }

    /// These servers and the others hear each other only through `middle`, until [`Self::heal`].
    pub fn bridge(&self, middle: usize, side: &[usize]) {
        self.act(Action::Bridge { middle: target(middle), side: mask(side), span: 0 });
    }

    /// What this server sends goes through a narrow line until [`Self::heal`].
    pub fn narrow(&self, server: usize, bytes_per_second: u64) {
        self.act(Action::Narrow { who: target(server), bytes_per_second, span: 0 });
    }

    /// Everything to and from this server takes longer, until [`Self::heal`].
    pub fn slow(&self, server: usize, extra: Duration) {
        self.act(Action::Slow { who: target(server), extra: micros(extra), span: 0 });
    }

    /// Everything broken so far is whole again; who is down starts.
    pub fn heal(&self) {
        self.act(Action::Heal);
    }

    /// Lets a client do something after a while; judges look at what comes of it.
    pub fn client(&self, client: u8, server: usize, after: Duration, what: crate::schedule::Want) {
        let at = micros(self.now() + after);
        self.stage.plan(Op { at, client, server: byte(server), what });
    }

    /// Lets drawn clients work for `span` (see [`crate::workload::ops`]).
    pub fn workload(&self, span: Duration) {
        let mut options = self.options();
        options.safety = micros(span);
        let seed = proconsul_core::types::Seed(self.seed());
        let mut rng = proconsul_core::types::Rng::new(seed).split("story.workload");
        let begin = micros(self.now());
        for mut op in crate::workload::ops(&mut rng, &options) {
            op.at += begin;
            self.stage.plan(op);
        }
    }

    /// A request to one server.
    ///
    /// # Errors
    /// No answer came.
    pub async fn http(&self, server: usize, request: Request) -> Result<Response, Lost> {
        let patience = Duration::from_micros(self.options().patience);
        let asked = self.stage.ask(server, request, patience);
        poll_fn(|cx| self.stage.poll_answer(asked, cx)).await
    }

    /// Writes a key through one server: whether it said that it was done.
    pub async fn kv_put(&self, server: usize, key: &str, value: &str) -> bool {
        let body = Bytes::from(value.to_owned());
        let request = Request::new(Method::Put, &format!("/v1/kv/{key}"), body);
        self.http(server, request).await.is_ok_and(|answer| answer.status == 200)
    }

    /// Reads a key through one server: its value, or that there is none.
    ///
    /// # Errors
    /// No answer came, or an error.
    pub async fn kv_get(
        &self,
        server: usize,
        key: &str,
        fresh: Freshness,
    ) -> Result<Option<String>, Lost> {
        let mode = match fresh {
            Freshness::Default => "",
            Freshness::Consistent => "&consistent",
            Freshness::Stale => "&stale",
        };
        let target = format!("/v1/kv/{key}?raw{mode}");
        let answer = self.http(server, Request::new(Method::Get, &target, Bytes::new())).await?;
        match answer.status {
            200 => Ok(Some(String::from_utf8_lossy(&answer.body).into_owned())),
            404 => Ok(None),
            _ => Err(Lost::Reset),
        }
    }

    /// Writes a key through whoever takes it.
    ///
    /// # Errors
    /// Nobody did within the options' bound.
    pub async fn put_eventually(&self, key: &str, value: &str) -> Told {
        let end = self.now() + Duration::from_micros(self.options().bound);
        let mut server = 0;
        while self.now() < end {
            if self.kv_put(server % self.servers(), key, value).await {
                return Ok(());
            }
            server += 1;
            self.sleep(Duration::from_millis(50)).await;
        }
        Err(Broken { text: format!("nobody took a write; {}", self.standing()) })
    }

    /// Waits until there is a leader, it takes a write, and every server that is up shows the same
    /// state.
    ///
    /// # Errors
    /// That did not happen in time.
    pub async fn converge_within(&self, span: Duration) -> Told {
        let end = self.now() + span;
        self.until(span, "a leader after healing", |world| world.leader_now().is_some()).await?;
        self.put_eventually("converged", "yes").await?;
        let left = end.saturating_sub(self.now());
        let same = |world: &Self| {
            let mut seen = None;
            (0..world.servers()).map(|server| world.glimpse(server)).filter(|it| it.up).all(|it| {
                let state = (it.index, it.state);
                *seen.get_or_insert(state) == state
            })
        };
        self.until(left, "equal states on all servers", same).await
    }

    /// Moves a story and its asides on; tells how it ended, if it did.
    pub fn step(&self, story: &mut Story, cx: &mut Context<'_>) -> Option<Told> {
        match story.as_mut().poll(cx) {
            Poll::Ready(told) => Some(told),
            Poll::Pending => match self.poll_asides(cx) {
                Poll::Ready(broken) => Some(Err(broken)),
                Poll::Pending => None,
            },
        }
    }

    /// Moves the asides on; the first that fails ends the story.
    fn poll_asides(&self, cx: &mut Context<'_>) -> Poll<Broken> {
        let mut asides = std::mem::take(&mut *self.asides.borrow_mut());
        let mut broken = None;
        asides.retain_mut(|story| match story.as_mut().poll(cx) {
            Poll::Ready(Err(why)) => {
                broken = Some(why);
                false
            }
            Poll::Ready(Ok(())) => false,
            Poll::Pending => true,
        });
        self.asides.borrow_mut().append(&mut asides);
        broken.map_or(Poll::Pending, Poll::Ready)
    }
}

fn target(server: usize) -> Target {
    Target::Server(byte(server))
}

fn byte(server: usize) -> u8 {
    u8::try_from(server).expect("fewer than 256 servers")
}

fn mask(side: &[usize]) -> u8 {
    side.iter().fold(0, |mask, server| mask | 1 << server)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn words_of(host: &crate::world::Host) -> String {
    machine::standing(host)
}
