//! Configuration: files and flags, merged in Consul's order, checked, and made into an agent.

mod build;
mod check;
mod merge;
mod peers;
mod schema;
mod settings;
mod source;

pub use build::{Built, build};
pub use settings::{Ports, Settings};
pub use source::{Sources, read_file, settings};
