//! Scenarios: stories with a name, and how the event loop plays them.

use crate::judge::Violation;
use crate::options::Options;
use crate::run::{Outcome, Telling, guarded, outcome};
use crate::schedule::{Action, Fault, Op, Schedule};
use crate::story::{Capability, Glimpse, Stage, Story, World, words_of};
use crate::world::{Engine, Ev, Life, Lost, MICRO, Run};
use proconsul_core::http::{Request, Response};
use proconsul_core::types::Duration;
use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A story with a name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// One word, as typed.
    pub name: &'static str,
    /// What is tried and what must hold. The first sentence is shown in lists.
    pub doc: &'static str,
    /// What a stage must be able to do for it.
    pub needs: &'static [Capability],
    /// The world it is told to; the seed may vary it.
    pub options: fn(u64) -> Options,
    /// The story.
    pub story: fn(World) -> Story,
}

impl Scenario {
    /// The first sentence of the documentation.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        let doc = self.doc.trim();
        doc.split_once(". ").map_or(doc, |(first, _)| first).trim_end_matches('.')
    }
}

/// What came of a story: the outcome, and the schedule that does the same without it (its faults
/// and drawn clients; requests the story sent itself are not in it).
#[derive(Clone, Debug)]
pub struct Played {
    /// What came of it.
    pub outcome: Outcome,
    /// What was done.
    pub schedule: Schedule,
}

/// Longer than any story may last, in nanoseconds.
const STORY_MAX: u64 = 600_000_000_000;

/// Tells a scenario to a world of this seed, then heals everything and waits for the verdict.
#[must_use]
pub fn play(scenario: &Scenario, seed: u64, planted: &str, telling: Telling) -> Played {
    let mut options = (scenario.options)(seed);
    planted.clone_into(&mut options.planted);
    let engine: Rc<RefCell<Option<Engine>>> = Rc::default();
    let result = guarded(|| {
        let mut fresh = Engine::new(seed, &options);
        if telling != Telling::Silent {
            fresh.record(telling == Telling::Loud);
        }
        engine.borrow_mut().replace(fresh);
        tell(scenario, &engine);
    });
    let mut kept = engine.borrow_mut();
    let mut schedule =
        Schedule { scenario: scenario.name.into(), seed, options, ..Schedule::default() };
    if let Some(engine) = kept.as_mut() {
        schedule.faults.clone_from(&engine.faults);
        schedule.ops.clone_from(&engine.planned);
        // The story's end, or what cut it short: until then nothing was healed.
        let end = engine.calm_at.unwrap_or_else(|| engine.now() + MICRO);
        schedule.options.safety = end.div_ceil(MICRO);
    }
    Played { outcome: outcome(kept.as_mut(), result.err()), schedule }
}

fn tell(scenario: &Scenario, engine: &Rc<RefCell<Option<Engine>>>) {
    let stage = EventLoop { engine: Rc::clone(engine) };
    let world = World::on(Rc::new(stage));
    let mut story = (scenario.story)(world.clone());
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let told = world.step(&mut story, &mut cx);
        let mut kept = engine.borrow_mut();
        let engine = kept.as_mut().expect("the engine lives as long as its story");
        if let Some(told) = told {
            if let Err(broken) = told {
                engine.judge.broken("story", || broken.text);
            }
            engine.queue.push(engine.now(), Ev::Heal);
            let rest = engine.options.liveness.max(engine.options.bound * 2) + 1;
            engine.run_until(engine.now() + rest * 1_000);
            return;
        }
        engine.run_until_woken(STORY_MAX);
        if engine.violation().is_some() {
            return;
        }
        if engine.now() >= STORY_MAX {
            engine.judge.broken("story", || "the story does not end".into());
            return;
        }
    }
}

/// The stage of this crate.
#[derive(Debug)]
struct EventLoop {
    engine: Rc<RefCell<Option<Engine>>>,
}

impl EventLoop {
    fn with<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> T {
        work(self.engine.borrow_mut().as_mut().expect("the engine lives as long as its story"))
    }
}

impl Stage for EventLoop {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.with(|engine| engine.now()))
    }

    fn servers(&self) -> usize {
        self.with(|engine| engine.hosts.len())
    }

    fn leader(&self) -> Option<usize> {
        self.with(|engine| engine.leader())
    }

    fn glimpse(&self, server: usize) -> Glimpse {
        self.with(|engine| {
            let host = &engine.hosts[server];
            let up = matches!(host.life, Life::Up(_));
            Glimpse {
                up,
                leads: up && host.view.leadership.is_leader,
                term: host.view.leadership.term.0,
                index: crate::machine::catalog_index(&host.view),
                state: crate::machine::state_hash(&host.view),
                disk_bytes: u64::try_from(host.disk.bytes()).unwrap_or(u64::MAX),
                words: words_of(host),
            }
        })
    }

    fn act(&self, action: Action) {
        self.with(|engine| engine.act(action));
    }

    fn arm(&self, fault: Fault) {
        self.with(|engine| engine.arm(fault));
    }

    fn plan(&self, op: Op) {
        self.with(|engine| engine.plan(&op));
    }

    fn ask(&self, server: usize, request: Request, patience: Duration) -> u32 {
        self.with(|engine| {
            let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX / 4);
            let run = engine.add_run(Run::story(server, request, patience));
            engine.issue(run);
            run
        })
    }

    fn poll_answer(&self, asked: u32, _cx: &mut Context<'_>) -> Poll<Result<Response, Lost>> {
        self.with(|engine| engine.answers.remove(&asked).map_or(Poll::Pending, Poll::Ready))
    }

    fn poll_sleep(&self, until: Duration, _cx: &mut Context<'_>) -> Poll<()> {
        self.with(|engine| {
            let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
            if engine.now() >= until {
                return Poll::Ready(());
            }
            // Asked again at every wake-up: one alarm for each moment is enough.
            if engine.alarms.insert(until) {
                engine.queue.push(until, Ev::Story);
            }
            Poll::Pending
        })
    }

    fn seed(&self) -> u64 {
        self.with(|engine| engine.seed)
    }

    fn options(&self) -> Options {
        self.with(|engine| engine.options.clone())
    }
}

/// A violation, as one screen of text.
#[must_use]
pub fn screen(violation: &Violation) -> String {
    let at = violation.at / 1_000;
    format!(
        "violated: {}\n      at: {}.{:06} s\n    what: {}",
        violation.rule,
        at / 1_000_000,
        at % 1_000_000,
        violation.text
    )
}
