//! The words everyone uses: time, indexes, identities, records, randomness, timers, limits.
//!
//! Invariant: nothing here knows bytes on a wire or on a disk, and nothing here decides.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod calendar;
mod gossip;
mod health;
mod ident;
mod index;
pub mod limits;
mod log_level;
mod planted;
pub mod radix;
mod records;
mod rng;
pub mod texts;
mod time;
mod timers;

pub use calendar::Calendar;
pub use gossip::{Coordinate, Incarnation, LamportTime, Liveness, MemberStatus, Pool};
pub use health::CheckStatus;
pub use ident::{NodeId, ServerId, SessionId};
pub use index::{CatalogIndex, EntryId, LogIndex, Term};
pub use log_level::LogLevel;
pub use planted::{Fault, Planted};
pub use records::{
    Check, KvPair, Node, Service, ServiceAddress, ServiceKind, ServiceRegistration, Session,
    SessionBehavior, TextMap, Weights,
};
pub use rng::{Rng, Seed, mix};
pub use time::{Duration, Instant, WallTime};
pub use timers::TimerTable;
