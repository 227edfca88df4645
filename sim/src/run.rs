//! One run: from a schedule, or a story, to an outcome.

use crate::judge::Violation;
use crate::schedule::{Fault, Mark, Schedule};
use crate::world::{Engine, Line};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// The number that stands for everything that happened.
    pub trace: u64,
    /// How many events there were.
    pub events: u64,
    /// How many messages between servers arrived.
    pub messages: u64,
    /// How many of them went through the codec.
    pub codec_checked: u64,
    /// Client operations committed and judged.
    pub committed: u64,
    /// Nanoseconds that passed in the world.
    pub simulated: u64,
    /// Protocol events, how often each.
    pub marks: BTreeMap<Mark, u32>,
    /// The faults of a world of servers, with what chance decided about those that struck.
    pub faults: Vec<Fault>,
    /// What was said, if the run was recorded.
    pub lines: Vec<Line>,
}

/// Whether a run keeps what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Nothing is said: fastest.
    #[default]
    Silent,
    /// Every line is kept.
    Kept,
    /// Every line is kept and sent to the log.
    Loud,
}

/// Runs a schedule to its end or to the first broken rule.
#[must_use]
pub fn run(schedule: &Schedule, telling: Telling) -> Outcome {
    keep_memory();
    let kept: RefCell<Option<Engine>> = RefCell::new(None);
    let end = (schedule.options.length() + schedule.options.bound) * 1_000;
    let result = guarded(|| {
        let mut kept = kept.borrow_mut();
        let engine = kept.insert(Engine::new(schedule.seed, &schedule.options));
        if telling != Telling::Silent {
            engine.record(telling == Telling::Loud);
        }
        engine.load(schedule);
        engine.run_until(end);
    });
    let mut engine = kept.into_inner();
    outcome(engine.as_mut(), result.err())
}

/// A usual allocator gives memory back to the system after each world and asks for it again, page
/// by page, in the next; how much it keeps follows the largest block that was ever freed. So one is
/// freed once.
fn keep_memory() {
    const LARGE: usize = 31 << 20;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE))));
}

/// Sums up a world, and what it panicked with if it did.
pub(crate) fn outcome(engine: Option<&mut Engine>, panic: Option<String>) -> Outcome {
    let mut sum = Outcome::default();
    if let Some(engine) = engine {
        sum.violation = engine.violation().cloned();
        sum.trace = if panic.is_some() { 0 } else { engine.trace() };
        sum.events = engine.events();
        sum.messages = engine.messages;
        sum.codec_checked = engine.codec_checked;
        sum.committed = engine.judge.model.applied;
        sum.simulated = engine.now();
        sum.marks = engine.marks().clone();
        sum.faults = std::mem::take(&mut engine.faults);
        sum.lines = engine.lines.take();
    }
    if let (Some(text), None) = (panic, &sum.violation) {
        let rule = rule_of(&text);
        sum.violation = Some(Violation { rule, text, at: sum.simulated });
    }
    sum
}

/// A panic's rule: its text without numbers, so that it stays the same while a schedule shrinks.
pub(crate) fn rule_of(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let words = line.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default();
    let short: String = words.trim_end().chars().take(80).collect();
    format!("assert: {short}")
}

thread_local! {
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
    static GUARDED: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs `work`; a panic becomes its text.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    result.map_err(|_| CAUGHT.take().unwrap_or_else(|| "a panic without words".into()))
}

/// From now on panics inside a world are violations and print nothing. Idempotent.
pub fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if GUARDED.with_borrow(|guarded| *guarded) {
                CAUGHT.set(Some(words_of(info)));
            } else {
                usual(info);
            }
        }));
    });
}

fn words_of(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    format!("{text}\n  at {place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Action, Target, When};
    use crate::workload;

    #[test]
    fn a_log_has_a_line_for_each_event_and_each_loss_says_why() {
        let mut whys = BTreeMap::new();
        for seed in 0..24 {
            let outcome = run(&workload::schedule(seed), Telling::Kept);
            assert_eq!(outcome.violation, None, "seed {seed}");
            let lines = u64::try_from(outcome.lines.len()).unwrap();
            assert!(lines >= outcome.events, "{lines} lines of {} events", outcome.events);
            for line in outcome.lines.iter().filter(|line| line.text.starts_with("lost -> s")) {
                let (_, why) = line.text.rsplit_once(": ").unwrap();
                *whys.entry(why.to_owned()).or_insert(0) += 1;
            }
        }
        for why in ["the link is cut", "nobody is at that address", "by chance"] {
            assert!(whys.contains_key(why), "{why} is not among {whys:?}");
        }
    }

    /// Which of the faults strike with what chance decided: `None` for those that did not.
    fn decided(outcome: &Outcome) -> Vec<Option<(bool, bool)>> {
        let what = |fault: &Fault| {
            let Action::Crash { power, moved, .. } = fault.what else { return None };
            power.map(|power| (power, moved))
        };
        outcome.faults.iter().map(what).collect()
    }

    #[test]
    fn a_kept_fault_does_the_same_when_those_before_it_are_gone() {
        let crash = |at: u64, server: u8| Fault {
            when: When::At(at * 1_000_000),
            what: Action::crash(Target::Server(server), 400_000),
        };
        let mut reshuffled = 0;
        for seed in 0..12 {
            let faults = vec![crash(3, 0), crash(5, 1), crash(7, 2)];
            let schedule = Schedule { seed, faults, ..Schedule::default() };
            let first = run(&schedule, Telling::Silent);
            let all = decided(&first);
            assert!(all.iter().all(Option::is_some), "{all:?}");
            // To say what chance decides changes nothing.
            let pinned = Schedule { faults: first.faults, ..schedule.clone() };
            assert_eq!(run(&pinned, Telling::Silent).trace, first.trace);
            assert_eq!(Schedule::parse(&pinned.text()).as_ref(), Ok(&pinned));
            let without = |schedule: &Schedule| {
                let mut rest = schedule.clone();
                rest.faults.remove(0);
                decided(&run(&rest, Telling::Silent))
            };
            assert_eq!(without(&pinned), all[1..]);
            reshuffled += u32::from(without(&schedule) != all[1..]);
        }
        assert!(reshuffled > 0, "without it they are reshuffled");
    }
}
