//! What Raft promises: exact effects, the dissertation's statements, and a kitchen table of servers
//! in a bad network.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod chaos;
mod effects;
mod figure8;
mod founding;
mod judge;
mod nemesis;
mod paper;
#[cfg(feature = "planted")]
mod planted;
mod server;
mod snapshots;
mod table;
