//! Configuration: files and flags, merged in Consul's order, checked, and made into an agent.

mod build;
mod check;
mod cluster;
mod merge;
mod peers;
mod pools;
mod schema;
mod settings;
mod source;
mod template;

pub use build::{Built, build};
pub use cluster::ClusterSettings;
pub use settings::{Ports, Settings};
pub use source::{Sources, read_file, settings};
