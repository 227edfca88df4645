//! Crashes at every point, in every form: nothing durable is lost, nothing else is invented.

mod world;

use proconsul_types::Planted;

#[test]
fn every_crash_leaves_what_was_promised() {
    let mut checked = 0;
    for seed in 0..60 {
        match world::run(seed, 150, Planted::none(), 6) {
            Ok(world) => checked += world.checked,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(checked > 20_000, "only {checked} crashes were tried");
}
