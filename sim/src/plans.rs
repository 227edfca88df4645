//! Worlds as plans: options, and everything that happens, each item whole in itself. Faults, what
//! people do and what must hold at a moment are all items, so a story that fails shrinks like a
//! world that the swarm drew.

use crate::admit;
use crate::judge::Violation;
use crate::run::{Outcome, Telling, guarded, rule_of};
use crate::schedule::{line, lines, text_of};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt::Debug;

/// A kind of world, by its options.
pub trait Setting: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned {
    /// What can happen in it.
    type What: Clone + Debug + PartialEq + Serialize + DeserializeOwned;
    /// The world itself.
    type World: PlannedWorld<Self>;
    /// Its name in files; in lower case, the name by which drawn worlds are replayed.
    const KIND: &'static str;

    /// The plan of a seed. The same seed gives the same plan.
    fn drawn(seed: u64) -> Plan<Self>;

    /// The planted fault that all carry; empty for none.
    fn planted(&mut self) -> &mut String;

    /// Servers and clients of each datacenter.
    fn datacenters(&self) -> &[(u16, u16)];

    /// How many machines there are.
    fn machines(&self) -> u16 {
        size_of(self.datacenters())
    }

    /// Whether there can be such a world.
    ///
    /// # Errors
    /// There cannot; the reason names the option.
    fn check(&self) -> Result<(), String>;

    /// What the world is, in a few words.
    fn words(&self) -> String;

    /// Makes links as good as they can be.
    fn soothe(&mut self);

    /// The span of something that lasts, in microseconds.
    fn span(what: &mut Self::What) -> Option<&mut u64>;
}

/// A world of a plan, while it runs.
pub trait PlannedWorld<S: Setting> {
    /// The world at its beginning.
    fn begin(plan: &Plan<S>, telling: Telling) -> Self;

    /// Runs to its end or to the first broken rule.
    fn run(&mut self);

    /// What it came to.
    fn outcome(self) -> Outcome;
}

/// Runs a plan to its end or to the first broken rule.
#[must_use]
pub fn run<S: Setting>(plan: &Plan<S>, telling: Telling) -> Outcome {
    let kept: RefCell<Option<S::World>> = RefCell::new(None);
    let result = guarded(|| kept.borrow_mut().insert(S::World::begin(plan, telling)).run());
    let mut sum = kept.into_inner().map(S::World::outcome).unwrap_or_default();
    if let Err(text) = result {
        sum.trace = 0;
        let at = sum.simulated;
        sum.violation.get_or_insert_with(|| Violation { rule: rule_of(&text), text, at });
    }
    sum
}

/// How many machines some datacenters have.
pub(crate) fn size_of(datacenters: &[(u16, u16)]) -> u16 {
    let sizes = datacenters.iter().map(|(servers, clients)| servers + clients);
    sizes.fold(0, u16::saturating_add)
}

/// A whole world: run it, and the same things happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "S: Setting", deserialize = "S: Setting"), deny_unknown_fields)]
pub struct Plan<S: Setting> {
    /// Tells it from plans of other kinds.
    pub kind: String,
    /// The story it came from; empty for the swarm.
    #[serde(default)]
    pub scenario: String,
    /// The rule that was broken, if the plan was kept because of one.
    #[serde(default)]
    pub rule: String,
    /// The seed of everything drawn.
    pub seed: u64,
    /// Machines, links, bounds.
    pub options: S,
    /// What happens.
    #[serde(default)]
    pub acts: Vec<Act<S::What>>,
}

/// Something that happens at a moment, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act<W> {
    /// When.
    pub at: u64,
    /// What.
    pub what: W,
}

impl<S: Setting> Default for Plan<S> {
    fn default() -> Self {
        Self {
            kind: S::KIND.into(),
            scenario: String::new(),
            rule: String::new(),
            seed: 0,
            options: S::default(),
            acts: Vec::new(),
        }
    }
}

impl<S: Setting> Plan<S> {
    /// The text of a plan's file: JSON, one act a line.
    #[must_use]
    pub fn text(&self) -> String {
        let facts = [
            ("kind", line(&self.kind)),
            ("scenario", line(&self.scenario)),
            ("rule", line(&self.rule)),
            ("seed", line(&self.seed)),
        ];
        text_of(&facts, &self.options, &[("acts", lines(&self.acts))])
    }

