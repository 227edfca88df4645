//! Schedules of servers, plans of pools and of agents kept because of what they show: each holds,
//! and if it names a planted fault, it breaks its rule with that. They show what drawn worlds show
//! too seldom to be relied on.

use proconsul_sim::plans::{self, Plan, Setting};
use proconsul_sim::run::run;
use proconsul_sim::{Schedule, Telling, clusters, failure, pools, quiet_panics};
use std::path::Path;

#[test]
fn each_kept_schedule_holds_and_shows_the_fault_it_names() {
    quiet_panics();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut kept = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of kept schedules is there") {
        let path = entry.expect("a folder can be listed").path();
        let text = std::fs::read_to_string(&path).expect("a schedule file can be read");
        kept += 1;
        if hold::<pools::Options>(&text, &path) || hold::<clusters::Options>(&text, &path) {
            continue;
        }
        let mut schedule = Schedule::parse(&text).expect("a kept schedule is one");
        if !schedule.options.planted.is_empty() {
            let shown = run(&schedule, Telling::Silent).violation;
            let rule = shown.as_ref().map(|violation| violation.rule.as_str());
            assert_eq!(rule, Some(schedule.rule.as_str()), "{}: {shown:?}", path.display());
        }
        schedule.options.planted.clear();
        let sound = run(&schedule, Telling::Silent);
        let text = || failure::of_schedule(None, &schedule, &sound);
        assert!(sound.violation.is_none(), "{} without its fault\n{}", path.display(), text());
    }
    assert!(kept >= 3, "kept schedules are where this test looks");
}

/// Tries a plan, if the text is one of this kind.
fn hold<S: Setting>(text: &str, path: &Path) -> bool {
    if !Plan::<S>::is_one(text) {
        return false;
    }
    let mut plan = Plan::<S>::parse(text).expect("a kept plan is one");
    let planted = std::mem::take(plan.options.planted());
    let sound = plans::run(&plan, Telling::Silent);
    let text = || failure::of_plan(&plan, &sound);
    assert!(sound.violation.is_none(), "{} without its fault\n{}", path.display(), text());
    if !planted.is_empty() {
        *plan.options.planted() = planted;
        let shown = plans::run(&plan, Telling::Silent).violation;
        let rule = shown.as_ref().map(|violation| violation.rule.as_str());
        assert_eq!(rule, Some(plan.rule.as_str()), "{}: {shown:?}", path.display());
    }
    true
}
