//! The proconsul agent.
fn main() {}
