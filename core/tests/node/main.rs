//! Nodes on a kitchen table: virtual time, a wire with one millisecond of delay, disks that keep
//! what they are told. No simulator: just enough to see that the parts fit together.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agents;
mod cluster;
mod disk;
#[cfg(feature = "planted")]
mod faults;
mod messages;
mod pools;
mod restore;
mod single;
mod table;
mod trouble;
