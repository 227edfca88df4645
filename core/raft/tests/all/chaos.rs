//! Random stories. A failure prints its seed; the same seed tells the same story.

use crate::nemesis::{ALL, Story, tell};
use proconsul_types::Planted;

fn swarm(name: &str, story: Story, seeds: core::ops::Range<u64>) {
    let (mut terms, mut committed) = (0, 0);
    for seed in seeds {
        let (table, broken) = tell(seed, story, Planted::none());
        assert!(broken.is_none(), "{name}: seed {seed}: {}", broken.unwrap_or_default());
        terms += table.judge.terms();
        committed += table.judge.committed_count();
    }
    assert!(terms > 100 && committed > 1_000, "{name}: {terms} leaders, {committed} entries");
}

#[test]
fn nothing_breaks_when_everything_may_happen() {
    swarm("all", ALL, 0..150);
}

#[test]
fn nothing_breaks_under_crashes_without_churn() {
    swarm("crashes", Story { churn: false, ..ALL }, 20_000..20_100);
}

#[test]
fn nothing_breaks_under_cuts_and_churn() {
    swarm("churn", Story { crashes: false, trips: false, ..ALL }, 40_000..40_100);
}
