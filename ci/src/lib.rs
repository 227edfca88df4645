//! Every check the project makes of itself, as Rust: `cargo ci verify` runs them, `cargo ci fix`
//! repairs what a tool can repair. Nothing else writes to the sources.
//!
//! Invariant: this crate reads manifests and sources; it links none of the project's own crates.

pub mod arrows;
pub mod deps;
pub mod sources;
pub mod steps;
pub mod tidy;

/// What a check found: one line a finding. Empty means it holds.
pub type Findings = Vec<String>;
