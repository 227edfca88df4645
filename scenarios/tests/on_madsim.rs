//! Plain `cargo test` runs the adapter inside madsim too: this test starts a second cargo with the
//! flag that chooses the simulator, and its own target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_adapter_inside_madsim() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |target| root.join(PathBuf::from(target)));
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["test", "--package", "proconsul-scenarios", "--test", "adapter", "--target-dir"])
        .arg(target.join("madsim"))
        .args(["--", "--nocapture"])
        .env("RUSTFLAGS", "--cfg madsim")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stderr), text(&output.stdout));
    // Never pass in silence on a build without the simulator.
    assert!(text(&output.stdout).contains("ran on madsim"), "{}", text(&output.stdout));
}
