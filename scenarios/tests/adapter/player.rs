//! How madsim plays a story: the same future that the event loop polls, on another stage.

use crate::bench::Bench;
use crate::faults::share;
use madsim::net::Config as NetConfig;
use madsim::runtime::Runtime;
use proconsul_sim::{
    Action, Fault, Glimpse, Lost, Mark, Op, Options, Request, Response, Scenario, Stage, World,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Longer than any story may last.
const STORY_MAX: Duration = Duration::from_secs(600);

/// What came of a story.
#[derive(Debug)]
pub(crate) struct Played {
    /// The index of the last command committed.
    pub(crate) committed: u64,
    /// How long it was, in the world.
    pub(crate) simulated: Duration,
    /// Protocol events, how often each.
    pub(crate) marks: BTreeMap<Mark, u32>,
}

/// Tells a scenario to a group of agents, heals everything and waits for the verdict. An error says
/// which rule was broken and how.
pub(crate) fn play(scenario: &Scenario, seed: u64, planted: &str) -> Result<Played, String> {
    let mut options = (scenario.options)(seed);
    planted.clone_into(&mut options.planted);
    let micros = Duration::from_micros;
    let mut config = madsim::Config::default();
    config.net = NetConfig {
        packet_loss_rate: share(options.loss_ppm),
        send_latency: micros(options.latency_min)..micros(options.latency_max),
    };
    let mut runtime = Runtime::with_seed_and_config(seed, config);
    runtime.set_time_limit(STORY_MAX);
    let told = catch_unwind(AssertUnwindSafe(|| runtime.block_on(tell(scenario, seed, &options))));
    told.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("assert: {}", text.unwrap_or("a panic without words")))
    })
}

async fn tell(scenario: &Scenario, seed: u64, options: &Options) -> Result<Played, String> {
    let bench = Bench::form(seed, options);
    let player = Rc::new(Player { bench: Arc::clone(&bench), alarms: RefCell::default() });
    let world = World::on(Rc::clone(&player) as Rc<dyn Stage>);
    let mut story = (scenario.story)(world.clone());
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let told = world.step(&mut story, &mut cx);
        if let Some(Err(broken)) = &told {
            bench.with(|state| state.referee.broken("story", || broken.text.clone()));
        }
        held(&bench)?;
        if told.is_some() {
            break;
        }
        player.rest().await;
    }
    bench.calm();
    sleep(Duration::from_micros(options.bound)).await;
    for op in bench.with(|state| state.referee.probe()) {
        bench.plan_probe(&op);
    }
    held(&bench)?;
    let rest = options.liveness.max(options.bound * 2) - options.bound;
    sleep(Duration::from_micros(rest)).await;
    bench.with(|state| {
        state.weigh();
        state.referee.verdict();
    });
    held(&bench)?;
    let simulated = Duration::from_nanos(bench.now());
    Ok(bench.with(|state| Played {
        committed: state.referee.committed(),
        simulated,
        marks: std::mem::take(&mut state.marks),
    }))
}

/// No rule is broken so far.
fn held(bench: &Bench) -> Result<(), String> {
    bench.with(|state| match state.referee.violation() {
        Some(violation) => Err(proconsul_sim::scenario::screen(violation)),
        None => Ok(()),
    })
}

/// The stage of madsim.
#[derive(Debug)]
struct Player {
    bench: Arc<Bench>,
    alarms: RefCell<BTreeSet<Duration>>,
}

impl Player {
    /// Waits until the story may go on.
    async fn rest(&self) {
        let now = self.now();
        let next = {
            let mut alarms = self.alarms.borrow_mut();
            alarms.retain(|alarm| *alarm > now);
            alarms.first().copied()
        };
        let patience = next.map_or(STORY_MAX, |next| next - now);
        drop(timeout(patience, self.bench.news.notified()).await);
    }
}

impl Stage for Player {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.bench.now())
    }

    fn servers(&self) -> usize {
        self.bench.with(|state| state.machines.len())
    }

    fn leader(&self) -> Option<usize> {
        self.bench.with(|state| state.referee.leader())
    }

    fn glimpse(&self, server: usize) -> Glimpse {
        self.bench.with(|state| {
            state.weigh();
            state.referee.glimpse(server)
        })
    }

    fn act(&self, action: Action) {
        self.bench.with(|state| self.bench.strike(state, &action, None, None));
    }

    fn arm(&self, fault: Fault) {
        self.bench.arm(fault);
    }

    fn plan(&self, op: Op) {
        self.bench.plan(&op);
    }

    fn ask(&self, server: usize, request: Request, patience: Duration) -> u32 {
        self.bench.ask(server, request, patience)
    }

    fn poll_answer(&self, asked: u32, _cx: &mut Context<'_>) -> Poll<Result<Response, Lost>> {
        let answer = self.bench.with(|state| state.answers.remove(&asked));
        answer.map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_sleep(&self, until: Duration, _cx: &mut Context<'_>) -> Poll<()> {
        if self.now() >= until {
            return Poll::Ready(());
        }
        self.alarms.borrow_mut().insert(until);
        Poll::Pending
    }

    fn seed(&self) -> u64 {
        self.bench.with(|state| state.referee.seed())
    }

    fn options(&self) -> Options {
        self.bench.with(|state| state.referee.options().clone())
    }
}
