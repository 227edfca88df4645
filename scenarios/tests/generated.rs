//! Worlds that proptest draws and shortens by itself.

use proconsul_sim::run::run;
use proconsul_sim::{Telling, quiet_panics, strategies};
use proptest::test_runner::{Config, RngSeed, TestRunner};

#[test]
fn generated_worlds_hold() {
    quiet_panics();
    let seed = RngSeed::Fixed(20_261_123);
    let config =
        Config { cases: 96, rng_seed: seed, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&strategies::schedules(12, 60), |schedule| {
        let outcome = run(&schedule, Telling::Silent);
        proptest::prop_assert!(
            outcome.violation.is_none(),
            "{:?}\n{}",
            outcome.violation,
            schedule.text()
        );
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
