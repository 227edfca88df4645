//! `cargo sim`: the debugger of simulated worlds.
fn main() {}
