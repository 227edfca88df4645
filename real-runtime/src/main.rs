//! The `proconsul` command.

#[cfg(madsim)]
compile_error!("the agent is for real machines: it must not be built with --cfg madsim");

/// Faults are planted in test builds only.
#[cfg(not(debug_assertions))]
const _: () = assert!(
    !proconsul_core::types::Planted::POSSIBLE,
    "a release build of the agent must not be able to carry planted faults"
);

fn main() -> std::process::ExitCode {
    proconsul::cli::main()
}
