//! A world of nodes from one seed: virtual time, a network that cuts and delays, disks that lie,
//! clocks that drift, clients that ask anyone, a nemesis, and judges that see everything.
//!
//! # How to write a story
//!
//! One file under `scenarios/src`, one `pub const SCENARIO: Scenario`, one line in
//! `scenarios/src/lib.rs`. The file starts with a paragraph that says what is tried and what must
//! hold; the same paragraph is `doc`. Copy `leader_isolated.rs`.
//!
//! ```
//! use proconsul_sim::{Capability, Options, Scenario, Story, World, secs};
//!
//! pub const SCENARIO: Scenario = Scenario {
//!     name: "leader_isolated",
//!     doc: "The leader is cut off. Another one must take over.",
//!     needs: &[Capability::Cuts],
//!     options: |_seed| Options { servers: 5, ..Options::default() },
//!     story: |world| Box::pin(story(world)),
//! };
//!
//! async fn story(world: World) -> proconsul_sim::Told {
//!     let old = world.leader().await?;          // waits; an error ends the story
//!     world.workload(secs(5));                  // drawn clients, judged from outside
//!     world.isolate(old);                       // until `heal`
//!     let new = world.leader_other_than(old).await?;
//!     world.expect(world.kv_put(new, "a", "1").await, "the new leader takes writes")?;
//!     world.heal();
//!     world.converge_within(secs(5)).await
//! }
//! # let played = proconsul_sim::play(&SCENARIO, 1, "", proconsul_sim::Telling::Silent);
//! # assert_eq!(played.outcome.violation, None);
//! ```
//!
//! - Servers are numbers from 0. Time passes only in `.await`; everything else happens at once.
//! - **Faults** ([`World`]): `crash`, `crash_for`, `crash_and_move`, `restart`, `pause`, `isolate`,
//!   `isolate_for`, `cut` (one way), `split`, `bridge`, `slow`, `narrow`, `heal`; anything else a
//!   schedule can do by [`World::act`] with an [`Action`]; at a protocol event by [`World::trip`],
//!   for instance "crash whoever has just granted its second vote".
//! - **Clients**: `workload(span)` lets drawn clients work in the background, `client(..)` adds one
//!   [`Want`]; both are judged. `http`, `kv_put`, `kv_get`, `put_eventually` ask directly and the
//!   story judges the answer with `expect`.
//! - **Looking**: `leader`, `leader_other_than`, `followers`, `glimpse` (term, index, state hash,
//!   bytes on disk), `until(span, text, condition)`, `aside` for a second story at the same time.
//! - **Judges always run**: Raft's properties, linearizable reads, one lock holder, watches,
//!   acknowledged writes, equal states, core's own assertions. When a story ends well, everything
//!   is healed and the world must come to rest: a leader, a write to every key, equal states, no
//!   watcher asleep, no session left, disks bounded.
//! - Keys `k/0` to `k/7` belong to the drawn clients: a story's own writes use other keys.
//! - Everything is drawn from the seed. A story that wants a choice uses
//!   `Rng::new(Seed(world.seed())).split("name")`.
//!
//! # The rooms
//!
//! [`world`] is the event loop and its hosts; [`net`], [`disk`] and [`clock`] are models without
//! I/O; [`judge`] and [`model`] say what may be; [`schedule`] is a world as text, [`workload`]
//! draws one, [`shrink`] shortens one, [`failure`] shows one that breaks a rule; [`scenario`] plays
//! stories, and a [`referee`] judges those that another player tells; [`swarm`] and [`mutants`] run
//! many. [`pools`] and [`clusters`] are other kinds of worlds, of bare pools of gossip and of whole
//! agents in several datacenters: their stories are [`plans`], over links that both share.

mod admit;
pub mod cli;
pub mod client;
pub mod clock;
pub mod clusters;
pub mod disk;
pub mod draw;
pub mod failure;
pub mod judge;
mod links;
mod log;
pub mod lures;
mod machine;
pub mod model;
pub mod mutants;
pub mod net;
pub mod options;
pub mod plans;
pub mod pools;
pub mod queue;
pub mod referee;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod shrink;
pub mod story;
pub mod strategies;
pub mod swarm;
pub mod trace;
pub mod workload;
pub mod world;

pub use judge::Violation;
pub use log::aloud;
pub use options::{Limits, Options};
pub use run::{Outcome, Telling, quiet_panics};
pub use scenario::{Played, Scenario, play};
pub use schedule::{Action, Fault, Freshness, Mark, Op, Schedule, Target, Trip, Want, When};
pub use story::{Broken, Capability, Glimpse, Stage, Story, Told, World};
pub use world::{Engine, Lost};

pub use bytes::Bytes;
pub use proconsul_core::http::{Method, Request, Response};
pub use proconsul_core::types::{Duration, Rng, Seed};

/// So many seconds.
#[must_use]
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many milliseconds.
#[must_use]
pub const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
