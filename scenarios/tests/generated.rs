//! Worlds that proptest draws and shortens by itself.

use proconsul_sim::run::run;
use proconsul_sim::{Telling, failure, quiet_panics, strategies};
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

#[test]
fn generated_worlds_hold() {
    quiet_panics();
    let seed = RngSeed::Fixed(20_261_123);
    let config =
        Config { cases: 96, rng_seed: seed, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&strategies::schedules(12, 60), |schedule| {
        let outcome = run(&schedule, Telling::Silent);
        proptest::prop_assert!(outcome.violation.is_none(), "{:?}", outcome.violation);
        Ok(())
    });
    match result {
        Err(TestError::Fail(_, schedule)) => {
            let outcome = run(&schedule, Telling::Silent);
            panic!("\n{}", failure::of_schedule(None, &schedule, &outcome));
        }
        Err(error @ TestError::Abort(_)) => panic!("{error}"),
        Ok(()) => {}
    }
}