    /// Reads a plan's file.
    ///
    /// # Errors
    /// The text is not one, or asks for what no world can be; the reason names the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plan: Self = admit::read(text)?;
        plan.options.check()?;
        Ok(plan)
    }

    /// Whether a file is a plan of this kind.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Head {
            kind: Option<String>,
        }
        serde_json::from_str::<Head>(text).is_ok_and(|head| head.kind.as_deref() == Some(S::KIND))
    }

    /// Adds something that happens at `at` milliseconds.
    pub fn at(&mut self, at: u64, what: S::What) -> &mut Self {
        self.acts.push(Act { at: at * 1_000, what });
        self
    }
}

/// A story with a name: a function from a seed to a plan.
#[derive(Clone, Copy, Debug)]
pub struct PlannedStory<S: Setting> {
    /// One word, as typed.
    pub name: &'static str,
    /// What is tried and what must hold. The first sentence is shown in lists.
    pub doc: &'static str,
    /// Whether it is too long for tests: run by name only.
    pub long: bool,
    /// What happens, for a seed.
    pub plan: fn(u64) -> Plan<S>,
}

impl<S: Setting> PlannedStory<S> {
    /// The first sentence of the documentation.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        let doc = self.doc.trim();
        doc.split_once(". ").map_or(doc, |(first, _)| first).trim_end_matches('.')
    }

    /// The plan of a seed, with a planted fault or none.
    #[must_use]
    pub fn plan(&self, seed: u64, planted: &str) -> Plan<S> {
        let mut plan = (self.plan)(seed);
        (plan.seed, plan.scenario) = (seed, self.name.into());
        planted.clone_into(plan.options.planted());
        plan
    }
}

/// What shrinking came to.
#[derive(Clone, Debug)]
pub struct Shrunk<S: Setting> {
    /// The smallest failing plan found.
    pub plan: Plan<S>,
    /// How many runs it took.
    pub runs: u32,
}

/// Shrinks `plan`, which breaks `rule`, within a number of runs: first whole acts go, then spans
/// are halved and links made perfect.
#[must_use]
pub fn shrink<S: Setting>(plan: &Plan<S>, rule: &str, runs_max: u32) -> Shrunk<S> {
    let mut search = Search { rule, runs: 0, runs_max, best: plan.clone() };
    search.best.rule = rule.into();
    loop {
        let before = search.best.acts.len();
        search.drop_acts();
        search.weaken();
        if search.best.acts.len() == before || search.runs >= runs_max {
            break;
        }
    }
    Shrunk { plan: search.best, runs: search.runs }
}

struct Search<'a, S: Setting> {
    rule: &'a str,
    runs: u32,
    runs_max: u32,
    best: Plan<S>,
}

impl<S: Setting> Search<'_, S> {
    fn keep(&mut self, candidate: Plan<S>) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let outcome = run(&candidate, Telling::Silent);
        let same = outcome.violation.is_some_and(|broken| broken.rule == self.rule);
        if same {
            self.best = candidate;
        }
        same
    }

    /// Delta debugging: halves, quarters, .. single acts, as long as something can go.
    fn drop_acts(&mut self) {
        let mut piece = self.best.acts.len();
        while piece > 0 {
            let mut from = self.best.acts.len();
            while from > 0 {
                let end = from.min(self.best.acts.len());
                let begin = end.saturating_sub(piece);
                let mut candidate = self.best.clone();
                candidate.acts.drain(begin..end);
                self.keep(candidate);
                from = begin;
            }
            piece /= 2;
        }
    }

    fn weaken(&mut self) {
        for place in 0..self.best.acts.len() {
            for change in [halve::<S>, round::<S>] {
                let mut candidate = self.best.clone();
                if change(&mut candidate.acts[place]) {
                    self.keep(candidate);
                }
            }
        }
        let mut calm = self.best.clone();
        calm.options.soothe();
        if calm != self.best {
            self.keep(calm);
        }
    }
}

fn halve<S: Setting>(act: &mut Act<S::What>) -> bool {
    let Some(span) = S::span(&mut act.what) else { return false };
    if *span < 2_000_000 {
        return false;
    }
    *span /= 2;
    true
}

fn round<S: Setting>(act: &mut Act<S::What>) -> bool {
    if act.at.is_multiple_of(1_000_000) {
        return false;
    }
    act.at -= act.at % 1_000_000;
    true
}
